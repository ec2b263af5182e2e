"hardkd.vae: the bound, the hierarchy, its training, and the augmentor that moves the groups."
import copy
import math
import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn
from helpers.chance import gen
import hardkd, hardkd.vae
import hardkd.vae
from helpers import train_jobs as jobs
from hardkd.data import Images, digits
from hardkd.hard import AugmentorLoss
from hardkd.views.disagreement_map import DisagreementMap
from hardkd.views.hard_scrub import HardScrub
from hardkd.views.augmentor_cloud import transforms_over_time
from hardkd.compose import Compose
from hardkd.models import mlp, predict
from hardkd.weights import pretrained, save_pretrained
from hardkd.spatial import SpatialAugmentor
from hardkd.run import Batch, NotFinite
from hardkd.train import Referee
from hardkd.vae import *
from hardkd.vae_augmentor import *
from hardkd.vae_training import *
from hardkd.views.vae_scrub import *
from hardkd.figures.images import *



def small(shape=(1,12,12), latents=((3,), (2,), (1,)), width=8, seed=0, **more):
    "A VAE whose parts all count: the zeros of its start are replaced."
    torch.manual_seed(seed)
    vae = HierarchicalVAE(shape, latents, width, **more)
    with torch.no_grad():
        for p in vae.parameters():
            if not p.any(): p.normal_(0, .3)
    return vae


# --- the bound

@given(n=st.integers(1, 4), k=st.integers(1, 5), seed=st.integers(0, 99))
def test_kl_is_that_of_torch(n, k, seed):
    q, p = (Gaussian(torch.randn(n, k, 2, generator=gen(seed+i), dtype=torch.float64), torch.randn(n, k, 2, generator=gen(seed+i+5), dtype=torch.float64)) for i in (0, 50))
    normal = lambda g: torch.distributions.Normal(g.mean, g.log_sd.exp())
    assert torch.allclose(kl_gauss(q, p), torch.distributions.kl_divergence(normal(q), normal(p)).sum((1,2)))


def test_gradients_of_the_bound():
    torch.manual_seed(0)
    numbers = [torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    assert torch.autograd.gradcheck(lambda a, b, c, d: kl_gauss(Gaussian(a, b), Gaussian(c, d)), numbers)
    assert torch.autograd.gradcheck(lambda a, b: reparameterise(Gaussian(a, b), torch.ones(2, 3)), numbers[:2])
    x = torch.rand(2, 3, 2, 2, dtype=torch.float64).mul(255).round()/255
    nll = LogisticNll(3).double()
    assert torch.autograd.gradcheck(lambda logits: nll(logits, x), [torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)])


@given(middle=st.floats(-8, 8), log_scale=st.floats(-5, 0))
def test_logistic_levels_sum_to_one(middle, log_scale):
    levels, nll = torch.arange(256, dtype=torch.float64).view(-1, 1, 1, 1)/255, LogisticNll(1).double()
    with torch.no_grad(): nll.log_scale.fill_(log_scale)
    assert (-nll(torch.full_like(levels, middle), levels)).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_scales_are_smooth_and_positive():
    v = torch.linspace(-5, 5, 101, dtype=torch.float64, requires_grad=True)
    g = hardkd.vae._gaussian(torch.stack([torch.zeros_like(v), v])[None])
    assert torch.allclose(g.log_sd.exp(), torch.nn.functional.elu(v) + 1)
    slope, = torch.autograd.grad(g.log_sd.exp().sum(), v)
    assert slope.isfinite().all() and (slope > 0).all() and slope.max() <= 1 + 1e-9


# --- the hierarchy

@given(c=st.sampled_from([1, 3]), h=st.integers(2, 8), w=st.integers(2, 8), seed=st.integers(0, 9))
def test_any_shape(c, h, w, seed):
    shape = (c, 4*h, 4*w)
    vae = small(shape, ((2,), (1, 2), (1,)), 4, seed, likelihood=LogisticNll(c) if c == 3 else bernoulli_nll)
    assert vae.names == ('1x1', f'{h}x{w}', f'{2*h}x{2*w}') and vae.level == [0, 1, 1, 2]
    x = torch.rand(2, *shape, generator=gen(seed))
    nll, kl = vae.elbo(x)
    assert nll.shape == (2,) and kl.shape == (2, 4) and nll.isfinite().all() and (kl >= -1e-4).all()
    for made in (vae.reconstruct(x), vae.sample(2, gen(seed)), VAEAugmentor(vae)(x)):
        assert made.shape == x.shape and made.min() >= 0 and made.max() <= 1


def test_bound_by_hand():
    "The same bound, group by group, with torch's distributions."
    vae, x = small(), torch.rand(3, 1, 12, 12, generator=gen())
    noise, seen, h, kls = vae.draw(3, gen(1)), vae.encode(x), vae.start.expand(3, -1, -1, -1), []
    for group, eps, down, e in zip(vae.groups, vae.split(noise), vae.down, seen):
        prior, posterior = group.prior(h), group.posterior(h + e)
        c = group.channels
        normal = lambda numbers: torch.distributions.Normal(numbers[:,:c], torch.nn.functional.elu(numbers[:,c:2*c]) + 1)
        p, q = normal(prior), normal(posterior)
        kls.append(torch.distributions.kl_divergence(q, p).flatten(1).sum(1))
        h = down(group.after(h + prior[:,2*c:] + group.enter(q.mean + q.stddev*eps)))
    nll = -(x*h.sigmoid().log() + (1-x)*(1-h.sigmoid()).log()).flatten(1).sum(1)
    got_nll, got_kl = vae.elbo(x, noise)
    assert torch.allclose(got_nll, nll, atol=1e-4) and torch.allclose(got_kl, torch.stack(kls, 1), atol=1e-4)


def test_a_new_vae_tells_nothing_and_its_prior_is_standard():
    torch.manual_seed(0)
    vae = HierarchicalVAE()
    for prior, posterior, z in vae.descend(lambda i, prior, *_: prior.mean, n=2)[1]:
        assert posterior is None and not prior.mean.any() and not prior.log_sd.any() and not z.any()


def test_levels_that_are_kept_come_from_the_image():
    vae, x = small(), torch.rand(4, 1, 12, 12, generator=gen())
    a, b = vae.draw(4, gen(1)), vae.draw(4, gen(2))
    assert torch.equal(vae.reconstruct(x, 3, a), vae.reconstruct(x, 3, b)) and torch.equal(vae.reconstruct(x), vae.reconstruct(x, 3))
    for keep in (0, 1, 2): assert not torch.equal(vae.reconstruct(x, keep, a), vae.reconstruct(x, keep, b))
    coarse = vae.draw(4, gen(1)); coarse[:,:3] += 5      # the noise of the coarsest group, which is kept
    assert torch.equal(vae.reconstruct(x, 1, a), vae.reconstruct(x, 1, coarse))
    assert torch.allclose(vae.reconstruct(x, 0, a), vae.reconstruct(1-x, 0, a), atol=1e-6), 'with nothing kept the image does not matter'


@pytest.mark.parametrize('make, message', [
    (lambda: HierarchicalVAE((1,30,28)), r'shape: got \(1, 30, 28\)'), (lambda: HierarchicalVAE((2,28,28)), 'shape: got'), (lambda: HierarchicalVAE((1,36,36)), 'shape: got'),
    (lambda: HierarchicalVAE(latents=((1,),(1,))), 'latents: got'), (lambda: HierarchicalVAE(latents=((),(),())), 'latents: got'), (lambda: HierarchicalVAE(latents=((0,),(1,),())), 'latents: got 0'),
    (lambda: HierarchicalVAE(width=1), 'width: got 1'), (lambda: small().encode(torch.rand(2,1,28,28)), r'x: got images \(1, 28, 28\), allowed are \(1, 12, 12\)'),
    (lambda: small().encode(torch.rand(2,1,12,12)+1), 'x: '), (lambda: small().reconstruct(torch.rand(2,1,12,12), keep=4), 'keep: got 4'), (lambda: small().sample(0), 'n: got 0'),
    (lambda: VAEAugmentor(small(), levels=('7x7',)), "levels: got '7x7', allowed are '1x1', '3x3', '6x6'"), (lambda: VAEAugmentor(small(), levels=('1x1','1x1')), 'levels: got'),
    (lambda: VAEAugmentor(small(), levels=()), 'levels: got'), (lambda: VAEAugmentor(small(), spread=0), 'spread: got 0'), (lambda: VAEAugmentor(small(), hidden=0), 'hidden: got 0'), (lambda: VAEAugmentor(small(), spread=.5, reach=.4), 'reach: got 0.4'),
    (lambda: VAEAugmentor(small())(torch.rand(2,1,12,12), torch.zeros(2, 3)), r'noise: got shape \(2, 3\), allowed are \(2, 60\)'),
    (lambda: train_vae(small(), digits()[0].subset(8), epochs=0), 'epochs: got 0'), (lambda: train_vae(small(), digits()[0].subset(8), ema=2), 'ema: got 2'),
    (lambda: train_vae(small(), digits()[0].subset(8), free=-1), 'free: got -1'), (lambda: train_vae(small(), digits()[0].subset(8), batch_size=0), 'batch_size: got 0'),
    (lambda: levels_figure({'a': torch.rand(2,1,8,8), 'b': torch.rand(3,1,8,8)}), 'rows: got shapes'),
])
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message): make()


def test_wrong_kinds():
    with pytest.raises(TypeError, match='vae: got Sequential'): VAEAugmentor(nn.Sequential())
    with pytest.raises(TypeError, match='data: got Tensor'): train_vae(small(), torch.rand(8,1,12,12))


# --- training

def few(n=64, shape=(1,12,12)):
    x = torch.zeros(n, *shape)
    x[::2,:,:6], x[1::2,:,:,:6] = 1., .5      # two patterns
    return Images(x, torch.zeros(n, dtype=torch.long), ['a', 'b'])


def test_training_learns_and_repeats():
    data, options = few(), dict(epochs=20, batch_size=16, progress=False, ema=.9)
    before = minus_elbo(small(), data)['nats']
    runs = []
    for junk in (1, 2):
        vae = small()
        torch.manual_seed(junk)
        runs.append((vae, train_vae(vae, data, **options)))
    (a, history), (b, _) = runs
    assert jobs.same(a.state_dict(), b.state_dict()), 'the seed decides, not the global chance'
    assert len(history) == 80 and history[-1]['step'] == 80 and {'nats', 'nll', 'kl 1x1', 'kl 3x3', 'kl 6x6', 'norm', 'seconds'} <= {*history[0]}
    assert minus_elbo(a, data)['nats'] < before - 5 and minus_elbo(a, data) == minus_elbo(a, data)
    c = small(); train_vae(c, data, **options | dict(seed=1))
    assert not torch.equal(a.start, c.start)


def test_training_ends_as_the_moving_average():
    "After two steps: the first weights, the second, or half of both."
    data, ends = few(), {}
    for ema in (1., 0., .5):
        vae = small()
        train_vae(vae, data, epochs=1, batch_size=32, progress=False, ema=ema)
        ends[ema] = vae.up[0][0].weight.clone()
    assert not torch.equal(ends[0.], ends[1.])
    assert torch.allclose(ends[.5], (ends[0.] + ends[1.])/2, atol=1e-7)


def test_what_is_free_is_told():
    told = []
    for free in (50., 0.):
        vae = small()
        train_vae(vae, few(), epochs=60, batch_size=32, lr=5e-3, free=free, progress=False)
        told.append(sum(v for k, v in minus_elbo(vae, few()).items() if k.startswith('kl')))
    assert told[0] > told[1] + .5, told


def test_a_stop_keeps_the_average(monkeypatch):
    data, vae = few(), small()
    before, count = copy.deepcopy(vae.state_dict()), []
    def elbo(x, noise):
        count.append(1)
        if len(count) == 5: raise KeyboardInterrupt
        return HierarchicalVAE.elbo(vae, x, noise)
    monkeypatch.setattr(vae, 'elbo', elbo, raising=False)
    with pytest.raises(KeyboardInterrupt): train_vae(vae, data, epochs=10, batch_size=16, progress=False)
    assert any(not torch.equal(p, before[k]) for k, p in vae.state_dict().items())


def test_not_finite_stops_before_the_step():
    seen = []
    def blow(logits, x):
        seen.append(1)
        return bernoulli_nll(logits, x)*(torch.inf if len(seen) == 4 else 1.)
    vae = small(likelihood=blow)
    with pytest.raises(NotFinite, match='loss: not finite, at step 4'): train_vae(vae, few(), epochs=10, batch_size=16, progress=False)
    assert all(p.isfinite().all() for p in vae.parameters())


# --- the augmentor

def test_starts_at_the_reconstruction_and_everything_learns():
    vae, x = small(), torch.rand(5, 1, 12, 12, generator=gen())
    torch.manual_seed(1)
    for levels in (None, ('1x1',), ('3x3', '6x6')):
        augmentor = VAEAugmentor(vae, levels)
        made = augmentor(x, generator=gen(3))
        assert (made - vae.reconstruct(x)).abs().max() < .1
        (made*torch.rand(x.shape, generator=gen(4))).sum().backward()
        names = [n for n, p in augmentor.named_parameters() if p.requires_grad]
        assert len(names) == 4*len(augmentor.levels)
        for name, p in augmentor.named_parameters():
            assert (p.grad is not None and p.grad.abs().sum() > 0) == p.requires_grad, name


def test_noise_decides_and_rows_are_apart():
    vae, x = small(), torch.rand(6, 1, 12, 12, generator=gen())
    torch.manual_seed(0)
    augmentor = VAEAugmentor(vae, spread=.5)
    noise = augmentor.draw(6, gen(1))
    assert torch.equal(noise, augmentor.draw(6, gen(1))) and noise.shape == (6, 3 + 3 + 2*9 + 36)
    assert 0 <= noise[:,:3].min() and noise[:,:3].max() <= 1 and noise[:,3:].min() < -1
    assert torch.equal(augmentor(x, noise), augmentor(x, noise)) and not torch.equal(augmentor(x, noise), augmentor(x, augmentor.draw(6, gen(2))))
    assert torch.allclose(augmentor(x, noise)[2:4], augmentor(x[2:4], noise[2:4]), atol=1e-5), 'a process may have some of the rows'


@pytest.mark.parametrize('regenerate', [False, True])
def test_only_the_chosen_levels_move(regenerate):
    "Coarser ones keep their posterior's mean; finer ones are read again or drawn from the prior; a move is in scales of the prior."
    vae, x = small(), torch.rand(3, 1, 12, 12, generator=gen())
    torch.manual_seed(0)
    augmentor = VAEAugmentor(vae, ('3x3',), regenerate)
    with torch.no_grad(): augmentor.movers['1'].say.weight.zero_(), augmentor.movers['1'].say.bias[:2].fill_(1.5)
    noise, seen = augmentor.draw(3, gen(1)), []
    original = vae.__class__.descend
    augmentor.vae.descend = lambda pick, up: original(augmentor.vae, lambda *given: (seen.append((given, pick(*given))), seen[-1][1])[1], up)
    with torch.no_grad(): augmentor(x, noise)
    (i, prior, posterior, *_), z = seen[0]
    assert torch.equal(z, posterior.mean)
    (i, prior, posterior, *_), z = seen[1]
    eps, share = vae.split(noise[:,3:]), noise[:,1,None,None,None]
    assert torch.allclose((z - posterior.mean)/prior.log_sd.exp(), share*2*math.tanh(.75) + .05*eps[1], atol=1e-4), 'a share of the way, at most two scales'
    (i, prior, posterior, *_), z = seen[2]
    assert torch.allclose(z, prior.mean + prior.log_sd.exp()*eps[2] if regenerate else posterior.mean, atol=1e-5)


def test_a_levels_groups_go_together():
    "One share for a level, a move of their own for each of its groups; how far a level goes counts all its numbers; the bound and `keep` count levels too."
    vae, x = small(latents=((3,), (2, 1), (1,))), torch.rand(3, 1, 12, 12, generator=gen())
    augmentor = VAEAugmentor(vae, ('3x3',), spread=.1)
    with torch.no_grad():
        for i, far in (('1', 1.5), ('2', -.5)): augmentor.movers[i].say.weight.zero_(), augmentor.movers[i].say.bias[:-augmentor.vae.groups[int(i)].channels].fill_(far)
    noise, seen = augmentor.draw(3, gen(1)), {}
    assert [*augmentor.movers] == ['1', '2'] and noise.shape == (3, 3 + 3 + 3*9 + 36)
    original, share, eps = vae.__class__.descend, noise[:,1,None,None,None], vae.split(noise[:,3:])
    def descend(pick, up):
        def noted(i, *given): seen[i] = given, pick(i, *given); return seen[i][1]
        return original(augmentor.vae, noted, up)
    augmentor.vae.descend = descend
    with torch.no_grad(): augmentor(x, noise)
    for i, far in ((1, 1.5), (2, -.5)):
        (prior, posterior, *_), z = seen[i]
        assert torch.allclose((z - posterior.mean)/prior.log_sd.exp(), share*2*math.tanh(far/2) + .1*eps[i], atol=1e-4)
    assert augmentor.moves(x)['3x3'][0].item() == pytest.approx(math.sqrt((2*(2*math.tanh(.75))**2 + (2*math.tanh(.25))**2)/3), rel=1e-5)
    del augmentor.vae.descend
    told, (nll, kl) = minus_elbo(vae, Images(x, torch.zeros(3).long())), vae.elbo(x, vae.draw(3, gen()))
    assert [told[f'kl {name}'] for name in vae.names] == pytest.approx([kl[:,0].mean().item(), kl[:,1:3].sum(1).mean().item(), kl[:,3].mean().item()], rel=1e-5)
    a, b = vae.draw(3, gen(1)), vae.draw(3, gen(2))
    assert torch.equal(vae.reconstruct(x, 3, a), vae.reconstruct(x, 3, b)) and not torch.equal(vae.reconstruct(x, 2, a), vae.reconstruct(x, 2, b))
    finest = a.clone(); finest[:,-36:] = b[:,-36:]
    assert torch.equal(vae.reconstruct(x, 2, finest), vae.reconstruct(x, 2, b)) and not torch.equal(vae.reconstruct(x, 1, finest), vae.reconstruct(x, 1, b))


def test_how_far_it_says_it_goes():
    vae, x = small(), torch.rand(3, 1, 12, 12, generator=gen())
    augmentor = VAEAugmentor(vae, ('1x1', '6x6'), spread=.25)
    with torch.no_grad():
        for mover in augmentor.movers.values(): mover.say.weight.zero_()
        augmentor.movers['0'].say.bias[:3] = torch.tensor([2., -1., 2.])
    moves, far = augmentor.moves(x), 2*math.sqrt((2*math.tanh(1)**2 + math.tanh(.5)**2)/3)
    assert [*moves] == ['1x1', '6x6'] and moves['1x1'][0].item() == pytest.approx(far) and moves['6x6'][0] == 0
    assert all(spread.item() == pytest.approx(.25, abs=1e-5) for _, spread in moves.values())
    assert augmentor.widths(x)['1x1'].item() == pytest.approx(math.sqrt(far**2 + .0625))
    assert augmentor.describe(x) == f'1x1: moves by {far:.2f} sd, scatters by 0.25 sd, 6x6: moves by 0.00 sd, scatters by 0.25 sd'


def test_it_keeps_its_own_frozen_vae():
    vae = small()
    augmentor = VAEAugmentor(vae)
    assert all(p.requires_grad for p in vae.parameters()) and not any(p.requires_grad for p in augmentor.vae.parameters())
    with torch.no_grad(): vae.start.add_(1)
    assert not torch.equal(vae.start, augmentor.vae.start)
    fixed = augmentor.fixed()
    assert not any(p.requires_grad for p in fixed.parameters()) and any(p.requires_grad for p in augmentor.parameters())
    x, noise = torch.rand(2, 1, 12, 12, generator=gen()), augmentor.draw(2, gen())
    assert torch.equal(fixed(x, noise), augmentor(x, noise))


# --- in the loop, with the shipped one

@pytest.fixture(scope='module')
def shipped(): return pretrained('vae')


def test_shipped_says_what_it_is(shipped):
    m = shipped.manifest['metrics']
    assert {'nats', 'nll', 'kl 1x1', 'kl 7x7', 'kl 14x14'} == {*m['minus_elbo']} and 'Bernoulli' in m['likelihood'] and m['estimator']
    some = digits()[1].subset(2000)
    assert minus_elbo(shipped, some)['nats'] == pytest.approx(m['minus_elbo']['nats'], abs=2.), '2,000 of the 10,000'
    assert min(v for k, v in m['minus_elbo'].items() if k.startswith('kl')) > 1, 'every level tells something'


def test_what_the_levels_are_to_a_teacher(shipped):
    some, teacher = digits()[1].subset(1000), pretrained('robust_cnn')
    with torch.no_grad():
        noise = shipped.draw(1000, gen())
        says = {keep: predict(teacher, shipped.reconstruct(some.x, keep, noise)).argmax(1) for keep in (3, 2, 0)}
    clean = predict(teacher, some.x).argmax(1)
    assert (says[3] == some.y).float().mean() >= .975
    assert (says[2] == clean).float().mean() >= .97
    assert (says[0] == clean).float().mean() <= .3


@pytest.mark.parametrize('make', [lambda vae: VAEAugmentor(vae), lambda vae: VAEAugmentor(vae, ('7x7',), True), lambda vae: Compose(VAEAugmentor(vae), SpatialAugmentor())])
def test_hardness_rises(shipped, make):
    train, teacher = digits()[0], pretrained('shift_cnn')
    torch.manual_seed(0)
    student, augmentor = mlp(), make(shipped)
    data = train.subset(200)
    student = hardkd.distill(teacher, student, data, epochs=20, batch_size=50, progress=False).student.eval().requires_grad_(False)
    loss, batch = AugmentorLoss(teacher, student), Batch(data.x[:32], data.y[:32], (0,), teacher_logits=predict(teacher, data.x[:32]))
    optimiser, climbed = torch.optim.Adam([p for p in augmentor.parameters() if p.requires_grad], 1e-3), []
    for _ in range(20):
        value, terms = loss(augmentor, batch)
        optimiser.zero_grad(), value.backward(), optimiser.step()
        climbed.append(terms['hardness'].item())
    assert climbed[-1] > climbed[0] + .05*abs(climbed[0]), climbed


def test_in_the_loop(shipped, tmp_path):
    "Runs, repeats, goes on where it stopped; the film and its views; the VAE stays as it was."
    data, teacher = digits()[0].subset(100), pretrained('shift_cnn')
    before = copy.deepcopy(shipped.state_dict())
    def go(**more):
        torch.manual_seed(0)
        student, augmentor = mlp(), VAEAugmentor(shipped, ('1x1', '7x7'))
        return hardkd.distill(teacher, student, data, augmentor=augmentor, augmentor_lr=3e-3, referee=Referee(warmup=2), epochs=3, batch_size=25, progress=False, **more)
    a, b = go(trace=data.subset(4)), go(trace=data.subset(4), checkpoint=tmp_path/'run.pt', checkpoint_every=5)
    assert a.steps['augmentor'] > 0 and jobs.same(a.student.state_dict(), b.student.state_dict()) and jobs.same(a.augmentor.state_dict(), b.augmentor.state_dict())
    assert jobs.same(a.student.state_dict(), go(trace=data.subset(4), resume=tmp_path/'run.pt').student.state_dict())
    assert jobs.same(shipped.state_dict(), before) and jobs.same(a.augmentor.vae.state_dict(), before)
    assert a.trace['widths'].shape == (len(a.trace['step']), 2) and a.trace['right'].shape == (len(a.trace['step']), 4)
    view = HardScrub(a)
    assert '1x1 ±' in view.describe() and ' sd' in view.describe() and 'move, turn' not in str(view.state)
    assert DisagreementMap(teacher, a.student, data, a, limit=2, cells=3).cloud is None
    assert len(transforms_over_time(a)[0]) == 4


def test_weights_round_trip(tmp_path):
    torch.manual_seed(0)
    vae = HierarchicalVAE()
    save_pretrained(vae, tmp_path/'mine.safetensors', 'vae', 'by hand', 0, half=True)
    again, x = pretrained('mine', tmp_path), digits()[1].x[:4]
    assert (again.reconstruct(x) - vae.reconstruct(x)).abs().max() < 5e-3
