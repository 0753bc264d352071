"""Real editors that have to be installed: what is not there is skipped, with the command that installs it."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pytest

from tests.daemon.process.conftest import changed, new_world, world  # noqa: F401  (fixtures)
from tests.e2e.shop import Stored

REPOSITORY = Path(__file__).parents[2]


@contextlib.contextmanager
def new_studio():
    """code-server with our extension, a browser, and a machine of their own; raises ImportError without playwright."""
    from tests.editors.code_server import CodeServer, start_browser  # noqa: PLC0415  (playwright may be missing)

    with new_world() as machine:
        machine.write_settings("deadline_ms = 20000\nsettle_seconds = 1\nsymbol_index = false\n")
        [vsix] = (REPOSITORY / "editors" / "vscode").glob("foretype-*.vsix")
        server = CodeServer(machine, vsix)
        driver, browser = start_browser()
        try:
            yield Studio(machine, server, browser)
        finally:
            browser.close()
            driver.stop()
            server.close()


class Studio:
    """``world``, and windows in it."""

    def __init__(self, machine, server, browser):
        self.world, self._server, self._browser = machine, server, browser
        self.stored = Stored(machine)
        self._numbers = itertools.count()
        self._pages = []

    def project(self, files):
        """A new folder with these files."""
        folder = self.world.project / str(next(self._numbers))
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        return folder

    def open(self, path, **settings):
        """A new window with the file open, and these settings beside those that keep VS Code quiet."""
        from tests.editors.code_server import Page  # noqa: PLC0415

        self._server.write_settings({name.replace("__", "."): value for name, value in settings.items()})
        page = Page(self._browser, self._server, path)
        self._pages.append(page)
        return page

    def counts(self):
        """What became of all predictions."""
        return self.world.status()["predictions"]["counts"]

    def close_pages(self):
        """Close the windows of one test."""
        while self._pages:
            self._pages.pop().close()


@pytest.fixture(scope="module")
def _studio():
    pytest.importorskip("playwright", reason="no playwright: `make test-vscode` installs it")
    from tests.editors import code_server, code_server_install  # noqa: PLC0415

    for what, is_there in {
        "chromium (apt-get install chromium)": Path(code_server.CHROMIUM).exists(),
        "code-server (make test-vscode)": code_server_install.entry() is not None,
        "the extension (make vsix)": any((REPOSITORY / "editors" / "vscode").glob("foretype-*.vsix")),
    }.items():
        if not is_there:
            pytest.skip(f"not installed: {what}")
    with new_studio() as made:
        yield made


@pytest.fixture
def studio(_studio):
    """code-server, shared by the tests of a module; each has windows of its own."""
    yield _studio
    _studio.close_pages()
