"""Does the x-ray say who is who? Teachers taught to ignore turns, sizes or shifts, of several seeds, and ordinary nets of other seeds than the reference.

python tests/benchmarks/bench_xray.py [--seeds 3] [--threads 1]
Prints for each teacher: how many times the reference it bears its own kind of change, the most of all others, what is called ignored, and seconds."""
import argparse, time
import hardkd, torch
from hardkd import digits, pretrained, xray
from hardkd.experiments.recipes import TAUGHT, taught_to_ignore, train_from_labels

OWN = dict(shift_cnn={'tx', 'ty'}, rotation_cnn={'rotation'}, scale_cnn={'scale'}, plain_cnn=set())


def teacher_of(name, train, seed):
    "Seed 0 ships."
    if seed == 0: return pretrained(name)
    if name in TAUGHT: return taught_to_ignore(TAUGHT[name], train, seed, progress=False)
    return train_from_labels(name, train, seed, progress=False).student.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    train, _ = digits()
    for seed in range(asked.seeds):
        for name, own in OWN.items():
            if name == 'plain_cnn' and seed == 0: continue          # the reference itself
            teacher = teacher_of(name, train, seed)
            started = time.perf_counter()
            result = xray(teacher, train)
            seconds = time.perf_counter() - started
            times = {row['name']: row['times'] for row in result.rows}
            others = {k: v for k, v in times.items() if k not in own}
            most = max(others, key=others.get)
            mine = ', '.join(f'{k} {times[k]:.2f}' for k in sorted(own)) or 'nothing'
            print(f'{name} seed {seed}: own {mine}; most of the others {most} {others[most]:.2f}; keeps {result.keeps:.1%}; '
                  f'ignored: {result.ignored()}; {seconds:.1f} s', flush=True)


if __name__ == '__main__': main()
