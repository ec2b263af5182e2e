"The views' JavaScript as modules: what each imports, how they are joined, and that each is one that JavaScript accepts."
import posixpath, re, subprocess
import pytest

TOKEN = re.compile(r'''//[^\n]*|/\*.*?\*/ |(?P<text>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*") |(?P<tick>`) |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<number>\d[\w.]*) |(?P<regex>(?<=[(,=:])\s*/(?![/*])(?:\\.|\[[^\]\n]*\]|[^/\\\n])+/\w*) |(?P<dots>\.\.\.) |(?P<sign>\?\.|[^\s])''', re.S | re.X)
IMPORT = re.compile(r"(?m)^import ([^;]+?) from '([^']+)';\n")
EXPORT = re.compile(r'(?m)^export (?:async )?(?:class|const|function) (\w+)')
TOP = re.compile(r'(?m)^(?:export )?(?:async )?(?:const|let|function|class) (\w+)')


@pytest.fixture(scope='module')
def modules(root):
    "path -> text of each module."
    folder = root/'hardkd'/'views'
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob('*.js'))}


def template(code, at):
    "The pieces of code inside a template text that begins at `at`, and where it ends."
    pieces = []
    while code[at] != '`':
        if code[at] == '\\': at += 2
        elif code.startswith('${', at):
            start = at = at+2
            depth = 1
            while depth:
                if code[at] == '`': at = template(code, at+1)[1]
                else:
                    depth += {'{': 1, '}': -1}.get(code[at], 0)
                    at += 1
            pieces.append(code[start:at-1])
        else: at += 1
    return pieces, at+1


def used(code):
    "All names that code speaks of: no keys of objects, no properties, nothing inside texts and comments."
    names, before, at = set(), '', 0
    while at < len(code):
        m = TOKEN.match(code, at)
        if not m:
            at += 1
            continue
        at = m.end()
        if m['tick']:
            pieces, at = template(code, at)
            for piece in pieces: names |= used(piece)
        if m['name'] and before not in ('.', '?.') and not (before in ('{', ',') and re.match(r'\s*:', code[at:])):
            names.add(m['name'])
        if not m[0].startswith(('//', '/*')): before = m[0].strip()
    return names


def imported(text, path):
    "[(name, the module that it comes from)]"
    return [(name, posixpath.normpath(posixpath.join(posixpath.dirname(path), other)))
            for names, other in IMPORT.findall(text) for name in re.findall(r'\w+', names)]


def test_names_are_found():
    code = "// none\nconst a = `x ${b(`${c}`)} y`.d, { e: f, g } = h?.i('j', /k/); l({ m, n: [...o], p: 1 });"
    assert used(code) == {'const', 'a', 'b', 'c', 'f', 'g', 'h', 'l', 'm', 'o'}


def test_what_a_module_uses_of_another_it_imports(modules):
    "A name that a module of the kit or of numbers exports means that thing in all modules."
    homes = {name: path for path, text in modules.items() for name in EXPORT.findall(text)}
    for path, text in modules.items():
        names, own, got = used(IMPORT.sub('', text)), set(TOP.findall(text)), imported(text, path)
        assert {n for n in names & set(homes) - own} == {n for n, home in got if not home.endswith('.html')}, path
        assert {n: home for n, home in got if not home.endswith('.html')} == {n: homes[n] for n, home in got if not home.endswith('.html')}, path
        assert all(n in names for n, _ in got), path


def test_no_module_needs_itself(modules):
    def check(path, users):
        assert path not in users, users
        for _, other in imported(modules.get(path, ''), path): check(other, (*users, path))
    for path in modules: check(path, ())


def test_numbers_know_no_page(modules):
    for path, text in modules.items():
        if not path.startswith('numbers/') and path not in ('net.js', 'warp.js'): continue
        assert not used(text) & {'document', 'window', 'model', 'OffscreenCanvas', 'setTimeout'}, path
        assert all(home.startswith('numbers/') for _, home in imported(text, path)), path


def test_every_view_is_one_module_without_double_names(modules):
    from hardkd.views.base import module_text
    views = [p for p, text in modules.items() if '\nexport default ' in text]
    assert len(views) >= 11 and all('/' not in p for p in views)
    for path in views:
        text = module_text(path.removesuffix('.js'))
        assert not re.search(r'(?m)^import\b', text) and re.findall(r'(?m)^export .*', text) == ['export default { render: view(setup) };']
        names = TOP.findall(text)
        assert len(names) == len(set(names)), {n for n in names if names.count(n) > 1}
        assert 'openSaved' in names, 'a saved page opens itself'


def test_javascript_accepts_every_module(modules, node, tmp_path):
    from hardkd.views.base import module_text
    views = {p: module_text(p.removesuffix('.js')) for p, text in modules.items() if '\nexport default ' in text}
    for path, text in [*modules.items(), *((f'joined_{p}', t) for p, t in views.items())]:
        file = tmp_path/path.replace('/', '_').replace('.js', '.mjs')
        file.write_text(text)
        done = subprocess.run([node, '--check', file], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


# --- how they are written

def test_lines_are_not_wide(modules):
    wide = {path: [i for i, line in enumerate(text.split('\n'), 1) if len(line) > 120] for path, text in modules.items()}
    assert not any(wide.values()), wide


def functions(text):
    "(name, lines) of what stands at the left edge and ends there."
    head = r'(?m)^(?:export )?(?:async )?(?:function (\w+)|(?:const|let) (\w+) = .*\{$)[\s\S]*?^\};?$'
    return [(m[1] or m[2], m[0].count('\n')+1) for m in re.finditer(head, text)]


def test_functions_are_short_and_a_view_is_put_together_from_panels(modules):
    "Tables of operations are no functions."
    assert functions('function a() {\n  b();\n}\n') == [('a', 3)]
    for path, text in modules.items():
        long = [(name, lines) for name, lines in functions(text) if lines > 40 and name != 'OPS']
        assert not long, (path, long)
        assert '\nexport default ' not in text or dict(functions(text))['setup'] < 40, path


def test_views_have_no_colours_of_their_own(modules):
    "They come from Python's looks, from the theme, or from the kit's palette."
    for path, text in modules.items():
        if path.startswith('kit/'): continue
        assert not re.search(r'#[0-9a-fA-F]{3,8}\b|rgba?\(', text), path
