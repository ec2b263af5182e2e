"""Numbers that views compute without a page, held equal to the values that Python computes: `CASES` go to a file which the tests
in tests/js read; node's own test runner runs them."""
import importlib.util, json, os, shutil, subprocess
from pathlib import Path
import pytest, torch

TESTS = sorted((Path(__file__).parent/'js').glob('*.test.js'))
CASES = {}


def case(make):
    "What `make` returns (plain numbers, lists, dicts) is known by its name in the tests of JavaScript."
    CASES[make.__name__] = make
    return make


def plain(value):
    "Tensors as lists; float32 as the doubles that they are."
    if isinstance(value, torch.Tensor): return value.tolist()
    if isinstance(value, dict): return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def topics():
    "Cases that stand in a file of their own: `cases_icd()` of tests/js/cases_icd.py is known as icd."
    for path in sorted((Path(__file__).parent/'js').glob('cases_*.py')):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield path.stem.removeprefix('cases_'), getattr(module, path.stem)


def random(*shape, seed=0, scale=1.):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)*scale


@pytest.fixture(scope='module')
def folder(root, node, tmp_path_factory):
    "The modules without a page, their tests, and the cases, where node takes .js for modules."
    folder = tmp_path_factory.mktemp('js')
    (folder/'package.json').write_text('{"type": "module"}')
    (folder/'cases.json').write_text(json.dumps({name: plain(make()) for name, make in [*CASES.items(), *topics()]}))
    views = root/'hardkd'/'views'
    shutil.copytree(views/'numbers', folder/'views'/'numbers')
    for name in ('net.js', 'warp.js'): shutil.copy(views/name, folder/'views'/name)
    shutil.copytree(root/'tests'/'js', folder/'tests')
    return folder


@pytest.mark.parametrize('path', TESTS, ids=lambda p: p.stem)
def test_javascript_says_what_python_says(path, folder, node):
    done = subprocess.run([node, '--test', folder/'tests'/path.name], capture_output=True, text=True, cwd=folder,
                          env=os.environ | {'HARDKD_CASES': str(folder/'cases.json')}, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '# pass 0' not in done.stdout and 'ℹ pass 0' not in done.stdout, 'no test ran'


def test_every_module_of_numbers_is_tested(root):
    tested = ''.join(p.read_text() for p in TESTS)
    for path in (root/'hardkd'/'views'/'numbers').glob('*.js'): assert f"views/numbers/{path.name}'" in tested, path.name


# --- basics


@case
def softmax():
    logits = random(5, 7, scale=6.)
    return [dict(logits=z, temperature=t, probs=(z/t).softmax(0)) for z in logits for t in (.25, 1., 4., 20.)]


@case
def likeliest():
    both = random(4, 2, 30).softmax(-1)
    return [dict(rows=p, top=top, classes=sorted(p.max(0).values.argsort(descending=True)[:top].tolist())) for p in both for top in (1, 10, 30, 50)]


# --- signs

@case
def signs():
    "Which signs `LOOKS` and `looks` give, and the shape of each in matplotlib, on a grid, y downwards."
    from matplotlib.markers import MarkerStyle
    from hardkd.figures.style import LOOKS, looks
    used = {look['marker'] for look in looks([*LOOKS, *map(str, range(60))]).values()}
    side = 60
    shapes = {}
    for sign in used:
        style = MarkerStyle(sign)
        path = style.get_path().transformed(style.get_transform()).to_polygons()[0]
        low, high = path.min(0), path.max(0)
        steps = ((torch.arange(side)+.5)/side-.5)*(high-low).max()
        x, y = torch.meshgrid(steps, -steps, indexing='xy')
        places = torch.stack([x, y], 2).view(-1, 2).numpy() + (low+high)/2
        shapes[sign] = _inside(path, places)
    return dict(used=sorted(used), side=side, shapes=shapes)


def _inside(path, places):
    from matplotlib.path import Path as Shape
    return Shape(path).contains_points(places).astype(int).tolist()
