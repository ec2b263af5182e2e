"What tests of figures share: images, maps, and what a figure holds."
import torch
from hardkd.experiments.story import story_figure

LONG = 'KD + fixed affine warps of the same mean width, at an equal budget of images and of turns'


EVIL = '<script>alert("1")</script> & $x_{$'


def images(n, channels=1, height=28, width=28):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(n))


def ramp(m, low=0., high=1.):
    "A map without any symmetry, so that a swapped or turned axis shows."
    return torch.linspace(low, high, (2*m+1)**2).view(2*m+1, 2*m+1)


def dome(m, fall):
    "A map that falls from 1 in the middle to 1-fall in the corners."
    y, x = torch.meshgrid(torch.arange(-m, m+1.), torch.arange(-m, m+1.), indexing='ij')
    return 1 - fall*(x**2 + y**2)/max(2*m*m, 1)


def held(image): return torch.tensor(image.get_array().tolist(), dtype=torch.float64)
def close(a, b): torch.testing.assert_close(torch.as_tensor(a).double(), torch.as_tensor(b).double(), atol=1e-5, rtol=1e-6)
def maps_of(fig): return [ax for ax in fig.axes if ax.get_xlabel().startswith('dx')]
def texts_of(fig): return [t for ax in fig.axes for t in ax.texts if t.get_text()]
def said(fig): return [t.get_text().replace('\n', ' ').replace(r'\$', '$') for t in texts_of(fig)]


def story(**changes):
    given = dict(original=images(5), hard={'step 9': images(5)*.5}, units={'shift': (14, 'px')}, x=[0, 9],
        maps={'teacher': dome(3, .1), 'KD': dome(3, .9)}, widths={'shift': [.1, .5], 'shear': [.1, .05]})
    return story_figure(**given | changes)
