"hardkd.hard: the numbers against NumPy, who moves in whose turn, whose turn it is, and what the augmentor discovers."
import copy, inspect
import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
import hardkd
from hardkd import session, train as loop
from hardkd.data import Images, digits
from hardkd.hard import AugmentorLoss, distill, hardness, student_sensitivity
from hardkd.models import mlp
from hardkd.weights import pretrained
from hardkd.spatial import GENERATORS, SpatialAugmentor
from hardkd.run import Batch
from hardkd.train import Referee
from helpers.readings import read_once

objectives = pytest.mark.parametrize('objective', [hardness, student_sensitivity])
QUICK = dict(batch_size=32, progress=False)


@pytest.fixture(scope='module')
def data(): return digits()[0]


@pytest.fixture(scope='module')
def teacher(): return pretrained('shift_cnn').requires_grad_(False)


@pytest.fixture(scope='module')
def taught(teacher, data):
    "A student that has copied the teacher for a moment."
    torch.manual_seed(0)
    return distill(teacher, mlp(), data.subset(2000), epochs=3, progress=False).student.eval()


def new(make=mlp, seed=0):
    torch.manual_seed(seed)
    return make()


def normed():
    "A small student with BatchNorm and dropout."
    return nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(.2), nn.Linear(676, 10))


def state(module): return {k: v.clone() for k, v in module.state_dict().items()}


def same(a, b): return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def widths(augmentor): return {g: w.item() for g, w in augmentor.widths().items()}


# --- the two objectives

def log_soften(logits, temperature):
    z = logits/temperature
    return z - z.max(1, keepdims=True) - np.log(np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True))


def apart(student, teacher, temperature):
    "KL from the softened teacher to the softened student, times temperature², as the papers write it."
    s, t = log_soften(student, temperature), log_soften(teacher, temperature)
    return (np.exp(t)*(t - s)).sum(1)*temperature**2


@given(n=st.integers(1, 5), k=st.integers(2, 6), seed=st.integers(0, 99), temperature=st.floats(.5, 20), weight=st.floats(0, 9))
def test_objectives_are_their_formulas(n, k, seed, temperature, weight):
    student_hard, student, teacher_hard, teacher = logits = np.random.default_rng(seed).normal(0, 5, (4, n, k))
    a, b, c, d = map(torch.tensor, logits)
    cost = weight*apart(teacher_hard, teacher, temperature)
    got = hardness(a, c, d, temperature, weight)
    assert got.dtype == torch.float64 and got.shape == (n,)
    np.testing.assert_allclose(got, apart(student_hard, teacher_hard, temperature) - cost, rtol=1e-9, atol=1e-9)
    got = student_sensitivity(a, b, c, d, temperature, weight)
    np.testing.assert_allclose(got, apart(student_hard, student, temperature) - cost, rtol=1e-9, atol=1e-9)


@objectives
def test_objectives_gradients(objective):
    "All logits are differentiated through: the augmentor reaches them all but the clean ones, and those cost nothing."
    names = [n for n in inspect.signature(objective).parameters if n.endswith('logits')]
    torch.manual_seed(0)
    logits = [torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in names]
    assert torch.autograd.gradcheck(lambda *z: objective(**dict(zip(names, z)), temperature=2., invariance_weight=1.5), logits)


def test_signs():
    torch.manual_seed(0)
    a, b, c, d = torch.randn(4, 6, 5)
    zero = torch.zeros(6)
    close = torch.testing.assert_close
    close(hardness(a, a, a), zero)                                      # nobody disagrees, nobody is swayed
    close(student_sensitivity(a, a, b, b), zero)
    assert (hardness(a, b, b) > 0).all()                                # a sure teacher and a wrong student: hard
    assert (student_sensitivity(a, b, c, c) > 0).all()
    assert (hardness(b, b, c) < 0).all()                                # an easy image that sways the teacher: worse than none
    assert (student_sensitivity(a, a, b, c) < 0).all()
    assert (hardness(a, b, c, invariance_weight=2.) < hardness(a, b, c)).all()
    close(hardness(a, b, c, invariance_weight=0.), hardness(a, b, b))   # weight 0: the teacher may change its mind
    close(student_sensitivity(a, b, c, d, invariance_weight=0.), student_sensitivity(a, b, d, d))
    assert (hardness(a, b, c) != hardness(a, c, b)).all()               # teacher_hard_logits come before teacher_logits


# --- the augmentor's loss

def batch_of(data, teacher, n=64):
    part = data.subset(n)
    with torch.no_grad(): return Batch(part.x, part.y, (0, 1, 0), teacher_logits=teacher(part.x))


@objectives
def test_every_width_is_moved(objective, data, teacher, taught):
    augmentor = SpatialAugmentor()
    loss, terms = AugmentorLoss(teacher, taught, objective)(augmentor, batch_of(data, teacher))
    loss.backward()
    assert augmentor.raw_widths.grad.isfinite().all() and (augmentor.raw_widths.grad.abs() > 1e-6).all()
    assert terms['hardness'].item() == -loss.item()
    assert not any(v.requires_grad for v in terms.values())


@objectives
def test_hardness_rises_on_a_fixed_batch(objective, data, teacher, taught):
    augmentor, batch = SpatialAugmentor(), batch_of(data, teacher, 128)
    optimiser, climbed = torch.optim.Adam(augmentor.parameters(), lr=.02), []
    loss = AugmentorLoss(teacher, taught, objective)
    for _ in range(21):
        optimiser.zero_grad()
        value, terms = loss(augmentor, batch)
        value.backward()
        optimiser.step()
        climbed.append(terms['hardness'].item())
    assert climbed[-1] > 1.2*climbed[0] > 0
    assert sum(b > a for a, b in zip(climbed, climbed[1:])) >= 18


def test_loss_says_what_it_is_made_of(data, teacher, taught):
    _, terms = AugmentorLoss(teacher, taught, temperature=2., invariance_weight=3.)(SpatialAugmentor(.2), batch_of(data, teacher))
    assert terms['teacher_change'] > 0
    torch.testing.assert_close(terms['hardness'], terms['disagreement'] - 3*terms['teacher_change'])


class Counted(nn.Module):
    "Counts the images that a model sees."
    def __init__(self, model):
        super().__init__()
        self.model, self.images = model, 0
    def forward(self, x):
        self.images += len(x)
        return self.model(x)


def test_objectives_get_the_logits_that_they_name(data, teacher, taught):
    batch, seen, augmentor = batch_of(data, teacher), {}, SpatialAugmentor()
    def all_four(student_hard_logits, student_logits, teacher_hard_logits, teacher_logits, temperature, invariance_weight):
        seen.update(locals())
        return student_hard_logits.sum(1)
    student = Counted(taught)
    loss, _ = AugmentorLoss(teacher, student, all_four, temperature=3., invariance_weight=.5)(augmentor, batch)
    assert student.images == 128                                        # hard and clean
    with torch.no_grad():
        hard_x = batch.augmented(augmentor)
        wanted = dict(student_hard_logits=taught(hard_x), student_logits=taught(batch.x), teacher_hard_logits=teacher(hard_x), teacher_logits=teacher(batch.x))
    for name, logits in wanted.items(): torch.testing.assert_close(seen[name].detach(), logits)
    assert (seen['temperature'], seen['invariance_weight']) == (3., .5)
    torch.testing.assert_close(loss.detach(), -wanted['student_hard_logits'].sum(1).mean())
    student.images = 0
    AugmentorLoss(teacher, student, lambda student_hard_logits, **others: student_hard_logits.sum(1))(augmentor, batch)
    assert student.images == 64                                         # nobody asked for the clean ones


def test_objectives_need_not_take_what_they_do_not_use(data, teacher, taught):
    def unsure(teacher_hard_logits): return teacher_hard_logits.logsumexp(1) - teacher_hard_logits.max(1).values
    loss, terms = AugmentorLoss(teacher, taught, unsure)(SpatialAugmentor(), batch_of(data, teacher))
    assert loss.item() < 0 and set(terms) == {'hardness', 'disagreement', 'teacher_change'}


# --- who moves in whose turn

class Watching(Referee):
    "Notes for every turn whose it was, and which modules and gradients were no longer the same bits after it."
    def __init__(self, modules, **settings):
        super().__init__(**settings)
        self.modules, self.turns = modules, []

    def __deepcopy__(self, memo): return self       # a run plays with a copy of its referee

    def look(self):
        return {name: {**state(m), **{f'{n}.grad': p.grad.clone() for n, p in m.named_parameters() if p.grad is not None}} for name, m in self.modules.items()}

    def next(self, names):
        self.before, self.player = self.look(), super().next(names)
        return self.player

    def saw(self, disagreement):
        after = self.look()
        self.turns.append((self.player, {name for name in after if not same(self.before[name], after[name])}))
        super().saw(disagreement)


@objectives
@pytest.mark.parametrize('make', [mlp, normed])
def test_only_the_player_moves(make, objective, data, teacher):
    teacher, student, augmentor = copy.deepcopy(teacher).requires_grad_(), new(make), SpatialAugmentor()
    before = state(teacher)
    referee = Watching(dict(teacher=teacher, student=student, augmentor=augmentor), warmup=4, student_cap=2, augmentor_cap=3, low=0., high=1e9)
    run = distill(teacher, student, data.subset(256), augmentor=augmentor, objective=objective, referee=referee, epochs=2, **QUICK)
    assert run.steps == {'student': 16, 'augmentor': 18}
    assert [t for t in referee.turns if t[1] != {t[0]}] == []
    assert len(referee.turns) == 34
    assert same(state(teacher), before) and all(p.grad is None for p in teacher.parameters())


def test_buffers_of_a_held_student_are_still(data, teacher):
    "As above, for BatchNorm's running statistics alone: they move in every turn of the student and in no other."
    student = new(normed)
    referee = Watching(dict(norm=student[1]), warmup=2, student_cap=1, augmentor_cap=1)
    distill(teacher, student, data.subset(256), augmentor=SpatialAugmentor(), referee=referee, **QUICK, epochs=1)
    assert {(player, bool(moved)) for player, moved in referee.turns} == {('student', True), ('augmentor', False)}


def test_teacher_comes_out_as_it_went_in(data, teacher):
    "Also one that was left in training mode and wants gradients: it has BatchNorm, which would show."
    teacher = copy.deepcopy(teacher).train().requires_grad_()
    teacher[2].eval()
    before, modes = state(teacher), [m.training for m in teacher.modules()]
    distill(teacher, new(), data.subset(256), augmentor=SpatialAugmentor(), referee=Referee(warmup=2, student_cap=2), epochs=1, **QUICK)
    assert same(state(teacher), before) and [m.training for m in teacher.modules()] == modes
    assert all(p.requires_grad and p.grad is None for p in teacher.parameters())


# --- whose turn it is

def players(run): return ''.join(row['player'][0] for row in run.history)


@pytest.mark.parametrize('referee,wanted', [
    (dict(low=0, high=1e9), 's'*7 + 'aass'*3 + 'aas'),       # neither ever has enough: both caps
    (dict(low=1e9, high=1e9), 's'*7 + 'aas'*7),              # the student always has: one turn, then the augmentor's cap
    (dict(low=0, high=0), 's'*7 + 'ass'*3 + 'as'),           # the augmentor always has
    (dict(low=0, high=0, warmup=0), 'ssa'*6 + 'ss')])
def test_caps_and_thresholds(referee, wanted, data, teacher):
    referee = Referee(**dict(warmup=7, student_cap=2, augmentor_cap=2, memory=0.) | referee)
    run = distill(teacher, new(), data.subset(128), augmentor=SpatialAugmentor(), referee=referee, epochs=3.5, **QUICK)
    assert players(run) == wanted and run.finished
    assert run.steps == {'student': wanted.count('s'), 'augmentor': wanted.count('a')}


def test_turns_follow_from_the_running_disagreement(data, teacher):
    "Every turn of a run with thresholds in the middle, recomputed from its history."
    low, high, memory, caps, warmup = 11., 12., .5, dict(student=6, augmentor=3), 20
    referee = Referee(low, high, caps['student'], caps['augmentor'], warmup, memory)
    run = distill(teacher, new(), data.subset(1024), augmentor=SpatialAugmentor(.1), augmentor_lr=.1, referee=referee, epochs=4, **QUICK)
    names = [row['player'] for row in run.history]
    assert 'augmentor' not in names[:warmup]
    running, in_a_row, why = None, 0, set()
    for now, then, row in zip(names, names[1:], run.history):
        running = row['disagreement'] if running is None else memory*running + (1-memory)*row['disagreement']
        in_a_row = in_a_row + 1 if row['turn'] > 1 and names[row['turn']-2] == now else 1
        if row['turn'] < warmup: continue
        enough = running < low if now == 'student' else running > high
        assert (then != now) == (enough or in_a_row >= caps[now]), row
        why.add((now, then != now, bool(enough)))
    assert len(why) == 6, 'each player stayed, had enough, and was stopped by its cap'


@given(seen=st.lists(st.floats(0, 3), min_size=30, max_size=60), caps=st.tuples(st.integers(1, 5), st.integers(1, 5)), warmup=st.integers(0, 9))
def test_nobody_starves(seen, caps, warmup):
    referee, turns = Referee(.5, 1., *caps, warmup=warmup), ''
    for disagreement in seen:
        turns += referee.next(['student', 'augmentor'])[0]
        referee.saw(disagreement)
    assert 'a' not in turns[:warmup]
    after = turns[warmup:] if warmup else turns
    assert 's'*(caps[0]+1) not in after and 'a'*(caps[1]+1) not in after
    assert warmup == 0 or after[0] == 'a' or warmup < caps[0]


# --- the front door

def test_front_door(): assert hardkd.distill is distill


@pytest.mark.parametrize('augmentor', [None, SpatialAugmentor(.1).fixed(), transforms.RandomAffine(10, (.1, .1))], ids=['none', 'fixed', 'torchvision'])
def test_without_a_learner_it_is_plain_distillation(augmentor, data, teacher):
    before = isinstance(augmentor, nn.Module) and state(augmentor)
    runs = [way(teacher, new(), data.subset(128), augmentor=augmentor, epochs=2, seed=3, **QUICK) for way in (distill, loop.train_student)]
    assert same(*(state(run.student) for run in runs))
    assert runs[0].steps == {'student': 8} and runs[0].augmentor is augmentor
    assert ('hard' in runs[0].history[0]) == (augmentor is not None)
    if before: assert same(before, state(augmentor))


def test_a_learned_augmentor_learns(data, teacher):
    augmentor, student = SpatialAugmentor(), new()
    before = widths(augmentor)
    run = distill(teacher, student, data.subset(256), augmentor=augmentor, invariance_weight=2., referee=Referee(warmup=4), epochs=2, **QUICK)
    assert run.augmentor is augmentor and run.student is student and run.teacher is teacher
    assert all(widths(augmentor)[g] != w for g, w in before.items())
    assert augmentor.raw_widths.requires_grad and all(p.requires_grad for p in student.parameters())
    turns = [row for row in run.history if row['player'] == 'augmentor']
    assert len(turns) == run.steps['augmentor'] > 0
    for row in turns:
        assert row['hardness'] == pytest.approx(-row['loss']) == pytest.approx(row['disagreement'] - 2*row['teacher_change'], abs=1e-5)


def test_the_objective_is_used(data, teacher, monkeypatch):
    ends = []
    read_once(monkeypatch)
    for options in ({}, dict(objective=student_sensitivity), dict(invariance_weight=9.), dict(augmentor_lr=.1), dict(temperature=1.)):
        run = distill(teacher, new(), data.subset(256), augmentor=SpatialAugmentor(), referee=Referee(warmup=2, student_cap=2), epochs=1, **options, **QUICK)
        ends.append(tuple(widths(run.augmentor).values()))
    assert len(set(ends)) == len(ends)


def test_two_runs_and_a_resumed_one_are_the_same_bits(data, teacher, tmp_path):
    def play(**options):
        referee = Referee(warmup=4, student_cap=3)
        return distill(teacher, new(normed), data.subset(256), augmentor=SpatialAugmentor(), referee=referee, epochs=2, seed=5, **options, **QUICK)
    first, again = play(), play()
    kept, real = [], session.write_checkpoint
    def keep(path, content):
        kept.append(tmp_path/f'{len(kept)}.pt')
        real(kept[-1], content)
        real(path, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, 'write_checkpoint', keep)
        play(checkpoint=tmp_path/'run.pt', checkpoint_every=6)
    assert len(kept) >= 4
    for run in (again, *(play(resume=path) for path in kept)):
        assert same(state(run.student), state(first.student)) and same(state(run.augmentor), state(first.augmentor))
        assert [{k: v for k, v in row.items() if k != 'seconds'} for row in run.history] == \
               [{k: v for k, v in row.items() if k != 'seconds'} for row in first.history]


class Own(nn.Module):
    "What somebody else may bring: colour, a name for everything, keyword arguments, no Sequential."
    def __init__(self, units):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, units, 5, stride=4), nn.BatchNorm2d(units)
        self.head = nn.Linear(units*49, 7)
    def forward(self, pictures, scale=1.): return self.head(self.norm(self.stem(pictures)).relu().flatten(1))*scale


@pytest.mark.parametrize('loader', [False, True], ids=['tensors', 'loader'])
def test_colour_other_classes_own_modules(loader):
    torch.manual_seed(0)
    images = Images(torch.rand(70, 3, 32, 32), torch.arange(70) % 7)
    teacher, student = Own(6), Own(3)
    before = state(student), state(teacher)
    data, options = (DataLoader(images, 10), {}) if loader else (images, dict(batch_size=10))
    run = distill(teacher, student, data, augmentor=SpatialAugmentor(), referee=Referee(warmup=3), epochs=2, trace=True, progress=False, **options)
    assert run.steps['student'] == 14 and run.steps['augmentor'] > 0
    assert not same(state(student), before[0]) and same(state(teacher), before[1])
    assert run.trace['images'].shape[1:] == (64, 3, 32, 32) and run.trace['student'].shape[1:] == (64, 7)
    assert run.trace['widths'].shape[1:] == (len(GENERATORS),)


def test_the_augmentor_finds_the_shift(data, teacher):
    "The toy in short: nobody says which of the six matter, and the two shifts end widest."
    before = state(teacher)
    run = distill(teacher, new(), data.subset(3000), augmentor=SpatialAugmentor(), epochs=4, batch_size=64, progress=False)
    found = widths(run.augmentor)
    shifts = [found.pop('tx'), found.pop('ty')]
    assert min(shifts) > 1.5*max(found.values()), (shifts, found)
    assert same(state(teacher), before)


# --- bad input: what is wrong, which error, what its message says

x, y = torch.rand(20, 1, 28, 28), torch.arange(20) % 10
few = Images(x, y)
LEARNED = dict(augmentor=SpatialAugmentor())
BAD = {
    'no teacher':            (dict(teacher=None), TypeError, 'teacher: got None, allowed are a model'),
    'teacher a function':    (dict(teacher=torch.relu), TypeError, 'teacher: got builtin_function_or_method'),
    'student a function':    (dict(student=torch.relu), TypeError, 'student: got builtin_function_or_method'),
    'classes differ':        (dict(student=mlp(7)), ValueError, 'teacher, student: got 10 classes and 7 classes'),
    'student of other size': (dict(student=mlp(shape=(3, 8, 8))), ValueError, r'student: got RuntimeError on images \(1, 28, 28\)'),
    'labels of more classes': (dict(data=Images(x, y*2)), ValueError, 'data: got labels from 0 to 18, allowed are 0 to 9'),
    'data a tuple':          (dict(data=(x, y)), TypeError, 'data: got tuple, allowed are Images and DataLoader'),
    'data normalised':       (dict(data=DataLoader([(v*3-1, 0) for v in x])), ValueError, r'got values in \[-'),
    'loader empty':          (dict(data=DataLoader([])), ValueError, 'data.*: got (a loader without a batch|no images)'),
    'augmentor a text':      (dict(augmentor='affine'), TypeError, "augmentor: got"),
    'objective a text':      (dict(objective='hardness'), TypeError, "objective: got 'hardness'|objective: got str"),
    'objective of others':   (dict(objective=lambda logits: logits), (TypeError, ValueError), "objective: got .*'?logits'?"),
    'referee a text':        (dict(referee='fair'), TypeError, 'referee: got'),
    'learning rate 0':       (dict(augmentor_lr=0.), ValueError, 'augmentor_lr: got 0.0, allowed are finite numbers > 0'),
    'learning rate nan':     (dict(augmentor_lr=float('nan')), ValueError, 'augmentor_lr: got nan'),
    'weight negative':       (dict(invariance_weight=-1.), ValueError, 'invariance_weight: got -1.0'),
    'weight a text':         (dict(invariance_weight='1'), TypeError, "invariance_weight: got '1'"),
    'temperature 0':         (dict(temperature=0.), ValueError, 'temperature: got 0.0'),
    'temperature infinite':  (dict(temperature=float('inf')), ValueError, 'temperature: got inf'),
    'epochs 0':              (dict(epochs=0), ValueError, 'epochs: got 0'),
    'batch size fractional': (dict(batch_size=2.5), TypeError, 'batch_size: got 2.5'),
    'seed negative':         (dict(seed=-1), ValueError, 'seed: got -1'),
    'precision misspelt':    (dict(precision='b16'), ValueError, "precision: got 'b16'.*did you mean 'bf16'"),
    'resume from nothing':   (dict(resume='none.pt'), ValueError, "resume: got 'none.pt', which is not there"),
    'checkpoint a folder':   (dict(checkpoint='.'), ValueError, "checkpoint: got '.'"),
}


@pytest.mark.parametrize('change,error,message', BAD.values(), ids=BAD)
def test_bad_input_is_named_before_any_work(change, error, message, teacher, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    augmentor, student = SpatialAugmentor(), change.get('student', new())
    parts = dict(teacher=teacher, student=student, data=few, augmentor=augmentor, progress=False) | change
    before = state(augmentor), isinstance(student, nn.Module) and state(student)
    with pytest.raises(error, match=message): distill(parts.pop('teacher'), parts.pop('student'), parts.pop('data'), **parts)
    assert same(state(augmentor), before[0]) and (not before[1] or same(state(student), before[1]))
    assert list(tmp_path.iterdir()) == []


def test_the_student_is_not_its_own_teacher():
    model = new()
    with pytest.raises(ValueError, match='student: got .*teacher'): distill(model, model, few, augmentor=SpatialAugmentor())


@pytest.mark.parametrize('settings,message', [
    (dict(low=-1), 'low: got -1'), (dict(low=2, high=1), 'high: got 1, allowed are finite numbers >= 2'), (dict(student_cap=0), 'student_cap: got 0'),
    (dict(augmentor_cap=0), 'augmentor_cap: got 0'), (dict(warmup=-1), 'warmup: got -1'), (dict(memory=1.1), 'memory: got 1.1')])
def test_bad_referees(settings, message):
    with pytest.raises(ValueError, match=message): Referee(**settings)


def test_logits_that_do_not_fit():
    with pytest.raises(ValueError, match=r'got shapes \(2, 3\), \(2, 4\)'): hardness(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r'got shapes \(2, 3\), \(1, 3\)'): student_sensitivity(*torch.zeros(3, 2, 3), torch.zeros(1, 3))


def test_a_loss_that_is_not_finite_stops_the_run(data, teacher):
    def broken(student_hard_logits, **others): return student_hard_logits.sum(1)*float('inf')
    augmentor = SpatialAugmentor()
    with pytest.raises(loop.NotFinite, match=r'loss: not finite, augmentor .*at turn 3; no checkpoint') as caught:
        distill(teacher, new(), data.subset(128), augmentor=augmentor, objective=broken, referee=Referee(warmup=2, student_cap=1), epochs=2, **QUICK)
    assert caught.value.run.steps == {'student': 2, 'augmentor': 0}
    assert augmentor.raw_widths.isfinite().all()
