"Saved pages, opened from disk with the network off."
from pathlib import Path
from .lab import picture


class Page:
    "A saved page opened from disk, the network cut."
    def __init__(self, chromium, path, dark=False, width=1100, calm=False):
        self.context = chromium.new_context(viewport=dict(width=width, height=900), offline=True, accept_downloads=True,
                                            color_scheme='dark' if dark else 'light', reduced_motion='reduce' if calm else 'no-preference')
        self.page, self.errors = self.context.new_page(), []
        self.page.on('console', lambda m: self.errors.append(m.text) if m.type == 'error' else None)
        self.page.on('pageerror', lambda e: self.errors.append(str(e)))
        self.page.goto(Path(path).as_uri())
        self.view = self.page.locator('.hardkd').first
        self.view.wait_for()
        self.page.wait_for_timeout(150)

    def caption(self): return self.view.locator('.hk-caption').inner_text()
    def skip(self): self.view.get_by_role('button', name='Skip').click()
    def __enter__(self): return self
    def __exit__(self, *_): self.context.close()


class SavedPage:
    "A view, saved, and opened from disk with the network off; an error in its console fails the test."
    def __init__(self, chromium, view, path, width=1000, dark=False):
        self.context = chromium.new_context(offline=True, viewport=dict(width=width, height=900), color_scheme='dark' if dark else 'light', reduced_motion='reduce')
        self.page, self.errors = self.context.new_page(), []
        self.page.on('console', lambda m: self.errors.append(m.text) if m.type == 'error' else None)
        self.page.on('pageerror', lambda e: self.errors.append(str(e)))
        self.page.on('dialog', lambda d: (self.errors.append(d.message), d.dismiss()))
        self.page.goto(view.save_html(path/'view.html').as_uri())
        self.view = self.page.locator('.hardkd')
        self.view.wait_for()
        self.page.wait_for_timeout(150)
    def caption(self): return self.view.locator('.hk-caption').inner_text()
    def skip(self): self.view.get_by_role('button', name='Skip').click()
    def pixels(self): return picture(self.view)
    def __enter__(self): return self
    def __exit__(self, *_):
        assert self.errors == []
        self.context.close()
