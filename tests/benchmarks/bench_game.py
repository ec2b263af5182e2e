"""The game under a bound away from its demo: teachers taught to ignore turns, sizes or shifts; the student under the teacher's own warp.

python tests/benchmarks/bench_game.py [--epochs 10] [--seed 0] [--teachers rotation scale shift] [--ways kd read game small plain told]
Prints a line a run: accuracy under the own warp and on test digits, learned widths, turns, seconds."""
import argparse, time
import hardkd, torch
from hardkd import accuracy, digits, distill, mlp, pretrained, SpatialAugmentor
from hardkd.bound import read_widths
from hardkd.data import Images
from hardkd.experiments.recipes import TAUGHT

OWN = dict(rotation=TAUGHT['rotation_cnn'], scale=TAUGHT['scale_cnn'], shift=dict(tx=.15, ty=.15))


def fixed(widths): return SpatialAugmentor(widths, tuple(widths)).fixed()


def options_of(way, kind, teacher, train):
    "What `distill` gets."
    if way == 'kd': return {}
    if way == 'told': return dict(augmentor=fixed(OWN[kind]))
    if way == 'game': return dict(augmentor=SpatialAugmentor())
    if way == 'small': return dict(augmentor=SpatialAugmentor(.05))
    if way == 'plain': return dict(augmentor=SpatialAugmentor(.05), invariance_weight=1.)
    augmentor = SpatialAugmentor()
    read_widths(teacher, augmentor, train.subset(1000).x)
    return dict(augmentor=augmentor.fixed())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--epochs', type=float, default=10)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--teachers', nargs='+', choices=OWN, default=[*OWN])
    parser.add_argument('--ways', nargs='+', default=['kd', 'read', 'game', 'small', 'plain', 'told'])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    train, test = digits()
    for kind in asked.teachers:
        teacher = pretrained(f'{kind}_cnn')
        moved = Images(fixed(OWN[kind])(test.x, generator=torch.Generator().manual_seed(0)), test.y, test.classes)
        print(f'{kind}: teacher {accuracy(teacher, moved):.2%} under its own warp, {accuracy(teacher, test):.2%} on test', flush=True)
        for way in asked.ways:
            started = time.perf_counter()
            torch.manual_seed(asked.seed)
            run = distill(teacher, mlp(), train, epochs=asked.epochs, seed=asked.seed, progress=False, **options_of(way, kind, teacher, train))
            seconds = time.perf_counter() - started
            print(f'  {way:6s} {accuracy(run.student, moved):.2%} {accuracy(run.student, test):.2%} {run.steps} {seconds:.0f} s', end='  ')
            print(run.augmentor.describe() if isinstance(run.augmentor, hardkd.Augmentor) else '', flush=True)


if __name__ == '__main__': main()
