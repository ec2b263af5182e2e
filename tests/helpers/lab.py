"A real JupyterLab on this machine, and what a reader does in it."
import json, os, secrets, shutil, socket, subprocess, sys, time, urllib.error, urllib.request
from contextlib import contextmanager
from pathlib import Path


def chromium_path(): return next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)


@contextmanager
def open_chromium():
    "A headless browser (playwright's `Browser`), without its own calls to the net."
    from playwright.sync_api import sync_playwright
    args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
            '--no-first-run', '--disable-dev-shm-usage']
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=args)
        yield browser
        browser.close()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Lab:
    "A server with a token on a free port of the loopback; `with Lab(chromium, folder) as lab:`."
    def __init__(self, chromium, folder):
        self.chromium, self.folder, self.port, self.token = chromium, Path(folder), free_port(), secrets.token_hex(8)
        self.home = self.folder/'home'
        self.notebooks = self.folder/'notebooks'
        for path in self.home, self.notebooks: path.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        env = os.environ | {'HOME': str(self.home), 'MPLBACKEND': 'module://matplotlib_inline.backend_inline',
                            'JUPYTERLAB_SETTINGS_DIR': str(self.home/'settings'), 'IPYTHONDIR': str(self.home/'ipython'),
                            'JUPYTERLAB_WORKSPACES_DIR': str(self.home/'workspaces')}
        env |= {f'JUPYTER_{n}_DIR': str(self.home/n.lower()) for n in ('CONFIG', 'DATA', 'RUNTIME')}
        command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--ip', '127.0.0.1', '--port', str(self.port),
                   '--ServerApp.port_retries=0', f'--IdentityProvider.token={self.token}', '--allow-root',
                   f'--ServerApp.root_dir={self.notebooks}', '--LabApp.news_url=',
                   '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate']
        self.setting('notification', fetchNews='false')
        self.log = open(self.folder/'lab.log', 'w')
        self.server = subprocess.Popen(command, env=env, stdout=self.log, stderr=subprocess.STDOUT, cwd=self.folder)
        until = time.time() + 60
        while time.time() < until:
            try:
                urllib.request.urlopen(f'http://127.0.0.1:{self.port}/api?token={self.token}', timeout=2)
                return self
            except (urllib.error.URLError, OSError):
                assert self.server.poll() is None, (self.folder/'lab.log').read_text()[-2000:]
                time.sleep(.3)
        raise TimeoutError((self.folder/'lab.log').read_text()[-2000:])

    def __exit__(self, *_):
        self.server.terminate()
        try: self.server.wait(20)
        except subprocess.TimeoutExpired: self.server.kill()
        self.log.close()

    def setting(self, file, **values):
        "One of JupyterLab's settings, for pages opened from now on: `setting('themes', theme='JupyterLab Dark')`."
        path = self.home/'settings'/'@jupyterlab'/'apputils-extension'/f'{file}.jupyterlab-settings'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))

    def write(self, name, *cells):
        "A notebook with these code cells."
        import nbformat
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        nb.metadata['kernelspec'] = dict(name='python3', display_name='python3', language='python')
        nbformat.write(nb, self.notebooks/name)

    def open(self, name, width=1280, height=1000):
        "A page with this notebook; `.errors` collects the console's."
        context = self.chromium.new_context(viewport=dict(width=width, height=height))
        context.set_default_timeout(60_000)
        return Notebook(context.new_page(), self, name)


class Notebook:
    "An open notebook."
    def __init__(self, page, lab, name):
        self.page, self.lab, self.path, self.errors, self.outside = page, lab, lab.notebooks/name, [], []
        page.on('console', lambda m: self.errors.append(m.text) if m.type == 'error' else None)
        page.on('pageerror', lambda e: self.errors.append(str(e)))
        page.on('request', lambda r: None if r.url.startswith((f'http://127.0.0.1:{lab.port}', f'ws://127.0.0.1:{lab.port}', 'data:', 'blob:'))
                else self.outside.append(r.url))
        page.goto(f'http://127.0.0.1:{lab.port}/lab/tree/{name}?token={lab.token}&reset')
        page.wait_for_selector('.jp-NotebookPanel .jp-Cell')
        self.wait_connected()
        self.wait_idle()

    def wait_connected(self, limit=90):
        "Until the server knows this notebook's kernel, and the page hears it: what is run before that is lost without a word."
        url, until = f'http://127.0.0.1:{self.lab.port}/api/sessions?token={self.lab.token}', time.time() + limit
        while time.time() < until:
            kernels = [s['kernel'] for s in json.load(urllib.request.urlopen(url)) if s['path'] == self.path.name and s['kernel']]
            if any(k['connections'] > 0 and k['execution_state'] == 'idle' for k in kernels): break
            self.page.wait_for_timeout(200)
        self.page.wait_for_timeout(500)

    def status(self): return self.page.evaluate("document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status")

    def wait_idle(self, limit=60, calm=.6):
        "Until the kernel has been idle for a moment."
        until, since = time.time() + limit, None
        while time.time() < until:
            if self.status() != 'idle': since = None
            elif since is None: since = time.time()
            elif time.time() - since > calm: return
            self.page.wait_for_timeout(200)
        raise TimeoutError(f'{self.path.name}: the kernel is {self.status()} after {limit} s')

    def run_all(self, limit=300):
        "Run > Run All Cells, and wait; seconds. The notebook is saved and read."
        started = time.time()
        self.page.click('.lm-MenuBar-itemLabel:text-is("Run")')
        self.page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')
        while True:
            self.wait_idle(limit - (time.time()-started))
            seconds = time.time() - started
            cells = [c for c in self.save()['cells'] if c['cell_type'] == 'code' and ''.join(c['source']).strip()]
            failed = [o for c in cells for o in c['outputs'] if o['output_type'] == 'error']
            assert not failed, '\n'.join(failed[0]['traceback'])[-3000:]
            if all(c['execution_count'] for c in cells): return seconds

    def run_cell(self, index):
        "Shift+Enter in a cell, without waiting."
        self.page.locator('.jp-CodeCell .jp-InputArea-editor').nth(index).click()
        self.page.keyboard.press('Shift+Enter')

    def save(self):
        "Save, and read what is on the disk."
        before = self.path.stat().st_mtime_ns
        self.page.click('.lm-MenuBar-itemLabel:text-is("File")')
        self.page.click('.lm-Menu-itemLabel:text-is("Save Notebook")')
        until = time.time() + 20
        while self.path.stat().st_mtime_ns == before and time.time() < until: self.page.wait_for_timeout(100)
        while True:
            self.page.wait_for_timeout(200)
            try: return json.loads(self.path.read_text())
            except json.JSONDecodeError:                 # half written: the server empties the file first
                if time.time() > until: raise

    def cells(self): return len(self.save()['cells'])

    def views(self):
        "Each view, scrolled to one after another."
        return self.scrolled_to('.hardkd')

    def charts(self):
        "Each chart of plotly, scrolled to one after another, once it is drawn."
        for chart in self.scrolled_to('.jp-RenderedPlotly'):
            chart.locator('.main-svg').first.wait_for()
            yield chart

    def scrolled_to(self, selector):
        "Each element, scrolled to one after another."
        self.page.locator('.jp-WindowedPanel-outer').first.evaluate('e => e.scrollTo(0, 0)')
        seen, last = {}, -1
        while True:
            self.page.wait_for_timeout(120)
            for view in self.page.locator(selector).all():
                model = view.evaluate('e => { e.dataset.seen ??= Math.random(); return e.dataset.seen }')
                if model not in seen:
                    view.scroll_into_view_if_needed()
                    self.page.wait_for_timeout(300)
                    seen[model] = self.page.locator(f'{selector}[data-seen="{model}"]')
                    yield seen[model]
            top = self.page.locator('.jp-WindowedPanel-outer').first.evaluate('e => { e.scrollBy(0, e.clientHeight*.85); return e.scrollTop }')
            if top == last: return
            last = top

    def close(self, shutdown=True):
        "Close the page; the kernel goes too unless it shall stay."
        self.page.context.close()
        if not shutdown: return
        url = f'http://127.0.0.1:{self.lab.port}/api/sessions'
        headers = {'Authorization': f'token {self.lab.token}'}
        for session in json.load(urllib.request.urlopen(urllib.request.Request(url, headers=headers))):
            urllib.request.urlopen(urllib.request.Request(f"{url}/{session['id']}", headers=headers, method='DELETE'))


def painted(view):
    "How many colours each canvas of a view shows."
    return view.locator('canvas').evaluate_all('''all => all.map(c => {
        if (!c.width || !c.height) return 0;
        const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);
        return new Set(d).size })''')


def drawn(chart):
    "The area, in pixels, of each picture that a chart of plotly consists of; none where WebGL is missing."
    if chart.locator('.no-webgl').count(): return []
    return chart.locator('svg.main-svg, canvas').evaluate_all(
        'all => all.map(e => e.getBoundingClientRect()).map(box => box.width*box.height)')


def picture(view):
    "A number that changes with what the canvases show."
    return view.locator('canvas').evaluate_all('''all => all.map(c => {
        if (!c.width || !c.height) return 0;
        const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);
        let h = 7; for (let i = 0; i < d.length; i += 3) h = (h * 31 + d[i]) | 0;
        return h })''')


def push_latency(view, keys):
    "Milliseconds from an arrow key to the new caption, for a view that asks the kernel."
    return view.locator('[role=application]').first.evaluate('''async (area, keys) => {
        const caption = area.closest('.hardkd').querySelector('.hk-caption'), times = [];
        for (const k of keys) {
            const before = caption.textContent, key = { R: 'ArrowRight', L: 'ArrowLeft', D: 'ArrowDown' }[k], t = performance.now();
            area.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
            await new Promise((done, fail) => {
                const check = () => { const text = caption.textContent; if (text !== before && !text.includes('…')) { seen.disconnect(); clearTimeout(late); done(); } };
                const seen = new MutationObserver(check), late = setTimeout(() => { seen.disconnect(); fail(new Error(`no answer in 20 s: ${caption.textContent}`)); }, 20000);
                seen.observe(caption, { childList: true, characterData: true, subtree: true });
            });
            times.push(performance.now() - t);
            await new Promise((done) => setTimeout(done, 20));
        }
        return times }''', keys)
