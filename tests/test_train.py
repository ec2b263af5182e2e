"The one loop: bit for bit the same, killed or not, on one process or two; teacher untouched; bad input named."
import copy, itertools, json, os, random, signal, subprocess, sys, threading
from pathlib import Path
import numpy as np
import pytest
import torch
import hardkd
from torch import nn
from functools import partial
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, TensorDataset
from torchvision.transforms import v2
from accelerate import Accelerator
from safetensors.torch import load_file
from hardkd import hard
from hardkd.data import Images
from hardkd.losses import disagreement
from hardkd.spatial import SpatialAugmentor
from hardkd.batches import batches_from
from hardkd.checkpoint import read_checkpoint
from hardkd.players import Player, Referee
from hardkd.run import Batch, NotFinite
from hardkd.train import StudentLoss, train_student, fit, play
from hardkd.core.seeds import seed_of
sys.path.insert(0, str(Path(__file__).parent))
from helpers import train_jobs as jobs

JOBS = Path(__file__).parent/'helpers'/'train_jobs.py'
ALONE = {k: v for k,v in os.environ.items() if k not in ('RANK','WORLD_SIZE','LOCAL_RANK')} | {'OMP_NUM_THREADS': '1'}
QUICK = dict(progress=False, batch_size=16)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def state(model): return {k: v.clone() for k,v in model.state_dict().items()}
def plain(): return jobs.student(noisy=False)
def kd(**options): return train_student(jobs.teacher(), plain(), jobs.images(), **QUICK | dict(epochs=2) | options)
def learned(**options):
    options = QUICK | dict(epochs=3, augmentor=SpatialAugmentor(), referee=Referee(**jobs.REFEREE)) | options
    return hard.distill(options.pop('teacher', None) or jobs.teacher(), options.pop('student', None) or jobs.student(), jobs.images(), **options)


# --- the same, bit for bit

@pytest.mark.parametrize('name', ['memory', 'loader', 'generator', 'workers', 'bf16'])
def test_two_runs_of_one_seed(name):
    torch.manual_seed(11)
    a = jobs.play(name)
    torch.manual_seed(22); random.seed(5); np.random.seed(6)        # what went before does not matter
    b = jobs.play(name)
    assert jobs.same(jobs.weights(a), jobs.weights(b))
    assert [(h['player'], h['loss']) for h in a.history] == [(h['player'], h['loss']) for h in b.history]
    assert a.finished and a.seconds > 0 and sum(a.steps.values()) == len(a.history)


def test_batches_go_on_in_mid_epoch():
    loader = DataLoader(jobs.images(), 24, shuffle=True)
    def labels(start, n): return [b.x for b in itertools.islice(batches_from(loader, 0, start, Accelerator(cpu=True)), n)]
    first = labels(0, 8)                                            # two epochs
    assert torch.equal(torch.cat(first[6:]), torch.cat(labels(6, 2)))
    assert not torch.equal(first[0], first[4]), 'a new order each epoch'
    once = torch.cat(first[:4]).flatten(1)
    assert len(once.unique(dim=0)) == len(jobs.images()), 'each image once an epoch'


def test_another_seed_is_another_run():
    assert not jobs.same(jobs.weights(kd(seed=0)), jobs.weights(kd(seed=1)))


def test_killed_runs_go_on_to_the_same_weights(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print('seed of the kills:', seed)
    done = subprocess.run([sys.executable, JOBS, 'kill', str(seed), tmp_path], env=ALONE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (seed, done.stderr[-4000:])
    found = json.loads(done.stdout)
    print(found)
    assert all(job['same'] for job in found.values()), (seed, found)
    assert len(found['memory']['killed_at']) == 5


def test_two_processes_do_what_one_does(tmp_path):
    jobs.pair(tmp_path)
    run = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', JOBS, 'pair', tmp_path]
    done = subprocess.run(run, env=ALONE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    turns = [json.loads((tmp_path/f'turns-{name}.json').read_text()) for name in ('1-0', '2-0', '2-1')]
    assert turns[0] == turns[1] == turns[2]
    assert len(set(turns[0]['learned'])) == 2, 'the augmentor never played'
    for name in turns[0]:
        one, first, second = (load_file(tmp_path/f'{name}-{which}.safetensors') for which in ('1-0', '2-0', '2-1'))
        assert jobs.same(first, second), name
        if name == 'jitter': continue       # each process draws its own transforms and sees its own BatchNorm
        for k in one: torch.testing.assert_close(first[k], one[k], rtol=1e-4, atol=1e-6, msg=lambda m: f'{name} {k}: {m}')


def test_copies_that_do_not_see_each_other_are_refused(monkeypatch):
    kd()                                       # the process's own state is made here, before anybody speaks of two
    monkeypatch.setenv('WORLD_SIZE', '2')
    with pytest.raises(RuntimeError, match='WORLD_SIZE: got 2 with 1 process'): kd()


def test_a_launcher_after_an_earlier_run(tmp_path):
    "As in a notebook: what the first run left in accelerate does not keep two processes from seeing each other."
    done = subprocess.run([sys.executable, JOBS, 'launch', tmp_path], env=ALONE, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    before, first, second, after = (load_file(tmp_path/f'{name}.safetensors') for name in ('before', '0', '1', 'after'))
    assert jobs.same(before, after) and jobs.same(first, second)
    for k in before: torch.testing.assert_close(first[k], before[k], rtol=1e-4, atol=1e-6)


def test_fixed_transform_does_not_depend_on_how_images_are_shared():
    x, jitter = jobs.images().x[:8], v2.RandomAffine(20, (0.2,0.2))
    whole = Batch(x, None, (1,2)).augmented(jitter)
    parts = [Batch(part, None, (1,2), rank, 2).augmented(jitter) for rank,part in enumerate(x.chunk(2))]
    assert torch.equal(whole, torch.cat(parts))
    same = Batch(x[:1].repeat(8,1,1,1), None, (1,2)).augmented(jitter)
    assert len({image.numpy().tobytes() for image in same}) == 8        # each image has its own draw


# --- what a run leaves alone

def strange_teacher():
    "Part in train mode, part frozen, with gradients left over."
    net = jobs.teacher()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    net[-1].weight.grad = torch.ones_like(net[-1].weight)
    return net


def untouched(net):
    return (state(net), [m.training for m in net.modules()], [p.requires_grad for p in net.parameters()],
            [None if p.grad is None else p.grad.clone() for p in net.parameters()], [*vars(net)])


def assert_untouched(net, before):
    after = untouched(net)
    assert jobs.same(before[0], after[0])
    assert before[1:3] == after[1:3] and before[4] == after[4]
    assert all(a is b is None or torch.equal(a, b) for a,b in zip(before[3], after[3]))


def test_teacher_is_bit_for_bit_as_before():
    for play_it in (learned, lambda teacher: kd_of(teacher), lambda teacher: learned(teacher=teacher, precision='bf16')):
        teacher = strange_teacher()
        before = untouched(teacher)
        play_it(teacher=teacher)
        assert_untouched(teacher, before)


def kd_of(teacher, **options): return train_student(teacher, plain(), jobs.images(), **QUICK | dict(epochs=1) | options)


def test_teacher_is_as_before_after_an_error():
    teacher = strange_teacher()
    before = untouched(teacher)
    def breaks(image): raise RuntimeError('no')
    with pytest.raises(ValueError, match='augmentor: got RuntimeError on an image .*: no'): kd_of(teacher, augmentor=breaks)
    assert_untouched(teacher, before)


class Warps(SpatialAugmentor):
    "A learned augmentor with BatchNorm and dropout of its own."
    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(1), nn.Dropout(0.2)
    def forward(self, x, noise): return super().forward(torch.sigmoid(self.norm(self.drop(x))), noise)


def test_who_does_not_play_does_not_move():
    student, augmentor, seen = jobs.student(), Warps(), []
    frozen = student[1].weight.requires_grad_(False).clone()
    class Watching(Referee):
        def next(self, names):
            name = super().next(names)
            seen.append((name, state(student), state(augmentor)))
            return name
    run = learned(student=student, augmentor=augmentor, referee=Watching(**jobs.REFEREE))
    seen.append((None, state(student), state(augmentor)))
    for (name, *before),(_, *after) in zip(seen, seen[1:]):
        moves = dict(zip(('student','augmentor'), (not jobs.same(b, a) for b,a in zip(before, after))))
        assert moves == {'student': name == 'student', 'augmentor': name == 'augmentor'}
    assert run.steps['augmentor'] > 3
    assert torch.equal(student[1].weight, frozen) and not student[1].weight.requires_grad
    assert student[1].bias.requires_grad and augmentor.raw_widths.requires_grad


def test_modes_of_the_players_come_back():
    student, augmentor = jobs.student().eval(), SpatialAugmentor().train()
    learned(student=student, augmentor=augmentor)
    assert not any(m.training for m in student.modules()) and augmentor.training


def test_a_fixed_augmentor_is_held():
    augmentor = Warps().requires_grad_(False)
    before = state(augmentor)
    train_student(jobs.teacher(), plain(), jobs.images(), augmentor=augmentor, epochs=1, **QUICK)
    assert jobs.same(before, state(augmentor)) and augmentor.training


@pytest.mark.parametrize('name', ['memory', 'loader', 'workers'])
def test_random_states_are_as_before(name):
    def drawn(): return torch.rand(3).tolist(), random.random(), np.random.rand(3).tolist()
    def start(): torch.manual_seed(5); random.seed(5); np.random.seed(5)
    start()
    wanted = drawn()
    start()
    jobs.play(name)
    assert drawn() == wanted


def test_a_loader_is_as_before():
    generator = torch.Generator().manual_seed(4)
    loader = DataLoader(jobs.Jittery(), 16, shuffle=True, generator=generator)
    sampler, before = loader.sampler, generator.get_state()
    train_student(jobs.teacher(), plain(), loader, epochs=2, progress=False)
    assert loader.sampler is sampler and loader.generator is sampler.generator is generator
    assert torch.equal(generator.get_state(), before)


def test_precision_is_of_the_run_alone():
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    AcceleratorState._reset_state()
    try:
        mine = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision='bf16')
        wanted = jobs.weights(kd())
        student = plain()
        train_student(jobs.teacher(), student, jobs.images(), epochs=1, precision='bf16', **QUICK)
        assert mine.mixed_precision == 'bf16' and mine.state.mixed_precision == 'bf16'
        twin, x = plain(), jobs.images().x
        twin.load_state_dict(student.state_dict())
        assert torch.equal(student(x), twin(x))            # in 32 bits again
        assert jobs.same(jobs.weights(kd()), wanted)
        assert not jobs.same(jobs.weights(kd(precision='bf16')), wanted)
    finally: AcceleratorState._reset_state()


def test_a_referee_serves_many_runs():
    referee = Referee(**jobs.REFEREE)
    a, b = (learned(referee=referee) for _ in range(2))
    assert jobs.same(jobs.weights(a), jobs.weights(b)) and referee.state['turns'] == 0


# --- stopping

class Interrupting(Referee):
    "Presses Ctrl-C after a turn."
    at = 8
    def saw(self, disagreement):
        super().saw(disagreement)
        if self.state['turns'] == self.at: signal.raise_signal(signal.SIGINT)


def test_ctrl_c_returns_the_run_so_far(tmp_path):
    whole, path, handler = learned(trace=True), tmp_path/'run.pt', signal.getsignal(signal.SIGINT)
    part = learned(trace=True, referee=Interrupting(**jobs.REFEREE), checkpoint=path)
    assert not part.finished and len(part.history) == 8 and 'interrupted' in repr(part)
    assert len(part.trace['images']) < len(whole.trace['images'])
    assert signal.getsignal(signal.SIGINT) is handler
    rest = learned(trace=True, resume=path)
    assert rest.finished and jobs.same(jobs.weights(rest), jobs.weights(whole))
    assert [h['loss'] for h in rest.history] == [h['loss'] for h in whole.history]
    assert rest.seconds > part.seconds
    again = learned(trace=True, resume=path)                      # nothing left to do
    assert len(again.history) == len(whole.history) and jobs.same(jobs.weights(again), jobs.weights(whole))


def test_a_second_ctrl_c_stops_at_once():
    class Impatient(Referee):
        def saw(self, disagreement):
            for _ in range(2): signal.raise_signal(signal.SIGINT)
    teacher = strange_teacher()
    before = untouched(teacher)
    was = signal.signal(signal.SIGINT, signal.default_int_handler)      # a job in a shell's background is born deaf to Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt): kd_of(teacher, referee=Impatient())
    finally: signal.signal(signal.SIGINT, was)
    assert_untouched(teacher, before)


def test_runs_in_another_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(kd()))
    thread.start(); thread.join()
    assert found[0].finished


class Poisoned(StudentLoss):
    "Not a number from a turn on."
    def __call__(self, student, batch):
        loss, terms = super().__call__(student, batch)
        return loss*(float('nan') if batch.seed[-1] >= 5 else 1), terms


def poisoned(**options):
    student = plain()
    return student, lambda: play([Player('student', student, Poisoned(jobs.teacher()))], jobs.images(), jobs.teacher(), **QUICK, **options)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    path = tmp_path/'run.pt'
    student, go = poisoned(checkpoint=path, checkpoint_every=2)
    with pytest.raises(NotFinite, match=f'turn 6.*{path}') as caught: go()
    run = caught.value.run
    assert run.student is student and len(run.history) == 5 and not run.finished
    assert all(p.isfinite().all() for p in student.parameters())
    assert len(read_checkpoint(path)['history']) == 4       # the last good one
    with pytest.raises(NotFinite, match='turn 6.*no checkpoint'): poisoned()[1]()


# --- what is recorded

@pytest.mark.parametrize('steps', [1, 2, 99, 100, 101, 199, 203])
def test_a_trace_is_about_a_hundred_frames(steps):
    probe = jobs.images(4)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    data = jobs.images(8)
    run = train_student(jobs.teacher(), net, data, batch_size=1, epochs=steps/8, trace=probe, progress=False)
    frames = run.trace['step'].tolist()
    assert frames[0] == 0 and frames[-1] == run.steps['student'] == steps
    assert min(steps, 50) <= len(frames) <= 102 and frames == sorted(set(frames))
    assert run.trace['images'].shape == (len(frames), 4, 1, 8, 8) and run.trace['images'].dtype == torch.uint8


def test_a_trace_says_what_both_models_say():
    run = learned(trace=True, temperature=2.)
    student, teacher = run.student.eval(), copy.deepcopy(run.teacher).eval()
    with torch.no_grad():
        hard_x = Batch(run.trace['x'], run.trace['y'], (0, 2)).augmented(run.augmentor)
        said, told = student(hard_x), teacher(hard_x)
    assert torch.allclose(run.trace['images'][-1].float()/255, hard_x, atol=1/255)
    assert torch.allclose(run.trace['student'][-1].float()/255, said.softmax(1), atol=1/255)
    assert torch.allclose(run.trace['teacher'][-1].float()/255, told.softmax(1), atol=1/255)
    assert torch.allclose(run.trace['disagreement'][-1], disagreement(said, told, 2.), atol=1e-5)   # the run's temperature
    assert torch.allclose(run.trace['widths'][-1], torch.stack([*run.augmentor.widths().values()]))
    assert len(run.trace['widths']) == len(run.trace['step']) and run.trace['classes'] == jobs.images().classes


def test_a_trace_changes_nothing():
    a, b = learned(trace=True), learned(trace=False)
    assert torch.equal(a.student[1].weight, b.student[1].weight) and b.trace is None


def test_history_has_a_row_a_turn():
    run = learned()
    assert [h['turn'] for h in run.history] == [*range(1, len(run.history)+1)]
    assert {'loss', 'accuracy', 'clean', 'hard', 'disagreement', 'seconds', 'step'} <= set(run.history[0])
    for name,steps in run.steps.items(): assert [h['step'] for h in run.history if h['player'] == name] == [*range(1, steps+1)]


# --- the parts

def turns_of(referee, seen, names=('student','augmentor')):
    "Initials of those who play when the turns show these disagreements."
    played = ''
    for disagreement in seen:
        played += referee.next(names)[0]
        referee.saw(disagreement)
    return played


def test_referee_keeps_to_its_marks_and_caps():
    marks = dict(low=1., high=2., student_cap=3, augmentor_cap=2, warmup=4, memory=0.)
    assert turns_of(Referee(**marks), [1.5]*14) == 'ssss' + 'aasss'*2              # between the marks: caps alone
    assert turns_of(Referee(**marks), [0.5]*10) == 'ssss' + 'aasaas'               # under the low mark: the student yields at once
    assert turns_of(Referee(**marks), [9.]*12) == 'ssss' + 'asss'*2                # over the high mark: the augmentor does
    assert turns_of(Referee(**marks), [0.]*9, ['student']) == 's'*9
    slow = Referee(memory=0.5)
    for d in 1., 3., 3.: slow.saw(d)
    assert slow.state['disagreement'] == 2.5                                        # a running mean


def test_student_loss_by_hand():
    data, teacher, student = jobs.images(8), jobs.teacher().eval(), plain().eval()
    logits = teacher(data.x)
    batch = Batch(data.x, data.y, (0, 1, 0), teacher_logits=logits)
    hard_x = batch.augmented(SpatialAugmentor(widths=0.3))
    loss, terms = StudentLoss(teacher, SpatialAugmentor(widths=0.3), 2., kd_weight=3., label_weight=0.5)(student, batch)
    clean, hard_ = (disagreement(student(x), teacher(x), 2.).mean() for x in (data.x, hard_x))
    labels = sum(nn.functional.cross_entropy(student(x), data.y) for x in (data.x, hard_x))/2
    torch.testing.assert_close(loss, 3*(clean+hard_)/2 + 0.5*labels)
    torch.testing.assert_close(terms['disagreement'], hard_.detach())


def test_seeds_differ():
    seeds = {seed_of(a, b, c) for a in range(5) for b in range(5) for c in range(40)}
    assert len(seeds) == 1000 and all(0 <= s < 2**63 for s in seeds)


def test_every_image_is_seen_once_an_epoch():
    seen = []
    class Watching(StudentLoss):
        def __call__(self, student, batch):
            seen.append(batch.x[:,0,0,0])
            assert torch.allclose(batch.teacher_logits, teacher(batch.x), atol=1e-5)
            return super().__call__(student, batch)
    teacher, data = jobs.teacher(), jobs.images()
    play([Player('student', plain(), Watching(teacher))], data, teacher, epochs=2, **QUICK)
    first, second = torch.cat(seen[:6]), torch.cat(seen[6:])
    assert not torch.equal(first, second)
    for epoch in first, second: assert torch.equal(epoch.sort().values, data.x[:,0,0,0].sort().values)


def test_fit_learns_the_labels():
    data, model = jobs.images(), plain()
    run = fit(model, data, epochs=30, **QUICK)
    assert run.history[-1]['accuracy'] > 0.9 and run.teacher is None


# --- checkpoints that will not do

@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('runs')/'deep'/'run.pt'          # folders are made
    kd(checkpoint=path)
    return path


def test_a_checkpoint_is_small_and_unpickles_nothing(checkpoint):
    saved = read_checkpoint(checkpoint)
    assert set(saved) == {'settings', 'history', 'states', 'answers'} and not [*checkpoint.parent.glob('.*.part')]


@pytest.mark.parametrize('change, named', [
    (dict(seed=1), 'seed = 0'), (dict(epochs=3), 'steps = 12'), (dict(batch_size=8), 'batch_size = 16'), (dict(precision='bf16'), 'precision = no'),
    (dict(temperature=2.), "student's loss"), (dict(label_weight=1.), "student's loss"), (dict(referee=Referee(low=0.1)), 'referee = '),
    (dict(optimiser=torch.optim.SGD), 'Adam')], ids=lambda v: '-'.join(v) if isinstance(v, dict) else '')
def test_a_checkpoint_of_other_options(checkpoint, change, named):
    with pytest.raises(ValueError, match=f'resume: got a run with .*{named}.* as in this call'): kd(resume=checkpoint, **change)


@pytest.mark.parametrize('change', ['teacher', 'data', 'student', 'layers', 'player'])
def test_a_checkpoint_of_other_things(checkpoint, change):
    teacher, student, data = jobs.teacher(), plain(), jobs.images()
    if change == 'teacher': teacher[-1].bias.data += 1
    if change == 'data': data = Images(data.x.flip(3), data.y)
    if change == 'student': student = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    if change == 'layers': student = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Identity(), nn.Linear(16, 4))
    with pytest.raises(ValueError, match='resume: got'):
        if change == 'player': hard.distill(teacher, student, data, augmentor=SpatialAugmentor(), epochs=2, resume=checkpoint, **QUICK)
        else: train_student(teacher, student, data, epochs=2, resume=checkpoint, **QUICK)


@pytest.mark.parametrize('content', ['nothing', 'text', 'half', 'weights', 'list', 'pickle'])
def test_a_file_that_is_no_checkpoint(checkpoint, tmp_path, content):
    path = tmp_path/'run.pt'
    if content == 'text': path.write_text('hello')
    if content == 'half': path.write_bytes(checkpoint.read_bytes()[:3000])
    if content == 'weights': torch.save(plain().state_dict(), path)
    if content == 'list': torch.save([1, 2], path)
    if content == 'pickle': torch.save(plain(), path)
    before = path.read_bytes() if path.exists() else None
    why = 'is not there' if content == 'nothing' else 'cannot be read'
    with pytest.raises(ValueError, match=f'resume: got .*run.pt.*{why}'): kd(resume=path)
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_checkpoint_that_cannot_be_written(tmp_path):
    (tmp_path/'file').write_text('')
    for path in tmp_path, tmp_path/'file'/'run.pt', Path(os.devnull)/'run.pt':
        student = plain()
        before = state(student)
        with pytest.raises(ValueError, match='checkpoint: got .*files that can be written'):
            train_student(jobs.teacher(), student, jobs.images(), checkpoint=path, epochs=1, **QUICK)
        assert jobs.same(before, state(student))                   # found before the work
    assert sorted(p.name for p in tmp_path.iterdir()) == ['file'] and not [*tmp_path.parent.glob('.*.part')]


# --- bad input

class Endless(IterableDataset):
    def __iter__(self): return iter(jobs.images())


def shared():
    teacher = jobs.teacher()
    return train_student(teacher, nn.Sequential(teacher[:4], nn.Flatten(), nn.Linear(144, 4)), jobs.images(), **QUICK)


def labels_beyond():
    images = [(x, 7 if i == 80 else int(y)) for i,(x,y) in enumerate(jobs.images())]
    return train_student(jobs.teacher(), plain(), DataLoader(images, 8), epochs=1, progress=False)


def whites_beyond():
    images = [(2*x if i == 80 else x, int(y)) for i,(x,y) in enumerate(jobs.images())]
    return train_student(jobs.teacher(), plain(), DataLoader(images, 8), epochs=1, progress=False)


def played_before():
    player = Player('student', plain(), StudentLoss(jobs.teacher()))
    for _ in range(2): play([player], jobs.images(), jobs.teacher(), epochs=1, **QUICK)


BAD = dict(
    epochs_zero=(lambda: kd(epochs=0), ValueError, 'epochs: got 0'),
    epochs_nan=(lambda: kd(epochs=float('nan')), ValueError, 'epochs: got nan'),
    epochs_text=(lambda: kd(epochs='3'), TypeError, "epochs: got '3'"),
    batch_size=(lambda: kd(batch_size=0), ValueError, 'batch_size: got 0'),
    batch_size_half=(lambda: kd(batch_size=2.5), TypeError, 'batch_size: got 2.5'),
    seed=(lambda: kd(seed=-1), ValueError, 'seed: got -1'),
    checkpoint_every=(lambda: kd(checkpoint_every=0), ValueError, 'checkpoint_every: got 0'),
    precision=(lambda: kd(precision='fp61'), ValueError, "precision: got 'fp61'.*did you mean"),
    trace=(lambda: kd(trace=5), TypeError, 'trace: got int'),
    temperature=(lambda: kd(temperature=0), ValueError, 'temperature: got 0'),
    kd_weight=(lambda: kd(kd_weight=-1), ValueError, 'kd_weight: got -1'),
    no_loss=(lambda: kd(kd_weight=0), ValueError, 'nothing to learn from'),
    no_loss_without_teacher=(lambda: train_student(None, plain(), jobs.images()), ValueError, 'nothing to learn from'),
    data_array=(lambda: train_student(jobs.teacher(), plain(), np.zeros(3)), TypeError, 'data: got ndarray'),
    data_empty=(lambda: train_student(jobs.teacher(), plain(), DataLoader([], 4)), ValueError, 'no images'),
    data_endless=(lambda: train_student(jobs.teacher(), plain(), DataLoader(Endless(), 4)), ValueError, 'data: got a loader without a length'),
    labels=(lambda: train_student(jobs.teacher(), plain(), Images(jobs.images().x, jobs.images().y+4)), ValueError, 'data: got labels from 4 to 7'),
    labels_late=(labels_beyond, ValueError, 'data: got labels from'),
    images_late=(whites_beyond, ValueError, 'data: got values in'),
    teacher_text=(lambda: train_student('resnet', plain(), jobs.images()), TypeError, 'teacher: got str'),
    student_none=(lambda: train_student(jobs.teacher(), None, jobs.images()), TypeError, 'student: got NoneType'),
    student_frozen=(lambda: train_student(jobs.teacher(), plain().requires_grad_(False), jobs.images()), ValueError, 'student: got a module without'),
    student_is_teacher=(lambda: (lambda t: train_student(t, t, jobs.images()))(jobs.teacher()), ValueError, 'student: got a model with parts of the teacher'),
    student_shares=(shared, ValueError, 'student: got a model with parts of the teacher'),
    classes=(lambda: train_student(jobs.teacher(5), plain(), jobs.images()), ValueError, 'teacher, student: got 5 classes and 4 classes'),
    image_size=(lambda: train_student(jobs.teacher(), nn.Sequential(nn.Flatten(), nn.Linear(9, 4)), jobs.images()), ValueError, 'student: got .* on images'),
    augmentor_text=(lambda: kd(augmentor='flip'), TypeError, 'augmentor: got str'),
    augmentor_alone=(lambda: kd(augmentor=SpatialAugmentor()), ValueError, 'augmentor: got one that learns'),
    augmentor_beyond=(lambda: kd(augmentor=lambda image: 3*image), ValueError, 'augmentor: got values in'),
    optimiser=(lambda: kd(optimiser=torch.optim.Adam(plain().parameters())), TypeError, 'optimiser: got Adam'),
    referee=(lambda: kd(referee='fair'), TypeError, 'referee: got str'),
    nobody=(lambda: play([], jobs.images()), ValueError, 'players: got'),
    no_student=(lambda: play([Player('augmentor', plain(), StudentLoss(jobs.teacher()))], jobs.images()), ValueError, "players: got .'augmentor'"),
    played_before=(played_before, ValueError, 'student: got a player of an earlier run'),
    low=(lambda: Referee(low=-1), ValueError, 'low: got -1'),
    high=(lambda: Referee(low=2, high=1), ValueError, 'high: got 1'),
    cap=(lambda: Referee(augmentor_cap=0), ValueError, 'augmentor_cap: got 0'),
    warmup=(lambda: Referee(warmup=1.5), TypeError, 'warmup: got 1.5'),
    memory=(lambda: Referee(memory=2), ValueError, 'memory: got 2'),
)


@pytest.mark.parametrize('name', BAD)
def test_bad_input(name):
    function, kind, match = BAD[name]
    with pytest.raises(kind, match=match): function()


def test_what_learns_along_is_held_too():
    "The part of a loss that learns: trained by the student's optimiser, held while others play, kept in checkpoints."
    net, along = nn.Linear(3, 2), nn.Linear(2, 2)
    player = Player('student', net, None, lambda p: torch.optim.SGD(p, .1), loss_module=along)
    assert {id(p) for g in player.optimiser.param_groups for p in g['params']} == {id(p) for m in (net, along) for p in m.parameters()}
    player.ready(False)
    assert not any(p.requires_grad for p in along.parameters()) and not along.training
    player.ready(True)
    assert all(p.requires_grad for p in along.parameters()) and along.training
    player.schedule = player.make_schedule(player.optimiser, 3)
    kept = copy.deepcopy(player.state_dict())
    with torch.no_grad(): along.weight.zero_()
    player.load_state_dict(kept)
    assert along.weight.abs().max() > 0


# --- what users really bring

class Writes(nn.Module):
    "Normalises in place, as some published models do."
    def __init__(self, inplace=True):
        super().__init__()
        torch.manual_seed(2)
        self.inplace, self.model = inplace, hardkd.mlp(hidden=(8,))

    def forward(self, x): return self.model(x.mul_(.5) if self.inplace else x*.5)


class Aux(nn.Module):
    "Two outputs while it trains, as GoogLeNet and Inception."
    def __init__(self):
        super().__init__()
        self.model = hardkd.mlp(hidden=(8,))

    def forward(self, x): return (self.model(x),)*2 if self.training else self.model(x)


class Extra(Writes):
    "A state that holds more than tensors."
    def get_extra_state(self): return dict(version=1)
    def set_extra_state(self, state): pass


X, Y = torch.rand(48, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(48) % 10
TINY = dict(progress=False, epochs=1, batch_size=16, seed=0)


def tiny(): return hardkd.mlp(hidden=(8,))


def learn(student=None, data=None, teacher=None, **options):
    torch.manual_seed(1)
    return hardkd.distill(teacher or tiny(), student or tiny(), data or Images(X, Y), **TINY | options)


def test_predict_leaves_the_images_alone():
    x = X.clone()
    assert torch.equal(hardkd.predict(Writes(), x), hardkd.predict(Writes(False), X)) and torch.equal(x, X)


@pytest.mark.parametrize('what, message', [
    (dict(teacher=Writes()), 'teacher: got a model that writes into its input'), (dict(student=Writes()), 'student: got a model that writes'),
    (dict(student=Aux()), r'student: got in train\(\) an output of type tuple'),
    (dict(data=TensorDataset(X, Y)), r'data: got TensorDataset.*in_memory\(data\)'),
    (dict(data=DataLoader([dict(image=x, label=y) for x, y in zip(X, Y)], 16)), "a dict of 'image', 'label', allowed are pairs"),
    (dict(data=DataLoader(TensorDataset(X[:17], Y[:17]), 16), student=hardkd.shift_cnn()), 'last batch of one image.*drop_last=True'),
    (dict(optimizer=torch.optim.SGD), "did you mean 'optimiser'"), (dict(epoch=3), "did you mean 'epochs'"),
    (dict(schedule=lambda o, n: torch.optim.lr_scheduler.ReduceLROnPlateau(o)), 'schedule: got ReduceLROnPlateau'),
    (dict(optimiser=torch.optim.LBFGS), 'optimiser: got LBFGS'),
    (dict(augmentor=hardkd.SpatialAugmentor), r'augmentor: got the class SpatialAugmentor, allowed are an object: SpatialAugmentor\(\)'),
    (dict(augmentor=v2.RandomCrop(24)), r'augmentor: got one that makes \(1, 24, 24\) of \(1, 28, 28\)'),
    (dict(augmentor=hardkd.HardDraws(tiny(), hardkd.SpatialAugmentor()).fixed()), 'augmentor: got HardDraws of another student')])
def test_what_is_refused_before_the_work(what, message):
    with pytest.raises((ValueError, TypeError), match=message): learn(**what)


def test_teachers_that_were_refused_before():
    a, b = learn(teacher=Extra(False)), learn(teacher=Writes(False))
    for run in b, learn(teacher=torch.jit.script(tiny())): assert run.finished
    assert all(torch.equal(p, q) for p, q in zip(a.student.parameters(), b.student.parameters()))


def test_frozen_statistics_stay():
    student = hardkd.shift_cnn(widths=(4, 8))
    student[2].requires_grad_(False).eval()
    frozen, learned = student[2].running_mean.clone(), student[6].running_mean.clone()
    learn(student)
    assert torch.equal(student[2].running_mean, frozen) and not torch.equal(student[6].running_mean, learned)
    student.eval()
    learn(student)                       # a model that came in eval() trains all the same, but for what is frozen
    assert torch.equal(student[2].running_mean, frozen) and not student.training


@pytest.mark.parametrize('how', [
    lambda: dict(optimiser=partial(torch.optim.Adam, lr=np.logspace(-4, -2, 3)[1])),
    lambda: dict(augmentor=hardkd.SpatialAugmentor(.1), augmentor_lr=np.float64(.02)),
    lambda: dict(augmentor=hardkd.SpatialAugmentor(.1), referee=hardkd.Referee(memory=np.float64(.9)))])
def test_numbers_of_numpy_resume(how, tmp_path):
    learn(checkpoint=tmp_path/'run.pt', **how())
    assert learn(resume=tmp_path/'run.pt', **how()).finished


def test_small_labels_no_grad_and_the_environment_change_nothing(monkeypatch):
    plain = learn(data=DataLoader(TensorDataset(X, Y), 16), label_weight=1.)
    small = learn(data=DataLoader(TensorDataset(X, Y.int()), 16), label_weight=1.)
    with torch.no_grad(): off = learn(data=DataLoader(TensorDataset(X, Y), 16), label_weight=1.)
    monkeypatch.setenv('ACCELERATE_GRADIENT_ACCUMULATION_STEPS', '3')
    often = learn(data=DataLoader(TensorDataset(X, Y), 16), label_weight=1.)
    for other in small, off, often:
        assert all(torch.equal(p, q) for p, q in zip(plain.student.parameters(), other.student.parameters()))


def test_a_distributed_sampler_shuffles_each_epoch():
    seen = []
    class Noting(TensorDataset):
        def __getitem__(self, i):
            seen.append(i)
            return super().__getitem__(i)
    data = Noting(X, Y)
    learn(data=DataLoader(data, 16, sampler=DistributedSampler(data, 1, 0)), epochs=2)
    assert sorted(seen[-48:]) == sorted(seen[-96:-48]) == list(range(48)) and seen[-96:-48] != seen[-48:]


def test_a_loader_that_ends_early_is_named():
    class Short(IterableDataset):
        def __len__(self): return 48
        def __iter__(self): return iter(list(zip(X, Y))[:32])
    with pytest.raises(ValueError, match='data: got a loader that says 3 batches and brought 2'): learn(data=DataLoader(Short(), 16))


def test_what_was_learned_hangs_on_the_error():
    class Breaks(TensorDataset):
        def __getitem__(self, i):
            if i == 80: raise OSError('truncated picture')
            return super().__getitem__(i)
    with pytest.raises(OSError, match='truncated') as caught: learn(data=DataLoader(Breaks(X.repeat(2, 1, 1, 1), Y.repeat(2)), 16))
    assert caught.value.run.steps == dict(student=5) and not caught.value.run.finished
