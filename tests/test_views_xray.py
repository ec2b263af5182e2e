"TeacherXray and its still: against xray, against the models on the same draws, with strangers' models, in a browser."
import re
from functools import cache
import pytest, torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch import nn
import hardkd
from hardkd import Images, SpatialAugmentor, digits, mlp, predict, pretrained, TeacherXray, xray, xray_figure
from hardkd.kept import crossing, tried_widths
from hardkd.xrays import tried_generators, xrays
from hardkd.figures.xray import far_of, model_looks, width_words
from hardkd.views.teacher_xray import on_grid, picture_side, shown_rows
from helpers.lab import painted, picture
from helpers.pages import Page
from helpers.view_makers import NASTY, Odd

TEACHERS = 'rotation_cnn', 'shift_cnn'


def warps(): return [SpatialAugmentor(generators=['tx', 'rotation', 'shear'])]
def sent(view, name):
    array = view.arrays[name]
    return torch.frombuffer(bytearray(array['data']), dtype=getattr(torch, array['dtype'])).reshape(array['shape'])

@cache
def images(): return digits()[1].subset(120)
@cache
def models(): return {name: pretrained(name) for name in TEACHERS}
@cache
def two(): return TeacherXray(models(), images(), augmentors=warps(), keeps=.9, images=100, seed=3)
@cache
def alone(): return TeacherXray(pretrained('shift_cnn'), images(), augmentors=warps(), images=100)
@cache
def odd():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        data = Images(torch.rand(40, 3, 24, 32), torch.arange(40) % 7, NASTY)
        class Any(Odd):
            def forward(self, picture): return super().forward(nn.functional.interpolate(picture, (32, 32)))
        return TeacherXray({NASTY[4]: Any(), NASTY[2]: Any()}, data, augmentors=warps(), images=30, shown=5)


# --- the numbers

def test_curves_and_rows_are_those_of_xray():
    "Of each model by itself: the others beside it change nothing."
    view = two()
    for m, name in enumerate(TEACHERS):
        one = xray(models()[name], images().subset(100), augmentors=warps(), keeps=.9, images=100, seed=3)
        assert view.xrays[name].rows == one.rows
        for g, row in enumerate(one.rows):
            curve, grid = one.curves[row['name']]['teacher'], sent(view, 'shares')[m, g]
            at = [tried_widths(row['limit']).index(pytest.approx(w*row['limit']/curve.widths.new_tensor(limit_of(row)).item())) for w in curve.widths.tolist()]
            assert torch.allclose(grid[at], curve.shares), 'the curve that is drawn'
            assert grid[at[-1]+1:].isnan().all() and not grid[:at[-1]].isnan().any()
            assert sent(view, 'reach')[m, g].tolist() == pytest.approx([row['width'], row['times'], row['times_low'], row['times_high']])
            assert sent(view, 'widths')[g].tolist() == pytest.approx(tried_widths(row['limit']))


def limit_of(row): return {'px': row['limit']/28, '°': row['limit']/57.29577951308232, '%': row['limit']/100}[row['unit']]


def test_several_xrays_ask_for_the_share_that_all_can_give():
    several, x = xrays(models(), images().x, augmentors=warps()), images().x
    assert {one.keeps for one in several.values()} == {min(xray(m, x, augmentors=warps()).keeps for m in models().values())}


def test_answers_under_the_images_are_those_of_the_models_on_the_same_draws():
    view, x = two(), images().subset(100).x
    rows = shown_rows(torch.stack([predict(m, x).argmax(1) for m in models().values()]), 8)
    for g, one in enumerate(tried_generators(x, warps(), 3)):
        for w, width in enumerate(tried_widths(one.limits[one.width])):
            if not w: made = x[rows]
            else:
                one.go(width)
                made = one.augmentor(x[rows], one.noise[rows])
            assert torch.equal(sent(view, 'pictures')[g, w], (made*255).round().byte())
            for m, model in enumerate(models().values()):
                assert torch.equal(sent(view, 'answers')[m, g, w].long(), predict(model, made).argmax(1))


def test_question_is_answered_by_the_numbers():
    view = two()
    asked, generator = view.state['question'], view.place['generator']
    at = {name: one.rows[generator] for name, one in view.xrays.items()}
    assert asked['choices'][asked['right']] == max(at, key=lambda name: at[name]['width'])
    assert all(f'{name} {width_words(row)}' in asked['because'] for name, row in at.items())
    gaps = [max(r['low'] for r in each)/min(r['high'] for r in each) for each in zip(*(one.rows for one in view.xrays.values()))]
    assert gaps[generator] == max(gaps), 'it opens where they differ most'


def test_question_about_one_teacher_is_answered_by_the_numbers():
    view = alone()
    asked, rows = view.state['question'], view.to_frame()
    assert view.state['title'] == 'What does this teacher ignore?' and view.state['names'] == ['teacher']
    best = max(rows, key=lambda row: row['times'])
    assert asked['choices'][asked['right']] == best['name'] == rows[view.place['generator']]['name'] == 'tx'
    assert f"{best['times']:.1f} times" in asked['because']


def test_view_opens_where_one_has_lost_most_and_another_not():
    view = two()
    shares = sent(view, 'shares')[:, view.place['generator']]
    at = shares[:, view.place['step']]
    known = at[~at.isnan()]
    lost = [row[~row.isnan()][-1] for row, here in zip(shares, at) if here.isnan()]
    gap = known.max() - min([known.min(), *lost])
    whole = shares[:, ~shares.isnan().any(0)]
    assert gap >= (whole.amax(0) - whole.amin(0)).max() > .05


def test_words_name_the_shares_at_the_place():
    view = two()
    generator, step = view.place['generator'], view.place['step']
    last = view.describe().splitlines()[-1]
    for name, share in zip([*TEACHERS, 'plain_cnn'], sent(view, 'shares')[:, generator, step].tolist()):
        assert f'{name} {"less than is asked" if share != share else f"{share:.1%}"}' in last
    assert 'rotation_cnn: Asked to keep its class' in view.describe()


def test_table_has_a_row_a_model_and_change():
    rows = two().to_frame()
    assert [(r['model'], r['name']) for r in rows] == [(m, g) for m in TEACHERS for g in ('tx', 'rotation', 'shear')]
    assert rows[0].keys() >= {'width', 'low', 'high', 'unit', 'times', 'limit', 'moves'}


def test_curve_on_the_grid_gives_the_same_crossing():
    one = xray(models()['shift_cnn'], images().x, augmentors=warps(), keeps=.9)
    for row in one.rows:
        curve = one.curves[row['name']]['teacher']
        limit = limit_of(row)
        grid, known = torch.tensor(tried_widths(limit)), on_grid(curve, limit)
        if not row['whole']:
            assert crossing(grid[~known.isnan()], known[~known.isnan()], .9).item() == pytest.approx(crossing(curve.widths, curve.shares, .9).item(), rel=1e-4)


# --- pictures and budgets

@pytest.mark.parametrize('shape,generators,shown,side', [((1, 28, 28), 11, 8, 28), ((3, 32, 32), 11, 8, 32), ((3, 24, 32), 11, 8, 32), ((3, 64, 64), 3, 8, 64), ((3, 224, 224), 11, 4, 56), ((1, 224, 224), 11, 8, 64)])
def test_pictures_are_as_large_as_fits(shape, generators, shown, side):
    assert picture_side(shape, generators, shown) == side
    assert generators*12*shown*shape[0]*side**2 <= 5e6


def test_too_many_pictures_are_refused_with_a_number_that_fits():
    with pytest.raises(ValueError, match='shown: got 30, allowed are numbers up to 9'): picture_side((3, 224, 224), 11, 30)
    assert picture_side((3, 224, 224), 11, 9) >= 36


def test_large_pictures_are_made_smaller_and_the_footer_says_so():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 3))
    data = Images(torch.rand(12, 3, 96, 128), torch.arange(12) % 3)
    view = TeacherXray({'a': net, 'b': net}, data, augmentors=warps(), images=12, shown=4)
    assert list(sent(view, 'pictures').shape) == [3, 12, 4, 3, 48, 64]
    assert 'at 64 pixels a side' in view.state['footer'] and '12 images, 4 of them shown' in view.state['footer']
    assert view.state['reference'] == '' and view.figure().axes[1].get_xscale() == 'linear'


# --- the still picture

def rows_of(view): return {name: one.rows for name, one in view.xrays.items()}


def test_still_draws_the_rows():
    rows = rows_of(two())
    fig = xray_figure(rows, 'plain_cnn')
    ax = fig.axes[1]
    assert ax.get_xscale() == 'log' and ax.get_xlabel() == 'times as far as plain_cnn'
    drawn = [line for line in ax.lines if line.get_marker() not in ('None', None)]
    assert [line.get_xdata()[0] for line in drawn] == [row['times'] for own in rows.values() for row in own]
    texts = {text.get_text() for text in fig.axes[0].texts}
    assert {width_words(row) for own in rows.values() for row in own} <= texts
    assert 'shift_cnn lets tx go furthest' in fig.get_label() and 'rotation_cnn lets rotation go furthest' in fig.get_label()


def test_names_of_many_models_do_not_cover_each_other():
    rows = rows_of(two())
    fig = xray_figure({f'{name} number {i}': own for i in range(2) for name, own in rows.items()}, 'plain_cnn')
    renderer = FigureCanvasAgg(fig).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in fig.axes[0].texts if text.get_text()]
    assert not [1 for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_still_without_a_reference_shows_shares_of_the_limit():
    rows = {'A': [{k: v for k, v in row.items() if not k.startswith('times')} for row in rows_of(two())['shift_cnn']]}
    fig = xray_figure(rows)
    first = rows['A'][0]
    assert far_of(first)[0] == first['width']/first['limit'] and 'of the most' in fig.get_label()
    assert fig.axes[1].get_xlim()[0] == 0


def test_every_model_has_a_sign_of_its_own():
    names = [f'net {i}' for i in range(12)]
    assert len({look['marker'] for look in model_looks(names).values()}) == 12
    assert model_looks(['teacher'])['teacher'] == hardkd.figures.style.looks(['teacher'])['teacher']


# --- errors

def bad_cases():
    net, data = mlp(), images()
    yield dict(models={}), ValueError, 'models: got an empty dict'
    yield dict(models=[net]), TypeError, 'models: got list'
    yield dict(models={'a': net, 'b': mlp(7)}), ValueError, '10 classes and 7 classes'
    yield dict(data=data.x), TypeError, 'data: got Tensor'
    yield dict(data=Images(data.x, data.y.clamp(max=3), list('abcd'))), ValueError, 'data: got 4 classes, allowed are 10'
    yield dict(keeps=1.), ValueError, 'keeps: got 1'
    yield dict(shown=0), ValueError, 'shown: got 0'
    yield dict(images=0), ValueError, 'images: got 0'
    yield dict(augmentors=[*warps(), *warps()]), ValueError, 'augmentors: got'
    yield dict(reference=mlp(7)), ValueError, '10 classes and 7 classes'


@pytest.mark.parametrize('change,kind,message', [*bad_cases()], ids=lambda v: v if isinstance(v, str) else '')
def test_bad_input_is_named(change, kind, message):
    with pytest.raises(kind, match=re.escape(message)): TeacherXray(**dict(models={'a': mlp()}, data=images(), augmentors=warps(), images=10) | change)


# --- in a browser

def test_slider_and_keys_change_images_answers_and_words(chromium, tmp_path):
    view = two()
    with Page(chromium, view.save_html(tmp_path/'view.html')) as p:
        assert '?' in p.caption() and 'kept' not in p.caption(), 'nothing is told before the question is answered'
        p.skip()
        assert min(painted(p.view)) > 3
        generator, step = view.place['generator'], view.place['step']
        for name, share in zip([*TEACHERS, 'plain_cnn'], sent(view, 'shares')[:, generator, step].tolist()):
            assert f'{name} {"less than 90.0" if share != share else f"{100*share:.1f}"}' in p.caption()
        slider = p.view.locator('input[type=range]')
        seen = {(str(picture(p.view)), p.caption())}
        slider.focus()
        for key in ('Home', 'ArrowRight', 'End'):
            p.page.keyboard.press(key)
            seen.add((str(picture(p.view)), p.caption()))
        assert len(seen) == 4
        label = p.view.locator('[role=option]').first.get_attribute('aria-label')
        first = view.state['classes'][sent(view, 'answers')[0, generator, -1, 0]]
        assert 'rotation_cnn' in label and first in label
        chart = p.view.locator('[role=application]')
        chart.focus()
        names = [one['name'] for one in view.state['generators']]
        for _ in names: p.page.keyboard.press('ArrowUp')
        for name in names:
            assert chart.get_attribute('aria-label').startswith(f'{name}: ') and f'At {name} ' in p.caption()
            p.page.keyboard.press('ArrowDown')
        before = p.caption()
        p.page.keyboard.press('ArrowLeft')
        assert p.caption() != before and slider.input_value() == '10'
        assert p.errors == []


def test_chart_and_curve_answer_to_the_pointer(chromium, tmp_path):
    with Page(chromium, two().save_html(tmp_path/'view.html')) as p:
        p.skip()
        chart = p.view.locator('[role=application]').bounding_box()
        p.page.mouse.click(chart['x']+20, chart['y'] + 22 + 2.5*24)
        assert 'At shear ' in p.caption()
        curve = p.view.locator('canvas').last.bounding_box()
        said = set()
        p.page.mouse.move(curve['x']+60, curve['y']+60), p.page.mouse.down()
        for i in range(6):
            p.page.mouse.move(curve['x'] + 60 + 40*i, curve['y']+60)
            said.add(p.caption())
        p.page.mouse.up()
        assert len(said) >= 4 and p.errors == []


def test_one_teacher_does_not_give_the_change_away(chromium, tmp_path):
    "Before the answer the images are as they are, and no row is chosen."
    with Page(chromium, alone().save_html(tmp_path/'view.html')) as p:
        assert 'as they are' in p.caption() and 'Untouched' in p.view.inner_text()
        p.skip()
        assert 'At tx ' in p.caption() and p.errors == []


@pytest.mark.parametrize('width,most', [(1366, 640), (800, 660)])
def test_view_fits_a_laptop(chromium, tmp_path, width, most):
    view = TeacherXray(models(), images(), images=30, shown=8)
    with Page(chromium, view.save_html(tmp_path/'view.html'), width=width) as p:
        p.skip()
        assert p.view.bounding_box()['height'] <= most


@pytest.mark.parametrize('dark', [False, True])
def test_strangers_names_stay_text_and_nothing_goes_wrong(chromium, tmp_path, dark):
    with Page(chromium, odd().save_html(tmp_path/'view.html'), dark=dark, calm=True) as p:
        p.skip()
        for key in ('ArrowDown', 'ArrowRight', 'ArrowDown'): p.view.locator('[role=application]').press(key)
        assert p.page.evaluate('window.hacked') is None and p.view.locator('script, img').count() == 0
        assert not p.view.locator('.hk-error').is_visible() and p.errors == []
