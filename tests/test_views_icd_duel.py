"EmbeddingDuel: against NumPy, with strangers' models, with made-up runs, in a browser."
import itertools, json, math, re
from functools import cache
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import nn
from hardkd import EmbeddingDuel, Images, Run, logits_and_features, mlp, shift_batch
from hardkd.views.embedding_duel import duel_figure
from hardkd.figures.page import files
from hardkd.views.base import module_text
from helpers.pages import SavedPage
from helpers.view_makers import NASTY, Odd, SETS

MOVES = [(0,0), (-4,0), (-2,0), (2,0), (4,0), (0,-4), (0,-2), (0,2), (0,4)]
COLOURS = ['model', 'class of the image', 'shift']


# --- makers

@cache
def duel(which):
    "Of models: the students of a set."
    teacher, students, data, _ = SETS[which]()
    return EmbeddingDuel(teacher, students, data)


def made_run(moments=9, tail=.1, n=12, depth=16, seed=0, every=10, nasty=False, images=0, turn=None, begin=.8, middle=0.):
    "A run as `distill(..., term=ICDTerm(...))` records it: classes on a sphere, the student comes to the teacher, its tails go from `begin` to `tail`."
    g = torch.Generator().manual_seed(seed)
    def directions(*shape): return F.normalize(torch.randn(*shape, depth, generator=g), dim=-1)
    classes = NASTY if nasty else [f'kind {k}' for k in range(4)]
    y = torch.arange(n) % len(classes)
    end, start = directions(len(classes))[y] + .3*directions(n), directions(len(classes))[y]
    tails = torch.einsum('va,nad->nvd', torch.tensor(MOVES)/4., directions(n, 2))
    frames = {'teacher': [], 'student': []}
    for t in np.linspace(0, 1, moments):
        frames['teacher'].append(end[:,None] + .05*tails)
        frames['student'].append((start + t*(end-start))[:,None] + ((1-t)*begin + t*tail + 4*t*(1-t)*middle)*tails)
    x = torch.rand(n+3, 3 if nasty else 1, 12, 12, generator=torch.Generator().manual_seed(images))
    features = {f'{who}_features': F.normalize(torch.stack(f), dim=-1) for who, f in frames.items()}
    if turn is not None: features = {k: f@turn for k, f in features.items()}
    trace = dict(step=torch.arange(moments)*every, x=x, y=torch.arange(n+3) % len(classes), classes=classes) | {k: f.half() for k, f in features.items()}
    return Run(nn.Linear(1, 1), seed=seed, trace=trace)


@cache
def two_runs(nasty=False):
    names = ['<b>with</b> "penalty"', 'without'] if nasty else ['with penalty', 'without penalty']
    return EmbeddingDuel(None, dict(zip(names, (made_run(9, .1, nasty=nasty), made_run(6, .6, nasty=nasty)))))


VIEWS = dict(shipped=lambda: duel('shipped'), foreign=lambda: duel('foreign'), run=lambda: EmbeddingDuel(None, made_run()), runs=two_runs,
             nasty=lambda: two_runs(True))
each_view = pytest.mark.parametrize('which', VIEWS)


# --- numbers, by loops

def tails_of(features):
    "(n,V,D) → n tail lengths."
    f = np.asarray(features, dtype=float)
    apart = np.mean([np.linalg.norm(a-b) for a, b in itertools.combinations(f[:,0], 2)])
    return [np.mean([np.linalg.norm(p-own[0]) for p in own[1:]])/apart for own in f]


def cosine(a, b): return float(np.dot(a, b)/np.linalg.norm(a)/np.linalg.norm(b))


def seen_by(model, x):
    "(N,D) features."
    was = model.training
    model.eval()
    with torch.no_grad(): f = logits_and_features(model, x)[1].double().numpy()
    model.train(was)
    return f


@pytest.mark.parametrize('which', SETS)
def test_tails_and_gaps_of_models(which):
    teacher, students, data, _ = SETS[which]()
    view = duel(which)
    shown = data.subset(24)
    assert torch.equal(view.data.x, shown.x)
    moved = [shift_batch(shown.x, dx, dy) for dx, dy in MOVES]
    t, T = seen_by(teacher, data.x), np.stack([seen_by(teacher, m) for m in moved], 1)
    rows = view.to_frame()
    assert [r['student'] for r in rows] == [name for name in students for _ in range(24)] and json.dumps(rows)
    for name, student in students.items():
        mine = [r for r in rows if r['student'] == name]
        s, S = seen_by(student, data.x), np.stack([seen_by(student, m) for m in moved], 1)
        assert [r['teacher_tail'] for r in mine] == pytest.approx(tails_of(T), rel=1e-4)
        assert [r['student_tail'] for r in mine] == pytest.approx(tails_of(S), rel=1e-4)
        assert [r['label'] for r in mine] == [data.classes[k] for k in shown.y]
        centred, goal = s-s.mean(0), t-t.mean(0)
        ridge = centred.T@centred
        into = np.linalg.solve(ridge + .01*np.trace(ridge)/len(ridge)*np.eye(len(ridge)), centred.T@goal)
        there = (S-s.mean(0))@into
        assert [r['gap'] for r in mine] == pytest.approx([1-cosine(a, b) for a, b in zip(T[:,0]-t.mean(0), there[:,0])], rel=1e-3, abs=1e-6)
        line, = (l for l in view.describe().split('\n') if l.startswith(f'{name}: '))
        said = [float(v) for v in re.findall(r'(?:length|teacher|gap) ([\d.e-]+)', line)]
        assert said == pytest.approx([np.mean(tails_of(S)), np.mean(tails_of(T)), np.mean([r['gap'] for r in mine])], rel=.006)


@pytest.mark.parametrize('which', SETS)
def test_plane_of_models_is_the_teachers(which):
    "Places are the two largest principal components of the teacher's features, all in one unit, up to a mirror image."
    teacher, _, data, _ = SETS[which]()
    t = seen_by(teacher, data.x)
    u, s, v = np.linalg.svd(t-t.mean(0), full_matrices=False)
    shown = data.subset(24)
    places = np.stack([(seen_by(teacher, shift_batch(shown.x, *d))-t.mean(0))@v[:2].T for d in MOVES], 1)
    places /= math.sqrt((places[:,0]**2).sum(1).mean())
    view = duel(which)
    for p in view.pairs.values():
        got = p['teacher'][0].double().numpy()
        for axis in 0, 1: assert min(abs(got[...,axis]-sign*places[...,axis]).max() for sign in (1, -1)) < 1e-3
        assert p['share'] == pytest.approx((s[:2]**2).sum()/(s**2).sum(), rel=1e-4)


def still_net(seed=0):
    "Who sums each channel sees no difference when nothing is lost at the border."
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        class Sum(nn.Module):
            def __init__(self): super().__init__(); self.head = nn.Linear(3, 4)
            def forward(self, x): return self.head(x.sum((2, 3)))
        return Sum()


def bordered(n=40):
    x = torch.zeros(n, 3, 20, 20)
    x[:,:,6:14,6:14] = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return Images(x, torch.arange(n) % 4, list('abcd'))


def test_who_ignores_shifts_sees_one_point():
    view = EmbeddingDuel(still_net(), dict(same=still_net(), other=still_net(1)), bordered())
    rows = view.to_frame()
    assert max(r['student_tail'] for r in rows) < 1e-4 and max(r['teacher_tail'] for r in rows) < 1e-4
    assert view.state['question']['right'] == 0
    assert max(r['gap'] for r in rows) < .02                         # the same sums: a pair falls together
    p = view.pairs['same']
    assert (p['teacher']-p['student']).abs().max() < .2 and (p['teacher'][:,:,1:]-p['teacher'][:,:,:1]).abs().max() < 1e-3


def test_a_student_who_has_died_is_shown_all_the_same():
    dead = Odd()
    for p in dead.parameters(): p.data.zero_()
    teacher, _, data, _ = SETS['foreign']()
    view = EmbeddingDuel(teacher, dead, data)
    assert all(r['student_tail'] == 0 for r in view.to_frame()) and isinstance(view.figure(), Figure)
    assert all(math.isfinite(v) for r in view.to_frame() for v in r.values() if isinstance(v, float))


def test_models_come_out_as_they_went_in():
    teacher, students, data, _ = SETS['foreign']()
    models = [teacher, *students.values()]
    for m in models: m.train()
    before = [v.clone() for m in models for v in m.state_dict().values()]
    EmbeddingDuel(teacher, students, data, limit=5)
    assert all(m.training for m in models)
    assert all(torch.equal(a, b) for a, b in zip(before, (v for m in models for v in m.state_dict().values())))


def test_layers_are_chosen():
    teacher, students, data, _ = SETS['foreign']()
    a, b = EmbeddingDuel(teacher, students, data, limit=5), EmbeddingDuel(teacher, students, data, limit=5, student_layer='brow')
    tails = [[r[k] for r in v.to_frame()] for k in ('teacher_tail', 'student_tail') for v in (a, b)]
    assert tails[0] == tails[1] and tails[2] != tails[3]


def test_tails_and_gaps_of_runs_follow_the_moment():
    view = EmbeddingDuel(None, dict(long=made_run(9, .1), short=made_run(6, .6)))
    for frame in 0, 3, 8:
        view.place = view.place | dict(frame=frame)
        for name, run in ('long', made_run(9, .1)), ('short', made_run(6, .6)):
            moments = len(run.trace['step'])
            at = min(range(moments), key=lambda i: abs(i/(moments-1) - frame/8))
            mine = [r for r in view.to_frame() if r['student'] == name]
            t, s = (run.trace[f'{who}_features'][at].double().numpy() for who in ('teacher', 'student'))
            assert [r['teacher_tail'] for r in mine] == pytest.approx(tails_of(t), rel=1e-4)
            assert [r['student_tail'] for r in mine] == pytest.approx(tails_of(s), rel=1e-4)
            assert [r['gap'] for r in mine] == pytest.approx([1-cosine(a, b) for a, b in zip(t[:,0], s[:,0])], abs=1e-5)
            assert {r['step'] for r in mine} == {10*at}
            line, = (l for l in view.describe().split('\n') if l.startswith(f'{name} at step {10*at}: '))
            assert f'tail length {np.mean(tails_of(s)):.3g}, teacher {np.mean(tails_of(t)):.3g};' in line
            ends = [f"{np.mean(tails_of(run.trace['student_features'][i].double().numpy())):.3g}" for i in (0, -1)]
            assert f'{name} from {ends[0]} to {ends[1]}' in line


def test_plane_of_a_run_is_that_of_its_end_and_stays():
    run = made_run()
    t, s = (run.trace[f'{who}_features'].double().numpy() for who in ('teacher', 'student'))
    last = np.concatenate([t[-1,:,0], s[-1,:,0]])
    v = np.linalg.svd(last-last.mean(0), full_matrices=False)[2][:2]
    unit = math.sqrt((((last-last.mean(0))@v.T)**2).sum(1).mean())
    p = EmbeddingDuel(None, run).pairs['student']
    for who, f in ('teacher', t), ('student', s):
        for axis in 0, 1:
            wanted, got = ((f-last.mean(0))@v[axis])/unit, p[who][...,axis].double().numpy()
            assert min(abs(got-wanted).max(), abs(got+wanted).max()) < 1e-4
    both = torch.cat([p['teacher'][-1,:,0], p['student'][-1,:,0]])
    assert both.square().sum(1).mean().sqrt().item() == pytest.approx(1, abs=1e-5)


def test_planes_of_runs_are_turned_alike():
    "Each run has projections of its own: what differs by a rotation only falls on the same places."
    turn = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(3)))[0]
    view = EmbeddingDuel(None, dict(a=made_run(), b=made_run(turn=turn)))
    a, b = view.pairs.values()
    assert (a['student']-b['student']).abs().max() < .02 and (a['teacher']-b['teacher']).abs().max() < .02


def test_long_runs_are_thinned_evenly():
    T, n, D = 4000, 24, 3
    f = F.normalize(torch.randn(T, n, 9, D, generator=torch.Generator().manual_seed(0)), dim=-1).half()
    trace = dict(step=torch.arange(T)*2, x=torch.rand(n, 1, 28, 28), y=torch.zeros(n).long(), classes=['a'], teacher_features=f, student_features=f)
    view = EmbeddingDuel(None, Run(None, trace=trace))
    steps = view.pairs['student']['step']
    assert 1000 < len(steps) < 1500 and steps[0] == 0 and steps[-1] == 2*(T-1) and steps.diff().max()-steps.diff().min() <= 2
    assert sum(len(a['data']) for a in view.arrays.values()) <= 5.1e6
    assert all(abs(r['gap']) < 1e-6 for r in view.to_frame())        # the student is the teacher


def test_limit_takes_the_first_images_of_a_run():
    few, all = (EmbeddingDuel(None, made_run(), limit=k) for k in (5, 24))
    assert len(few.to_frame()) == 5 and len(all.to_frame()) == 12
    assert torch.equal(few.data.x, all.data.x[:5])


# --- question, words, picture, page

@pytest.mark.parametrize('tail, right', [(.02, 0), (.3, 1), (1.2, 2)])
def test_question_is_answered_by_the_last_moment_of_the_first_student(tail, right):
    run = made_run(tail=tail)
    view = EmbeddingDuel(None, {'a "b"': run, 'other': made_run(tail=.01)})
    asked, length = view.state['question'], float(np.mean(tails_of(run.trace['student_features'][-1].double().numpy())))
    assert asked['right'] == right == (length >= .1) + (length > .5)
    assert f' to {length:.3g}, teacher from' in asked['because'] and asked['ask'].endswith('?') and 'a "b"' in asked['ask'] and len(asked['choices']) == 3


@each_view
def test_words_table_picture_and_page(which, tmp_path):
    view = VIEWS[which]()
    assert view.describe().startswith(view.state['title']) and re.search(r'\d', view.state['question']['because'])
    assert all(set(r) == set(view.to_frame()[0]) for r in view.to_frame())
    data, _ = view._repr_mimebundle_()
    assert data['text/plain'] == view.describe() and 1000 < len(data['image/png']) < 400_000
    page = view.save_html(tmp_path/'view.html').read_text()
    assert '://' not in page.replace('www.w3.org', '') and '<script>window.hacked' not in page and '<img src=x' not in page
    spread = max(p['teacher'][-1,:,0].std().item() for p in view.pairs.values())
    assert .2 < spread < 2, 'about unit spread'
    assert {k: a['dtype'] for k, a in view.arrays.items()} == {k: dict(images='uint8', label='int32').get(k, 'int32' if k[:4] == 'step' else 'float32') for k in view.arrays}


def drawn(fig, plane=1):
    "Of a plane: joins, tails, markers as lists of (x, y) arrays."
    found = [line.get_xydata() for line in fig.axes[plane].lines]
    n = len(found[-1])
    return np.array([f for f in found if len(f) == 2 and n != 2]), np.array([f for f in found if len(f) == 5]), [f for f in found if len(f) == n][-2:]


def test_figure_holds_the_data():
    g = torch.Generator().manual_seed(0)
    t, s, y = torch.randn(7, 9, 2, generator=g), torch.randn(7, 9, 2, generator=g), [0, 2, 1, 0, 0, 2, 2]
    fig = duel_figure(t, s, y, ['a', '$b$', 'a name that is much too long for it'])
    joins, tails, marks = drawn(fig)
    assert np.allclose(joins, torch.stack([t[:,0], s[:,0]], 1)) and np.allclose(marks, torch.stack([t[:,0], s[:,0]]))
    wanted = [xy[i, way].numpy() for xy in (t, s) for way in ([1,2,0,3,4], [5,6,0,7,8]) for i in range(7)]
    assert np.allclose(tails, wanted)
    said = [(xy[:,1:]-xy[:,:1]).norm(dim=2).mean() for xy in (t, s)]
    assert f'teacher {said[0]:.3g}, student {said[1]:.3g}' in fig.get_label()
    assert sorted(a.get_text() for a in fig.axes[1].texts) == [r'\$b\$', 'a', 'a name that is …']
    ax = fig.axes[1]
    assert np.ptp(ax.get_xlim()) == pytest.approx(np.ptp(ax.get_ylim())), 'one scale'
    for xy in t.reshape(-1, 2), s.reshape(-1, 2):
        assert (xy[:,0] >= ax.get_xlim()[0]).all() and (xy[:,0] <= ax.get_xlim()[1]).all() and (xy[:,1] <= ax.get_ylim()[1]).all()


def test_views_figure_follows_its_place():
    view = EmbeddingDuel(None, dict(a=made_run(9), b=made_run(6)))
    assert len(view.figure().axes) == 3
    view.place = view.place | dict(beside=False, student=2, frame=4)
    fig, at = view.figure(), 5*4/8
    assert len(fig.axes) == 2 and np.allclose(drawn(fig)[2][1], view.pairs['b']['student'][math.floor(at+.5),:,0])
    assert 'step 40' in fig.get_label()


def test_module_fits_the_kits_scope_and_a_page():
    names = re.findall(r'(?m)^(?:async )?(?:const|let|function|class) (\w+)', module_text('embedding_duel'))
    assert len(names) == len(set(names))
    text = (files('hardkd')/'views'/'embedding_duel.js').read_text()
    assert not any(bad in text for bad in ('</', '<!--', 'innerHTML', 'http', 'eval('))


# --- errors

def spoilt(**changes):
    run = made_run()
    return Run(None, trace={k: v for k, v in (run.trace | changes).items() if v is not None})


@pytest.mark.parametrize('case, error, words', [
    (lambda t, s, d: EmbeddingDuel(t, {}, d), ValueError, 'students: got an empty dict'),
    (lambda t, s, d: EmbeddingDuel(t, s), TypeError, 'data: got NoneType'),
    (lambda t, s, d: EmbeddingDuel(t, {'teacher': s}, d), ValueError, "the name 'teacher'"),
    (lambda t, s, d: EmbeddingDuel(None, {'teacher': made_run()}), ValueError, "the name 'teacher'"),
    (lambda t, s, d: EmbeddingDuel(t, dict(a=made_run(), b=s), d), ValueError, 'students: got 1 runs among 2, allowed are either runs or models'),
    (lambda t, s, d: EmbeddingDuel(t, s, d, limit=1), ValueError, 'limit: got 1'),
    (lambda t, s, d: EmbeddingDuel(t, s, d, limit=25), ValueError, 'limit: got 25'),
    (lambda t, s, d: EmbeddingDuel(t, s, d.subset(1)), ValueError, 'data: got 1 image'),
    (lambda t, s, d: EmbeddingDuel(t, mlp(), d), ValueError, 'student: got'),
    (lambda t, s, d: EmbeddingDuel(t, s, d, student_layer='nose'), ValueError, 'nose'),
    (lambda t, s, d: EmbeddingDuel(None, Run(s)), ValueError, "students['student']: got a run without features, allowed are runs that recorded them: distill(..., trace=True, term=ICDTerm(...))"),
    (lambda t, s, d: EmbeddingDuel(None, spoilt(student_features=None)), ValueError, 'distill(..., trace=True, term=ICDTerm(...))'),
    (lambda t, s, d: EmbeddingDuel(None, spoilt(student_features=made_run().trace['student_features'][:,:,:5])), ValueError, 'got features (9, 12, 9, 16) and (9, 12, 5, 16)'),
    (lambda t, s, d: EmbeddingDuel(None, spoilt(student_features=made_run().trace['student_features']*math.nan)), ValueError, 'not finite'),
    (lambda t, s, d: EmbeddingDuel(None, spoilt(x=made_run().trace['x']*9)), ValueError, 'normalisation belongs to the model'),
    (lambda t, s, d: EmbeddingDuel(None, spoilt(x=torch.rand(12, 2, 9, 9))), ValueError, 'got 2 channels'),
    (lambda t, s, d: EmbeddingDuel(None, dict(a=made_run(), b=made_run(images=1))), ValueError, "students['b']: got a run that watched other images"),
    (lambda t, s, d: EmbeddingDuel(None, dict(a=made_run(), b=made_run(n=8))), ValueError, "students['b']: got a run that watched other images"),
    (lambda t, s, d: duel_figure(torch.zeros(3, 9, 2), torch.zeros(3, 8, 2), [0]*3, 'a'), ValueError, 'student_xy: got shape (3, 8, 2), allowed are (3, 9, 2)'),
    (lambda t, s, d: duel_figure(torch.zeros(3, 9, 2), torch.zeros(3, 9, 2), [0]*4, 'a'), ValueError, 'teacher_xy: got shape (3, 9, 2)'),
    (lambda t, s, d: duel_figure(torch.zeros(3, 9, 2), torch.zeros(3, 9, 2), [0, 1, 2], 'ab'), ValueError, 'labels: got labels from 0 to 2')])
def test_errors_are_named(case, error, words):
    teacher, students, data, _ = SETS['foreign']()
    with pytest.raises(error, match=re.escape(words)): case(teacher, students['second'], data)


# --- in a browser, from disk, without a network

class Page(SavedPage):
    def planes(self): return self.view.locator('[role=application]')


def numbers(text): return [float(v) for v in re.findall(r'(?<![\w.-])\d[\d.]*(?:e-?\d+)?(?![\w])', re.sub(r'[.;,)](?=\s|$)', ' ', text))]


def told(view, names, image):
    "What the caption's numbers should be, from the table."
    rows, wanted = view.to_frame(), []
    for name in names:
        mine = [r for r in rows if r['student'] == name]
        first = [] if mine[0]['step'] is None or not view.place['frame'] else [view.pairs[name]['tail'][0,1].double().mean().item()]
        wanted += [np.mean([r['student_tail'] for r in mine]), *first, np.mean([r['teacher_tail'] for r in mine]), np.mean([r['gap'] for r in mine])]
    for name in names: wanted += [next(r[k] for r in rows if (r['student'], r['image']) == (name, image)) for k in ('student_tail', 'teacher_tail')]
    return wanted


def said(caption, label):
    "The caption's numbers, without time, image and class."
    body = re.sub(r'^(Step [\d,]+|\d+ % of the run): ', '', caption).replace(f'({label})', '')
    return numbers(re.sub(r'Image \d+', '', body))


def test_browser_says_what_python_says_of_models(chromium, tmp_path):
    view = duel('shipped')
    with Page(chromium, view, tmp_path) as p:
        assert p.view.locator('.hk-controls').evaluate('e => e.inert') and 'unmoved' in p.caption() and not numbers(p.caption())[1:3] == []
        asked = p.view.locator('.hk-predict').inner_text()      # the choices are numbers too
        covered_text = p.view.inner_text().replace(view.state['footer'], '').replace(asked, '')
        for r in view.to_frame(): assert f"{r['student_tail']:.3g}" not in covered_text
        covered = p.pixels()
        p.skip()
        image = view.place['image']
        assert p.pixels() != covered
        assert said(p.caption(), view.data.classes[view.data.y[image]]) == pytest.approx(told(view, ['KD', 'HARD'], image), rel=.006)
        p.view.get_by_label('student').select_option(label='HARD')           # one alone
        assert said(p.caption(), view.data.classes[view.data.y[image]]) == pytest.approx(told(view, ['HARD'], image), rel=.006)
        assert p.planes().count() == 2 and sum(a.is_visible() for a in p.planes().all()) == 1
        order = sorted(range(24), key=lambda i: (view.data.y[i].item(), i))
        p.planes().nth(1).press('ArrowRight')
        after = order[order.index(image)+1]
        assert f'Image {after} ({view.data.classes[view.data.y[after]]})' in p.caption()
        assert said(p.caption(), view.data.classes[view.data.y[after]]) == pytest.approx(told(view, ['HARD'], after), rel=.006)
        p.view.locator('[role=option]').nth(7).click()
        assert f'Image {order[7]} (' in p.caption()
        p.view.locator('[role=option]').nth(7).press('ArrowLeft')
        assert f'Image {order[6]} (' in p.caption()
        p.view.locator('summary').click()
        gap = next(r['gap'] for r in view.to_frame() if (r['student'], r['image']) == ('HARD', order[6]))
        assert float(re.search(r'= ([\d.e-]+); mean over', p.view.locator('details p').first.inner_text())[1]) == pytest.approx(gap, rel=.006)


def test_covered_picture_does_not_tell(chromium, tmp_path):
    "Runs with the same unmoved points, but with other tails at first and last, look the same until the question is closed."
    seen = []
    for begin, tail in (.2, .02), (.6, .7):
        view = EmbeddingDuel(None, made_run(begin=begin, tail=tail, middle=1.5))
        view.place = view.place | dict(image=4)
        with Page(chromium, view, tmp_path) as p:
            seen.append((p.pixels(), p.caption(), p.view.locator('.hk-stage').inner_text(), p.view.locator('canvas').evaluate_all('a => a.map(c => c.ariaLabel)')))
            p.skip()
            p.view.get_by_label('time').press('Home')
            seen.append(p.pixels())
    assert seen[0] == seen[2] and seen[1] != seen[3] and seen[0][0] != seen[1]


def test_controls_change_the_picture(chromium, tmp_path):
    view = two_runs()
    with Page(chromium, view, tmp_path) as p:
        p.skip()
        seen = [p.pixels()]
        for mode in COLOURS[1], COLOURS[2], COLOURS[0]:
            p.view.get_by_label('colour by').select_option(label=mode)
            assert p.pixels() != seen[-1]
            seen.append(p.pixels())
        assert seen[-1] == seen[0] and len({tuple(s) for s in seen}) == 3
        p.view.get_by_label('teacher', exact=True).press('Space')
        assert p.pixels() != seen[0]
        p.view.get_by_label('teacher', exact=True).press('Space')
        assert p.pixels() == seen[0]
        p.view.get_by_label('all side by side').press('Space')
        assert sum(a.is_visible() for a in p.planes().all()) == 1 and 'without penalty' not in p.caption()
        p.view.get_by_role('button', name='Reset').click()
        assert p.pixels() == seen[0]


def test_time_moves_all_runs_to_the_same_share(chromium, tmp_path):
    view = two_runs()
    with Page(chromium, view, tmp_path) as p:
        assert p.caption().startswith('0 % of the run: 12 images')
        p.skip()
        time, image = p.view.get_by_label('time'), view.place['image']
        for frame in (8, 7, 4, 1, 0):
            time.evaluate('(e, x) => { e.value = x; e.dispatchEvent(new Event("input")); }', frame)
            now = EmbeddingDuel(None, {'with penalty': made_run(9, .1), 'without penalty': made_run(6, .6)})
            now.place = now.place | dict(frame=frame)
            assert p.caption().startswith(f'{100*frame/8:.0f} % of the run'.replace('12 %', '13 %')), frame     # JavaScript rounds 12.5 up
            assert said(p.caption(), now.data.classes[now.data.y[image]]) == pytest.approx(told(now, list(now.pairs), image), rel=.006)
            for name in now.pairs: assert f"{name}, step {now.to_frame()[-1 if name == 'without penalty' else 0]['step']}: " in p.view.inner_text()
        before = p.pixels()
        time.press('ArrowRight')
        assert p.pixels() != before
        curves = p.view.locator('canvas').last
        curves.scroll_into_view_if_needed()
        box = curves.bounding_box()
        p.page.mouse.click(box['x'] + box['width']*.6, box['y'] + 60)
        assert 50 < numbers(p.caption())[0] < 100
        time.press('Home')
        p.view.get_by_role('button', name='Play').click()
        p.view.locator('.hk-caption', has_text='13 % of the run').wait_for(timeout=5000)
        p.view.get_by_role('button', name='Pause').click()


def test_pointer_picks_the_nearest_point(chromium, tmp_path):
    view = EmbeddingDuel(None, made_run())
    with Page(chromium, view, tmp_path) as p:
        p.skip()
        p.view.get_by_label('teacher', exact=True).click()
        xy = view.pairs['student']['student'][-1,:,0]
        every = torch.cat([view.pairs['student'][w].flatten(0, 2) for w in ('teacher', 'student')])
        low, high = every.amin(0), every.amax(0)
        half = math.ceil(5.4*(high-low).max().item() + .5)/10
        area = p.planes().first.bounding_box()
        side = min(area['width'] - 44 - 12, 420)
        def where(v, axis): return (v - (round(((low+high)/2)[axis].item(), 1) - half))/(2*half)*side
        for i in torch.cdist(xy, xy).add(torch.eye(12)*9).amin(1).topk(3)[1].tolist():           # those that stand alone
            p.page.mouse.click(area['x'] + 44 + where(xy[i,0].item(), 0), area['y'] + 6 + side - where(xy[i,1].item(), 1))
            assert f'Image {i} (' in p.caption()


def test_copies_are_what_shift_batch_makes(chromium, tmp_path):
    "The cross of nine thumbnails, pixel by pixel."
    view = duel('shipped')
    with Page(chromium, view, tmp_path) as p:
        cross = p.view.locator('canvas[aria-label*="unmoved and moved by"]')
        got, width = cross.evaluate('c => [[...c.getContext("2d").getImageData(0, 0, c.width, c.height).data], c.width]')
        got = np.array(got).reshape(-1, width, 4)[...,0]
        a = min(44, width//5 - 3)
        middle = np.floor((np.arange(1, 27)+.5)*a/28).astype(int)           # of each pixel but the outermost: there the frame is
        for dx, dy in MOVES:
            wanted = shift_batch(view.data.x[view.place['image'], 0], dx, dy)[1:-1,1:-1]*255
            shown = got[int((dy/2+2)*(a+15)) + middle[:,None], int((dx/2+2)*(a+3)) + middle]
            assert (abs(shown - wanted.numpy()) <= 2).mean() > .97, (dx, dy)


@pytest.mark.parametrize('which', ['foreign', 'nasty'])
def test_strangers_in_a_narrow_page(chromium, tmp_path, which):
    view = VIEWS[which]()
    with Page(chromium, view, tmp_path, width=360, dark=True) as p:
        p.skip()
        name = list(view.pairs)[0]
        assert name in p.caption() and p.page.evaluate('document.documentElement.scrollWidth <= innerWidth')
        assert p.page.evaluate('window.hacked') is None and p.view.locator('script, img, b, iframe').count() == 0
        p.view.get_by_label('colour by').select_option(label='shift')
        for option in p.view.locator('[role=option]').all()[::5]: option.click()
        assert p.view.locator('.hk-error').is_hidden()


def test_place_of_a_neighbour_in_the_group_does_no_harm(chromium, tmp_path):
    view = EmbeddingDuel(None, made_run())
    view.place = view.place | dict(frame=400, image=63, student=7)
    assert isinstance(view.figure(), Figure) and 'at step 80' in view.describe()
    with Page(chromium, view, tmp_path) as p:
        p.skip()
        assert p.caption().startswith('Step 80') and 'Image 11 (' in p.caption()


@pytest.mark.parametrize('which', ['foreign', 'runs'])
def test_axe_finds_nothing_serious(chromium, tmp_path, which):
    from axe_playwright_python.sync_playwright import Axe
    with Page(chromium, VIEWS[which](), tmp_path) as p:
        for state in 'covered', 'light', 'dark':
            if state == 'light': p.skip(), p.view.locator('summary').click()
            if state == 'dark': p.page.emulate_media(color_scheme='dark'), p.page.wait_for_timeout(100)
            bad = {v['id']: [n['html'][:200] for n in v['nodes']] for v in Axe().run(p.page).response['violations'] if v['impact'] in ('serious', 'critical')}
            assert not bad, (state, bad)
