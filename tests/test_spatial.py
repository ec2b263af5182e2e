"hardkd.spatial: directions, gradients, seeds and precision of the warps, and agreement with torch and torchvision."
import math
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine
from helpers.chance import gen, rand
from hardkd.data import digits
from hardkd.figures.charts import widths_figure
from hardkd.spatial import GENERATORS, SpatialAugmentor, affine_places, generator_matrices, warp

sides = st.integers(1, 9)
NAMES = tuple(GENERATORS)


def move(x, **amounts):
    "All images along the same motion."
    matrices = generator_matrices(amounts, *x.shape[-2:], x.dtype)
    motion = sum(a*m for a, m in zip(amounts.values(), matrices))
    return warp(x, motion.expand(len(x), 3, 3))


def blob(h, w, y, x, size=2.):
    "A smooth spot of ink at row y, column x (pixels)."
    rows, columns = torch.arange(h).double()[:, None], torch.arange(w).double()
    return (-((rows-y)**2 + (columns-x)**2)/(2*size**2)).exp()[None, None]


def centroid(x):
    ink = x[0].sum(0)/x.sum()
    return [(ink.sum(0)*torch.arange(ink.shape[1])).sum().item(), (ink.sum(1)*torch.arange(ink.shape[0])).sum().item()]


# --- shapes

@given(n=sides, c=sides, h=sides, w=sides, seed=st.integers(0, 99))
def test_any_images_keep_shape_range_and_precision(n, c, h, w, seed):
    x = rand(n, c, h, w, seed=seed)
    hard_x = SpatialAugmentor(0.3)(x, generator=gen(seed))
    assert hard_x.shape == x.shape and hard_x.dtype == x.dtype
    assert hard_x.isfinite().all() and hard_x.min() >= 0 and hard_x.max() <= 1 + 1e-5


@given(n=st.integers(1, 3), h=sides, w=sides, seed=st.integers(0, 99))
def test_places_are_those_of_torch(n, h, w, seed):
    back = torch.randn(n, 2, 3, generator=gen(seed), dtype=torch.float64)
    wanted = F.affine_grid(back, (n, 1, h, w), align_corners=False)
    assert torch.allclose(affine_places(back, h, w), wanted, atol=1e-12)


@given(c=st.integers(1, 3), h=st.integers(2, 9), w=st.integers(2, 9), k=st.integers(1, 6), seed=st.integers(0, 99))
def test_every_channel_is_warped_alike(c, h, w, k, seed):
    x = rand(2, 1, h, w, seed=seed)
    augmentor = SpatialAugmentor(0.3, NAMES[:k])
    grey, colour = (augmentor(v, generator=gen(seed)) for v in (x, x.expand(-1, c, -1, -1)))
    assert torch.allclose(colour, grey.expand_as(colour), atol=1e-6)


@given(names=st.permutations(NAMES), k=st.integers(1, 6), seed=st.integers(0, 99))
def test_generators_take_part_by_name_in_any_order(names, k, seed):
    names, x = names[:k], rand(3, 1, 6, 8)
    widths = {g: 0.1*(1+NAMES.index(g)) for g in names}
    augmentor = SpatialAugmentor(widths, names)
    noise = augmentor.draw(3, gen(seed))
    full = SpatialAugmentor({g: widths.get(g, 0.1) for g in NAMES})
    scattered = torch.zeros(3, 6)
    scattered[:, [NAMES.index(g) for g in names]] = noise
    assert torch.allclose(augmentor(x, noise), full(x, scattered), atol=1e-5)
    assert list(augmentor.widths()) == list(names)
    assert [w.item() for w in augmentor.widths().values()] == pytest.approx(list(widths.values()), rel=1e-4)


# --- conventions

@pytest.mark.parametrize('h,w', [(40, 40), (30, 60), (60, 30)])
@pytest.mark.parametrize('pixels', [1, -1, 5, -0.5])
def test_content_goes_right_and_down(h, w, pixels):
    x = blob(h, w, h/2, w/2)
    start = centroid(x)
    assert centroid(move(x, tx=pixels/w)) == pytest.approx([start[0]+pixels, start[1]], abs=1e-3)
    assert centroid(move(x, ty=pixels/h)) == pytest.approx([start[0], start[1]+pixels], abs=1e-3)


@pytest.mark.parametrize('h,w', [(41, 41), (41, 61), (61, 41)])
@pytest.mark.parametrize('degrees', [10, 45, 90, -30])
def test_rotation_is_clockwise_around_the_middle_and_rigid(h, w, degrees):
    middle, angle = ((w-1)/2, (h-1)/2), math.radians(degrees)
    found = centroid(move(blob(h, w, middle[1], middle[0]+10), rotation=angle))     # a spot 10 px to the right
    wanted = [middle[0]+10*math.cos(angle), middle[1]+10*math.sin(angle)]          # y points down: clockwise
    assert found == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize('h,w', [(12, 12), (12, 20)])
def test_quarter_turns_are_exact(h, w):
    x = F.pad(rand(2, 1, 8, 8).double(), ((w-8)//2,)*2 + ((h-8)//2,)*2)
    turned = move(x, rotation=math.pi/2)
    top, left = (h-8)//2, (w-8)//2
    inside = (..., slice(top, top+8), slice(left, left+8))
    assert torch.allclose(turned[inside], x[inside].rot90(-1, (2, 3)), rtol=0, atol=1e-9)   # on images that are not square too


@pytest.mark.parametrize('h,w', [(41, 41), (41, 61)])
def test_scale_stretch_and_shear_move_points_as_written(h, w):
    cx, cy, a = (w-1)/2, (h-1)/2, 0.3
    grow, shrink = math.exp(a), math.exp(-a)
    half = min(h, w)/2                             # shear mixes the axes: in pixels, not in half images
    def at(dx, dy, **amounts):
        found = centroid(move(blob(h, w, cy+dy, cx+dx, 1.5), **amounts))
        return [found[0]-cx, found[1]-cy]
    assert half > 9*grow
    assert at(9, 0, scale=a) == pytest.approx([9*grow, 0], abs=0.05)
    assert at(0, 9, scale=a) == pytest.approx([0, 9*grow], abs=0.05)
    assert at(9, 0, stretch=a) == pytest.approx([9*grow, 0], abs=0.05)
    assert at(0, 9, stretch=a) == pytest.approx([0, 9*shrink], abs=0.05)
    assert at(6, 6, shear=a) == pytest.approx([6*grow, 6*grow], abs=0.05)
    assert at(6, -6, shear=a) == pytest.approx([6*shrink, -6*shrink], abs=0.05)


def test_black_comes_in():
    assert move(torch.ones(1, 1, 8, 8), tx=0.25)[0, 0].mean(0).tolist() == pytest.approx([0]*2+[1]*6, abs=1e-5)
    assert move(torch.ones(1, 1, 8, 8), ty=-0.25)[0, 0].mean(1).tolist() == pytest.approx([1]*6+[0]*2, abs=1e-5)
    assert move(torch.ones(1, 1, 8, 8), scale=math.log(0.5))[0, 0].sum().item() == pytest.approx(16, abs=1e-3)


@pytest.mark.parametrize('ours,theirs', [
    (dict(tx=3/20), dict(translate=[3, 0])), (dict(ty=-2/20), dict(translate=[0, -2])),
    (dict(rotation=math.radians(25)), dict(angle=25)), (dict(rotation=math.radians(-70)), dict(angle=-70)),
    (dict(scale=math.log(1.4)), dict(scale=1.4)), (dict(scale=math.log(0.6)), dict(scale=0.6))])
def test_agrees_with_torchvision(ours, theirs):
    x = rand(3, 2, 20, 20)
    wanted = affine(x, **dict(angle=0, translate=[0, 0], scale=1., shear=[0.]) | theirs,
                    interpolation=InterpolationMode.BILINEAR)
    assert torch.allclose(move(x, **ours), wanted, atol=1e-4)


@pytest.mark.parametrize('degrees', [20, -35])
def test_agrees_with_torchvision_where_the_image_is_not_square(degrees):
    x = rand(1, 1, 16, 26)
    wanted = affine(x, degrees, [0, 0], 1., [0.], interpolation=InterpolationMode.BILINEAR)
    assert torch.allclose(move(x, rotation=math.radians(degrees)), wanted, atol=1e-4)


@given(seed=st.integers(0, 99))
def test_every_motion_can_be_undone(seed):
    amounts = torch.randn(6, generator=gen(seed))*0.4
    motion = (amounts[:, None, None]*generator_matrices(NAMES, 3, 5)).sum(0)
    both = torch.linalg.matrix_exp(motion) @ torch.linalg.matrix_exp(-motion)
    assert torch.allclose(both, torch.eye(3), atol=1e-4)


# --- gradients

def smooth(*shape, seed=0):
    "Bilinear sampling has a kink at every pixel; draws are chosen so that no place falls on one."
    return rand(*shape, seed=seed).double()


@pytest.mark.parametrize('h,w', [(5, 5), (4, 7)])
def test_gradcheck_of_warp(h, w):
    x, motion = smooth(2, 2, h, w), 0.1*torch.randn(2, 3, 3, generator=gen(1), dtype=torch.float64)
    motion[:, 2] = 0
    assert torch.autograd.gradcheck(warp, (x.clamp(0.1, 0.9).requires_grad_(), motion.requires_grad_()))


def test_gradcheck_of_the_widths():
    augmentor = SpatialAugmentor(0.2).double()
    x, noise = smooth(3, 1, 5, 6), augmentor.draw(3, gen(3)).double()
    def warped(raw, noise): return torch.func.functional_call(augmentor, {'raw_widths': raw}, (x, noise))
    raw = augmentor.raw_widths.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(warped, (raw, noise.requires_grad_()))


@given(names=st.permutations(NAMES), k=st.integers(1, 6), h=st.integers(4, 9), w=st.integers(4, 9), seed=st.integers(0, 99))
def test_every_width_has_a_gradient(names, k, h, w, seed):
    augmentor, x = SpatialAugmentor(0.05, names[:k]), rand(8, 1, h, w, seed=seed)
    (augmentor(x, generator=gen(seed))-x).square().mean().backward()
    assert (augmentor.raw_widths.grad.abs() > 1e-9).all()


def test_gradients_reach_the_images_and_what_made_them():
    x = rand(2, 1, 6, 6).requires_grad_()
    SpatialAugmentor()(x, generator=gen()).sum().backward()
    assert x.grad.abs().sum() > 0


def test_a_draw_of_zero_teaches_nothing():
    augmentor = SpatialAugmentor()
    augmentor(rand(4, 1, 6, 6), torch.zeros(4, 6)).square().sum().backward()
    assert augmentor.raw_widths.grad.abs().max() == 0


# --- precision and devices

def test_works_in_double_precision_and_agrees_with_single():
    x, augmentor = rand(4, 1, 9, 11), SpatialAugmentor(0.3)
    noise = augmentor.draw(4, gen())
    single, double = augmentor(x, noise), augmentor.double()(x.double(), noise)
    assert double.dtype == torch.float64 and torch.allclose(single.double(), double, atol=1e-5)


def test_double_precision_goes_all_the_way():
    "A quarter turn on an image that is not square: 12/20 is no float32 number."
    augmentor = SpatialAugmentor(0.5, ['rotation']).double()
    x = F.pad(rand(1, 1, 8, 8).double(), (6, 6, 2, 2))
    turned = augmentor(x, (math.pi/2/augmentor.widths()['rotation']).view(1, 1))
    assert torch.allclose(turned[..., 2:10, 6:14], x[..., 2:10, 6:14].rot90(-1, (2, 3)), rtol=0, atol=1e-9)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_images_keep_their_precision_while_the_motion_is_exact(dtype):
    x, augmentor = rand(4, 1, 28, 28).to(dtype), SpatialAugmentor(0.2)
    hard_x = augmentor(x, generator=gen())
    assert hard_x.dtype == dtype
    assert torch.allclose(hard_x.float(), augmentor(x.float(), generator=gen()), atol=5e-3)


def test_mixed_precision_does_not_blur_the_places():
    x, augmentor = digits()[1].subset(8).x, SpatialAugmentor(0.2)
    plain = augmentor(x, generator=gen())
    with torch.autocast('cpu', torch.bfloat16): mixed = augmentor(x, generator=gen())
    assert torch.allclose(plain, mixed.float(), atol=1e-4)


def test_places_are_made_where_the_matrices_are():
    places = affine_places(torch.zeros(3, 2, 3, device='meta'), 5, 4)      # with a tensor of the CPU: an error
    assert places.device.type == 'meta' and places.shape == (3, 5, 4, 2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_same_draws_on_a_gpu():
    x, augmentor = rand(4, 1, 9, 11), SpatialAugmentor(0.3)
    here = augmentor(x, generator=gen())
    there = augmentor.cuda()(x.cuda(), generator=gen())
    assert there.is_cuda and torch.allclose(here, there.cpu(), atol=1e-4)


# --- chance

@given(seed=st.integers(0, 999), n=sides)
def test_same_seed_same_warp(seed, n):
    x, augmentor = rand(n, 1, 7, 7), SpatialAugmentor(0.2)
    first = augmentor(x, generator=gen(seed))
    assert first.equal(augmentor(x, generator=gen(seed)))
    assert first.equal(augmentor(x, augmentor.draw(n, gen(seed))))
    assert not first.equal(augmentor(x, generator=gen(seed+1)))


def test_a_generator_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    SpatialAugmentor()(rand(3, 1, 5, 5), generator=gen())
    assert torch.get_rng_state().equal(before)
    torch.manual_seed(3)
    first = SpatialAugmentor()(rand(3, 1, 5, 5))
    torch.manual_seed(3)
    assert first.equal(SpatialAugmentor()(rand(3, 1, 5, 5)))      # without one, the global seed decides


def test_draws_are_even_and_know_nothing_of_the_widths():
    narrow, wide = SpatialAugmentor(0.01), SpatialAugmentor(3.)
    draws = narrow.draw(20_000, gen())
    assert draws.equal(wide.draw(20_000, gen()))
    assert draws.abs().max() <= 1 and draws.mean(0).abs().max() < 0.02
    assert draws.std(0).tolist() == pytest.approx([1/math.sqrt(3)]*6, abs=0.01)


def test_every_image_has_its_own_warp():
    hard_x = SpatialAugmentor(0.2)(rand(1, 1, 9, 9).expand(6, -1, -1, -1), generator=gen())
    assert len({tuple(v.flatten().tolist()) for v in hard_x}) == 6


# --- the augmentor

@given(width=st.floats(1e-6, 500.))
def test_widths_start_where_asked(width):
    found = [w.item() for w in SpatialAugmentor(width).widths().values()]
    assert found == pytest.approx([width]*6, rel=1e-3)


def test_starts_nearly_as_the_identity():
    x = digits()[1].subset(50).x
    assert SpatialAugmentor(1e-3)(x, generator=gen()).sub(x).abs().max() < 0.1
    assert SpatialAugmentor()(x, torch.zeros(50, 6)).sub(x).abs().max() < 1e-4


def test_fixed_is_a_copy_that_does_not_learn():
    learner = SpatialAugmentor(dict(tx=0.3), ['tx', 'scale'])
    rival, x = learner.fixed(), rand(5, 1, 8, 8)
    assert rival(x, generator=gen()).equal(learner(x, generator=gen()))
    assert not any(p.requires_grad for p in rival.parameters()) and all(p.requires_grad for p in learner.parameters())
    with torch.no_grad(): learner.raw_widths.fill_(0.)
    assert rival.widths()['tx'].item() == pytest.approx(0.3)


def test_describe_has_units():
    augmentor = SpatialAugmentor(dict(tx=0.25, ty=0.25, rotation=math.radians(12), stretch=math.log(1.07)),
                                 ['tx', 'ty', 'rotation', 'stretch'])
    assert augmentor.describe((8, 40)) == 'tx ±10.0 px, ty ±2.0 px, rotation ±12.0°, stretch ±7.0%'


def test_widths_are_said_in_their_unit():
    fig = widths_figure({'shift': [[.1, .4], [.1, .6]], 'shear': [.1, .2]}, {'shift': (14, 'px')})
    assert [t.get_text() for t in fig.axes[1].texts] == ['shift 7 px', 'shear 0.2']


def test_state_dict_is_the_widths_alone():
    "So that a checkpoint of one image size loads for another."
    augmentor = SpatialAugmentor(0.2)
    assert set(augmentor.state_dict()) == {'raw_widths'}
    augmentor(rand(2, 1, 5, 9), generator=gen())
    assert set(augmentor.state_dict()) == {'raw_widths'}


# --- bad input

AUGMENTOR, X = SpatialAugmentor(), torch.zeros(2, 1, 5, 6)


@pytest.mark.parametrize('call,kind,message', [
    (lambda: SpatialAugmentor(0.), ValueError, r"widths\['tx'\]: got 0.0, allowed are finite numbers > 0"),
    (lambda: SpatialAugmentor(-1), ValueError, r"widths\['tx'\]: got -1"),
    (lambda: SpatialAugmentor(float('nan')), ValueError, r"widths\['tx'\]: got nan"),
    (lambda: SpatialAugmentor('wide'), TypeError, r"widths\['tx'\]: got 'wide'"),
    (lambda: SpatialAugmentor(dict(tx=0.1, rotation=-2)), ValueError, r"widths\['rotation'\]: got -2"),
    (lambda: SpatialAugmentor(dict(rot=1)), ValueError, "widths: got 'rot'.*did you mean 'rotation'"),
    (lambda: SpatialAugmentor(dict(tx=1), ['ty']), ValueError, "widths: got 'tx'"),
    (lambda: SpatialAugmentor(generators=[]), ValueError, r'generators: got \(\)'),
    (lambda: SpatialAugmentor(generators=['tx', 'tx']), ValueError, 'generators: got .*each once'),
    (lambda: SpatialAugmentor(generators=['Scale']), ValueError, "did you mean 'scale'"),
    (lambda: SpatialAugmentor(generators='tx'), TypeError, 'generators: got str, allowed are lists of names'),
    (lambda: generator_matrices(['spin']), ValueError, "generators: got 'spin'"),
    (lambda: generator_matrices(height=0), ValueError, 'height: got 0'),
    (lambda: generator_matrices(width=2.5), TypeError, 'width: got 2.5'),
    (lambda: AUGMENTOR(X[0]), ValueError, 'x: got shape'),
    (lambda: AUGMENTOR(X.numpy()), TypeError, 'x: got ndarray'),
    (lambda: AUGMENTOR(X.byte()), TypeError, 'x: got torch.uint8'),
    (lambda: AUGMENTOR(X-1), ValueError, 'x: got values in'),
    (lambda: AUGMENTOR(X/0), ValueError, 'x: got .* not finite'),
    (lambda: AUGMENTOR(X, torch.zeros(2, 5)), ValueError, r'noise: got shape \(2, 5\), allowed are \(2, 6\)'),
    (lambda: AUGMENTOR(X, torch.zeros(3, 6)), ValueError, r'noise: got shape \(3, 6\)'),
    (lambda: AUGMENTOR(X, [0.]*6), TypeError, 'noise: got list'),
    (lambda: AUGMENTOR.draw(0), ValueError, 'n: got 0'),
    (lambda: AUGMENTOR.describe((28,)), ValueError, 'size: got'),
    (lambda: warp(X, torch.zeros(3, 3)), ValueError, r'motion: got shape \(3, 3\), allowed are \(2, 3, 3\)'),
    (lambda: warp(X, None), TypeError, 'motion: got NoneType'),
    (lambda: warp(X[0], torch.zeros(2, 3, 3)), ValueError, 'x: got shape'),
])
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message): call()


# --- the benchmark runs, with or without its rival; its times are judged by hand, on a quiet machine

def test_benchmark_runs():
    import importlib.util
    from pathlib import Path
    spec = importlib.util.spec_from_file_location('bench_warp', Path(__file__).parent/'benchmarks'/'bench_warp.py')
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    threads, before = torch.get_num_threads(), torch.get_rng_state()
    try: times = bench.measure(rounds=1)
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(before)
    assert set(times) == {'forward', 'forward + backward'}
    assert all(0 < ms < math.inf for t in times.values() for ms in t.values()) and 'hardkd' in times['forward']
