"""How fast `SpatialAugmentor` warps, against kornia's `RandomAffine`: `python tests/benchmarks/bench_warp.py`

256 images of 1x28x28, one thread. Both draw their own parameters in each call, from ranges that are `nn.Parameter`s and
get a gradient (backward: to the ranges alone), warp each image by its own draw, sample bilinearly, fill with zeros,
align_corners=False. Both shift, turn, scale and shear by about as much; ours has a sixth generator (stretch), kornia's
scale and shear have two axes. Contenders take turns, so that a busy machine slows all alike; the minimum over all rounds
counts. kornia comes with the extra `compare`.
"""
import argparse, math, time
import torch
from torch import nn
from hardkd.spatial import GENERATORS, SpatialAugmentor


def contenders(x, width=0.1):
    "name -> (module, warp): called without arguments, `warp` gives the warped images."
    ours = SpatialAugmentor(width)
    both = {'hardkd': (ours, lambda: ours(x))}
    try: from kornia.augmentation import RandomAffine
    except ImportError: return both
    def span(low, high): return nn.Parameter(torch.tensor([low, high]))
    degrees, scale = math.degrees(width), (math.exp(-width), math.exp(width))
    theirs = RandomAffine(degrees=span(-degrees, degrees), translate=span(width, width),
                          scale=nn.Parameter(torch.tensor([*scale, *scale])),
                          shear=nn.Parameter(torch.tensor([-degrees, degrees]*2)), p=1.)
    return both | {'kornia': (theirs, lambda: theirs(x))}


def fastest(calls, rounds):
    "name -> seconds, the minimum over the rounds; every round calls each once."
    best = dict.fromkeys(calls, math.inf)
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter()-start)
    return best


def measure(rounds=300, shape=(256, 1, 28, 28)):
    "{'forward', 'forward + backward'}: name -> milliseconds."
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, weights = torch.rand(shape), torch.rand(shape)
    found = contenders(x)
    def backward(module, warp):
        def call():
            module.zero_grad()
            (warp()*weights).sum().backward()
        return call
    both = {name: backward(*pair) for name, pair in found.items()}
    fastest(both, 3)                                           # warm up, and every range has a gradient:
    for name, (module, _) in found.items():
        learned = [p for p in module.parameters()]
        assert learned and all(p.grad is not None and p.grad.abs().sum() > 0 for p in learned), name
    times = {'forward': fastest({n: warp for n, (_, warp) in found.items()}, rounds),
             'forward + backward': fastest(both, rounds)}
    return {what: {n: 1000*s for n, s in t.items()} for what, t in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=300)
    times = measure(parser.parse_args().rounds)
    print(f'256x1x28x28, one thread, torch {torch.__version__}, minimum, ms; generators: {", ".join(GENERATORS)}')
    for what, ms in times.items():
        line = ', '.join(f'{name} {v:.2f}' for name, v in ms.items())
        print(f'{what:18}  {line}' + (f", ratio {ms['hardkd']/ms['kornia']:.2f}" if 'kornia' in ms else '  (no kornia)'))


if __name__ == '__main__': main()
