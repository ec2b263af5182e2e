"How far images may change before a teacher changes its mind: read off it, kept in a game, said in words."
import math
import pytest, torch
from torch import nn
import hardkd
from hardkd import Compose, distill, HardDraws, mlp, PhotometricAugmentor, pretrained, SpatialAugmentor
from hardkd.bound import Bound, keeps_class, keeps_of, read_widths, widest
from hardkd.data import digits
from hardkd.hard import BoundedLoss, hardness
from hardkd.players import Referee
from hardkd.run import Batch


class Says(nn.Module):
    "The same logits for any image."
    def __init__(self, *logits):
        super().__init__()
        self.logits = torch.tensor(logits)
    def forward(self, x): return self.logits.expand(len(x), -1)


class Row(nn.Module):
    "Sees in which of four bands of rows the light is: indifferent to what moves sideways."
    def forward(self, x): return 100*x.mean((1,3)).unflatten(1, (4, -1)).sum(2)


def dots(n=400):
    "A small square in the middle of a band."
    x = torch.zeros(n, 1, 32, 32)
    for i in range(n): x[i,0,4*(2*(i%4)+1)-1:4*(2*(i%4)+1)+1,14:18] = 1.
    return x


@pytest.fixture(scope='module')
def data(): return digits()[0].subset(1024)

@pytest.fixture(scope='module')
def teacher(): return pretrained('shift_cnn')

def new():
    torch.manual_seed(0)
    return mlp()

def widths(augmentor): return {name: w.item() for name,w in augmentor.widths().items()}


@pytest.mark.parametrize('logits,wanted', [((99., 0.), .98), ((0., 0.), .8), ((math.log(95.), math.log(5.)), .85)])
def test_share_follows_from_the_doubt(logits, wanted):
    "Three times what the largest probability leaves to the others, between 2 % and 20 %."
    assert keeps_of(Says(*logits), torch.rand(8, 1, 4, 4)) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize('moved,kept', [(40, True), (41, False)])
def test_class_is_kept_up_to_the_share(moved, kept):
    "40 of 400 may change at 90 %, and not one more."
    x = dots()
    def change(images, rows): return torch.where((rows < moved)[:,None,None,None], images.roll(8, 2), images)
    assert keeps_class(Row(), change, x, Row()(x).argmax(1), .9) is kept


def test_hopeless_changes_are_not_looked_at_to_the_end():
    x, seen = dots(1000), []
    def change(images, rows):
        seen.append(len(rows))
        return images.roll(8, 2)
    assert not keeps_class(Row(), change, x, Row()(x).argmax(1), .9) and sum(seen) == 250


def test_widest_stops_where_it_is_first_lost():
    assert widest(lambda amount: amount <= .2 or amount > .5, 1.) == pytest.approx(.2, abs=.02)
    assert widest(lambda amount: False, 1.) < .016


def test_reading_sees_what_a_teacher_ignores():
    augmentor = SpatialAugmentor()
    reading = read_widths(Row(), augmentor, dots(), .95)
    assert reading.alone['tx'] > 3*reading.alone['ty']
    assert reading.alone['ty'] == pytest.approx(4/32/.95, rel=.15)       # a band reaches 4 pixels to both sides
    for name,width in widths(augmentor).items(): assert width == pytest.approx(reading.together[name], rel=1e-3, abs=2e-4)
    assert 0 < reading.factor < 1 and reading.images == 400


def test_only_what_was_left_open_is_read():
    given = Compose(SpatialAugmentor(.02), PhotometricAugmentor((1,32,32)))
    assert set(read_widths(Row(), given, dots(), .95).alone) == {'brightness', 'contrast', 'noise'}
    assert all(w == pytest.approx(.02) for w in widths(given.parts[0]).values())
    assert not Compose(SpatialAugmentor(.02)).to_be_read and given.to_be_read


def test_hard_draws_are_read_without_their_student(data, teacher):
    class Broken(nn.Module):
        def forward(self, x): raise AssertionError('the student was asked')
    read = read_widths(teacher, HardDraws(Broken(), SpatialAugmentor()), data.subset(200).x, .9)
    assert read.alone == read_widths(teacher, SpatialAugmentor(), data.subset(200).x, .9).alone


def batch_of(data, teacher, n=64):
    part = data.subset(n)
    with torch.no_grad(): return Batch(part.x, part.y, (0, 1, 0), teacher_logits=teacher(part.x))


def test_without_room_nothing_widens_as_a_whole(data, teacher):
    "The price is the one at which an e-fold of all widths wins nothing: the step has no part along that direction."
    loss, augmentor = BoundedLoss(teacher, new()), SpatialAugmentor(.1)
    loss(augmentor, batch_of(data, teacher))[0].backward()
    raw = augmentor.raw_widths
    wider = torch.sigmoid(raw)/nn.functional.softplus(raw)      # of the log-widths
    assert (raw.grad@wider).abs() < 1e-4*raw.grad.norm()*wider.norm()
    assert raw.grad.norm() == pytest.approx(1., rel=1e-3)


@pytest.mark.parametrize('kept,push', [(1., -1), (.8, 1), (.5, 3)])     # of the ten per cent that may be lost: none, twice that, more
def test_room_widens_and_its_lack_narrows(kept, push, data, teacher):
    loss, augmentor = BoundedLoss(teacher, new(), keeps=.9), SpatialAugmentor(.1)
    loss.bound.share.fill_(kept)
    loss(augmentor, batch_of(data, teacher))[0].backward()
    raw = augmentor.raw_widths
    wider = torch.sigmoid(raw.detach())/nn.functional.softplus(raw.detach())
    assert (raw.grad@wider/wider.norm()).item() == pytest.approx(push, rel=1e-3)     # what is lowered


def test_terms_of_a_bounded_turn_add_up(data, teacher):
    loss, batch = BoundedLoss(teacher, new(), hardness), batch_of(data, teacher)
    value, terms = loss(SpatialAugmentor(.1), batch)
    assert terms['hardness'].item() == pytest.approx(-value.item(), abs=1e-5)
    assert terms['hardness'].item() == pytest.approx((terms['disagreement']-terms['paid']).item(), abs=1e-5)
    assert 0 <= terms['kept'] <= 1 and not any(v.requires_grad for v in terms.values())


def test_game_keeps_its_bound_and_says_so(data, teacher):
    run = distill(teacher, new(), data, augmentor=SpatialAugmentor(), keeps=.97, epochs=25, batch_size=64, progress=False)
    turns = [row for row in run.history if row['player'] == 'augmentor']
    kept = [row['kept'] for row in turns[len(turns)//3:]]
    assert abs(sum(kept)/len(kept) - .97) < .015
    assert run.steps['augmentor'] <= run.steps['student']/4
    assert 'kept' in run.describe() and 'NOT kept' not in run.describe() and '97.0% were asked' in run.describe()
    found = widths(run.augmentor)
    assert min(found['tx'], found['ty']) > 1.8*max(found['rotation']/3, found['scale']/3, found['stretch'], found['shear'])


def test_game_without_a_turn_says_so(data, teacher):
    run = distill(teacher, new(), data.subset(64), augmentor=SpatialAugmentor(), epochs=1, batch_size=16, progress=False)
    assert run.steps['augmentor'] == 0 and 'NO turn' in run.describe()


def test_start_is_read_only_where_it_was_left_open(data, teacher):
    runs = [distill(teacher, new(), data.subset(64), augmentor=a, epochs=1, batch_size=32, progress=False, **more)
            for a,more in ((SpatialAugmentor(), {}), (SpatialAugmentor(.03), {}), (SpatialAugmentor(), dict(invariance_weight=1.)))]
    assert runs[0].bound.reading.together.keys() == widths(runs[0].augmentor).keys()
    assert runs[1].bound.reading is None and runs[2].bound is None
    assert all(w == pytest.approx(.03) for w in widths(runs[1].augmentor).values())
    assert all(w == pytest.approx(.05) for w in widths(runs[2].augmentor).values())


def test_reading_is_kept_by_a_checkpoint(data, teacher, tmp_path):
    play = lambda **more: distill(teacher, new(), data.subset(128), augmentor=SpatialAugmentor(), epochs=2, batch_size=32,
                                  progress=False, **more)
    first = play(checkpoint=tmp_path/'run.pt')
    again = play(resume=tmp_path/'run.pt')
    assert again.bound.reading == first.bound.reading and again.bound.share == first.bound.share


class NoLimits(hardkd.Augmentor):
    "Learns, but cannot be set."
    def __init__(self):
        super().__init__()
        self.share = nn.Parameter(torch.tensor(.1))
    def draw(self, n, generator=None): return torch.rand(n, 1, generator=generator)
    def forward(self, x, noise=None, generator=None): return x*(1 - self.share*noise[:,:,None,None])


@pytest.mark.parametrize('make', [NoLimits, lambda: Compose(NoLimits(), SpatialAugmentor().fixed())], ids=['alone', 'beside a fixed one'])
def test_augmentor_without_limits_plays_the_plain_objective(make, data, teacher):
    run = distill(teacher, new(), data.subset(64), augmentor=make(), referee=Referee(warmup=0, student_cap=1), epochs=2, batch_size=32, progress=False)
    turns = [row for row in run.history if row['player'] == 'augmentor']
    assert run.bound is None and turns
    for row in turns: assert row['hardness'] == pytest.approx(row['disagreement']-row['teacher_change'], abs=1e-5)


@pytest.mark.parametrize('options,message', [
    (dict(keeps=1.), 'keeps: got 1.0'), (dict(keeps=0.), 'keeps: got 0'), (dict(keeps=.9, invariance_weight=1.), 'keeps: got 0.9 beside invariance_weight'),
    (dict(keeps=.9, augmentor=NoLimits()), 'keeps: got 0.9 with an augmentor without limits')])
def test_bad_bounds_are_refused(options, message, data, teacher):
    with pytest.raises(ValueError, match=message):
        distill(teacher, new(), data.subset(64), **dict(augmentor=SpatialAugmentor()) | options)


def test_bound_says_when_it_was_not_kept():
    bound = Bound(.9, memory=0.)
    assert bound.describe() == '' and bound.room == 0
    bound.saw(.7, 1., 1.)
    assert bound.describe().startswith('The bound was NOT kept') and bound.room == pytest.approx(-2)
    bound.saw(.1, 1., 1.)
    assert bound.room == -3                                               # the push to narrower has an end
    bound.saw(.85, 1., 1.)
    assert bound.describe().startswith('The bound was nearly kept')
    bound.saw(.93, 3., 2.)
    assert bound.describe().startswith('The bound was kept') and bound.price(0., 1.) == pytest.approx(1.5)
