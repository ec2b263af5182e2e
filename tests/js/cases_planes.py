"A plane of warps by torch and the library: means, the best cell of those that count, the reach of an axis."
import torch
from hardkd.views.disagreement_map import plane_axes


def cases_planes():
    draw = torch.Generator().manual_seed(5)
    fields = torch.rand(6, 25, generator=draw, dtype=torch.float64)
    sure = torch.rand(25, generator=draw) > .5
    best = fields[0].masked_fill(~sure, -1).argmax().item()
    size = (28, 28)
    plane, reach = ('tx', 'scale'), (.75, .4)
    whole, shares = plane_axes(plane, reach, 15, size), [0., .25, .5, 1.]
    parts = [[plane_axes(plane, tuple(r*(s or 1e-12) for r in reach), 15, size)[a]['at'][-1] for s in shares] for a in range(2)]
    return dict(fields=fields, mean=fields.mean(0), sure=sure, best=best, axes=whole, shares=shares, parts=parts)
