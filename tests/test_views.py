"What all views share: the base class, and for each view its words, table, picture, page and errors; without a browser."
import json, re
from importlib.resources import files
import pytest, torch
from torch import nn
from matplotlib.figure import Figure
import hardkd, hardkd.run, hardkd.spatial, hardkd.views.augmentor_cloud, hardkd.views.base, hardkd.views.hard_scrub
from hardkd import Images, accuracy, curves, html_page, mlp, predict, pretrained, shift_batch, widths_figure
from hardkd.data import to_bytes
from hardkd.views import doctor as doctor_room
from hardkd.views.base import View
from hardkd.views.base import closest, module_text, pack, question
from helpers.asking import heard
from helpers.view_makers import MAKERS, NASTY, Odd, SETS, made, shipped

each_view_of_both = lambda f: pytest.mark.parametrize('name', MAKERS)(pytest.mark.parametrize('which', SETS)(f))


# --- each view

@each_view_of_both
def test_view_has_words_a_table_and_a_picture(name, which):
    view = made(name, which)
    words, rows = view.describe(), view.to_frame()
    assert view.state['title'] in words and re.search(r'\d', words)
    assert rows and all(isinstance(r, dict) and set(r) == set(rows[0]) for r in rows)
    assert isinstance(view.figure(), Figure)
    assert json.dumps(rows), 'plain numbers and texts'


@each_view_of_both
def test_view_asks_first_and_knows_the_answer(name, which):
    asked = made(name, which).state['question']
    assert asked['ask'].endswith('?') or 'ark' in asked['ask']
    assert re.search(r'\d', asked['because']), 'the answer is argued from the data'


@each_view_of_both
def test_view_keeps_a_picture_for_readers_without_a_kernel(name, which):
    data, meta = made(name, which)._repr_mimebundle_()
    assert {'application/vnd.jupyter.widget-view+json', 'image/png', 'text/plain'} <= set(data)
    assert data['text/plain'] == made(name, which).describe()
    assert len(data['image/png']) < 400_000


@each_view_of_both
def test_page_is_one_file_without_addresses(name, which, tmp_path):
    path = made(name, which).save_html(tmp_path/'view.html')
    page = path.read_text()
    assert path.stat().st_size <= 8e6
    assert '://' not in page.replace('www.w3.org', '')
    assert '<script>window.hacked' not in page and '<img src=x' not in page


@each_view_of_both
def test_view_stays_small(name, which):
    assert sum(len(a['data']) for a in made(name, which).arrays.values()) <= 5.5e6


def test_one_page_has_one_look_for_a_name():
    "On the page of a demo or a lesson: a generator, a role, a method in each view and in each still."
    teacher, students, data, run = shipped()
    views = [made(name, 'shipped') for name in MAKERS]
    widths = dict(zip(run.augmentor.generators, run.trace['widths'].T))
    lines = widths_figure(widths).axes[1].lines + curves(widths | {'KD': [0., 1.], 'HARD': [0., 1.]}).axes[1].lines
    seen = {}
    for view in views:
        for name, look in view.state.get('looks', {}).items(): seen.setdefault(name, set()).add((look['color'], look.get('marker')))
    for line in lines: seen.setdefault(line.get_label(), set()).add((line.get_color(), line.get_marker()))
    assert {'teacher', 'augmentor', 'KD', 'HARD', *widths} <= set(seen)
    assert {name: found for name, found in seen.items() if len(found) > 1} == {}


# --- the base class

class Still(View):
    "A view that shows a number."
    _esm = module_text('shift_map')
    def __init__(self, **options): super().__init__('How many?', dict(x=torch.arange(3.)), dict(frame=0), **options)
    def figure(self): return curves({'x': [1., 2.]})
    def describe(self): return 'How many? 3.'
    def to_frame(self): return [dict(x=1)]
    def answer(self, what): return dict(double=2*what['x'], many=torch.ones(2, dtype=torch.uint8))


def test_request_is_answered_with_bytes():
    message, buffers = heard(Still(), dict(x=4))
    assert message == dict(reply_to=3, answer=dict(double=8), arrays=dict(many=dict(dtype='uint8', shape=[2])))
    assert buffers == [b'\x01\x01']


def test_error_of_an_answer_goes_to_the_reader():
    message, buffers = heard(Still(), dict(y=4))
    assert message == dict(reply_to=3, error="KeyError: 'x'") and buffers is None


def test_other_messages_are_not_answered():
    view = Still()
    view.send = lambda *a: pytest.fail('answered')
    view._heard(None, dict(something=1), [])


def test_pack_keeps_numbers():
    for x in torch.tensor([[1.5, -2]]), torch.tensor([3], dtype=torch.int64), torch.tensor([200], dtype=torch.uint8), torch.ones(2).half():
        packed = pack(x)
        back = torch.frombuffer(bytearray(packed['data']), dtype=getattr(torch, packed['dtype'])).reshape(packed['shape'])
        assert torch.equal(back.double(), x.double())


def test_pack_of_a_view_into_other_memory_is_in_order():
    x = torch.arange(6, dtype=torch.float32).reshape(2, 3).T
    assert torch.frombuffer(bytearray(pack(x)['data']), dtype=torch.float32).tolist() == x.flatten().tolist()


def test_modules_are_one_scope():
    text = module_text('push_the_digit')
    assert not re.search(r'(?m)^import ', text) and len(re.findall(r'(?m)^export ', text)) == 1
    names = re.findall(r'(?m)^(?:async )?(?:const|let|function|class) (\w+)', text)
    assert len(names) == len(set(names)), {n for n in names if names.count(n) > 1}


@pytest.mark.parametrize('path', sorted(p for p in (files('hardkd')/'views').rglob('*.*') if p.suffix != '.py' and '__pycache__' not in p.parts), ids=lambda p: p.name)
def test_static_file_can_stand_inside_a_page(path):
    text = path.read_text()
    if path.name.endswith('.js'): assert '</' not in text and '<!--' not in text and 'innerHTML' not in text
    assert 'http:' not in text and 'https:' not in text
    assert not re.search(r'eval\(|new Function|document\.write', text)


def test_text_of_a_stranger_cannot_leave_its_place():
    view = Still(footer='</script><script>1</script>{{script}} {{still}}')
    page = html_page('x', [view])
    assert page.count('</script>') == 2 and '{{' not in page.split('type="module"')[0].replace('{{script}} {{still}}', '')


def test_too_many_numbers_are_refused():
    with pytest.raises(ValueError, match='Still: got 8.0 MB of numbers, allowed are at most 5.5 MB'):
        View.__init__(Still(), 'x', dict(a=torch.zeros(2_000_000)))


@pytest.mark.parametrize('right', [-1, 2, .5])
def test_question_needs_one_of_its_choices(right):
    with pytest.raises((ValueError, TypeError), match='right: got'): question('?', ['a', 'b'], right, '')


def test_closest(): assert closest(.4, [.1, .5, .9]) == 1


def test_models_have_names():
    teacher, students, data, _ = shipped()
    assert hardkd.views.base.view_models(teacher, students['KD'], data) == {'teacher': teacher, 'student': students['KD']}
    assert list(hardkd.views.base.view_models(teacher, {1: students['KD'], 'b': students['HARD']}, data)) == ['teacher', '1', 'b']


# --- ShiftMap against torch

def test_shift_map_says_what_torch_says():
    teacher, students, data, _ = shipped()
    view = made('ShiftMap', 'shipped')
    for row in view.to_frame()[::17]:
        model = teacher if row['model'] == 'teacher' else students[row['model']]
        moved = Images(shift_batch(view.data.x, row['dx'], row['dy']), view.data.y, view.data.classes)
        assert row['accuracy'] == pytest.approx(accuracy(model, moved), abs=1e-6)
        z, t = predict(model, moved.x), predict(teacher, moved.x)
        assert row['agreement'] == pytest.approx(hardkd.agreement(z, t), abs=1e-6)
        assert row['kl'] == pytest.approx(hardkd.disagreement(z, t).mean().item(), rel=1e-4, abs=1e-6)


def test_shift_map_asks_about_the_worst_student():
    view = made('ShiftMap', 'shipped')
    at = {r['model']: r['accuracy'] for r in view.to_frame() if (r['dx'], r['dy']) == (4, 4)}
    worst = min(('KD', 'HARD'), key=at.get)
    asked = view.state['question']
    assert repr(worst) in asked['ask']
    numbers = [int(re.search(r'\d+', c)[0])/100 for c in asked['choices']]
    assert min(numbers, key=lambda p: abs(p-at[worst])) == numbers[asked['right']]


def test_shift_map_describes_its_table():
    view = made('ShiftMap', 'shipped')
    for model in view.names:
        rows = [r for r in view.to_frame() if r['model'] == model]
        worst, mean = min(rows, key=lambda r: r['accuracy']), sum(r['accuracy'] for r in rows)/len(rows)
        line, = (l for l in view.describe().split('\n') if l.startswith(f'{model}: '))
        numbers = [float(x) for x in re.findall(r'([\d.]+)%', line)]
        still = next(r for r in rows if (r['dx'], r['dy']) == (0, 0))
        assert numbers == pytest.approx([100*still['accuracy'], 100*mean, 100*worst['accuracy']], abs=.051)


def test_an_augmentor_without_a_turn_is_no_finding():
    teacher, _, data, _ = shipped()
    few = data.subset(20)
    run = hardkd.distill(teacher, mlp(), few, augmentor=hardkd.SpatialAugmentor(.3), epochs=2, batch_size=20, progress=False, trace=few,
                         referee=hardkd.Referee(warmup=9))
    said = run.no_turn()
    assert run.steps['augmentor'] == 0 and 'NO turn' in said
    scrub, cloud = hardkd.HardScrub(run), hardkd.AugmentorCloud(run)
    for view in scrub, cloud, hardkd.DisagreementMap(teacher, run.student, few, run=run): assert said in view.state['footer']
    for view in scrub, cloud: assert said in view.describe()
    assert 'augmentor' not in scrub.state['question']['ask'] and cloud.state['question'] is None
    played = hardkd.HardScrub(shipped()[3])
    assert shipped()[3].no_turn() == '' and 'NO turn' not in played.state['footer'] and 'augmentor' in played.state['question']['ask']


# --- HardScrub and AugmentorCloud against the trace

@pytest.mark.parametrize('which', SETS)
def test_hard_scrub_says_what_the_trace_says(which):
    view, run = made('HardScrub', which), SETS[which]()[3]
    view.place = view.place | dict(frame=len(view.trace['step'])-1)
    rows, trace = view.to_frame(), run.trace
    assert len(rows) == len(trace['y']) and rows[0]['step'] == trace['step'][-1]
    for i, row in enumerate(rows):
        assert row['label'] == str(trace['classes'][trace['y'][i]])
        assert row['student'] == str(trace['classes'][trace['student'][-1, i].argmax()])
        assert row['disagreement'] == pytest.approx(trace['disagreement'][-1, i].item(), rel=1e-5)
    right = sum(r['teacher'] == r['label'] for r in rows)
    assert f'teacher right on {right} of {len(rows)}' in view.describe()


def test_film_is_thinned_evenly_when_it_is_too_long():
    x = torch.zeros(64, 3, 28, 28)
    T = 60
    trace = dict(step=torch.arange(T), images=torch.zeros(T, 64, 3, 28, 28, dtype=torch.uint8), x=x, y=torch.zeros(64).long(),
                 teacher=torch.zeros(T, 64, 7, dtype=torch.uint8), student=torch.zeros(T, 64, 7, dtype=torch.uint8),
                 disagreement=torch.zeros(T, 64), classes=NASTY)
    run = hardkd.run.Run(Odd(), Odd(), None, 0, trace=trace)
    view = hardkd.HardScrub(run)
    steps = view.trace['step']
    assert 20 < len(steps) < 40 and steps[0] == 0 and steps[-1] == T-1 and steps.diff().max() - steps.diff().min() <= 1


def test_cloud_is_what_was_emitted():
    "The amounts of the spatial augmentor, put back into it, make the images of the film."
    _, _, _, run = shipped()
    axes, amounts = hardkd.views.augmentor_cloud.transforms_over_time(run)
    units = hardkd.spatial.generator_units((28, 28))
    last = torch.stack([amounts[-1, :, i]/units[a['name']][0] for i, a in enumerate(axes)], 1)
    motion = (last[:, :, None, None]*hardkd.spatial.generator_matrices([a['name'] for a in axes], 28, 28)).sum(1)
    made_again = hardkd.warp(run.trace['x'], motion)
    assert (made_again - run.trace['images'][-1]/255).abs().max() < .01


def test_cloud_of_another_augmentor_is_measured_on_the_images():
    x = torch.zeros(3, 1, 28, 28)
    x[:, :, 10:14, 10:14] = 1.
    moved = shift_batch(x, 3, -2)*.5
    trace = dict(step=torch.arange(2), images=torch.stack([to_bytes(x), to_bytes(moved)]), x=x, y=torch.zeros(3).long(), classes=['a', 'b'],
                 teacher=torch.zeros(2, 3, 2, dtype=torch.uint8), student=torch.zeros(2, 3, 2, dtype=torch.uint8), disagreement=torch.zeros(2, 3))
    axes, amounts = hardkd.views.augmentor_cloud.transforms_over_time(hardkd.run.Run(Odd(), Odd(), None, 0, trace=trace))
    assert [a['name'] for a in axes] == ['right', 'down', 'size', 'brightness']
    assert amounts[0].abs().max() < 1e-3
    assert amounts[1, 0].tolist() == pytest.approx([3, -2, 0, -50], abs=.3)


def test_cloud_scores_a_shift_as_torch_does():
    teacher, students, _, run = shipped()
    view = hardkd.AugmentorCloud(run, student=students['KD'])
    r, s = view.state['reach'], view.state['stride']
    x = run.trace['x']
    moved = shift_batch(x, 2*s-r, 3*s-r)
    z, t = predict(students['KD'], moved), predict(teacher, moved)
    assert view.disagreement[3, 2].item() == pytest.approx(hardkd.disagreement(z, t).mean().item(), rel=1e-5)
    assert view.teacher_change[3, 2].item() == pytest.approx(hardkd.disagreement(t, predict(teacher, x)).mean().item(), rel=1e-5)


def test_cloud_describes_its_table_and_the_hardest_shift():
    view = hardkd.AugmentorCloud(shipped()[3])
    rows = view.to_frame()
    for axis in view.axes:
        spread = torch.tensor([r[axis['name']] for r in rows]).std(correction=0).item()
        said = float(re.search(rf"{axis['name']} ([-\d.e]+) {axis['unit']}", view.describe())[1])
        assert said == pytest.approx(spread, rel=.06)
    hard = view.disagreement - view.teacher_change
    dx, dy, nats = map(float, re.search(r'is \((-?\d+), (-?\d+)\): ([\d.]+) nats', view.describe()).groups())
    row, column = divmod(hard.argmax().item(), len(hard))
    assert (dx, dy) == (column*view.state['stride'] - view.state['reach'], row*view.state['stride'] - view.state['reach'])
    assert nats == pytest.approx(hard.max().item(), rel=.01)


# --- doctor

def test_doctor_finds_what_is_here():
    rows = {r['what']: r for r in hardkd.doctor().to_frame()}
    assert torch.__version__.startswith(rows['torch']['found']) and rows['torch']['advice'] == ''
    assert {'python', 'ipywidgets', 'anywidget', 'jupyterlab'} <= set(rows) and 'kornia' not in rows
    assert all(r['advice'] == '' for r in rows.values()), 'the environment of the tests is complete'


def test_doctor_says_what_to_do(monkeypatch):
    def version(name):
        if name == 'anywidget': raise doctor_room.PackageNotFoundError(name)
        return '7.0' if name == 'ipywidgets' else '2.14.0'
    monkeypatch.setattr(doctor_room, 'version', version)
    monkeypatch.setattr(doctor_room.sys, 'prefix', 'nowhere')
    rows = {r['what']: r for r in hardkd.doctor().to_frame()}
    assert rows['anywidget']['found'] == 'nothing' and rows['anywidget']['advice'].startswith("python -m pip install 'anywidget>=")
    assert rows['ipywidgets']['found'] == '7.0' and 'ipywidgets>=8' in rows['ipywidgets']['advice']
    assert 'restart' in rows['for JupyterLab: anywidget']['advice'] and rows['torch']['advice'] == ''
    words = hardkd.doctor().describe()
    assert words.count('pip install') == sum('pip install' in r['advice'] for r in rows.values())


# --- errors

def without(run, **changes):
    import copy
    other = copy.copy(run)
    for name, value in changes.items(): setattr(other, name, value)
    return other


def bad_cases():
    teacher, students, data, run = shipped()
    other = pretrained('shift_cnn')
    seven = Odd()
    yield 'classes', lambda: hardkd.ShiftMap(teacher, {'a': mlp(7)}, data), ValueError, 'teacher, student: got 10 classes and 7 classes'
    yield 'images', lambda: hardkd.ShiftMap(teacher, students, data.x), TypeError, 'data: got Tensor'
    yield 'size', lambda: hardkd.ShiftMap(seven, seven, data), ValueError, 'teacher: got'
    yield 'no students', lambda: hardkd.ShiftMap(teacher, {}, data), ValueError, 'students: got an empty dict'
    yield 'a name', lambda: hardkd.ShiftMap(teacher, {'teacher': other}, data), ValueError, "students: got the name 'teacher'"
    yield 'too few names', lambda: hardkd.ShiftMap(teacher, students, Images(data.x, data.y.clamp(max=3), list('abcd'))), ValueError, 'data: got 4 classes, allowed are 10'
    yield 'two channels', lambda: hardkd.ShiftMap(nn.Sequential(nn.Flatten(), nn.Linear(2*49, 2)), nn.Sequential(nn.Flatten(), nn.Linear(2*49, 2)), Images(torch.rand(4, 2, 7, 7), torch.tensor([0, 1, 0, 1]), ['a', 'b'])), ValueError, 'data: got 2 channels'
    yield 'a shift', lambda: hardkd.ShiftMap(teacher, students, data, max_shift=40), ValueError, 'max_shift: got 40'
    yield 'no images', lambda: hardkd.ShiftMap(teacher, students, data, limit=0), ValueError, 'limit: got 0'
    for view in hardkd.HardScrub, hardkd.AugmentorCloud:
        yield f'{view.__name__} run', lambda view=view: view(teacher), TypeError, 'run: got'
        yield f'{view.__name__} not recorded', lambda view=view: view(without(run, trace=None)), ValueError, 'run: got a trace without frames'
        yield f'{view.__name__} no frames', lambda view=view: view(without(run, trace=run.trace | dict(step=run.trace['step'][:0]))), ValueError, 'without frames'
    yield 'no teacher', lambda: hardkd.AugmentorCloud(without(run, teacher=None)), ValueError, 'run: got one without teacher'
    yield 'other student', lambda: hardkd.AugmentorCloud(run, student=mlp(7)), ValueError, '10 classes and 7 classes'
    yield 'weight', lambda: hardkd.AugmentorCloud(run, invariance_weight=9), ValueError, 'invariance_weight: got 9'
    yield 'huge images', lambda: hardkd.HardScrub(without(run, trace=run.trace | dict(
        images=torch.zeros(2, 64, 3, 128, 128, dtype=torch.uint8), x=torch.zeros(64, 3, 128, 128)))), ValueError, 'run: got 3.1 MB a frame'
    yield 'images out of range', lambda: hardkd.HardScrub(without(run, trace=run.trace | dict(x=run.trace['x']*255))), ValueError, 'run: got values in [0, 255]'
    yield 'frame', lambda: hardkd.views.hard_scrub.scrub_figure(run.trace, 999), ValueError, 'frame: got 999'


CASES = ['classes', 'images', 'size', 'no students', 'a name', 'too few names', 'two channels', 'a shift', 'no images', 'HardScrub run', 'HardScrub not recorded',
         'HardScrub no frames', 'AugmentorCloud run', 'AugmentorCloud not recorded', 'AugmentorCloud no frames', 'no teacher',
         'other student', 'weight', 'huge images', 'images out of range', 'frame']


@pytest.mark.parametrize('case', CASES)
def test_bad_input_is_named(case):
    cases = {name: rest for name, *rest in bad_cases()}
    assert set(cases) == set(CASES)
    call, kind, message = cases[case]
    with pytest.raises(kind, match=re.escape(message)): call()
