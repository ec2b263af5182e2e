"ICD against the formulas of its paper, at the edges, in the loop, and on several processes."
import json, math, os, subprocess, sys
from pathlib import Path
import numpy as np
import pytest, torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck
from hypothesis import given, settings, strategies as st
import hardkd, hardkd.views.loss_ledger
from helpers import train_jobs as jobs
from hardkd import ICDLoss, ICDTerm, contrastive_loss, icd_terms, invariance_penalty, kd_loss
from hardkd.run import Batch
from hardkd.train import StudentLoss

JOBS = Path(jobs.__file__)
ALONE = os.environ | dict(OMP_NUM_THREADS='1')


def made(B, student_dim=5, teacher_dim=7, dim=6, seed=0, scale=1., **options):
    "A loss in 64 bits with features, all random."
    chance = torch.Generator().manual_seed(seed)
    loss = ICDLoss(student_dim, teacher_dim, dim, **options).double()
    with torch.no_grad():
        for p in loss.parameters(): p.copy_(torch.randn(p.shape, generator=chance, dtype=torch.float64))
        loss.log_scale.fill_(scale)
    student, teacher = (torch.randn(B, d, generator=chance, dtype=torch.float64) for d in (student_dim, teacher_dim))
    return loss, student.requires_grad_(), teacher


# --- values and gradients

def published(loss, student, teacher):
    "The formula of facts as it is written, with torch's own losses."
    z_s = F.normalize(student@loss.student_projection.weight.T + loss.student_projection.bias, dim=1)
    z_t = F.normalize(teacher@loss.teacher_projection.weight.T + loss.teacher_projection.bias, dim=1)
    L = loss.log_scale.exp().clamp(0, 10)*z_s@z_t.T + loss.bias
    contrast = F.cross_entropy(L, torch.arange(len(L)))
    penalty = F.kl_div(F.log_softmax(L, dim=1), F.softmax(L, dim=0).T, reduction='batchmean')
    return contrast + loss.invariance_weight*penalty, contrast, penalty


@pytest.mark.parametrize('scale', [-1., 1., 2.2, 2.5])
@pytest.mark.parametrize('B', [2, 3, 17, 64])
def test_value_and_gradients_are_the_published_ones(B, scale):
    loss, student, teacher = made(B, scale=scale)
    learning = [student, *loss.parameters()]
    ours, wanted = loss(student, teacher), published(loss, student, teacher)
    for a,b in zip((ours, *loss.terms(student, teacher)), wanted): assert abs(a - b) < 1e-10
    for a,b in zip(torch.autograd.grad(ours, learning), torch.autograd.grad(wanted[0], learning)): assert (a-b).abs().max() < 1e-10


def numpy_icd(student, teacher, W_s, c_s, W_t, c_t, tau, b, weight):
    "Values and gradients by hand, step by step."
    B = len(student)
    h_s, h_t = student@W_s.T + c_s, teacher@W_t.T + c_t
    n_s, n_t = (np.sqrt((h**2).sum(1, keepdims=True)) for h in (h_s, h_t))
    z_s, z_t = h_s/n_s, h_t/n_t
    scale = min(math.exp(tau), 10.)
    cosine = z_s@z_t.T
    L = scale*cosine + b
    rows = np.exp(L)/np.exp(L).sum(1, keepdims=True)
    columns = np.exp(L)/np.exp(L).sum(0, keepdims=True)
    contrast = -np.log(rows[np.arange(B), np.arange(B)]).mean()
    target = columns.T
    penalty = (target*(np.log(target) - np.log(rows))).sum()/B
    # backwards: through log rows, through the columns, then down to the parameters
    d_logrows = -weight*target/B - np.eye(B)/B
    dL = d_logrows - rows*d_logrows.sum(1, keepdims=True)
    d_columns = (weight*(np.log(target) - np.log(rows) + 1)/B).T
    dL += columns*(d_columns - (d_columns*columns).sum(0, keepdims=True))
    d_tau = (dL*cosine).sum()*math.exp(tau) if math.exp(tau) <= 10 else 0.
    dz_s, dz_t = scale*dL@z_t, scale*dL.T@z_s
    dh_s, dh_t = ((dz - z*(dz*z).sum(1, keepdims=True))/n for dz,z,n in ((dz_s, z_s, n_s), (dz_t, z_t, n_t)))
    gradients = dict(student=dh_s@W_s, W_s=dh_s.T@student, c_s=dh_s.sum(0), W_t=dh_t.T@teacher, c_t=dh_t.sum(0), tau=d_tau, b=dL.sum())
    return contrast, penalty, gradients


@pytest.mark.parametrize('B', [2, 8, 64, 256])
@pytest.mark.parametrize('scale', [1., 2.4])
def test_table_of_fixed_cases_by_numpy(B, scale):
    loss, student, teacher = made(B, seed=B, scale=scale)
    params = dict(zip(('tau', 'b', 'W_s', 'c_s', 'W_t', 'c_t'), [loss.log_scale, loss.bias, *loss.student_projection.parameters(), *loss.teacher_projection.parameters()]))
    values = {k: v.detach().numpy() for k,v in params.items()}
    contrast, penalty, gradients = numpy_icd(student.detach().numpy(), teacher.numpy(), weight=loss.invariance_weight, **values | dict(tau=float(values['tau'])))
    ours = loss.terms(student, teacher)
    assert abs(ours[0].item() - contrast) < 1e-10 and abs(ours[1].item() - penalty) < 1e-10
    loss(student, teacher).backward()
    for name,g in gradients.items():
        got = (student if name == 'student' else params[name]).grad.numpy()
        assert np.abs(got - g).max() < 1e-10, name


def test_gradcheck():
    L = torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).mul_(3).requires_grad_()
    assert gradcheck(contrastive_loss, L) and gradcheck(invariance_penalty, L) and gradcheck(icd_terms, L)
    loss, student, teacher = made(4)
    names = [n for n,_ in loss.named_parameters()]
    call = lambda s, *params: torch.func.functional_call(loss, dict(zip(names, params)), (s, teacher))
    assert gradcheck(call, (student, *loss.parameters()))


def test_teacher_gets_no_gradient_but_its_projection_does():
    loss, student, teacher = made(6)
    teacher.requires_grad_()
    loss(student, teacher).backward()
    assert teacher.grad is None and all(p.grad is not None for p in loss.parameters())
    assert all(p.grad.abs().max() > 1e-6 for n,p in loss.named_parameters() if n != 'bias')


# --- properties

@given(B=st.integers(2, 40), seed=st.integers(0, 999), size=st.floats(.01, 30))
@settings(max_examples=60, deadline=None)
def test_properties_of_any_matrix(B, seed, size):
    L = torch.randn(B, B, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))*size
    contrast, penalty = icd_terms(L)
    tiny = 1e-9*(1+size)
    assert torch.isclose(contrast, contrastive_loss(L)) and torch.isclose(penalty, invariance_penalty(L))
    assert contrast >= 0 and penalty >= -tiny
    assert abs(invariance_penalty(L + L.T)) < tiny                              # symmetric: nothing to pay
    if B > 2 and size < 5: assert penalty > 1e-12                               # and only then; huge logits saturate
    for a,b in zip(icd_terms(L + 123.), (contrast, penalty)): assert abs(a-b) < 1e-6   # the bias is inert
    mixed = torch.randperm(B, generator=torch.Generator().manual_seed(seed))
    for a,b in zip(icd_terms(L[mixed][:,mixed]), (contrast, penalty)): assert abs(a-b) < tiny  # the order of the batch does not matter


@pytest.mark.parametrize('B', [2, 8, 256])
def test_equal_entries_cost_ln_B(B):
    assert torch.isclose(contrastive_loss(torch.zeros(B, B)), torch.tensor(math.log(B)))


@pytest.mark.parametrize('B', [2, 8, 64])
def test_floor_of_the_contrast(B):
    "At scale 10: all others at right angles; and the true floor, vectors as far apart as B can be (a simplex)."
    apart = lambda cosine: 10*torch.where(torch.eye(B, dtype=torch.bool), 1., torch.tensor(cosine, dtype=torch.float64))
    assert contrastive_loss(apart(0.)).item() == pytest.approx(math.log1p((B-1)*math.exp(-10)), rel=1e-9)
    floor = math.log1p((B-1)*math.exp(-10*B/(B-1)))
    assert contrastive_loss(apart(-1/(B-1))).item() == pytest.approx(floor, rel=1e-9)
    for seed in range(20):
        z = F.normalize(torch.randn(B, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)), dim=1)
        assert contrastive_loss(10*z@z.T) > floor


def test_scale_is_clamped_and_then_dead():
    for tau,dead in ((math.log(10)-1e-3, False), (math.log(10)+1e-3, True), (5., True)):
        loss, student, teacher = made(8, scale=tau)
        loss(student, teacher).backward()
        assert loss.logit_scale <= 10 and (loss.log_scale.grad == 0) == dead


def test_bias_has_no_effect():
    loss, student, teacher = made(8)
    before = loss(student, teacher)
    before.backward()
    assert abs(loss.bias.grad) < 1e-12
    with torch.no_grad(): loss.bias.add_(7)
    assert abs(loss(student, teacher) - before) < 1e-12


def test_start():
    loss = ICDLoss(4, 4)
    assert math.isclose(loss.logit_scale.item(), math.e, rel_tol=1e-6) and loss.bias == 0 and loss.student_projection.out_features == 128


# --- the edges

@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('size', [1e-4, 1., 300.])
def test_finite_and_right_in_any_precision(dtype, size):
    L = (torch.randn(33, 33, generator=torch.Generator().manual_seed(0))*size).to(dtype).requires_grad_()
    contrast, penalty = icd_terms(L)
    assert contrast.dtype == torch.float32
    exact = [t.item() for t in icd_terms(L.detach().double())]
    assert contrast.item() == pytest.approx(exact[0], rel=1e-4, abs=1e-4) and penalty.item() == pytest.approx(exact[1], rel=1e-4, abs=1e-4*max(size, 1))
    (contrast + penalty).backward()
    assert L.grad.isfinite().all() and L.grad.dtype == dtype


def test_mixed_precision_computes_similarities_in_32_bits():
    torch.manual_seed(0)
    loss, student, teacher = ICDLoss(16, 16), torch.randn(32, 16), torch.randn(32, 16)
    with torch.autocast('cpu', torch.bfloat16):
        assert loss.similarity(student, teacher).dtype == torch.float32
        mixed = loss(student, teacher)
    assert mixed.dtype == torch.float32 and mixed.item() == pytest.approx(loss(student, teacher).item(), abs=.02)
    mixed.backward()
    assert loss.student_projection.weight.grad.isfinite().all()


def test_large_batch():
    L = torch.randn(8192, 8192, generator=torch.Generator().manual_seed(0))
    contrast, penalty = icd_terms(L)
    assert contrast.item() == pytest.approx(F.cross_entropy(L, torch.arange(8192)).item(), rel=1e-4) and penalty > 0


FEATURES = torch.randn(6, 4), torch.randn(6, 3)

@pytest.mark.parametrize('change, error, words', [
    (lambda s, t: (s[:1], t[:1]), ValueError, r'student_features: got shape \(1, 4\), allowed are \(B,4\) with B >= 2'),
    (lambda s, t: (s, t[:1]), ValueError, r'teacher_features: got shape \(1, 3\)'),
    (lambda s, t: (s*float('nan'), t), ValueError, 'student_features: got 24 values that are not finite'),
    (lambda s, t: (s, t/0), ValueError, 'teacher_features: got 18 values that are not finite'),
    (lambda s, t: (s, t[:5]), ValueError, 'student_features, teacher_features: got 6 and 5 images'),
    (lambda s, t: (t, t), ValueError, r'student_features: got shape \(6, 3\), allowed are \(B,4\)'),
    (lambda s, t: (s, t[...,None]), ValueError, r'teacher_features: got shape \(6, 3, 1\)'),
    (lambda s, t: (s.tolist(), t), TypeError, 'student_features: got list'),
])
def test_bad_features(change, error, words):
    with pytest.raises(error, match=words): ICDLoss(4, 3)(*change(*FEATURES))


@pytest.mark.parametrize('L, error', [(torch.zeros(1, 1), ValueError), (torch.zeros(3, 4), ValueError), (torch.zeros(4), ValueError), ([[1., 2.]], TypeError)])
@pytest.mark.parametrize('f', [contrastive_loss, invariance_penalty, icd_terms])
def test_bad_matrix(f, L, error):
    with pytest.raises(error, match='similarity: got'): f(L)


@pytest.mark.parametrize('options', [dict(student_dim=0), dict(dim=1.5), dict(invariance_weight=-1), dict(invariance_weight=float('nan'))])
def test_bad_options(options):
    with pytest.raises((ValueError, TypeError), match=f'{next(iter(options))}: got'): ICDLoss(**dict(student_dim=4, teacher_dim=4) | options)


# --- in the loop

def term(teacher=None, student=None, **options):
    return ICDTerm(teacher or jobs.teacher(), student or jobs.student(), jobs.images().x, **dict(dim=8) | options)


@pytest.mark.parametrize('options, words', [
    (dict(teacher_layer='00'), "layer: got '00', allowed are '', '0', '1'"), (dict(student_layer='fc'), "layer: got 'fc'"),
    (dict(icd_weight=0), 'icd_weight: got 0'), (dict(seed=-1), 'seed: got -1')])
def test_bad_term(options, words):
    with pytest.raises(ValueError, match=words): term(**options)


def test_nearest_layer_is_offered():
    with pytest.raises(ValueError, match="did you mean 'layer4'"):
        ICDTerm(hardkd.resnet18(), hardkd.mlp(), torch.rand(2, 1, 28, 28), teacher_layer='layer5')


def test_term_needs_a_teacher():
    with pytest.raises(ValueError, match='term: got one without a teacher'): StudentLoss(term=term(), label_weight=1.)
    with pytest.raises(TypeError, match='term: got function'): StudentLoss(jobs.teacher(), term=lambda *_: 0)


def play(**options):
    teacher, student = jobs.teacher(), jobs.student()
    return hardkd.distill(teacher, student, jobs.images(), **jobs.OPTIONS | dict(term=term(teacher, student), batch_size=16, epochs=3, label_weight=1.) | options)


@pytest.mark.parametrize('options', [dict(kd_weight=0.), dict(kd_weight=1.), dict(kd_weight=0., label_weight=0.)])
def test_loss_is_the_sum_of_its_terms(options):
    student, teacher = jobs.student(noisy=False), jobs.teacher().eval()
    data, one = jobs.images(), term(jobs.teacher(), student, icd_weight=3.)
    batch = Batch(data.x[:32], data.y[:32], (0,1,0), teacher_logits=teacher(data.x[:32]).detach())
    weights = dict(kd_weight=1., label_weight=1.) | options
    loss, noted = StudentLoss(teacher, term=one, **weights)(student, batch)
    features = student[:3](batch.x), teacher[:5](batch.x)               # what goes into the last linear layers
    contrast, penalty = one.icd.terms(*features)
    wanted = weights['kd_weight']*kd_loss(student(batch.x), batch.teacher_logits) + weights['label_weight']*F.cross_entropy(student(batch.x), batch.y) \
        + 3*(contrast + .5*penalty)
    assert torch.isclose(loss, wanted, rtol=1e-5)
    assert noted['contrast'] == pytest.approx(contrast.item(), rel=1e-5) and noted['penalty'] == pytest.approx(penalty.item(), rel=1e-4)
    assert noted['disagreement'] == noted['clean']                       # the referee sees the disagreement, not the sum


def test_all_parts_learn_and_the_teacher_does_not():
    teacher, student = jobs.teacher(), jobs.student()
    one = term(teacher, student)
    before = {n: v.clone() for n,v in [*one.state_dict().items(), *teacher.state_dict().items()]}
    run = play(term=one)
    after = one.state_dict()
    for name in after: assert not torch.equal(after[name], before[name]), name
    assert after['icd.bias'].abs() < .5      # inert, but Adam magnifies the rounding of its gradient to steps: it wanders
    assert run.term is one and jobs.same(jobs.teacher().state_dict(), run.teacher.state_dict())


def test_first_weights_hang_on_the_seed_alone():
    torch.manual_seed(1); a, after = term().state_dict(), torch.rand(1)
    torch.manual_seed(1); plain = torch.rand(1)
    torch.manual_seed(2); b = term().state_dict()
    assert jobs.same(a, b) and not jobs.same(a, term(seed=1).state_dict())
    jobs.teacher(), jobs.student()
    assert torch.equal(after, plain), "the caller's chance is left alone"


def test_layers_of_any_width():
    teacher, student = jobs.teacher(), jobs.student()
    one = ICDTerm(teacher, student, jobs.images().x, teacher_layer='0', student_layer='1', dim=5)
    assert (one.icd.teacher_projection.in_features, one.icd.student_projection.in_features) == (4, 16)
    z = one.embed(teacher, student, jobs.images().x[:7])
    assert all(v.shape == (7, 5) and torch.allclose(v.norm(dim=1), torch.ones(7)) for v in z)
    with pytest.raises(ValueError, match="student_layer"):
        class Lazy(nn.Sequential):
            def forward(self, x): return self[0](x)
        ICDTerm(teacher, Lazy(jobs.student(), nn.Linear(2, 2)), jobs.images().x, student_layer='1')


def test_spared_classes_are_no_negatives():
    "As if the others of its class were not in the row; and nothing pulls at them."
    student, teacher, data = jobs.student(noisy=False), jobs.teacher().eval(), jobs.images()
    x, y = data.x[:12], data.y[:12]
    one = term(jobs.teacher(), student, spare_classes=True)
    _, noted = StudentLoss(teacher, term=one)(student, Batch(x, y, (0,1,0), teacher_logits=teacher(x).detach()))
    features = student[:3](x), teacher[:5](x)
    L = one.icd.similarity(*features)
    L.retain_grad()
    kept = [[j for j in range(12) if j == i or y[j] != y[i]] for i in range(12)]
    contrast = sum(F.cross_entropy(L[i][k][None], torch.tensor([k.index(i)])) for i,k in enumerate(kept))/12
    penalty = sum(F.kl_div(L[i][k].log_softmax(0), L[k][:,i].softmax(0), reduction='sum') for i,k in enumerate(kept))/12
    assert noted['contrast'].item() == pytest.approx(contrast.item(), rel=1e-5) and noted['penalty'].item() == pytest.approx(penalty.item(), rel=1e-4)
    same = y[:,None] == y
    L = one.icd.similarity(*features).detach().requires_grad_()
    sum(icd_terms(L.masked_fill(same.clone().fill_diagonal_(False), -1e4))).backward()
    assert (L.grad[same & ~torch.eye(12, dtype=torch.bool)] == 0).all() and L.grad.isfinite().all()


def test_hard_images_face_clean_ones():
    student, teacher, data = jobs.student(noisy=False), jobs.teacher().eval(), jobs.images()
    x, y = data.x[:16], data.y[:16]
    batch, flip = Batch(x, y, (0,1,0), teacher_logits=teacher(x).detach()), lambda image: image.flip(-1)
    for crossed in (True, False):
        one = term(jobs.teacher(), student, crossed=crossed)
        _, noted = StudentLoss(teacher, flip, term=one)(student, batch)
        s, t = [[part(v) for v in (x, x.flip(-1))] for part in (student[:3], teacher[:5])]
        pairs = [(s[1], t[0]), (s[0], t[1])] if crossed else list(zip(s, t))
        wanted = [sum(v).item()/2 for v in zip(*(one.icd.terms(*pair) for pair in pairs))]
        assert [noted['contrast'].item(), noted['penalty'].item()] == pytest.approx(wanted, rel=1e-4)


def test_same_seed_same_run_and_a_resumed_one_too(tmp_path):
    class Enough(Exception): pass
    class Stop(hardkd.Referee):
        def saw(self, disagreement):
            super().saw(disagreement)
            if self.state['turns'] == 11: raise Enough
    def weights(run): return jobs.weights(run) | {f'term.{k}': v for k,v in run.term.state_dict().items()}
    whole = play(trace=True)
    with pytest.raises(Enough): play(trace=True, referee=Stop(), checkpoint=tmp_path/'run.pt', checkpoint_every=4)
    resumed = play(trace=True, resume=tmp_path/'run.pt')
    assert jobs.same(weights(whole), weights(resumed)) and len(resumed.history) == len(whole.history)
    with pytest.raises(ValueError, match="resume: got a run with student's loss"):
        play(trace=True, resume=tmp_path/'run.pt', term=term(icd_weight=2.))


def test_mixed_precision_run():
    run = play(precision='bf16')
    assert all(math.isfinite(h['loss']) for h in run.history) and run.history[-1]['contrast'] < run.history[0]['contrast']
    assert next(run.term.parameters()).dtype == torch.float32


def test_film_holds_embeddings_of_shifted_images():
    run = play(trace=True)
    T = len(run.trace['step'])
    for name in 'student_features', 'teacher_features':
        z = run.trace[name].float()
        assert z.shape == (T, 24, 9, 8) and torch.allclose(z.norm(dim=-1), torch.ones(()), atol=2e-3)
    last = run.term.embed(run.teacher, run.student, hardkd.icd.shifted_views(run.trace['x'][:24]).flatten(0, 1))
    for z,name in zip(last, ('student_features', 'teacher_features')): assert torch.allclose(z.view(24, 9, 8), run.trace[name][-1].float(), atol=2e-3)


def test_ledger_finds_the_weights():
    run = play(kd_weight=2., term=term(icd_weight=3., invariance_weight=.25), epochs=4)
    assert hardkd.views.loss_ledger.ledger_weights(run)['student'] == pytest.approx(dict(clean=2., labels=1., contrast=3., penalty=.75), abs=1e-3)


# --- several processes: this file run by torch.distributed.run

def on_processes(folder):
    rank, world, runs = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1)), {}
    for gather, more in ((True, {}), (False, {}), ('spared', dict(spare_classes=True))):
        teacher, student = jobs.teacher(), jobs.student(noisy=False)
        run = hardkd.distill(teacher, student, jobs.images(), term=term(teacher, student, gather=bool(gather), **more), batch_size=16, epochs=4, label_weight=1.,
                             augmentor=hardkd.SpatialAugmentor(), referee=hardkd.Referee(**jobs.REFEREE), **jobs.OPTIONS)
        runs |= {f'{gather} {k}': v.tolist() for k,v in [*run.student.state_dict().items(), *run.term.state_dict().items()]}
    (Path(folder)/f'{world}-{rank}.json').write_text(json.dumps(runs))
    if torch.distributed.is_initialized(): torch.distributed.destroy_process_group()


def test_negatives_of_all_processes(tmp_path):
    on_processes(tmp_path)
    run = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', __file__, tmp_path]
    done = subprocess.run(run, env=ALONE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    one, *two = [{k: torch.tensor(v) for k,v in json.loads((tmp_path/f'{name}.json').read_text()).items()} for name in ('1-0', '2-0', '2-1')]
    assert jobs.same(*two), 'the ranks drifted apart'
    apart = {g: max((one[k]-two[0][k]).abs().max().item() for k in one if k.startswith(str(g)) and 'bias' not in k.split('icd.')[1:]) for g in (True, 'spared', False)}
    assert max(apart[True], apart['spared']) < 1e-5, 'gathered, two processes do what one does'
    assert apart[False] > 1e-3, 'not gathered, each sees its own negatives only'


if __name__ == '__main__':
    torch.set_num_threads(1)
    on_processes(sys.argv[1])
