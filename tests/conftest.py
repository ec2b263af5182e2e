"One place for the paths that tests share."
import base64, importlib.util, json, os, shutil, subprocess
from pathlib import Path
import pytest
from hypothesis import settings
from helpers.lab import chromium_path, open_chromium

os.environ.setdefault('MPLBACKEND', 'Agg')   # also for the processes that tests start
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')   # before a test loads torch: see hardkd/__init__.py
os.environ.setdefault('HARDKD_PROGRESS', 'off')      # lessons that ask write no hand-in beside themselves
if 'PYTEST_XDIST_WORKER' in os.environ: os.environ['OMP_NUM_THREADS'] = '1'   # one core for each of pytest's workers: threads of two that share cores wait for each other
settings.register_profile('hardkd', deadline=None, derandomize=True, max_examples=30)
settings.load_profile('hardkd')
ROOT = Path(__file__).resolve().parents[1]
UNTRACKED = {'.git', 'build', 'dist', '__pycache__', '.ipynb_checkpoints', '.pytest_cache', '.hypothesis', '.venv',
             '_docs', '_proc', 'data', 'runs', '.mypy_cache', '.ruff_cache'}


def project_files():
    "Every file that belongs to the project: what git has or would add; without git, all but what .gitignore names."
    try:
        done = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                              cwd=ROOT, capture_output=True, text=True, check=True)
        found = [ROOT/name for name in done.stdout.split('\0') if name]
    except (OSError, subprocess.CalledProcessError):
        found = [p for p in ROOT.rglob('*') if not any(part in UNTRACKED or part.endswith('.egg-info')
                                                       for part in p.relative_to(ROOT).parts)]
    return sorted(p for p in set(found) if p.is_file())


def pytest_configure(config):
    config.addinivalue_line('markers', 'slow: a long sweep; left out unless asked for with `-m slow`, as .ci/run does')


def pytest_collection_modifyitems(config, items):
    "Long sweeps run where they are asked for."
    if config.option.markexpr: return
    slow = [item for item in items if 'slow' in item.keywords]
    if slow: config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if 'slow' not in item.keywords]


@pytest.fixture(scope='session')
def root(): return ROOT


@pytest.fixture(scope='session')
def files(): return project_files()


@pytest.fixture
def project_copy(files, tmp_path):
    "A copy of the project's files that a test may change."
    for path in files:
        target = tmp_path/'project'/path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path/'project'


@pytest.fixture(scope='session')
def chromium():
    "A headless browser that all tests share."
    if chromium_path() is None:
        stop = pytest.fail if os.environ.get('CI') else pytest.skip
        stop('no chromium here, which the browser tests drive; on Debian: apt-get install chromium')
    with open_chromium() as browser: yield browser


@pytest.fixture(scope='session')
def node():
    "node's path, for JavaScript that needs no page: this machine's, or the one that playwright brings."
    spec = importlib.util.find_spec('playwright')
    brought = Path(spec.origin).parent/'driver'/'node' if spec else Path('node')
    path = shutil.which('node') or (str(brought) if brought.exists() else None)
    if path is None:
        stop = pytest.fail if os.environ.get('CI') else pytest.skip
        stop('no node here, which runs the tests of JavaScript without a page; on Debian: apt-get install nodejs')
    return path


@pytest.fixture(scope='session')
def javascript(node, tmp_path_factory):
    "javascript('net.js', line, **values): what a line makes of the values with a module of hardkd/views that needs no page."
    folder = tmp_path_factory.mktemp('node')
    (folder/'package.json').write_text('{"type": "module"}')      # so that .js is a module for node
    shutil.copytree(ROOT/'hardkd'/'views', folder/'views', ignore=shutil.ignore_patterns('*.py', '__pycache__'))
    shutil.copy(ROOT/'tests'/'js'/'evaluate.mjs', folder)
    typed = lambda a: dict(kind=str(a.dtype), base64=base64.b64encode(a.tobytes()).decode())
    process = subprocess.Popen([node, folder/'evaluate.mjs'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)
    def evaluate(module, line, **values):
        request = dict(module=f'./views/{module}', values=values, line=line)
        print(json.dumps(request, default=typed), file=process.stdin, flush=True)
        answer = json.loads(process.stdout.readline())
        if 'error' in answer: raise RuntimeError(answer['error'])
        return answer['value']
    yield evaluate
    process.stdin.close()
    process.wait(20)
