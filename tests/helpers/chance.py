"Random numbers of a seed."
import torch


def gen(seed=0): return torch.Generator().manual_seed(seed)


def rand(*shape, seed=0): return torch.rand(shape, generator=gen(seed))
