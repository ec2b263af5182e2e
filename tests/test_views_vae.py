"VaeScrub: against the VAE walked by hand, with strangers' models, one to four latent groups, two of them in one level, in a browser."
import base64, io, itertools, json, re
from contextlib import contextmanager
from functools import cache
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from torch import nn
from hardkd import HierarchicalVAE, Images, VAEAugmentor, VaeScrub, predict
from hardkd.views.vae_scrub import vae_scrub_figure
from hardkd.views.base import module_text
from helpers.pages import SavedPage
from helpers.view_makers import NASTY, Odd

THREE, FOUR, ONE = ((8,), (2,), (1,)), ((3,), (2, 2), (1,)), ((), (3,), ())


# --- makers

def loud(shape=(1,28,28), latents=THREE, seed=0):
    "An untrained VAE whose groups can be seen and heard in the drawing, with priors of their own."
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vae = HierarchicalVAE(shape, latents, width=8)
        with torch.no_grad():
            for g in vae.groups: g.prior[-1].weight.normal_(0, .3), g.posterior[-1].weight.mul_(2), g.enter.weight.mul_(8)
            for p in vae.down[-1][-1].parameters(): p.mul_(20)
    return vae.eval()


def mover(vae, levels=None, seed=0):
    "An augmentor that goes far, another way on each image."
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        augmentor = VAEAugmentor(vae, levels)
        with torch.no_grad():
            for m in augmentor.movers.values(): m.say.weight.mul_(400)
    return augmentor


def linear(K=5, C=1, side=28, seed=0, sharp=6.):
    "Who says another class of nearly every picture."
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Flatten(), nn.LayerNorm(C*side*side), nn.Linear(C*side*side, K))
        with torch.no_grad(): net[2].weight.mul_(sharp)
    return net.eval()


@cache
def images(n=20, C=1, side=28, K=5):
    x = torch.rand(n, C, side, side, generator=torch.Generator().manual_seed(1))
    return Images(x, torch.arange(n) % K, NASTY[:K] if C == 3 else None)


@cache
def build(which):
    "teacher, students, vae, data, augmentor, limit."
    if which == 'foreign': return linear(7, 3, 32, 5), {'<b>first</b> "student"': linear(7, 3, 32, 1), "it's": Odd().eval()}, loud((3,32,32)), images(9, 3, 32, 7), None, 6
    latents = dict(three=THREE, some=THREE, four=FOUR, one=ONE)[which]
    vae = loud(latents=latents)
    augmentor = mover(vae, ('7x7',) if which == 'some' else None)
    return linear(seed=3), dict(KD=linear(seed=1), HARD=linear(seed=2)), vae, images(), augmentor, 4 if which == 'four' else 5


@cache
def scrub(which):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        *parts, limit = build(which)
    return VaeScrub(*parts, limit=limit, seed=4)


WHICH = ['three', 'some', 'four', 'one', 'foreign']
each = pytest.mark.parametrize('which', WHICH)


def walk(vae, x, latent):
    "One image (1,C,H,W) down the levels; latent(i, mean, sd, look) → z."
    with torch.no_grad():
        logits, _ = vae.descend(lambda i, prior, posterior, h, seen: latent(i, posterior.mean, prior.log_sd.exp(), h+seen), vae.encode(x))
        return logits.sigmoid()[0]


@contextmanager
def standing(view, **place):
    "The view at another place, and back."
    before, view.place = view.place, view.place | place
    try: yield view
    finally: view.place = before


def same(a, b): assert a.shape == b.shape and (a.double() - (b*255).round().double()).abs().max() <= 1


# --- what is recorded

@each
def test_rest_is_the_reconstruction_and_levels_are_named(which):
    _, _, vae, data, _, limit = build(which)
    view = scrub(which)
    shown = data.subset(limit)
    assert torch.equal(view.data.x, shown.x) and view.state['levels'] == list(vae.names)
    for way in view.moving:
        rest = view.recorded['pictures'][way][:, view.recorded['pictures'][way].shape[1]//2 if way == 'drawn' else 0]
        with torch.no_grad(): same(rest, vae.reconstruct(shown.x))
    same(view.recorded['pictures']['original'], shown.x)


@each
def test_random_directions_are_moved_along_in_sd(which):
    _, _, vae, data, _, limit = build(which)
    view, shown = scrub(which), data.subset(limit)
    d = [z/z.flatten(1).norm(dim=1).view(-1,1,1,1)*z[0].numel()**.5 for z in vae.split(vae.draw(limit, torch.Generator().manual_seed(4)))]
    stops = view.stops['drawn']
    every = list(itertools.product(stops, repeat=len(vae.names)))
    assert stops[0] == -2 and stops[-1] == 2 and len(stops) % 2 and view.recorded['pictures']['drawn'].shape[1] == len(every)
    moved = 0.
    for image, k in itertools.product(range(limit), (0, 1, len(stops) % len(every), len(every)//3, len(every)-1)):
        wanted = walk(vae, shown.x[image:image+1], lambda i, mean, sd, look: mean + every[k][vae.level[i]]*sd*d[i][image:image+1])
        same(view.recorded['pictures']['drawn'][image,k], wanted)
        moved = max(moved, (wanted - walk(vae, shown.x[image:image+1], lambda i, mean, *_: mean)).abs().max().item())
    assert moved > .1


@pytest.mark.parametrize('which', ['three', 'some', 'four', 'one'])
def test_learned_moves_are_the_augmentors_times_the_slider(which):
    _, _, vae, data, augmentor, limit = build(which)
    view, x = scrub(which), data.subset(limit).x
    stops, film = view.stops['learned'], view.recorded['pictures']['learned']
    levels = [vae.names.index(name) for name in augmentor.levels]
    every = list(itertools.product(stops, repeat=len(levels)))
    whole = torch.zeros_like(augmentor.draw(limit))
    whole[:,:len(vae.names)] = 1     # the whole of each move
    with torch.no_grad(): own = augmentor(x, whole)
    once = every.index((1.,)*len(levels))
    same(film[:,once], own)
    assert (film[:,once].int() - film[:,0].int()).abs().max() > 20
    for image, k in itertools.product(range(limit), (1, len(every)//2, len(every)-1)):
        def latent(i, mean, sd, look):
            at = vae.level[i]
            return mean + (every[k][levels.index(at)]*sd*augmentor.movers[str(i)](look, augmentor.reach)[0] if at in levels else 0)
        same(film[image,k], walk(vae, x[image:image+1], latent))
    for image in range(limit):
        long = [m.item() for m,_ in augmentor.moves(x[image:image+1]).values()]
        sent = torch.frombuffer(bytearray(view.arrays['length']['data']), dtype=torch.float32).view(limit, -1)[image]
        assert sent[levels].tolist() == pytest.approx(long, rel=1e-4) and sent.count_nonzero() == len(levels)


@pytest.mark.parametrize('which', ['three', 'four', 'foreign'])
def test_swapped_levels_are_the_partners_means(which):
    _, _, vae, data, _, limit = build(which)
    view, x, G, L = scrub(which), data.subset(limit).x, len(vae.groups), len(vae.names)
    means = []
    for i in range(limit):
        walk(vae, x[i:i+1], lambda g, mean, *_: means.append(mean) or mean)
    for image, partner, mask in itertools.product((0, limit-1), (1, 2), itertools.product((False, True), repeat=L)):
        latent = lambda i, mean, *_: means[partner*G+i] if mask[vae.level[i]] else mean
        where, index = view._find(image, 'swap', None, partner, mask)
        same(view.recorded['pictures'][where][index], walk(vae, x[image:image+1], latent))
    assert view._find(1, 'swap', None, 1, (True,)*L) == view._find(1), 'from itself: nothing changes'


@each
def test_models_are_asked_about_the_bytes(which):
    teacher, students, *_ = build(which)
    view = scrub(which)
    for way,x in view.recorded['pictures'].items():
        for m,model in enumerate((teacher, *students.values())):
            p = predict(model, x.flatten(0, -4).float()/255).softmax(1)
            assert torch.equal(view.recorded['probs'][way][...,m,:].flatten(0, -2), (p*255).round().to(torch.uint8))
            assert torch.equal(view.recorded['answers'][way][...,m].flatten(), p.argmax(1))


@each
def test_table_counts_who_changes(which):
    "By loops over pictures, and what the models say of them."
    teacher, students, vae, data, augmentor, limit = build(which)
    view, L = scrub(which), len(vae.names)
    def says(model, place): way, index = view._find(*place); return predict(model, view.recorded['pictures'][way][index][None]/255.).argmax().item()
    rows = view.to_frame()
    ways = ['learned']*(augmentor is not None) + ['drawn'] + ['swap']*(L > 1)
    assert [(r['way'], r['student'], r['level']) for r in rows] == list(itertools.product(ways, students, vae.names)) and json.dumps(rows)
    for r in rows:
        level, changed = vae.names.index(r['level']), []
        only = tuple(k == level for k in range(L))
        for image in range(limit):
            ends = dict(learned=(2.,), drawn=(-2., 2.), swap=[j for j in range(limit) if j != image])[r['way']]
            for end in ends:
                place = (image, 'swap', None, end, only) if r['way'] == 'swap' else (image, r['way'], [end*on for on in only])
                changed.append([says(m, place) != says(m, (image,)) for m in (teacher, students[r['student']])])
        t, s = np.array(changed).T
        assert (r['tries'], r['teacher_changes'], r['student_changes'], r['only_student_changes']) == (len(t), t.mean(), s.mean(), (s & ~t).mean())
    assert any(r['only_student_changes'] for r in rows) and any(r['teacher_changes'] for r in rows)


@each
def test_question_is_answered_by_the_table(which):
    view = scrub(which)
    asked, first = view.state['question'], [r for r in view.to_frame() if (r['way'], r['student']) == (list(view.counts)[0], view.names[1])]
    shares = [r['only_student_changes'] for r in first]
    assert asked['choices'] == [*view.levels, 'none'] and repr(view.names[1]) in asked['ask'] and asked['ask'].endswith('?')
    assert asked['right'] == (shares.index(max(shares)) if max(shares) else len(shares))
    for r in first: assert f"{round(r['only_student_changes']*r['tries'])} of {r['tries']} ({r['level']})" in asked['because']
    if max(shares):
        place = view.place
        (way, index), (_, rest) = view._find(place['image'], place['way'], place['at']), view._find(place['image'])
        moved = view.recorded['answers'][way][index] != view.recorded['answers']['drawn'][rest]
        assert moved[1] and not moved[0] and [bool(v) for v in place['at']] == [k == asked['right'] for k in range(len(shares))], 'it opens at the moment'


def test_a_copy_of_the_teacher_is_never_fooled_alone():
    teacher, _, vae, data, augmentor, _ = build('three')
    view = VaeScrub(teacher, linear(seed=3), vae, data, augmentor, limit=3)
    assert view.state['question']['choices'][view.state['question']['right']] == 'none'
    assert all(r['only_student_changes'] == 0 for r in view.to_frame())


def test_seed_decides_and_models_stay_as_they_were():
    teacher, students, vae, data, augmentor, _ = build('three')
    models = [teacher, *students.values(), vae, augmentor]
    for m in models: m.train()
    before = [v.clone() for m in models for v in m.state_dict().values()]
    a, b, c = (VaeScrub(teacher, students, vae, data, augmentor, limit=2, seed=s) for s in (1, 1, 2))
    assert all(m.training for m in models)
    assert all(torch.equal(x, y) for x, y in zip(before, (v for m in models for v in m.state_dict().values())))
    for m in models: m.eval()
    assert a.arrays == b.arrays and a.arrays['drawn'] != c.arrays['drawn'] and a.arrays['learned'] == c.arrays['learned']


@pytest.mark.parametrize('latents, limit, augmented, stops', [(THREE, 12, True, 5), (THREE, 12, False, 5), (THREE, 3, False, 9), (ONE, 12, True, 9), (FOUR, 12, True, 5)])
def test_as_many_stops_as_fit(latents, limit, augmented, stops):
    vae = HierarchicalVAE(latents=latents, width=2)
    teacher, students, _, data, *_ = build('three')
    view = VaeScrub(teacher, students, vae, data, VAEAugmentor(vae) if augmented else None, limit=limit)
    size = sum(len(a['data']) for a in view.arrays.values())
    assert {len(s) for s in view.stops.values()} == {stops} and size <= 4.55e6


def test_what_cannot_fit_is_refused_with_what_can():
    vae = HierarchicalVAE((3,32,32), ((1,), (1, 1), (1,)), width=2)
    args = linear(7, 3, 32), linear(7, 3, 32, 1), vae, images(30, 3, 32, 7), VAEAugmentor(vae)
    with pytest.raises(ValueError, match=r'limit: got 30 images of 3x32x32 with 3 levels \(\d\d\.\d MB\), allowed are at most \d+ images here') as e: VaeScrub(*args, limit=30)
    most = int(re.search(r'most (\d+) images', str(e.value))[1])
    assert sum(len(a['data']) for a in VaeScrub(*args, limit=most).arrays.values()) > 3.6e6
    with pytest.raises(ValueError, match=f'limit: got {most+1}'): VaeScrub(*args, limit=most+1)
    class Wide(nn.Module):
        def forward(self, x): return x.new_zeros(len(x), 50_000)
    few = images(30, 3, 32, 7)
    wide = Images(few.x, few.y, [str(k) for k in range(50_000)])
    with pytest.raises(ValueError, match='data: got 1 images of 3x32x32 with 3 levels .* allowed are smaller images or fewer classes'): VaeScrub(Wide(), Wide(), vae, wide, args[4], limit=1)


# --- words, picture, page

@each
def test_words_table_picture_and_page(which, tmp_path):
    view = scrub(which)
    for way in view.counts:
        with standing(view, way=way): assert view.describe().startswith(view.state['title']) and isinstance(view.figure(), Figure)
    data, _ = view._repr_mimebundle_()
    assert data['text/plain'] == view.describe() and 1000 < len(data['image/png']) < 400_000
    page = view.save_html(tmp_path/'view.html').read_text()
    assert '://' not in page.replace('www.w3.org', '') and '<script>window.hacked' not in page
    assert sum(len(a['data']) for a in view.arrays.values()) <= 4.55e6


def test_one_image_is_enough():
    teacher, students, vae, data, *_ = build('three')
    view = VaeScrub(teacher, students, vae, data.subset(1))
    assert list(view.counts) == ['drawn'] and isinstance(view.figure(), Figure) and 'Image 0' in view.describe()


def test_figure_holds_the_data():
    x, p = torch.rand(3, 1, 8, 8), torch.rand(2, 3, 4).softmax(-1)
    names = ['a', '$b$', 'c', 'a name that is much too long for it']
    fig = vae_scrub_figure(dict(zip(('original', 'reconstruction', 'perturbed'), x)), dict(teacher=p[0], KD=p[1]), names, 'T', 'said below')
    shown = [im.get_array() for im in fig.axes[0].images]
    assert len(shown) == 3 and all(np.allclose(a, b[0]) for a, b in zip(shown, x))
    widths = [[b.get_width()/100 for b in c] for c in fig.axes[1].containers]
    assert np.allclose(widths, p[:,-1])
    texts = [t.get_text() for t in fig.axes[0].texts]
    for j, who in enumerate(('teacher', 'KD')):
        for i in range(3):
            k = p[j,i].argmax()
            assert any(t.startswith(f'{who}: {names[k][:1]}'.replace('$', r'\$')) and t.endswith(f', {p[j,i].max():.0%}') for t in texts)
    assert 'said below' in fig.get_label() and any('said below' in t for t in texts)


def test_views_figure_follows_its_place():
    view = scrub('three')
    with standing(view, way='drawn', image=2, at=[0., -2., 1.], student=2):
        fig, (way, index) = view.figure(), view._find(2, 'drawn', [0., -2., 1.])
        assert np.allclose(fig.axes[0].images[2].get_array(), view.recorded['pictures'][way][index][0]/255) and 'HARD says' in fig.get_label()
        assert "Image 2 ('3'), 7x7 by −2 sd, 14x14 by +1 sd: teacher says" in view.describe()
    with standing(view, way='swap', image=0, partner=3, swapped=[True, False, True]):
        assert len(view.figure().axes[0].images) == 4 and "Image 0 ('0'), 1x1, 14x14 from image 3 ('" in view.describe()
    with standing(view, way='wrong', image=99, student=9, at=[0., 0., 0.]):
        assert "Image 0 ('0'), nothing moved: teacher says" in view.describe() and 'Neither changes its mind. ' in view.describe() and isinstance(view.figure(), Figure)


def test_module_fits_the_kits_scope():
    names = re.findall(r'(?m)^(?:async )?(?:const|let|function|class) (\w+)', module_text('vae_scrub'))
    assert len(names) == len(set(names)), {n for n in names if names.count(n) > 1}


# --- errors

@pytest.mark.parametrize('case, error, words', [
    (lambda t, s, v, d, a: VaeScrub(t, s, t, d), TypeError, 'vae: got Sequential, allowed are HierarchicalVAE'),
    (lambda t, s, v, d, a: VaeScrub(t, s, v, d, v), TypeError, 'augmentor: got HierarchicalVAE, allowed are VAEAugmentor'),
    (lambda t, s, v, d, a: VaeScrub(t, s, loud(seed=1), d, a), ValueError, 'augmentor: got one of another VAE'),
    (lambda t, s, v, d, a: VaeScrub(t, s, loud(latents=FOUR), d, a), ValueError, 'augmentor: got one of another VAE'),
    (lambda t, s, v, d, a: VaeScrub(t, s, loud((1,32,32)), d), ValueError, 'data: got images (1, 28, 28), allowed are (1, 32, 32)'),
    (lambda t, s, v, d, a: VaeScrub(t, {}, v, d), ValueError, 'students: got an empty dict'),
    (lambda t, s, v, d, a: VaeScrub(t, {'teacher': t}, v, d), ValueError, "the name 'teacher'"),
    (lambda t, s, v, d, a: VaeScrub(t, s, v, d.x), TypeError, 'data: got Tensor'),
    (lambda t, s, v, d, a: VaeScrub(t, linear(7), v, d), ValueError, 'student: got'),
    (lambda t, s, v, d, a: VaeScrub(t, s, v, d, limit=0), ValueError, 'limit: got 0'),
    (lambda t, s, v, d, a: VaeScrub(t, s, v, d, seed=-1), ValueError, 'seed: got -1'),
    (lambda t, s, v, d, a: vae_scrub_figure(dict(a=torch.rand(2, 8, 8)), dict(t=torch.ones(1, 1), s=torch.ones(1, 1)), 'a'), ValueError, "pictures['a']: got 2 channels"),
    (lambda t, s, v, d, a: vae_scrub_figure(dict(a=torch.rand(1, 8, 8)*9), dict(t=torch.ones(1, 1), s=torch.ones(1, 1)), 'a'), ValueError, "pictures['a']: got values"),
    (lambda t, s, v, d, a: vae_scrub_figure(dict(a=torch.rand(1, 8, 8)), dict(t=torch.ones(1, 1)), 'a'), ValueError, 'probs: got 1 models'),
    (lambda t, s, v, d, a: vae_scrub_figure(dict(a=torch.rand(1, 8, 8)), dict(t=torch.ones(1, 2), s=torch.ones(1, 1)), 'ab'), ValueError, "probs['s']: got shape (1, 1), allowed are (1, 2)")])
def test_errors_are_named(case, error, words):
    teacher, students, vae, data, augmentor, _ = build('three')
    with pytest.raises(error, match=re.escape(words)): case(teacher, students, vae, data, augmentor)


# --- in a browser, from disk, without a network

class Page(SavedPage):
    def way(self, label): self.view.get_by_label('move by').select_option(label=label)
    def slide(self, name, key): self.view.get_by_role('slider', name=name).press(key)
    def cells(self): return [[c.inner_text() for c in r.locator('td').all()] for r in self.view.locator('tbody tr').all()]


def told(view, **place):
    "What Python says at a place: the line that is the browser's caption, and the table's cells."
    with standing(view, **place): caption, way, name = view.describe().split('\n')[1], view.place['way'], view.names[view.place['student']]
    rows = [r for r in view.to_frame() if (r['way'], r['student']) == (way, name)]
    return caption, [[f"{round(r[k]*r['tries'])} of {r['tries']}" for k in ('teacher_changes', 'student_changes', 'only_student_changes')] for r in rows]


def test_browser_says_what_python_says(chromium, tmp_path):
    view, at = scrub('three'), scrub('three').place
    start = at['at']
    with Page(chromium, view, tmp_path) as p:
        p.skip()
        seen = []
        def check(**place):
            assert (p.caption(), p.cells()) == told(view, **place)
            assert p.pixels() not in seen
            seen.append(p.pixels())
        check()
        p.view.get_by_role('button', name='All at rest').click()
        check(at=[0., 0., 0.])
        for k, name in enumerate(('1x1, coarsest', '7x7, middle', '14x14, finest')):
            p.slide(name, 'End')
            check(at=[2.*(g <= k) for g in range(3)])
        p.slide('7x7, middle', 'ArrowLeft')
        check(at=[2., 1.5, 2.])
        p.way('a random direction')
        check(way='drawn', at=[2., 1.5, 2.])
        p.slide('1x1, coarsest', 'Home')
        p.slide('7x7, middle', 'ArrowLeft')
        check(way='drawn', at=[-2., 0., 2.])
        p.view.get_by_label('student').select_option(label='HARD')
        check(way='drawn', at=[-2., 0., 2.], student=2)
        image = (at['image']+1) % 5
        p.view.locator('[role=option]').nth(image).click()
        check(way='drawn', at=[-2., 0., 2.], student=2, image=image)
        p.page.keyboard.press('Home')
        p.page.keyboard.press('ArrowRight')
        assert p.caption().startswith('Image 1 (')
        p.view.get_by_role('button', name='Reset').click()
        assert p.caption() == told(view)[0] and p.pixels() == seen[0] and view.place['at'] == start


def test_browser_swaps_what_python_swaps(chromium, tmp_path):
    view = scrub('four')
    with Page(chromium, view, tmp_path) as p:
        p.skip()
        p.way('swap with another image')
        names = ('1x1, coarsest', '7x7', '14x14, finest')
        p.view.get_by_role('button', name='All at rest').click()
        now = [False]*3
        for partner, k in itertools.product((2, 3), range(3)):
            p.view.get_by_label('from').select_option(index=partner)
            if partner == 2 or k == 1: p.view.get_by_role('checkbox', name=names[k]).press('Space'); now[k] = not now[k]
            assert (p.caption(), p.cells()) == told(view, way='swap', partner=partner, swapped=now)
        p.view.get_by_label('from').select_option(index=view.place['image'])
        assert 'nothing moved' in p.caption() and p.caption() == told(view, way='swap', partner=view.place['image'], swapped=now)[0]
        assert not p.view.get_by_role('slider').first.is_visible()


@pytest.mark.parametrize('which, image, way, at', [('three', 1, 'learned', [0., 1., 2.]), ('three', 3, 'drawn', [-1., 1., 0.]), ('foreign', 4, 'drawn', [2., 0., -2.])])
def test_browser_paints_what_is_recorded(chromium, tmp_path, which, image, way, at):
    "Original, reconstruction, perturbed, and the difference, pixel by pixel."
    view = scrub(which)
    with standing(view, image=image, way=way, at=at), Page(chromium, view, tmp_path) as p:
        p.skip()
        canvas = p.view.locator('canvas[aria-label^="original:"]')
        png, box = canvas.evaluate('c => [c.toDataURL("image/png"), c.clientWidth]')
    got = imread(io.BytesIO(base64.b64decode(png.split(',')[1])), format='png')[...,:3]*255
    pitch, S = box/4, view.data.x.shape[-1]
    side = min(pitch-12, 150)
    place, index = view._find(image, way, at)
    now, original = view.recorded['pictures'][place][index].float(), view.recorded['pictures']['original'][image].float()
    t = ((now-original).mean(0).round()/255).unsqueeze(-1).numpy()
    paper, orange, blue = (np.array(c) for c in ((247, 247, 247), (0xD5, 0x5E, 0), (0, 0x72, 0xB2)))
    wanted = [original, view.recorded['pictures']['drawn'][view._find(image)[1]].float(), now, torch.tensor(np.where(t < 0, paper+t*(paper-orange), paper-t*(paper-blue))).permute(2, 0, 1)]
    at = (np.arange(1, S-1)+.5)*side/S
    for k, w in enumerate(wanted):
        shown = got[np.floor(18+at).astype(int)[:,None], np.floor(k*pitch+at).astype(int)].astype(float)
        w = (w.expand(3, -1, -1) if len(w) == 1 else w)[:,1:-1,1:-1].permute(1, 2, 0).numpy()
        assert (abs(shown-w) <= 4).mean() > .97, k


def test_covered_picture_does_not_tell(chromium, tmp_path):
    "Whichever level it will be, all of them are moved until the question is closed; then it is that one."
    view, seen = scrub('three'), []
    for at in [2., 0., 0.], [0., 0., 2.]:
        with standing(view, at=at, swapped=[bool(v) for v in at]), Page(chromium, view, tmp_path) as p:
            assert p.view.locator('.hk-controls').evaluate('e => e.inert')
            seen.append((p.pixels(), p.caption(), p.view.locator('.hk-stage').inner_text(), p.view.locator('canvas').evaluate_all('a => a.map(c => c.ariaLabel)')))
            assert ' of 5' not in p.caption() and p.cells() == [['?']*3]*3
            p.skip()
            seen.append(p.pixels())
    assert seen[0] == seen[2] and seen[1] != seen[3] and seen[0][0] != seen[1]
    assert '1x1 by 2 × its learned move, 7x7 by 2 × its learned move, 14x14 by 2 × its learned move: teacher says' in seen[0][1]


def test_what_the_augmentor_leaves_cannot_be_moved(chromium, tmp_path):
    with Page(chromium, scrub('some'), tmp_path) as p:
        p.skip()
        assert [s.is_disabled() for s in p.view.get_by_role('slider').all()] == [True, False, True]
        p.way('a random direction')
        assert not any(s.is_disabled() for s in p.view.get_by_role('slider').all())


def test_explanation_has_the_numbers(chromium, tmp_path):
    view = scrub('three')
    with Page(chromium, view, tmp_path) as p:
        p.skip()
        p.view.locator('summary').click()
        p.view.locator('details p').first.wait_for()
        text = p.view.locator('details').inner_text()
        for r in view.to_frame()[:3]: assert f"{r['level']} {round(r['only_student_changes']*r['tries'])}/{r['tries']} = {100*r['only_student_changes']:.0f} %" in text
        length = torch.frombuffer(bytearray(view.arrays['length']['data']), dtype=torch.float32).view(5, 3)[view.place['image']]
        assert [float(v) for v in re.findall(r'([\d.]+) sd in', text)] == pytest.approx(length.tolist(), rel=.006)


@pytest.mark.parametrize('which', ['foreign', 'one'])
def test_strangers_in_a_narrow_page(chromium, tmp_path, which):
    view = scrub(which)
    with Page(chromium, view, tmp_path, width=360, dark=True) as p:
        p.skip()
        assert p.caption() == told(view)[0] and view.names[1] in p.caption()
        assert p.page.evaluate('document.documentElement.scrollWidth <= innerWidth') and p.page.evaluate('window.hacked') is None
        assert p.view.locator('script, img, b, iframe').count() == 0
        for option in p.view.locator('[role=option]').all(): option.click()
        p.way('a random direction' if which == 'one' else 'swap with another image')
        assert p.view.locator('.hk-error').is_hidden()


@pytest.mark.parametrize('which', ['three', 'foreign'])
def test_axe_finds_nothing_serious(chromium, tmp_path, which):
    from axe_playwright_python.sync_playwright import Axe
    with Page(chromium, scrub(which), tmp_path, width=360 if which == 'foreign' else 1000) as p:
        for state in 'covered', 'light', 'swap', 'dark':
            if state == 'light': p.skip(), p.view.locator('summary').click()
            if state == 'swap': p.way('swap with another image')
            if state == 'dark': p.page.emulate_media(color_scheme='dark'), p.page.wait_for_timeout(100)
            bad = {v['id']: [n['html'][:200] for n in v['nodes']] for v in Axe().run(p.page).response['violations'] if v['impact'] in ('serious', 'critical')}
            assert not bad, (state, bad)
