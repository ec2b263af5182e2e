"IcdMatrix: against torch's own KL and cross-entropy, with strangers' models, in a browser without a net."
import math, re
from functools import cache
import numpy as np
import pytest, torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import nn
import hardkd, hardkd.views.icd_matrix
from hardkd import Images
from helpers.lab import painted, picture
from helpers.view_makers import NASTY, Odd, SETS

IcdMatrix, icd_figure = hardkd.IcdMatrix, hardkd.views.icd_matrix.icd_figure


def make(which, **options):
    teacher, students, data, _ = SETS[which]()
    return IcdMatrix(teacher, students, data, **options)

@cache
def made(which): return make(which)

@pytest.fixture(params=SETS)
def view(request):
    view = made(request.param)
    before = view.place
    yield view
    view.place = before

def go(view, **changes): view.place = view.place | changes

def independent(view):
    "L, contrast and penalty of each row from what the browser is sent, by torch's own functions."
    p, sent = view.place, {k: torch.frombuffer(bytearray(a['data']), dtype=getattr(torch, a['dtype'])).reshape(a['shape']) for k, a in view.arrays.items()}
    n, k = len(sent['label']), p['student']-1
    keep = [i for i in range(n) if i != (n-2 if p['duplicate'] else n-1)]
    s = sent['student_angle'][k].double() if p['angles'] is None else torch.tensor(p['angles']).double()
    def unit(a): return torch.stack([torch.cos(a*math.pi/180), torch.sin(a*math.pi/180)], 1)
    cosines = sent['measured'][k].double() if p['vectors'] else unit(s)@unit(sent['teacher_angle'].double()).T
    L = (p['logit_scale']*cosines + p['bias'])[keep][:, keep]
    contrast = F.cross_entropy(L, torch.arange(n-1), reduction='none')
    penalty = F.kl_div(F.log_softmax(L, 1), F.softmax(L, 0).T, reduction='none').sum(1)
    return L, contrast, penalty

def four(x): return float(f'{float(x):.4g}')

def numbers(text):
    "contrast, penalty and loss in words or in a caption."
    found = re.search(r'contrast ([\d.]+) \(chance ([\d.]+)\), penalty ([\d.]+), loss .* = ([\d.]+)', text)
    return [float(v.rstrip('.')) for v in found.groups()]


# --- the numbers

@pytest.mark.parametrize('place', [{}, dict(logit_scale=10., bias=3.), dict(vectors=1, student=2), dict(duplicate=True, logit_scale=0.), dict(duplicate=True, vectors=1, invariance_weight=2.),
                                   dict(angles='moved', bias=-2.5)])
def test_words_and_table_say_what_torch_says(view, place):
    if 'angles' in place: place = place | dict(angles=[(37*i) % 360 - 180. for i in range(len(view.data))])
    go(view, **place)
    L, contrast, penalty = independent(view)
    assert torch.allclose(view.similarity(), L, atol=1e-9)
    rows = view.to_frame()
    assert np.allclose([r['contrast'] for r in rows], contrast, atol=1e-9) and np.allclose([r['penalty'] for r in rows], penalty, atol=1e-9)
    assert np.allclose([r['row_softmax'] for r in rows], L.softmax(1).diagonal()) and np.allclose([r['column_softmax'] for r in rows], L.softmax(0).diagonal())
    a, chance, b, loss = numbers(view.describe())
    w = view.place['invariance_weight']
    assert a == four(contrast.mean()) and chance == four(math.log(len(L)))
    assert b == pytest.approx(penalty.mean().item(), rel=6e-4, abs=1e-6) and loss == pytest.approx((contrast.mean() + w*penalty.mean()).item(), rel=6e-4)
    assert view.names[view.place['student']] in view.describe() and rows[0]['student'] == view.names[view.place['student']]
    assert (rows[0]['teacher_angle'] is None) == bool(view.place['vectors'])


def test_library_says_the_same(view):
    L = view.similarity()
    assert np.isclose(np.mean([r['contrast'] for r in view.to_frame()]), hardkd.contrastive_loss(L).item())
    assert np.isclose(np.mean([r['penalty'] for r in view.to_frame()]), hardkd.invariance_penalty(L).item(), atol=1e-12)


def test_symmetry_costs_nothing_and_the_bias_does_nothing(view):
    go(view, angles=view.teacher_angle.tolist())
    assert all(abs(r['penalty']) < 1e-12 for r in view.to_frame()) and ', penalty 0,' in view.describe()
    go(view, angles=None)
    before = view.to_frame()
    go(view, bias=4.5)
    for a, b in zip(before, view.to_frame()): assert np.allclose([a['contrast'], a['penalty']], [b['contrast'], b['penalty']], atol=1e-12)
    go(view, logit_scale=0.)
    assert all(np.isclose(r['contrast'], math.log(8)) and abs(r['penalty']) < 1e-12 for r in view.to_frame())


def test_batch_has_each_class_once_and_a_spare(view):
    y, K = view.data.y.tolist(), len(view.data.classes)
    assert len(y) == 9 and len(set(y[:8])) == min(8, K) and y[8] == y[0]
    assert not any(torch.equal(view.data.x[i], view.data.x[j]) for i in range(9) for j in range(i))
    turned = (view.teacher_angle[:8] - view.teacher_angle[0]) % 360
    assert (turned.diff() > 0).all(), 'in the order of the circle'
    go(view, duplicate=True)
    labels = [r['label'] for r in view.to_frame()]
    assert labels[0] == labels[-1] and view.to_frame()[-1]['image'] == 8 and 'two of one class' in view.describe()


@pytest.mark.parametrize('which', SETS)
def test_angles_and_cosines_are_those_of_the_features(which):
    "From scratch: features, ridge regression into the teacher's space, the plane of the chosen."
    teacher, students, data, _ = SETS[which]()
    view, x = made(which), data.x
    def features(model):
        with torch.no_grad(): f = hardkd.logits_and_features(model.eval(), x)[1].double()
        return f - f.mean(0)
    where = [next(i for i in range(len(x)) if torch.equal(x[i], image)) for image in view.data.x]
    t = features(teacher)
    plane = np.linalg.svd(t[where].numpy(), full_matrices=False)[2][:2]
    def cosine(a, b): return F.normalize(torch.as_tensor(a), dim=1)@F.normalize(torch.as_tensor(b), dim=1).T
    for k, model in enumerate(students.values()):
        s = features(model)
        S = s.T@s
        into = np.linalg.solve((S + .01*S.trace()/len(S)*torch.eye(len(S))).numpy(), (s.T@t).numpy())
        mapped = s[where].numpy()@into
        assert np.allclose(view.measured[k], cosine(mapped, t[where]), atol=2e-5)
        on_circle = torch.cos((view.student_angle[k].double()[:, None] - view.teacher_angle.double())*math.pi/180)
        assert np.allclose(on_circle, cosine(mapped@plane.T, t[where].numpy()@plane.T), atol=2e-4)


def test_question_is_answered_by_the_data(view):
    asked = view.state['question']
    found = []
    for scale in 1., 10.:
        go(view, logit_scale=scale)
        found.append([v.mean().item() for v in independent(view)[1:]])
    (a, b), (c, d) = found
    assert asked['choices'][asked['right']] == {(0, 0): 'both fall', (0, 1): 'contrast falls, penalty rises', (1, 0): 'contrast rises, penalty falls', (1, 1): 'both rise'}[c > a, d > b]
    said = [float(v) for v in re.findall(r'(?<= )\d+\.?\d*(?=[ ,.])', asked['because'].split(view.names[1])[1])]
    assert np.allclose(said, [a, c, b, d], rtol=6e-4, atol=1e-6)


def test_first_frame_of_the_shipped_tells_a_story():
    "Teachers spread over the circle; a copy's diagonal would stand out."
    view = made('shipped')
    t = view.teacher_angle[:8].double()
    gaps = (t.roll(-1)-t) % 360
    assert gaps.min() > 12 and gaps.max() < 120
    go(view, angles=view.teacher_angle.tolist())
    L = view.similarity()
    go(view, angles=None)
    assert (L.argmax(1) == torch.arange(8)).all()


# --- pictures, errors, strangers

@pytest.mark.parametrize('B', [2, 5, 20])
def test_figure_holds_the_data(B):
    L = 4*torch.randn(B, B, generator=torch.Generator().manual_seed(1))
    fig = icd_figure(L, .7, [f'$x${i}' for i in range(B)], 'Now')
    maps = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    assert len(maps) == 3
    for got, want in zip(maps, (L, L.softmax(1), L.softmax(0))): assert np.allclose(got, want, atol=1e-6)
    heights = [b.get_height() for b in fig.axes[-1].patches]
    contrast = F.cross_entropy(L, torch.arange(B), reduction='none')
    penalty = F.kl_div(L.log_softmax(1), L.softmax(0).T, reduction='none').sum(1)
    assert np.allclose(heights, torch.cat([contrast, penalty]), atol=1e-5)
    assert f'{four(contrast.mean() + .7*penalty.mean()):.4g}' in fig.get_label() and 'Now' in fig.get_label()


def test_figure_follows_its_place(view):
    drawn = set()
    for place in {}, dict(student=2), dict(vectors=1), dict(logit_scale=7.), dict(duplicate=True):
        go(view, **place)
        assert isinstance(view.figure(), Figure)
        drawn.add(view.figure().get_label())
    assert len(drawn) == 5


@pytest.mark.parametrize('change, error, words', [
    (dict(similarity=torch.zeros(2, 3)), ValueError, 'similarity: got shape (2, 3)'), (dict(similarity=torch.zeros(1, 1)), ValueError, 'similarity'),
    (dict(similarity=torch.full((2, 2), torch.nan)), ValueError, 'not finite'), (dict(similarity='x'), TypeError, 'similarity'),
    (dict(rows=['a']), ValueError, 'rows: got 1 names'), (dict(invariance_weight=-1), ValueError, 'invariance_weight')])
def test_figures_errors_are_named(change, error, words):
    with pytest.raises(error, match=re.escape(words)): icd_figure(**dict(similarity=torch.zeros(2, 2)) | change)


@pytest.mark.parametrize('change, error, words', [
    (dict(students={}), ValueError, 'students'), (dict(students={'teacher': Odd()}), ValueError, 'teacher'), (dict(data=torch.rand(3, 3, 32, 32)), TypeError, 'data: got Tensor'),
    (dict(data=Images(torch.rand(2, 3, 32, 32), torch.arange(2), NASTY)), ValueError, 'data: got 2 images'),
    (dict(limit=1), ValueError, 'limit'), (dict(limit=13), ValueError, 'limit'), (dict(limit=2.5), TypeError, 'limit'), (dict(logit_scale=10.5), ValueError, 'logit_scale'),
    (dict(logit_scale='1'), TypeError, 'logit_scale'), (dict(invariance_weight=-1), ValueError, 'invariance_weight'), (dict(teacher_layer='nose'), ValueError, 'nose'), (dict(student_layer='nose'), ValueError, 'nose')])
def test_errors_are_named(change, error, words):
    teacher, students, data, _ = SETS['foreign']()
    with pytest.raises(error, match=re.escape(words)): IcdMatrix(**dict(teacher=teacher, students=students, data=data) | change)


def test_other_layers_one_student_few_images_and_modes():
    teacher, students, data, _ = SETS['foreign']()
    student = students['second'].train()
    view = IcdMatrix(teacher, student, data.subset([0, 1, 2]), teacher_layer='brow', student_layer='eyes', logit_scale=5, invariance_weight=1.5)
    assert view.names == ['teacher', 'student'] and len(view.to_frame()) == 2 and view.measured.shape == (1, 3, 3)
    assert student.training and view.place['logit_scale'] == 5 and view.place['invariance_weight'] == 1.5
    student.eval()
    assert 'two of one class' not in view.describe()
    go(view, duplicate=True)
    assert 'two of one class' not in view.describe(), 'there is no second image of a class'


class Dead(nn.Module):
    "Features that are all zero, or all alike."
    def __init__(self, value):
        super().__init__()
        self.value, self.end = value, nn.Linear(5, 7)
    def forward(self, x): return self.end(torch.full((len(x), 5), self.value) + 0*x.mean((1, 2, 3))[:, None])


@pytest.mark.parametrize('value', [0., 3.])
def test_dead_features_break_nothing(value):
    teacher, _, data, _ = SETS['foreign']()
    for t, s in (teacher, Dead(value)), (Dead(value), teacher), (Dead(value), Dead(value)):
        view = IcdMatrix(t, s, data)
        assert np.isfinite([r[k] for r in view.to_frame() for k in ('contrast', 'penalty', 'student_angle')]).all() and isinstance(view.figure(), Figure)
        go(view, vectors=1)
        assert np.isfinite([r['contrast'] for r in view.to_frame()]).all()


# --- in a browser

@pytest.fixture(scope='module')
def folder(tmp_path_factory): return tmp_path_factory.mktemp('icd')

@pytest.fixture(params=['shipped'])
def opened(request, chromium, folder):
    "The saved page, the question skipped."
    yield from _open(request.param, chromium, folder)

@pytest.fixture
def opened_foreign(chromium, folder): yield from _open('foreign', chromium, folder)

def _open(which, chromium, folder, width=1000, skip=True, **context):
    path = folder/f'{which}.html'
    if not path.exists(): made(which).save_html(path)
    context = chromium.new_context(viewport=dict(width=width, height=1000), offline=True, **context)
    page, errors = context.new_page(), []
    page.on('console', lambda m: errors.append(m.text) if m.type == 'error' else None)
    page.on('pageerror', lambda e: errors.append(str(e)))
    page.goto(path.as_uri())
    page.wait_for_selector('canvas')
    if skip: page.click('button:text-is("Skip")')
    page.wait_for_timeout(60)
    yield page
    assert not errors
    context.close()

def caption(page): return page.locator('.hk-caption').inner_text()
def slide(page, label, value):
    page.locator(f'label:has-text("{label}") input').evaluate('(e, x) => { e.value = x; e.dispatchEvent(new Event("input")); }', value)
def angle(page): return int(page.locator('label:has-text("turn the") output').inner_text().rstrip('°'))


def python_says(which, **place):
    view = made(which)
    before = view.place
    go(view, **place)
    words = view.describe()
    view.place = before
    return numbers(words)


def test_covered_view_shows_scale_one_and_keeps_still(chromium, folder):
    for page in _open('shipped', chromium, folder, skip=False):
        assert numbers(caption(page)) == python_says('shipped', logit_scale=1.)
        assert min(painted(page)) > 10 and page.locator('.hk-controls').evaluate('e => e.inert')
        page.locator('[role=option]').first.focus()
        page.keyboard.press('Shift+ArrowLeft')
        assert angle(page) == round(made('shipped').student_angle[0, 0].item()) and numbers(caption(page)) == python_says('shipped', logit_scale=1.)
        right = made('shipped').state['question']['right']
        page.locator('.hk-predict input').nth(right).check()
        page.click('button:text-is("Commit")')
        assert 'right.' in page.locator('.hk-predict').inner_text() and numbers(caption(page)) == python_says('shipped')


@pytest.mark.parametrize('which', SETS)
def test_caption_agrees_with_python(which, chromium, folder):
    for page in _open(which, chromium, folder):
        assert numbers(caption(page)) == python_says(which)
        for name, key, value in (('scale', 'logit_scale', 10), ('bias', 'bias', 3.5), ('invariance weight', 'invariance_weight', 2)):
            before = picture(page)
            slide(page, name, value)
            assert name == 'invariance weight' or picture(page) != before
        place = dict(logit_scale=10, bias=3.5, invariance_weight=2)
        assert numbers(caption(page)) == python_says(which, **place) and 'neither softmax notices' in caption(page)
        page.locator('select').last.select_option('1')
        assert numbers(caption(page)) == python_says(which, vectors=1, **place)
        page.locator('input[type=checkbox]').check()
        assert numbers(caption(page)) == python_says(which, vectors=1, duplicate=True, **place) and 'both of' in caption(page)
        page.locator('select').first.select_option('1')
        assert numbers(caption(page)) == python_says(which, vectors=1, duplicate=True, student=2, **place)
        page.click('button:text-is("Reset")')
        assert numbers(caption(page)) == python_says(which)


def test_bias_moves_one_map_only(opened):
    before = picture(opened)
    slide(opened, 'bias', 4)
    after = picture(opened)
    assert [a == b for a, b in zip(before, after)] == [True, False, True, True, True], 'circle, L, rows, columns, bars'
    view = made('shipped')
    L = view.similarity(view.place | dict(bias=4.))[0]
    said = opened.locator('canvas').nth(1).get_attribute('aria-label').split(': ')[1].split(', ')
    assert np.allclose([float(v) for v in said], L, rtol=6e-4)


def test_student_is_dragged(opened):
    view, box = made('shipped'), opened.locator('[role=listbox]').bounding_box()
    side = min(box['width'], 330)
    R, x, y = (side/2 - 41)*.84, box['x'] + side/2, box['y'] + 20 + side/2
    start = view.student_angle[0, 2].item()
    end = (start - 40 + 180) % 360 - 180
    place = lambda a: (x + R*math.cos(math.radians(a)), y - R*math.sin(math.radians(a)))
    before, text = picture(opened), caption(opened)
    opened.mouse.move(*place(start))
    opened.mouse.down()
    for k in range(1, 5): opened.mouse.move(*place(start - 10*k))
    opened.mouse.up()
    assert abs(angle(opened) - end) <= 1 and opened.locator('[role=option]').nth(2).get_attribute('aria-selected') == 'true'
    assert caption(opened) != text and all(a != b for a, b in zip(before, picture(opened)))
    angles = view.student_angle[0].tolist()
    angles[2] = angle(opened)
    assert numbers(caption(opened)) == python_says('shipped', angles=angles)
    opened.mouse.move(*place(start + 50))
    assert abs(angle(opened) - end) <= 1, 'let go'
    opened.click('button:text-is("Reset")')
    assert caption(opened) == text


def test_all_by_keys(opened):
    options = opened.locator('[role=option]')
    options.first.focus()
    start = angle(opened)
    opened.keyboard.press('ArrowRight')
    assert options.nth(1).evaluate('e => e === document.activeElement') and options.nth(1).get_attribute('tabindex') == '0' and options.first.get_attribute('tabindex') == '-1'
    opened.keyboard.press('End')
    assert options.nth(7).get_attribute('aria-selected') == 'true'
    opened.keyboard.press('ArrowDown')
    assert angle(opened) == start, 'around'
    text = caption(opened)
    for _ in range(4): opened.keyboard.press('Shift+ArrowLeft')
    assert angle(opened) == start + 20 and caption(opened) != text
    opened.keyboard.press('Shift+ArrowRight')
    assert angle(opened) == start + 15
    opened.locator('label:has-text("turn the") input').focus()
    opened.keyboard.press('ArrowLeft')
    assert angle(opened) == start + 14 and options.first.get_attribute('aria-label').endswith(f'student at {start + 14}°')


def test_copy_is_symmetric_and_breaking_it_costs(opened_foreign):
    page, view = opened_foreign, made('foreign')
    page.click('button:text-is("Copy the teacher")')
    copied = numbers(caption(page))
    assert copied[2] == 0 and 'symmetric' in caption(page) and 'All 8 students' in caption(page) and 'all 8 teachers' in caption(page)
    page.locator('input[type=checkbox]').check()
    assert numbers(caption(page))[2] == 0, 'the spare image is copied too'
    page.locator('input[type=checkbox]').uncheck()
    page.click('button:text-is("Break the symmetry")')
    broken = numbers(caption(page))
    assert broken[2] > .2 and broken[0] <= copied[0] + .31, 'rows stay nearly as good'
    assert 'All 8 students find their own teacher (rows), but' in caption(page)
    turned = [int(re.search(r'student at (-?\d+)', o.get_attribute('aria-label'))[1]) for o in page.locator('[role=option]').all()]
    angles = [*turned, view.student_angle[0, 8].item()]
    assert broken == python_says('foreign', angles=angles)


def test_measured_vectors_do_not_turn(opened):
    opened.locator('select').last.select_option('1')
    text = caption(opened)
    assert opened.locator('label:has-text("turn the") input').is_disabled() and 'not on this circle' in opened.locator('canvas').first.get_attribute('aria-label')
    opened.locator('[role=option]').first.focus()
    opened.keyboard.press('Shift+ArrowLeft')
    assert caption(opened) == text
    opened.click('button:text-is("Copy the teacher")')
    assert 'symmetric' in caption(opened)


def test_a_click_in_a_map_chooses_the_row_or_the_column(opened):
    rows, columns = opened.locator('canvas').nth(2), opened.locator('canvas').nth(3)
    for canvas, x, y in (rows, .9, .5), (columns, .5, .2):
        before = picture(opened)
        box = canvas.bounding_box()
        opened.mouse.click(box['x'] + x*box['width'], box['y'] + y*box['height'])
        assert picture(opened) != before
        chosen = opened.locator('[role=option][aria-selected=true]').evaluate('e => [...e.parentNode.children].indexOf(e)')
        cell = (box['width'] - 40)/8
        want = (y*box['height'] - 26)/cell if canvas is rows else (x*box['width'] - 38)/cell
        assert chosen == int(want)
    assert f'Student {chosen} among' in rows.get_attribute('aria-label') and f'Teacher {chosen} among' in columns.get_attribute('aria-label')


def test_explain_has_the_numbers_in_it(opened):
    opened.click('summary')
    slide(opened, 'scale', 5)
    view = made('shipped')
    before = view.place
    go(view, logit_scale=5.)
    first = view.to_frame()[0]
    view.place = before
    text = opened.locator('details').inner_text()
    for value in first['contrast'], first['penalty'], math.log1p(7*math.exp(-10)), math.log1p(7*math.exp(-5)), math.log(8):
        assert np.format_float_positional(value, 4, fractional=False, trim='-') in text
    assert 'its gradient is 0' in text and 'ln 10' in text


def test_each_move_of_a_slider_draws_once(opened):
    "A frame is drawn for each move, and none is left for later; how long one takes is for tests/benchmarks/bench_views.py to say."
    changed = opened.evaluate("""() => { const e = document.querySelector('.hk-controls input'), caption = document.querySelector('.hk-caption');
        return Array.from({ length: 20 }, (_, i) => { e.value = i / 2; e.dispatchEvent(new Event('input')); return caption.textContent; }); }""")
    assert len({*changed}) == 20


@pytest.mark.parametrize('width, scheme', [(1000, 'light'), (360, 'dark')])
def test_axe_finds_nothing_serious_and_nothing_runs_over(chromium, folder, width, scheme):
    from axe_playwright_python.sync_playwright import Axe
    for page in _open('foreign', chromium, folder, width=width, color_scheme=scheme):
        page.click('summary')
        found = [r for r in Axe().run(page).response['violations'] if r['impact'] in ('serious', 'critical')]
        assert not found, [(r['id'], [n['html'][:200] for n in r['nodes']]) for r in found]
        assert page.evaluate('document.documentElement.scrollWidth <= innerWidth') and not page.evaluate('window.hacked')
        assert min(painted(page)) > 10
