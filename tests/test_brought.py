"What users bring: models, weights, loaders and augmentors of every kind are served, or refused by name before any work."
import copy, json, threading, warnings
import pytest
import torch, torchvision
from torch import nn
from torch.utils.data import DataLoader, Sampler
from torchvision.transforms import v2
import numpy as np
from hardkd.compose import BatchTransform, Compose
from hardkd.data import Images
from hardkd.experiments.robustness import linear_probe
from hardkd.figures.images import image_grid
from hardkd.hard import distill
from hardkd.icd import ICDTerm
from hardkd.mix import MixAugmentor
from hardkd.models import accuracy, check_models, logits_and_features, predict
from hardkd.run import Batch, FILM, FRAME
from hardkd.spatial import SpatialAugmentor
from hardkd.train import fit
from hardkd.weights import pretrained, save_pretrained
from helpers import train_jobs as jobs

QUICK = dict(progress=False, epochs=1, batch_size=16)


def plain(): return jobs.student(noisy=False)
def state(model): return {k: v.clone() for k,v in model.state_dict().items()}


class Wrapped(nn.Module):
    "Changes what a model gives back."
    def __init__(self, change):
        super().__init__()
        self.model, self._change = plain(), change
    def forward(self, x): return self._change(self.model(x))


class Output:
    "As HuggingFace's models give it."
    def __init__(self, logits): self.logits = logits


def spectral():
    model = plain()
    nn.utils.parametrizations.spectral_norm(model[1])
    return model


def quantised(): return torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear})


SERVED = {'scripted': lambda: torch.jit.script(plain()), 'compiled': lambda: torch.compile(plain(), backend='eager'),
          'data parallel': lambda: nn.DataParallel(plain()), 'spectral norm': spectral}


@pytest.mark.parametrize('make', SERVED.values(), ids=SERVED)
def test_models_that_are_served(make):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        teacher, student = make(), make()
        before = state(teacher)
        run = distill(teacher, student, jobs.images(), **QUICK)
    assert run.finished and jobs.same(before, state(teacher))


@pytest.mark.parametrize('make', [SERVED['data parallel'], spectral], ids=['data parallel', 'spectral norm'])
def test_a_term_on_models_that_are_served(make):
    teacher, student, data = make(), make(), jobs.images()
    run = distill(teacher, student, data, term=ICDTerm(teacher, student, data.x, dim=8), **QUICK)
    assert run.finished and 'contrast' in run.history[-1]


def test_a_quantised_teacher():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        teacher = quantised()
    assert distill(teacher, plain(), jobs.images(), **QUICK).finished
    with pytest.raises(ValueError, match='student: got a module without a parameter that learns'): distill(plain(), teacher, jobs.images(), **QUICK)


REFUSED = {'half':     (lambda: plain().half(), 'torch.float16: model.float'),
           'bfloat16': (lambda: plain().bfloat16(), 'torch.bfloat16: model.float'),
           'double':   (lambda: plain().double(), 'torch.float64: model.float'),
           'meta':     (lambda: plain().to('meta'), 'meta'),
           'tuple':    (lambda: Wrapped(lambda z: (z, z)), 'type tuple'),
           'dict':     (lambda: Wrapped(lambda z: dict(logits=z)), 'type dict'),
           'hugging':  (lambda: Wrapped(Output), r'return self.model\(x\).logits'),
           'NaN':      (lambda: Wrapped(lambda z: z*float('nan')), 'no numbers on'),
           'maps':     (lambda: Wrapped(lambda z: z[:,:,None]), 'shape')}


@pytest.mark.parametrize('make,why', REFUSED.values(), ids=REFUSED)
def test_models_that_are_refused_by_name(make, why):
    data = jobs.images()
    with pytest.raises(ValueError, match=f'teacher: got .*{why}'): distill(make(), plain(), data, **QUICK)
    with pytest.raises(ValueError, match=f'student: got .*{why}'): distill(plain(), make(), data, **QUICK)
    with pytest.raises(ValueError, match=f'teacher: got .*{why}'): ICDTerm(make(), plain(), data.x)
    with pytest.raises(ValueError, match=f'model: got .*{why}'): accuracy(make(), data)


def test_a_lazy_student_is_asked_to_see_an_image():
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    with pytest.raises(ValueError, match=r'student: got a lazy model.*model\(x\[:1\]\)'): distill(plain(), lazy, jobs.images(), **QUICK)
    lazy(jobs.images().x[:1])
    assert distill(plain(), lazy, jobs.images(), **QUICK).finished


def test_probabilities_are_noticed():
    with pytest.warns(UserWarning, match='teacher: its rows sum to 1'): check_models(Wrapped(lambda z: z.softmax(1)), plain(), jobs.images().x)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        check_models(plain(), plain(), jobs.images().x)


def test_images_that_are_no_numbers_do_not_reach_a_teacher():
    teacher, x = jobs.teacher().train(), jobs.images(4).x
    before = state(teacher)
    with pytest.raises(ValueError, match='x: got 1 values that are not finite'): logits_and_features(teacher, x.index_fill(0, torch.tensor([0]), 1).put(torch.tensor([0]), torch.tensor([float('nan')])))
    assert jobs.same(before, state(teacher))


# --- features of other layouts

def test_features_lie_where_the_layer_puts_them():
    swin, x = torchvision.models.swin_t(num_classes=7).eval(), torch.rand(3, 3, 64, 64)
    for layer,width in {'features.0': 96, 'features.1': 96, 'features.1.0.mlp.1': 384, 'features.3': 192, 'norm': 768}.items():
        assert logits_and_features(swin, x, layer)[1].shape == (3, width), layer
    assert ICDTerm(swin, swin, x, teacher_layer='features.3').teacher_place == ['features.3', 1, -1]
    net = torchvision.models.convnext_tiny(num_classes=7).eval()
    assert logits_and_features(net, x, 'features.1')[1].shape == (3, 96)


def test_tokens_that_come_first_are_refused():
    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer = nn.TransformerEncoderLayer(8, 2, 16), nn.Linear(8, 4)
        def forward(self, x): return self.outer(self.inner(x[:,0].transpose(0, 1)).mean(0))
    with pytest.raises(ValueError, match="layer: got 'inner', which returns shape .*the tokens first"): logits_and_features(First(), jobs.images(8).x, 'inner')


# --- weights

class Mine(nn.Module):
    "One that hardkd cannot make."
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 4)
    def forward(self, x): return self.linear(x.flatten(1))


def test_weights_of_ones_own(tmp_path):
    mine, path = Mine(), tmp_path/'new'/'folder'/'mine.safetensors'
    line = save_pretrained(mine, path, None, 'python train.py', None, licence='MIT', source='my pictures')
    assert (line['licence'], line['source']) == ('MIT', 'my pictures')
    assert jobs.same(state(pretrained('mine', path.parent, model=Mine())), state(mine))
    with pytest.raises(ValueError, match="model: got None, allowed are the model that 'mine' are weights of"): pretrained('mine', path.parent)
    with pytest.raises(ValueError, match='model: got Sequential'): pretrained('mine', path.parent, model=plain())
    other = save_pretrained(mine, tmp_path/'other.safetensors', None, '', 0)
    assert 'Apache' not in json.dumps(other) and 'MNIST' not in json.dumps(other)


@pytest.fixture
def kept(tmp_path):
    from hardkd.models import mlp
    save_pretrained(mlp(4, (1,8,8), (8,)), tmp_path/'m.safetensors', 'mlp', 'a test', 0, arguments=dict(num_classes=4, shape=[1,8,8], hidden=[8]))
    return tmp_path


EDITS = {'no JSON': lambda line: 'hello', 'nothing': lambda line: '', 'a list': lambda line: '[]', 'a number': lambda line: '7', 'deep': lambda line: '['*10**5,
         'no line': lambda line: '{}', 'a text as line': lambda line: dict(m='x'), 'a list as line': lambda line: dict(m=[]), 'no sum': lambda line: dict(m={'factory': 'mlp'}),
         'sum of another kind': lambda line: dict(m=line | dict(sha256=7)), 'another sum': lambda line: dict(m=line | dict(sha256='0'*64)),
         'an unknown factory': lambda line: dict(m=line | dict(factory='os.system')), 'a factory that is a list': lambda line: dict(m=line | dict(factory=['mlp'])),
         'a huge model': lambda line: dict(m=line | dict(arguments=dict(hidden=[10**6, 10**6]))), 'a huger one': lambda line: dict(m=line | dict(arguments=dict(hidden=[10**12]))),
         'arguments that are a list': lambda line: dict(m=line | dict(arguments=[1, 2])), 'an unknown argument': lambda line: dict(m=line | dict(arguments=dict(size=3))),
         'another size': lambda line: dict(m=line | dict(arguments=dict(num_classes=5, shape=[1,8,8], hidden=[8]))),
         'no arguments': lambda line: dict(m={k: v for k,v in line.items() if k != 'arguments'}), 'a negative size': lambda line: dict(m=line | dict(arguments=dict(hidden=[-1]))),
         'a size that is a text': lambda line: dict(m=line | dict(arguments=dict(hidden='abc')))}


@pytest.mark.parametrize('edit', EDITS.values(), ids=EDITS)
def test_edited_manifests(kept, edit):
    path = kept/'manifest.json'
    changed = edit(json.loads(path.read_text())['m.safetensors'])
    path.write_text(changed if isinstance(changed, str) else json.dumps({'m.safetensors' if k == 'm' else k: v for k,v in changed.items()}))
    with pytest.raises((ValueError, TypeError), match='^(name|folder|factory|arguments|model|hidden.*): got'): pretrained('m', kept)
    before = path.read_bytes()
    if not isinstance(changed, dict) and changed != '{}':       # what is there is not written over
        with pytest.raises(ValueError, match='folder: got'): save_pretrained(Mine(), kept/'other.safetensors', None, '', 0)
        assert path.read_bytes() == before and not (kept/'other.safetensors').exists()


def test_weights_that_are_no_numbers_or_changed_later(kept):
    from safetensors.torch import load_file, save_file
    from hardkd.core.assets import add_to_manifest
    pretrained('m', kept)
    path = kept/'m.safetensors'
    weights = load_file(path)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)                                  # after a good load
    with pytest.raises(ValueError, match='the file is damaged'): pretrained('m', kept)
    weights['1.weight'][0, 0] = float('nan')
    save_file(weights, path)
    add_to_manifest(path, '', '', '', factory='mlp', arguments=dict(num_classes=4, shape=[1,8,8], hidden=[8]))
    with pytest.raises(ValueError, match='not finite in 1.weight'): pretrained('m', kept)


# --- augmentors

def trained(augmentor): return jobs.weights(distill(jobs.teacher(), plain(), jobs.images(), augmentor=augmentor, **QUICK))


class Darker(nn.Module):
    "Acts in training mode alone."
    def forward(self, image): return image/4 if self.training else image


def test_modules_act_as_in_training_while_images_are_made():
    off, on = trained(nn.Identity()), trained(Darker())
    assert not torch.equal(off['student.1.weight'], on['student.1.weight'])
    run = distill(jobs.teacher(), plain(), jobs.images(), augmentor=Darker().eval(), trace=True, **QUICK)
    assert torch.allclose(run.trace['images'][0].float()/255, run.trace['x']/4, atol=.01)
    assert not run.augmentor.training                          # the caller's mode is back


@pytest.mark.parametrize('transform,why', [(lambda image: image.double(), 'torch.float64 of torch.float32'), (lambda image: image+1, r'values in \[.*allowed are \[0, 1\]'),
                                           (lambda image: 7, 'one that makes int'), (lambda image: image[:,:4], 'equal sizes'), (nn.Linear(3, 5), 'RuntimeError on an image')])
def test_what_an_augmentor_makes(transform, why):
    with pytest.raises((ValueError, TypeError), match=f'augmentor: got .*{why}'): trained(transform)


def test_a_mixture_has_no_label():
    cutmix = BatchTransform(v2.CutMix(num_classes=4))
    for mixing in cutmix, MixAugmentor(1, 2, 4, .1).fixed(), Compose(SpatialAugmentor(.1), cutmix).fixed():
        with pytest.raises(ValueError, match='augmentor: got .*mixes images, with labels alone'): fit(plain(), jobs.images(), augmentor=mixing, **QUICK)
    def labels(augmentor, y):
        data = jobs.images()
        run = distill(jobs.teacher(), plain(), Images(data.x, y), augmentor=augmentor, label_weight=1., **QUICK)
        return run.history[0]['labels']
    y = jobs.images().y
    assert labels(cutmix, y) == labels(None, y)                # at the first step: those of the images as they are
    assert fit(plain(), jobs.images(), augmentor=SpatialAugmentor(.1).fixed(), **QUICK).finished


def test_words_follow_the_images_at_hand():
    augmentor = SpatialAugmentor(.05)
    assert 'tx ±1.4 px' in augmentor.describe()
    augmentor(torch.rand(2, 3, 224, 224))
    assert 'tx ±11.2 px' in augmentor.describe() and 'tx ±1.4 px' in augmentor.describe((28, 28))


# --- classes have names

def test_classes_are_compared_by_name(tmp_path):
    data = jobs.images()
    def named(names): return Images(data.x, data.y, names)
    one, other = named(['cat', 'dog', 'eel', 'fox']), named(['cat', 'eel', 'dog', 'fox'])
    with pytest.raises(ValueError, match="train, test: got classes 1 called 'dog' and 'eel'"): linear_probe(plain(), one, other)
    with pytest.raises(ValueError, match='data, trace: got classes 1'): fit(plain(), one, trace=other.subset(8), **QUICK)
    fit(plain(), one, checkpoint=tmp_path/'run.pt', **QUICK)
    with pytest.raises(ValueError, match='resume: got a run with classes = cat, dog'): fit(plain(), other, resume=tmp_path/'run.pt', **QUICK)
    assert linear_probe(plain(), one, named(['cat', 'dog', 'eel', 'fox'])) > 0


def test_names_that_no_page_can_show():
    data = jobs.images()
    with pytest.raises(ValueError, match='classes: got 10,000 characters, allowed are at most 1,000'): Images(data.x, data.y, ['a', 'b', 'c', 'd'*10_000])
    with pytest.raises(ValueError, match='title: got 1,000,000 characters'): image_grid(data.x, 'x'*10**6)


# --- the loop

def test_a_second_run_at_the_same_time_is_refused():
    found = {}
    class Starting(SpatialAugmentor):
        def forward(self, *args, **kwargs):
            def other():
                for name,call in dict(run=lambda: fit(plain(), jobs.images(), **QUICK), predict=lambda: predict(student, jobs.images().x)).items():
                    try: call()
                    except RuntimeError as e: found[name] = str(e)
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            return super().forward(*args, **kwargs)
    student = plain()
    run = distill(jobs.teacher(), student, jobs.images(), augmentor=Starting(.1).fixed(), **QUICK)
    assert run.finished and 'while another plays in this process' in found['run'] and 'copy.deepcopy' in found['predict']
    assert fit(plain(), jobs.images(), **QUICK).finished and len(predict(student, jobs.images().x))       # afterwards both may


class Own(Sampler):
    "Its chance is its own."
    def __init__(self, n): self.n, self.chance = n, np.random.default_rng()
    def __iter__(self): return iter(self.chance.permutation(self.n).tolist())
    def __len__(self): return self.n


def test_a_sampler_with_a_chance_of_its_own_is_refused():
    data = jobs.images()
    with pytest.raises(ValueError, match='data: got Own with a chance of its own'): fit(plain(), DataLoader(data, 16, sampler=Own(len(data))), **QUICK)


def test_a_skipped_step_moves_no_schedule(monkeypatch):
    from accelerate.optimizer import AcceleratedOptimizer
    monkeypatch.setattr(AcceleratedOptimizer, 'step_was_skipped', property(lambda self: True))
    rates = []
    def schedule(optimiser, steps):
        made = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1/(1+step))
        rates.append(made)
        return made
    fit(plain(), jobs.images(), schedule=schedule, **QUICK)
    assert rates[0].last_epoch == 0


def test_a_trace_has_a_budget():
    large = Images(torch.rand(12, 3, 224, 224), torch.arange(12) % 4)
    student = nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(192, 4))
    run = distill(copy.deepcopy(student), student, large, trace=True, epochs=50, batch_size=4, progress=False)
    film = run.trace['images']
    assert 2 <= len(film) and film[0].numel() <= FRAME and film.numel() <= FILM*1.05
    with pytest.raises(ValueError, match=r'trace: got 12 images \(3, 224, 224\), allowed are at most 5 of that size'):
        distill(copy.deepcopy(student), student, large, trace=large, **QUICK)
    assert len(distill(jobs.teacher(), plain(), jobs.images(), trace=True, **QUICK).trace['x']) == 64      # small ones: as before
