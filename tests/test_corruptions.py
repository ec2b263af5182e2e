"hardkd.robust: what each corruption does to an image, whose chance it draws from, and the numbers and pictures that judge by them."
import math, random
import numpy as np
import pytest, torch
from matplotlib.collections import PathCollection
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import functional as V
from helpers.chance import rand
from hardkd import CORRUPTIONS, Images, accuracy, agreement, calibration_error, corrupt, corruption_figure
from hardkd.experiments.figures import convergence_figure, corrupted_figure
from hardkd import corruption_table, digits, predict, pretrained
from hardkd.experiments.robustness import first_reached

NAMES = 'shift rotation scale shear noise blur contrast elastic occlusion thickness'.split()
DRAWN = [n for n in NAMES if n not in ('blur', 'contrast')]     # the others leave nothing to chance
each_name = pytest.mark.parametrize('name', NAMES)


def strength(name, severity=5): return CORRUPTIONS[name][1][severity-1]


@pytest.fixture(scope='module')
def train(): return digits()[0].subset(300)


@pytest.fixture(scope='module')
def teacher(): return pretrained('shift_cnn')


# --- all of them

def test_ten_of_five_growing_strengths():
    assert [*CORRUPTIONS] == NAMES
    for _,strengths in CORRUPTIONS.values(): assert len(strengths) == 5 and (np.diff([0, *strengths]) > 0).all()


@each_name
@pytest.mark.parametrize('shape', [(3,1,8,8), (2,3,8,8), (2,1,9,14), (65,1,28,28), (1,3,40,32)])
def test_shape_range_and_kind(name, shape):
    x = rand(*shape)
    for severity in (1, 5):
        made = corrupt(x, name, severity)
        assert made.shape == x.shape and made.dtype == x.dtype and made.isfinite().all()
        assert made.min() >= 0 and made.max() <= 1
    assert not torch.equal(made, x) and corrupt(x.double(), name, 5).dtype == torch.float64


@each_name
def test_damage_grows_with_severity(name, train):
    far = [(corrupt(train, name, s).x - train.x).abs().mean().item() for s in range(1, 6)]
    assert (np.diff([0, *far]) > 0).all(), far


@each_name
def test_labels_stay(name, train):
    made = corrupt(Images(train.x[:9], train.y[:9], [f'<{i}>' for i in range(10)]), name, 2)
    assert isinstance(made, Images) and torch.equal(made.y, train.y[:9]) and made.classes[3] == '<3>'
    assert torch.equal(made.x, corrupt(train.x[:9], name, 2))


@pytest.mark.parametrize('name', NAMES)
def test_an_images_draw_is_its_own(name):
    "However many images there are, and whatever the others are."
    x = rand(150, 1, 12, 12)
    whole = corrupt(x, name, 4)
    for n in (1, 63, 64, 65, 149): assert torch.equal(corrupt(x[:n], name, 4), whole[:n])
    other = x.clone()
    other[:70] = 0
    assert torch.equal(corrupt(other, name, 4)[70:], whole[70:])


@pytest.mark.parametrize('name', DRAWN)
def test_seeds_and_images_differ(name):
    x = rand(1, 1, 16, 16).expand(200, 1, 16, 16)
    made = corrupt(x, name, 3)
    assert torch.equal(made, corrupt(x, name, 3, seed=0)) and not torch.equal(made, corrupt(x, name, 3, seed=1))
    assert len(made.flatten(1).unique(dim=0)) >= 2
    assert not torch.equal(made[:64], made[64:128]), 'each block of images has a seed of its own'


@each_name
def test_nobodys_chance_is_touched(name):
    x = rand(5, 1, 10, 10)
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    made = corrupt(x, name, 3)
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1] and np.random.get_state()[1].tolist() == before[2]
    torch.manual_seed(2)
    assert torch.equal(corrupt(x, name, 3), made)


def test_the_random_state_survives_an_error(monkeypatch):
    monkeypatch.setitem(CORRUPTIONS, 'broken', (lambda x, s: torch.rand(3)/None, (1, 2, 3, 4, 5)))
    before = torch.get_rng_state()
    with pytest.raises(TypeError): corrupt(rand(2, 1, 8, 8), 'broken', 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_of_your_own(monkeypatch):
    "Any transform that draws as torchvision's do."
    from torchvision.transforms import v2
    monkeypatch.setitem(CORRUPTIONS, 'mine', (lambda x, s: v2.RandomErasing(1., value='random')(x), (1, 2, 3, 4, 5)))
    x = rand(3, 1, 16, 16)
    assert torch.equal(corrupt(x, 'mine', 1), corrupt(x, 'mine', 5)) and not torch.equal(corrupt(x, 'mine', 1), x)
    seen = []
    monkeypatch.setitem(CORRUPTIONS, 'loud', (lambda x, s: seen.append(len(x)) or 3*x-1, (1, 2, 3, 4, 5)))
    loud = corrupt(rand(130, 1, 8, 8), 'loud', 1)
    assert loud.min() == 0 and loud.max() == 1 and loud.shape == (130, 1, 8, 8)
    assert len({*seen}) == 1, 'always as many images at once, so that draws do not hang on how many there are'


def test_input_is_left_alone():
    x = rand(3, 1, 10, 10).requires_grad_()
    before = x.detach().clone()
    for name in NAMES: assert not corrupt(x, name, 5).requires_grad
    assert torch.equal(x, before)


@pytest.mark.parametrize('args, error, words', [
    ((rand(2,1,8,8), 'blurr', 1), ValueError, "did you mean 'blur'"), ((rand(2,1,8,8), 'blur', 0), ValueError, 'severity: got 0'),
    ((rand(2,1,8,8), 'blur', 6), ValueError, 'severity: got 6'), ((rand(2,1,8,8), 'blur', 1.5), TypeError, 'severity: got 1.5'),
    ((rand(2,1,7,9), 'blur', 1), ValueError, r'shape \(2, 1, 7, 9\)'), ((rand(2,2,8,8), 'blur', 1), ValueError, 'C 1 or 3'),
    ((3*rand(2,1,8,8), 'blur', 1), ValueError, 'data: got values'), (('digits', 'blur', 1), TypeError, 'data: got str'),
    ((rand(2,1,8,8), 'blur', 1, -1), ValueError, 'seed: got -1')])
def test_bad_corruptions(args, error, words):
    with pytest.raises(error, match=words): corrupt(*args)


# --- what each does

def blob(n, row, column, size=28):
    "A smooth spot of ink."
    at = torch.arange(size).double()
    return (-((at[:,None]-row)**2 + (at-column)**2)/8).exp().float().expand(n, 1, size, size)


def centroids(x):
    ink, at = x[:,0]/x[:,0].sum((1,2), keepdim=True), torch.arange(x.shape[-1]).float()
    return torch.stack([(ink.sum(1)*at).sum(1), (ink.sum(2)*at).sum(1)], 1)     # column, row


def test_shift_goes_its_distance_in_every_direction():
    moved = centroids(corrupt(blob(400, 13.5, 13.5), 'shift', 4)) - 13.5
    assert moved.norm(dim=1).sub(28*strength('shift', 4)).abs().max() < .05
    assert moved.mean(0).norm() < .5 and (moved.sign().unique(dim=0)).shape[0] == 4


@pytest.mark.parametrize('name, how', [
    ('rotation', lambda x, s: V.affine(x, math.degrees(s), [0,0], 1., [0.], V.InterpolationMode.BILINEAR)),
    ('scale',    lambda x, s: V.affine(x, 0., [0,0], math.exp(s), [0.], V.InterpolationMode.BILINEAR)),
    ('shear',    lambda x, s: V.affine(x, 0., [0,0], 1., [math.degrees(math.atan(s)), 0.], V.InterpolationMode.BILINEAR))])
def test_warps_are_torchvisions_with_a_sign_an_image(name, how):
    x = rand(100, 1, 28, 28)
    made, s = corrupt(x, name, 3), strength(name, 3)
    signs = [torch.isclose(made, how(x, sign*s), atol=2e-3).flatten(1).float().mean(1) > .98 for sign in (-1, 1)]
    assert (signs[0] ^ signs[1]).all()
    assert .3 < signs[0].float().mean() < .7


def test_noise_has_its_spread_and_no_mean():
    made = corrupt(torch.full((500,1,28,28), .5), 'noise', 1) - .5
    assert made.std() == pytest.approx(strength('noise', 1), rel=.01) and made.mean().abs() < 1e-3


@pytest.mark.parametrize('size', [(28,28), (20,33), (8,8)])
def test_blur_is_torchvisions(size):
    x, sigma = rand(3, 3, *size), strength('blur')*min(size)
    taps = [2*math.ceil(3*sigma)+1]*2
    assert torch.allclose(corrupt(x, 'blur', 5), V.gaussian_blur(x, taps, [sigma]*2), atol=1e-5)


def test_contrast_shrinks_to_each_images_mean():
    x, left = rand(4, 1, 12, 12), 1-strength('contrast')
    middle = x.mean((1,2,3), keepdim=True)
    assert torch.allclose(corrupt(x, 'contrast', 5), middle + left*(x-middle), atol=1e-6)


@pytest.mark.parametrize('size', [(28,28), (16,40)])
def test_elastic_pulls_by_its_strength(size):
    "Of an image that says where one is, what changes is the pull."
    H, W = size
    row, column = ((torch.arange(n)+.5)/n for n in size)
    x = .3 + .4*torch.stack([column.expand(H, W), row[:,None].expand(H, W), 0*row[:,None].expand(H, W)]).expand(200, 3, H, W)
    inside = slice(2, -2), slice(2, -2)     # zeros from outside stay out
    pull = ((corrupt(x, 'elastic', 1) - x)[:,:2]/.4)[:,:,*inside]
    assert pull.square().sum(1).mean().sqrt() == pytest.approx(strength('elastic', 1), rel=.2)
    assert pull.mean((2,3)).square().sum(1).mean().sqrt() < .15*strength('elastic', 1), 'no shift'
    assert (pull[...,1:]-pull[...,:-1]).abs().max() < .5*pull.abs().max(), 'smooth'


def test_occlusion_is_one_grey_square_inside():
    x = rand(200, 1, 20, 20)
    made = corrupt(x, 'occlusion', 3)
    side, places, greys = round(20*strength('occlusion', 3)), set(), set()
    for a,b in zip(x[:,0], made[:,0]):
        rows, columns = (a != b).nonzero().T
        assert (rows.max()-rows.min()+1, columns.max()-columns.min()+1) == (side, side) and len(rows) == side*side
        assert len(b[a != b].unique()) == 1
        places.add((rows.min().item(), columns.min().item())), greys.add(b[a != b][0].item())
    assert {0, 20-side} <= {r for r,_ in places} and {0, 20-side} <= {c for _,c in places} and len(greys) == 200


def test_thickness_grows_or_shrinks_a_line():
    x = torch.zeros(200, 1, 28, 28)
    x[:,:,:,12:16] = 1
    by = 28*strength('thickness')                   # a little more than one pixel at each side
    width = corrupt(x, 'thickness', 5)[:,0,14].sum(1)
    grown = width > 4
    assert torch.allclose(width[grown], torch.tensor(4+2*by), atol=1e-3) and torch.allclose(width[~grown], torch.tensor(4-2*by), atol=1e-3)
    assert .3 < grown.float().mean() < .7


def test_severities_span_mild_to_bad(train, teacher):
    "On digits that the shipped teacher learned from; it ignores shifts."
    for name in NAMES:
        mild, bad = (accuracy(teacher, corrupt(train, name, s)) for s in (1, 5))
        assert mild > .95, name
        assert bad > .95 if name == 'shift' else bad < .8, name


# --- calibration and agreement

def logits_of(*sure): return torch.tensor([[p, 1-p] for p in sure]).log()


def test_calibration_by_hand():
    z, zeros = logits_of(.6, .6, .9, .9), torch.zeros(4, dtype=torch.long)
    assert calibration_error(z, zeros) == pytest.approx((2*.4 + 2*.1)/4)
    assert calibration_error(z, torch.tensor([0,1,0,1])) == pytest.approx((2*.1 + 2*.4)/4)
    assert calibration_error(z, torch.tensor([0,1,1,0]), bins=1) == pytest.approx(.25)      # .75 sure, half right
    assert calibration_error(100*z, zeros) == pytest.approx(0, abs=1e-6) and calibration_error(100*z, 1-zeros) == pytest.approx(1)


def test_a_bin_owns_its_upper_end():
    "0.5 and 0.75 of two bins: (0, 0.5] and (0.5, 1]."
    z, y = logits_of(.5, .75), torch.tensor([1, 0])             # a tie counts for class 0, so wrong, then right
    assert calibration_error(z, y, bins=2) == pytest.approx((.5 + .25)/2)
    assert calibration_error(z, y, bins=1) == pytest.approx(.125)


def test_calibration_is_the_formula():
    z, y = 3*torch.randn(500, 7, generator=torch.Generator().manual_seed(0)), torch.arange(500) % 7
    p, said = z.double().softmax(1).max(1)
    wanted = 0.
    for b in range(15):
        inside = (p > b/15) & (p <= (b+1)/15)
        if inside.any(): wanted += inside.sum().item()/500*abs((said == y)[inside].double().mean() - p[inside].mean()).item()
    assert calibration_error(z, y) == pytest.approx(wanted, abs=1e-9) and calibration_error(z+5, y) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize('args, error, words', [
    ((torch.zeros(3), torch.zeros(3).long()), TypeError, 'logits: got'), ((torch.zeros(3,2), torch.zeros(4).long()), ValueError, 'labels: got 4 for 3'),
    ((torch.zeros(3,2), torch.full((3,), 2)), ValueError, 'labels from 2'), ((torch.zeros(3,2), torch.zeros(3).long(), 0), ValueError, 'bins: got 0')])
def test_bad_calibration(args, error, words):
    with pytest.raises(error, match=words): calibration_error(*args)


# --- the table

def test_table_says_what_one_finds_by_hand(train, teacher):
    few, other = train.subset(60), nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    other.train()
    state = torch.get_rng_state()
    rows = corruption_table(dict(teacher=teacher, other=other), few, teacher, names=['noise', 'shift'], severities=(2, 5), seed=3)
    assert torch.equal(state, torch.get_rng_state()) and other.training
    assert [(r['model'], r['corruption'], r['severity']) for r in rows] == [
        (m, *case) for m in ('teacher', 'other') for case in (('clean', 0), ('noise', 2), ('noise', 5), ('shift', 2), ('shift', 5), ('mean', None))]
    assert all(r['agreement'] == 1 for r in rows[:6])
    spoiled = corrupt(few, 'noise', 5, seed=3)
    mine, theirs, row = predict(other, spoiled.x), predict(teacher, spoiled.x), rows[8]
    assert row['accuracy'] == pytest.approx(accuracy(other, spoiled)) and row['agreement'] == pytest.approx(agreement(mine, theirs))
    assert row['calibration'] == pytest.approx(calibration_error(mine, few.y))
    for key in ('accuracy', 'agreement', 'calibration'): assert rows[11][key] == pytest.approx(np.mean([r[key] for r in rows[7:11]]))
    assert rows[0]['accuracy'] == pytest.approx(accuracy(teacher, few))


def test_table_of_any_models_and_images():
    data = Images(rand(40, 3, 8, 9), torch.arange(40) % 4)
    net = nn.Sequential(nn.Flatten(), nn.Linear(216, 4))
    rows = corruption_table(dict(net=net), data, limit=10)
    assert len(rows) == 52 and all(r['agreement'] is None for r in rows)
    assert rows == corruption_table(dict(net=net), data.subset(10)) != corruption_table(dict(net=net), data, limit=10, seed=1)
    assert corruption_table(dict(net=net), DataLoader(data, 7), limit=500, names=['blur'])[0]['accuracy'] == pytest.approx(accuracy(net, data))


@pytest.mark.parametrize('options, error, words', [
    (dict(models={}), TypeError, 'models: got dict'), (dict(names=['blot']), ValueError, "did you mean 'blur'|names: got 'blot'"), (dict(names=[]), ValueError, 'at least one of each'),
    (dict(severities=(1, 7)), ValueError, 'severities: got 7'), (dict(limit=0), ValueError, 'limit: got 0')])
def test_bad_tables(options, error, words):
    seen = []
    class Net(nn.Module):
        def forward(self, x): seen.append(x); return x.flatten(1)[:,:4]
    with pytest.raises(error, match=words): corruption_table(**dict(models=dict(net=Net()), data=Images(rand(4,1,8,8), torch.arange(4))) | options)
    assert not seen, 'refused before any work'


# --- until, and the pictures

def test_until_is_the_first_time():
    assert first_reached([0, 10, 20, 30], [.1, .5, .4, .6], .5) == 10
    assert first_reached([0, 10, 20], torch.tensor([.1, .2, .3]), .30001) is None
    assert first_reached(torch.tensor([5]), [.2], .2) == 5 and first_reached([0, 1], [.3, .1], 0) == 0
    for args, words in (([1, 2], [.1]), 'accuracy: got 1 values'), (([2, 1], [.1, .2]), 'updates: got some that fall'), (([1, 2], [.1, math.nan]), 'not finite'):
        with pytest.raises(ValueError, match=words): first_reached(*args, .1)


def test_convergence_says_when():
    make = lambda updates, seconds, accuracy: dict(updates=updates, seconds=seconds, accuracy=accuracy)
    kd = make([0, 100, 200], [0, 1, 2], torch.tensor([[.1, .6, .7], [.1, .8, .9]]))
    histories = {'KD': kd, 'HARD $x$': make([0, 50, 100], [0, 4, 8], torch.tensor([[.2, .85, .9]])), 'labels': make([0, 300], [0, 3], [.1, .5])}
    fig = convergence_figure(histories, title='Soon')
    assert fig.get_label() == "Soon: KD's best accuracy, 80.0%, reached by KD after 200 updates, 2 s; HARD $x$ after 50 updates, 4 s; labels not reached"
    _, left, right = fig.axes
    dashed, *lines = left.lines
    assert dashed.get_ydata()[0] == pytest.approx(80) and np.allclose(lines[0].get_ydata(), [10, 70, 80]) and [*right.lines[2].get_xdata()] == [0, 4, 8]
    rings = [[s.get_offsets()[0].tolist() for s in ax.collections if isinstance(s, PathCollection)] for ax in (left, right)]
    assert np.allclose(rings, [[[200, 80], [50, 80]], [[2, 80], [4, 80]]])
    band = left.collections[0].get_paths()[0].vertices
    assert {*band[band[:,0] == 200][:,1].round(3)} == {70., 90.}
    assert left.get_ylim()[0] <= 49 and left.get_ylim()[1] > 90 and fig._repr_mimebundle_()[0]['image/png']
    with pytest.raises(ValueError, match="against: got 'kd'"): convergence_figure(histories, against='kd')


def test_corruption_figure_draws_the_rows():
    rows = [dict(model=m, corruption=c, severity=s, accuracy=a) for m,a in {'teacher': .9, 'b$2$': .25}.items()
            for c,s in (('clean', 0), ('blur', 1), ('blur', 5), ('odd $', 1), ('odd $', 5), ('mean', None))]
    rows[2]['accuracy'] = .1
    fig = corruption_figure(rows, 'T')
    assert fig.get_label() == 'T: accuracy under corruption; mean teacher 70.0%, b$2$ 25.0%'
    sheet, *panels = fig.axes
    assert len(panels) == 2 and np.allclose(panels[0].lines[0].get_xydata(), [[0, 90], [1, 90], [5, 10]])
    assert [t.get_text() for t in sheet.get_legend().get_texts()] == ['teacher', r'b\$2\$'] and fig._repr_mimebundle_()[0]['image/png']
    with pytest.raises(ValueError, match='rows: got none'): corruption_figure(rows[:1])


@pytest.mark.parametrize('channels', [1, 3])
def test_corrupted_figure_shows_all_fifty(channels):
    x = rand(3, channels, 9, 12)
    fig = corrupted_figure(Images(x, torch.arange(3)), image=2, seed=4)
    pictures = [im.get_array() for im in fig.axes[0].images]
    assert len(pictures) == 51 and all(name in fig.get_label() for name in NAMES)
    def shown(i): return torch.as_tensor(np.array(pictures[i])).view(9, 12, channels).permute(2, 0, 1)
    assert torch.equal(shown(0), x[2])
    for s,name in (1, 'shift'), (4, 'noise'), (5, 'thickness'):
        assert torch.equal(shown(1 + 10*(s-1) + NAMES.index(name)), corrupt(x[2:], name, s, seed=4)[0])
    with pytest.raises(ValueError, match='image: got 3'): corrupted_figure(x, image=3)
