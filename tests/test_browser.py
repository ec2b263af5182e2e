"""Views in a real browser: saved pages without a network, a real JupyterLab with its keys, its themes, its kernel.
Without chromium these tests are skipped, in CI they fail (see the fixture `chromium`)."""
import json, re, shutil, statistics
from pathlib import Path
import pytest
from helpers.pages import Page
from helpers.lessons import LESSONS, LONG
from helpers.lab import drawn, Lab, painted, picture, push_latency
from helpers.view_makers import MAKERS, SETS, made

ROOT = Path(__file__).resolve().parents[1]
each_view = pytest.mark.parametrize('name', MAKERS)
each_view_of_both = lambda f: each_view(pytest.mark.parametrize('which', SETS)(f))


# --- saved pages


@pytest.fixture(scope='session')
def saved(tmp_path_factory):
    "saved(name, which): the path of the view's page, written once."
    folder, paths = tmp_path_factory.mktemp('pages'), {}
    def path(name, which):
        if (name, which) not in paths: paths[name, which] = made(name, which).save_html(folder/f'{name}-{which}.html')
        return paths[name, which]
    return path


@each_view_of_both
def test_saved_page_asks_first_and_paints_text_as_text(chromium, saved, name, which):
    with Page(chromium, saved(name, which)) as p:
        assert p.errors == []
        assert min(painted(p.view)) > 3, 'an empty picture'
        assert p.view.locator('.hk-controls').evaluate('e => e.inert')
        before, said = picture(p.view), p.caption()
        p.skip()
        assert not p.view.locator('.hk-controls').evaluate('e => e.inert')
        assert picture(p.view) != before or p.caption() != said, 'the answer is shown'
        assert made(name, which).state['question']['because'] in p.view.locator('.hk-predict').inner_text()
        assert not p.view.locator('.hk-error').is_visible()
        for button in p.view.locator('.hk-controls button').all():
            if button.is_visible(): button.click()
        p.page.wait_for_timeout(200)
        assert p.page.evaluate('window.hacked') is None and p.view.locator('script, img, b, iframe').count() == 0, 'a label became markup'
        assert p.errors == []


@each_view
def test_prediction_can_be_committed_by_keyboard_alone(chromium, saved, name):
    asked = made(name, 'shipped').state['question']
    if not asked.get('choices'): pytest.skip('asked in another way, tested with the view')
    with Page(chromium, saved(name, 'shipped')) as p:
        p.page.keyboard.press('Tab')
        p.page.keyboard.press('Space')
        for _ in range(asked['right']): p.page.keyboard.press('ArrowRight')
        p.page.keyboard.press('Tab')
        assert p.page.evaluate('document.activeElement.textContent') == 'Commit'
        p.page.keyboard.press('Enter')
        assert p.page.evaluate("!!document.activeElement.closest('.hk-predict')"), 'the focus fell out of the view'
        said = p.view.locator('.hk-predict').inner_text()
        assert f"You said {asked['choices'][asked['right']]}: right." in said and asked['because'] in said


@each_view
def test_every_control_is_reached_and_moved_by_keys(chromium, saved, name):
    "Tab goes through all that can have the focus, each has a name, and the view's own areas answer to the arrow keys."
    with Page(chromium, saved(name, 'shipped')) as p:
        p.skip()
        wanted = p.view.evaluate('''v => [...v.querySelectorAll('button, select, input, summary, [tabindex="0"]')]
            .filter(e => e.offsetParent && !e.disabled && !e.closest('[inert]')).length''')
        p.page.evaluate('document.activeElement.blur()')
        p.view.evaluate('v => { v.tabIndex = -1; v.focus() }')
        seen, moved = [], []
        for _ in range(wanted):
            p.page.keyboard.press('Tab')
            here = p.page.evaluate('''() => { const e = document.activeElement, inside = !!e.closest('.hardkd');
                return inside && [e.tagName, e.getAttribute('role'), e.type || '', e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent,
                                  e.dataset.lmSuppressShortcuts] }''')
            assert here, f'focus left the view after {len(seen)} of {wanted}'
            seen.append(here)
            if here[1] in ('application', 'option') or here[2] == 'range':
                before = picture(p.view), p.caption(), p.page.evaluate('document.activeElement.value')
                for key in ('ArrowRight', 'ArrowDown', 'ArrowLeft', 'ArrowLeft'):
                    p.page.keyboard.press(key)
                    if (picture(p.view), p.caption(), p.page.evaluate('document.activeElement.value')) != before: break
                else: pytest.fail(f'{here} does not answer to the arrow keys')
                moved.append(here[3])
        assert all(label and label.strip() for *_, label, _ in seen), seen
        assert all(kept == 'true' for *_, kept in seen), 'a notebook would take its keys'
        assert moved, 'nothing to move'
        assert p.errors == []


@each_view
def test_reset_goes_back(chromium, saved, name):
    with Page(chromium, saved(name, 'shipped')) as p:
        p.skip()
        start = p.caption()
        for area in p.view.locator('[role=application], [role=option][tabindex="0"], input[type=range]').all():
            area.focus()
            for key in ('ArrowLeft', 'ArrowUp', 'ArrowLeft'): p.page.keyboard.press(key)
        p.view.get_by_role('button', name='Reset').click()
        p.page.wait_for_timeout(100)
        assert p.caption() == start


@each_view
def test_view_saves_itself_as_a_page(chromium, saved, name, tmp_path):
    with Page(chromium, saved(name, 'shipped')) as p:
        p.skip()
        said = p.caption()
        with p.page.expect_download() as download: p.view.get_by_role('button', name='Save HTML').click()
        assert download.value.suggested_filename == f'{name}.html'
        download.value.save_as(tmp_path/'again.html')
    with Page(chromium, tmp_path/'again.html') as p:
        assert p.errors == [] and p.caption() == said and min(painted(p.view)) > 3


@each_view_of_both
def test_axe_finds_nothing_serious(chromium, saved, name, which):
    from axe_playwright_python.sync_playwright import Axe
    def check(theme):
        found = Axe().run(p.page).response['violations']
        bad = {v['id']: [n['html'][:200] for n in v['nodes']] for v in found if v['impact'] in ('serious', 'critical')}
        assert not bad, (theme, bad)
    with Page(chromium, saved(name, which)) as p:
        check('light, before the question is answered')
        p.skip()
        p.view.locator('summary').click()
        check('light')
        p.page.emulate_media(color_scheme='dark')
        p.page.wait_for_timeout(100)
        check('dark')


@each_view
def test_narrow_page_does_not_scroll_sideways(chromium, saved, name):
    with Page(chromium, saved(name, 'shipped'), width=700) as p:
        p.skip()
        for width in 700, 360:
            p.page.set_viewport_size(dict(width=width, height=900))
            p.page.wait_for_timeout(150)
            assert p.page.evaluate('document.documentElement.scrollWidth') <= width
            assert min(painted(p.view)) > 3


def test_play_runs_through_the_film_and_stops(chromium, saved):
    with Page(chromium, saved('HardScrub', 'foreign')) as p:
        p.skip()
        slider = p.view.locator('input[type=range]').first
        slider.focus(), p.page.keyboard.press('Home')
        p.view.get_by_role('button', name='Play').click()
        p.page.wait_for_timeout(400)
        assert slider.input_value() != slider.get_attribute('max'), 'it takes its time'
        p.view.get_by_role('button', name='Play', exact=True).wait_for()
        assert slider.input_value() == slider.get_attribute('max')


def test_hard_scrub_counts_what_the_trace_holds(chromium, saved):
    view = made('HardScrub', 'shipped')
    with Page(chromium, saved('HardScrub', 'shipped')) as p:
        p.skip()
        slider = p.view.locator('input[type=range]').first
        slider.focus()
        p.page.keyboard.press('Home')
        for frame in (0, 1, 2):
            trace = view.trace
            right = [(trace[who][frame].argmax(1) == trace['y']).sum().item() for who in ('teacher', 'student')]
            assert f"Step {trace['step'][frame]}: teacher right on {right[0]} of 64, student on {right[1]};" in p.caption()
            p.page.keyboard.press('ArrowRight')
        options = p.view.locator('[role=option]')
        assert options.count() == 64
        p.view.get_by_label('sort by disagreement').check()
        frame = int(slider.input_value())
        worst = trace['disagreement'][frame].argmax().item()
        options.first.click()
        assert f'Image {worst}:' in p.view.inner_text()
        p.view.get_by_label('class').select_option('4')
        wanted = (trace['y'] == 3).sum().item()
        assert options.count() == wanted


def test_shift_map_follows_drag_and_keys(chromium, saved):
    view = made('ShiftMap', 'shipped')
    at = {(r['model'], r['dx'], r['dy']): r['accuracy'] for r in view.to_frame()}
    with Page(chromium, saved('ShiftMap', 'shipped')) as p:
        p.skip()
        area = p.view.locator('[role=application]').first
        area.focus()
        p.page.keyboard.press('Home')
        assert p.caption().startswith('Moved by (0, 0): teacher')
        p.page.keyboard.press('ArrowRight'), p.page.keyboard.press('ArrowUp')
        assert p.caption().startswith('Moved by (1, -1)')
        box = area.bounding_box()
        p.page.mouse.move(box['x'] + 60, box['y'] + 30), p.page.mouse.down()
        seen = {p.caption()}
        for i in range(8):
            p.page.mouse.move(box['x'] + 60 + 12*i, box['y'] + 30 + 8*i)
            seen.add(p.caption())
        p.page.mouse.up()
        assert len(seen) > 4
        dx, dy = map(int, re.match(r'Moved by \((-?\d+), (-?\d+)\)', p.caption()).groups())
        for model in ('teacher', 'KD', 'HARD'):
            assert float(re.search(rf'{model} (\d+) %', p.caption())[1]) == pytest.approx(100*at[model, dx, dy], abs=.501)


def test_views_of_one_group_move_together(chromium, tmp_path):
    import hardkd
    from helpers.view_makers import foreign
    run = foreign()[3]
    page = hardkd.html_page('two', [hardkd.HardScrub(run, group='g'), hardkd.HardScrub(run, group='g'), hardkd.HardScrub(run)])
    (tmp_path/'two.html').write_text(page)
    with Page(chromium, tmp_path/'two.html') as p:
        for _ in range(3): p.page.get_by_role('button', name='Skip').first.click()
        sliders = p.page.locator('.hk-controls input[type=range]')
        first = [s.input_value() for s in sliders.all()]
        sliders.nth(0).focus()
        p.page.keyboard.press('Home')
        assert [s.input_value() for s in sliders.all()] == ['0', '0', first[2]]


# --- JupyterLab

@pytest.fixture(scope='session')
def lab(chromium, tmp_path_factory):
    with Lab(chromium, tmp_path_factory.mktemp('lab')) as lab: yield lab


SETUP = f'''import sys, time, threading; sys.path.insert(0, {str(ROOT/'tests')!r})
from helpers.view_makers import *
teacher, students, data, run = shipped()'''


CELLS = dict(
    setup=SETUP,
    field='field = hardkd.ShiftMap(teacher, students, data, max_shift=4)\nfield',
    film='film = hardkd.HardScrub(run)\nfilm',
    again='film',
    push='push = hardkd.PushTheDigit(teacher, students, data, in_browser=False)\npush',
    broken='broken = hardkd.PushTheDigit(teacher, students, data, in_browser=False)\nbroken.answer = lambda what: 1/0\nbroken',
    doctor='hardkd.doctor()',
    slow='''slow, asked = hardkd.PushTheDigit(teacher, students, data, in_browser=False), []
quick = slow.answer
slow.answer = lambda what: (asked.append(what), time.sleep(.4), quick(what))[-1]
slow''',
    place="print('PLACE', field.place['dx'], len(asked))\nfield.place = field.place | dict(dx=2, dy=1)",
    train='hardkd.distill(teacher, mlp(), digits()[0], epochs=8, seed=0, progress=False)')
SHOWN = ['field', 'film', 'again', 'push', 'broken', 'doctor', 'slow']


@pytest.fixture(scope='session')
def notebook(lab):
    "A notebook with views in all the ways in which they are shown."
    lab.write('views.ipynb', *CELLS.values())
    nb = lab.open('views.ipynb')
    for name in CELLS:
        if name == 'train': break
        run_cell(nb, name)
        nb.page.wait_for_timeout(100)
    nb.wait_idle(120)
    yield nb
    nb.close()


def run_cell(nb, name): nb.run_cell(list(CELLS).index(name))


def shown(nb, name):
    "The view of a cell, on the screen, its question skipped."
    view = nb.page.locator(f'.hardkd[data-cell={name}]')
    if view.count():
        view.scroll_into_view_if_needed()
        nb.page.wait_for_timeout(200)      # what was away is painted again
    else:
        by_index(nb, SHOWN.index(name)).evaluate('(v, name) => { v.dataset.cell = name }', name)
        if view.get_by_role('button', name='Skip').is_visible(): view.get_by_role('button', name='Skip').click()
    return view


def by_index(nb, index):
    "The view number `index` of the notebook, on the screen."
    for i, view in enumerate(nb.views()):
        if i == index: return view
    raise IndexError(index)


def test_views_are_painted_in_jupyterlab(notebook):
    found = [(v.get_attribute('aria-label'), min(painted(v), default=9)) for v in notebook.views()]
    title = {n: made(n, 'shipped').state['title'] for n in ('ShiftMap', 'HardScrub', 'PushTheDigit')}
    film, push = title['HardScrub'], title['PushTheDigit']
    assert [t for t, _ in found] == [title['ShiftMap'], film, film, push, push, 'Do views work here?', push]
    assert all(colours > 3 for _, colours in found)
    assert notebook.errors == [] and notebook.outside == []


def test_picture_for_readers_without_a_kernel_is_hidden_beside_the_live_view(notebook):
    by_index(notebook, 0)
    assert notebook.page.locator('.hardkd-still').count() and not notebook.page.locator('.hardkd-still').first.is_visible()


def test_keys_typed_in_a_view_stay_there(notebook):
    view = shown(notebook, 'field')
    before = notebook.cells()
    for focused in view.locator('button:visible, select, [role=application]').all():
        focused.focus()
        for key in 'b', 'a', 'd', 'd', 'm': notebook.page.keyboard.press(key)
        if focused.evaluate('e => e.tagName') == 'SELECT': notebook.page.keyboard.press('Escape')
    assert notebook.cells() == before
    assert notebook.page.locator('.jp-mod-editMode').count() == 0


def test_range_input_answers_to_the_arrow_keys_in_jupyterlab(notebook):
    view = shown(notebook, 'film')
    slider = view.locator('input[type=range]').first
    slider.focus()
    notebook.page.keyboard.press('Home')
    before, said = picture(view), view.locator('.hk-caption').text_content()
    for _ in range(5): notebook.page.keyboard.press('ArrowRight')
    assert slider.input_value() == '5'
    assert view.locator('.hk-caption').text_content() != said and picture(view) != before


def test_two_displays_of_one_widget_both_work(notebook):
    "Both live; what the reader does in one shows in the other."
    for name, other in ('film', 'again'), ('again', 'film'):
        slider = shown(notebook, name).locator('input[type=range]').first
        slider.focus()
        notebook.page.keyboard.press('Home')
        first = picture(shown(notebook, name))
        slider.focus(), notebook.page.keyboard.press('End')
        assert picture(shown(notebook, name)) != first
        said = shown(notebook, name).locator('.hk-caption').text_content()
        notebook.page.wait_for_timeout(600)
        assert shown(notebook, other).locator('.hk-caption').text_content() == said


def ask_place(nb):
    "Runs the cell that prints where the reader is and how often the slow view was asked, and moves the first view."
    run_cell(nb, 'place')
    nb.wait_idle()
    cell, = (c for c in nb.save()['cells'] if 'PLACE' in ''.join(c['source']))
    return [int(x) for x in ''.join(cell['outputs'][0]['text']).split()[1:]]


def test_python_knows_where_the_reader_is_and_can_move_the_view(notebook):
    view = shown(notebook, 'field')
    view.locator('[role=application]').first.focus()
    notebook.page.keyboard.press('Home'), notebook.page.keyboard.press('ArrowLeft')
    notebook.page.wait_for_timeout(700)
    assert ask_place(notebook)[0] == -1
    assert shown(notebook, 'field').locator('.hk-caption').text_content().startswith('Moved by (2, 1)')


def test_latest_request_wins(notebook):
    "Ten keys while the kernel takes its time: it is asked for the first place and for the last."
    view = shown(notebook, 'slow')
    notebook.page.wait_for_timeout(1500)
    before = ask_place(notebook)[1]
    view = shown(notebook, 'slow')
    view.locator('[role=application]').first.focus()
    for key in ['ArrowRight']*5 + ['ArrowDown']*5: notebook.page.keyboard.press(key)
    notebook.page.wait_for_timeout(3000)
    assert view.locator('.hk-caption').text_content() == expected_caption(5, 5)
    assert ask_place(notebook)[1] - before <= 3


FIRST_KEYS, NEXT_KEYS = 'R'*6 + 'D' + 'L'*12 + 'D' + 'R'*11, 'D' + 'L'*9      # always to places that were not asked for yet


def test_kernel_answers_also_while_a_cell_trains(notebook, capsys):
    view = shown(notebook, 'push')
    notebook.page.wait_for_timeout(500)
    idle = push_latency(view, FIRST_KEYS)
    run_cell(notebook, 'train')
    notebook.page.wait_for_timeout(1500)
    assert notebook.status() == 'busy'
    view = shown(notebook, 'push')
    busy = push_latency(view, NEXT_KEYS)
    still_busy, said = notebook.status(), view.locator('.hk-caption').text_content()
    notebook.wait_idle(240)
    with capsys.disabled():
        for name, times in dict(idle=idle, training=busy).items():
            print(f'\nkernel-backed view, {name}: median {statistics.median(times):.0f} ms, p95 {sorted(times)[int(.95*len(times))-1]:.0f} ms')
    assert still_busy == 'busy', 'the training was over before the view was asked'
    keys = FIRST_KEYS + NEXT_KEYS
    assert said == expected_caption(keys.count('R') - keys.count('L'), keys.count('D')), 'the kernel answers for the images and models that it was given, whatever trains'


def expected_caption(dx, dy):
    "What torch says of the first image at this shift, in the view's words."
    from hardkd import predict, shift_batch
    from helpers.view_makers import shipped
    teacher, students, data, _ = shipped()
    said = {n: predict(m, shift_batch(data.x[:1], dx, dy)).softmax(1)[0].max(0) for n, m in dict(teacher=teacher, KD=students['KD']).items()}
    words = ', '.join(f'{n} says {k} ({100*p:.0f} %)' for n, (p, k) in said.items())
    return f'Image of {data.y[0]}, moved by ({dx}, {dy}), {(dx*dx+dy*dy)**.5:.1f} pixels: {words}.'


def test_doctor_hears_the_kernel(notebook):
    said = shown(notebook, 'doctor').locator('.hk-caption').text_content()
    assert re.search(r'views are loaded\. The kernel answers in \d+ ms\. Nothing is missing\.', said)


def test_error_of_a_callback_is_shown_in_the_view(notebook):
    view = shown(notebook, 'broken')
    view.locator('[role=application]').first.focus()
    notebook.page.keyboard.press('ArrowRight')
    notebook.page.wait_for_timeout(800)
    assert 'ZeroDivisionError: division by zero' in view.locator('.hk-error').text_content()


def contrast(a, b):
    "WCAG's contrast of two css colours; a may be see-through, over b."
    def light(rgb): return sum(w*(c/12.92 if c <= .03928 else ((c+.055)/1.055)**2.4) for w, c in zip((.2126, .7152, .0722), rgb))
    def parts(text): return [float(x)*(255 if text.startswith('color') and i < 3 else 1) for i, x in enumerate(re.findall(r'[\d.]+', text))]
    back, front = parts(b), parts(a)
    alpha = front[3] if len(front) > 3 else 1
    mixed = [(alpha*f + (1-alpha)*k)/255 for f, k in zip(front[:3], back[:3])]
    x, y = sorted([light(mixed), light([k/255 for k in back[:3]])])
    return (y+.05)/(x+.05)


def check_readable(view, dark):
    "Text 4.5:1 against the view's background, and something painted."
    colours = view.evaluate('''v => ['.hk-title', '.hk-foot span', '.hk-caption', 'legend'].map(q => getComputedStyle(v.querySelector(q)).color)''')
    back = view.evaluate('v => getComputedStyle(v).backgroundColor')
    assert dark == (float(re.findall(r'[\d.]+', back)[0]) < 128)
    for colour in colours: assert contrast(colour, back) >= 4.5, (colour, back)
    assert min(painted(view)) > 3


def test_light_theme_is_readable(notebook): check_readable(shown(notebook, 'field'), False)


def test_dark_theme_is_readable(notebook):
    "The theme changes under open views: they are painted anew."
    view = shown(notebook, 'field')
    light = picture(view)
    def choose(theme):
        notebook.page.click('.lm-MenuBar-itemLabel:text-is("Settings")')
        notebook.page.hover('.lm-Menu-itemLabel:text-is("Theme")')
        notebook.page.click(f'.lm-Menu-itemLabel:text-is("JupyterLab {theme}")')
        notebook.page.wait_for_timeout(1500)
    choose('Dark')
    check_readable(shown(notebook, 'field'), True)
    assert all(a != b for a, b in zip(picture(view), light))
    choose('Light')
    check_readable(shown(notebook, 'field'), False)
    assert notebook.errors == []


def page_code(path):
    "What a lesson's page runs for itself, beside what it exports."
    cells = [''.join(c['source']) for c in json.loads(path.read_text())['cells'] if c['cell_type'] == 'code']
    return '\n'.join(c for c in cells if not c.startswith('#| export'))


def charts_of(path): return re.findall(r'\binteractive_\w+(?=\()', page_code(path))


def test_every_lesson_with_a_view_or_a_chart_is_opened():
    "No lesson shows a view or a chart that is not looked at below."
    for path in sorted((ROOT/'nbs').glob('*.ipynb')):
        used = {name for name in MAKERS if re.search(rf'\b{name}\(', page_code(path))}
        assert used == set(LESSONS.get(path.stem, ())), path.stem
        assert path.stem in LESSONS or not charts_of(path), path.stem


def check_pictures_without_kernel(lab, lesson, count):
    "The notebook opened again: where the views were are their pictures."
    again = lab.open(f'{lesson}.ipynb')
    try:
        seen = set()
        for top in range(0, 60):
            again.page.locator('.jp-WindowedPanel-outer').first.evaluate('(e, top) => e.scrollTo(0, top*e.clientHeight*.8)', top)
            again.page.wait_for_timeout(120)
            for still in again.page.locator('.hardkd-still img').all():
                if still.is_visible() and still.evaluate('i => i.naturalWidth') > 100: seen.add(still.get_attribute('alt'))
            if len(seen) == count: break
        assert len(seen) == count, 'the picture of each view is there without a kernel'
    finally: again.close()


@pytest.mark.parametrize('lesson', [pytest.param(name, marks=[pytest.mark.slow]*(name in LONG)) for name in LESSONS])
def test_lesson_in_jupyterlab(lab, lesson, capsys):
    "Run All: views and charts painted, no error in the console, a small file; without its kernel the pictures remain."
    shutil.copy(ROOT/'nbs'/f'{lesson}.ipynb', lab.notebooks)
    shutil.copytree(ROOT/'nbs'/'images', lab.notebooks/'images', dirs_exist_ok=True)
    nb = lab.open(f'{lesson}.ipynb')
    try:
        seconds = nb.run_all(400)
        titles = []
        for view in nb.views():
            assert min(painted(view)) > 3, view.get_attribute('aria-label')
            titles.append(view.get_attribute('aria-label'))
        kinds = [made(name, 'shipped').state['title'] for name in LESSONS[lesson]]
        assert len(titles) == len(kinds) and set(kinds) <= set(titles)
        charts = [drawn(chart) for chart in nb.charts()]
        assert len(charts) == len(charts_of(ROOT/'nbs'/f'{lesson}.ipynb')), charts
        assert all(areas and max(areas) > 10_000 for areas in charts), charts
        assert nb.errors == [] and nb.outside == []
        size = nb.path.stat().st_size
        with capsys.disabled(): print(f'\n{lesson}: Run All {seconds:.0f} s, saved {size/1e3:.0f} kB')
        assert size <= (1_000_000 if LESSONS[lesson] else 2_000_000)     # 13 shows eight pictures and all tables
        stills = [o for c in json.loads(nb.path.read_text())['cells'] for o in c.get('outputs', ()) if 'hardkd-still' in str(o.get('data', {}).get('text/html'))]
        assert len(stills) == len(titles), 'the picture of each view is in the file'
    finally: nb.close()
    if lesson == '03_losses': check_pictures_without_kernel(lab, lesson, len(titles))
