"""Figures hold what they were given, say it in words too, and never lie on top of themselves.

Those of later lessons stand in the tables below too; what is special about them is in the tests of their modules."""
import base64, random, re, subprocess, sys
from html.parser import HTMLParser
import pytest
import torch
from helpers.figures import LONG, EVIL, images, ramp, dome, held, close, said, story
from hypothesis import given, settings, strategies as st
from hardkd.experiments.story import method_dots, verdict
from hardkd.figures.style import LOOKS, SIGNS, STUDENT, TEACHER, figure_png, looks
from hardkd.figures.page import Html, figure_html, html_page, table_html
from hardkd.figures.charts import curves, nudge, probability_bars
from hardkd.figures.images import image_grid
from hardkd.views.shift_map import shift_map_figure
from hardkd.figures.charts import widths_figure


# --- figures hold the data

@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 9), channels=st.sampled_from([1, 3]), height=st.integers(1, 9), width=st.integers(1, 9),
       cols=st.integers(1, 12))
def test_grid_shows_every_image_unstretched(n, channels, height, width, cols):
    x = images(n, channels, height, width)*.5 + .2
    before = x.clone()
    shown = image_grid(x, cols=cols).axes[0].images
    assert len(shown) == n and torch.equal(x, before)
    for image, want in zip(shown, x):
        close(held(image), want.permute(1, 2, 0).squeeze(2))
        if channels == 1: assert image.get_clim() == (0, 1) and image.get_cmap().name == 'gray'
        left, right, bottom, top = image.get_extent()
        assert bottom > top and abs((right-left)*height - (bottom-top)*width) < 1e-6     # upright, square pixels
    assert len({round(i.get_extent()[0], 6) for i in shown}) == min(n, cols)


def test_grid_labels_and_borders_stand_at_their_image():
    fig = image_grid(images(3), labels=['a', 'b', 'c'], borders=[None, STUDENT, None], cols=2)
    sheet = fig.axes[0]
    labels = sorted((t for t in sheet.texts if t.get_text()), key=lambda t: t.get_text())
    for label, image in zip(labels, sheet.images, strict=True):
        left, right, bottom, _ = image.get_extent()
        assert left < label.get_position()[0] < right and 0 < label.get_position()[1] - bottom < .1
    border, = sheet.lines
    assert border.get_color() == STUDENT and border.get_xdata().min() == sheet.images[1].get_extent()[0]


def test_bars_hold_both_and_show_the_likeliest():
    teacher, student = torch.tensor([.1, .6, .05, .25]), torch.tensor([.3, .1, .01, .59])
    fig = probability_bars(teacher, student, ['ant', 'bee', 'cat', 'dog'], top=3)
    bars = fig.axes[1].patches
    close([b.get_width() for b in bars], torch.cat([teacher[[0, 1, 3]], student[[0, 1, 3]]])*100)
    assert [b.get_hatch() for b in bars] == ['']*3 + ['///']*3
    ys = [b.get_y() for b in bars]
    assert all(t < s for t, s in zip(ys[:3], ys[3:])) and ys == sorted(ys[:3]) + sorted(ys[3:])
    assert [s for s in said(fig) if s.isalpha()] == ['ant', 'bee', 'dog']
    assert fig.get_label() == 'teacher says bee (60%), student says dog (59%)'
    legend = [t.get_text() for t in fig.axes[1].get_legend().get_texts()]
    assert legend == ['teacher', 'student']


def test_bars_show_the_image():
    x = images(1, 3)[0]
    shown, = probability_bars([.5, .5], [.1, .9], ['a', 'b'], x).axes[0].images
    close(held(shown), x.permute(1, 2, 0))


def test_curves_draw_mean_and_spread_of_the_seeds():
    runs = torch.rand(4, 7, generator=torch.Generator().manual_seed(0))
    fig = curves({'many': runs, 'one': runs[:1], 'flat': runs[0]}, x=range(10, 17), spread=2.)
    ax = fig.axes[1]
    many, one, flat = ax.lines
    close(many.get_ydata(), runs.double().mean(0)), close(one.get_ydata(), runs[0]), close(flat.get_ydata(), runs[0])
    assert list(many.get_xdata()) == list(range(10, 17))
    band, = ax.collections                                                 # nobody knows the spread of one seed
    corners = band.get_paths()[0].vertices
    mean, sd = runs.double().mean(0), runs.double().std(0)
    close(corners[:, 1].max(), (mean + 2*sd).max()), close(corners[:, 1].min(), (mean - 2*sd).min())
    assert 'line: mean, band: ±2 sd over 4 seeds' in said(fig)
    assert not curves({'many': runs}, spread=0).axes[1].collections


@pytest.mark.parametrize('x', [None, range(0, 30, 10), range(3)])
def test_whole_steps_have_whole_ticks(x):
    ticks = curves({'a': range(3)}, x).axes[1].get_xticks()
    assert len(ticks) <= 8 and all(t == round(t) for t in ticks)


def test_curve_ends_are_named_in_the_order_of_their_heights():
    fig = curves({'low': [0., 1.], 'high': [0., 1.02], 'middle': [0., 1.01], 'far': [0., 0.]}, ends={'far': 'FAR'})
    ends = {t.get_text(): t.get_position()[1] for t in fig.axes[1].texts}
    assert sorted(ends, key=ends.get) == ['FAR', 'low', 'middle', 'high']
    for t, line in zip(fig.axes[1].texts, fig.axes[1].lines): assert tuple(t.xy) == tuple(line.get_xydata()[-1])


def test_logarithmic_curves():
    ax = curves({'a': [[1e-3, 1.], [1e-1, 2.]]}, log=True).axes[1]
    assert ax.get_yscale() == 'log' and ax.get_ylim()[0] > 0
    assert ax.collections[0].get_paths()[0].vertices[:, 1].min() > 0


# --- looks

def test_roles_keep_their_looks():
    assert looks(['x', 'teacher', 'student'])['teacher']['color'] == TEACHER
    assert looks(['Student alone'])['Student alone']['color'] == STUDENT
    assert looks(['KD + fixed', 'KD'])['KD']['color'] == LOOKS['kd'][0]
    assert looks(['KD', 'KD + fixed'])['KD + fixed']['color'] == LOOKS['kd_fixed'][0]
    for i in range(4): assert len({str(look[i]) for look in LOOKS.values()}) >= 6       # never colour alone


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=5) | st.sampled_from(sorted(LOOKS)), unique=True, max_size=30))
def test_no_two_looks_are_the_same(names):
    found = looks(names)
    assert list(found) == names
    assert len({(v['color'], v['marker']) for v in found.values()}) == len(names)
    for name, look in found.items():                                       # two colours are nobody else's
        if look['color'] in (TEACHER, STUDENT): assert name.lower().startswith(('teacher', 'student'))


@pytest.mark.parametrize('name', ['tx', 'rotation', 'KD', 'kd_fixed', 'icd', 'swirl', 'my student', '14x14', 'FitNet'])
def test_name_looks_the_same_whoever_stands_beside_it(name):
    alone = looks([name])[name]
    for others in ['teacher', 'student', 'augmentor'], ['teacher', 'HARD', 'labels'], ['penalty']:
        assert looks([*others, name])[name] == looks([name, *others])[name] == alone


def test_no_colour_of_somebody_beside_it():
    for name in map('model {}'.format, range(50)):
        found = looks(['teacher', 'student', 'KD', 'HARD', 'tx', name])
        assert len({v['color'] for v in found.values()}) == 6


def test_variants_of_a_method_share_its_colour():
    names = ['HARD spatial + light', 'HARD', 'HARD mix', 'KD + fixed spatial', 'KD + shift', 'KD + MixUp']
    found = looks(names)
    assert [found[n]['color'] for n in names] == [LOOKS[k][0] for k in ('hard', 'hard', 'hard', 'kd_fixed', 'kd', 'kd')]
    assert found['HARD']['marker'] == LOOKS['hard'][1], 'the plain method keeps its sign'
    assert len({(v['color'], v['marker']) for v in found.values()}) == 6


def test_looks_differ_and_every_sign_is_described():
    assert len({look[:2] for look in LOOKS.values()}) == len(LOOKS)
    assert {v['marker'] for v in looks([*LOOKS, *map(str, range(200))]).values()} <= set(SIGNS)
    from matplotlib.markers import MarkerStyle
    assert set(SIGNS) <= set(MarkerStyle.markers)


# --- nothing lies on anything

@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-5, 15), min_size=1, max_size=8), st.integers(0, 10**6))
def test_nudged_places_are_the_nearest_that_fit(wishes, seed):
    places, dice = nudge(wishes, .5, 0, 10), random.Random(seed)
    order = sorted(range(len(wishes)), key=lambda i: wishes[i])
    for a, b in zip(order, order[1:]): assert places[b] - places[a] >= .5 - 1e-9
    assert min(places) >= -1e-9 and max(places) <= 10 + 1e-9
    cost = sum((p-w)**2 for p, w in zip(places, wishes))
    for _ in range(20):                                                   # no other places that fit are nearer
        other = sorted(dice.gauss(places[i], .3) for i in order)
        if other[0] < 0 or other[-1] > 10 or any(b-a < .5 for a, b in zip(other, other[1:])): continue
        assert sum((p-wishes[i])**2 for p, i in zip(other, order)) >= cost - 1e-6


def test_places_that_fit_are_kept(): assert nudge([3., 1., 9.], .5, 0, 10) == [3., 1., 9.]


MANY = {name: dome(4, .1*i) for i, name in enumerate(['teacher', 'KD', LONG, 'HARD', 'ICD', EVIL])}
FIGURES = {
    **{f'{n} maps': lambda n=n: shift_map_figure(dict(list(MANY.items())[:n]), title=LONG[:n*9]) for n in range(1, 7)},
    'difference': lambda: shift_map_figure(MANY, (LONG, 'HARD'), 'A title'),
    'small maps': lambda: shift_map_figure(MANY, ('KD', 'HARD'), size=1.3, cols=2),
    'grid': lambda: image_grid(images(9, 3), LONG, ['7', LONG[:40], 'two\nlines']*3, cols=4),
    'wide grid': lambda: image_grid(images(4, 1, 4, 40), labels=['a', 'b', 'c', EVIL], cols=2),
    'bars': lambda: probability_bars(torch.ones(30)/30, torch.eye(30)[3], [LONG, EVIL]*15, images(1)[0], LONG),
    'two bars': lambda: probability_bars([1., 0.], [0., 1.], ['a', 'b'], title='x'),
    'curves': lambda: curves({f'{i} {LONG}': torch.rand(3, 9) for i in range(12)}, title='x', ylabel='loss, nats'),
    'equal curves': lambda: curves({f'run {i}': [1., 1.] for i in range(25)}),
    'one step': lambda: curves({'a': [1.], 'b': [1.]}),
    'widths': lambda: widths_figure({f'generator {i}': [.1, .1 + .001*i] for i in range(7)}),
    'dots': lambda: method_dots([dict(method=m, a=1., b=0.) for m in MANY]*2, {'a': LONG, 'b': 'b'}, 'x'),
    'story': lambda: story(),
    'large story': lambda: story(original=images(12), hard={LONG: images(12), 'step 2': images(12)},
        maps={LONG: dome(2, .1), EVIL: dome(2, .5), 'a': dome(2, .9), 'b': dome(2, .2)}, things='oddly moved pictures',
        widths={f'generator {i}': [.1, .2] for i in range(9)}, units={}),
    'small story': lambda: story(original=images(1), hard={}, maps={'teacher': dome(1, .1)}, widths={'w': [.1]}, x=[3], units={}),
}


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('name', FIGURES)
def test_no_text_lies_on_another_or_leaves_the_page(name, monkeypatch):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text
    drawn, draw = [], Text.draw
    monkeypatch.setattr(Text, 'draw', lambda text, renderer: (drawn.append(text), draw(text, renderer))[1])
    canvas = FigureCanvasAgg(FIGURES[name]())
    canvas.draw()
    drawn = [t for t in drawn if t.get_text().strip() and t.get_visible()]
    assert drawn and all(t.get_fontsize() >= 8 for t in drawn)
    boxes = [(t.get_text(), Text.get_window_extent(t, canvas.get_renderer())) for t in drawn]
    width, height = canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, (text, box)
    for i, (one, a) in enumerate(boxes):
        for other, b in boxes[:i]:
            wide, tall = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert wide <= 1 or tall <= 2.5, (one, other, wide, tall)      # pixels; a line's box holds some air


# --- bad input

ROWS = [{'method': 'kd', 'test': .9}]
BAD = [
    (image_grid, (images(2)*300,), ValueError, 'images: got values in'),
    (image_grid, (images(2)[0],), ValueError, 'images: got shape (1, 28, 28)'),
    (image_grid, (images(2, 2),), ValueError, 'images: got 2 channels'),
    (image_grid, (images(2)*torch.nan,), ValueError, 'images: got'),
    (image_grid, (images(2).numpy(),), TypeError, 'images: got ndarray'),
    (image_grid, (torch.zeros(401, 1, 2, 2),), ValueError, 'images: got 401 images'),
    (image_grid, (images(2), '', ['a']), ValueError, 'labels: got 1 for 2'),
    (image_grid, (images(2), '', None, ['red']), ValueError, 'borders: got 1 for 2'),
    (image_grid, (images(2), '', None, None, 0), ValueError, 'cols: got 0'),
    (image_grid, (images(2), '', None, None, 8, 0), ValueError, 'size: got 0'),
    (shift_map_figure, ({},), ValueError, 'maps: got an empty dict'),
    (shift_map_figure, (ramp(2),), TypeError, 'maps: got Tensor'),
    (shift_map_figure, ({'a': torch.zeros(4, 4)},), ValueError, "maps['a']: got shape (4, 4)"),
    (shift_map_figure, ({'a': torch.zeros(3, 5)},), ValueError, "maps['a']: got shape (3, 5)"),
    (shift_map_figure, ({'a': ramp(1), 'b': ramp(2)},), ValueError, "maps['b']: got shape (5, 5)"),
    (shift_map_figure, ({'a': ramp(1)*100},), ValueError, "maps['a']: got values in [0, 100]"),
    (shift_map_figure, ({'a': ramp(1)/0},), ValueError, 'values that are not finite'),
    (shift_map_figure, ({'HARD': ramp(1)}, ('HARD', 'hrd')), ValueError, "did you mean 'HARD'"),
    (shift_map_figure, ({'HARD': ramp(1)}, ('HARD',)), ValueError, 'allowed are two names'),
    (probability_bars, ([.5, .5], [.5, .5, 0.], list('ab')), ValueError, 'student_probs: got 3 for 2 classes'),
    (probability_bars, ([3., -3.], [.5, .5], list('ab')), ValueError, 'teacher_probs: got values in'),
    (probability_bars, ([.5, .4], [.5, .5], list('ab')), ValueError, 'teacher_probs: got the sum 0.9'),
    (probability_bars, ([.5, .5], [.5, .5], list('ab'), images(1)), ValueError, 'image: got shape'),
    (probability_bars, ([.5, .5], [.5, .5], list('ab'), images(1, 2)[0]), ValueError, 'image: got 2 channels'),
    (probability_bars, ([.5, .5], [.5, .5], list('ab'), None, '', 0), ValueError, 'top: got 0'),
    (curves, ({'a': []},), ValueError, "lines['a']: got shape (0,)"),
    (curves, ({'a': torch.zeros(2, 2, 2)},), ValueError, 'allowed are 1 or 2 axes'),
    (curves, ({'a': ['x', 'y']},), TypeError, "lines['a']: got list"),
    (curves, ({'a': [1., 2.]}, [1., 2., 3.]), ValueError, "lines['a']: got 2 steps, x has 3"),
    (curves, ({'a': [1., 2.]}, [1., torch.inf]), ValueError, 'x: got 1 values that are not finite'),
    (curves, ({'a': [1., 2.]}, None, '', '', '', -1), ValueError, 'spread: got -1'),
    (curves, ({'a': [1., 0.]}, None, '', '', '', 1, True), ValueError, "lines['a']: got values in [0, 1]"),
    (widths_figure, ({'tx': [torch.nan]},), ValueError, "widths['tx']: got 1 values that are not finite"),
    (method_dots, ([], {'test': 'x'}), ValueError, 'no rows'),
    (method_dots, (ROWS, {}), ValueError, 'no metrics'),
    (method_dots, (ROWS, {'tset': 'x'}), ValueError, "rows[0] has: got 'tset'"),
    (method_dots, ([{'method': 'kd', 'test': 90.}], {'test': 'x'}), ValueError, 'rows[0]: got values in [90, 90]'),
    (method_dots, ([{'method': 'kd', 'test': None}], {'test': 'x'}), TypeError, 'rows[0]: got list'),
    (verdict, (torch.zeros(2, 2),), ValueError, 'got shape (2, 2)'),
    (figure_png, (image_grid(images(1)), 5), ValueError, 'dpi: got 5'),
    (table_html, (ROWS, {'methd': 'x'}), ValueError, "did you mean 'method'"),
    (table_html, (ROWS, {}), ValueError, 'columns: got none'),
    (table_html, (ROWS, {'method': ('x', '.1%')}), ValueError, "rows[0]['method']: got 'kd'"),
    (html_page, (' ', []), ValueError, 'title: got'),
    (html_page, ('x', 'text'), TypeError, 'parts: got str, allowed are lists of figures'),
    (html_page, ('x', ['text', 3]), TypeError, 'parts[1]: got int'),
]


@pytest.mark.parametrize('call, args, error, message', BAD, ids=[f'{b[0].__name__}-{b[3]}' for b in BAD])
def test_bad_input_is_named(call, args, error, message):
    with pytest.raises(error, match=re.escape(message)): call(*args)


def test_figure_without_words_is_refused():
    from matplotlib.figure import Figure
    with pytest.raises(ValueError, match='alt: got'): figure_html(Figure())
    assert 'alt="two words"' in figure_html(Figure(), alt='two words')


# --- files and pages

class Page(HTMLParser):
    "The tags of a page with their attributes, and its text."
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ''
        self.feed(text)
    def handle_starttag(self, tag, attrs): self.tags.append((tag, dict(attrs)))
    def handle_data(self, data): self.text += data
    def all(self, tag): return [attrs for t, attrs in self.tags if t == tag]


def page_with_everything():
    fig = image_grid(images(1), EVIL, [EVIL])
    table = table_html([{'m': EVIL, 'v': .5}, {'m': 'b', 'v': None}], {'m': EVIL, 'v': ('v', '.1%')}, EVIL)
    return html_page(EVIL, ['## ' + EVIL, EVIL, fig, figure_html(fig, EVIL, EVIL), table])


def test_text_never_becomes_markup():
    page = Page(page_with_everything())
    assert {t for t, _ in page.tags} <= set('html head meta title style body main h1 h2 p figure img figcaption '
                                            'div table caption thead tbody tr th td'.split())
    assert page.text.count(EVIL) == 8                      # title, h1, h2, p, figcaption, caption, heading, cell
    assert [EVIL in i['alt'] for i in page.all('img')] == [True, True]
    assert Page(html_page('x', [Html('<b>kept</b>')])).all('b')


def test_page_needs_nothing_else_and_can_be_read_aloud():
    text = page_with_everything()
    page = Page(text)
    assert not re.search(r'(src|href|action)="(?!data:)|url\(|@import|https?://', text)
    assert page.all('html') == [{'lang': 'en'}] and len(page.all('main')) == len(page.all('h1')) == 1
    assert all(i['alt'] and int(i['width']) > 0 for i in page.all('img'))
    assert [t.get('scope') for t in page.all('th')] == ['col', 'col', 'row', 'row']
    assert page.all('div') == [{'role': 'region', 'aria-label': EVIL, 'tabindex': '0', 'style': 'overflow-x:auto'}], 'a wide table scrolls'
    assert '50.0%' in page.text and '–' in page.text
    assert 'prefers-color-scheme:dark' in text and 'color-scheme:light dark' in text


def test_colours_of_the_page_can_be_read_in_both_themes():
    def light(colour):
        digits = colour.lstrip('#')
        digits = ''.join(2*d for d in digits) if len(digits) == 3 else digits
        parts = [int(digits[i:i+2], 16)/255 for i in (0, 2, 4)]
        return sum(w*(c/12.92 if c <= .03928 else ((c+.055)/1.055)**2.4) for w, c in zip((.2126, .7152, .0722), parts))
    themes = re.findall(r'--ink:(#\w+);--page:(#\w+);--line:(#\w+)', html_page('x', []))
    assert len(themes) == 2
    for ink, page, line in themes:
        for colour, least in (ink, 4.5), (line, 3):
            low, high = sorted((light(colour), light(page)))
            assert (high+.05)/(low+.05) >= least


def chunks(png):
    at, names = 8, []
    while at < len(png):
        names.append(png[at+4:at+8].decode())
        at += 12 + int.from_bytes(png[at:at+4], 'big')
    return names


def test_png_is_the_same_every_time():
    code = ('import sys, torch; from hardkd.figures.style import figure_png; from hardkd.views.shift_map import shift_map_figure; '
            'f = shift_map_figure({"a": torch.eye(5), "b": torch.ones(5, 5)}, ("a", "b"), "x"); '
            'sys.stdout.buffer.write(figure_png(f))')
    one, two = (subprocess.run([sys.executable, '-c', code], capture_output=True, check=True).stdout for _ in range(2))
    assert one == two and one[:8] == b'\x89PNG\r\n\x1a\n'
    assert set(chunks(one)) <= {'IHDR', 'pHYs', 'IDAT', 'IEND'}            # no date, no program's version
    fig = story()
    assert figure_png(fig) == figure_png(fig) == figure_png(story())


def test_notebook_gets_picture_size_and_words():
    from IPython.core.formatters import DisplayFormatter
    fig = story()
    data, metadata = DisplayFormatter().format(fig)
    assert base64.b64decode(data['image/png']) == figure_png(fig) and data['text/plain'] == fig.get_label()
    assert metadata['image/png']['width'] == round(96*fig.get_figwidth())


def test_figures_leave_no_trace():
    code = '''if 1:
        import sys, torch, hardkd.data
        before = set(sys.modules)
        from hardkd.figures.style import figure_png
        from hardkd.figures.images import image_grid
        from hardkd.figures.charts import curves
        import hardkd.figures.page
        assert not {m for m in sys.modules if m.startswith('matplotlib')} - before, 'imported before the first figure'
        x, gen = torch.rand(2, 1, 4, 4), torch.get_rng_state()
        figure_png(image_grid(x))
        import matplotlib
        params = dict(matplotlib.rcParams)
        figure_png(curves({'a': x[:, 0, 0]}, log=True, title='t'))
        from hardkd.views.shift_map import shift_map_figure
        figure_png(shift_map_figure({'a': torch.eye(3)}))
        assert dict(matplotlib.rcParams) == params and 'matplotlib.pyplot' not in sys.modules
        assert torch.equal(gen, torch.get_rng_state())'''
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_inputs_may_need_gradients_and_be_half_precision():
    x = images(2).requires_grad_()
    assert image_grid(x).axes[0].images and image_grid(x.bfloat16()).axes[0].images
    assert shift_map_figure({'a': ramp(1).half().requires_grad_()}).axes
