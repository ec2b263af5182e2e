"""Is the hierarchy worth it? The shipped VAE's recipe beside a VAE of one level, as large, trained in the same way: minus ELBO of the test images.

    python tests/benchmarks/bench_vae.py FOLDER [--epochs N]

FOLDER holds the four idx files of MNIST. About 45 and 25 minutes of a core. One draw of the latents an image, exact KLs, Bernoulli likelihood in
expectation over binarised images; in brackets the nats of 10,000 training images, spread evenly.

Measured on one shared core: three levels 89.32 (88.96), one level 94.60 (91.54), 5.3 apart. The rival's best foot: with `width=32`, `epochs=12` and the rate
and warm-up of `train_vae` as they are, one level reaches 93.89. What was tried for the three levels:
one group a level, that shorter recipe 90.32, 30 epochs of it with `warmup=.1` 89.17 (88.45); two epochs more without free nats leave that at 89.21. Three epochs
more of the shipped one, `train_vae(vae, train, epochs=3, lr=2e-3, warmup=0., free=0., seed=1)`: 89.15 (88.74).
Two epochs with `warmup=.1`, 5,000 test images: rates .002, .004, .008, .016 give 100.2, 98.1, 96.8, 125.4; two groups at 7x7 and at 14x14 gain 1.7 and 1.9 nats at the first two
rates, more channels none, blocks twice as deep in place of the groups 0.7, a quarter in place of half the width within the blocks loses what the groups gain.
"""
import argparse
from hardkd import cli
from hardkd.data import idx_set
from hardkd.vae_training import minus_elbo

SHAPES = {'three levels': {}, 'one level': dict(latents=((32,), (), ()), width=35)}


def measure(folder, epochs):
    "Prints size and nats of both."
    train, test = idx_set(folder)
    for name, shape in SHAPES.items():
        vae = cli._train_vae(train, **shape, **(dict(epochs=epochs) if epochs else {}))
        nats, seen = {k: f'{v:.2f}' for k, v in minus_elbo(vae, test).items()}, minus_elbo(vae, train.subset(10_000))['nats']
        print(f"{name:13} {sum(p.numel() for p in vae.parameters()):9,} numbers  {nats} ({seen:.2f})", flush=True)


if __name__ == '__main__':
    asked = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    asked.add_argument('folder'), asked.add_argument('--epochs', type=float)
    measure(**vars(asked.parse_args()))
