"What ICD's numbers are in torch and in the library."
import math
import numpy as np
import torch
import torch.nn.functional as F
from hardkd import contrastive_loss, invariance_penalty


def terms_of(L):
    own = torch.arange(len(L))
    return dict(L=L, rows=L.softmax(1), columns=L.softmax(0).T, contrast=F.cross_entropy(L, own, reduction='none'),
                penalty=F.kl_div(L.log_softmax(1), L.log_softmax(0).T, reduction='none', log_target=True).sum(1))


def loss_of(L, weight):
    contrast, penalty = contrastive_loss(L), invariance_penalty(L)
    return dict(L=L, weight=weight, contrast=contrast, penalty=penalty, loss=contrast + weight*penalty)


def floors_of(B, scale):
    "The least contrast of B images, and the one where the others are at right angles."
    own = torch.eye(B, dtype=torch.float64)
    return dict(B=B, scale=scale, least=contrastive_loss(scale*(2*own-1)), right_angled=contrastive_loss(scale*own))


def cases_icd():
    draw = torch.Generator().manual_seed(0)
    matrices = [4*torch.randn(B, B, generator=draw, dtype=torch.float64) for B in (2, 5, 12)]
    students, teachers = 360*torch.rand(2, 8, generator=draw, dtype=torch.float64) - 180
    angles = 2000*torch.rand(40, generator=draw, dtype=torch.float64) - 1000
    numbers = [1.0, 0.5, 12.345678, 123.456, 1234.5678, 0.0123456, 0.000123456, 2e-6, 1e-7, -3.14159]
    written = [np.format_float_positional(x, 4, fractional=False, trim='-') if abs(x) >= 1e-6 else '0' for x in numbers]
    return dict(
        terms=[terms_of(L) for L in matrices],
        losses=[loss_of(L, weight) for L in matrices for weight in (0., .5, 3.)],
        floors=[floors_of(B, scale) for B in (2, 8, 12) for scale in (0., 1., math.e, 10.)],
        circle=dict(students=students, teachers=teachers, scale=2.5, cosines=2.5*(students[:, None]-teachers).deg2rad().cos()),
        wrapped=dict(angles=angles, same=(angles+180) % 360 - 180),
        written=dict(numbers=numbers, texts=written))
