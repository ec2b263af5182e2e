"hardkd.rivals: augmentations as contenders, the ascent on pixels, what is measured, and both budgets."
import json
import random
from pathlib import Path
import numpy as np
import pytest
import torch
import hardkd, hardkd.core.assets, hardkd.experiments.comparison, hardkd.experiments.contenders, hardkd.experiments.figures
from helpers import train_jobs as jobs
from hardkd import CORRUPTIONS, HardDraws, HierarchicalVAE, Images, accuracy, agreement, calibration_error, compared, compared_text, corrupt, digits, hardness, mlp, paired_interval, pretrained, predict, robust_teacher, translate
from hardkd.experiments.ascent import PixelAscent
from hardkd.experiments.contenders import AUGMENTED, Case, contend, CONTENDERS
from hardkd.experiments.corruptions import Corrupting
from hardkd.experiments.comparison import best_by_held, compare, test_sets as sets_of     # pytest would take it for a test
from hardkd.experiments.seconds import clock_of, convergence, equal_seconds
from hardkd.experiments.figures import differences_figure
from hardkd.experiments.robustness import first_reached
from hardkd.experiments.records import folded, is_hard, verdicts
from hardkd.experiments.recipes import METHODS
from hardkd.figures.page import Html

train, test = digits()
TINY = dict(epochs=1, batch_size=20, label_weight=0., progress=False)


@pytest.fixture(scope='module')
def few(): return train.subset(60)

@pytest.fixture(scope='module')
def teacher(): return pretrained('shift_cnn')

@pytest.fixture(scope='module')
def vae():
    torch.manual_seed(0)
    return HierarchicalVAE(width=4, latents=((2,), (1,), (1,)))


def small_mlp(): return mlp(hidden=(16,))


# --- contenders

@pytest.mark.parametrize('name', AUGMENTED)
def test_each_augmentation_runs_and_repeats(name, few, teacher, vae):
    runs = []
    for junk in (1, 2):
        torch.manual_seed(junk), random.seed(junk), np.random.seed(junk)
        runs.append(contend(name, teacher, small_mlp, few, seed=3, vae=vae, **TINY))
    a, b = runs
    assert a.steps['student'] == 3 and all('labels' not in h for h in a.history), 'no labels'
    assert jobs.same(a.student.state_dict(), b.student.state_dict())
    assert 'hard' in a.history[0], 'half of the images are augmented'


@pytest.mark.parametrize('name', [n for n in AUGMENTED if n not in ('KD + MixUp', 'KD + CutMix') and 'spatial + VAE' not in n])
def test_the_factor_is_the_strength(name, few, teacher, vae):
    changed = []
    for f in (.3, 1.):
        batch = hardkd.Batch(few.x[:40], few.y[:40], (0,))
        start = vae.reconstruct(batch.x) if name in ('KD + fixed VAE', 'HARD VAE') else batch.x
        changed.append((batch.augmented(AUGMENTED[name].options(Case(teacher, small_mlp(), few, f, vae=vae))['augmentor']) - start).abs().mean().item())
    assert changed[0] < changed[1], changed


def twin_of(name): return name.split(',')[0].replace('HARD', 'KD + fixed')


@pytest.mark.parametrize('learned', [n for n in AUGMENTED if n.startswith('HARD ')])
@pytest.mark.parametrize('factor', [.5, 1., 2.])
def test_hard_starts_as_its_fixed_twin(learned, factor, few, teacher, vae):
    case = Case(teacher, small_mlp(), few, factor, vae=vae)
    def options(name):
        torch.manual_seed(0)     # of the small networks' first weights, as in `contend`
        return AUGMENTED[name].options(case)
    ours, theirs = options(learned), options(twin_of(learned))
    batch = hardkd.Batch(few.x, few.y, (0,))
    start, same = (batch.augmented(how['augmentor']).detach() for how in (ours, theirs))
    hard, learns = [m for m in ours['augmentor'].modules() if isinstance(m, HardDraws)], not learned.endswith('widths held')
    assert bool(hard) == (learned not in ('HARD VAE', 'HARD spatial + light, blind draws')) and torch.equal(start, same) == (not hard)
    for part in hard: part.step = 0
    assert torch.equal(batch.augmented(ours['augmentor']), same) and not torch.equal(same, few.x)
    assert any(p.requires_grad for p in ours['augmentor'].parameters()) == learns and not any(p.requires_grad for p in theirs['augmentor'].parameters())
    assert ('referee' in ours) == learns and 'referee' not in theirs


@pytest.mark.parametrize('name', [n for n in AUGMENTED if n.startswith('HARD ')])
def test_hard_plays_one_turn_after_ten(name, few, teacher, vae):
    run = contend(name, teacher, small_mlp, few, vae=vae, epochs=90, batch_size=30, schedule=None, progress=False)
    assert run.steps == dict(student=180, **({} if name.endswith('widths held') else dict(augmentor=3)))


@pytest.mark.parametrize('record', [p.name for p in sorted((Path(hardkd.__file__).parent/'records').glob('augment-*.json'))])
def test_shipped_records_are_of_these_contenders(record):
    path = hardkd.core.assets.record(record)
    held = json.loads(path.read_text())
    recipe = json.loads(path.with_name('manifest.json').read_text())[record]['recipe']
    budgets = ['updates'] if '--no-seconds' in recipe else ['updates', 'seconds']
    assert {*budgets} == {'updates', 'seconds'} & {*held} and held['leaders'][0] == 'KD' and held['leaders'][-1].startswith('HARD')
    for budget in budgets:
        rows = {r['method']: r for r in compared(path, budget=budget)}
        assert {*held['leaders']} <= {*rows} <= {'labels', 'KD', *AUGMENTED} and not any('error' in r for r in rows.values())
        if '--names' not in recipe: assert [*rows] == ['labels', 'KD', *AUGMENTED]
        for name in (n for n in rows if n.startswith('HARD')): assert twin_of(name) in rows, 'its twin beside it'
        assert [r['method'] for r in compared(path, held['leaders'][1], budget)] == [*rows]


def test_leaders_are_chosen_on_held_out_images():
    def row(*held, test=0.): return dict(held=[*held], test=[test])
    result = {'labels': dict(test=[1.]), 'KD': row(.5), 'KD + shift': row(.1, .6, test=.9), 'KD + affine': row(.55, .55, test=1.), 'KD + pixel ascent': row(.7),
              'KD + fixed spatial': row(.65), 'HARD mix': row(.1), 'HARD spatial': row(.2), 'HARD spatial + light, blind draws': row(.9), 'HARD VAE': dict(error='no'), 'FitNet': row(1.)}
    assert best_by_held(result) == ['KD', 'KD + shift', 'KD + pixel ascent', 'HARD spatial']
    assert best_by_held({k: result[k] for k in ('KD', 'KD + shift')}) == ['KD', 'KD + shift'], 'each once'


def test_kinds_and_names_agree():
    "Code looks at a contender's kind, people at its name: a HARD is called one, and only a HARD; its halves do not lead."
    for name, c in CONTENDERS.items():
        assert name == c.name and (c.kind == 'hard') == is_hard(name) == name.startswith('HARD')
        assert (c.kind == 'labels') == (name == 'labels') and c.leads == (not name.endswith(('widths held', 'blind draws')))
        assert c.plain == ('HARD spatial + light' if name.endswith('teacher asked') else None)
    assert [n for n, c in AUGMENTED.items() if c.kind == 'usual'] == [n for n in AUGMENTED if n.startswith('KD')][:8]
    assert not is_hard('nobody')


def test_folded_tables():
    page = folded('All <rows>', Html('<table></table>'), Html('<p>'))
    assert page == '<details><summary>All &lt;rows&gt;</summary><table></table><p></details>' and isinstance(page, Html)


def test_what_lesson_13_reads_in_the_records():
    "Each number that its prose says in words."
    names = 'digits-2000', 'digits-500', 'fashion-2000', 'fashion-2000-long', 'fashion-500'
    paths = {n: hardkd.core.assets.record(f'augment-{n}.json') for n in names}
    twin, rand = 'KD + fixed spatial + light', 'KD + RandAugment'
    to_twin = [r for r in verdicts(paths) if r['method'].endswith(twin)]
    assert len(to_twin) == 5, 'the same twin led everywhere'
    assert all(.0195 < r['translate_difference'] < .0805 and .0045 < r['corrupted_difference'] < .0155 for r in to_twin)
    gains = {n: next(r for r in verdicts({n: p}) if r['method'].endswith('minus KD'))['difference'] for n, p in paths.items()}
    assert gains['digits-500'] > gains['digits-2000'] and gains['fashion-500'] > gains['fashion-2000'], 'worth most with few images'
    for n in ('digits-2000', 'fashion-2000'):                                # by the clock
        rows = {r['method']: r for r in compared(paths[n], twin, 'seconds')}
        assert all(rows[k]['high'] < 0 and rows[k]['corrupted_high'] < 0 for k in ('HARD spatial + light', 'HARD spatial + light, teacher asked'))
        ahead = [r for r in compared(paths[n], rand, 'seconds') if r['method'].startswith('HARD spatial + light')]
        assert len(ahead) == 4 and all(r['corrupted_low'] > 0 for r in ahead)
    rows = {r['method']: r for r in compared(paths['digits-2000'], twin, 'seconds')}
    assert rows['HARD spatial + light']['updates']/rows[twin]['updates'] == pytest.approx(2/3, abs=.04)
    assert rows['HARD spatial + light, teacher asked']['updates']/rows[twin]['updates'] == pytest.approx(1/3, abs=.04)
    way = json.loads(paths['digits-2000'].read_text())['convergence']
    level = max(np.mean(way['KD']['accuracy'], 0))
    at = {n: [first_reached(w[k], np.mean(w['accuracy'], 0), level) for k in ('updates', 'seconds')] for n, w in way.items()}
    for n in (twin, 'HARD spatial + light', 'HARD spatial + light, teacher asked'): assert .15 < at[n][0]/at['KD'][0] < .25, 'a fifth of the updates'
    for n, share in ((twin, .75), ('HARD spatial + light', 1), ('HARD spatial + light, teacher asked', 2)):
        assert at[n][1]/at['KD'][1] == pytest.approx(share, rel=.15)
    clean = {r['method']: r for r in compared(paths['fashion-2000'])}
    assert max(clean.values(), key=lambda r: r['test'])['method'] == 'KD + shift'
    assert .09 < clean['HARD spatial + light, teacher asked']['corrupted'] - clean['KD + shift']['corrupted'] < .1
    held = {n: clean[n]['held'] for n in ('HARD spatial', 'KD + fixed spatial', 'HARD spatial + light', twin)}
    for hard, fixed in (('HARD spatial', 'KD + fixed spatial'), ('HARD spatial + light', twin)):
        assert held[hard][0] > held[fixed][0] and held[hard][2] < held[fixed][2], 'starts narrow'


def test_shipped_record_of_the_demo():
    found = json.loads(hardkd.core.assets.record('demo.json').read_text())
    assert [r['method'] for r in found['digits']] == [*METHODS] and len({r['pair'] for r in found['full']}) == 2
    for r in found['digits'] + found['full']: assert 0 < r['test'] < 1 and 0 < r['translate'] < 1


def test_pixel_ascent(few, teacher):
    torch.manual_seed(0)
    student = mlp(dropout=.5)
    student = hardkd.distill(teacher, student, few, epochs=20, batch_size=20, progress=False).student.train()
    student.zero_grad()
    before, x = {k: v.clone() for k, v in student.state_dict().items()}, few.x[:30]
    ascents = [PixelAscent(teacher, student, reach=r, steps=s)(x) for r, s in ((.05, 4), (.1, 4))]
    assert student.training and all(p.grad is None and p.requires_grad for p in student.parameters()), 'held, and given back'
    assert jobs.same(student.state_dict(), before) and not ascents[0].requires_grad
    student.eval()
    def hard(moved):
        with torch.no_grad(): return hardness(student(moved), teacher(moved), teacher(x)).mean().item()
    assert hard(x) < hard(ascents[0]) < hard(ascents[1])
    for moved, reach in zip(ascents, (.05, .1)): assert (moved - x).abs().max() <= reach + 1e-6 and moved.min() >= 0 and moved.max() <= 1
    with pytest.raises(ValueError, match='reach: got 0'): PixelAscent(teacher, student, reach=0)
    with pytest.raises(ValueError, match='steps: got 0'): PixelAscent(teacher, student, steps=0)


# --- what is measured

def test_sets_to_judge_on(few):
    sets = sets_of(few, 6)
    assert [*sets] == ['test', 'translate', 'corrupted'] and [*sets_of(few)] == ['test', 'translate']
    some, each = few.subset(6), sets['corrupted'].x.view(10, 5, 6, 1, 28, 28)
    assert torch.equal(sets['translate'].x, translate(few).x) and sets['test'] is few
    assert torch.equal(each[3, 4], corrupt(some.x, [*CORRUPTIONS][3], 5)) and torch.equal(sets['corrupted'].y.view(50, 6)[17], some.y)


def test_measured_by_hand(few, teacher):
    torch.manual_seed(0)
    student, sets = mlp(), sets_of(few, 6)
    told = predict(teacher, sets['corrupted'].x)
    right, last = hardkd.experiments.comparison.measured(student, sets, told)
    assert right['test'].mean().item() == pytest.approx(accuracy(student, few))
    x, y = sets['corrupted'].x, sets['corrupted'].y
    by_image = [(predict(student, x[i::6]).argmax(1) == y[i]).float().mean().item() for i in range(6)]
    assert right['corrupted'].tolist() == pytest.approx(by_image)
    assert last == dict(agreement=agreement(predict(student, x), told), calibration=calibration_error(predict(student, x), y))
    _, clean = hardkd.experiments.comparison.measured(student, sets_of(few), predict(teacher, few.x))
    assert clean['agreement'] == agreement(predict(student, few.x), predict(teacher, few.x))


def test_comparison_of_augmentations(tmp_path, few, teacher, monkeypatch):
    held, some, seen, original = train.subset(80), test.subset(40), [], hardkd.experiments.contenders.contend
    def note(name, teacher, make, data, factor, seed, **how):
        seen.append((name, factor, seed, how['epochs'], how['label_weight']))
        return original(name, teacher, make, data, factor, seed, **how)
    monkeypatch.setattr(hardkd.experiments.comparison, 'contend', note)
    options = dict(seeds=2, corrupted_images=20, batch_size=20, label_weight=0.)
    args = teacher, small_mlp, few, held, some
    names = 'labels', 'KD', 'HARD spatial'
    first = compare(*args, tmp_path/'updates', names=names, factors=(.3, 1.), epochs=2, **options)
    assert first['HARD spatial']['updates'] == [6, 6] and len(first['KD']['held']) == 2 and 'factor' not in first['labels']
    row = compared(tmp_path/'updates')[2]
    assert row['held'] == first['HARD spatial']['held']
    for what, label in (('test', ''), ('translate', 'translate_'), ('corrupted', 'corrupted_')):
        both = [torch.tensor(np.stack([np.load(tmp_path/'updates'/f'{n}-{s}.npz')[what] for s in (0, 1)])) for n in ('HARD spatial', 'KD')]
        assert [row[label+k] for k in ('difference', 'low', 'high')] == pytest.approx(paired_interval(*both))
        assert row[what] == pytest.approx(both[0].mean().item(), abs=1e-6)
    text = compared_text(compared(tmp_path/'updates'))
    for word in ('corrupted minus KD', 'agreement', 'calibration error', 'updates', 'translate'): assert word in text.split('\n')[0]
    assert 'probe' not in text
    epochs = equal_seconds(first, 2, 3*min(first['KD']['seconds']))
    seen.clear()
    chosen = {n: r.get('factor') for n, r in first.items()}
    compare(*args, tmp_path/'seconds', names=names, factors=chosen, epochs=epochs, **options)
    assert [s[:4] for s in seen if s[0] == 'HARD spatial'] == [('HARD spatial', chosen['HARD spatial'], seed, epochs['HARD spatial']) for seed in (0, 1)], 'nothing is chosen again'
    with pytest.raises(ValueError, match='a comparison of corrupted_images = 20'): compare(*args, tmp_path/'updates', names=names, factors=(.3, 1.), epochs=2, **options | dict(corrupted_images=30))
    with pytest.raises(ValueError, match='a comparison of epochs'): compare(*args, tmp_path/'updates', names=names, factors=(.3, 1.), epochs=epochs, **options)


def test_choice_is_by_clean_and_corrupted_held_images(tmp_path, few, teacher, monkeypatch):
    "Of two factors one is better on clean, the other on corrupted held images; the mean decides."
    scores = {.3: (.8, .1), 1.: (.7, .3)}
    def pretend(name, teacher, make, data, factor, seed, **how):
        run = hardkd.Run(small_mlp(), seconds=1., steps=dict(student=1))
        run.student.factor = factor
        return run
    def measured(student, sets, told):
        clean, spoiled = scores[student.factor]
        return dict(test=torch.tensor([clean]), translate=torch.tensor([1 - clean]), corrupted=torch.tensor([spoiled])), dict(agreement=0., calibration=0.)
    monkeypatch.setattr(hardkd.experiments.comparison, 'contend', pretend), monkeypatch.setattr(hardkd.experiments.comparison, 'measured', measured)
    result = compare(teacher, small_mlp, few, few, few, tmp_path, names=('KD',), factors=(.3, 1.), seeds=1, corrupted_images=4, epochs=1)
    assert result['KD']['held'] == pytest.approx([.45, .5]) and result['KD']['factor'] == 1.


def test_seconds_are_read_off_the_clock():
    "The fastest run counts; beyond its end it goes on as in its second half."
    slow_start = [*np.linspace(0, 8, 11), *np.linspace(8, 10, 11)[1:]]       # 10 updates: half of them in 8 s, half in 2
    result = {'KD': dict(updates=[10, 10], seconds=[9., 5.], clock=[[0.]*20 + [9.], np.linspace(0, 5, 21).tolist()]),
              'HARD spatial': dict(updates=[10, 10], seconds=[10., 11.], clock=[slow_start, [0.]*20 + [11.]]), 'KD + AugMix': dict(error='none')}
    for seconds, kd, hard in ((4, 8, 2.5), (5, 10, 3.125), (9, 18, 7.5), (20, 40, 35), (30, 60, 60)):
        epochs = equal_seconds(result, 2., seconds)
        assert epochs == pytest.approx({'KD': 2*kd/10, 'HARD spatial': 2*hard/10}), seconds
    with pytest.raises(ValueError, match='seconds: got 0'): equal_seconds(result, 2., 0)


def test_clock(few, teacher):
    run = contend('HARD spatial', teacher, small_mlp, few, epochs=4, batch_size=20, label_weight=0., progress=False)
    clock, made = clock_of(run), [h['seconds'] for h in run.history if h['player'] == 'student']
    assert len(clock) == 21 and clock[0] == 0 and clock[-1] == made[-1] and clock[5] == pytest.approx(made[2]) and clock == sorted(clock)


def test_convergence(few, teacher):
    held = train.subset(30)
    result = {n: dict(updates=[6], seconds=[6*pace], clock=[np.linspace(0, 6*pace, 21)]) for n, pace in (('KD', .5), ('HARD spatial', 2.))}
    found = convergence(teacher, small_mlp, few, held, {'KD': 1., 'HARD spatial': .3}, result, seeds=2, epochs=4, batch_size=20, label_weight=0., lr=1e-3)
    for name, pace in (('KD', .5), ('HARD spatial', 2.)):
        way = found[name]
        assert way['updates'][0] == 0 and way['updates'][-1] == 12 and way['seconds'] == pytest.approx([pace*u for u in way['updates']])
        assert np.array(way['accuracy']).shape == (2, len(way['updates']))
    last = contend('KD', teacher, small_mlp, few, 1., 1, schedule=None, epochs=4, batch_size=20, label_weight=0., lr=1e-3, progress=False).student
    assert found['KD']['accuracy'][1][-1] == pytest.approx(accuracy(last, held)), 'clean held images'
    hardkd.experiments.figures.convergence_figure(found)


def test_verdicts(tmp_path):
    "The leading HARD against every other leader, each by the differences to that one; other rows are left out."
    def rows(k): return [dict(method='HARD VAE', difference=9.), dict(method='HARD spatial', difference=k), dict(method='KD', difference=0.)]
    record = dict(leaders=['KD', 'KD + shift', 'HARD spatial'], updates={'KD': rows(.1), 'KD + shift': rows(.2)}, seconds={'KD': rows(.3), 'KD + shift': rows(.4)})
    (tmp_path/'a.json').write_text(json.dumps(record))
    found = verdicts({'few': tmp_path/'a.json', 'many': tmp_path/'a.json'})
    assert [r['method'] for r in found] == [f'{what}: minus {rival}' for what in ('few', 'many') for rival in ('KD', 'KD + shift')]
    assert [r['difference'] for r in found] == [.1, .2]*2 and {r['hard'] for r in found} == {'HARD spatial'}
    assert [r['difference'] for r in verdicts({'few': tmp_path/'a.json'}, 'seconds')] == [.3, .4]
    (tmp_path/'b.json').write_text(json.dumps(record | dict(leaders=['KD', 'KD + shift'])))
    with pytest.raises(ValueError, match=r"records\['many'\]: got one led by 'KD \+ shift', allowed are records with a HARD"): verdicts({'few': tmp_path/'a.json', 'many': tmp_path/'b.json'})


def test_differences_figure():
    def row(method, test, spoiled): return dict(method=method, difference=test, low=test-.01, high=test+.01, corrupted_difference=spoiled, corrupted_low=spoiled-.02, corrupted_high=spoiled+.02)
    fig = differences_figure([row('KD', 0, 0), row('KD + shift', .03, -.05), row('HARD VAE', .01, .04), dict(method='KD + AugMix', error='none')], title='a few')
    assert fig.get_label() == ('a few; HARD VAE, test: +1.0 [+0.0, +2.0]; KD + shift, test: +3.0 [+2.0, +4.0]; '
                               'HARD VAE, corrupted: +4.0 [+2.0, +6.0]; KD + shift, corrupted: -5.0 [-7.0, -3.0]'), 'the better sum first'
    sheet, *panels = fig.axes
    assert [t.get_text() for t in sheet.texts] == ['a few', 'HARD VAE', 'KD + shift', 'test', 'corrupted']
    given = differences_figure([row('b', .01, .01), row('a', .03, .03) | dict(hard='HARD VAE')], 'rival', order=False)
    assert [t.get_text() for t in given.axes[0].texts if t.get_text()] == ['b', 'a', 'test', 'corrupted'], 'as given'
    looks = [[line.get_color() for line in ax.lines][:4:2] for ax in given.axes[1:]]
    assert looks[0] == looks[1] and looks[0][0] != looks[0][1], 'a verdict on HARD stands out'
    for ax, means in zip(panels, ((1, 3), (4, -5))):
        spans, dots = ([list(map(float, line.get_xdata())) for line in ax.lines if len(line.get_xdata()) == n and line.get_ydata()[0] == line.get_ydata()[-1]] for n in (2, 1))
        assert dots == [[pytest.approx(m)] for m in means] and [pytest.approx(sum(s)/2) for s in spans] == [*means]
    assert fig.axes[1].lines[0].get_color() != fig.axes[1].lines[2].get_color(), 'learned augmentors stand out'
    with pytest.raises(ValueError, match='rows: got no method beside KD'): differences_figure([row('KD', 0, 0)])


# --- a robust teacher

def test_corrupting_draws_by_its_noise():
    x, noise = train.x[:40], Corrupting().draw(40, torch.Generator().manual_seed(0))
    made = Corrupting()(x, noise)
    assert torch.equal(made, Corrupting()(x, noise)) and made.shape == x.shape
    severity, which = divmod(int(noise[16,0]) % 50, 10)
    assert torch.equal(made[16:32], corrupt(x[16:32], [*CORRUPTIONS][which], severity + 1, int(noise[16,0])))
    seen = {int(v) % 50 for v in Corrupting().draw(2000, torch.Generator().manual_seed(1))}
    assert len(seen) == 50, 'every corruption at every severity'


def test_shipped_robust_teacher_bears_more_than_the_plain_one():
    sets = sets_of(test.subset(1000), 200)
    robust, plain = ({k: accuracy(pretrained(n), d) for k, d in sets.items()} for n in ('robust_cnn', 'shift_cnn'))
    assert robust['corrupted'] > plain['corrupted'] + .1 and robust['test'] > .985
    for k, v in robust.items(): assert v == pytest.approx(pretrained('robust_cnn').manifest['metrics'][k], abs=.02)


def test_robust_teacher_repeats(few):
    a, b = (robust_teacher(few, epochs=1, progress=False) for _ in range(2))
    assert jobs.same(a.state_dict(), b.state_dict()) and not a.training
    other = Images(torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 4, [*'abcd'])
    assert predict(robust_teacher(other, epochs=1, progress=False), other.x).shape == (40, 4)
