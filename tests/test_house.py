"""The rules of the house: who may import whom, what a line, a function, a module and a lesson may be, and that a lesson is called by its name.
Each rule is a function of texts, so that the tests below also show it a text that breaks it."""
import ast, json, re
from pathlib import Path
import pytest

ROOT = Path(__file__).resolve().parents[1]
IDEAS = ['checkpoint', 'outputs', 'folders', 'data', 'models', 'features', 'weights', 'losses', 'augmentor', 'compose', 'bound', 'run', 'batches', 'players', 'contract', 'session', 'train', 'shift', 'spatial', 'hard', 'blur', 'mix', 'draws', 'kept', 'xrays', 'vae', 'vae_training', 'vae_augmentor', 'icd']
LESSONS = {path.stem[:2]: path.stem[3:] for path in sorted((ROOT/'nbs').glob('[0-9][0-9]_*.ipynb'))}
MET = dict(checkpoint=4, outputs=2, folders=1, data=1, models=2, features=2, weights=2, losses=3, run=4, contract=4, batches=4, players=4, session=4, train=4, shift=5, augmentor=6, compose=8, spatial=6, bound=7, hard=7,
           mix=8, draws=9, blur=9, kept=14, xrays=14, vae=10, vae_training=10, vae_augmentor=10, icd=11)   # the lesson in which a reader meets it
WIDTH, BODY, MODULE, CELL, NOTEBOOK = 120, 30, 250, 40, 50_000


def modules():
    "name → text of every module, packages' __init__ left out."
    paths = [p for p in (ROOT/'hardkd').rglob('*.py') if not p.name.startswith('_')]
    return {'.'.join(p.relative_to(ROOT/'hardkd').with_suffix('').parts): p.read_text(encoding='utf-8') for p in paths}


def cells(path): return [(c['cell_type'], ''.join(c['source'])) for c in json.loads(path.read_text(encoding='utf-8'))['cells']]


def imports_of(module, text):
    "(room, name) of all that a module imports from hardkd."
    package = module.split('.')[:-1]
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom): continue
        if node.level:
            base = package[:len(package) - node.level + 1]
            room = '.'.join([*base, *filter(None, [node.module])])
        elif (node.module or '').split('.')[0] == 'hardkd': room = node.module.removeprefix('hardkd').lstrip('.')
        else: continue
        for alias in node.names: yield room, alias.name


def may_import(module, room):
    "Rules 1 to 5: data walks one way, from core over the ideas and figures to views, experiments, exercises and the shell."
    mine, other = module.split('.')[0], room.split('.')[0]
    if other == 'core': return True
    if mine == 'core': return False
    if module in IDEAS: return room in IDEAS[:IDEAS.index(module)]
    if mine == 'figures': return other == 'figures'
    if mine == 'views': return other == 'figures' or room in IDEAS or room in ('views.base', 'views.net') and room != module
    if mine == 'experiments': return other not in ('cli', 'exercises')
    if mine == 'exercises': return other in ('figures', 'exercises') or room in IDEAS or room == 'experiments.robustness'   # lesson 12 is there
    return module == 'cli' and (other == 'experiments' or room in ('', 'views.doctor', 'exercises.grade') or room in IDEAS)


def wrong_imports(texts):
    "What rules 1 to 5 and 7 (no private name crosses a module) forbid."
    for module, text in texts.items():
        for room, name in imports_of(module, text):
            if not may_import(module, room): yield f'{module} imports {room}'
            if name.startswith('_') and not name.startswith('__'): yield f'{module} imports {room}.{name}'


def body_lines(function):
    "Lines of a function below its signature and its docstring."
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


def optional(function):
    "Arguments that may be None and do not say so."
    a = function.args
    given = [*zip(reversed(a.posonlyargs + a.args), reversed(a.defaults)), *zip(a.kwonlyargs, a.kw_defaults)]
    for argument, default in given:
        hint = argument.annotation and ast.unparse(argument.annotation)
        if isinstance(default, ast.Constant) and default.value is None and hint and 'None' not in hint and hint not in ('object', 'Any'):
            yield argument.arg


def public_functions(tree):
    "Functions and methods of a module that a user may call."
    for owner in [tree, *(n for n in tree.body if isinstance(n, ast.ClassDef))]:
        for node in owner.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith('_'): yield node


def wrong_code(name, text):
    "Rule 9, and what every public name must say."
    tree, lines = ast.parse(text), text.splitlines()
    wide = [(i, len(line)) for i, line in enumerate(lines, 1) if len(line) > WIDTH and not line.startswith('__all__ = [')]   # that line is nbdev's
    yield from (f'{name}:{i}: {width} wide' for i, width in wide)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            if body_lines(node) > BODY: yield f'{name}: {node.name} has {body_lines(node)} lines'
            yield from (f'{name}: {node.name}({argument}) may be None and does not say so' for argument in optional(node))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Tuple): yield f'{name}:{node.lineno}: a tuple as a statement'
    for node in public_functions(tree):
        if node.returns is None and node.name not in ('forward', 'backward'): yield f'{name}: {node.name} does not say what it returns'
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith('_') and not ast.get_docstring(node): yield f'{name}: {node.name} has no docstring'


def wrong_lesson(name, size, sources):
    "Rule 9 for a lesson."
    if size > NOTEBOOK: yield f'{name}: {size:,} bytes'
    for kind, source in sources:
        if kind != 'code' or not source.startswith('#| export'): continue
        lines = len(source.strip().splitlines()) - 1
        if lines > CELL: yield f'{name}: an exported cell of {lines} lines'


def wrong_references(name, text, lessons=LESSONS):
    "A lesson is called by number and noun: `[lesson 05](05_shift.ipynb)`, or `lesson 05 (shift)`."
    for found in re.finditer(r'[Ll]essons?[ \n](\d\d)', text):
        noun, rest = lessons.get(found[1], '?'), text[found.end():found.end()+60]
        if not re.match(rf'[^\]\[]*\]\((nbs/|\.\./)?{found[1]}_{noun}\.ipynb\)| \({noun}\)', rest): yield f'{name}: {text[found.start():found.end()+30]!r}'
    for found in re.finditer(r'\[(?:[Ll]essons? )?(\d\d)[^\]\[]*\]\(([^)]*)\)', text):
        if not re.fullmatch(rf'(nbs/|\.\./)?{found[1]}_{lessons.get(found[1], "?")}\.ipynb', found[2]): yield f'{name}: {found[0]}'


def unmet_views(number, sources, texts):
    "Rule 6: a lesson's page shows no view whose ideas come later; its module imports none."
    for kind, source in sources:
        for view in re.findall(r'from hardkd\.(views\.\w+) import', source) if kind == 'code' else ():
            if source.startswith('#| export'): yield f'the module of lesson {number} imports {view}'
            late = {idea for idea, _ in imports_of(view, texts.get(view, '')) if MET.get(idea, 0) > int(number)}
            if late: yield f'lesson {number} shows {view}, which stands on {sorted(late)}'


# --- the house as it is

def test_data_walks_one_way(): assert [*wrong_imports(modules())] == []


@pytest.mark.parametrize('name', modules())
def test_module(name):
    assert [*wrong_code(name, modules()[name])] == []


def test_modules_are_short():
    long = {name: text.count('\n') for name, text in modules().items() if text.count('\n') > MODULE}
    assert len(long) <= 1, long


def test_ideas_load_no_widget_and_no_plot():
    import subprocess, sys
    ideas = ', '.join(f'hardkd.{m}' for m in IDEAS)
    heavy = 'anywidget ipywidgets IPython traitlets matplotlib plotly'.split()
    code = f'import sys, {ideas}; print([m for m in {heavy} if m in sys.modules])'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'


def test_every_view_has_its_javascript():
    rooms = {p.stem for p in (ROOT/'hardkd'/'views').glob('*.py')} - {'__init__', 'base'}
    assert {n for n in rooms if not (ROOT/'hardkd'/'views'/f'{n}.js').exists()} == set()
    assert {p.stem for p in (ROOT/'nbs'/'views').glob('*.ipynb')} == rooms | {'base'}, 'a room a notebook'


@pytest.mark.parametrize('number', LESSONS)
def test_lesson(number):
    path = ROOT/'nbs'/f'{number}_{LESSONS[number]}.ipynb'
    assert [*wrong_lesson(path.stem, path.stat().st_size, cells(path)), *unmet_views(number, cells(path), modules())] == []


def test_lessons_are_called_by_their_names(files):
    wrong = []
    for path in files:
        if path == Path(__file__): continue
        if path.suffix == '.ipynb': wrong += [w for _, source in cells(path) for w in wrong_references(path.name, source)]
        elif path.suffix in ('.md', '.js', '.py') and not (path.suffix == '.py' and ROOT/'hardkd' in path.parents): wrong += wrong_references(path.name, path.read_text(encoding='utf-8'))
    assert wrong == []


def test_no_test_imports_another():
    "What tests share is in tests/helpers."
    wrong = [(p.name, line) for p in (ROOT/'tests').rglob('*.py') for line in p.read_text(encoding='utf-8').splitlines() if re.match(r'\s*(from|import) test_', line)]
    assert wrong == []


# --- each rule sees what breaks it

@pytest.mark.parametrize('module, text, complaint', [
    ('core.checks', 'from ..data import Images', 'core.checks imports data'), ('losses', 'from .train import fit', 'losses imports train'),
    ('hard', 'from .views.base import View', 'hard imports views.base'), ('hard', 'from .figures.style import looks', 'hard imports figures.style'),
    ('figures.charts', 'from ..models import predict', 'figures.charts imports models'), ('views.shift_map', 'from .hard_scrub import HardScrub', 'views.shift_map imports views.hard_scrub'),
    ('experiments.toy', 'from ..cli import main', 'experiments.toy imports cli'), ('hard', 'from .exercises import check', 'hard imports exercises'),
    ('exercises.hard', 'from ..views.hard_scrub import HardScrub', 'exercises.hard imports views.hard_scrub'), ('exercises.robust', 'from ..experiments.toy import demo', 'exercises.robust imports experiments.toy'), ('models', 'from .core.checks import _secret', 'models imports core.checks._secret')])
def test_wrong_import_is_seen(module, text, complaint): assert complaint in [*wrong_imports({module: text})]


@pytest.mark.parametrize('text, complaint', [
    ('x = 1' + ' '*WIDTH + '# far', 'wide'), ('def f()->int:\n    "Doc."\n' + '    x = 1\n'*(BODY+1), f'f has {BODY+1} lines'), ('print(1), print(2)', 'a tuple'),
    ('def f():\n    "Doc."', 'does not say what it returns'), ('def f()->int: return 1', 'no docstring'), ('def f(x:int=None)->int:\n    "Doc."', 'f(x) may be None'),
    ('class A:\n    "Doc."\n    def f(self): return 1', 'does not say what it returns')])
def test_wrong_code_is_seen(text, complaint): assert any(complaint in w for w in wrong_code('m', text))


def test_right_code_is_let_be():
    assert [*wrong_code('m', 'def f(\n    x:int|None=None,  # a number\n)->int:\n    "Doc."\n' + '    x = 1\n'*BODY + 'def _g(): return 1')] == []


def test_wrong_lesson_is_seen():
    assert [*wrong_lesson('x', NOTEBOOK + 1, [('code', '#| export\n' + 'x = 1\n'*(CELL+1))])] == [f'x: {NOTEBOOK+1:,} bytes', f'x: an exported cell of {CELL+1} lines']


@pytest.mark.parametrize('text', ['as in lesson 05', '[lesson 05](06_spatial.ipynb)', 'lesson 05 (spatial)', 'Lesson 99 (shift)', '[05 shift](06_spatial.ipynb)', 'lessons 05 and 06'])
def test_wrong_reference_is_seen(text): assert [*wrong_references('x', text, {'05': 'shift', '06': 'spatial'})]


@pytest.mark.parametrize('text', ['[lesson 05](05_shift.ipynb)', 'lesson 05 (shift)', '[05 shift](nbs/05_shift.ipynb)', 'lessons [05](nbs/05_shift.ipynb) and [06](06_spatial.ipynb)', 'the lesson'])
def test_right_reference_is_let_be(text): assert [*wrong_references('x', text, {'05': 'shift', '06': 'spatial'})] == []


def test_unmet_view_is_seen():
    texts = {'views.hard_scrub': 'from ..hard import hardness\nfrom ..data import Images'}
    page, export = [('code', 'from hardkd.views.hard_scrub import HardScrub')], [('code', '#| export\nfrom hardkd.views.hard_scrub import HardScrub')]
    assert [*unmet_views('05', page, texts)] and not [*unmet_views('07', page, texts)] and [*unmet_views('07', export, texts)]
