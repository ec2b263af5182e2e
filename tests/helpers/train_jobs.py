"""Small runs that test_train.py starts in processes of their own.

`python train_jobs.py kill SEED FOLDER`   kill runs with SIGKILL at random steps, resume them, compare the final weights
`python train_jobs.py launch FOLDER`      a run, two processes of a notebook's launcher, a run
`python train_jobs.py pair FOLDER`        play on this process, or on those that torch.distributed.run started; write the weights
"""
import json, os, random, signal, sys
from functools import partial
from pathlib import Path
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from safetensors.torch import load_file, save_file
from hardkd.data import Images
from hardkd.hard import distill
from hardkd.spatial import SpatialAugmentor
from hardkd.train import Referee


def images(n=96, classes=4):
    "Noisy pictures of 8 x 8, one bright corner a class."
    chance = torch.Generator().manual_seed(0)
    y = torch.arange(n) % classes
    x = 0.5*torch.rand(n, 1, 8, 8, generator=chance)
    for c in range(classes): x[y==c, :, 4*(c//2):4*(c//2)+4, 4*(c%2):4*(c%2)+4] += 0.5
    return Images(x, y)


def seeded(make):
    "Models are drawn from a seed of their own, and the global random state stays what it is."
    def made(*args, seed=1, **kwargs):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return make(*args, **kwargs)
    return made


@seeded
def teacher(classes=4):
    "A teacher with opinions: its logits are several units apart. BatchNorm and dropout, to see that they are held."
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, classes))
    with torch.no_grad(): net[-1].weight *= 8
    return net


@seeded
def student(classes=4, noisy=True):
    "One with BatchNorm and dropout, or a plain one."
    extra = [nn.BatchNorm1d(16), nn.Dropout(0.3)] if noisy else []
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), *extra, nn.Tanh(), nn.Linear(16, classes))


class Jittery(Dataset):
    "Images that a transform of torchvision changes each time they are fetched."
    def __init__(self): self.images, self.jitter = images(90), v2.RandomAffine(20, (0.2,0.2))
    def __len__(self): return len(self.images)
    def __getitem__(self, i):
        x,y = self.images[i]
        return (self.jitter(x) + 0.1*random.random()).clamp(0, 1), y    # draws from torch's and from Python's chance


REFEREE = dict(low=0.5, high=3., warmup=5, student_cap=4)
OPTIONS = dict(seed=3, progress=False)


def play(name, referee=Referee, **options):
    "One of the runs; `options` are those of the checkpoint."
    options = OPTIONS | options
    learned = dict(augmentor=SpatialAugmentor(), referee=referee(**REFEREE))
    loader = partial(DataLoader, Jittery(), 16, shuffle=True)
    if name == 'memory': return distill(teacher(), student(), images(), batch_size=16, epochs=6, trace=True, **learned, **options)
    if name == 'loader': return distill(teacher(), student(), loader(), epochs=4, trace=True, label_weight=1., **learned, **options)
    if name == 'generator':
        return distill(teacher(), student(), loader(generator=torch.Generator().manual_seed(9)), epochs=3, referee=referee(), **options)
    if name == 'workers':
        many = loader(num_workers=2, persistent_workers=True)
        with torch.random.fork_rng(): next(iter(many))      # its workers are alive, and somewhere in their chance
        return distill(teacher(), student(), many, epochs=3, augmentor=v2.RandomAffine(10, (0.1,0.1)), referee=referee(), **options)
    if name == 'bf16':
        return distill(teacher(), student(), images(), batch_size=16, epochs=3, precision='bf16', **learned, **options)


def weights(run):
    "All that a run ends with, by name."
    found = {f'student.{k}': v for k,v in run.student.state_dict().items()}
    if isinstance(run.augmentor, nn.Module): found |= {f'augmentor.{k}': v for k,v in run.augmentor.state_dict().items()}
    if run.trace: found |= {f'trace.{k}': v for k,v in run.trace.items() if k != 'classes'}
    return {k: v.contiguous() for k,v in found.items()}


def same(a, b): return set(a) == set(b) and all(torch.equal(a[k], b[k]) for k in a)


def in_child(function):
    "Run in a process of its own; the signal that ended it, or 0."
    child = os.fork()
    if child == 0:
        try: function()
        except BaseException: sys.excepthook(*sys.exc_info()); os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, 'the child failed'
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def killer(turn):
    "A referee that kills its process after a turn."
    class Killer(Referee):
        def saw(self, disagreement):
            super().saw(disagreement)
            if self.state['turns'] == turn: os.kill(os.getpid(), signal.SIGKILL)
    return Killer


def kill_while_saving(name, path, turn):
    "Kill when a checkpoint is written but not yet in its place."
    replace, saves = os.replace, []
    def die(*args):
        saves.append(1)
        if len(saves) == turn: os.kill(os.getpid(), signal.SIGKILL)
        replace(*args)
    os.replace = die
    play(name, checkpoint=path, checkpoint_every=3, **(dict(resume=path) if path.exists() else {}))


def killed(name, chance, kills, folder):
    "A run killed so many times at random steps, and resumed each time, beside one that nobody touched."
    def whole():
        run = play(name)
        save_file(weights(run), folder/f'{name}-whole.safetensors')
        (folder/f'{name}-turns').write_text(str(len(run.history)))
    assert in_child(whole) == 0
    turns, path = int((folder/f'{name}-turns').read_text()), folder/f'{name}.pt'
    steps = sorted(chance.sample(range(1, turns), kills))
    for step in steps:
        resume = dict(resume=path) if path.exists() else {}
        assert in_child(lambda: play(name, killer(step), checkpoint=path, checkpoint_every=7, **resume)) == signal.SIGKILL, step
    if kills > 4: assert in_child(lambda: kill_while_saving(name, path, 2)) == signal.SIGKILL
    def rest(): save_file(weights(play(name, resume=path)), folder/f'{name}-rest.safetensors')
    assert in_child(rest) == 0
    whole, rest = (load_file(folder/f'{name}-{part}.safetensors') for part in ('whole','rest'))
    return dict(turns=turns, killed_at=steps, same=same(whole, rest))


def pair(folder):
    "Runs without dropout or BatchNorm in the student: on several processes they must do what one does."
    rank, world = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
    options = dict(batch_size=16, epochs=4, **OPTIONS)
    ordered = DataLoader(images(), 16, shuffle=True)
    runs = dict(learned=distill(teacher(), student(noisy=False), images(), augmentor=SpatialAugmentor(), referee=Referee(**REFEREE), **options),
                fixed=distill(teacher(), student(noisy=False), images(), augmentor=v2.RandomAffine(20, (0.2,0.2)), **options),
                loader=distill(teacher(), student(noisy=False), ordered, epochs=4, **OPTIONS),
                jitter=distill(teacher(), student(noisy=True), DataLoader(Jittery(), 16, shuffle=True, drop_last=True), epochs=2, **OPTIONS))
    for name,run in runs.items(): save_file(weights(run), Path(folder)/f'{name}-{world}-{rank}.safetensors')
    turns = {name: [h['player'] for h in run.history] for name,run in runs.items()}
    (Path(folder)/f'turns-{world}-{rank}.json').write_text(json.dumps(turns))
    if torch.distributed.is_initialized(): torch.distributed.destroy_process_group()


def of_two(folder):
    "What a notebook's launcher starts twice."
    run = distill(teacher(), student(noisy=False), images(), batch_size=16, epochs=1, **OPTIONS)
    save_file(weights(run), Path(folder)/f"{os.environ['RANK']}.safetensors")


def launch(folder):
    "A run, then a launcher of two processes, then a run again, as in a notebook."
    from accelerate import notebook_launcher
    def alone(name): save_file(weights(distill(teacher(), student(noisy=False), images(), batch_size=16, epochs=1, **OPTIONS)), Path(folder)/name)
    alone('before.safetensors')
    notebook_launcher(of_two, (folder,), num_processes=2)
    alone('after.safetensors')


if __name__ == '__main__':
    torch.set_num_threads(1)
    if sys.argv[1] == 'pair': pair(sys.argv[2])
    elif sys.argv[1] == 'launch': launch(sys.argv[2])
    else:
        chance, folder = random.Random(int(sys.argv[2])), Path(sys.argv[3])
        jobs = dict(memory=5, loader=2, generator=1, workers=2, bf16=1)
        print(json.dumps({name: killed(name, chance, kills, folder) for name,kills in jobs.items()}))
