"Clouds of transforms by torch: bilinear samples of a grid, spread, and which hard shifts are near."
import torch
import torch.nn.functional as F


def cases_clouds():
    draw = torch.Generator().manual_seed(4)
    rows = []
    for reach, stride in [(10, 2), (4, 1), (9, 3)]:
        S = 2*reach//stride + 1
        grid = torch.randn(S, S, generator=draw, dtype=torch.float64)
        places = torch.cat([(torch.rand(40, 2, generator=draw, dtype=torch.float64)*2.6-1.3)*reach, torch.tensor([[0., 0.], [reach, -reach]]).double()])
        values = F.grid_sample(grid[None, None], (places/reach)[None, None], padding_mode='border', align_corners=True).flatten()
        steps = torch.arange(-reach, reach+1, stride)
        y, x = torch.meshgrid(steps, steps, indexing='ij')
        shifts = torch.stack([x, y], 2).view(-1, 2)
        cloud = places[:3]
        near = ((shifts[:, None]-cloud[None]).abs() <= stride).all(2).any(1)
        hard = grid.flatten() > 0
        rows.append(dict(reach=reach, stride=stride, grid=grid.flatten(), places=places, values=values, shifts=shifts, cloud=cloud,
                         reached=(near & hard).sum().item()/hard.sum().item()))
    x = torch.randn(50, generator=draw, dtype=torch.float64)
    even = torch.linspace(-1, 1, 7, dtype=torch.float64)
    lump = torch.stack(torch.meshgrid(3+2.5*even, -1+2.5*even, indexing='xy'), 2).view(-1, 2)
    return dict(rows=rows, values=x, deviation=x.std(correction=0).item(), lump=lump)
