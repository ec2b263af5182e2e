"Moments, windows and orders as Python computes them."
import math
from fractions import Fraction
import torch
from hardkd.shift import SHIFTED


def moment(moments, frames, frame):
    "The moment whose share of its run is the nearest to the frame's, the later one where two are."
    return math.floor(Fraction(frame*(moments-1), frames-1) + Fraction(1, 2)) if frames > 1 else 0


def window(places):
    low, high = torch.cat(places).aminmax(dim=0)
    half, middle = math.ceil(5.4*(high-low).max().item() + .5)/10, [round(v, 1) for v in ((low+high)/2).tolist()]
    return [[round(v-half, 1), round(v+half, 1)] for v in middle]


def cases_duel():
    draw, runs = torch.Generator().manual_seed(0), [(9, 9), (6, 9), (1, 9), (1, 1), (100, 101)]
    sets = [[scale*torch.randn(50, 2, generator=draw, dtype=torch.float64) + offset for _ in range(3)] for scale, offset in ((1, 0), (.3, 5), (40, -7))]
    labels = torch.randint(4, (20,), generator=draw)
    return dict(moments=[dict(moments=m, frames=n, at=[moment(m, n, f) for f in range(n)]) for m, n in runs],
                windows=[dict(places=[p.flatten() for p in places], window=window(places)) for places in sets],
                labels=labels, order=labels.argsort(stable=True), shifts=[list(d) for d in SHIFTED])
