"hardkd.mix: shares, partners, gradients, seeds and precision of mixtures, agreement with torchvision, and augmentors in a row."
import math, random
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn
from torchvision.transforms import v2
from helpers.chance import gen, rand
from hardkd.data import digits
from hardkd.hard import AugmentorLoss, distill, hardness
from hardkd.views.hard_scrub import HardScrub
from hardkd.compose import BatchTransform, Compose
from hardkd.draws import HardDraws, PhotometricAugmentor
from hardkd.mix import MixAugmentor
from hardkd.figures.images import mix_figure
from hardkd.losses import disagreement
from hardkd.models import mlp, predict
from hardkd.weights import pretrained
from hardkd.spatial import SpatialAugmentor
from hardkd.run import Batch
from hardkd.train import Referee
from hardkd.core.seeds import seed_of

sides = st.integers(1, 40)
few = settings(max_examples=25)


def new(seed=0, loud=0., **more):
    "An augmentor with known weights; `loud`: how far its last layer's are from nearly nothing."
    torch.manual_seed(seed)
    augmentor = MixAugmentor(**more)
    with torch.no_grad(): augmentor.look[-1].weight.add_(loud*torch.randn_like(augmentor.look[-1].weight))
    return augmentor


@pytest.fixture(scope='module')
def some(): return digits()[1].subset(64).x


# --- the mixture

@few
@given(n=st.integers(1, 9), c=st.sampled_from([1, 3]), h=sides, w=sides, patches=st.integers(1, 6), seed=st.integers(0, 99))
def test_a_mixture_lies_between_image_and_partner_at_every_pixel(n, c, h, w, patches, seed):
    x, augmentor = rand(n, c, h, w, seed=seed).round(decimals=1), new(seed, 3., channels=c, patches=patches, start=.4)
    noise = augmentor.draw(n, gen(seed))
    hard_x, share, partner = augmentor(x, noise), augmentor.weights(x, noise), x[augmentor.partners(noise)]
    assert hard_x.shape == x.shape and hard_x.dtype == x.dtype and share.shape == (n, 1, h, w)
    assert 0 <= share.min() and share.max() <= 1 and 0 <= hard_x.min() and hard_x.max() <= 1
    assert (hard_x >= torch.minimum(x, partner) - 1e-6).all() and (hard_x <= torch.maximum(x, partner) + 1e-6).all()
    assert torch.allclose(hard_x, (1-share)*x + share*partner, atol=1e-6)


@given(n=st.integers(1, 50), seed=st.integers(0, 999))
def test_partners_form_one_cycle(n, seed):
    who = new().partners(new().draw(n, gen(seed)))
    at, seen = 0, []
    for _ in range(n):
        seen.append(at)
        at = who[at].item()
    assert sorted(seen) == list(range(n)) and at == 0


def test_equal_numbers_still_give_one_cycle():
    noise = torch.zeros(5, 17)
    assert new().partners(noise).tolist() == [1, 2, 3, 4, 0]


def test_the_partner_is_the_next_in_rising_order():
    noise = torch.zeros(4, 17)
    noise[:, 0] = torch.tensor([.4, .1, .3, .2])                  # order 1, 3, 2, 0
    assert new().partners(noise).tolist() == [1, 3, 0, 2]


def test_a_patch_s_middle_has_the_patch_s_own_share():
    augmentor = new(spread=3., start=.3)
    with torch.no_grad(): augmentor.look[-1].weight.zero_()
    noise = augmentor.draw(5, gen())
    wanted = (augmentor.look[-1].bias + 3*noise[:, 1:].view(5, 4, 4)).sigmoid()
    assert torch.allclose(augmentor.weights(rand(5, 1, 28, 28), noise)[:, 0, 3::7, 3::7], wanted, atol=1e-5)


def test_the_network_sees_both_images():
    augmentor = new(loud=3., start=.3)
    noise, grey = augmentor.draw(2, gen()), torch.full((2, 1, 8, 8), .5)
    shares = {}
    for who in (0, 1):
        for other in (.2, .8):                                    # as different from grey, one darker, one lighter
            x = grey.clone()
            x[who] = other
            shares[who, other] = augmentor.weights(x, noise).detach()
    for i in (0, 1):
        for who in (0, 1): assert (shares[who, .2][i] - shares[who, .8][i]).abs().max() > 1e-3


def test_the_first_column_alone_chooses_the_partner_the_others_each_their_patch(some):
    augmentor = new(spread=2., start=.3)
    noise = augmentor.draw(6, gen())
    swapped = noise.clone()
    swapped[:, 1:] = -swapped[:, 1:]
    assert (augmentor.partners(noise) == augmentor.partners(swapped)).all()
    before, louder = augmentor.weights(some[:6], noise), noise.clone()
    louder[:, 1+1*4+2] = 1.                                       # second row, third column of 4 x 4
    more = (augmentor.weights(some[:6], louder) - before).detach()[:, 0]
    assert (more[:, 10, 17] > .01).all()                          # its middle: rows 7 to 13, columns 14 to 20
    assert (more[:, 21:] == 0).all() and (more[:, :, :7] == 0).all()


def test_two_images_are_each_the_other_s_partner_and_a_pair_of_equals_stays(some):
    augmentor = new(loud=1., start=.3)
    noise = augmentor.draw(2, gen())
    assert augmentor.partners(noise).tolist() == [1, 0]
    twins = some[:1].expand(2, -1, -1, -1)
    assert (augmentor(twins, noise) == twins).all()               # whatever the shares
    alike = noise[:1].expand(2, -1).clone()
    alike[:, 0] = noise[:, 0]
    shares = augmentor.weights(twins, alike)
    assert torch.equal(*shares)                                   # the same pair, the same noise: the same shares
    both = augmentor(some[:2], alike) + augmentor(some[:2].flip(0), alike).flip(0)
    weights = augmentor.weights(some[:2], alike), augmentor.weights(some[:2].flip(0), alike)
    assert torch.allclose(weights[0], weights[1].flip(0))         # who is who is told by the place, not by the order
    assert torch.allclose(both, 2*augmentor(some[:2], alike), atol=1e-6)


def test_an_image_alone_stays(some): assert (new(start=.5)(some[:1]) == some[:1]).all()


@given(size=st.sampled_from([28, 32, 56]), patches=st.integers(2, 7), seed=st.integers(0, 99))
def test_shares_run_smoothly_from_patch_to_patch(size, patches, seed):
    x, augmentor = rand(4, 1, size, size, seed=seed), new(seed, 3., patches=patches, spread=20., start=.5)
    share = augmentor.weights(x, augmentor.draw(4, gen(seed))).detach()[:, 0]
    for step in share.diff(dim=1), share.diff(dim=2): assert step.abs().max() <= patches/size + 1e-5
    assert share.max() - share.min() > .3                         # not because all are equal


def test_every_row_depends_on_its_pair_alone(some):
    augmentor = new(loud=1., start=.3).eval()
    noise = augmentor.draw(8, gen())
    who = augmentor.partners(noise)
    other = some[:8].clone()
    for i in {*range(8)} - {0, who[0].item()}: other[i] = 1 - other[i]
    assert torch.allclose(augmentor(some[:8], noise)[0], augmentor(other, noise)[0], atol=1e-7)
    other[who[0]] = 1 - other[who[0]]
    assert not torch.allclose(augmentor(some[:8], noise)[0], augmentor(other, noise)[0], atol=1e-2)


@pytest.mark.parametrize('size', [(28, 28), (5, 9), (64, 48)])
def test_the_shares_follow_the_images_at_any_size(size):
    augmentor = new(loud=3., channels=3, start=.3)
    noise = augmentor.draw(2, gen())
    shares = [augmentor.weights(rand(2, 3, *size, seed=s), noise) for s in (0, 1)]
    assert (shares[0]-shares[1]).abs().max() > 1e-3


def test_precision_follows_the_images():
    augmentor = new(start=.3)
    x, noise = rand(4, 1, 8, 8), augmentor.draw(4, gen())
    wanted = augmentor(x, noise)
    got = augmentor(x.double(), noise)
    assert got.dtype == torch.float64 and torch.allclose(got.float(), wanted, atol=1e-6)
    assert torch.allclose(augmentor.double()(x.double(), noise).float(), wanted, atol=1e-5)
    with torch.autocast('cpu', torch.bfloat16): half = new(start=.3)(x, noise)
    assert half.dtype == torch.float32 and torch.allclose(half, wanted, atol=.02)


# --- at the start

@pytest.mark.parametrize('start,spread', [(.02, 6.), (.02, 1.), (.3, 6.), (.5, .1), (.9, 12.), (.001, 30.)])
def test_starts_at_the_mean_share_that_is_asked_for(start, spread):
    augmentor = new(start=start, spread=spread)
    with torch.no_grad(): augmentor.look[-1].weight.zero_()
    noise = augmentor.draw(4000, gen())
    share = augmentor.weights(rand(1, 1, 4, 4).expand(4000, -1, -1, -1), noise)
    assert share.mean().item() == pytest.approx(start, rel=.05)
    assert torch.nn.functional.softplus(augmentor.raw_spread).item() == pytest.approx(spread, rel=1e-4)


@pytest.mark.parametrize('channels', [1, 3])
def test_starts_as_nearly_the_identity(some, channels):
    x = some.expand(-1, channels, -1, -1)
    for seed in range(5):
        hard_x = new(seed, channels=channels)(x, generator=gen(seed))
        assert 0 < (hard_x-x).abs().mean() < .01 and (hard_x-x).abs().max() < .35


@pytest.mark.parametrize('channels,size', [(1, (28, 28)), (3, (32, 32)), (1, (5, 9))])
def test_every_number_of_every_parameter_has_a_gradient_at_the_start(channels, size):
    for seed in range(3):
        augmentor = new(seed, channels=channels)
        x = rand(64, channels, *size, seed=seed)
        (augmentor(x, generator=gen(seed)) - x).square().sum().backward()
        for name, p in augmentor.named_parameters(): assert p.grad.isfinite().all() and (p.grad != 0).all(), name


def test_gradients_are_those_of_differences():
    augmentor = new(loud=.5, start=.3, patches=2, hidden=3).double()
    x, noise = rand(3, 1, 6, 5).double(), augmentor.draw(3, gen()).double()
    names, parameters = zip(*augmentor.named_parameters())
    def made(*values): return torch.func.functional_call(augmentor, dict(zip(names, values)), (x, noise))
    assert torch.autograd.gradcheck(made, tuple(p.detach().requires_grad_() for p in parameters))
    assert torch.autograd.gradcheck(lambda v: augmentor(v, noise), (x*.8+.1).requires_grad_())   # and to the image, for `Compose`


# --- seeds

@pytest.mark.parametrize('make', [new, lambda: BatchTransform(v2.MixUp(num_classes=10)), lambda: BatchTransform(v2.CutMix(num_classes=10)),
                                  PhotometricAugmentor, lambda: Compose(SpatialAugmentor(), new(), BatchTransform(v2.MixUp(num_classes=10)))])
def test_chance_lies_in_the_noise_alone(some, make):
    augmentor = make()
    noise = augmentor.draw(64, gen(5))
    assert noise.shape[0] == 64 and noise.dtype == torch.float32 and noise.device.type == 'cpu'
    torch.manual_seed(1); first = augmentor(some, noise)
    torch.manual_seed(2); again = augmentor(some, noise)
    assert torch.equal(first, again) and torch.equal(first, augmentor(some, generator=gen(5)))
    assert not torch.equal(first, augmentor(some, generator=gen(6)))
    assert 0 <= first.min() and first.max() <= 1 + 1e-6


def test_draws_fill_their_ranges():
    noise = new(patches=3).draw(2000, gen())
    assert noise.shape == (2000, 10)
    assert 0 <= noise[:, 0].min() < .01 and .99 < noise[:, 0].max() < 1
    assert -1 <= noise[:, 1:].min() < -.99 and .99 < noise[:, 1:].max() < 1 and noise[:, 1:].mean().abs() < .02


# --- light and grain

@pytest.mark.parametrize('shape', [(1, 28, 28), (3, 5, 9)])
def test_light_starts_near_nothing_and_every_width_learns(shape):
    x, augmentor = rand(64, *shape), PhotometricAugmentor(shape)
    hard_x = augmentor(x, generator=gen())
    assert 0 < (hard_x-x).abs().mean() < .05 and 0 <= hard_x.min() and hard_x.max() <= 1
    hard_x.square().sum().backward()
    assert (augmentor.raw_widths.grad != 0).all() and augmentor.raw_widths.grad.shape == (3,)


def test_light_by_hand():
    widths, x = dict(brightness=.1, contrast=.7, noise=.2), rand(5, 3, 4, 6)*.2 + .4
    augmentor = PhotometricAugmentor((3, 4, 6), widths)
    assert {k: w.item() for k, w in augmentor.widths().items()} == pytest.approx(widths)
    noise = augmentor.draw(5, gen())
    assert noise.shape == (5, 3+72) and noise[:, :3].abs().max() <= 1
    for row, image, made in zip(noise, x, augmentor(x, noise)):
        bright, steep, grain = (row[:3]*torch.tensor([*widths.values()])).tolist()
        wanted = image.mean() + (image-image.mean())*math.exp(steep) + bright + grain*row[3:].view(3, 4, 6)
        assert torch.allclose(made, wanted.clamp(0, 1), atol=1e-6)
    drawn = PhotometricAugmentor().draw(2000, gen())
    assert -1 <= drawn[:, :3].min() < -.99 and .99 < drawn[:, :3].max() < 1 and drawn[:, 3:].std() == pytest.approx(1, abs=.01)


def test_what_light_says_and_its_frozen_twin():
    augmentor = PhotometricAugmentor(widths=dict(brightness=.2, contrast=1., noise=.1))
    twin = augmentor.fixed()
    assert augmentor.describe() == twin.describe() == 'brightness ±20.0%, contrast ÷ or × 2.72, noise up to 10.0%'
    assert not any(p.requires_grad for p in twin.parameters()) and all(p.requires_grad for p in augmentor.parameters())
    assert {*augmentor.units()} == {*augmentor.widths()} and Compose(SpatialAugmentor(), augmentor).describe().endswith(augmentor.describe())


# --- the game

@pytest.fixture(scope='module')
def game():
    torch.manual_seed(0)
    teacher, student, (train, _) = pretrained('shift_cnn'), mlp(), digits()
    distill(teacher, student, train.subset(1000), epochs=10, batch_size=64, progress=False)
    x, y = train.subset(64).x, train.subset(64).y
    return teacher, student, Batch(x, y, (0, 0), teacher_logits=predict(teacher, x))


def climbs(augmentor, game, steps=20):
    "Hardness of a fixed batch before and after some steps of the augmentor."
    teacher, student, batch = game
    loss = AugmentorLoss(teacher.requires_grad_(False), student.requires_grad_(False), hardness, 4., .1)
    optimiser, seen = torch.optim.Adam([p for p in augmentor.parameters() if p.requires_grad], lr=.02), []
    for _ in range(steps+1):
        value, noted = loss(augmentor, batch)
        seen.append(noted['hardness'].item())
        optimiser.zero_grad(); value.backward(); optimiser.step()
    return seen[0], seen[-1]


@pytest.mark.parametrize('make', [lambda: new(0), lambda: new(1), PhotometricAugmentor])
def test_hardness_rises_within_twenty_steps(game, make):
    before, after = climbs(make(), game)
    assert after > before + .05


def test_hardness_rises_for_a_row_of_augmentors_whose_fixed_part_stays(game):
    still = new(1).fixed()
    both = Compose(SpatialAugmentor(), still, new())
    before, after = climbs(both, game)
    assert after > before + .05
    assert all(torch.equal(a, b) for a, b in zip(still.parameters(), new(1).parameters()))
    assert not torch.equal(both.parts[2].look[0].weight, new().look[0].weight)


# --- draws that are hard

def row(): return SpatialAugmentor(.1), new(start=.2), PhotometricAugmentor(widths=.1)


def test_hard_draws_take_one_step_to_where_the_student_changes_its_mind(game):
    _, student, batch = game
    blind, hard = Compose(*row()), HardDraws(student, *row())
    noise, x = blind.draw(64, gen()), batch.x
    assert torch.equal(hard.draw(64, gen()), noise)
    drawn = noise.clone().requires_grad_()
    student.eval()
    def apart(made): return disagreement(student(made), student(x).detach())
    uphill, = torch.autograd.grad(apart(blind(x, drawn)).sum(), drawn)
    moved = hard.harder(x, noise)
    limit = noise.abs().clamp_min(1)
    assert torch.equal(moved, torch.maximum(torch.minimum(noise + .2*uphill.sign(), limit), -limit))
    assert torch.equal(moved[:, 6], noise[:, 6]), 'who mixes with whom has no direction'
    assert torch.equal(hard(x, noise), blind(x, moved)) and torch.equal(hard(x, generator=gen()), hard(x, noise))
    with torch.no_grad():
        before, after = (apart(a(x, noise)) for a in (blind, hard))
        wider = apart(HardDraws(student, *row(), step=.6)(x, noise))
    assert before.mean() < after.mean() < wider.mean() and (after > before).float().mean() > .8
    assert torch.equal(HardDraws(student, *row(), step=0)(x, noise), blind(x, noise))


def test_hard_draws_leave_the_student_alone_and_learn_their_own_widths(game):
    batch, student = game[2], mlp(dropout=.5).train()
    hard = HardDraws(student, *row())
    assert {*hard.parameters()} == {p for part in hard.parts for p in part.parameters()} and hard.state_dict().keys() == Compose(*row()).state_dict().keys()
    before = {k: v.clone() for k, v in student.state_dict().items()}
    hard(batch.x, hard.draw(64, gen())).square().sum().backward()
    assert all(p.grad is not None and (p.grad != 0).any() for p in hard.parameters())
    assert student.training and all(p.grad is None and p.requires_grad for p in student.parameters())
    assert all(torch.equal(v, before[k]) for k, v in student.state_dict().items())
    with torch.no_grad(): assert not hard(batch.x, hard.draw(64, gen())).requires_grad
    twin = hard.fixed()
    assert type(twin) is HardDraws and not any(p.requires_grad for p in twin.parameters()) and all(p.requires_grad for p in hard.parameters())
    noise = hard.draw(64, gen())
    now = twin(batch.x, noise)
    with torch.no_grad():
        for p in student.parameters(): p.mul_(-1)
    assert torch.equal(twin(batch.x, noise), hard(batch.x, noise)) and not torch.equal(twin(batch.x, noise), now), 'hard for the same student, as it has become'
    assert twin.describe(batch.x) == hard.describe(batch.x) and twin.units() == hard.units()


def test_with_a_teacher_hard_draws_climb_hardness(game):
    teacher, student, batch = game
    x, before = batch.x, {k: v.clone() for k, v in teacher.state_dict().items()}
    alone, asked, careful = HardDraws(student, *row()), HardDraws(student, *row(), teacher=teacher), HardDraws(student, *row(), teacher=teacher, invariance_weight=30.)
    noise = asked.draw(64, gen())
    for augmentor, weight in ((asked, .1), (careful, 30.)):
        drawn = noise.clone().requires_grad_()
        made = Compose(*row())(x, drawn)
        uphill, = torch.autograd.grad(hardness(student.eval()(made), teacher(made), teacher(x).detach(), 4., weight).sum(), drawn)
        limit = noise.abs().clamp_min(1)
        assert torch.equal(augmentor.harder(x, noise), torch.maximum(torch.minimum(noise + .2*uphill.sign(), limit), -limit))
    with torch.no_grad(): change = [disagreement(teacher(a(x, noise)), teacher(x)).mean() for a in (careful, asked, alone)]
    assert change[0] < change[1] < change[2], 'it spares what changes the teacher\'s mind'
    assert {*asked.parameters()} == {p for part in asked.parts for p in part.parameters()} and all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
    assert torch.equal(asked.fixed()(x, noise), asked(x, noise)) and asked.fixed()._models == asked._models, 'the same two models, not copies'


def short(augmentor, **more):
    torch.manual_seed(0)
    run = distill(pretrained('shift_cnn'), mlp(), digits()[0].subset(256), augmentor=augmentor, batch_size=64, seed=3, progress=False,
                  **dict(epochs=3, referee=Referee(low=0, high=1e9, student_cap=2, augmentor_cap=1, warmup=2)) | more)
    return run, [v for m in (run.student, run.augmentor) for v in m.state_dict().values()]


makers = dict(mix=new, light=PhotometricAugmentor, fixed=lambda: new().fixed(), mixup=lambda: BatchTransform(v2.MixUp(num_classes=10)), cutmix=lambda: BatchTransform(v2.CutMix(num_classes=10)),
              row=lambda: Compose(SpatialAugmentor(), new()), half=lambda: Compose(SpatialAugmentor().fixed(), new()),
              still=lambda: Compose(BatchTransform(v2.CutMix(num_classes=10)), SpatialAugmentor().fixed()))


@pytest.mark.parametrize('name', makers)
def test_distil_plays_with_each_and_a_seed_decides_all(name):
    before = makers[name]().state_dict()
    (run, first), (_, again) = (short(makers[name]()) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    learns = name in ('mix', 'light', 'row', 'half')
    assert run.steps['student'] == 12 and run.steps.get('augmentor', 0) == 5*learns
    moved = {n for n, v in run.augmentor.state_dict().items() if not torch.equal(v, before[n])}
    learning = {n for n, p in makers[name]().named_parameters() if p.requires_grad}
    assert moved == learning and bool(moved) == learns


def test_distil_plays_with_hard_draws_of_its_own_student():
    def play(step):
        torch.manual_seed(0)
        teacher, student = pretrained('shift_cnn'), mlp()
        return distill(teacher, student, digits()[0].subset(256), augmentor=HardDraws(student, SpatialAugmentor(), step=step), epochs=3, batch_size=64,
                       seed=3, progress=False, referee=Referee(low=0, high=1e9, student_cap=2, augmentor_cap=1, warmup=2), trace=True)
    run, again, blind = (play(step) for step in (.3, .3, 0))
    assert run.steps == dict(student=12, augmentor=5) and all(torch.equal(a, b) for a, b in zip(run.student.parameters(), again.student.parameters()))
    assert (run.trace['widths'][0] != run.trace['widths'][-1]).all() and torch.equal(run.trace['images'], again.trace['images'])
    assert not torch.equal(run.trace['images'][0], blind.trace['images'][0])
    assert 'widths tx' in HardScrub(run).describe()


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    file, (whole, wanted) = tmp_path/'run.pt', short(makers['row']())
    calls, real = [], Referee.saw
    def tired(self, value):
        calls.append(value)
        real(self, value)
        if len(calls) == 9: raise KeyboardInterrupt
    monkeypatch.setattr(Referee, 'saw', tired)
    with pytest.raises(KeyboardInterrupt): short(makers['row'](), checkpoint=file, checkpoint_every=1)
    monkeypatch.undo()
    run, got = short(makers['row'](), resume=file)
    assert run.finished and 0 < len(calls) < len(whole.history) == len(run.history)
    assert all(torch.equal(a, b) for a, b in zip(got, wanted))


def test_the_film_shows_the_shares():
    run, _ = short(makers['row'](), trace=True)
    assert run.trace['widths'].shape[1] == 8
    assert run.trace['widths'][:, 6:].min() >= 0 and run.trace['widths'][:, 6:].max() <= 1
    assert (run.trace['widths'][0] != run.trace['widths'][-1]).all()


# --- the twin, the words

def test_the_fixed_twin_is_a_copy_without_gradients(some):
    augmentor = new(loud=1., start=.3)
    twin, noise = augmentor.fixed(), augmentor.draw(64, gen())
    assert not any(p.requires_grad for p in twin.parameters()) and all(p.requires_grad for p in augmentor.parameters())
    before = augmentor(some, noise).detach()
    assert torch.equal(twin(some, noise), before)
    with torch.no_grad():
        for p in augmentor.parameters(): p.add_(1.)
    assert torch.equal(twin(some, noise), before) and not torch.equal(augmentor(some, noise), before)


@pytest.mark.parametrize('n', [2, 64])
def test_widths_are_mean_and_spread_of_the_shares(some, n):
    augmentor, some = new(loud=1., start=.3), some[:n, :, 8:8+n//2, 8:16]
    share = augmentor.weights(some, augmentor.draw(n, gen(0))).double()
    widths = augmentor.widths(some)
    assert {k: v.item() for k, v in widths.items()} == pytest.approx(dict(share=share.mean().item(), share_sd=share.std(correction=0).item()), rel=1e-4)
    assert all(v.ndim == 0 for v in widths.values()) and {*widths} == {*augmentor.units()}
    assert augmentor.widths(some) == widths                       # the same noise at each call
    assert f"share {share.mean():.1%} ± {share.std(correction=0):.1%}, more than half on {(share > .5).double().mean():.1%}" in augmentor.describe(some)
    assert 'by ±6.0 logits' in augmentor.describe(some)


# --- torchvision's

@pytest.mark.parametrize('kind', [v2.MixUp, v2.CutMix])
@pytest.mark.parametrize('channels', [1, 3])
def test_a_batch_transform_is_torchvision_s_own_under_its_seed(kind, channels):
    x, transform = rand(9, channels, 12, 10), kind(num_classes=4, alpha=.7)
    adapter = BatchTransform(transform)
    noise = adapter.draw(9, gen(4))
    assert noise.shape == (9, 1) and (noise == noise.round()).all() and 0 <= noise.min() and noise.max() < 2**24 and len(noise.unique()) > 1
    got = adapter(x, noise)
    torch.manual_seed(seed_of(int(noise[0, 0])))
    wanted, labels = transform(x, torch.arange(9) % 4)
    assert torch.equal(got, wanted) and not torch.equal(got, x)


def test_a_batch_transform_leaves_all_random_states_alone(some):
    def chancy(x, y):
        random.random(), np.random.rand()
        return v2.CutMix(num_classes=10)(x + 0*torch.rand(1), y)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    BatchTransform(chancy)(some, torch.full((64, 1), 7.))
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1] and (np.random.get_state()[1] == states[2]).all()


def test_a_batch_transform_draws_anew_for_each_batch(some):
    adapter, chance = BatchTransform(v2.MixUp(num_classes=10)), gen()
    made = [adapter(some, generator=chance) for _ in range(4)]
    assert not any(torch.equal(a, b) for i, a in enumerate(made) for b in made[:i])
    assert adapter.draw(64, gen()).max() > 2**23 and adapter.fixed() is not adapter
    assert [*adapter.parameters()] == [] and torch.equal(adapter.fixed()(some, torch.ones(64, 1)), adapter(some, torch.ones(64, 1)))


# --- in a row

@pytest.mark.parametrize('order', [(0, 1, 2), (2, 0, 1), (1, 2)])
def test_a_row_applies_its_parts_in_turn(some, order):
    parts = [SpatialAugmentor(.3), new(loud=1., start=.3), BatchTransform(v2.CutMix(num_classes=10))]
    parts = [parts[i] for i in order]
    row, chance = Compose(*parts), gen(8)
    columns = [p.draw(64, chance) for p in parts]                 # one generator, one after another
    assert torch.equal(row.draw(64, gen(8)), torch.cat(columns, 1))
    wanted = some
    for part, noise in zip(parts, columns): wanted = part(wanted, noise)
    assert torch.equal(row(some, torch.cat(columns, 1)), wanted)
    again = Compose(Compose(*parts[:1]), *parts[1:])              # a row in a row
    assert torch.equal(again(some, generator=gen(8)), wanted)


def test_a_row_s_gradients_reach_every_part(some):
    row = Compose(SpatialAugmentor(), new(), SpatialAugmentor(.1, ['tx']))
    (row(some, generator=gen()) - some).square().sum().backward()
    assert all((p.grad != 0).all() for p in row.parameters())
    twin = row.fixed()
    assert not any(p.requires_grad for p in twin.parameters()) and all(p.requires_grad for p in row.parameters())
    assert torch.equal(twin(some, generator=gen(1)), row(some, generator=gen(1)))


def test_a_row_s_widths_keep_their_names_and_number_those_that_clash(some):
    first, second, third = SpatialAugmentor(.1, ['tx', 'ty']), new(), SpatialAugmentor(.2, ['tx'])
    row = Compose(first, BatchTransform(v2.MixUp(num_classes=10)), second, third, second)
    widths = row.widths(some)
    assert list(widths) == ['tx', 'ty', 'share', 'share_sd', '4 tx', '5 share', '5 share_sd']
    assert widths['4 tx'].item() == pytest.approx(.2) and widths['share'] == second.widths(some)['share']
    assert list(Compose(first, third).widths()) == ['tx', 'ty', '2 tx']
    assert row.units()['share'] == row.units()['5 share'] == (100, '%') and row.units((10, 40))['4 tx'] == (40, 'px') and {*widths} <= {*row.units()}
    said = row.describe(some)
    assert said.count(', then ') == 4 and second.describe(some) in said and first.describe((28, 28)) in said and 'MixUp' in said
    assert first.describe((10, 40)) in Compose(first).describe(rand(2, 1, 10, 40))


# --- the figure

@pytest.mark.parametrize('n,c,cols', [(1, 1, 2), (5, 3, 2), (8, 1, 3)])
def test_the_figure_shows_the_given_pictures(n, c, cols):
    x, partner, hard_x, share = (rand(n, k, 7, 9, seed=s) for s, k in enumerate((c, c, c, 1)))
    fig = mix_figure(x, partner, share, hard_x, [f'pair {i}' for i in range(n)], 'Who?', cols)
    pictures = [np.asarray(a.get_array()) for a in fig.axes[0].images]
    assert len(pictures) == 4*n
    for i in range(n):
        for k, wanted in enumerate((x, partner, share, hard_x)):
            assert np.allclose(pictures[4*i+k].reshape(7, 9, -1), wanted[i].permute(1, 2, 0), atol=1e-6)
    texts = [t.get_text() for t in fig.axes[0].texts]
    assert texts.count('mixture') == min(cols, n) and all(f'pair {i}' in texts for i in range(n))
    assert f'{n} mixtures, on average {share.mean():.0%} from the partner' in fig.get_label()
    assert {im.get_clim() for im in fig.axes[0].images} == {(0, 1)}


def test_the_figure_s_texts_lie_apart_and_inside():
    fig = mix_figure(*(rand(6, c, 7, 9) for c in (1, 1, 1, 1)), ['teacher seven hundred, student eleven thousand, both of them unsure']*6)
    fig.canvas.draw()
    boxes = [t.get_window_extent() for t in fig.axes[0].texts if t.get_text()]
    whole = fig.bbox
    assert all(b.x0 >= 0 and b.x1 <= whole.x1 and b.y0 >= 0 and b.y1 <= whole.y1 for b in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


# --- errors

x4 = rand(4, 1, 8, 8)


@pytest.mark.parametrize('call,name', [
    (lambda: MixAugmentor(channels=0), 'channels: got 0'), (lambda: MixAugmentor(patches=2.5), 'patches: got 2.5'), (lambda: MixAugmentor(hidden=0), 'hidden: got 0'),
    (lambda: MixAugmentor(start=0.), 'start: got 0'), (lambda: MixAugmentor(start=1), 'start: got 1'), (lambda: MixAugmentor(spread=0.), 'spread: got 0'),
    (lambda: MixAugmentor(spread=math.inf), 'spread: got inf'), (lambda: MixAugmentor(spread=31.), 'spread: got 31'), (lambda: MixAugmentor().draw(0), 'n: got 0'),
    (lambda: MixAugmentor()(x4*2), 'x: got values in'), (lambda: MixAugmentor()(x4.expand(-1, 3, -1, -1)), 'x: got 3 channels, allowed are 1'),
    (lambda: MixAugmentor()(x4, torch.zeros(4, 16)), r'noise: got shape \(4, 16\), allowed are \(4, 17\)'), (lambda: MixAugmentor()(x4, 3), 'noise: got int'),
    (lambda: MixAugmentor().weights(x4, torch.zeros(3, 17)), r'noise: got shape \(3, 17\)'), (lambda: MixAugmentor().partners(torch.zeros(17)), r'noise: got shape \(17,\)'),
    (lambda: MixAugmentor().widths(), 'x: got None'), (lambda: MixAugmentor().describe(None), 'x: got None'), (lambda: Compose(MixAugmentor()).widths(), 'x: got None'),
    (lambda: Compose(MixAugmentor()).describe(), 'x: got None'), (lambda: MixAugmentor().widths(x4-1), 'x: got values in'),
    (lambda: PhotometricAugmentor((28, 28)), r'shape: got \(28, 28\)'), (lambda: PhotometricAugmentor(widths=0), r"widths\['brightness'\]: got 0"), (lambda: PhotometricAugmentor(widths=dict(light=1)), "widths: got 'light'"),
    (lambda: PhotometricAugmentor().draw(0), 'n: got 0'), (lambda: PhotometricAugmentor()(x4), r'x: got images \(1, 8, 8\), allowed are \(1, 28, 28\)'),
    (lambda: PhotometricAugmentor((1, 8, 8))(x4, torch.zeros(4, 3)), r'noise: got shape \(4, 3\), allowed are \(4, 67\)'), (lambda: PhotometricAugmentor((1, 8, 8))(x4*2), 'x: got values in'),
    (lambda: BatchTransform(3), 'transform: got int'), (lambda: BatchTransform(v2.MixUp(num_classes=2)).draw(0), 'n: got 0'),
    (lambda: BatchTransform(lambda x, y: x)(x4), 'transform: got one that gives Tensor'), (lambda: BatchTransform(lambda x, y: (x[:2], y))(x4), r'transform: got images of shape \(2, 1, 8, 8\)'),
    (lambda: BatchTransform(lambda x, y: (x*3, y))(x4), 'transform: got values in'), (lambda: BatchTransform(v2.MixUp(num_classes=2))(x4, torch.zeros(4, 2)), 'noise: got shape'),
    (lambda: BatchTransform(v2.MixUp(num_classes=2))(x4*2), 'x: got values in'),
    (lambda: Compose(), 'parts: got none'), (lambda: HardDraws(None), 'parts: got none'), (lambda: HardDraws(None, MixAugmentor()), 'student: got NoneType'), (lambda: HardDraws(None, MixAugmentor(), step=-1), 'step: got -1'), (lambda: HardDraws(None, MixAugmentor(), temperature=0), 'temperature: got 0'),
    (lambda: HardDraws(mlp(), MixAugmentor(), teacher='robust_cnn'), 'teacher: got str'), (lambda: HardDraws(mlp(), MixAugmentor(), invariance_weight=-1), 'invariance_weight: got -1'), (lambda: Compose(MixAugmentor(), nn.Identity()), 'parts: got Identity'), (lambda: Compose(v2.CutMix(num_classes=2)), 'parts: got CutMix'),
    (lambda: Compose(MixAugmentor())(x4, torch.zeros(4, 18)), r'noise: got shape \(4, 18\), allowed are \(4, 17\)'), (lambda: Compose(MixAugmentor())(x4[0]), 'x: got shape'),
    (lambda: mix_figure(x4, x4[:2], x4, x4), 'x, partner, hard_x'), (lambda: mix_figure(x4, x4, x4[:, :, :4], x4), 'weights: got shape'),
    (lambda: mix_figure(x4, x4, x4+1, x4), 'weights: got values in'), (lambda: mix_figure(x4, x4, x4, x4, ['a']), 'labels: got 1 for 4'),
    (lambda: mix_figure(x4, x4*3, x4, x4), 'partner: got values'), (lambda: mix_figure(x4, x4, x4, x4, cols=0), 'cols: got 0')])
def test_what_is_wrong_is_said_by_name(call, name):
    with pytest.raises((ValueError, TypeError), match=name): call()


def test_film_of_augmentors_that_say_no_width():
    "The loop's film has widths where there are any; its views do without."
    data, torch_only = digits()[0].subset(40), Compose(BatchTransform(v2.MixUp(num_classes=10)))
    run = distill(pretrained('shift_cnn'), mlp(), data, augmentor=torch_only, epochs=1, batch_size=20, trace=data.subset(4), progress=False)
    assert 'widths' not in run.trace and run.trace['right'].dtype == torch.bool
    assert HardScrub(run).describe()
