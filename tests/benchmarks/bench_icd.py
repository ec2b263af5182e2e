"""How fast ICD's contrast and penalty are, and what they need of memory: `python tests/benchmarks/bench_icd.py`

Forward + backward from a similarity matrix (B,B) in 32 bits to its gradient, one thread, against the plain formula written with
`F.cross_entropy` and `F.kl_div`. Contenders take turns, the minimum over all rounds counts. The peak of memory at B = 4,096 is that
of a process of its own (the kernel's high-water mark), in units of the matrix, which itself is not counted; autograd's own
gradient matrix is.
"""
import argparse, math, resource, subprocess, sys, time
import torch
import torch.nn.functional as F


def plain(similarity, weight=.5):
    contrast = F.cross_entropy(similarity, torch.arange(len(similarity)))
    penalty = F.kl_div(F.log_softmax(similarity, 1), F.softmax(similarity, 0).T, reduction='batchmean')
    return contrast + weight*penalty


def ours(similarity, weight=.5):
    from hardkd.icd import icd_terms
    contrast, penalty = icd_terms(similarity)
    return contrast + weight*penalty


CONTENDERS = dict(hardkd=ours, plain=plain)


def step(loss, similarity):
    similarity.grad = None
    loss(similarity).backward()


def measure(sizes, seconds):
    "(B, name -> milliseconds, the minimum) for each size."
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for B in sizes:
        similarity = torch.randn(B, B).mul_(3).requires_grad_()
        gradients = {name: (step(loss, similarity), similarity.grad)[1] for name,loss in CONTENDERS.items()}
        torch.testing.assert_close(*gradients.values())
        best, until = dict.fromkeys(CONTENDERS, math.inf), time.perf_counter() + seconds
        while time.perf_counter() < until:
            for name,loss in CONTENDERS.items():
                start = time.perf_counter()
                step(loss, similarity)
                best[name] = min(best[name], time.perf_counter()-start)
        yield B, {name: 1000*s for name,s in best.items()}


def peak(name, B):
    "Matrices of (B,B) beyond the given one that a step needs at most."
    torch.set_num_threads(1)
    step(CONTENDERS[name], torch.randn(8, 8).requires_grad_())      # what is loaded once
    similarity = torch.randn(B, B).requires_grad_()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(CONTENDERS[name], similarity)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)*1024/(4*B*B)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--sizes', type=int, nargs='+', default=[64, 256, 1024])
    parser.add_argument('--seconds', type=float, default=8, help='a size')
    parser.add_argument('--memory', type=int, default=4096)
    parser.add_argument('--peak', nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak: return print(peak(given.peak[0], int(given.peak[1])))
    print(f'forward + backward, one thread, torch {torch.__version__}, minimum, ms')
    for B,ms in measure(given.sizes, given.seconds):
        print(f"B = {B:5}  " + ', '.join(f'{name} {v:.3f}' for name,v in ms.items()) + f", ratio {ms['hardkd']/ms['plain']:.2f}")
    print(f'peak of memory at B = {given.memory}, matrices of {4*given.memory**2/2**20:.0f} MiB beyond the given one')
    for name in CONTENDERS:
        done = subprocess.run([sys.executable, __file__, '--peak', name, str(given.memory)], capture_output=True, text=True, check=True)
        print(f'{name:8} {float(done.stdout):.2f}')


if __name__ == '__main__': main()
