"hardkd.exercises: each exercise knows its own answers; what a learner does wrong is told at the learner's line; hand-ins and grading."
import contextlib, csv, errno, io, json, linecache, random, threading, time
from dataclasses import replace
from pathlib import Path
import numpy as np
import pytest
import torch
from hardkd import cli
from hardkd.exercises import check, hint, predict, progress, reveal, solution
from hardkd.exercises import handin
from hardkd.exercises.exercise import judge
from hardkd.exercises.grade import grades, grades_text
from hardkd.exercises.outcomes import Outcome
from hardkd.exercises.running import attempt
from hardkd.exercises.verbs import all_exercises, all_predictions, LESSONS
from hardkd.losses import kd_loss, soften

ROOT = Path(__file__).resolve().parents[1]
EXERCISES, PREDICTIONS = all_exercises(), all_predictions()
KD = next(one for one in EXERCISES if one.id == 'losses.kd_loss')
each_exercise = pytest.mark.parametrize('exercise', EXERCISES, ids=lambda one: one.id)


@pytest.fixture
def file(tmp_path, monkeypatch):
    "A learner's hand-in, for one test."
    monkeypatch.setenv('HARDKD_PROGRESS', str(tmp_path/'mine.json'))
    fresh(monkeypatch)
    return tmp_path/'mine.json'


def fresh(monkeypatch):
    "As if a new kernel had started."
    for name, value in vars(handin.Handin()).items(): monkeypatch.setattr(handin.HANDIN, name, value)


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    "Without a file, nothing goes from one test to the next."
    monkeypatch.setenv('HARDKD_PROGRESS', 'off')
    fresh(monkeypatch)


# --- the exercises

@each_exercise
def test_its_answers_are_told_apart(exercise):
    "The solution is right, each known mistake is that mistake, and no two are told in the same words."
    assert judge(exercise, exercise.solution).outcome == 'right'
    said = [judge(exercise, mistake.variant) for mistake in exercise.mistakes]
    assert [(s.outcome, s.diagnosis) for s in said] == [('wrong', mistake.name) for mistake in exercise.mistakes]
    assert len({s.text for s in said}) == len(said) >= 3 and len({s.diagnosis for s in said}) == len(said)


def written(source):
    "What a cell of a learner's notebook defines last."
    names = {}
    exec(source, names)
    return [value for name, value in names.items() if name != '__builtins__'][-1]


@each_exercise
def test_its_stub_is_not_attempted(exercise):
    assert '____' in exercise.stub or '...' in exercise.stub
    judged = judge(exercise, written(exercise.stub))
    assert judged.outcome == 'not attempted' and exercise.task in judged.text


@each_exercise
def test_it_is_whole(exercise):
    assert len(exercise.hints) == 3 and exercise.title and exercise.task.endswith('.')
    shown = solution(exercise.id)
    assert shown.code and '____' not in shown.code
    if callable(exercise.solution) and not exercise.source: assert 'def ' in shown.code and exercise.seconds <= 4


def test_solutions_are_the_library():
    import inspect
    assert solution('losses.soften').code == inspect.getsource(soften)
    assert solution('losses.soften').text == 'hardkd.losses.soften'


def test_each_lesson_has_two_exercises_and_one_to_break():
    for noun, number in LESSONS.items():
        assert (ROOT/'nbs'/f'{number:02}_{noun}.ipynb').exists()
        ids = [one.id for one in EXERCISES if one.id.startswith(f'{noun}.')]
        assert len(ids) >= 3 and f'{noun}.break' in ids and len({*ids}) == len(ids)
        assert sum(one.id.startswith(f'{noun}.') for one in PREDICTIONS) >= 3, noun
    assert len({one.id for one in PREDICTIONS}) == len(PREDICTIONS)


def test_unknown_wrong_answer_is_shown_in_numbers():
    judged = check('losses.soften', lambda logits, temperature: torch.full_like(logits, 1/3))
    assert judged.outcome == 'wrong' and judged.diagnosis == ''
    assert judged.text.startswith('What must hold: they are the softmax of logits/temperature. For logits = [[6, 2, 0], [1, 3, 2]], temperature = 4: '
                                  'got [[0.3333, 0.3333, 0.3333], [0.3333, 0.3333, 0.3333]], wanted [[')


@pytest.mark.parametrize('answer, words', [
    (3., 'A function is wanted'), (lambda *_: print(end=''), 'does its last line say `return`?'), (lambda z, T: 'text', 'It gives text, a str'),
    (lambda z, T: z[:1].softmax(1), 'wanted'), (lambda z, T: {'a': 1}, 'It gives a 1, a dict'), (lambda z, T: (z/T).softmax(1).numpy().tolist(), '')])
def test_strange_answers(answer, words):
    judged = check('losses.soften', answer)
    assert judged.outcome in ('wrong', 'error') and words in judged.text


def test_right_in_another_way():
    def mine(s, t, T=4.):
        p, q = (t.detach()/T).softmax(-1), (s/T).softmax(-1)
        return (p*(p.log() - q.log())).sum()/len(s)*T*T
    assert check('losses.kd_loss', mine).outcome == 'right'


@pytest.mark.parametrize('gap', [
    None, ..., 'def f(s, t, T=4.):\n    ...', 'def f(s, t, T=4.):\n    pass', 'def f(s, t, T=4.):\n    "Doc."\n    ____\n    return 0',
    'def f(s, t, T=4.):\n    return [____ for _ in s]', 'f = lambda s, t, T=4.: (lambda: ____)()'])
def test_gaps(gap):
    assert check('losses.kd_loss', written(gap) if isinstance(gap, str) else gap).outcome == 'not attempted'


def test_gap_in_a_helper():
    def helper(z): return ____          # noqa: F821
    assert check('losses.kd_loss', lambda s, t, T=4.: helper(s)).outcome == 'not attempted'


# --- running what a learner wrote

def raises(s, t, T=4.):
    half = s/2
    return half @ t                     # here


def raises_inside(s, t, T=4.):
    return torch.nn.functional.cross_entropy(s, 'x')     # not in torch


def endless(s, t, T=4.):
    n = 0
    while True: n += 1                  # round and round


def stubborn(s, t, T=4.):
    while True:
        try:
            while True: time.sleep(.01)  # catches all
        except: pass                    # noqa: E722


def line(function, words):
    "The number and the text of a line of this file."
    lines = Path(__file__).read_text().splitlines()
    first = function.__code__.co_firstlineno
    number = next(i for i in range(first, len(lines)+1) if words in lines[i-1])
    return f'line {number}: {lines[number-1].strip()}'


def test_error_stands_at_the_learners_line():
    judged = check('losses.kd_loss', raises)
    assert judged.outcome == 'error' and judged.text.startswith('RuntimeError: ') and judged.code == line(raises, '# here')
    assert check('losses.kd_loss', raises_inside).code == line(raises_inside, '# not in torch')
    wrong_arguments = check('losses.kd_loss', lambda s: s)
    assert wrong_arguments.outcome == 'error' and 'takes 1 positional argument' in wrong_arguments.text and '<lambda>' in wrong_arguments.text
    assert wrong_arguments.code.startswith('line ')
    assert check('losses.kd_loss', lambda s, t, T: exit()).outcome == 'error'


def test_line_in_a_cell():
    "ipykernel gives cells a file name of their own, and their text to linecache."
    source = 'def kd_loss(s, t, T=4.):\n    a = s + t\n    return a.no_such_thing\n'
    linecache.cache['cell-7'] = (len(source), None, source.splitlines(True), 'cell-7')
    names = {}
    exec(compile(source, 'cell-7', 'exec'), names)
    assert check('losses.kd_loss', names['kd_loss']).code == 'line 3: return a.no_such_thing'


@pytest.mark.parametrize('answer, words', [(endless, '# round'), (stubborn, '# catches')])
@pytest.mark.parametrize('thread', [False, True], ids=['main', 'worker'])
def test_endless_loop_is_stopped_at_the_learners_line(answer, words, thread):
    heard, started = [], time.monotonic()
    def ask(): heard.append(judge(replace(KD, seconds=.4), answer))
    if thread:
        worker = threading.Thread(target=ask)
        worker.start()
        worker.join(4)
    else: ask()
    assert time.monotonic() - started < 4
    assert heard[0].outcome == 'too long' and 'stopped after 0.4 seconds' in heard[0].text
    assert heard[0].code in (line(answer, words), line(answer, 'try:'), line(answer, 'except'), line(answer, 'while True:')) if answer is stubborn else \
        heard[0].code == line(answer, words)


def test_all_as_on_windows(monkeypatch):
    "Where there is no alarm, the main thread does without as well."
    import signal
    monkeypatch.delattr(signal, 'setitimer')
    assert judge(replace(KD, seconds=.4), endless).code == line(endless, '# round')
    assert judge(KD, kd_loss).outcome == 'right' and judge(KD, raises).code == line(raises, '# here')


def test_somebody_elses_alarm_still_rings():
    import signal
    if not hasattr(signal, 'setitimer'): pytest.skip('no alarms here')
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, .3)
        attempt(lambda: sum(range(1000)), 1)
        time.sleep(.5)
    finally: signal.signal(signal.SIGALRM, before)
    assert rang == [1]


def test_chance_prints_and_inputs_stay(capsys):
    def greedy(s, t, T=4.):
        random.random(), np.random.rand(), torch.rand(1)
        print('hello')
        loss = kd_loss(s, t, T)
        with torch.no_grad(): s.zero_(), t.zero_()
        return loss
    def state(): return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()
    before = state()
    with torch.no_grad(): assert check('losses.kd_loss', greedy).outcome == 'right'
    assert state() == before
    assert 'hello' in capsys.readouterr().out
    assert check('losses.kd_loss', kd_loss).outcome == 'right'


def test_chance_is_the_same_each_time():
    "Also for an answer that draws: whatever was drawn before, it is measured like the mistake that draws."
    drawing = next(m for one in EXERCISES if one.id == 'vae.reparameterise' for m in one.mistakes if m.name == 'own noise')
    for seed in range(3):
        torch.manual_seed(seed)
        assert check('vae.reparameterise', drawing.variant).diagnosis == 'own noise'


def test_in_a_kernel():
    "A notebook: a stub does not stop Run All, an error and an endless loop are told at the line of their cell."
    import nbformat
    from nbclient import NotebookClient
    cells = ['from dataclasses import replace\nfrom hardkd.exercises import check\nfrom hardkd.exercises import verbs',
             'def kd_loss(s, t, T=4.):\n    return ____\ncheck("losses.kd_loss", kd_loss)',
             'def kd_loss(s, t, T=4.):\n    x = s\n    return x/nothing\ncheck("losses.kd_loss", kd_loss)',
             'def kd_loss(s, t, T=4.):\n    while True:\n        s = s + 1\nverbs.judge(replace(verbs._find("losses.kd_loss", "EXERCISES"), seconds=.5), kd_loss)']
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(nb, timeout=120, kernel_name='python3').execute()
    said = [cell.outputs[-1].data for cell in nb.cells[1:]]
    assert 'Not attempted.' in said[0]['text/html'] and 'line 3: return x/nothing' in said[1]['text/plain']
    assert 'It takes too long.' in said[2]['text/html'] and ('line 3: s = s + 1' in said[2]['text/plain'] or 'line 2: while True:' in said[2]['text/plain'])


def test_box_escapes():
    box = Outcome('a.b', 'error', '<script>', code='<i>&')._repr_html_()
    assert '<script>' not in box and '&lt;script&gt;' in box and '&lt;i&gt;&amp;' in box


# --- verbs, predictions

def test_hints_go_on():
    assert [hint('losses.soften').text[:6] for _ in range(4)] == ['1 of 3', '2 of 3', '3 of 3', '3 of 3']
    assert hint('losses.soften', 1).text[:6] == '1 of 3'
    with pytest.raises(ValueError, match='grade: got 4'): hint('losses.soften', 4)


@pytest.mark.parametrize('id, words', [('losses.softn', "did you mean 'losses.soften'"), ('loses.soften', "did you mean 'losses'"), ('x', 'allowed')])
def test_unknown_ids_suggest_the_nearest(id, words):
    with pytest.raises(ValueError, match=words): check(id, kd_loss)


def test_a_prediction_is_answered_from_the_run():
    assert predict('shift.at_four').outcome == 'asked' and predict('shift.at_four', ...).outcome == 'asked'
    assert 'guess: got' in predict('shift.at_four', 'many').note
    assert predict('shift.at_four', 60).outcome == 'noted'
    assert predict('shift.at_four', 50).outcome == 'noted'                    # a change of mind before the answer
    told = reveal('shift.at_four', 9.9)
    assert told.outcome == 'answered' and told.text.startswith('You said 50 %, it is 9.9 %. 40.1 points too high.')
    assert 'stays' in predict('shift.at_four', 10).text                       # not after it
    assert reveal('shift.at_four', 20.).text.startswith('You said 50 %, it is 20 %.')      # another run
    assert reveal('shift.half_lost', 3).text.startswith('You did not predict. It is 3')
    predict('hard.who_moves', 'ty')
    told = reveal('hard.who_moves', dict(tx=.1, ty=torch.tensor(.1)), dict(tx=.4, ty=torch.tensor(.2)))
    assert told.text == "You said 'ty', it is 'tx'. tx went from 0.100 to 0.400."
    predict('hard.worst', (3, 0))
    assert reveal('hard.worst', (0, 4)).text == 'You marked (3, 0), it is (0, 4): 5 px apart.'
    predict('hard.curve', [3, 1])
    assert 'Your curve falls, the true one falls, then rises' in reveal('hard.curve', torch.tensor([4., 1., 3.])).text


@pytest.mark.parametrize('prediction', PREDICTIONS, ids=lambda one: one.id)
def test_prediction_can_be_asked(prediction):
    asked = predict(prediction.id)
    assert asked.outcome == 'asked' and prediction.ask[-1] in '?.' and prediction.kind.how() in asked.text


# --- the hand-in

def test_what_is_kept(file):
    check('losses.kd_loss', lambda s, t, T=4.: kd_loss(s, t, T)/T**2)
    check('losses.kd_loss', ...)                                              # no try
    check('losses.kd_loss', kd_loss)
    hint('losses.kd_loss'), solution('losses.soften'), predict('losses.gain', 3), progress('Åsa')
    kept = json.loads(file.read_text(encoding='utf-8'))
    assert kept['exercises']['losses.kd_loss'] == dict(
        count=2, tries=[dict(outcome='wrong', mistake='missing T²'), dict(outcome='right', mistake='')], hints=1, solution=False)
    assert kept['exercises']['losses.soften']['solution'] is True and kept['learner'] == 'Åsa'
    reveal('losses.gain', .95, .93)
    guess = json.loads(file.read_text(encoding='utf-8'))['predictions']['losses.gain']
    assert guess['guess'] == 3 and guess['close'] is True and abs(guess['truth'] - 2) < 1e-6
    table = repr(progress())
    assert 'Progress of Åsa' in table and 'missing T²' in table and f'1 of {len(EXERCISES)} exercises right' in table
    assert [p.name for p in file.parent.iterdir()] == ['mine.json']


def test_a_new_kernel_goes_on(file, monkeypatch):
    check('losses.kd_loss', kd_loss)
    fresh(monkeypatch)
    check('losses.kd_loss', kd_loss)
    assert json.loads(file.read_text())['exercises']['losses.kd_loss']['count'] == 2


@pytest.mark.parametrize('text, reason', [
    ('{"version": 1, "exer', 'not JSON'), ('', 'not JSON'), ('[]', 'not a file of hardkd'), ('{"version": 9}', 'version 9'), ('['*100_000, 'not JSON'),
    ('{"version": 1, "learner": "", "predictions": {}, "exercises": {"a": {"tries": 3}}}', 'tries'),
    ('{"version": 1, "learner": "", "predictions": {}, "exercises": []}', 'exercises'), ('\udcff', 'not text')])
def test_broken_file_is_laid_aside(file, text, reason):
    content = text.encode('utf-8', 'surrogateescape')
    file.write_bytes(content)
    judged = check('losses.kd_loss', kd_loss)
    assert judged.outcome == 'right' and reason in judged.note and 'mine.broken-1.json' in judged.note
    assert (file.parent/'mine.broken-1.json').read_bytes() == content
    file.write_bytes(content)
    assert 'mine.broken-2.json' in check('losses.kd_loss', kd_loss).note
    assert (file.parent/'mine.broken-1.json').read_bytes() == content


def test_full_disk_and_unwritable_folder(file, monkeypatch):
    check('losses.kd_loss', kd_loss)
    whole = file.read_bytes()
    def full(*_, **__): raise OSError(errno.ENOSPC, 'No space left on device')
    with monkeypatch.context() as patch:
        patch.setattr(Path, 'write_bytes', full)
        judged = check('losses.kd_loss', kd_loss)
        assert judged.outcome == 'right' and 'No space left' in judged.note and 'free some space' in judged.note
        assert check('losses.kd_loss', kd_loss).outcome == 'right'
        assert progress().to_frame()[0]['tries'] == 3
    assert file.read_bytes() == whole
    check('losses.kd_loss', kd_loss)                                          # room again: nothing was lost
    assert json.loads(file.read_text())['exercises']['losses.kd_loss']['count'] == 4
    monkeypatch.setenv('HARDKD_PROGRESS', str(file/'below.json'))             # a folder that is none
    assert 'cannot be written' in check('losses.kd_loss', kd_loss).note


def test_switched_off(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check('losses.kd_loss', kd_loss)
    assert [*tmp_path.iterdir()] == [] and progress().to_frame()[0]['state'] == 'right'


# --- grading

@pytest.fixture
def classroom(tmp_path, monkeypatch):
    "27 learners, and three files that are none."
    folder = tmp_path/'handed in'
    folder.mkdir()
    swapped = next(m.variant for m in KD.mistakes if m.name == 'swapped KL')
    for i in range(27):
        monkeypatch.setenv('HARDKD_PROGRESS', str(folder/f'{i:02}.json'))
        fresh(monkeypatch)
        if i % 3 == 0: check('losses.kd_loss', swapped)
        if i % 2 == 0: check('losses.kd_loss', kd_loss)
        predict('losses.gain', i), reveal('losses.gain', .95, .93)
        if i: progress(f'Learner {i:02}' if i > 1 else '=cmd()')
    for name, text in dict(half='{"version"', other='{"a": 1}', new='{"version": 2}').items(): (folder/f'{name}.json').write_text(text)
    return folder


def shell(*words):
    "A command: exit code, output, complaints."
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err: code = cli.main([str(w) for w in words])
    return code, out.getvalue(), err.getvalue()


def test_a_class_is_graded(classroom, tmp_path):
    started = time.monotonic()
    code, out, err = shell('grade', classroom, '--out', tmp_path/'table.csv')
    assert code == 0 and err == '' and time.monotonic() - started < 10
    learners, exercises, skipped = out.strip().split('\n\n')
    assert len(learners.splitlines()) == 28 and 'Learner 26' in learners and learners.splitlines()[1].startswith('00')      # no name: the file's
    assert 'half.json: not JSON' in skipped and 'other.json: not a file of hardkd' in skipped and 'new.json: version 2' in skipped
    row = exercises.splitlines()[1].split()
    assert row[:3] == ['losses.kd_loss', '18', '14'] and 'swapped KL 9' in exercises
    with open(tmp_path/'table.csv', newline='', encoding='utf-8-sig') as f: rows = [*csv.DictReader(f)]
    assert len(rows) == 27 and {'learner', 'right', 'tried', 'mistakes', 'predictions', 'close'} <= {*rows[0]}
    assert any(row['learner'] == "'=cmd()" for row in rows)                   # no formula for a spreadsheet
    assert sum(int(row['close']) for row in rows) == 3                        # 1, 2 and 3 points
    assert (tmp_path/'table-exercises.csv').exists()


def test_nothing_to_grade(tmp_path):
    assert shell('grade', tmp_path/'nowhere')[0] == 2
    code, _, err = shell('grade', tmp_path)
    assert code == 2 and 'holds no .json file' in err
    (tmp_path/'a.json').write_text('{')
    code, out, err = shell('grade', tmp_path)
    assert code == 2 and 'a.json: not JSON' in out and 'none of the files' in err


def test_a_table_that_cannot_be_written(classroom, tmp_path):
    code, out, err = shell('grade', classroom, '--out', tmp_path)
    assert code == 1 and 'out: got' in err and 'Learner' in out


def test_hand_ins_in_folders_and_from_another_version(tmp_path):
    entry = handin.new_entry() | dict(count=1, tries=[dict(outcome='right', mistake='')])
    kept = handin.empty_handin() | dict(exercises={'later.thing': entry})
    (tmp_path/'Ben').mkdir()
    (tmp_path/'Ben'/handin.FILE).write_text(json.dumps(kept))
    result = grades(tmp_path)
    assert result.learners[0]['learner'] == 'Ben' and result.exercises[0]['exercise'] == 'later.thing' and 'Ben' in grades_text(result)


def test_two_mistakes_at_once_are_told_one_by_one():
    "Neither T² nor detach: the first is named, and that there is more."
    def answer(student_logits, teacher_logits, temperature=4.):
        s, t = ((logits/temperature).log_softmax(1) for logits in (student_logits, teacher_logits))
        return torch.nn.functional.kl_div(s, t, reduction='batchmean', log_target=True)
    judged = judge(KD, answer)
    assert (judged.outcome, judged.diagnosis) == ('wrong', 'missing T²') and 'not all that is wrong' in judged.text
