"Interactive charts hold what they were given, look like their stills, stay light, and need no network."
import json, re
import plotly.graph_objects as go
import pytest
import torch
from hardkd.figures.charts import curves
from hardkd.figures.interactive import (InteractiveFigure, corruption_series, difference_series, interactive_corruptions,
                                        interactive_curves, interactive_differences, interactive_points, interactive_surface)
from hardkd.figures.page import html_page
from hardkd.figures.style import SIGNS, looks

EVIL = '<script>window.hacked = 1</script>'


def random(*shape): return torch.rand(*shape, generator=torch.Generator().manual_seed(0))
def gain(method, middle, **more): return dict(method=method, difference=middle, low=middle-.01, high=middle+.01, **more)


RUNS = {'teacher': random(9), 'KD': random(3, 9), EVIL: random(2, 9)}
GAINS = [dict(method='KD', test=.9), gain('ICD', -.02), gain('HARD', .02), gain(EVIL, 0.)]
SPOILED = [dict(model=m, corruption=c, severity=s, accuracy=.9-.1*s) for m in ('teacher', 'KD', EVIL)
           for c in ('fog', 'noise', 'clean') for s in ((0,) if c == 'clean' else range(1, 6))]
PLANE = [dict(name='tx', unit='px', at=[-2., 0., 2.]), dict(name='rotation', unit='°', at=[-9., -3., 3., 9.])]
FIGURES = dict(
    curves=lambda: interactive_curves(RUNS, title='Runs', ylabel='accuracy'),
    differences=lambda: interactive_differences(GAINS, title='Gains'),
    corruptions=lambda: interactive_corruptions(SPOILED, 'Corruptions'),
    surface=lambda: interactive_surface(random(4, 3), PLANE, 'hardness, nats', 'Landscape'),
    points=lambda: interactive_points({'teacher': random(6, 3), EVIL: random(6, 3)}, torch.arange(6) % 2, ['cat', EVIL], title='Features'))
each_figure = pytest.mark.parametrize('name', FIGURES)


def test_curves_are_those_of_the_still():
    still, fig = curves(RUNS).axes[1], FIGURES['curves']()
    means = [t for t in fig.data if t.mode == 'lines+markers']
    for line, trace in zip(still.lines, means, strict=True):
        assert list(line.get_ydata()) == list(trace.y) and line.get_color() == trace.line.color
    assert len(fig.data) - len(means) == len(still.collections) == 2, 'a band for each that has several seeds'


def test_one_look_for_a_name_in_stills_and_charts():
    fig, look = FIGURES['curves'](), looks(RUNS)
    colours = {t.legendgroup: t.line.color for t in fig.data if t.mode == 'lines+markers'}
    assert colours == {name: look[name]['color'] for name in RUNS}
    many = interactive_curves({f'model {i}': [0., 1.] for i in range(60)})
    assert len({(t.line.color, t.marker.symbol) for t in many.data}) == 60 and len({t.marker.symbol for t in many.data}) <= len(SIGNS)


def test_differences_are_points_with_their_intervals():
    assert [row[0] for row in difference_series(GAINS)['test']] == ['HARD', EVIL, 'ICD']
    trace = FIGURES['differences']().data[0]
    assert list(trace.x) == pytest.approx([2., 0., -2.]) and list(trace.error_x.array) == pytest.approx([1.]*3)


def test_one_corruption_is_shown_at_a_time():
    fig = FIGURES['corruptions']()
    severity, accuracy = zip(*corruption_series(SPOILED)['noise']['KD'])
    assert severity == tuple(range(6)) and accuracy == pytest.approx([90-10*s for s in range(6)])
    assert [t.visible for t in fig.data] == [True]*3 + [False]*3
    assert [b.args[0]['visible'] for b in fig.layout.updatemenus[0].buttons] == [[True]*3 + [False]*3, [False]*3 + [True]*3]


def test_rows_of_a_landscape_are_its_second_generator():
    trace = FIGURES['surface']().data[0]
    assert trace.z.shape == (4, 3) and list(trace.x) == PLANE[0]['at'] and list(trace.y) == PLANE[1]['at']


@each_figure
def test_figure_is_light_and_says_what_it_shows(name):
    fig = FIGURES[name]()
    assert isinstance(fig, go.Figure) and isinstance(fig, InteractiveFigure)
    data = fig._repr_mimebundle_()
    assert set(data) == {'application/vnd.plotly.v1+json', 'text/plain'}, 'JupyterLab would show a picture instead of the chart'
    assert len(json.dumps(data)) < 100_000 and re.search(r'\d', data['text/plain'])
    assert '<script' not in json.dumps(data['application/vnd.plotly.v1+json']['layout'])


def test_still_is_an_output_of_its_own(monkeypatch):
    shown = []
    monkeypatch.setattr('IPython.display.display', lambda data, raw: shown.append(data))
    FIGURES['curves']()._ipython_display_()
    chart, still = shown
    assert 'application/vnd.plotly.v1+json' in chart and 'js-plotly-plot' in still['text/html'] and '<img' in still['text/html']
    assert len(json.dumps(shown)) < 100_000, 'ten of them in a lesson stay below a megabyte'
    FIGURES['surface']()._ipython_display_()
    assert len(shown) == 3, 'no still was given'


def test_program_of_plotly_is_in_a_page_once():
    with_charts, without = html_page('x', [FIGURES['curves'](), FIGURES['surface']()]), html_page('x', ['text'])
    assert with_charts.count('Plotly.newPlot(figure') == 1 and 4e6 < len(with_charts) < 6e6 and len(without) < 5000
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="(?!data:)', with_charts)
    head = with_charts.split('<script>')[0]
    assert '<script>window' not in head and head.count('<noscript>') == 2


@pytest.mark.parametrize('call, message', [
    (lambda: interactive_curves({'a': [1., 2.]}, [1.]), "lines['a']: got 2 steps, x has 1"),
    (lambda: interactive_differences(GAINS[:1]), 'rows: got no method beside KD'),
    (lambda: interactive_corruptions([]), 'rows: got none with a severity'),
    (lambda: interactive_surface(random(3, 4), PLANE, 'x'), 'values: got shape (3, 4)'),
    (lambda: interactive_points({'a': random(6, 2)}, torch.arange(6) % 2, 'ab'), "points['a']: got shape (6, 2)"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)): call()


def test_saved_page_draws_all_charts_with_the_network_cut(chromium, tmp_path):
    path = tmp_path/'charts.html'
    path.write_text(html_page('Charts', [make() for make in FIGURES.values()]))
    context, errors, outside = chromium.new_context(viewport=dict(width=1000, height=900), offline=True), [], []
    page = context.new_page()
    page.on('console', lambda m: errors.append(m.text) if m.type == 'error' else None)
    page.on('pageerror', lambda e: errors.append(str(e)))
    page.on('request', lambda r: outside.append(r.url) if not r.url.startswith(('file:', 'data:', 'blob:')) else None)
    page.goto(path.as_uri())
    for i in range(len(FIGURES)): page.locator('.js-plotly-plot').nth(i).locator('svg').first.wait_for()
    assert page.locator('.js-plotly-plot').count() == len(FIGURES) and page.locator('.js-plotly-plot canvas').count() >= 2
    assert page.locator('.js-plotly-plot').first.locator('.scatterlayer path.js-line').count() >= 3
    box = page.locator('.js-plotly-plot').first.locator('.nsewdrag').first.bounding_box()
    for x in .4, .5: page.mouse.move(box['x'] + x*box['width'], box['y'] + box['height']/2)
    page.locator('.js-plotly-plot .hoverlayer text').first.wait_for()
    assert errors == [] and outside == [] and page.evaluate('window.hacked') is None
    assert EVIL in page.locator('.js-plotly-plot').first.inner_text()
    context.close()
