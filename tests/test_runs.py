"Recorded runs: what is kept of a run, that views take it as they take a fresh one, that files are looked at before they are read."
import copy, json, zlib
from pathlib import Path
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
import hardkd
from hardkd import cli, digits
from hardkd.core.assets import add_to_manifest, read_manifest
from hardkd.experiments import runs
from hardkd.experiments.runs import build_runs, Game, GAMES, play_recorded, recorded, recorded_folder, recorded_names, save_run
from hardkd.train import Referee

TINY = dict(
    game=Game(lambda: dict(augmentor=hardkd.SpatialAugmentor(), epochs=80, batch_size=64, trace=True, referee=Referee(warmup=2, student_cap=2), seed=3), 64),
    plain=Game(lambda: dict(epochs=1, batch_size=32, seed=0), 64, first=1),
    fixed=Game(lambda: dict(augmentor=hardkd.SpatialAugmentor(.1).fixed(), epochs=1, batch_size=32), 64))


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    "A folder of recorded runs, and the runs themselves."
    folder, fresh, play = tmp_path_factory.mktemp('runs'), {}, runs.play_recorded
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, 'GAMES', GAMES | TINY)
        patch.setattr(runs, 'play_recorded', lambda name, **options: fresh.setdefault(name, play(name, **options)))
        build_runs(folder, list(TINY), progress=False)
        yield folder, fresh


@pytest.fixture
def both(built):
    folder, fresh = built
    return fresh['game'], recorded('game', folder)


def test_what_learned_comes_back(built):
    folder, fresh = built
    for name, run in fresh.items():
        again = recorded(name, folder)
        state = again.student.state_dict()
        assert all(torch.equal(v.half().float(), state[k]) for k, v in run.student.state_dict().items()) and not again.student.training
        assert (again.seed, again.steps, again.finished) == (run.seed, run.steps, True) and again.seconds == run.seconds
        assert (again.augmentor is None) == (run.augmentor is None) and (again.bound is None) == (run.bound is None) and (again.trace is None) == (run.trace is None)
        assert again.describe() == run.describe()


def test_the_game_comes_back(both):
    run, again = both
    assert torch.equal(run.augmentor.raw_widths, again.augmentor.raw_widths) and run.bound.reading == again.bound.reading
    assert {k: v.item() for k, v in run.bound.named_buffers()} == {k: v.item() for k, v in again.bound.named_buffers()}
    assert all(torch.equal(v, again.teacher.state_dict()[k]) for k, v in run.teacher.state_dict().items())


def test_a_history_comes_back(both):
    run, again = both
    assert [list(row) for row in again.history] == [list(row) for row in run.history]
    for a, b in zip(run.history, again.history): assert a == {**b, 'seconds': pytest.approx(b['seconds'], rel=1e-6)}


def thinned(run, again):
    "A run's trace at the moments of the recorded one, of the images of the recorded one; and which moments these are."
    rows = [run.trace['step'].tolist().index(step) for step in again.trace['step'].tolist()]
    images = [next(i for i, x in enumerate(run.trace['x']) if torch.equal(x, wanted)) for wanted in again.trace['x']]
    part = {k: v[images] if k in ('x', 'y', 'noise') else v if k == 'classes' else v[rows] for k, v in run.trace.items()}
    return part | {k: part[k][:, images] for k in ('images', 'teacher', 'student', 'disagreement', 'right')}, rows


def test_a_trace_is_thinned_to_its_first_its_last_and_some_between(both):
    run, again = both
    assert len(run.trace['step']) > len(again.trace['step']) == 50 and run.trace['images'].shape[1] == 64
    assert set(run.trace) == set(again.trace) and run.trace['classes'] == again.trace['classes']
    thin, rows = thinned(run, again)
    assert all(torch.equal(thin[name], again.trace[name]) for name in thin if name != 'classes')
    assert len(again.trace['x']) == 40 and rows[0] == 0 and rows[-1] == len(run.trace['step']) - 1 and max(b-a for a, b in zip(rows, rows[1:])) <= 2


VIEWS = dict(
    HardScrub=lambda run, some: hardkd.HardScrub(run),
    LossLedger=lambda run, some: hardkd.LossLedger(run),
    AugmentorCloud=lambda run, some: hardkd.AugmentorCloud(run),
    DisagreementMap=lambda run, some: hardkd.DisagreementMap(run.teacher, run.student, some, run),
    ShiftMap=lambda run, some: hardkd.ShiftMap(run.teacher, run.student, some, max_shift=2))


@pytest.mark.parametrize('name', VIEWS)
def test_a_view_takes_a_recorded_run_as_a_fresh_one(both, name):
    "The fresh one with the same student and the same moments."
    fresh, again = both
    fresh = copy.copy(fresh)
    fresh.student = copy.deepcopy(fresh.student).eval()
    fresh.student.load_state_dict({k: v.half().float() for k, v in fresh.student.state_dict().items()})
    fresh.trace, _ = thinned(fresh, again)
    one, two = (VIEWS[name](run, digits()[1].subset(12)) for run in (fresh, again))
    assert one.describe() == two.describe()
    assert one.to_frame() == two.to_frame()


# --- what ships

def test_every_game_ships_with_its_run():
    assert recorded_names() == sorted(GAMES)
    folder = Path(recorded_folder())
    assert sum(len(zlib.compress(path.read_bytes())) for path in folder.glob('*.safetensors')) <= 3_000_000
    for name in recorded_names():
        run = recorded(name)
        assert run.steps['student'] == sum(row['player'] == 'student' for row in run.history) > 0
        assert all(p.isfinite().all() for p in run.student.parameters())


def test_names_are_checked():
    with pytest.raises(ValueError, match="name: got 'hrad'.*did you mean 'hard'"): recorded('hrad')
    with pytest.raises(ValueError, match="name: got 'hrad'"): play_recorded('hrad')
    with pytest.raises(ValueError, match="names: got 'hrad'"): build_runs('nowhere', ['hrad'])


@pytest.mark.slow
@pytest.mark.parametrize('name', ['kd', 'thirty_times'])
def test_played_anew_it_is_the_recorded_run(name):
    "Turn by turn: machines round differently, and what that changes grows, so the first turns are compared closely and the end by what it can do."
    old, new, test = recorded(name), play_recorded(name, progress=False), digits()[1]
    assert [row['player'] for row in old.history] == [row['player'] for row in new.history]
    for a, b in zip(old.history[:20], new.history[:20]): assert a['loss'] == pytest.approx(b['loss'], rel=1e-3)
    assert hardkd.accuracy(old.student, test) == pytest.approx(hardkd.accuracy(new.student, test), abs=.02)


# --- files from somewhere

def changed(folder, change):
    "The game's file, changed, with a manifest that vouches for it."
    path = folder/'game.safetensors'
    with safe_open(path, 'pt') as file: head = file.metadata()
    tensors, line = load_file(path), read_manifest(folder)[path.name]
    change(tensors)
    save_file(tensors, path, head)
    add_to_manifest(path, line['recipe'], line['licence'], line['source'], line['seed'], bounded=line['bounded'])


@pytest.mark.parametrize('change, message', [
    (lambda t: t.update({'student.1.weight': torch.zeros(64, 9)}), r'game.safetensors: got student.1.weight of shape \(64, 9\), allowed are shape \(64, 784\)'),
    (lambda t: t.pop('augmentor.raw_widths'), 'got augmentor.raw_widths of shape None'),
    (lambda t: t.update({'secret.weight': torch.zeros(3)}), r'got secret.weight of shape \(3,\), allowed are shape None'),
    (lambda t: t.update({'trace.images': torch.zeros(5_000_000, dtype=torch.uint8)}), r'got trace.images of shape \(5000000,\), allowed are up to 4,000,000'),
    (lambda t: t.update({'history.student': torch.zeros(2_100, 2_000)}), 'got history.student of shape')])
def test_a_file_is_looked_at_before_it_is_read(built, tmp_path, monkeypatch, change, message):
    for path in built[0].iterdir(): (tmp_path/path.name).write_bytes(path.read_bytes())
    changed(tmp_path, change)
    read = []
    class Watched:
        def __init__(self, *given): self.file = safe_open(*given)
        def __enter__(self): return self
        def __exit__(self, *given): pass
        def __getattr__(self, name):
            if name == 'get_tensor': read.append(name)
            return getattr(self.file, name)
    monkeypatch.setattr(runs, 'safe_open', Watched)
    with pytest.raises(ValueError, match=message): recorded('game', tmp_path)
    assert not read


def test_a_damaged_file_is_refused(built, tmp_path):
    for path in built[0].iterdir(): (tmp_path/path.name).write_bytes(path.read_bytes())
    path = tmp_path/'plain.safetensors'
    path.write_bytes(path.read_bytes()[:-1] + b'?')
    with pytest.raises(ValueError, match='sha256'): recorded('plain', tmp_path)


def test_the_command_records(tmp_path, monkeypatch, built):
    monkeypatch.setattr(runs, 'play_recorded', lambda name, **options: built[1]['plain'])
    monkeypatch.setattr(runs, 'GAMES', GAMES | dict(kd=TINY['plain']))
    assert cli.main(['record', str(tmp_path), '--quiet', '--names', 'kd']) == 0
    line = json.loads((tmp_path/'manifest.json').read_text())['kd.safetensors']
    assert line['recipe'] == 'hardkd record FOLDER' and line['licence'] == 'Apache-2.0' and line['bounded'] is False
    assert recorded('kd', tmp_path).steps == built[1]['plain'].steps
