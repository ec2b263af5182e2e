"hardkd.cli: what the shell command writes, says and answers; every demo here is a short one on few digits."
import base64, contextlib, io, json, math, os, re, shlex, signal, statistics, subprocess, sys, time, urllib.error
from html.parser import HTMLParser
from functools import partial
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn
from torchvision import datasets
import hardkd, hardkd.core.assets, hardkd.experiments.comparison, hardkd.experiments.contenders, hardkd.weights
from hardkd import cli, train as loop
from hardkd.experiments import commands, recipes, story as stories, toy
from hardkd.data import digits
from hardkd.weights import pretrained
from hardkd.spatial import GENERATORS, SpatialAugmentor
from helpers.readings import read_once
from helpers.sets import write_mnist
from helpers.figures import close, dome, held, images, maps_of, ramp, said, story

ROOT = Path(__file__).resolve().parents[1]
METHODS = ['teacher', 'student', 'kd', 'kd_fixed', 'hard']
FRACTIONS = ['test', 'translate', 'map_mean', 'map_worst']
ROW = {'method', *FRACTIONS, 'seconds', 'student_steps', 'augmentor_steps'}
TRAIN, TEST = 512, 20     # 4 batches, and little to evaluate
train, test = (part.subset(n) for part, n in zip(digits(), (TRAIN, TEST)))


def few_digits(full=False, root='data'): return digits(full, root) if full else (train, test)


def take_few(patch):
    "All commands take few digits."
    for room in recipes, toy, commands: patch.setattr(room, 'digits', few_digits)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    take_few(monkeypatch)
    read_once(monkeypatch)


def without_pictures(patch):
    "A demo for its numbers and its words: the picture and the views of its page are left out, and tested with `shown`."
    blank = Figure((1, 1))
    blank.set_label('left out')
    patch.setattr(toy, 'story_of', lambda *given: blank)
    for view in 'ShiftMap', 'HardScrub': patch.setattr(toy, view, lambda *given: 'a view')


def say(*words):
    "A command in this process: its exit code, what it printed, its complaints."
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try: code = cli.main([str(w) for w in words])
        except SystemExit as stop: code = stop.code
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def start(*words, **options):
    "The same in a process of its own, which Ctrl-C reaches."
    few = f"toy.digits = lambda *a, **k: tuple(part.subset({TEST}) for part in digits())"
    code = f'import sys; from hardkd import cli, digits; from hardkd.experiments import toy; {few}; sys.exit(cli.main())'
    env = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen([sys.executable, '-c', code, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **options)


def strict(path):
    "JSON without NaN and Infinity, which others cannot read."
    def no(name): raise AssertionError(name)
    return json.loads(Path(path).read_text(), parse_constant=no)


def numbers(rows): return [{k: v for k, v in row.items() if k != 'seconds'} for row in rows]


@pytest.fixture(scope='module')
def shown(tmp_path_factory):
    "One demo that many tests look at."
    out = tmp_path_factory.mktemp('shown')/'new'/'a <b>&"c'
    with pytest.MonkeyPatch.context() as patch:
        take_few(patch)
        read_once(patch)
        said = say('demo', '--out', out, '--epochs', 1, '--quiet')
    assert said.code == 0, said.err
    return SimpleNamespace(out=out, said=said, result=strict(out/'demo.json'), page=(out/'demo.html').read_text(encoding='utf-8'))


# --- what a demo leaves behind

def test_demo_json(shown):
    result = shown.result
    assert {'seed', 'seconds', 'rows', 'widths'} <= set(result)
    assert result['seed'] == 0 and 0 < result['seconds'] < 600
    assert [row['method'] for row in result['rows']] == METHODS
    for row in result['rows']:
        assert set(row) == ROW
        assert all(isinstance(row[k], (int, float)) and 0 <= row[k] <= 1 for k in FRACTIONS)
        assert row['map_worst'] <= row['map_mean']
        assert row['student_steps'] == (0 if row['method'] == 'teacher' else TRAIN//128)
        assert row['augmentor_steps'] == 0 and row['seconds'] >= 0
    assert result['rows'][0]['test'] > .9
    assert list(result['widths']) == list(GENERATORS) and all(0 < w < 1 for w in result['widths'].values())


def test_demo_writes_nothing_else(shown):
    assert {p.name for p in shown.out.iterdir()} == {'demo.json', 'demo.png', 'demo.html'}


def test_the_table_says_what_the_json_says(shown):
    lines = [re.split(r'  +', line.strip()) for line in shown.said.out.splitlines()]
    assert lines[0] == ['method', 'test', 'translate', 'map mean', 'map worst', 'seconds', 'student steps', 'augmentor steps']
    for line, row in zip(lines[1:6], shown.result['rows']):
        assert line[0] == recipes.METHODS[row['method']]
        assert line[1:5] == [f'{row[k]:.2%}' for k in FRACTIONS]
        assert line[6:] == [str(row['student_steps'])[:-2] or '0', '0']
    assert f"tx ±{shown.result['widths']['tx']*28:.1f} px" in shown.said.out
    assert str(shown.out/'demo.html') in shown.said.out.splitlines()[-1]


def test_quiet_shows_no_bars(shown): assert '%|' not in shown.said.err and shown.said.err.count('\n') == 4


def test_demo_png(shown):
    with Image.open(shown.out/'demo.png') as picture:
        picture.verify()
    with Image.open(shown.out/'demo.png') as picture:
        assert picture.format == 'PNG' and min(picture.size) >= 400
        assert np.asarray(picture.convert('L')).std() > 10


class Page(HTMLParser):
    "Elements, attributes and texts of a page that opens and closes what it should."
    EMPTY = {'meta', 'img', 'br', 'hr'}
    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ''
        self.feed(text)
        self.close()
        assert self.open == []
    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in self.EMPTY: self.open.append(tag)
    def handle_endtag(self, tag): assert self.open.pop() == tag
    def handle_data(self, data): self.text += data


def test_demo_page_needs_nothing_else(shown):
    page = Page(shown.page)
    assert not {'link', 'iframe', 'object', 'a', 'base', 'form'} & set(page.tags)
    assert not re.search(r'https?:', shown.page)
    without_scripts = re.sub(r'(?s)<script[^>]*>.*?</script>', '', shown.page)
    assert not re.search(r'\bhref\s*=|url\(|@import|\bfile:', without_scripts)      # a picture in base64 may spell href
    assert [(k, v) for tag, k, v in page.attributes if tag == 'script'] == [('type', 'application/json'), ('type', 'module')]*2
    sources = [value for tag, name, value in page.attributes if name in ('src', 'srcset', 'action', 'data', 'poster')]
    assert sources and all(s.startswith('data:image/png;base64,') for s in sources)
    for s in sources:
        with Image.open(io.BytesIO(base64.b64decode(s.split(',', 1)[1], validate=True))) as picture: picture.verify()
    assert not any(name.startswith('on') for _, name, _ in page.attributes)
    assert ('html', 'lang', 'en') in page.attributes and ('meta', 'charset', 'utf-8') in page.attributes


def test_demo_page_is_live(shown, chromium):
    "ShiftMap and HardScrub, which ask before the picture below tells."
    context = chromium.new_context(offline=True)
    page, errors = context.new_page(), []
    page.on('pageerror', lambda e: errors.append(str(e)))
    page.goto((shown.out/'demo.html').as_uri())
    titles = [v.get_attribute('aria-label') for v in page.locator('.hardkd').all()]
    assert titles == ['Who is right when the images move?', 'What does the augmentor do to the images?']
    asked, answered = page.locator('.hk-predict').last.bounding_box()['y'], page.locator('main > figure').bounding_box()['y']
    assert asked < answered
    captions = page.locator('.hk-caption')
    before = captions.all_inner_texts()
    for _ in range(2): page.get_by_role('button', name='Skip').first.click()
    assert all(a != b for a, b in zip(before, captions.all_inner_texts())) and errors == []
    context.close()


def test_demo_page_tells_the_numbers(shown):
    text = ' '.join(Page(shown.page).text.split())
    for row in shown.result['rows']:
        assert recipes.METHODS[row['method']] in text
        for k in FRACTIONS: assert f'{row[k]:.2%}'.removesuffix('%') in text, (row['method'], k)
    for words in ('Learned widths', f"tx ±{shown.result['widths']['tx']*28:.1f} px", f'{TRAIN} training images', hardkd.__version__): assert words in text


def test_demo_page_escapes(shown):
    assert 'b' not in Page(shown.page).tags                # the folder is called a <b>&"c, and stands in the command
    assert 'a <b>&"c' in Page(shown.page).text
    assert shlex.split(shown.result['command']) == ['hardkd', 'demo', '--out', str(shown.out), '--epochs', '1', '--quiet']


# --- choices

def test_seeds_give_means_and_spreads(shown, tmp_path, monkeypatch):
    without_pictures(monkeypatch)
    said = say('demo', '--out', tmp_path, '--epochs', 1, '--seeds', 2)
    assert said.code == 0, said.err
    result = strict(tmp_path/'demo.json')
    assert len(result['runs']) == 2 and numbers(result['runs'][0]) == numbers(shown.result['runs'][0])   # the first seed alone
    assert numbers(result['runs'][0][1:]) != numbers(result['runs'][1][1:])
    for row, *runs in zip(result['rows'], *result['runs']):
        assert set(row) == ROW | {'sd'} and set(row['sd']) == set(FRACTIONS)
        for k in FRACTIONS:
            assert row[k] == pytest.approx(statistics.mean(r[k] for r in runs), abs=1e-6)
            assert row['sd'][k] == pytest.approx(statistics.stdev(r[k] for r in runs), abs=1e-6)
    table = said.out.split('mean ± sd of 2 seeds')[1]
    kd = result['rows'][2]
    assert f"{kd['test']:.2%} ± {kd['sd']['test']*100:.2f}" in table
    assert '%|' in said.err                                # bars, unless --quiet
    by_seed = result['widths_by_seed']
    assert result['widths'] == pytest.approx({g: statistics.mean(w[g] for w in by_seed) for g in GENERATORS})


def test_what_is_described_is_the_mean(tmp_path, monkeypatch):
    "With several seeds the page speaks of the mean of the widths, as its table does."
    class Augmentor(SpatialAugmentor):
        made = 0
        def __init__(self, *given):
            if not given: Augmentor.made += 1
            super().__init__(*given or (.1*Augmentor.made,))
    without_pictures(monkeypatch)
    for room in recipes, toy: monkeypatch.setattr(room, 'SpatialAugmentor', Augmentor)
    assert say('demo', '--out', tmp_path, '--epochs', .1, '--seeds', 2, '--quiet').code == 0
    result = strict(tmp_path/'demo.json')
    assert result['widths']['tx'] == pytest.approx(.15)
    assert 'tx ±4.2 px' in Page((tmp_path/'demo.html').read_text()).text


def test_another_seed(shown, tmp_path, monkeypatch):
    without_pictures(monkeypatch)
    assert say('demo', '--out', tmp_path, '--epochs', 1, '--seed', 1, '--quiet').code == 0
    result = strict(tmp_path/'demo.json')
    assert result['seed'] == 1 and numbers(result['rows'][1:]) != numbers(shown.result['rows'][1:])
    assert numbers(result['rows'][:1]) == numbers(shown.result['rows'][:1])     # the same teacher


def test_other_teacher_and_student(tmp_path, monkeypatch):
    "The teacher does not ship: it is trained once, kept, and found again."
    words = 'demo', '--teacher', 'mlp', '--student', 'vit', '--epochs', .05, '--out', tmp_path, '--quiet'
    students, real = [], recipes.distill
    def seen(teacher, student, *args, **options):
        students.append(student)
        return real(teacher, student, *args, **options)
    monkeypatch.setattr(recipes, 'distill', seen)
    assert say(*words).code == 0
    first = strict(tmp_path/'demo.json')
    assert (first['teacher'], first['student']) == ('mlp', 'vit') and first['rows'][0]['seconds'] > 0
    assert {type(s).__name__ for s in students} == {'VisionTransformer'} and len(students) == 4
    assert first['rows'][0]['test'] > .5 and {r['student_steps'] for r in first['rows'][1:]} == {1}
    kept = pretrained('mlp', tmp_path)
    assert kept.manifest['recipe'] == 'hardkd demo --teacher mlp' and len(kept[1].weight) == 512
    monkeypatch.setattr(recipes, 'train_from_labels', None)
    without_pictures(monkeypatch)
    assert say(*words, '--student', 'mlp').code == 0
    assert strict(tmp_path/'demo.json')['rows'][0] == first['rows'][0]


def test_a_fair_game(monkeypatch, tmp_path):
    "All four start from the same weights, take equally many steps from the same seed; only two augment, only one learns how."
    seen, real = {}, recipes.distill
    def watched(teacher, student, data, augmentor=None, **options):
        learns = isinstance(augmentor, nn.Module) and any(p.requires_grad for p in augmentor.parameters())
        key = len(seen)
        seen[key] = dict(weights=[p.clone() for p in student.parameters()], teacher=teacher, augmentor=augmentor, learns=learns, seed=options['seed'])
        run = real(teacher, student, data, augmentor=augmentor, **options)
        seen[key]['steps'] = run.steps['student']
        return run
    monkeypatch.setattr(recipes, 'distill', watched)
    teacher = pretrained('shift_cnn')
    runs = recipes.train_students(teacher, 'mlp', train, 3, False, tmp_path, epochs=1, progress=False)
    assert list(runs) == METHODS[1:] and list(tmp_path.iterdir()) == []
    for game in seen.values():
        assert all(torch.equal(a, b) for a, b in zip(game['weights'], seen[0]['weights']))
        assert (game['seed'], game['steps']) == (3, TRAIN//128)
    assert [g['teacher'] is not None for g in seen.values()] == [False, True, True, True]
    assert [g['augmentor'] is not None for g in seen.values()] == [False, False, True, True]
    assert [g['learns'] for g in seen.values()] == [False, False, False, True]
    assert runs['hard'].trace is not None


# --- whole MNIST

def test_full_from_a_folder(tmp_path):
    write_mnist(tmp_path/'root'/'MNIST'/'raw', n=200, m=30)
    words = 'demo', '--full', '--root', tmp_path/'root', '--out', tmp_path/'out', '--epochs', 1, '--quiet'
    said = say(*words)
    assert said.code == 0, said.err
    result = strict(tmp_path/'out'/'demo.json')
    assert result['images'] == 200 and {r['student_steps'] for r in result['rows'][1:]} == {1}
    assert result['rows'][0]['seconds'] > 0                # the shipped teacher has not seen these: one is trained, and kept
    assert pretrained('shift_cnn-full', tmp_path/'out').manifest['recipe'].endswith('--full')


def test_full_without_a_network(tmp_path, monkeypatch):
    def no_network(*args, **kwargs): raise urllib.error.URLError('no route to host')
    monkeypatch.setattr(datasets.mnist, 'download_and_extract_archive', no_network)
    said = say('demo', '--full', '--root', tmp_path/'none', '--out', tmp_path/'out')
    assert said.code == 1 and said.out == '' and said.err.count('\n') == 1
    for words in ('hardkd demo: root: got', 'no route to host', "on another machine and copy its folder 'data' here"): assert words in said.err


# --- stopping and going on

class Counted:
    "Counts the turns of all games; Ctrl-C in the turn that is given."
    def __init__(self, monkeypatch, stop=None):
        self.turns, self.stop, self.take = 0, stop, loop.take_turn
        monkeypatch.setattr(loop, 'take_turn', self)
    def __call__(self, *args):
        self.turns += 1
        if self.turns == self.stop: signal.raise_signal(signal.SIGINT)
        return self.take(*args)


def test_resume_goes_on(shown, tmp_path):
    "Stopped in the second turn of KD + fixed: two students are kept whole, one in part; what comes out is as if never stopped."
    words, before = ('demo', '--out', tmp_path, '--epochs', 1, '--resume', '--quiet'), signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        take_few(patch)
        first = Counted(patch, stop=10)
        said = say(*words)
    assert said.code == 130 and first.turns == 10 and said.err.splitlines()[-1] == 'hardkd demo: stopped'
    assert signal.getsignal(signal.SIGINT) is before
    assert {p.name for p in tmp_path.iterdir()} == {'student-0.pt', 'kd-0.pt', 'kd_fixed-0.pt'}
    with pytest.MonkeyPatch.context() as patch:
        take_few(patch)
        read_once(patch)
        without_pictures(patch)
        second = Counted(patch)
        said = say(*words)
    assert said.code == 0, said.err
    assert second.turns == 4*TRAIN//128 - 10
    result = strict(tmp_path/'demo.json')
    assert numbers(result['rows']) == numbers(shown.result['rows']) and result['widths'] == shown.result['widths']


def test_ctrl_c_while_torch_is_loaded():
    code = 'import sys, hardkd; sys.argv = ["hardkd", "doctor"]; print("on its way", flush=True); sys.exit(hardkd.shell())'
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    assert process.stdout.readline() == 'on its way\n'
    time.sleep(.3)                                          # torch takes seconds
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=120)[1] == 'hardkd: stopped\n' and process.returncode == 130


def test_a_shell_that_knows_no_signs_and_a_reader_that_leaves():
    "ASCII alone, and nobody at the other end of the pipe: a sentence and a code, no traceback."
    words = [sys.executable, '-c', 'import sys, hardkd; sys.exit(hardkd.shell())', 'xray', 'shift_cnn', '--images', '20']
    env = os.environ | {'PYTHONIOENCODING': 'ascii', 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and 'px' in done.stdout and done.stderr == ''
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(words, env=env, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, 'hardkd xray: stopped, nobody reads what it prints\n')


FOREIGN = {'no record': '{"a": 1}', 'a list': '[1, 2]', 'no JSON': 'hello', 'nothing': '', 'rows without names': '{"leaders": [], "updates": {"KD": [1]}}'}


@pytest.mark.parametrize('content', FOREIGN.values(), ids=FOREIGN)
def test_a_record_of_something_else(content, tmp_path):
    (tmp_path/'record.json').write_text(content)
    said = say('augment', '--like', tmp_path/'record.json', '--images', 64, '--out', tmp_path/'out', '--quiet')
    assert said.code == 1 and said.err.startswith('hardkd augment: like: got') and said.err.count('\n') == 1


def test_without_resume_nothing_is_kept(tmp_path, monkeypatch):
    Counted(monkeypatch, stop=6)
    assert say('demo', '--out', tmp_path, '--epochs', 1, '--quiet').code == 130
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_a_process(tmp_path):
    process = start('demo', '--out', tmp_path, '--epochs', 10**6, '--quiet', cwd=tmp_path)
    try:
        assert process.stderr.readline() == 'seed 0: student alone\n'
        time.sleep(.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)     # it would take days otherwise
    finally: process.kill()
    assert process.returncode == 130 and err.splitlines()[-1] == 'hardkd demo: stopped' and 'Traceback' not in err
    assert list(tmp_path.iterdir()) == []


# --- the shell's customs

def test_console_script():
    script = Path(sys.executable).with_name('hardkd')
    done = subprocess.run([script, '--version'], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '') and done.stdout.startswith(f'hardkd {hardkd.__version__}, torch 2.')


def test_doctor(monkeypatch):
    assert say('doctor').code == 0
    monkeypatch.setattr(hardkd.views.doctor, 'version', lambda name: '0.0.1')
    sick = say('doctor')
    assert sick.code == 1 and "python -m pip install 'torch" in sick.out


def test_codes_of_a_process(tmp_path):
    (tmp_path/'file').touch()
    ways = {1: ('demo', '--out', tmp_path/'file'/'out'), 2: ('demo', '--student', 'mpl')}
    for code, process in [(code, start(*words, cwd=tmp_path)) for code, words in ways.items()]:
        out, err = process.communicate(timeout=120)
        assert process.returncode == code and out == '' and 'Traceback' not in err
        assert code == 2 or (err.count('\n') == 1 and err.startswith('hardkd demo: ') and str(tmp_path/'file') in err)
        assert code == 1 or ("'mpl'" in err and 'mlp' in err)


@pytest.mark.parametrize('words,named', [
    ((), 'COMMAND'), (('dmeo',), 'dmeo'), (('weights',), 'DIR'), (('demo', '--teacher', 'xyz'), '--teacher'), (('demo', '--student', 'XYZ'), '--student'),
    (('demo', '--seeds', '0'), '--seeds'), (('demo', '--seeds', 'two'), '--seeds'), (('demo', '--seed', '-1'), '--seed'), (('demo', '--seed', '1.5'), '--seed'),
    (('demo', '--epochs', '0'), '--epochs'), (('demo', '--epochs', 'nan'), '--epochs'), (('demo', '--precision', 'half'), '--precision'),
    (('demo', '--fast'), '--fast'), (('demo', 'more'), 'more')])
def test_wrong_words(words, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = say(*words)
    assert said.code == 2 and said.out == '' and named in said.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('words', [('--version',), ('--help',), ('demo', '--help'), ('weights', '--help')])
def test_asking_for_help(words):
    said = say(*words)
    assert said.code == 0 and said.err == '' and ('hardkd' in said.out)
    if words == ('demo', '--help'):
        for option in ('--out', '--full', '--root', '--teacher', '--student', '--seed', '--seeds', '--epochs', '--resume', '--quiet'): assert option in said.out


def no_work(*args, **kwargs): raise AssertionError('the complaint came too late')


@pytest.mark.parametrize('make,words,named', [
    (lambda out: out.touch(), (), 'out'),                                          # a file where the folder should be
    (lambda out: (out/'demo.json').mkdir(parents=True), (), 'demo.json'),          # a folder where a file should be
    (lambda out: out.symlink_to('/proc'), (), 'out'),                              # nobody can write there
    (lambda out: None, ('--seed', 10**30), 'seed'),
    (lambda out: None, ('--precision', 'fp16'), 'precision')], ids=['file', 'folder', 'unwritable', 'seed', 'precision'])
def test_complaints_come_before_the_work(make, words, named, tmp_path, monkeypatch):
    if '--precision' in words and torch.accelerator.is_available(): pytest.skip('an accelerator has 16-bit floats')
    make(tmp_path/'out')
    for room, work in ((toy, 'measure'), (loop, 'take_turn')): monkeypatch.setattr(room, work, no_work)
    said = say('demo', '--out', tmp_path/'out', '--epochs', .1, '--quiet', *words)
    assert said.code in (1, 2) and said.err.splitlines()[-1].startswith('hardkd demo: ') and 'Traceback' not in said.err and named in said.err.splitlines()[-1]


def test_bad_files_are_named(tmp_path, monkeypatch):
    without_pictures(monkeypatch)
    words = 'demo', '--epochs', .1, '--quiet', '--out', tmp_path
    (tmp_path/'student-0.pt').write_bytes(b'not a checkpoint')
    said = say(*words, '--resume')
    assert said.code == 1 and 'student-0.pt' in said.err.splitlines()[-1] and said.err.splitlines()[-1].startswith('hardkd demo: resume: got')
    (tmp_path/'student-0.pt').unlink()
    assert say(*words, '--resume').code == 0
    said = say(*words, '--resume', '--student', 'cnn')     # kept by another student
    assert said.code == 1 and said.err.splitlines()[-1].startswith('hardkd demo: resume: got a run with')
    assert say(*words, '--teacher', 'mlp').code == 0
    path = tmp_path/'mlp.safetensors'
    path.write_bytes(path.read_bytes()[:-1] + b'?')
    said = say(*words, '--teacher', 'mlp')
    assert said.code == 1 and 'sha256' in said.err and said.err.count('\n') == 1


def test_a_loss_that_is_not_finite_is_a_failure(tmp_path, monkeypatch):
    def broken(*args, **kwargs): raise loop.NotFinite('loss: not finite')
    monkeypatch.setattr(recipes, 'distill', broken)
    said = say('demo', '--epochs', .1, '--quiet', '--out', tmp_path)
    assert said.code == 1 and said.err.splitlines()[-1] == 'hardkd demo: loss: not finite'


# --- weights

_MANY, _FEW = dict(epochs=16, lr=6e-3, warmup=.1), dict(epochs=36, batch_size=64, lr=4e-3, free=2., ema=.998)

@pytest.mark.parametrize('images, options, expected, channels', [
    (60_000, {}, _MANY, [16, 4, 4, 2, 2]), (60_000, dict(latents=((3,), (2,), ()), epochs=1.), _MANY | dict(epochs=1.), [3, 2]),
    (9, {}, _FEW, [16, 4, 2]), (9, dict(latents=((3,), (2,), ()), epochs=2., progress=False), _FEW | dict(epochs=2., progress=False), [3, 2])])
def test_recipe_of_a_vae(images, options, expected, channels, monkeypatch):
    "The shipped one's; few images get more passes, smaller batches and fewer groups; whoever asks for something else gets that."
    asked = {}
    monkeypatch.setattr(recipes, 'train_vae', lambda vae, data, **o: asked.update(o, channels=[g.channels for g in vae.groups]))
    vae = recipes.train_vae_by_recipe(hardkd.Images(torch.zeros(images, 1, 8, 8), torch.zeros(images).long(), ['a']), **options)
    assert asked == expected | dict(channels=channels) and not vae.training


def test_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, 'RECIPES', {name: (.5, .5, lr) for name, (_, _, lr) in recipes.RECIPES.items()})
    monkeypatch.setattr(recipes, 'robust_teacher', partial(hardkd.robust_teacher, epochs=.5))
    monkeypatch.setattr(recipes, 'taught_to_ignore', partial(recipes.taught_to_ignore, epochs=.5))
    monkeypatch.setattr(recipes, 'train_vae', lambda vae, data, **o: hardkd.train_vae(vae, data, **o | dict(epochs=1, batch_size=20)))
    write_mnist(tmp_path/'mnist')
    said = say('weights', tmp_path/'new', '--quiet', '--names', *recipes.SHIPPED, '--root', tmp_path/'mnist')
    assert said.code == 0, said.err
    names = {p.name for p in (tmp_path/'new').iterdir()}
    shipped = {p.name for p in Path(hardkd.__file__).parent.glob('assets/*.safetensors')}
    assert names == shipped | {'manifest.json'} and len(shipped) > 0
    vae = pretrained('vae', tmp_path/'new')
    assert vae.manifest['metrics']['images'] == 60 and vae.manifest['metrics']['minus_elbo']['nats'] > 0 and vae.manifest['arguments'] == dict(latents=[[16], [4], [2]]) and vae.reconstruct(test.x[:2]).shape == (2, 1, 28, 28)
    said = say('weights', tmp_path/'two', '--quiet')
    assert {p.name for p in (tmp_path/'two').iterdir()} == shipped - {'vae.safetensors'} | {'manifest.json'}, 'the VAE only when named'
    for name in recipes.SHIPPED[:2]:
        model = pretrained(name, tmp_path/'two')
        assert model(test.x).shape == (TEST, 10) and not model.training
        assert model.manifest['recipe'].startswith('hardkd weights') and set(FRACTIONS) <= set(model.manifest['metrics'])
        assert name in said.out
    assert 'corrupted' in pretrained('robust_cnn', tmp_path/'two').manifest['metrics']
    (tmp_path/'file').touch()
    assert say('weights', tmp_path/'file').code == 1


# --- the parts

class Centred(nn.Module):
    "Right about the test images as they are, wrong about all others."
    def forward(self, x):
        known = (x[:, None] == test.x[None]).flatten(2).all(2)
        return nn.functional.one_hot(torch.where(known.any(1), test.y[known.int().argmax(1)], (test.y[:1]+1) % 10), 10).float()


def test_evaluate():
    seen, once = recipes.measure(Centred(), test), 1/81
    assert (seen['test'], seen['map'][4, 4]) == (1, 1) and seen['map'].shape == (9, 9)
    assert seen['translate'] < .4 and seen['map_worst'] == seen['map'].min() < .4 and once < seen['map_mean'] < .4
    assert seen['map_mean'] == pytest.approx(seen['map'].mean().item())
    assert recipes.measure(Centred(), test, map_images=10)['map'][4, 4] == 1


def test_models_hang_on_their_seed_alone():
    before = torch.get_rng_state()
    a, b, c = (recipes.make_model('mlp', seed)[1].weight for seed in (4, 4, 5))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(before, torch.get_rng_state())


def test_every_factory_has_a_recipe():
    assert set(recipes.FACTORIES) == set(recipes.RECIPES)
    for few, many, lr in recipes.RECIPES.values(): assert few > 0 and many > 0 and 0 < lr < .1


def test_only_the_resnet_is_taught_shifts(monkeypatch):
    seen = []
    monkeypatch.setattr(recipes, 'fit', lambda model, data, augmentor=None, **options: seen.append((augmentor, options)))
    for name in recipes.FACTORIES: recipes.train_from_labels(name, train, 7, progress=False)
    taught = dict(zip(recipes.FACTORIES, seen))
    shifts = taught.pop('resnet18')[0]
    assert shifts.generators == ('tx', 'ty') and not shifts.raw_widths.requires_grad
    assert all(augmentor is None for augmentor, _ in taught.values())
    assert all(options['epochs'] == recipes.RECIPES[name][0] and options['seed'] == 7 for name, (_, options) in taught.items())


def test_table_of_means():
    row = dict(method='kd', **dict.fromkeys(FRACTIONS, .5), seconds=3., student_steps=10, augmentor_steps=0, map=None)
    one, = toy.mean_rows([[row]])
    assert one == {k: v for k, v in row.items() if k != 'map'}
    two, = toy.mean_rows([[row], [row | dict(test=.7, seconds=5.)]])
    assert two['test'] == pytest.approx(.6) and two['sd']['test'] == pytest.approx(math.sqrt(.02)) and two['seconds'] == 4 and two['sd']['map_mean'] == 0
    heading, line = toy.table_text([two]).splitlines()
    assert len(heading) == len(line) and line.startswith('KD ') and '60.00% ± 14.14' in line


# --- figures

def test_dots_stand_at_the_mean_of_the_seeds():
    rows = [{'method': m, 'a': v, 'b': v/2} for m, v in (('kd', .2), ('hard', .9), ('kd', .4))]
    fig = stories.method_dots(rows, {'a': 'first', 'b': 'second'})
    for ax, scale in zip(fig.axes[1:], (100, 50)):
        marks = {line.get_label(): line for line in ax.lines if not line.get_label().startswith('_')}
        close([marks['kd'].get_xdata()[0], marks['hard'].get_xdata()[0]], [.3*scale, .9*scale])
        assert marks['kd'].get_marker() != marks['hard'].get_marker()
        assert ax.get_xlim() == (0, 100)
    assert '30.0 ± 14.1' in said(fig) and '90.0' in said(fig) and 'kd, second: 15.0 ± 7.1 %' in fig.get_label()


def test_story_holds_all_its_parts():
    fig = story()
    shown = fig.axes[0].images
    close(held(shown[1]), images(5)[1, 0]), close(held(shown[6]), images(5)[1, 0]*.5)
    for ax, want in zip(maps_of(fig), (dome(3, .1), dome(3, .9))):
        close(held(ax.images[0]), want)
        assert ax.images[0].get_clim() == (0, 1)
    for part in 'original', 'step 9', 'shift 7 px', 'shear 0.05': assert part in said(fig), part
    for part in 'teacher sees shifted digits', 'KD is blind to shifted digits', 'shift 7 px': assert part in fig.get_label()


def test_words_of_the_story_follow_from_the_maps():
    fig = story(maps={'teacher': dome(3, .1), 'KD': dome(3, .1)}, things='turned cats')
    assert 'KD sees turned cats' in said(fig) and not any('blind' in s for s in said(fig))


@pytest.mark.parametrize('kept, word', [(1., 'sees'), (.86, 'sees'), (.84, 'half sees'), (.66, 'half sees'),
                                        (.64, 'is blind to'), (0., 'is blind to')])
def test_verdict(kept, word):
    values = torch.full((3, 3), .8*(kept - 1/9)*9/8 if kept else 0.)
    values[1, 1] = .8
    assert stories.verdict(values) == (word if kept else 'is blind to')


def test_verdict_of_a_model_that_knows_nothing(): assert stories.verdict(torch.zeros(3, 3)) == 'is blind to'


@pytest.mark.parametrize('change, message', [
    (dict(hard={'late': images(4)}), 'late: got shape (4, 1, 28, 28)'),
    (dict(original=images(13), hard={}), 'got 13 images'),
    (dict(maps={}), 'maps: got an empty dict'),
    (dict(maps={k: ramp(1) for k in 'abcde'}), 'and 5 maps'),
    (dict(x=[1, 2, 3]), "widths['shift']: got 2 steps, x has 3"),
    (dict(original=images(5, 2), hard={}), 'original: got 2 channels')])
def test_bad_stories_are_named(change, message):
    with pytest.raises(ValueError, match=re.escape(message)): story(**change)


# --- the comparison

@pytest.fixture
def clothes(tmp_path):
    "A folder in Fashion-MNIST's format."
    folder = tmp_path/'clothes'
    write_mnist(folder)
    return folder


def test_fashion_from_a_folder(clothes, tmp_path):
    train, test = hardkd.fashion(clothes)
    assert train.x.shape[1:] == (1,28,28) and len(train.y.bincount()) <= 10 and len(test)
    with pytest.raises(ValueError, match='root: got .* FashionMNIST was not found'): hardkd.fashion(tmp_path/'nowhere', download=False)


def test_compare(tmp_path, clothes, monkeypatch):
    monkeypatch.setattr(commands, 'fashion', lambda root: (train, test))     # its images have labels that can be learned
    words = 'compare', '--out', tmp_path/'out', '--images', 60, '--seeds', 2, '--epochs', 1, '--quiet', '--root', clothes, '--names', 'labels', 'KD'
    done = say(*words)
    assert done.code == 0 and 'minus KD, 95 %' in done.out, done.err
    rows = {r['method']: r for r in strict(tmp_path/'out'/'compared.json')}
    assert set(rows) == {'labels', 'KD'} and f"{rows['KD']['test']:.2%}" in done.out and rows['KD']['probe'] is not None
    again = say(*words)
    assert again.out == done.out and 'labels:' not in again.err, 'what is done is not done again'
    taught = say('compare', '--data', 'fashion', *words[1:2], tmp_path/'other', *words[3:])
    assert taught.code == 0 and {p.name for p in (tmp_path/'other').iterdir()} >= {'teacher.safetensors', 'manifest.json', 'result.json'}


@pytest.mark.parametrize('words, named', [(['--images', 60, '--names', 'KDD'], "names: got 'KDD'"), (['--images', 300], 'images: got 300')])
def test_compare_complains_before_the_work(words, named, tmp_path, monkeypatch):
    monkeypatch.setattr(commands, 'fashion', lambda root: (train, test))
    monkeypatch.setattr(commands, 'compare', lambda *_, **__: pytest.fail('worked'))
    done = say('compare', '--out', tmp_path, *words)
    assert done.code == 1 and named in done.err


@pytest.mark.slow
def test_augment(tmp_path, monkeypatch):
    "Both budgets and the way there, in one record; a second call does nothing again; other images get a teacher and a VAE of their own."
    monkeypatch.setattr(commands, 'mlp', lambda: hardkd.mlp(hidden=(16,)))
    monkeypatch.setattr(commands, 'test_sets', lambda data, corrupted_images=0: hardkd.experiments.comparison.test_sets(data, 4))
    words = 'augment', '--out', tmp_path/'out', '--images', 128, '--seeds', 2, '--updates', 3, '--quiet', '--names', 'KD + shift', 'HARD spatial'
    lengths, contend = [], hardkd.experiments.contenders.contend
    monkeypatch.setattr(hardkd.experiments.comparison, 'contend', lambda *given, **more: lengths.append(more['epochs']) or contend(*given, **more))
    done = say(*words, '--trial', .5)
    assert lengths[:5] == [.75]*3 + [1.5]*2, 'half as long to choose a strength'
    words = *words, '--trial', .5
    assert done.code == 0 and 'equal updates' in done.out and 'equal seconds' in done.out, done.err
    record = strict(tmp_path/'out'/'record.json')
    assert record['images'] == 128 and [{r['method'] for r in record[b]['KD']} for b in ('updates', 'seconds')] == [{'KD', 'KD + shift', 'HARD spatial'}]*2
    assert {r['updates'] for r in record['updates']['KD']} == {3} and {*record['convergence']} == {'KD', 'KD + shift', 'HARD spatial'}
    assert record['leaders'] == ['KD', 'KD + shift', 'HARD spatial'] and record['trial'] == .5
    for budget in ('updates', 'seconds'):
        for against in ('KD', 'KD + shift'):     # and the best fixed augmentation
            rows = hardkd.compared(tmp_path/'out'/'record.json', against, budget)
            assert rows == hardkd.compared(tmp_path/'out'/budget, against) == record[budget][against]
    with pytest.raises(ValueError, match="against: got 'HARD spatial'"): hardkd.compared(tmp_path/'out'/'record.json', 'HARD spatial')
    again = say(*words)
    assert 'KD:' not in again.err and again.out == done.out
    more = say('augment', '--out', tmp_path/'like', '--images', 192, *words[5:10], '--like', tmp_path/'out'/'record.json')
    like = strict(tmp_path/'like'/'record.json')
    assert more.code == 0 and like['images'] == 192 and 'convergence' not in like and like['leaders'] == record['leaders'], more.err
    for budget in ('updates', 'seconds'): assert [(r['method'], r['factor']) for r in like[budget]['KD + shift']] == [(r['method'], r['factor']) for r in record['updates']['KD']], 'chosen there'
    short = say('augment', '--out', tmp_path/'short', *words[3:10], '--names', 'KD', '--like', tmp_path/'out'/'record.json', '--no-seconds')
    assert short.code == 0 and 'seconds' not in strict(tmp_path/'short'/'record.json') and not (tmp_path/'short'/'seconds').exists(), short.err
    assert 'equal updates' in short.out and 'equal seconds' not in short.out
    assert 'held' not in (tmp_path/'like'/'updates'/'result.json').read_text(), 'nothing is chosen again'
    plain, leader = 'HARD spatial + light', 'HARD spatial + light, teacher asked'
    with monkeypatch.context() as m:
        m.setattr(commands, 'best_by_held', lambda result: ['KD', leader])
        both = say('augment', '--out', tmp_path/'both', *words[3:9], '--no-seconds', '--names', plain, leader)
        assert both.code == 0 and {*strict(tmp_path/'both'/'record.json')['convergence']} == {'KD', leader, plain}, 'the way of its plain form too'
    monkeypatch.setattr(commands, 'fashion', lambda root: (train, test))
    monkeypatch.setattr(commands, 'robust_teacher', partial(hardkd.robust_teacher, epochs=.5))
    monkeypatch.setattr(commands, 'train_vae_by_recipe', lambda data, progress: hardkd.HierarchicalVAE(width=4).eval())
    real = hardkd.weights.maker
    monkeypatch.setattr(hardkd.weights, 'maker', lambda name: partial(hardkd.HierarchicalVAE, width=4) if name == 'vae' else real(name))
    other = say('augment', '--data', 'fashion', *words[1:2], tmp_path/'other', *words[3:-4], 'HARD VAE')
    assert other.code == 0 and {p.name for p in (tmp_path/'other').iterdir()} >= {'teacher.safetensors', 'vae.safetensors', 'record.json'}, other.err


@pytest.mark.parametrize('words, named', [(['--names', 'KDD'], "names: got 'KDD'"), (['--images', 500], 'images: got 500')])
def test_augment_complains_before_the_work(words, named, tmp_path, monkeypatch):
    monkeypatch.setattr(commands, 'compare', lambda *_, **__: pytest.fail('worked'))
    done = say('augment', '--out', tmp_path, '--images', 128, *words)
    assert done.code == 1 and named in done.err
    (tmp_path/'earlier.json').write_text(json.dumps(dict(leaders=['KD'], updates=dict(KD=[dict(method='KD', factor=2.), dict(method='KD + AugMix', error='none')]))))
    done = say('augment', '--out', tmp_path, '--images', 128, '--like', tmp_path/'earlier.json', '--names', 'KD + AugMix')
    assert done.code == 1 and "names: got 'KD + AugMix'" in done.err, 'no strength was chosen for it'
    done = say('augment', '--out', tmp_path, '--images', 128, '--like', hardkd.core.assets.record('compare-digits.json'))
    assert done.code == 1 and 'like: got' in done.err, 'a record of another command'
