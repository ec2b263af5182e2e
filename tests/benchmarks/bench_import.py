"""What `import hardkd` adds to `import torch, torchvision`, and what one loss and the whole front door take: `python tests/benchmarks/bench_import.py`.

Each in a process of its own, interleaved, one thread; the minimum of so many rounds counts (default 5)."""
import os, subprocess, sys

CASES = {'import hardkd': 'import hardkd', 'from hardkd.losses import kd_loss': 'from hardkd.losses import kd_loss', 'from hardkd import *': 'from hardkd import *'}
CODE = 'import torch, torchvision, time; start = time.perf_counter(); {}; print(time.perf_counter() - start)'


def seconds(statement):
    "Of one process, after torch and torchvision."
    done = subprocess.run([sys.executable, '-c', CODE.format(statement)], env=os.environ | {'OMP_NUM_THREADS': '1'}, capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == '__main__':
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    times = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, statement in CASES.items(): times[name].append(seconds(statement))
    for name, values in times.items(): print(f'{name:36s} {min(values):.3f} s beyond torch and torchvision')
