"Checkpoints and files: damaged ones and those of another run are named, and whoever was to go on is left as it was."
import copy, errno, os, random
from functools import partial
from pathlib import Path
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2
from helpers import train_jobs as jobs
from hardkd.blur import BlurAugmentor
from hardkd.checkpoint import described
from hardkd.core.files import write_whole
from hardkd.data import Images
from hardkd.hard import distill, student_sensitivity
from hardkd.players import Referee
from hardkd.spatial import SpatialAugmentor

QUICK = dict(progress=False, epochs=2, batch_size=16)


def state(model): return {k: v.clone() for k,v in model.state_dict().items()}


class Functional(nn.Module):
    "Its attributes do not say how it calculates."
    def __init__(self, activation):
        super().__init__()
        self.inner, self.outer = nn.Linear(64, 16), nn.Linear(16, 4)
        self._activation = activation
    def forward(self, x): return self.outer(self._activation(self.inner(x.flatten(1))))


def learn(**changed):
    "A run of HARD, or one that differs in what is given."
    given = dict(student=jobs.student(noisy=False), teacher=jobs.teacher(), data=jobs.images(), augmentor=SpatialAugmentor(.1),
                 referee=Referee(**jobs.REFEREE)) | QUICK | changed
    return distill(given.pop('teacher'), given.pop('student'), given.pop('data'), **given)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint')/'run.pt'
    learn(checkpoint=path)
    return path


def as_loader(shuffle, flip=False):
    images = jobs.images()
    return DataLoader(TensorDataset(images.x.flip(3) if flip else images.x, images.y), 16, shuffle=shuffle)


def changed_activation():
    student = jobs.student(noisy=False)
    student[2] = nn.ReLU()
    return student


def changed_teacher():
    teacher = jobs.teacher()
    teacher[2] = nn.ReLU()
    return teacher


OTHERS = {
    "student's activation": lambda: dict(student=changed_activation()),
    "teacher's activation": lambda: dict(teacher=changed_teacher()),
    'objective':            lambda: dict(objective=student_sensitivity),
    'generators':           lambda: dict(augmentor=SpatialAugmentor(.1, ('tx', 'ty'))),
    'starting widths':      lambda: dict(augmentor=SpatialAugmentor(.2)),
    'kind of augmentor':    lambda: dict(augmentor=BlurAugmentor(.1)),
    'no augmentor':         lambda: dict(augmentor=None),
    'learning rate':        lambda: dict(optimiser=partial(torch.optim.Adam, lr=1e-3)),
    "augmentor's rate":     lambda: dict(augmentor_lr=.01),
    'share kept':           lambda: dict(keeps=.9),
    'schedule':             lambda: dict(schedule=None),
    'images':               lambda: dict(data=Images(jobs.images().x.flip(3), jobs.images().y)),
    'trace':                lambda: dict(trace=True)}


@pytest.mark.parametrize('change', OTHERS.values(), ids=OTHERS)
def test_a_call_that_differs_in_one_thing(checkpoint, change):
    given = dict(student=jobs.student(noisy=False)) | change()
    before = state(given['student'])
    with pytest.raises(ValueError, match='resume: got a run with .*as in this call'): learn(resume=checkpoint, **given)
    assert jobs.same(before, state(given['student']))


def test_the_same_call_goes_on(checkpoint):
    assert learn(resume=checkpoint).finished


FIXED = {
    'other widths':     (SpatialAugmentor(.1).fixed(), SpatialAugmentor(.2).fixed()),
    'other transform':  (v2.RandomAffine(10), v2.RandomAffine(20)),
    'left out':         (SpatialAugmentor(.1).fixed(), None),
    'put in':           (None, SpatialAugmentor(.1).fixed())}


@pytest.mark.parametrize('before,after', FIXED.values(), ids=FIXED)
def test_a_fixed_augmentor_is_a_part_of_the_run(before, after, tmp_path):
    learn(augmentor=before, checkpoint=tmp_path/'run.pt')
    with pytest.raises(ValueError, match='resume: got a run with .*as in this call'): learn(augmentor=after, resume=tmp_path/'run.pt')


LOADERS = {'other images': dict(shuffle=True, flip=True), 'shuffle off': dict(shuffle=False)}


@pytest.mark.parametrize('other', LOADERS.values(), ids=LOADERS)
def test_a_loader_is_a_part_of_the_run(other, tmp_path):
    learn(data=as_loader(True), checkpoint=tmp_path/'run.pt')
    with pytest.raises(ValueError, match='resume: got a run with data = .*as in this call'): learn(data=as_loader(**other), resume=tmp_path/'run.pt')


def test_traces_of_other_images_are_not_mixed(tmp_path):
    learn(trace=jobs.images(8), checkpoint=tmp_path/'run.pt')
    with pytest.raises(ValueError, match='trace'): learn(trace=Images(jobs.images(8).x.flip(3), jobs.images(8).y), resume=tmp_path/'run.pt')


def test_a_student_that_calculates_otherwise(tmp_path):
    "Same attributes, same weights, other function: only its answers tell."
    learn(student=Functional(F.relu), checkpoint=tmp_path/'run.pt')
    other = Functional(torch.sin)
    before = state(other)
    with pytest.raises(ValueError, match='resume: got a run whose student answers otherwise'): learn(student=other, resume=tmp_path/'run.pt')
    assert jobs.same(before, state(other))


def damages(content, chance):
    "What may happen to a file: bits that flip, an end that is missing, zeros in the middle, something else at the end."
    n = len(content)
    for _ in range(40):
        at = chance.randrange(n)
        yield content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at+1:]
    for _ in range(20): yield content[:chance.randrange(n)]
    for _ in range(20):
        at = chance.randrange(n)
        yield content[:at] + bytes(64) + b'?' + content[at+65:]
    for _ in range(20): yield content + chance.randbytes(1 + chance.randrange(100))


def test_a_hundred_damaged_checkpoints(checkpoint, tmp_path):
    whole, path = checkpoint.read_bytes(), tmp_path/'run.pt'
    for damaged in damages(whole, random.Random(0)):
        path.write_bytes(damaged)
        student = jobs.student(noisy=False)
        before = state(student)
        with pytest.raises(ValueError, match='resume: got .*cannot be read'): learn(student=student, resume=path)
        assert jobs.same(before, state(student)) and path.read_bytes() == damaged


@pytest.mark.parametrize('path', [3, None.__class__, b'run.pt'], ids=str)
def test_what_is_no_path(path):
    for name in 'checkpoint', 'resume':
        with pytest.raises(TypeError, match=f'{name}: got .*allowed are paths'): learn(**{name: path})


def test_two_runs_on_one_checkpoint(tmp_path):
    "Their unfinished files have names of their own: what stands there is whole at any time."
    path = tmp_path/'run.pt'
    first = learn(checkpoint=path)
    (tmp_path/'.run.pt.0badc0de.part').write_bytes(b'half')       # of the other one
    learn(checkpoint=path)
    assert learn(resume=path).finished and first.finished


# --- files

def full_disk(*_): raise OSError(errno.ENOSPC, 'No space left on device')


def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path/'a.txt'
    write_whole(path, 'before')
    monkeypatch.setattr(Path, 'write_bytes', full_disk)
    with pytest.raises(ValueError, match='a.txt.*No space left.*free some space'): write_whole(path, 'after')
    assert path.read_text() == 'before' and [p.name for p in tmp_path.iterdir()] == ['a.txt']


def test_what_a_killed_process_left_is_removed_later(tmp_path):
    left, fresh = tmp_path/'.a.txt.00000000.part', tmp_path/'.a.txt.11111111.part'
    for part in left, fresh: part.write_bytes(b'half')
    os.utime(left, (0, 0))
    write_whole(tmp_path/'a.txt', 'whole')
    assert {p.name for p in tmp_path.iterdir()} == {'a.txt', fresh.name}


def test_descriptions_are_the_same_in_every_process():
    for thing in jobs.student(), partial(torch.optim.SGD, lr=.1), lambda: 0, v2.RandomAffine(10), Referee(low=.2):
        assert described(thing) == described(copy.deepcopy(thing)) and '0x' not in described(thing)
    assert described(nn.ReLU()) != described(nn.Tanh())
