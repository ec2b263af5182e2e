"hardkd.losses: against formulas written in NumPy here, gradients in float64, every precision, bad input."
import math
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch.autograd import gradcheck
from hardkd.views.loss_ledger import *
from hardkd.views.temperature_dial import *
from hardkd.losses import *

many, classes, seeds = st.integers(1, 6), st.integers(2, 7), st.integers(0, 99)
hot = st.sampled_from([0.5, 1., 2., 4., 20.])


def logits(n=4, k=5, seed=0, dtype=torch.float64, scale=3.):
    "Student's and teacher's logits."
    pair = torch.randn(2, n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)*scale
    return pair.to(dtype).unbind()


# --- the same in NumPy, straight from the paper

def np_soften(z, temperature):
    e = np.exp((z - z.max(1, keepdims=True))/temperature)
    return e/e.sum(1, keepdims=True)


def np_kl(student, teacher, temperature):
    q, p = (np_soften(np.asarray(z, np.float64), temperature) for z in (student, teacher))
    return (p*(np.log(p)-np.log(q))).sum(1)


@given(n=many, k=classes, seed=seeds, temperature=hot)
def test_soften_is_the_formula(n, k, seed, temperature):
    z, _ = logits(n, k, seed)
    p = soften(z, temperature)
    assert p.shape == (n, k) and np.allclose(p, np_soften(z.numpy(), temperature))
    assert torch.allclose(p.sum(1), torch.ones(n, dtype=p.dtype))
    assert torch.allclose(soften(z+7, temperature), p)
    assert p.argsort(1).equal(z.argsort(1))


@given(n=many, k=classes, seed=seeds, temperature=hot)
def test_disagreement_is_the_formula(n, k, seed, temperature):
    s, t = logits(n, k, seed)
    d = disagreement(s, t, temperature)
    assert d.shape == (n,) and np.allclose(d, np_kl(s, t, temperature)*temperature**2)
    assert d.min() >= 0 and disagreement(s+7, s, temperature).abs().max() < 1e-9
    assert torch.allclose(kd_loss(s, t, temperature), d.mean()) and kd_loss(s, t, temperature).ndim == 0


@given(n=many, k=classes, seed=seeds, temperature=hot)
def test_images_do_not_mix_and_classes_have_no_order(n, k, seed, temperature):
    s, t = logits(n, k, seed)
    d = disagreement(s, t, temperature)
    assert torch.allclose(torch.cat([disagreement(s[i:i+1], t[i:i+1], temperature) for i in range(n)]), d)
    order = torch.randperm(k, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(disagreement(s[:, order], t[:, order], temperature), d)


def test_the_teacher_stands_in_front():
    p, q = torch.tensor([[.49, .49, .02]]).log(), torch.tensor([[.96, .02, .02]]).log()
    by_hand = .49*math.log(.49/.96) + .49*math.log(.49/.02)
    assert disagreement(q, p, 1.).item() == pytest.approx(by_hand, rel=1e-5)
    assert disagreement(p, q, 1.) < disagreement(q, p, 1.)/2


# --- conventions, by name

def repdistiller_DistillKL(s, t, temperature):   # sum over batch and classes, over the batch size, times T²
    return np_kl(s, t, temperature).sum()*temperature**2/len(s)


def mdistiller_kd_loss(s, t, temperature):       # sum over classes, mean over the batch, times T²
    return np_kl(s, t, temperature).mean()*temperature**2


def torchdistill_KDLoss_alpha_0(s, t, temperature):   # batchmean, and no T² without labels
    return np_kl(s, t, temperature).mean()


@pytest.mark.parametrize('temperature', [1., 4., 20.])
def test_published_conventions(temperature):
    s, t = logits(64, 100, seed=1)
    ours = kd_loss(s, t, temperature).item()
    assert ours == pytest.approx(repdistiller_DistillKL(s, t, temperature))
    assert ours == pytest.approx(mdistiller_kd_loss(s, t, temperature))
    assert ours == pytest.approx(torchdistill_KDLoss_alpha_0(s, t, temperature)*temperature**2)


def test_the_published_pair_of_numbers():
    "0.533 without T² is 8.531 with it, at T = 4: logits scaled until the plain KL is 0.53319."
    s, t = logits(64, 100, seed=2, scale=1.)
    low, high = 0.1, 50.
    for _ in range(60):
        middle = (low+high)/2
        low, high = (middle, high) if torchdistill_KDLoss_alpha_0(s*middle, t*middle, 4.) < 8.531/16 else (low, middle)
    assert torchdistill_KDLoss_alpha_0(s*low, t*low, 4.) == pytest.approx(0.533, abs=5e-4)
    assert kd_loss(s*low, t*low, 4.).item() == pytest.approx(8.531, abs=5e-4)


def test_agrees_with_torch():
    s, t = logits(16, 10, dtype=torch.float32)
    torchs = F.kl_div((s/4).log_softmax(1), (t/4).softmax(1), reduction='batchmean')*16
    assert torch.allclose(kd_loss(s, t), torchs, rtol=1e-5)


def test_default_temperature_is_four():
    s, t = logits()
    assert kd_loss(s, t).equal(kd_loss(s, t, 4.)) and soften(s).equal(soften(s, 4.))
    assert disagreement(s, t).equal(disagreement(s, t, 4.))


# --- gradients

@given(n=many, k=classes, seed=seeds, temperature=st.sampled_from([1., 4., 10.]))
@settings(max_examples=15)
def test_gradcheck(n, k, seed, temperature):
    s, t = (z.requires_grad_() for z in logits(n, k, seed, scale=1.))
    assert gradcheck(lambda z: soften(z, temperature), s)
    assert gradcheck(lambda a, b: disagreement(a, b, temperature), (s, t))          # through both
    assert gradcheck(lambda z: kd_loss(z, t, temperature), s)


@given(temperature=hot, seed=seeds)
def test_gradient_is_known(temperature, seed):
    s, t = (z.requires_grad_() for z in logits(6, 5, seed))
    kd_loss(s, t, temperature).backward()
    known = temperature*(soften(s, temperature)-soften(t, temperature))/6
    assert torch.allclose(s.grad, known.detach()) and t.grad is None


def test_gradient_reaches_both_but_not_through_the_loss():
    s, t = (z.requires_grad_() for z in logits())
    disagreement(s, t).sum().backward()
    assert s.grad.abs().min() > 0 and t.grad.abs().min() > 0


def test_gradient_keeps_its_size_when_hot():
    s, t = logits(32, 10)
    lengths = []
    for temperature in (50., 100., 200.):
        z = s.clone().requires_grad_()
        kd_loss(z, t, temperature).backward()
        lengths.append(z.grad.norm().item())
    assert max(lengths)/min(lengths) < 1.1
    centred = (s-t) - (s-t).mean(1, keepdim=True)
    assert kd_loss(s, t, 1e4).item() == pytest.approx(centred.pow(2).mean().item()/2, rel=1e-3)


# --- precision

@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_sixteen_bits_in_thirty_two_bits_out(dtype):
    s, t = logits(32, 10, dtype=dtype, scale=20.)
    exact = disagreement(s.double(), t.double())
    assert disagreement(s, t).dtype == torch.float32 and soften(s).dtype == torch.float32
    assert torch.allclose(disagreement(s, t).double(), exact, rtol=1e-4, atol=1e-4)
    z = s.clone().requires_grad_()
    kd_loss(z, t).backward()
    assert z.grad.dtype == dtype and z.grad.isfinite().all() and z.grad.abs().sum() > 0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast_changes_nothing(dtype):
    s, t = logits(8, 10, dtype=torch.float32)
    with torch.autocast('cpu', dtype): inside = kd_loss(s, t)
    assert inside.dtype == torch.float32 and torch.allclose(inside, kd_loss(s, t))


def test_student_and_teacher_may_differ_in_precision():
    s, t = logits(8, 10, dtype=torch.float32)
    assert torch.allclose(kd_loss(s.half(), t), kd_loss(s.half().float(), t))
    assert kd_loss(s, t.double()).dtype == torch.float64


@pytest.mark.parametrize('scale', [1e2, 1e4, 1e30])
def test_huge_logits_stay_finite(scale):
    z = torch.tensor([[scale, 0., -scale], [0., scale, 0.]])
    assert soften(z).isfinite().all() and torch.allclose(soften(z).sum(1), torch.ones(2))
    assert kd_loss(z, z) == 0 and kd_loss(z[:1], z[1:]).isfinite()


def test_whole_numbers_are_taken_as_floats():
    z = torch.tensor([[2, 0, -1]])
    assert soften(z).equal(soften(z.float()))


# --- agreement

@given(n=many, k=classes, seed=seeds)
def test_agreement_counts(n, k, seed):
    s, t = logits(n, k, seed)
    counted = sum(int(a.argmax()) == int(b.argmax()) for a, b in zip(s.numpy(), t.numpy()))/n
    got = agreement(s, t)
    assert isinstance(got, float) and got == pytest.approx(counted)
    assert agreement(s, s*3+1) == 1. and agreement(s, t) == agreement(t, s)


def test_agreement_is_not_accuracy():
    def answers(*c): return F.one_hot(torch.tensor(c), 3).float()
    label, teacher = torch.tensor([0, 1, 2, 0]), answers(0, 1, 2, 1)
    for student, alike in ((answers(0, 1, 2, 1), 1.), (answers(1, 1, 2, 0), .5)):
        assert (student.argmax(1) == label).float().mean() == .75 and agreement(student, teacher) == alike


# --- bad input

s, t = logits(dtype=torch.float32)
BAD = {
    'one class missing':     (lambda: kd_loss(s, t[:, :4]), ValueError, r'student_logits, teacher_logits: got shapes \(4, 5\), \(4, 4\)'),
    'one image missing':     (lambda: kd_loss(s, t[:1]), ValueError, r'got shapes \(4, 5\), \(1, 5\)'),
    'disagreement shapes':   (lambda: disagreement(s, t[:, :1]), ValueError, 'allowed are equal shapes'),
    'agreement shapes':      (lambda: agreement(s, t[1:]), ValueError, 'allowed are equal shapes'),
    'teacher as list':       (lambda: kd_loss(s, [[1., 2.]]), TypeError, 'teacher_logits: got list'),
    'teacher forgotten':     (lambda: kd_loss(s, None), TypeError, 'teacher_logits: got NoneType'),
    'student as array':      (lambda: disagreement(s.numpy(), t), TypeError, 'student_logits: got ndarray'),
    'student as class':      (lambda: agreement(3, t), TypeError, 'student_logits: got int'),
    'soften a list':         (lambda: soften([1., 2.]), TypeError, 'logits: got list'),
    'soften one image':      (lambda: soften(s[0]), ValueError, r'logits: got shape \(5,\), allowed are \(N,K\)'),
    'maps of logits':        (lambda: kd_loss(s[..., None], t[..., None]), ValueError, r'student_logits: got shape \(4, 5, 1\)'),
    'no image':              (lambda: kd_loss(s[:0], t[:0]), ValueError, r'student_logits: got shape \(0, 5\)'),
    'no image to agree on':  (lambda: agreement(s[:0], t[:0]), ValueError, r'student_logits: got shape \(0, 5\)'),
    'only one class':        (lambda: kd_loss(s[:, :1], t[:, :1]), ValueError, 'K >= 2 classes'),
    'temperature zero':      (lambda: kd_loss(s, t, 0), ValueError, 'temperature: got 0, allowed are finite numbers >= 0.001'),
    'temperature negative':  (lambda: soften(s, -4.), ValueError, 'temperature: got -4.0'),
    'temperature infinite':  (lambda: disagreement(s, t, math.inf), ValueError, 'temperature: got inf'),
    'temperature NaN':       (lambda: kd_loss(s, t, math.nan), ValueError, 'temperature: got nan'),
    'temperature text':      (lambda: kd_loss(s, t, '4'), TypeError, r"temperature: got '4' \(str\)"),
    'temperature missing':   (lambda: kd_loss(s, t, None), TypeError, 'temperature: got None'),
    'temperature truth':     (lambda: soften(s, True), TypeError, 'temperature: got True'),
}


@pytest.mark.parametrize('name', BAD)
def test_bad_input(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message): call()
