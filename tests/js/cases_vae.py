"Where torch puts the pictures of a VAE's levels, and how far they are apart."
import itertools
import torch


def recorded_along(n, stops, levels):
    "All pictures, image after image, each combination of stops, in the order in which they are recorded."
    every = torch.cartesian_prod(*[torch.tensor(stops)]*levels).view(-1, levels).tolist()
    return [(i, values) for i in range(n) for values in every]


def along(n, stops, moving, levels):
    "For each picture the values of all levels; those that do not move are anywhere, those that do near their stops."
    rows = []
    for index, (image, values) in enumerate(recorded_along(n, stops, len(moving))):
        near = {level: value + .1*(-1)**index for level, value in zip(moving, values)}
        rows.append(dict(image=image, values=[near.get(level, 9.) for level in range(levels)], index=index))
    return dict(stops=stops, moving=moving, rows=rows)


def swaps(n, levels):
    every = [(i, j, mask) for i in range(n) for j in range(n) if j != i for mask in range(1, 2**levels-1)]
    swapped = [[bool(mask >> level & 1) for level in range(levels)] for *_, mask in every]
    return dict(n=n, levels=levels, rows=[dict(image=i, partner=j, mask=mask, swapped=s, index=k) for k, ((i, j, mask), s) in enumerate(zip(every, swapped))])


def difference(channels):
    draw = torch.Generator().manual_seed(channels)
    pictures = torch.randint(256, (3, channels, 4, 5), generator=draw)
    return [dict(bytes=pictures.flatten(), channels=channels, area=20, at=i, other=j, brighter=(pictures[i]-pictures[j]).double().mean(0).round().int().flatten())
            for i, j in itertools.product(range(3), repeat=2)]


def cases_vae():
    stops = torch.linspace(-2, 2, 5).tolist()
    values = torch.linspace(-3, 3, 41, dtype=torch.float64)
    nearest = (values[:, None]-torch.tensor(stops)).abs().argmin(1)
    return dict(nearest=dict(stops=stops, values=values, nearest=nearest),
                along=[along(2, stops, [0, 1, 2], 3), along(3, stops[2:], [1], 3), along(2, stops, [0, 2], 3)],
                swaps=[swaps(4, 2), swaps(3, 3)], differences=[row for channels in (1, 3) for row in difference(channels)])
