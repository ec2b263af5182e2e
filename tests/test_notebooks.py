"""Every notebook runs from top to bottom, each in a process of its own, and leaves nothing behind.
Those that show a view are run in JupyterLab (test_browser) instead, where there is a browser for it."""
import subprocess, sys
from pathlib import Path
import pytest
from helpers.lab import chromium_path
from helpers.lessons import LESSONS, LONG

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT/'nbs').glob('*.ipynb'))
LIMIT = 300   # seconds; a lesson's budget is 120 on two idle cores


def run_notebook(path, limit=LIMIT):
    "Run a notebook's cells (without those marked notest or slow); `subprocess.TimeoutExpired` when it takes too long."
    code = 'import sys; from nbdev.test import nbdev_test; nbdev_test(path=sys.argv[1], n_workers=0)'
    return subprocess.run([sys.executable, '-c', code, path], cwd=ROOT, capture_output=True, text=True, timeout=limit)


def files_around(folder): return {p for p in folder.rglob('*') if '.ipynb_checkpoints' not in p.parts}


@pytest.mark.parametrize('path', [pytest.param(p, marks=[pytest.mark.slow]*(p.stem in LONG), id=p.stem) for p in NOTEBOOKS])
def test_notebook_runs(path):
    if path.stem in LESSONS and chromium_path(): pytest.skip('run in JupyterLab: test_browser.py')
    before = files_around(ROOT/'nbs')
    done = run_notebook(path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert files_around(ROOT/'nbs') == before


@pytest.mark.slow
@pytest.mark.parametrize('wing', ['core', 'figures', 'views', 'experiments', 'exercises'])
def test_rooms_run(wing):
    "The notebooks that are no lessons, a wing at a time."
    before = files_around(ROOT/'nbs')
    done = run_notebook(ROOT/'nbs'/wing, 900)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert files_around(ROOT/'nbs') == before


def test_a_failing_notebook_is_seen(tmp_path):
    import nbformat
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('assert 1 == 2')])
    nbformat.write(nb, tmp_path/'01_wrong.ipynb')
    done = run_notebook(tmp_path/'01_wrong.ipynb')
    assert done.returncode != 0 and 'AssertionError' in done.stdout + done.stderr
