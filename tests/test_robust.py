"hardkd.robust: intervals, probes, rivals against their formulas, and a comparison that is fair."
import json, math, re
from functools import partial
import numpy as np
import pytest, torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
import hardkd, hardkd.experiments.contenders
from helpers import train_jobs as jobs
from hardkd import Images, compared, compared_text, digits, linear_probe, mlp, paired_interval, pretrained, shift_cnn
from hardkd.experiments.comparison import compare
from hardkd.experiments.records import compared_html
from hardkd.experiments.contenders import contend
from hardkd.experiments.rivals import stages
from hardkd.experiments.rivals import RIVALS, rival_term
from hardkd.run import Batch


# --- paired intervals

def test_interval_of_one_seed_is_the_binomials():
    "One seed, a right everywhere that b is: the difference is a mean of N Bernoullis."
    chance = torch.Generator().manual_seed(0)
    b = torch.rand(4000, generator=chance) < .5
    a = b | (torch.rand(4000, generator=chance) < .1)
    mean, low, high = paired_interval(a, b)
    p = (a.float()-b.float()).mean().item()
    assert mean == pytest.approx(p, abs=1e-9)
    assert (high-low)/2 == pytest.approx(1.96*math.sqrt(p*(1-p)/4000), rel=.1)


def test_interval_covers():
    "Two equal methods: 0 is inside in about 95 of 100 experiments."
    chance, inside = torch.Generator().manual_seed(1), 0
    for i in range(100):
        hard = torch.rand(500, generator=chance)
        a, b = (torch.rand(500, generator=chance) < .3+.6*hard for _ in 'ab')
        _, low, high = paired_interval(a, b, draws=300, seed=i)
        inside += low <= 0 <= high
    assert 88 <= inside <= 100


def test_seeds_widen_the_interval():
    "The same images for all; the seeds differ a lot."
    a = torch.zeros(3, 1000, dtype=torch.bool)
    for s,right in enumerate((700, 800, 900)): a[s,:right] = True
    b = torch.zeros_like(a); b[:,:800] = True
    _, low, high = paired_interval(a, b)
    assert low < -.05 and high > .05
    assert paired_interval(a[1:2], b[1:2]) == (0, 0, 0)


def test_interval_is_the_same_for_the_same_seed_and_turns_with_the_methods():
    a, b = torch.rand(2, 300) < .8, torch.rand(2, 300) < .7
    assert paired_interval(a, b) == paired_interval(a, b) != paired_interval(a, b, seed=1)
    there, back = paired_interval(a, b), paired_interval(b, a)
    assert there[0] == -back[0] and there[1] == pytest.approx(-back[2], abs=1e-6)


@pytest.mark.parametrize('args, options, error, words', [
    ((torch.ones(3), torch.ones(4)), {}, ValueError, r'right_a, right_b: got shapes \(3,\) and \(4,\)'),
    (([1], torch.ones(1)), {}, TypeError, 'right_a: got list'), ((torch.ones(1), torch.ones(0)), {}, TypeError, 'right_b: got'),
    ((torch.ones(3), torch.ones(3)), dict(level=1.), ValueError, 'level: got 1.0'), ((torch.ones(3), torch.ones(3)), dict(draws=5), ValueError, 'draws: got 5')])
def test_bad_intervals(args, options, error, words):
    with pytest.raises(error, match=words): paired_interval(*args, **options)


# --- the probe

def test_probe_finds_what_is_linear_and_nothing_else():
    torch.manual_seed(0)
    x, label = torch.rand(600, 1, 4, 4), lambda x: (x[:,0,0,0] > x[:,0,1,1]).long()
    data = [Images(x[i], label(x[i]), range(2)) for i in (slice(0, 400), slice(400, None))]
    eye = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    before = {k: v.clone() for k,v in eye.state_dict().items()}
    assert linear_probe(eye, *data) > .95
    assert jobs.same(before, eye.state_dict()) and all(p.grad is None for p in eye.parameters())
    dull = nn.Sequential(nn.Flatten(), nn.Linear(16, 2), nn.ReLU(), nn.Linear(2, 3))
    with torch.no_grad(): dull[1].weight.zero_()
    assert linear_probe(dull, *data) < .65


def test_probe_is_the_optimum():
    "Against torch's own gradient: at the solution it is 0."
    from hardkd.experiments.robustness import _softmax_regression
    torch.manual_seed(0)
    x, y = torch.randn(200, 5), torch.arange(200) % 3
    w = _softmax_regression(x, y, 3, .01).requires_grad_()
    loss = F.cross_entropy(x@w[:-1] + w[-1], y) + .005*w[:-1].square().sum()
    assert torch.autograd.grad(loss, w)[0].abs().max() < 1e-4


def test_probe_of_colour_images_in_folders(tmp_path):
    "Tiny ImageNet's shape on the disk: a folder a class, colour, other classes than the model's."
    chance = np.random.default_rng(0)
    for part in ('train', 'val'):
        for k,name in enumerate(('n01', 'n02', 'n03')):
            (tmp_path/part/name).mkdir(parents=True)
            for i in range(12):
                picture = chance.integers(0, 80, (40, 36, 3), np.uint8)
                picture[...,k] += 120
                Image.fromarray(picture).save(tmp_path/part/name/f'{i}.png')
    train, test = (hardkd.in_memory(hardkd.vision_set('ImageFolder', tmp_path, part, size=32)) for part in (True, False))
    torch.manual_seed(0)
    assert linear_probe(shift_cnn(7, channels=3), train, test) > .9


def test_bad_probe():
    train, test = digits()
    with pytest.raises(TypeError, match='train: got Tensor'): linear_probe(mlp(), train.x, test)
    with pytest.raises(ValueError, match="layer: got 'fc'"): linear_probe(mlp(), train.subset(50), test.subset(50), layer='fc')


# --- rivals

def small(n=60):
    train, _ = digits()
    return pretrained('shift_cnn'), shift_cnn(widths=(4,8,16)), train.subset(n)


def test_stages():
    assert stages(shift_cnn(), torch.rand(2, 1, 28, 28)) == [('3', 16), ('7', 32), ('11', 64)]
    assert [c for _,c in stages(hardkd.resnet18(), torch.rand(2, 1, 64, 64))] == [64, 64, 128, 256, 512]
    with pytest.raises(ValueError, match='model: got one without maps'): stages(mlp(), torch.rand(2, 1, 28, 28))


RUN = [name for name in RIVALS if name != 'FSP']

@pytest.mark.parametrize('name', RUN)
def test_rival_learns(name):
    "Each loss of torchdistill goes down when its student learns from it alone, and its own modules learn."
    teacher, student, few = small()
    term = rival_term(name, teacher, student, few)
    before = {k: v.clone() for k,v in teacher.state_dict().items()}
    run = hardkd.distill(teacher, student, few, term=term, kd_weight=0., epochs=12, batch_size=20, optimiser=partial(torch.optim.Adam, lr=5e-3), progress=False)
    losses = [h['rival'] for h in run.history]
    assert sum(losses[-6:]) < sum(losses[:6]), losses
    assert jobs.same(before, teacher.state_dict())


def test_fsp_says_why_it_cannot_run():
    teacher, student, few = small()
    with pytest.raises(ValueError, match=r'student: got stages of \[4, 8, 16\] channels, allowed are \[16, 32, 64\]'): rival_term('FSP', teacher, student, few)
    hardkd.distill(teacher, shift_cnn(), few, term=rival_term('FSP', teacher, shift_cnn(), few), kd_weight=0., epochs=1, batch_size=20, progress=False)


def seen_by_both(teacher, student, batch, term):
    from hardkd.models import captured
    student.eval(), teacher.eval()
    with torch.no_grad(), captured(student, term.student_layers) as mine, captured(teacher, term.teacher_layers) as theirs: student(batch.x), teacher(batch.x)
    return mine, theirs


def test_rivals_by_their_formulas():
    "Where a paper's formula is short: AT, SP, RKD's distances, PKT."
    teacher, student, few = small()
    batch = Batch(few.x[:10], few.y[:10], (0,))
    def value(name):
        term = rival_term(name, teacher, student, few)
        mine, theirs = seen_by_both(teacher, student, batch, term)
        return term(mine, theirs, batch)[0].item(), [{k: v[1] for k,v in seen.items()} for seen in (mine, theirs)], [seen['14'][0] for seen in (mine, theirs)]
    got, maps, features = value('AT')
    attention = [[F.normalize(m[k].square().mean(1).flatten(1)) for k in ('3', '7', '11')] for m in maps]
    assert got == pytest.approx(1000*sum((s-t).square().mean().item() for s,t in zip(*attention)), rel=1e-4)
    got, maps, _ = value('SP')
    g = [F.normalize(m['11'].flatten(1)@m['11'].flatten(1).T, p=1, dim=1) for m in maps]     # the paper says p=2
    assert got == pytest.approx(1e5*(g[0]-g[1]).square().sum().item()/100, rel=1e-4)
    got, _, z = value('PKT')
    p = [(F.normalize(v, dim=1)@F.normalize(v, dim=1).T + 1)/2 for v in z]
    s, t = (v/v.sum(1, keepdim=True) for v in p)
    assert got == pytest.approx(30000*(t*(t/s).log()).mean().item(), rel=1e-2)


def test_crd_gets_numbers_and_strangers():
    teacher, student, few = small()
    term = rival_term('CRD', teacher, student, few)
    which, io = torch.tensor([5, 0, 41]), [{}, {}]
    term.before(io, Batch(few.x[which], few.y[which], (0,)))
    told = io[0]['numbers']['input']
    assert told['pos_idx'].tolist() == which.tolist() and told['contrast_idx'][:,0].tolist() == which.tolist()
    assert (few.y[told['contrast_idx'][:,1:]] != few.y[which][:,None]).all()


def test_rival_term_scales():
    teacher, student, few = small()
    batch = Batch(few.x[:10], few.y[:10], (0,))
    values = []
    for factor in (1., 3.):
        term = rival_term('AT', teacher, student, few, factor)
        values.append(term(*seen_by_both(teacher, student, batch, term), batch)[0].item())
    assert values[1] == pytest.approx(3*values[0], rel=1e-5)


def test_bad_rivals():
    teacher, student, few = small()
    with pytest.raises(ValueError, match="name: got 'CDR'.*did you mean 'CRD'"): rival_term('CDR', teacher, student, few)
    with pytest.raises(ValueError, match='factor: got 0'): rival_term('AT', teacher, student, few, factor=0)
    with pytest.raises(ValueError, match='student: got 2 stages, allowed are 3'): rival_term('AT', teacher, shift_cnn(widths=(4,8)), few)


# --- the comparison

QUICK = dict(epochs=1, batch_size=30)

def test_same_start_for_all():
    teacher, student, few = small()
    make = partial(shift_cnn, widths=(4,8,16))
    torch.manual_seed(5); a = contend('labels', teacher, make, few, seed=1, progress=False, **QUICK)
    torch.manual_seed(6); b = contend('labels', teacher, make, few, seed=1, progress=False, **QUICK)
    assert jobs.same(a.student.state_dict(), b.student.state_dict())
    steps = {contend(name, teacher, make, few, progress=False, **QUICK).steps['student'] for name in ('labels', 'KD', 'ICD', 'HARD + ICD', 'AT + KD')}
    assert steps == {2}
    with pytest.raises(ValueError, match="name: got 'KDD'"): contend('KDD', teacher, make, few)


def test_comparison(tmp_path, monkeypatch):
    teacher, student, few = small()
    train, test = digits()
    held, some, seen = train.subset(200), test.subset(100), []
    original = hardkd.experiments.contenders.contend
    monkeypatch.setattr(hardkd.experiments.comparison, 'contend', lambda name, *args, **how: (seen.append((name, *args[3:])), original(name, *args, **how))[1])
    options = dict(names=('labels', 'KD', 'ICD', 'FSP'), seeds=2, factors=(.5, 1.), probe=(few, some), **QUICK)
    result = compare(teacher, partial(shift_cnn, widths=(4,8,16)), few, held, some, tmp_path, **options)
    assert list(result) == ['labels', 'KD', 'ICD', 'FSP'] and 'stages of [4, 8, 16] channels' in result['FSP']['error']
    assert [s[1:] for s in seen if s[0] == 'KD'] == [(.5, 2), (1., 2), (result['KD']['factor'], 0), (result['KD']['factor'], 1)]   # chosen by another seed
    assert result['KD']['factor'] == (.5, 1.)[int(np.argmax(result['KD']['held']))] and len(result['KD']['probe']) == 2
    rows = {r['method']: r for r in compared(tmp_path)}
    assert rows['KD']['difference'] == 0 and rows['labels']['test'] == pytest.approx(np.mean(result['labels']['test']))
    assert rows['ICD']['difference'] == pytest.approx(rows['ICD']['test']-rows['KD']['test'], abs=1e-6)
    text = compared_text(list(rows.values()))
    assert 'FSP could not run: ValueError' in text and len(text.split('\n')) == 5
    page = compared_html(list(rows.values()), caption='<few>')
    first = [line.split('  ')[0] for line in text.split('\n')[1:4]]
    assert [m for m in re.findall('<th scope="row"[^>]*>([^<]+)</th>', page)] == first, 'the same order'
    assert '<caption>&lt;few&gt;; FSP could not run: ValueError' in page and re.search(rf"<td[^>]*>{rows['KD']['test']:.2%} ± {100*rows['KD']['sd']:.2f}</td>", page)
    count = len(seen)
    again = compare(teacher, None, few, held, some, tmp_path, **options)
    assert again == result and len(seen) == count, 'what is done is not done again'
    with pytest.raises(ValueError, match='out: got .* a comparison of epochs = 1, allowed are epochs = 2'):
        compare(teacher, None, few, held, some, tmp_path, **options | dict(epochs=2))
    with pytest.raises(ValueError, match='a comparison of held'): compare(teacher, None, few, few, some, tmp_path, **options)
    (tmp_path/'rows.json').write_text(json.dumps(list(rows.values())))
    assert compared(tmp_path/'rows.json') == list(rows.values())
    with pytest.raises(ValueError, match="against: got 'ICD', allowed are 'KD'"): compared(tmp_path/'rows.json', against='ICD')
    with pytest.raises(ValueError, match="names: got 'KDD'"): compare(teacher, None, few, held, some, tmp_path/'new', names=('KDD',))
    assert not (tmp_path/'new').exists()
    with pytest.raises(ValueError, match="against: got 'FSP', allowed are 'labels', 'KD', 'ICD'"): compared(tmp_path, against='FSP')


def test_interrupted_comparison_goes_on(tmp_path, monkeypatch):
    teacher, _, few = small()
    def stop(*_, **__): raise KeyboardInterrupt
    options = dict(seeds=1, factors=(1.,), **QUICK)
    args = teacher, partial(shift_cnn, widths=(4,8,16)), few, few, few, tmp_path
    compare(*args, names=('labels',), **options)
    monkeypatch.setattr(hardkd.experiments.comparison, 'contend', stop)
    with pytest.raises(KeyboardInterrupt): compare(*args, names=('labels', 'KD'), **options)
    assert list(json.loads((tmp_path/'result.json').read_text())) == ['labels']
