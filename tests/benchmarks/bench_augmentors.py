"""What each augmentor costs, beside the usual augmentations: `python tests/benchmarks/bench_augmentors.py [--threads N] [--rounds N]`

256 digits, forward (what a student's turn needs), and forward and backward to the augmentor's own numbers (the augmentor's turn).
torchvision's go image by image, as in `Batch.augmented`. Contenders take turns, the minimum over all rounds counts.
"""
import argparse
import torch
from torchvision.transforms import v2
from bench_warp import fastest
from hardkd import Batch, Compose, MixAugmentor, SpatialAugmentor, VAEAugmentor, digits, pretrained


def measure(rounds):
    "Prints milliseconds, and the ratio to the warps."
    some = digits()[1].subset(256)
    batch, vae = Batch(some.x, some.y, (0,)), pretrained('vae')
    learned = {'SpatialAugmentor': SpatialAugmentor(), 'MixAugmentor': MixAugmentor(), 'VAEAugmentor': VAEAugmentor(vae),
               'VAEAugmentor + SpatialAugmentor': Compose(VAEAugmentor(vae), SpatialAugmentor())}
    usual = {'RandomAffine': v2.RandomAffine(15, (.1, .1), (.85, 1.15), 10), 'RandAugment': v2.RandAugment(), 'AugMix': v2.AugMix()}

    def forward(augmentor):
        with torch.no_grad(): batch.augmented(augmentor)
    def both(augmentor): batch.augmented(augmentor).sum().backward()
    calls = {f'{n}, forward': (lambda a=a: forward(a)) for n, a in (learned | usual).items()}
    calls |= {f'{n}, forward and backward': (lambda a=a: both(a)) for n, a in learned.items()}
    best = fastest(calls, rounds)
    for name, seconds in best.items(): print(f"{name:52} {1e3*seconds:8.1f} ms  {seconds/best['SpatialAugmentor, forward']:6.1f} x the warps")


if __name__ == '__main__':
    p = argparse.ArgumentParser()
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--rounds', type=int, default=10)
    asked = p.parse_args()
    torch.set_num_threads(asked.threads)
    measure(asked.rounds)
