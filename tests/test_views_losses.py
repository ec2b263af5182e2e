"TemperatureDial and LossLedger: against autograd, against the records, with strangers' models, in a browser."
import math, re
from functools import cache
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn
import hardkd, hardkd.train
from hardkd import Images, LossLedger, Run, SpatialAugmentor, TemperatureDial, digits, kd_loss, mlp, predict, pretrained, soften, student_sensitivity
from hardkd.views.loss_ledger import ledger_figure, ledger_weights
from hardkd.views.temperature_dial import temperature_figure
from hardkd.views.loss_ledger import _running

CLASSES = ['plain', 'a "b"', '<script>alert(1)</script>', 'two words', "it's", '$x$ & co', 'ünï']


class Somebodys(nn.Module):
    "A stranger's network for 7 classes of 3x32x32."
    def __init__(self, seed=0, classes=7):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.eye_2, self.Ω = nn.Conv2d(3, 4, 5, stride=4), nn.Linear(4*49, classes)
    def forward(self, picture): return 20*self.Ω(torch.relu(self.eye_2(picture)).flatten(1))


@cache
def odd():
    "Teacher, students and images of a stranger."
    x = torch.rand(40, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return Somebodys(), {'two words': Somebodys(1), '<b>"quoted"</b>': Somebodys(2)}, Images(x, torch.arange(40) % 7, CLASSES)


@cache
def shipped(temperature=4.):
    "A dial of the shipped teacher and a student of 20 steps."
    train, test = digits()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student = mlp()
        hardkd.distill(pretrained('shift_cnn'), student, train.subset(1000), batch_size=50, epochs=1, seed=0, progress=False)
    return TemperatureDial(pretrained('shift_cnn'), student, test.subset(300), temperature=temperature)


@pytest.fixture(params=['shipped', 'odd'])
def dial(request):
    view = TemperatureDial(*odd(), limit=9) if request.param == 'odd' else shipped()
    before = view.place
    yield view
    view.place = before


# --- TemperatureDial

@pytest.mark.parametrize('squared', [True, False])
@pytest.mark.parametrize('temperature', [.25, 1., 4., 20.])
def test_gradient_is_autograds(dial, temperature, squared):
    last = len(dial.names) - 1
    dial.place = dial.place | dict(temperature=temperature, squared=squared, image=3, student=last)
    z = dial.logits[last, 3:4].double().requires_grad_()
    loss = kd_loss(z, dial.logits[0, 3:4].double(), temperature) * (1 if squared else temperature**-2)
    loss.backward()
    table = dial.to_frame()
    assert np.allclose([r['gradient'] for r in table], z.grad[0].numpy(), atol=1e-12)
    p, q = (soften(dial.logits[m, 3:4], temperature)[0] for m in (0, last))
    assert np.allclose([r['teacher_probability'] for r in table], p, atol=1e-6)
    assert np.allclose([r['student_probability'] for r in table], q, atol=1e-6)
    assert [r['class'] for r in table] == dial.state['classes'] and table[0]['student'] == dial.names[last]
    words = dial.describe()
    assert f'{loss.item():.4g} nats' in words and f'gradient {z.grad.norm():.3g} long' in words
    assert ('times T²' in words) == squared


def test_dial_holds_the_models_logits(dial):
    for m, z in zip(odd()[:1] if dial.data.x.shape[1] == 3 else [pretrained('shift_cnn')], dial.logits):
        assert torch.equal(z, predict(m, dial.data.x))
    sent = dial.arrays['logits']
    assert sent['dtype'] == 'float32' and sent['data'] == dial.logits.numpy().tobytes()
    assert dial.arrays['images']['dtype'] == 'uint8' and dial.arrays['images']['shape'] == list(dial.data.x.shape)


def test_dials_question_is_answered_by_the_data(dial):
    asked, z = dial.state['question'], dial.logits[0, 0].double()
    odds = np.exp(z.numpy()/4)
    second = float(np.sort(odds/odds.sum())[-2])
    offered = [float(re.search(r'\d+', c)[0])/100 for c in asked['choices']]
    assert asked['right'] == min(range(3), key=lambda i: abs(math.log(second/offered[i])))
    assert dial.state['classes'][z.topk(2)[1][1]] in asked['because']
    assert offered == [.01, .1, .4]


def test_first_image_tells_the_story():
    "Near nothing at 1, near a tenth at 4, and the teacher is right; the others go from sure to doubtful."
    view = shipped()
    one, four = (soften(view.logits[0, :1], t)[0].topk(2)[0][1].item() for t in (1., 4.))
    assert one < .01 and .07 < four < .14 and view.logits[0, 0].argmax() == view.data.y[0]
    gap = torch.stack([*view.logits[0, 1:].topk(2)[0].T]).diff(dim=0)[0]
    assert (gap.diff() >= 0).all() and len(view.data) == 24


def test_no_story_of_an_image_seen_wrongly():
    teacher, students, data = odd()
    seen = predict(teacher, data.x).argmax(1)
    def story(y):
        x = TemperatureDial(teacher, students, Images(data.x, y, CLASSES)).data.x[0]
        return next(i for i in range(40) if torch.allclose(data.x[i], x))
    first, y = story(seen), seen.clone()
    y[first] = (y[first]+1) % 7
    assert story(y) != first


@pytest.mark.parametrize('temperature', [.5, 2., 20.])
def test_dial_opens_where_it_is_told(temperature):
    view = shipped(temperature)
    assert view.place['temperature'] == temperature and f'T = {temperature:g}?' in view.state['question']['ask']


@pytest.mark.parametrize('log', [False, True])
@pytest.mark.parametrize('squared', [False, True])
def test_temperature_figure_holds_the_data(log, squared):
    t, s = torch.randn(2, 14, generator=torch.Generator().manual_seed(1))*4
    names = [f'class {k}' for k in range(14)]
    fig = temperature_figure(t, s, 2., names, squared=squared, log=log, student='KD')
    z = s.double().requires_grad_()
    loss = kd_loss(z[None], t.double()[None], 2.) / (1 if squared else 4)
    loss.backward()
    p, q = soften(t[None], 2.)[0], soften(s[None], 2.)[0]
    hot = torch.maximum(soften(t[None], 4.)[0], soften(s[None], 4.)[0])
    shown = sorted(hot.topk(10)[1].tolist())                                       # the ten likeliest, in order
    beliefs, gradient = fig.axes[1], fig.axes[2]
    widths = np.array([bar.get_width() for bar in beliefs.patches])
    assert np.allclose(np.sort(widths), np.sort(100*torch.cat([p[shown], q[shown]]).numpy()), atol=1e-3)
    assert np.allclose([bar.get_width() for bar in gradient.patches], z.grad[shown].numpy())
    assert beliefs.get_xscale() == ('log' if log else 'linear')
    assert f'{loss.item():.3g} nats' in fig.get_label() and names[p.argmax()] in fig.get_label()


def test_dials_figure_follows_its_place(dial):
    drawn = []
    for place in dict(temperature=1.), dict(temperature=8., squared=False), dict(log=True, image=2):
        dial.place = dial.place | place
        assert isinstance(dial.figure(), Figure)
        drawn.append(dial.figure().get_label())
    assert len(set(drawn)) == 3 and 'T = 8' in drawn[1]


def test_models_come_out_as_they_went_in():
    teacher, students, data = odd()
    for m in (teacher, *students.values()): m.train()
    before = [p.clone() for p in teacher.parameters()]
    TemperatureDial(teacher, students, data, limit=3)
    assert all(m.training for m in (teacher, *students.values()))
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.parameters()))


def test_a_perfect_copy_and_two_classes():
    x = Images(torch.rand(5, 3, 32, 32), torch.tensor([0, 1, 0, 1, 1]), ['no', 'yes'])
    net = Somebodys(classes=2)
    view = TemperatureDial(net, net, x)
    assert all(r['gradient'] == 0 for r in view.to_frame()) and 'times that' not in view.describe()
    assert isinstance(view.figure(), Figure)


@pytest.mark.parametrize('change, error, words', [
    (dict(students=Somebodys(classes=5)), ValueError, '7 classes and 5 classes'),
    (dict(students={}), ValueError, 'students'),
    (dict(students={'teacher': Somebodys()}), ValueError, 'teacher'),
    (dict(students=[1]), TypeError, 'student'),
    (dict(data=torch.rand(3, 3, 32, 32)), TypeError, 'data: got Tensor'),
    (dict(data=Images(torch.rand(3, 1, 28, 28), torch.zeros(3).long())), ValueError, 'teacher: got'),
    (dict(temperature=0), ValueError, 'temperature'), (dict(temperature=21.), ValueError, 'temperature'),
    (dict(temperature='4'), TypeError, 'temperature'), (dict(limit=0), ValueError, 'limit')])
def test_dials_errors_are_named(change, error, words):
    teacher, students, data = odd()
    with pytest.raises(error, match=re.escape(words)):
        TemperatureDial(**dict(teacher=teacher, students=students, data=data) | change)


def test_images_out_of_range_and_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match='normalisation'): TemperatureDial(*odd()[:2], Images(3*torch.rand(4, 3, 32, 32), torch.zeros(4).long()))
    z = torch.zeros(3)
    with pytest.raises(ValueError, match='classes: got 2 names'): temperature_figure(z, z, 4., ['a', 'b'])
    with pytest.raises(ValueError, match='shapes'): temperature_figure(z, z[:2], 4., 'abc')
    with pytest.raises(ValueError, match='temperature'): temperature_figure(z, z, 0, 'abc')
    with pytest.raises(ValueError, match='image'): temperature_figure(z, z, 4., 'abc', image=torch.rand(2, 8, 8))


# --- the ledger's weights

@cache
def run(**how):
    "A real run of a second or less; `front` chooses who trains."
    train, _ = digits()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        how = dict(how)
        if how.pop('hard', False):
            how = dict(augmentor=SpatialAugmentor(.1), referee=hardkd.train.Referee(low=0, high=1e9, student_cap=2, augmentor_cap=1, warmup=4)) | how
        teacher = None if how.pop('alone', False) else pretrained('shift_cnn')
        return hardkd.distill(teacher, mlp(), train.subset(600), batch_size=20, epochs=1, seed=0, progress=False, **how)


@pytest.mark.parametrize('how, student, augmentor', [
    (dict(), dict(clean=1.), None),
    (dict(kd_weight=.3), dict(clean=.3), None),
    (dict(kd_weight=.7, label_weight=.25), dict(clean=.7, labels=.25), None),
    (dict(alone=True, label_weight=2.), dict(labels=2.), None),
    (dict(hard=True), dict(clean=.5, hard=.5), 'paid'),
    (dict(hard=True, invariance_weight=1.), dict(clean=.5, hard=.5), 1.),
    (dict(hard=True, invariance_weight=.3, label_weight=.1), dict(clean=.5, hard=.5, labels=.1), .3),
    (dict(hard=True, invariance_weight=0.), dict(clean=.5, hard=.5), 0.),
    (dict(hard=True, invariance_weight=30.), dict(clean=.5, hard=.5), 30.)])
def test_weights_are_those_of_the_training(how, student, augmentor):
    found = ledger_weights(run(**how))
    assert found['student'] == pytest.approx(student, abs=2e-4)
    wanted = dict(disagreement=1., paid=-1.) if augmentor == 'paid' else dict(disagreement=1., teacher_change=-(augmentor or 0))
    if augmentor is not None: assert found['augmentor'] == pytest.approx(wanted, abs=2e-4)
    assert set(found) == {h['player'] for h in run(**how).history}


def test_another_objective_is_told_and_has_no_handles():
    other = run(hard=True, objective=student_sensitivity, invariance_weight=1.)
    assert ledger_weights(other)['augmentor'] is None and ledger_weights(other)['student'] is not None
    view = LossLedger(other)
    said = view.state['players'][1]
    assert said['weights'] is None and 'no weighted sum' in said['why'] and 'no weighted sum' in view.describe()
    assert set(view.place['weights']) == {'student'} and said['terms'] == ['disagreement', 'teacher_change']
    recorded = [h['disagreement'] for h in other.history if h['player'] == 'augmentor']
    rows = [r for r in view.to_frame() if r['player'] == 'augmentor' and r['term'] == 'disagreement']
    assert [r['entry'] for r in rows] == pytest.approx(recorded) == [r['recorded'] for r in rows]
    assert isinstance(view.figure(), Figure)
    with pytest.raises(ValueError, match='none: the recorded loss'): ledger_figure(other, weights=dict(augmentor=dict(disagreement=0.)))


def made_up(n=40, every=4, price=.7):
    "Turns of both players, the terms drawn."
    draw, history = np.random.default_rng(0), []
    for t in range(1, n+1):
        a, b, c = draw.uniform(1, 3, 3).tolist()
        if t % every: history.append(dict(turn=t, player='student', loss=.5*a + .25*b + 2*c, clean=a, hard=b, labels=c, disagreement=b, accuracy=.5))
        else: history.append(dict(turn=t, player='augmentor', loss=price*b - a, disagreement=a, teacher_change=b, hardness=a-price*b))
    return history


def test_what_cannot_be_told_is_not_guessed():
    few = made_up(4)
    assert ledger_weights(few)['student'] is None                                     # three turns, three terms: always a fit
    still = [h | (dict(teacher_change=0.) if h['player'] == 'augmentor' else {}) for h in made_up()]
    assert ledger_weights(still)['augmentor'] is None                                 # nothing was weighed
    twins = [h | (dict(hard=h['clean']) if h['player'] == 'student' else {}) for h in made_up()]
    assert ledger_weights(twins)['student'] is None                                   # which of two equal terms?
    bent = made_up(); bent[20]['loss'] += .01
    assert None in ledger_weights(bent).values()                                      # one turn does not add up
    bare = [dict(turn=t, player='student', loss=1/t) for t in range(1, 9)]
    assert ledger_weights(bare) == {'student': None} and 'no terms' in LossLedger(bare).describe()


def test_players_of_ones_own():
    history = made_up() + [dict(turn=41+t, player='<script>alert(1)</script>', loss=3.*t-t*t, **{'a "b"': float(t), 'two words': float(t*t)}) for t in range(1, 9)]
    found = ledger_weights(history)['<script>alert(1)</script>']
    assert found == pytest.approx({'a "b"': 3., 'two words': -1.})
    assert isinstance(LossLedger(history).figure(), Figure)


@pytest.mark.parametrize('history, error, words', [
    ([], ValueError, 'turns of nobody'), (Run(None), ValueError, 'turns of nobody'), (3, TypeError, 'history: got int'),
    ([dict(turn=1, player='augmentor', loss=1.)], ValueError, 'turns of augmentor'),
    ([dict(turn=1, player='student')], ValueError, 'history[0]'), (['turn'], ValueError, 'history[0]'),
    ([dict(turn=1, player='student', loss=math.nan)], ValueError, 'student: loss'),
    ([dict(turn=1, player='student', loss=1., clean='x')], TypeError, 'student: clean')])
@pytest.mark.parametrize('use', [ledger_weights, ledger_figure, LossLedger])
def test_ledgers_errors_are_named(use, history, error, words):
    with pytest.raises(error, match=re.escape(words)): use(history)


@pytest.mark.parametrize('options, words', [
    (dict(weights=dict(referee={})), "weights: got 'referee'"), (dict(weights=dict(student=dict(clear=1.))), "did you mean 'clean'"),
    (dict(weights=dict(student=dict(clean=math.inf))), 'clean'), (dict(smooth=0), 'smooth')])
def test_ledger_figures_errors_are_named(options, words):
    with pytest.raises(ValueError, match=re.escape(words)): ledger_figure(made_up(), **options)


# --- the ledger's pictures and words

def test_ledger_figure_holds_the_data():
    history, price = made_up(), .7
    fig = ledger_figure(history, smooth=1)
    mine = [h for h in history if h['player'] == 'augmentor']
    gain, cost, total = (line.get_ydata() for line in fig.axes[2].lines[:3])
    assert np.allclose(gain, [h['disagreement'] for h in mine])
    assert np.allclose(cost, [-price*h['teacher_change'] for h in mine], atol=1e-4)
    assert np.allclose(total, [-h['loss'] for h in mine], atol=1e-4)                  # what it climbs, not what Adam lowers
    assert np.allclose(fig.axes[1].lines[3].get_ydata(), [h['loss'] for h in history if h['player'] == 'student'], atol=1e-4)
    assert list(fig.axes[2].lines[0].get_xdata()) == [h['turn'] for h in mine]
    free = ledger_figure(history, weights=dict(augmentor=dict(teacher_change=0.)), smooth=1)
    assert np.allclose(free.axes[2].lines[2].get_ydata(), gain)
    assert [t.get_text() for t in free.axes[2].get_legend().get_texts()] == ['+ 1 × disagreement', '− 0 × teacher_change', 'sum']


def test_running_mean_is_the_slow_one():
    turn, values = np.array([1., 2, 5, 9, 10, 30]), np.array([3., 1, 4, 1, 5, 9])
    for width in 1, 4, 8, 100:
        slow = [values[np.abs(turn-t) <= width/2].mean() for t in turn]
        assert np.allclose(_running(turn, values, width), slow)


def test_table_and_words_are_the_records():
    history = made_up()
    view = LossLedger(history)
    view.place = view.place | dict(smooth=1., turn=20., weights=dict(student=dict(clean=.5, hard=.25, labels=0.), augmentor=dict(disagreement=1., teacher_change=-.7)))
    rows = {(r['player'], r['turn'], r['term']): r for r in view.to_frame()}
    for h in history:
        total = rows[h['player'], h['turn'], 'sum']
        sign = 1 if h['player'] == 'student' else -1
        assert total['recorded'] == pytest.approx(sign*h['loss'], abs=1e-5)
        assert total['entry'] == pytest.approx(sign*h['loss'] - (2*h['labels'] if sign == 1 else 0), abs=2e-4)
    assert len(rows) == 30*4 + 10*3
    h = history[19]
    assert f"augmentor, what it climbs: + 1 × disagreement = {h['disagreement']:.3g}, − 0.7 × teacher_change = {-.7*h['teacher_change']:.3g}" in view.describe()
    assert '+ 0 × labels = 0' in view.describe()


def test_long_histories_are_thinned():
    history = made_up(9000, every=4)
    view = LossLedger(history)
    assert [a['shape'] for a in view.arrays.values()] == [[2000], [4, 2000], [2000], [3, 2000]]
    assert {a['dtype'] for a in view.arrays.values()} == {'float32'} and sum(len(a['data']) for a in view.arrays.values()) < 1e5
    thin = view.players['student']['terms']['clean']
    whole = [h['clean'] for h in history if h['player'] == 'student']
    assert thin[0] == pytest.approx(np.mean(whole[:3])) and 1.9 < thin.mean() < 2.1
    assert view.state['footer'] == 'turns: 6750 of the student, 2250 of the augmentor'
    assert ledger_weights(history)['student'] == pytest.approx(dict(clean=.5, hard=.25, labels=2.))


def test_large_starts_are_squeezed():
    view = LossLedger([dict(turn=t, player='student', loss=20*.8**t + 1, clean=20*.8**t + 1) for t in range(1, 60)])
    assert view.state['players'][0]['usual'] > 0 and view.figure().axes[1].get_yscale() == 'asinh'
    view.place = view.place | dict(squeeze=False)
    assert view.figure().axes[1].get_yscale() == 'linear'


@pytest.mark.parametrize('change, price, right', [
    (1., .7, 'noise: they disagree without meaning'), (1., .05, 'noise: they disagree without meaning'), (1., 0., 'unchanged'), (1e-3, .7, 'the same, only harder')])
def test_ledgers_question_is_answered_by_the_records(change, price, right):
    history = made_up()
    for h in history:
        if h['player'] == 'augmentor': h.update(teacher_change=change*h['teacher_change'], loss=price*change*h['teacher_change'] - h['disagreement'])
    asked, mine = LossLedger(history).state['question'], [h for h in history if h['player'] == 'augmentor']
    assert asked['choices'][asked['right']] == right
    got, paid = (sum(h[k] for h in mine)/len(mine) for k in ('disagreement', 'teacher_change'))
    assert (f'got {got:.3g} a turn' in asked['because'] and f'({price*paid/got:.0%})' in asked['because']) if price else f'{paid:.3g} nats' in asked['because']


def test_question_without_an_augmentor():
    history = [h for h in made_up() if h['player'] == 'student']
    view = LossLedger(history)
    asked = view.state['question']
    ends = {k: w*np.mean([h[k] for h in history[-3:]]) for k, w in dict(clean=.5, hard=.25, labels=2.).items()}
    assert asked['choices'][asked['right']] == max(ends, key=ends.get) and f"labels {ends['labels']:.3g}" in asked['because']
    falling = LossLedger([dict(turn=t, player='student', loss=12/t+.5, clean=12/t+.5) for t in range(1, 31)]).state['question']
    first, last = np.mean([12, 6, 4])+.5, np.mean([12/28, 12/29, 12/30])+.5
    assert falling['choices'][falling['right']] == 'about 10' and 5.5 < first/last < 17 and f'{first/last:.3g}' in falling['because']
    below = [dict(turn=t, player='student', loss=-1., mine=1.) for t in range(1, 9)]
    assert LossLedger(below).state['question'] is None


# --- in a browser, from disk, without a network

class Page:
    "A saved view."
    def __init__(self, chromium, view, path, **options):
        self.context = chromium.new_context(offline=True, viewport=dict(width=options.pop('width', 1100), height=900), **options)
        self.page, self.errors = self.context.new_page(), []
        self.page.on('console', lambda m: self.errors.append(m.text) if m.type == 'error' else None)
        self.page.on('pageerror', lambda e: self.errors.append(str(e)))
        self.page.on('dialog', lambda d: (self.errors.append(d.message), d.dismiss()))
        self.page.goto(view.save_html(path/'view.html').as_uri())
        self.page.locator('.hardkd').wait_for()
        self.page.wait_for_timeout(200)
    def caption(self): return self.page.locator('.hk-caption').inner_text()
    def skip(self): self.page.get_by_role('button', name='Skip').click()
    def pixels(self): return self.page.evaluate('''() => [...document.querySelectorAll('canvas')].map(c => {
        const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);
        return [new Set(d).size, d.reduce((a, b, i) => (a * 31 + b * (i % 97)) >>> 0, 7)]; })''')
    def __enter__(self): return self
    def __exit__(self, *_): self.context.close()


def number(text, before):
    "The number that stands after some words."
    return float(re.search(re.escape(before) + r' ?([+−]?[\d.,e-]+)', text)[1].replace(',', '').replace('−', '-').rstrip('.'))


def test_dial_in_the_browser_says_what_torch_says(chromium, tmp_path):
    view = shipped()
    t, s = view.logits[0, 0].double(), view.logits[1, 0].double()
    def gradient(T): return (soften(s[None], T) - soften(t[None], T))[0]/T
    with Page(chromium, view, tmp_path) as p:
        assert p.page.locator('.hk-controls').evaluate('e => e.inert') and p.caption().startswith('T = 1:')
        assert min(n for n, _ in p.pixels()) > 2
        covered = p.pixels()
        p.skip()
        assert p.pixels() != covered
        for T, keys in ((4., []), (8., ['ArrowRight']*8), (20., ['End']), (.25, ['Home'])):
            for key in keys: p.page.get_by_label('temperature T').press(key)
            said, plain = p.caption(), kd_loss(s[None], t[None], T).item()/T**2
            assert said.startswith(f'T = {T:g}:')
            assert number(said, 'KL') == pytest.approx(plain, rel=.06 if plain < 1e-3 else .006)
            times = gradient(T).norm()/gradient(1.).norm()
            assert number(said, 'without T²') == pytest.approx(times.item(), rel=.06 if times < 1e-3 else .006)
            assert number(said, 'The gradient is') == pytest.approx(times.item()*T*T, rel=.06 if times*T*T < 1e-3 else .006)
        before = p.pixels()
        p.page.get_by_label('log axis').press('Space')
        logged = p.pixels()
        assert before != logged
        p.page.get_by_label('times T²').press('Space')
        assert p.pixels() != logged and p.caption().find('Without T² the gradient') > 0
        p.page.get_by_role('option').first.press('ArrowRight')
        assert f"image of {view.state['classes'][view.data.y[1]]}" in p.page.locator('.hk-name').first.inner_text()
        assert p.errors == []


@pytest.mark.parametrize('dark', [False, True])
def test_strangers_dial_in_a_narrow_page(chromium, tmp_path, dark):
    view = TemperatureDial(*odd(), limit=9)
    with Page(chromium, view, tmp_path, width=500, color_scheme='dark' if dark else 'light') as p:
        p.skip()
        assert min(n for n, _ in p.pixels()) > 2
        first = p.caption()
        p.page.locator('select').select_option('1')
        assert '<b>"quoted"</b>' in p.caption() and p.caption() != first
        p.page.locator('summary').click()
        z = [view.logits[m, 0].double()[None] for m in (2, 0)]
        assert number(p.page.locator('details p').nth(1).inner_text(), 'ln q) =') == pytest.approx(kd_loss(*z, 4.).item()/16, rel=.006)
        assert p.page.evaluate('document.documentElement.scrollWidth <= innerWidth')
        assert p.errors == []


def test_handles_re_weigh_the_records_in_the_browser(chromium, tmp_path):
    history = made_up(200)
    view = LossLedger(history)
    view.place = view.place | dict(smooth=1.)
    last = history[-1]
    with Page(chromium, view, tmp_path) as p:
        assert '?' in p.caption() and min(n for n, _ in p.pixels()) > 2
        covered = p.pixels()
        p.skip()
        opened = p.pixels()
        assert opened != covered and 'not a new training' not in p.caption()
        assert number(p.caption(), 'teacher_change =') == pytest.approx(-last['loss'], rel=.006)
        p.page.get_by_label('weight of teacher_change').press('Home')
        assert number(p.caption(), 'teacher_change =') == pytest.approx(last['disagreement'], rel=.006)
        assert number(p.caption(), 'instead of') == pytest.approx(-last['loss'], rel=.006)
        assert 'not a new training' in p.caption() and p.pixels() != opened
        p.page.locator('input[type=range]').first.press('Home')
        first = next(h for h in history if h['player'] == 'student')
        assert p.caption().startswith('Turn 1:') and number(p.caption(), 'labels =') == pytest.approx(first['loss'], rel=.006)
        smooth = p.pixels()
        for _ in range(19): p.page.get_by_label('mean over').press('ArrowRight')
        near = [h['loss'] for h in history if h['player'] == 'student' and h['turn'] <= 1 + 20/2]
        assert p.pixels() != smooth and number(p.caption(), 'labels =') == pytest.approx(np.mean(near), rel=.006)
        p.page.get_by_role('button', name='Reset').click()
        assert 'instead of' not in p.caption() and p.caption().startswith('Turn 200:')
        assert p.errors == []


def test_ledger_without_handles_in_a_narrow_page(chromium, tmp_path):
    history = [h | (dict(loss=h['loss']**2) if h['player'] == 'augmentor' else {}) for h in made_up()]
    history += [dict(turn=41+t, player='<script>alert(1)</script>', loss=3.*t, **{'a "b"': float(t)}) for t in range(1, 9)]
    with Page(chromium, LossLedger(history), tmp_path, width=500, color_scheme='dark') as p:
        p.skip()
        assert min(n for n, _ in p.pixels()) > 2
        body = p.page.locator('.hk-stage').inner_text()
        assert 'No handles: the recorded loss is no weighted sum' in body and '<script>alert(1)</script>' in body
        assert p.page.get_by_label('weight of teacher_change').count() == 0 and p.page.get_by_label('weight of a "b"').count() == 1
        assert p.page.evaluate('document.documentElement.scrollWidth <= innerWidth')
        assert p.errors == []
