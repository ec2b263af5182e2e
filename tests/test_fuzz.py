"""Odd arguments: each public function gives what is right, or an error that names the argument; it never hangs, and no
NaN comes out of finite numbers.

Every argument of a good call is replaced by everything in `ODD`, one after another. A few of them are tried here, all
of them where the long sweeps are (`-m slow`)."""
import copy, inspect, math, random, re, signal, warnings
from pathlib import Path
import numpy as np
import pytest
import torch
from torch import nn
import hardkd
from hardkd import *
from helpers import train_jobs as jobs

LIMIT = 20        # seconds a call
FEW = 6           # odd values an argument, in the short sweep

x, y = jobs.images(16).tensors
data = jobs.images(16)
digit = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
others = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
square = torch.randn(6, 6, generator=torch.Generator().manual_seed(3))
ODD = dict(none=None, true=True, minus=-1, zero=0, one=1, half=.5, huge=10**30, nan=math.nan, infinite=math.inf, large=1e308, small=1e-308,
           text='abc', empty_text='', data=b'\0', empty=[], words=['a', 'b'], numbers=[1, 2], names={}, named={'a': 1}, thing=object(), kind=nn.Linear,
           array=np.zeros(3), path=Path('nowhere/at/all'), scalar=torch.tensor(1.), no_rows=torch.zeros(0, 1, 8, 8), whole=torch.zeros(4, 1, 8, 8, dtype=torch.long),
           not_numbers=torch.full((4, 1, 8, 8), math.nan), beyond=torch.full((4, 1, 8, 8), 2.), halves=torch.rand(4, 1, 8, 8).half(), flat=torch.rand(4, 8),
           complex=torch.zeros(4, 4, dtype=torch.complex64), layer=nn.Identity(), broken=nn.Linear(3, 5), function=len)


def seven(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
def run_of(**options): return dict(teacher=jobs.teacher(), student=seven(), data=data, epochs=1, batch_size=8, progress=False) | options


# a good call of each: the function, and its arguments made anew
CALLS = {
    'Images': (Images, lambda: dict(x=x, y=y, classes=list('abcd'))),
    'images_from_bytes': (images_from_bytes, lambda: dict(u8=(x*255).byte())),
    'in_memory': (in_memory, lambda: dict(dataset=[(i, int(j)) for i,j in zip(x, y)], limit=8)),
    'vision_set': (vision_set, lambda: dict(name='MNIST', root='nowhere')),
    'idx_set': (idx_set, lambda: dict(folder='nowhere')),
    'Images.subset': (data.subset, lambda: dict(index_or_n=4)),
    'mlp': (mlp, lambda: dict(num_classes=4, shape=(1,8,8), hidden=(8,), dropout=.1)),
    'cnn': (cnn, lambda: dict(num_classes=4, channels=1, dropout=.1)),
    'shift_cnn': (shift_cnn, lambda: dict(num_classes=4, channels=1, widths=(4,))),
    'vit': (vit, lambda: dict(num_classes=4, channels=1, size=8, patch=4, dim=8, depth=1, heads=2, hidden=8)),
    'Normalised': (Normalised, lambda: dict(model=seven(), mean=.5, std=.5)),
    'predict': (predict, lambda: dict(model=seven(), x=x, batch_size=8)),
    'accuracy': (accuracy, lambda: dict(model=seven(), data=data)),
    'check_models': (check_models, lambda: dict(teacher=seven(), student=seven(), x=x)),
    'logits_and_features': (logits_and_features, lambda: dict(model=seven(), x=x, layer='1')),
    'pretrained': (pretrained, lambda: dict(name='shift_cnn', folder=None, model=None)),
    'save_pretrained': (save_pretrained, lambda: dict(model=seven(), path='w.safetensors', factory=None, recipe='none', seed=0)),
    'soften': (soften, lambda: dict(logits=logits, temperature=4.)),
    'kd_loss': (kd_loss, lambda: dict(student_logits=logits, teacher_logits=others, temperature=4.)),
    'disagreement': (disagreement, lambda: dict(student_logits=logits, teacher_logits=others, temperature=4.)),
    'agreement': (agreement, lambda: dict(student_logits=logits, teacher_logits=others)),
    'shift_batch': (shift_batch, lambda: dict(x=x, dx=1, dy=-1)),
    'shift_map': (shift_map, lambda: dict(model=seven(), data=data, max_shift=1)),
    'translate': (translate, lambda: dict(data=data, pixels=1, seed=0)),
    'equivariance_error': (equivariance_error, lambda: dict(features=nn.Conv2d(1, 2, 3, padding=1), x=x, dx=1, dy=1)),
    'invariance_error': (invariance_error, lambda: dict(outputs=seven(), x=x, dx=1, dy=1)),
    'warp': (warp, lambda: dict(x=x, motion=torch.zeros(16, 3, 3))),
    'SpatialAugmentor': (SpatialAugmentor, lambda: dict(widths=.1, generators=('tx', 'ty'))),
    'SpatialAugmentor()': (SpatialAugmentor(.1), lambda: dict(x=x, noise=torch.zeros(16, 6))),
    'MixAugmentor': (MixAugmentor, lambda: dict(channels=1, patches=2, hidden=4, start=.1, spread=6.)),
    'MixAugmentor()': (MixAugmentor(1, 2, 4, .1), lambda: dict(x=x, noise=torch.zeros(16, 5))),
    'PhotometricAugmentor': (PhotometricAugmentor, lambda: dict(shape=(1,8,8), widths=.1)),
    'PhotometricAugmentor()': (PhotometricAugmentor((1,8,8), .1), lambda: dict(x=x, noise=torch.zeros(16, 67))),
    'BlurAugmentor': (BlurAugmentor, lambda: dict(width=.1)),
    'BlurAugmentor()': (BlurAugmentor(.1), lambda: dict(x=x, noise=torch.zeros(16, 1))),
    'BatchTransform': (BatchTransform, lambda: dict(transform=lambda images, labels: (images, labels))),
    'Compose': (lambda part: Compose(part), lambda: dict(part=SpatialAugmentor(.1))),
    'HardDraws': (lambda student, part, **more: HardDraws(student, part, **more),
                  lambda: dict(student=seven(), part=SpatialAugmentor(.1), teacher=None, step=.2, temperature=4., invariance_weight=.1)),
    'hardness': (hardness, lambda: dict(student_hard_logits=logits, teacher_hard_logits=others, teacher_logits=others, temperature=4., invariance_weight=1.)),
    'student_sensitivity': (student_sensitivity, lambda: dict(student_hard_logits=logits, student_logits=others, teacher_hard_logits=others,
                                                             teacher_logits=others, temperature=4., invariance_weight=1.)),
    'contrastive_loss': (contrastive_loss, lambda: dict(similarity=square)),
    'icd_terms': (icd_terms, lambda: dict(similarity=square)),
    'invariance_penalty': (invariance_penalty, lambda: dict(similarity=square)),
    'ICDLoss': (ICDLoss, lambda: dict(student_dim=4, teacher_dim=4, dim=4, invariance_weight=.5, gather=False)),
    'ICDTerm': (ICDTerm, lambda: dict(teacher=seven(), student=seven(), x=x, icd_weight=1., invariance_weight=.5, dim=4, seed=0, teacher_layer=None)),
    'Referee': (Referee, lambda: dict(low=0., high=1., student_cap=2, augmentor_cap=1, warmup=.1, memory=.9)),
    'StudentLoss': (StudentLoss, lambda: dict(teacher=jobs.teacher(), augmentor=None, temperature=4., kd_weight=1., label_weight=0., term=None)),
    'AugmentorLoss': (AugmentorLoss, lambda: dict(teacher=jobs.teacher(), student=seven(), objective=hardness, temperature=4., invariance_weight=1.)),
    'distill': (distill, lambda: run_of(augmentor=None, temperature=4., kd_weight=1., label_weight=0., seed=0, precision='no', checkpoint=None, resume=None,
                                        trace=False, schedule=None, term=None, referee=None, checkpoint_every=10)),
    'distill with an augmentor': (distill, lambda: run_of(augmentor=SpatialAugmentor(.1), keeps=.9, augmentor_lr=.1, objective=hardness)),
    'distill plainly': (distill, lambda: run_of(augmentor=SpatialAugmentor(.1), invariance_weight=1.)),
    'fit': (fit, lambda: dict(model=seven(), data=data, epochs=1, batch_size=8, progress=False)),
    'read_widths': (read_widths, lambda: dict(teacher=seven(), augmentor=SpatialAugmentor(), x=x, keeps=.9, seed=0)),
    'xray': (xray, lambda: dict(teacher=seven(), data=data, reference=seven(), keeps=.9, images=8, seed=0)),
    'linear_probe': (linear_probe, lambda: dict(model=seven(), train=data, test=data, layer='1')),
    'paired_interval': (paired_interval, lambda: dict(right_a=torch.tensor([[1., 0.], [1., 1.]]), right_b=torch.tensor([[0., 0.], [1., 0.]]), level=.9, draws=100, seed=0)),
    'calibration_error': (calibration_error, lambda: dict(logits=logits, labels=torch.arange(6) % 4, bins=5)),
    'corruption_table': (corruption_table, lambda: dict(models={'a': seven()}, data=data, teacher=None, names=('blur',), severities=(1,), seed=0, limit=8)),
    'corrupt': (corrupt, lambda: dict(data=data, name='blur', severity=1, seed=0)),
    'table_html': (table_html, lambda: dict(rows=[dict(a=1)], columns=dict(a='A'), caption='it')),
    'html_page': (html_page, lambda: dict(title='it', parts=['text'])),
    'image_grid': (image_grid, lambda: dict(images=x, title='it', labels=None, borders=None, cols=4, size=.8)),
    'curves': (curves, lambda: dict(lines={'a': [1., 2.]}, x=[1, 2], xlabel='x', ylabel='y', title='it', spread=1., log=False, width=5., height=3.)),
    'probability_bars': (probability_bars, lambda: dict(teacher_probs=logits[0].softmax(0), student_probs=others[0].softmax(0), classes=list('abcd'), image=x[0], title='it', top=3)),
    'compared': (compared, lambda: dict(out='nowhere', against='KD', budget='updates'))}
# only what is called by its names: the loop itself takes a second a call
SLOW = {'distill', 'distill with an augmentor', 'distill plainly', 'fit', 'xray', 'save_pretrained', 'pretrained'}


class Hangs(BaseException):
    "The time is up."


def in_time(function, arguments):
    "What a call gives or raises, or `Hangs`."
    def stop(*_): raise Hangs(f'more than {LIMIT} s')
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try: return function(**arguments), None
    except (Exception, Hangs) as error: return None, error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def numbers_in(thing):
    "Floats of a result, if it has any."
    if isinstance(thing, torch.Tensor) and thing.is_floating_point(): yield thing
    if isinstance(thing, tuple|list): yield from (number for part in thing for number in numbers_in(part))
    if isinstance(thing, float): yield torch.tensor(thing)


def is_finite(thing):
    if isinstance(thing, torch.Tensor): return thing.is_complex() or bool(thing.isfinite().all())
    if isinstance(thing, np.ndarray): return bool(np.isfinite(thing).all())
    return not isinstance(thing, float) or math.isfinite(thing)


def what_is_wrong(called, name, odd, result, error):
    "In words; '' where nothing is."
    if error is None:
        bad = is_finite(odd) and not all(number.isfinite().all() for number in numbers_in(result))
        return 'NaN or infinite out of finite numbers' if bad else ''
    if isinstance(error, Hangs): return str(error)
    expected = isinstance(error, ValueError|TypeError|RuntimeError|FloatingPointError) and re.search(r'^[^\n]*: (got|not finite|its)[ ,]', str(error))
    return '' if expected else f'{type(error).__name__}: {error}'[:200]


def swept(called, few=None):
    "All that is wrong with a function's odd arguments."
    function, arguments = CALLS[called]
    found = []
    for name in arguments():
        names = list(ODD) if few is None else random.Random(f'{called} {name}').sample(list(ODD), few)
        for odd in names:
            given = arguments() | {name: copy.deepcopy(ODD[odd])}
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                wrong = what_is_wrong(called, name, ODD[odd], *in_time(function, given))
            if wrong: found.append(f'{called}({name}={odd}): {wrong}')
    return found


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch): monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize('called', CALLS)
def test_good_calls_and_a_few_odd_ones(called):
    function, arguments = CALLS[called]
    if called not in ('vision_set', 'idx_set', 'compared'):        # these find nothing here
        result, error = in_time(function, arguments())
        if error is not None: raise error
    found = swept(called, 1 if called in SLOW else FEW)
    assert not found, '\n'.join(found)


@pytest.mark.slow
@pytest.mark.parametrize('called', CALLS)
def test_all_odd_calls(called):
    found = swept(called)
    assert not found, '\n'.join(found)


def test_the_sweep_sees_faults():
    def raw(x): return x.shape
    def named(x): raise ValueError('x: got 1, allowed are 2')
    def spoiled(x): return torch.tensor(math.nan)
    result, error = in_time(raw, dict(x=1))
    assert 'AttributeError' in what_is_wrong('raw', 'x', 1, result, error)
    assert what_is_wrong('named', 'x', 1, *in_time(named, dict(x=1))) == ''
    assert 'NaN' in what_is_wrong('spoiled', 'x', 1, *in_time(spoiled, dict(x=1)))
    assert sum(len(ODD)*len(inspect.signature(arguments).parameters or arguments()) for _,arguments in CALLS.values()) > 5000
