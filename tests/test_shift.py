"hardkd.shift: moves, maps and errors against slow and simple versions of themselves."
import math
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn
from helpers.chance import rand
from hardkd.data import Images, digits
from hardkd.models import cnn, mlp
from hardkd.shift import equivariance_error, invariance_error, shift_batch, shift_map, translate
from hardkd.views.shift_map import shift_map_figure
from helpers.figures import close, held, maps_of, ramp, said, texts_of

sides = st.integers(1, 7)
moves = st.integers(-9, 9)


def slow_shift(x, dx, dy):
    "Pixel by pixel."
    out = np.zeros_like(x)
    H, W = x.shape[-2:]
    for i in range(H):
        for j in range(W):
            if 0 <= i-dy < H and 0 <= j-dx < W: out[..., i, j] = x[..., i-dy, j-dx]
    return out


class Linear(nn.Module):
    "A model that knows places: random weights for each pixel."
    def __init__(self, shape, k=3, seed=0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(torch.Size(shape).numel(), k, generator=torch.Generator().manual_seed(seed)))
    def forward(self, x): return x.flatten(1) @ self.weight


# --- shift_batch

@given(n=sides, c=sides, h=sides, w=sides, dx=moves, dy=moves)
def test_shift_is_that_of_single_pixels(n, c, h, w, dx, dy):
    x = rand(n, c, h, w)
    assert np.array_equal(shift_batch(x, dx, dy).numpy(), slow_shift(x.numpy(), dx, dy))


@given(shape=st.lists(sides, min_size=2, max_size=5), dx=moves, dy=moves)
def test_shift_takes_any_leading_axes_and_keeps_the_shape(shape, dx, dy):
    x = rand(*shape)
    moved = shift_batch(x, dx, dy)
    assert moved.shape == x.shape and moved.dtype == x.dtype
    assert np.array_equal(moved.numpy(), slow_shift(x.numpy(), dx, dy))


@given(h=st.integers(8, 12), w=st.integers(8, 12), dx=st.integers(-3, 3), dy=st.integers(-3, 3))
def test_shift_back_and_forth_keeps_what_never_left(h, w, dx, dy):
    x = F.pad(rand(1, 1, h-6, w-6), (3,)*4)
    assert shift_batch(shift_batch(x, dx, dy), -dx, -dy).equal(x)


def test_shift_has_a_gradient_and_keeps_double_precision():
    x = rand(2, 1, 4, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: shift_batch(x, 1, -2), x)


# --- shift_map

@given(n=st.integers(1, 5), c=st.integers(1, 2), h=st.integers(4, 7), w=st.integers(4, 7), m=st.integers(0, 3),
       batch_size=st.integers(1, 6), seed=st.integers(0, 99))
def test_map_is_that_of_brute_force(n, c, h, w, m, batch_size, seed):
    data = Images(rand(n, c, h, w, seed=seed), torch.arange(n) % 3, range(3))
    model = Linear((c, h, w), seed=seed)
    wanted = torch.zeros(2*m+1, 2*m+1)
    for dy in range(-m, m+1):
        for dx in range(-m, m+1):
            moved = torch.from_numpy(slow_shift(data.x.numpy(), dx, dy))
            wanted[dy+m, dx+m] = (model(moved).argmax(1) == data.y).float().mean()
    assert torch.allclose(shift_map(model, data, m, batch_size=batch_size), wanted)


@given(row=st.integers(0, 6), column=st.integers(0, 6))
def test_map_of_a_toy_whose_map_is_known(row, column):
    "One lit pixel in the middle; the model is right when it arrives at (row, column)."
    x = torch.zeros(1, 1, 7, 7)
    x[0, 0, 3, 3] = 1
    class Watcher(nn.Module):
        def forward(self, x): return torch.stack([torch.full((len(x),), 0.5), x[:, 0, row, column]], 1)
    found = shift_map(Watcher(), Images(x, torch.tensor([1]), ['dark', 'lit']), 3)
    assert found.nonzero().tolist() == [[row, column]]      # dy = row-3, dx = column-3


def test_map_takes_other_scores():
    data = Images(rand(7, 1, 5, 5), torch.zeros(7, dtype=torch.long), range(3))
    model = Linear((1, 5, 5))
    found = shift_map(model, data, 1, score=lambda logits, y: logits[:, 2], batch_size=3)
    with torch.no_grad(): assert torch.allclose(found[1, 1], model(data.x)[:, 2].mean())


def test_map_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(25), nn.Dropout(0.5), nn.Linear(25, 3)).train()
    model[1].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    data = Images(rand(4, 1, 5, 5), torch.zeros(4, dtype=torch.long), range(3))
    first = shift_map(model, data, 1)
    assert first.equal(shift_map(model, data, 1))           # no dropout
    assert model.training and not model[1].training and model[2].training
    assert all(v.equal(before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


# --- shift_map_figure

@settings(max_examples=10, deadline=None)
@given(m=st.integers(0, 5), count=st.integers(1, 6), cols=st.integers(1, 7))
def test_maps_are_where_their_axes_say_and_share_one_range(m, count, cols):
    maps = {f'model {i}': ramp(m, .1*i, 1 - .05*i) for i in range(count)}
    fig = shift_map_figure(maps, cols=cols)
    shown = maps_of(fig)
    assert len(shown) == count
    for ax, (name, values) in zip(shown, maps.items()):
        image = ax.images[0]
        close(held(image), values)
        assert image.get_clim() == (0, 1)                                  # never each in its own range
        assert image.get_extent() == [-m-.5, m+.5, m+.5, -m-.5] and image.origin == 'upper'
        assert ax.get_ylim()[0] > ax.get_ylim()[1]                         # dy grows downwards
        below = f'mean {values.mean():.1%}, worst {values.min():.1%}'
        assert name in said(fig) and below in said(fig) and below in fig.get_label()
    heads = [t for t in texts_of(fig) if t.get_text() in maps]             # and each name stands over its own map
    for head, ax in zip(heads, shown):
        box, width = ax.get_position(), fig.get_figwidth()
        assert abs(head.get_position()[0]/width - (box.x0 + box.x1)/2) < 1e-6


def test_difference_is_first_minus_second_around_zero():
    a, b = ramp(2), ramp(2).T*.5
    fig = shift_map_figure({'a': a, 'b': b}, difference=('b', 'a'))
    image = maps_of(fig)[2].images[0]
    close(held(image), b.double() - a.double())
    low, high = image.get_clim()
    assert low == -high and abs(high - (b-a).abs().max()) < 1e-6
    worst = (b-a).flatten()[(b-a).abs().argmax()]
    assert f'mean {100*(b-a).mean():+.1f}, most {100*worst:+.1f} points' in said(fig)
    blue, pale, orange = (image.cmap(v) for v in (1., .5, 0.))
    assert blue[2] > blue[0] and orange[0] > orange[2] and min(pale[:3]) > .9
    assert shift_map_figure({'a': a, 'b': a}, difference=('a', 'b')).axes  # equal maps divide by nothing


# --- errors of equivariance and invariance

@given(c=st.integers(1, 3), d=st.integers(1, 3), h=st.integers(8, 12), w=st.integers(8, 12),
       dx=st.integers(-3, 3), dy=st.integers(-3, 3), seed=st.integers(0, 99))
def test_convolutions_are_equivariant_within_black_borders(c, d, h, w, dx, dy, seed):
    torch.manual_seed(seed)
    conv = nn.Conv2d(c, d, 3, padding=1, bias=False)
    x = F.pad(rand(2, c, h, w, seed=seed), (4,)*4)
    assert equivariance_error(conv, x, dx, dy) < 1e-5
    assert invariance_error(lambda x: conv(x).amax((2, 3)), x, dx, dy) < 1e-5


@given(stride=st.sampled_from([2, 3, 4]), k=st.integers(-2, 2))
def test_pooling_is_equivariant_on_its_own_stride(stride, k):
    x = F.pad(rand(2, 1, 12, 12), (12,)*4)
    assert equivariance_error(lambda x: F.avg_pool2d(x, stride), x, stride*k, stride*-k) < 1e-6
    with pytest.raises(ValueError, match=f'dx: got {stride*k+1}, allowed are multiples of the stride {stride}'):
        equivariance_error(lambda x: F.avg_pool2d(x, stride), x, stride*k+1, 0)


def test_strides_may_differ_between_the_axes():
    x = F.pad(rand(2, 1, 12, 12), (12,)*4)
    assert equivariance_error(lambda x: F.avg_pool2d(x, (2, 3)), x, 3, 2) < 1e-6
    with pytest.raises(ValueError, match='dy: got 3'): equivariance_error(lambda x: F.avg_pool2d(x, (2, 3)), x, 3, 3)


def test_known_errors():
    x = rand(500, 1, 8, 8)
    assert equivariance_error(torch.randn_like, x, 1, 1) == pytest.approx(math.sqrt(2), abs=0.02)
    assert equivariance_error(lambda x: x, x, 3, -3) == 0
    column = torch.arange(8.).expand(4, 1, 8, 8)                  # a map that does not move: off by dx everywhere
    inside = torch.arange(1., 7.) - 1                             # what it should show after a move by 1
    assert equivariance_error(lambda x: column, x[:4], 1, 0) == pytest.approx((6 / inside.square().sum()).sqrt().item())
    still = torch.tensor([[3., 4.]])
    answers = iter([still, still + torch.tensor([[0., 2.5]])])
    assert invariance_error(lambda x: next(answers), x[:1], 1, 0) == pytest.approx(0.5)


@pytest.mark.parametrize('error', [equivariance_error, invariance_error])
def test_no_gradients_are_kept(error):
    asked = []
    def features(x):
        asked.append(torch.is_grad_enabled())
        return x
    assert isinstance(error(features, rand(2, 1, 8, 8).requires_grad_(), 1, 0), float)
    assert asked == [False, False]


# --- translate

@given(n=st.integers(1, 30), h=st.integers(3, 9), w=st.integers(3, 9), pixels=st.integers(0, 4), seed=st.integers(0, 99))
def test_translate_sends_each_image_to_one_corner(n, h, w, pixels, seed):
    data = Images(rand(n, 2, h, w, seed=seed), torch.arange(n), [f'c{i}' for i in range(n)])
    before, moved = data.x.clone(), translate(data, pixels, seed)
    corners = torch.stack([shift_batch(data.x, a*pixels, b*pixels) for a in (-1, 1) for b in (-1, 1)])
    assert (moved.x == corners).flatten(2).all(2).any(0).all()
    assert moved.y.equal(data.y) and moved.classes == data.classes and data.x.equal(before)
    assert translate(data, pixels, seed).x.equal(moved.x)


def test_translate_uses_all_corners_equally_and_both_signs_freely():
    x = torch.zeros(4000, 1, 7, 7)
    x[:, :, 3, 3] = 1
    where = translate(Images(x, torch.zeros(4000, dtype=torch.long))).x.sum((0, 1))
    assert where.nonzero().tolist() == [[0, 0], [0, 6], [6, 0], [6, 6]]
    assert (where[where > 0] - 1000).abs().max() < 100
    a, b = (translate(Images(x, torch.zeros(4000, dtype=torch.long)), seed=s).x for s in (0, 1))
    assert not a.equal(b)


def test_translate_does_not_touch_the_global_random_state():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    translate(digits()[1].subset(10))
    assert torch.get_rng_state().equal(before)


# --- a convolutional net and a multilayer perceptron, untrained

def test_architecture_decides():
    torch.manual_seed(0)
    x = F.pad(digits()[1].subset(20).x, (4,)*4)
    conv, flat = cnn().eval(), mlp(shape=(1, 36, 36)).eval()
    assert equivariance_error(conv[:4], x, 2, 0) < 0.1
    assert invariance_error(flat[:3], x, 2, 0) > 0.3


# --- bad input

DATA = Images(torch.zeros(2, 1, 5, 6), torch.tensor([0, 1]))
MODEL = Linear((1, 5, 6))
X = DATA.x


@pytest.mark.parametrize('call,kind,message', [
    (lambda: shift_batch([[1.]], 0, 0), TypeError, 'x: got list'),
    (lambda: shift_batch(torch.zeros(3), 0, 0), ValueError, r'x: got shape \(3,\)'),
    (lambda: shift_batch(X, 1.5, 0), TypeError, 'dx: got 1.5'),
    (lambda: shift_batch(X, 0, '1'), TypeError, 'dy: got'),
    (lambda: shift_map(MODEL, X), TypeError, 'data: got Tensor, allowed are Images'),
    (lambda: shift_map(MODEL, DATA, 5), ValueError, 'max_shift: got 5, allowed are whole numbers >= 0 and <= 4'),
    (lambda: shift_map(MODEL, DATA, -1), ValueError, 'max_shift: got -1'),
    (lambda: shift_map(MODEL, DATA, 1.), TypeError, 'max_shift: got 1.0'),
    (lambda: shift_map(MODEL, DATA, 1, batch_size=0), ValueError, 'batch_size: got 0'),
    (lambda: shift_map(MODEL, DATA, 1, score=lambda z, y: z.sum()), ValueError, r'score: got shape \(\)'),
    (lambda: translate(X), TypeError, 'data: got Tensor'),
    (lambda: translate(DATA, -1), ValueError, 'pixels: got -1'),
    (lambda: translate(DATA, 0.5), TypeError, 'pixels: got 0.5'),
    (lambda: translate(DATA, seed=-1), ValueError, 'seed: got -1'),
    (lambda: equivariance_error(lambda x: x, X[0], 1, 0), ValueError, 'x: got shape'),
    (lambda: equivariance_error(lambda x: x, X*float('nan'), 1, 0), ValueError, 'x: got'),
    (lambda: equivariance_error(lambda x: x.sum((2, 3)), X, 1, 0), ValueError, r'features: got an output of shape \(2, 1\)'),
    (lambda: equivariance_error(lambda x: [x], X, 1, 0), TypeError, 'features: got list'),
    (lambda: equivariance_error(lambda x: x[..., :2], X, 1, 0), ValueError, 'multiples of the stride 3'),
    (lambda: equivariance_error(lambda x: x[..., :4], X, 1, 0), ValueError, 'features: got maps of'),
    (lambda: equivariance_error(lambda x: F.pad(x, (4,)*4), X, 1, 0), ValueError, 'features: got maps of'),
    (lambda: equivariance_error(lambda x: x, X, 3, 0), ValueError, 'less than half the image'),
    (lambda: invariance_error(MODEL, X+2, 1, 0), ValueError, 'x: got values in'),
])
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message): call()
