"""VS Code with our extension, in a headless Chromium: typed at and looked at as a person would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect, sync_playwright

from tests.editors import code_server_install

CHROMIUM = "/usr/bin/chromium"
PATIENCE_SECONDS = 60.0  # for the first prediction of a busy machine, or for the extension host
MILLISECONDS = 1000
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
QUIET_SETTINGS = {
    "workbench.startupEditor": "none",
    "workbench.editor.enablePreview": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.tips.enabled": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "security.workspace.trust.enabled": False,
    "chat.disableAIFeatures": True,
    "git.enabled": False,
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.minimap.enabled": False,
    "editor.autoClosingBrackets": "never",
    "editor.cursorBlinking": "solid",
}
# The rows of the editor as they are drawn, those of small editors in it left out: they show what comes.
ROWS = """() => [...document.querySelectorAll('.editor-instance .view-lines .view-line')]
    .filter(row => !row.closest('.monaco-editor').parentElement.closest('.monaco-editor'))
    .sort((one, other) => parseInt(one.style.top) - parseInt(other.style.top))
    .map(row => row.textContent.replaceAll('\\u00a0', ' '))"""

# The texts that decorations draw behind something, and those of VS Code's own display of a replaced word.
DRAWN = """() => [
    ...[...document.querySelectorAll('.editor-instance .view-line span')]
        .map(span => getComputedStyle(span, '::after').content)
        .filter(text => text !== 'none' && text !== 'normal')
        .map(text => JSON.parse(text)),
    ...[...document.querySelectorAll('.word-replacement .view-line')]
        .filter(row => row.checkVisibility())
        .map(row => row.textContent),
  ].map(text => text.replaceAll('\\u00a0', ' '))"""


class CodeServer:
    """One code-server of its own, with the extension installed."""

    def __init__(self, world, vsix):
        self._world = world
        self._folder = world.root / "code-server"
        self.extensions = self._folder / "extensions"
        user = self._folder / "data" / "User"
        user.mkdir(parents=True)
        self._settings_file = user / "settings.json"
        # Its extensions run with the PATH of a login shell; and what names a program is a setting of the machine.
        machine = self._folder / "data" / "Machine"
        machine.mkdir()
        program = Path(sys.executable).parent / "foretype"
        assert program.exists(), "foretype is not installed in this environment"
        (machine / "settings.json").write_text(json.dumps({"foretype.path": str(program)}))
        self.log_file = world.root / "code-server.log"
        self._command("--install-extension", str(vsix))
        self._process = self._start()
        self.url = self._address()

    def write_settings(self, settings):
        self._settings_file.write_text(json.dumps({**QUIET_SETTINGS, **settings}))

    def close(self):
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)
        self._process.stdout.close()

    def extension_log(self):
        """What the extension logged, for a failure's message."""
        logs = sorted((self._folder / "data").rglob("*foretype.log"))
        return "\n".join(f"{file}:\n{file.read_text()}" for file in logs)

    def _words(self, *arguments):
        return [
            str(code_server_install.node()),
            str(code_server_install.entry()),
            *("--user-data-dir", str(self._folder / "data"), "--extensions-dir", str(self.extensions)),
            *arguments,
        ]

    def _command(self, *arguments):
        done = subprocess.run(self._words(*arguments), env=self._world.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _start(self):
        quiet = ["--disable-telemetry", "--disable-update-check", "--disable-workspace-trust"]
        with self.log_file.open("w") as log:
            return subprocess.Popen(
                self._words("--auth", "none", "--bind-addr", "127.0.0.1:0", *quiet),
                env=self._world.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _address(self):
        for line in self._process.stdout:
            _, found, url = line.partition("HTTP server listening on ")
            if found:
                return url.strip().rstrip("/")
        raise AssertionError(f"code-server ended: {self.log_file.read_text()}")


class Page:
    """One window with one file open and the cursor in it."""

    def __init__(self, browser, server, path):
        self._server = server
        self.page = browser.new_page(viewport={"width": 1000, "height": 520})
        self.page.set_default_timeout(PATIENCE_SECONDS * MILLISECONDS)
        host = server.url.removeprefix("http://")
        payload = quote(json.dumps([["openFile", f"vscode-remote://{host}{path}"]]))
        self.page.goto(f"{server.url}/?folder={quote(str(path.parent))}&payload={payload}")
        self.page.locator(".editor-instance .view-lines .view-line").first.wait_for()
        self.wait_for_reason("nothing was asked yet")

    @property
    def status(self):
        """Our status bar item."""
        return self.page.locator("[id='foretype.foretype.foretype.status'] a")

    def reason(self):
        """What the status bar item says to a screen reader."""
        return self.status.get_attribute("aria-label").removeprefix("foretype: ")

    def wait_for_reason(self, text):
        """Return once it says so."""
        expect(self.status).to_have_attribute(
            "aria-label", f"foretype: {text}", timeout=PATIENCE_SECONDS * MILLISECONDS
        )

    def rows(self):
        """The rows of the editor; what is drawn as grey text stands in them, what decorations draw does not."""
        return self.page.evaluate(ROWS)

    def wait_for_rows(self, rows):
        """Return once the editor's rows are these."""
        self.wait(f"rows => JSON.stringify(({ROWS})()) === JSON.stringify(rows)", rows)

    def wait(self, condition, argument=None):
        """Return once a function in the page says true."""
        try:
            self.page.wait_for_function(condition, arg=argument)
        except PlaywrightTimeoutError:
            seen = {"rows": self.rows(), "drawn": self.drawn(), "status": self.reason()}
            raise AssertionError(f"not {argument}: {seen}\n{self._server.extension_log()}") from None

    def drawn(self):
        """What is drawn of a next edit: the new text, and the label where it is far away."""
        return self.page.evaluate(DRAWN)

    def wait_for_drawn(self, *texts):
        """Return once exactly this is drawn of a next edit."""
        self.wait(f"texts => JSON.stringify(({DRAWN})()) === JSON.stringify(texts)", list(texts))

    def ghost(self):
        """The grey text at the cursor."""
        return "".join(self.page.locator(".ghost-text-decoration:visible").all_inner_texts()).replace("\u00a0", " ")

    def wait_for_cursor(self, row, column):
        """Return once the cursor is at this row and column, from 1."""
        expect(self.page.locator("[id='status.editor.selection'] a")).to_have_text(
            f"Ln {row}, Col {column}", timeout=PATIENCE_SECONDS * MILLISECONDS
        )

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text):
        self.page.keyboard.type(text)

    def focus(self):
        self.page.locator(".editor-instance .view-lines").first.click()

    def go_to(self, row, column):
        """Put the cursor somewhere, with VS Code's own command."""
        self.press("Control+g")
        box = self.page.locator(".quick-input-widget input").first
        expect(box).to_be_focused()
        self.type(f"{row}:{column}")
        self.press("Enter")
        self.wait_for_cursor(row, column)

    def open(self, name):
        """Open another file of the folder."""
        self.press("Control+p")
        box = self.page.locator(".quick-input-widget input").first
        expect(box).to_be_focused()
        self.type(name)
        self.page.locator(".quick-input-list .monaco-list-row.focused", has_text=name).wait_for()
        self.press("Enter")
        self.wait_for_file(name)

    def wait_for_file(self, name):
        """Return once the file is the one that is edited."""
        self.page.locator(".tab.active", has_text=name).wait_for()

    def command(self, title):
        """Run a command from the palette."""
        self.press("F1")
        box = self.page.locator(".quick-input-widget input").first
        expect(box).to_be_focused()
        self.type(title)
        self.page.locator(".quick-input-list .monaco-list-row.focused", has_text=title).wait_for()
        self.press("Enter")

    def screenshot(self, file):
        self.page.screenshot(path=str(file))

    def close(self):
        self.page.close()


def start_browser():
    """Chromium and what drives it, to be closed in this order: ``browser.close()``, ``driver.stop()``."""
    driver = sync_playwright().start()
    return driver, driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
