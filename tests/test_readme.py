"""Every command and snippet of README.md is executed, or matched to what the whole check (.ci/run) does.

- ```python blocks run in order, in one process, in an empty folder.
- ```bash blocks: `hardkd ...` runs, in an empty folder: demos a short one, where `--full` finds a small MNIST (the demo
  itself, in its whole length, is .ci/run's). Commands that install or test must stand in .ci/run, letter for letter,
  because that is where they run. Anything else is refused, so that nothing goes unchecked.
- Lines that stand together in one command (`install && hardkd demo`) stand so in .ci/run too.
"""
import os, re, shlex, subprocess, sys
from pathlib import Path
import pytest
from helpers.sets import write_mnist

ROOT = Path(__file__).resolve().parents[1]
README = ROOT/'README.md'
CI = ROOT/'.ci'/'run'
LIMIT = 600   # seconds a command may take
RUN_BY_CI = re.compile(r'(python -m )?(pip install|pytest)\b|python -m venv\b|apt-get ')
UNCHECKED = re.compile(r'git clone |cd ')
STAND_INS = {}   # 'the documented command': 'a shorter one that is run in its place', for what takes hours or a screen


# After each block: an augmentor that was to learn has played.
PLAYED = '''
for _name, _run in [*globals().items()]:
    if type(_run).__name__ == 'Run' and any(p.requires_grad for p in getattr(_run.augmentor, 'parameters', list)()):
        assert _run.steps['augmentor'] > 0, f'{_name}: {_run.steps}'
'''


def blocks(text, *languages):
    "The fenced blocks of the given languages."
    return [body for language, body in re.findall(r'^```(\w+)\n(.*?)^```', text, re.M | re.S) if language in languages]


def lines_of(text):
    "The lines of the shell blocks, without prompts and comments."
    lines = '\n'.join(blocks(text, 'bash', 'sh', 'shell', 'console')).replace('\\\n', ' ').splitlines()
    return [re.sub(r'(^|\s)#.*', '', line).strip().removeprefix('$ ') for line in lines]


def commands(text):
    "Every single command; && parts one by one."
    return [part.strip() for line in lines_of(text) for part in line.split('&&') if part.strip()]


def shorter(command):
    "What is run in a command's place: the same, for seconds instead of minutes or hours."
    if command.startswith('hardkd demo'): return f'{command} --epochs 0.2 --quiet'
    return STAND_INS.get(command, command)


def check_command(command, folder, ci):
    "Run or look up one command; an AssertionError says what is wrong."
    if UNCHECKED.match(command): return
    if RUN_BY_CI.match(command):
        assert re.search(rf'(^|\s){re.escape(command)}\s*($|&&)', ci, re.M), f'.ci/run does not run: {command}'
        return
    words = shlex.split(shorter(command))
    assert words[0] == 'hardkd', f'nothing checks this command: {command}'
    if '--full' in words: write_mnist(folder/'data'/'MNIST'/'raw')
    env = os.environ | {'PATH': f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, f'{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}'
    if words[:2] == ['hardkd', 'demo']:
        out = folder/(words[words.index('--out')+1] if '--out' in words else 'hardkd-demo')
        assert all((out/f'demo.{kind}').stat().st_size for kind in ('json', 'png', 'html'))


def check_snippets(text, folder):
    "Run the python blocks one after the other in one process."
    code = '\n'.join(block + PLAYED for block in blocks(text, 'python', 'py'))
    done = subprocess.run([sys.executable, '-c', code], cwd=folder, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr[-3000:]


TEXT = README.read_text(encoding='utf-8') if README.exists() else ''


def test_readme_has_commands_and_snippets():
    assert README.exists()
    assert commands(TEXT) and blocks(TEXT, 'python', 'py')
    languages = set(re.findall(r'^```(\w+)', TEXT, re.M))
    assert languages <= {'bash', 'python', 'text', 'bibtex'}, 'blocks that nothing checks'
    assert set(STAND_INS) <= set(commands(TEXT))


def check_lines(text, ci):
    "Lines that install and go on are run by .ci/run as they stand."
    for line in lines_of(text):
        if '&&' in line and RUN_BY_CI.match(line): assert re.search(rf'^{re.escape(line)}$', ci, re.M), f'.ci/run does not run: {line}'


def test_readme_lines_are_run_as_they_stand():
    first = lines_of(TEXT)[0]
    assert first == "python -m pip install -e '.[lab]' && hardkd demo", 'the first thing that README shows'
    check_lines(TEXT, CI.read_text())


COMMANDS = [pytest.param(c, marks=pytest.mark.slow) if c.startswith('hardkd demo') else c for c in dict.fromkeys(commands(TEXT))]   # half a minute each


@pytest.mark.parametrize('command', COMMANDS)
def test_readme_command(command, tmp_path): check_command(command, tmp_path, CI.read_text())


def test_readme_snippets(tmp_path): check_snippets(TEXT, tmp_path)


def test_readme_pictures_and_links_exist():
    for target in re.findall(r'\]\(([^)#\s]+)', TEXT):
        assert target.startswith('http') or (ROOT/target).exists(), target


# --- the checker itself

def test_wrong_readmes_are_seen(tmp_path):
    ci = "set -e\npython -m pip install -e '.[dev]'\npython -m pytest\n"
    text = "```bash\n$ python -m pip install -e '.[dev]' && python -m pytest  # all\n```\n```python\nx = 1\n```\n```python\nassert x == 1\n```\n"
    assert commands(text) == ["python -m pip install -e '.[dev]'", 'python -m pytest']
    for command in commands(text): check_command(command, tmp_path, ci)
    check_snippets(text, tmp_path)
    for wrong in ('python -m pip install -e .[dev]', 'python -m pytest -x', 'rm -r runs', 'pip install hardkd'):
        with pytest.raises(AssertionError): check_command(wrong, tmp_path, ci)
    check_lines("```bash\npip install a && hardkd demo\n```", "x\npip install a && hardkd demo\n")
    with pytest.raises(AssertionError): check_lines("```bash\npip install a && hardkd demo\n```", "pip install a\nhardkd demo\n")
    with pytest.raises(AssertionError): check_command('hardkd dmeo', tmp_path, ci)
    assert shorter('hardkd demo --full').startswith('hardkd demo --full --epochs')
    with pytest.raises(AssertionError): check_snippets('```python\nx = 1\n```\n```python\nassert x == 2\n```\n', tmp_path)
    short = "from hardkd import *\nrun = distill(mlp(), mlp(), digits()[0].subset(64), augmentor=SpatialAugmentor(), batch_size=32, epochs=1, progress=False)\n"
    with pytest.raises(AssertionError, match="'augmentor': 0"): check_snippets(f'```python\n{short}```\n', tmp_path)
