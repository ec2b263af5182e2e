"""How much slower a short HARD run gets beside a busy process: `python tests/benchmarks/bench_threads.py`

Each run is a process of its own with two threads, as torch reads OMP_WAIT_POLICY once, when it is loaded. It is timed alone
and beside one busy loop a core, with threads that spin while they wait (ACTIVE, the usual default) and with those that sleep
(PASSIVE, what `import hardkd` asks for). Printed: seconds, the least over the rounds, and the ratio of beside to alone.
"""
import argparse, math, os, subprocess, sys
from contextlib import contextmanager

RUN = """
import time, hardkd
from hardkd import SpatialAugmentor, digits, distill, mlp, pretrained
train, _ = digits()
teacher, some = pretrained('shift_cnn'), train.subset(2000)
start = time.perf_counter()
distill(teacher, mlp(), some, augmentor=SpatialAugmentor(), epochs=2, seed=0, progress=False)
print(time.perf_counter() - start)
"""


@contextmanager
def busy(loops):
    "So many processes that do nothing but count."
    running = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(loops)]
    try: yield
    finally:
        for process in running: process.kill()
        for process in running: process.wait()


def seconds(policy, loops, rounds):
    "The least time of the run over the rounds."
    env, best = os.environ | dict(OMP_WAIT_POLICY=policy, OMP_NUM_THREADS='2'), math.inf
    for _ in range(rounds):
        with busy(loops):
            done = subprocess.run([sys.executable, '-c', RUN], env=env, capture_output=True, text=True, check=True)
        best = min(best, float(done.stdout))
    return best


def measure(rounds=3, loops=1):
    "policy -> (alone, beside), seconds."
    return {policy: (seconds(policy, 0, rounds), seconds(policy, loops, rounds)) for policy in ('ACTIVE', 'PASSIVE')}


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--loops', type=int, default=1, help='busy processes beside the run')
    options = parser.parse_args()
    for policy, (alone, beside) in measure(options.rounds, options.loops).items():
        print(f'{policy:8s} alone {alone:6.2f} s   beside {beside:6.2f} s   ratio {beside/alone:5.1f}')
