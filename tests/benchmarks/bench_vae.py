"""Is the hierarchy worth it? The shipped VAE's recipe beside a VAE of one level, about as large, trained in the same way: minus ELBO of the test images.

    python tests/benchmarks/bench_vae.py FOLDER [--epochs N]

FOLDER holds the four idx files of MNIST. About 25 minutes of one core each. One draw of the latents an image, exact KLs, Bernoulli likelihood in
expectation over binarised images.

Measured on one shared core, test nats: three levels 90.32, one level 93.89, so 3.6 apart (5 was the aim). `train_vae(vae, train, epochs=30, warmup=.1)` brings
three levels to 89.17 (88.45 on 10,000 evenly spread training digits; one level was not trained so long), and two epochs more without free
nats, `train_vae(vae, train, epochs=2, lr=5e-4, warmup=0., free=0., seed=1)`, leave them there: 89.21. Next to suspect is the network, whose two 7x7
layers between one place and a map hold three quarters of its numbers.
"""
import argparse
from hardkd import cli
from hardkd.data import idx_set
from hardkd.vae import minus_elbo

SHAPES = {'three levels': ((16,), (4,), (2,)), 'one level': ((32,), (), ())}


def measure(folder, epochs):
    "Prints size and nats of both."
    train, test = idx_set(folder)
    for name, latents in SHAPES.items():
        vae = cli._train_vae(train, latents, epochs)
        nats = {k: f'{v:.2f}' for k, v in minus_elbo(vae, test).items()}
        print(f"{name:13} {sum(p.numel() for p in vae.parameters()):9,} numbers  {nats}", flush=True)


if __name__ == '__main__':
    asked = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    asked.add_argument('folder'), asked.add_argument('--epochs', type=float)
    measure(**vars(asked.parse_args()))
