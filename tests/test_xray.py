"hardkd.blur, hardkd.kept, hardkd.xrays and hardkd.experiments.teacher: what a teacher ignores, on what is known to be so."
import json, math
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.v2 import functional as V
import hardkd
from hardkd import cli, Compose, digits, MixAugmentor, PhotometricAugmentor, pretrained, SpatialAugmentor, VAEAugmentor
from hardkd.blur import blur, BlurAugmentor
from hardkd.data import Images
from hardkd.experiments.recipes import measure, TAUGHT, taught_to_ignore
from hardkd.experiments.teacher import images_for, open_model, pictures, xray_text
from hardkd.kept import crossing, ink_moves, kept_curves
from hardkd.spatial import generator_matrices
from hardkd.xrays import plain_cnn, usual_augmentors, Xray, xray

x = digits()[0].subset(60).x
TURN = [SpatialAugmentor(generators=['rotation'])]


class Brightness(nn.Module):
    "Says class 0 up to a mean brightness, class 1 above: what changes its mind is known."
    def __init__(self, threshold):
        super().__init__()
        self.threshold = threshold

    def forward(self, x):
        over = x.mean((1, 2, 3)) - self.threshold
        return torch.stack([-over, over], 1)


class Shift(hardkd.Augmentor):
    "Adds brightness: all images by the same."
    def __init__(self):
        super().__init__()
        self.width = nn.Parameter(torch.tensor(.1))

    def draw(self, n, generator=None): return torch.ones(n, 1)
    def limits(self): return dict(more=.64)
    def units(self, size=(28, 28)): return dict(more=(100, '%'))
    def set_widths(self, widths):
        with torch.no_grad(): self.width.fill_(widths['more'])

    def forward(self, x, noise=None, generator=None): return (x + self.width*noise[:, :1, None, None]).clamp(0, 1)


# --- blur

@pytest.mark.parametrize('shape', [(3, 1, 28, 28), (2, 3, 20, 32)])
def test_blur_is_torchvisions_away_from_the_border(shape):
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    ours, theirs = blur(images, torch.full(shape[:1], 1.2)), V.gaussian_blur(images, [11, 11], [1.2, 1.2])
    assert torch.allclose(ours[..., 6:-6, 6:-6], theirs[..., 6:-6, 6:-6], atol=2e-3)
    assert torch.allclose(blur(torch.ones(shape), torch.full(shape[:1], 3.)), torch.ones(shape), atol=1e-5)


def test_each_image_has_its_own_blur():
    both = torch.rand(1, 1, 9, 9).expand(2, 1, 9, 9)
    made = blur(both, torch.tensor([0., 2.]))
    assert torch.allclose(made[0], both[0], atol=1e-6) and made[1].std() < made[0].std()/2


def test_a_blur_learns_and_goes_as_far_as_it_is_told():
    augmentor = BlurAugmentor()
    assert augmentor.to_be_read and not BlurAugmentor(.1).to_be_read
    augmentor.set_widths(dict(blur=.2))
    assert augmentor.widths()['blur'].item() == pytest.approx(.2) and augmentor.describe((10, 50)) == 'blur up to 10 px'
    noise = torch.ones(len(x), 1)
    assert torch.allclose(augmentor(x, noise), blur(x, torch.full((len(x),), .2*28)), atol=1e-5)
    augmentor(x, noise).square().sum().backward()
    assert augmentor.raw_widths.grad.abs() > 0


# --- kept curves

@pytest.mark.parametrize('generator, amount, pixels', [('tx', 3/29, 3.), ('ty', -2/29, 2.), ('rotation', math.pi, 20.)])
def test_ink_moves(generator, amount, pixels):
    dot = torch.zeros(1, 1, 29, 29)
    dot[0, 0, 14, 24] = 1                                          # ten pixels to the right of the middle
    motion = amount*generator_matrices([generator], 29, 29)
    assert ink_moves(dot, motion) == pytest.approx(pixels, abs=1e-3)
    assert ink_moves(1-dot, motion) == pytest.approx(pixels, abs=1e-3)     # ink is what differs from the border


def test_crossing():
    widths = torch.tensor([0., 1., 2., 4.])
    for shares, keeps, wanted in [([1, 1, .9, .5], .95, 1.5), ([1, .8, .1, 0], .9, .5), ([1, 1, 1, .97], .95, 4), ([1, .9, .99, .5], .95, .5)]:
        assert crossing(widths, torch.tensor(shares), keeps).item() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize('threshold', [.1, .2, .35, .5])
def test_a_curve_finds_where_the_class_goes(threshold):
    "All images are black: the class goes exactly where the brightness that is added passes the threshold."
    black = torch.zeros(40, 1, 8, 8)
    curve = kept_curves(dict(model=Brightness(threshold)), Shift(), 'more', black, torch.ones(40, 1), .9)['model']
    assert (curve.widths[1:] > curve.widths[:-1]).all() and curve.widths[0] == 0 and (curve.shares[0], curve.shares[-1]) == (1, 0)
    for width, share in zip(curve.widths, curve.shares): assert share == float(width <= threshold)
    assert abs(math.log2(crossing(curve.widths, curve.shares, .9).item()/threshold)) < .5      # neighbours: factor 1.4


def test_models_do_not_disturb_each_other():
    black, noise = torch.zeros(40, 1, 8, 8), torch.ones(40, 1)
    both = kept_curves(dict(a=Brightness(.05), b=Brightness(.5)), Shift(), 'more', black, noise, .9)
    for name, threshold in dict(a=.05, b=.5).items():
        alone = kept_curves(dict(m=Brightness(threshold)), Shift(), 'more', black, noise, .9)['m']
        assert torch.equal(both[name].widths, alone.widths) and torch.equal(both[name].kept, alone.kept)


# --- the x-ray

def test_who_is_who():
    for name, own in dict(shift_cnn={'tx', 'ty'}, rotation_cnn={'rotation'}, scale_cnn={'scale'}).items():
        result = xray(pretrained(name), digits()[0], images=150, augmentors=[SpatialAugmentor()])
        assert {*result.ignored()} <= own and result.ignored(), result.describe()
        times = {row['name']: row['times'] for row in result.rows}
        assert {max(times, key=times.get)} <= own and all(row['times_low'] <= row['times'] <= row['times_high'] for row in result.rows)
        assert all(row['low'] <= row['width'] <= row['high'] or row['width'] == pytest.approx(row['low'], rel=.2) for row in result.rows)
        for mine in result.ignored(): assert mine in result.describe()


def test_beside_itself_nothing_is_ignored():
    result = xray(pretrained('rotation_cnn'), x, reference=pretrained('rotation_cnn'), augmentors=TURN)
    assert result.rows[0]['times'] == result.rows[0]['times_low'] == result.rows[0]['times_high'] == 1
    assert result.ignored() == [] and 'ignores nothing that the reference does not' in result.describe()


def test_without_a_reference():
    result = xray(plain_cnn(3, 3, 16).eval(), torch.rand(20, 3, 16, 16))
    assert result.reference == '' and result.ignored() == result.minded() == [] and 'robust to' in result.describe()
    assert [row['name'] for row in result.rows] == ['tx', 'ty', 'rotation', 'scale', 'stretch', 'shear', 'brightness', 'contrast', 'noise', 'blur', 'mix']
    assert all('times' not in row and row['width'] >= 0 for row in result.rows)


def test_what_is_whole_is_said():
    class Always(nn.Module):
        def forward(self, x): return torch.tensor([1., 0.]).expand(len(x), 2)
    result = xray(Always(), torch.rand(20, 1, 12, 12), augmentors=TURN, keeps=.9)
    assert result.rows[0]['whole'] and result.rows[0]['width'] == pytest.approx(180) and 'at least' in result.describe()


def test_sets_tensors_and_loaders_give_the_same():
    images = digits()[0].subset(40)
    first = xray(pretrained('plain_cnn'), images.x, augmentors=TURN).rows
    loader = torch.utils.data.DataLoader(images, batch_size=16)
    for same in images, loader: assert xray(pretrained('plain_cnn'), same, augmentors=TURN).rows == first


def test_the_models_and_augmentors_stay_as_they_were():
    model, other, augmentor = pretrained('plain_cnn').train(), pretrained('shift_cnn'), SpatialAugmentor(.3)
    before, chance = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    xray(model, x, reference=other, augmentors=[augmentor])
    xray(model, x[:10], augmentors=[augmentor])
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items()) and model.training
    assert augmentor.widths()['tx'].item() == pytest.approx(.3, rel=1e-5) and torch.equal(chance, torch.get_rng_state())


def test_seeds_decide():
    rows = [xray(pretrained('plain_cnn'), x, augmentors=TURN, seed=seed).rows for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]


def test_a_row_of_augmentors_and_the_levels_of_a_vae():
    parts = [Compose(SpatialAugmentor(generators=['tx']), PhotometricAugmentor()), VAEAugmentor(pretrained('vae'), levels=['1x1'])]
    names = [row['name'] for row in xray(pretrained('plain_cnn'), x[:12], augmentors=parts).rows]
    assert names == ['tx', 'brightness', 'contrast', 'noise', '1x1']


def test_mixing_is_the_same_whatever_the_random_state():
    torch.manual_seed(5)
    one = usual_augmentors((1, 28, 28))[-1].state_dict()
    torch.manual_seed(6)
    assert isinstance(usual_augmentors((1, 28, 28))[-1], MixAugmentor)
    assert all(torch.equal(v, one[k]) for k, v in usual_augmentors((1, 28, 28))[-1].state_dict().items())


@pytest.mark.parametrize('what, message', [
    (dict(augmentors=[nn.Identity()]), 'augmentors: got Identity'), (dict(keeps=1.), 'keeps: got 1.0'), (dict(keeps=0.), 'keeps: got 0'),
    (dict(images=0), 'images: got 0'), (dict(reference=plain_cnn(3)), 'teacher, student: got'), (dict(data=x*2), 'data: got values')])
def test_what_is_refused(what, message):
    with pytest.raises((ValueError, TypeError), match=message): xray(pretrained('plain_cnn'), **dict(data=x) | what)


# --- teachers that ship

@pytest.mark.parametrize('name', [n for n in TAUGHT if TAUGHT[n]])
def test_teachers_know_what_they_were_taught(name):
    test = digits()[1].subset(500)
    augmentor = SpatialAugmentor(TAUGHT[name], tuple(TAUGHT[name]))
    with torch.no_grad(): moved = Images(augmentor(test.x, generator=torch.Generator().manual_seed(0)), test.y, test.classes)
    taught, plain = (hardkd.accuracy(pretrained(who), moved) for who in (name, 'plain_cnn'))
    assert taught > plain + .05 and hardkd.accuracy(pretrained(name), test) > .97


def test_teaching_follows_its_seed_and_its_widths():
    few = digits()[0].subset(128)
    states = [taught_to_ignore(widths, few, seed, epochs=1, progress=False).state_dict()['0.weight']
              for widths, seed in (({}, 0), ({}, 0), ({}, 1), (dict(rotation=1.), 0))]
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2]) and not torch.equal(states[0], states[3])


# --- the shell

def test_the_command(tmp_path, capsys):
    assert cli.main(['xray', 'rotation_cnn', '--images', '60', '--out', str(tmp_path/'out')]) == 0
    said, kept = capsys.readouterr().out, json.loads((tmp_path/'out'/'xray.json').read_text())
    assert kept['described'] in said and kept['images'] == 60 and kept['teacher'] == 'rotation_cnn' and kept['reference'] == 'plain_cnn'
    assert kept['rows'] == xray(pretrained('rotation_cnn'), digits()[0], images=60).rows
    for row in kept['rows']: assert f"{row['times']:.2f}" in said


def test_a_folder_of_pictures_and_a_file(tmp_path, capsys):
    "No label, no folder of classes; hidden folders left out; grey as the model takes it."
    for i in range(8): Image.fromarray((255*x[i, 0]).byte().numpy()).save(tmp_path/f'{i}.png')
    (tmp_path/'.hidden').mkdir()
    Image.new('L', (5, 5)).save(tmp_path/'.hidden'/'x.png')
    program = torch.export.export(pretrained('plain_cnn'), (x[:3],), dynamic_shapes=({0: torch.export.Dim('n')},))
    torch.export.save(program, tmp_path/'model.pt2')
    assert cli.main(['xray', str(tmp_path/'model.pt2'), '--data', str(tmp_path), '--reference', 'shift_cnn']) == 0
    assert 'shift_cnn' in capsys.readouterr().out
    seen = images_for(open_model('teacher', str(tmp_path/'model.pt2')), str(tmp_path))
    assert torch.allclose(seen, x[:8], atol=1/255) and pictures(tmp_path, limit=3).shape == (3, 3, 28, 28)


@pytest.mark.filterwarnings('ignore:.torch.jit')
def test_torchscript(tmp_path):
    torch.jit.trace(pretrained('plain_cnn'), x[:2]).save(tmp_path/'model.pt')
    assert torch.equal(open_model('teacher', str(tmp_path/'model.pt'))(x[:5]), pretrained('plain_cnn')(x[:5]))


@pytest.mark.parametrize('words, message', [
    (['nobody'], "teacher: got 'nobody', allowed are plain_cnn"), (['shift_cnn', '--data', 'nowhere'], "data: got 'nowhere'"),
    (['shift_cnn', '--reference', 'vae'], "reference: got 'vae'")])
def test_the_command_refuses(words, message, capsys):
    assert cli.main(['xray', *words]) == 1
    assert message in capsys.readouterr().err


def test_a_table_for_the_terminal():
    row = dict(name='tx', width=1.23456, unit='px', low=1., high=2., whole=False, moves=.5, moves_unit='px')
    alone = xray_text(Xray(.9, 10, '', [row])).splitlines()
    assert alone[0].split() == ['width', '95', '%', 'moves'] and alone[1].split() == ['tx', '1.23', 'px', '1', 'to', '2', '0.5', 'px']
    beside = xray_text(Xray(.9, 10, 'other', [row | dict(reference=.5, times=2.5, times_low=2., times_high=3.)])).splitlines()
    assert 'other' in beside[0] and '2.50' in beside[1] and 'ignores tx' in beside[2]
