"""``foretype predict``: what it prints, and how it refuses."""

from __future__ import annotations

import difflib
import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.command_line import run
from daemon.engine.messages import ModelInfo
from daemon.engine.scripted import ScriptedEngine, replacing

TEXT = """def total_of(items):
    total = 0
    for item in items:
        result += item.price
    return result
"""
HISTORY = """--- a/shop.py
+++ b/shop.py
@@ -1,4 +1,4 @@
 def total_of(items):
-    result = 0
+    total = 0
     for item in items:
         result += item.price
"""


@pytest.fixture
def shop(world):
    (world.project / "shop.py").write_text(TEXT)
    (world.project / "rename.patch").write_text(HISTORY)
    return world


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the shop, and settings of its own, for a command run in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORETYPE_CONFIG", str(tmp_path / "settings.toml"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "shop.py").write_text(TEXT)
    return tmp_path


def test_a_rename_in_the_history_is_propagated(shop):
    made = shop.foretype("predict", "shop.py:2:10", "--history", "rename.patch")
    assert made.returncode == 0, made.stderr
    changed = [line for line in made.stdout.split("\n") if line[:1] in ("-", "+") and line[1:2] == " "]
    assert "-        result += item.price" in changed
    assert [line[1:].replace("result", "total") for line in changed if line[0] == "-"] == [
        line[1:] for line in changed if line[0] == "+"
    ]


def test_a_rename_is_propagated_in_a_file_of_the_standard_library(world):
    """The parameter of `shlex._print_tokens` was just renamed where it is declared."""
    before = Path(shlex.__file__).read_text(encoding="utf-8")
    after = before.replace("def _print_tokens(lexer):", "def _print_tokens(lexer_text):")
    (world.project / "shlex.py").write_text(after)
    patch = difflib.unified_diff(before.splitlines(True), after.splitlines(True), "a/shlex.py", "b/shlex.py", n=3)
    (world.project / "rename.patch").write_text("".join(patch))
    row = next(number for number, line in enumerate(after.split("\n"), 1) if line.startswith("def _print_tokens("))
    column = len("def _print_tokens(lexer_text") + 1
    made = world.foretype("predict", f"shlex.py:{row}:{column}", "--history", "rename.patch")

    assert made.returncode == 0, made.stderr
    removed = [line for line in made.stdout.split("\n") if line.startswith("-") and "lexer" in line]
    added = [line for line in made.stdout.split("\n") if line.startswith("+") and "lexer_text" in line]
    assert removed
    assert [line[1:].replace("lexer", "lexer_text") for line in removed] == [line[1:] for line in added]


class ScriptedClient(ScriptedEngine):
    """Stands where the engine's worker would, and knows the rename."""

    def __init__(self, settings, **_options):
        super().__init__(replacing("result += item", "total += item"))
        self.path = settings.path

    async def ready(self):
        return ModelInfo(self.path, "scripted", "none", "line_edits", 0, 0, 0, 0, "none", 0)


@pytest.fixture
def scripted(here, monkeypatch):
    monkeypatch.setattr("daemon.commands.predict.EngineClient", ScriptedClient)
    (here / "rename.patch").write_text(HISTORY)
    return here


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_json_holds_lsp_edits_that_lead_to_the_text_after(scripted, capsys, line_end):
    text = "# 😀\n".replace("\n", line_end) + TEXT.replace("\n", line_end)
    (scripted / "shop.py").write_bytes(text.encode())
    assert run(["predict", "shop.py:3:10", "--history", "rename.patch", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    lines = text.split(line_end)
    (edit,) = report["edits"]
    start, end = edit["range"]["start"], edit["range"]["end"]
    before = line_end.join([*lines[: start["line"]], lines[start["line"]][: start["character"]]])
    after = line_end.join([lines[end["line"]][end["character"] :], *lines[end["line"] + 1 :]])
    assert before + edit["newText"] + after == report["text_after"]
    assert report["text_after"] == text.replace("result += item", "total += item")
    assert set(report) == {"edits", "text_after", "counters", "latency_ms", "model", "confidence", "origin", "reason"}
    assert set(report["counters"]) >= {"prompt_tokens", "tokens_evaluated", "tokens_reused", "forward_passes"}
    assert report["model"]["name"] == "scripted"
    assert report["reason"] == ""


@pytest.mark.skipif(not shutil.which("patch"), reason="needs the program patch")
def test_the_diff_can_be_applied_with_patch(scripted, capsys):
    assert run(["predict", "shop.py:2:10", "--history", "rename.patch"]) == 0
    diff = capsys.readouterr().out
    subprocess.run(["patch", "-p1"], input=diff, text=True, cwd=scripted, check=True)
    assert (scripted / "shop.py").read_text() == TEXT.replace("result += item", "total += item")


def test_no_edit_is_no_failure_and_the_reason_goes_to_standard_error(shop):
    shop.write_settings("min_confidence = 1\n")
    made = shop.foretype("predict", "shop.py:2:10", "--history", "rename.patch")
    assert made.returncode == 0
    assert made.stdout == ""
    assert "no edit: " in made.stderr


def test_no_process_is_left_behind(shop):
    shop.foretype("predict", "shop.py:1:1")
    assert shop.processes() == []


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("shop.py",), "FILE:LINE:COL", 2),
        (("shop.py:1",), "FILE:LINE:COL", 2),
        (("shop.py:0:1",), "from 1", 2),
        (("shop.py:one:1",), "FILE:LINE:COL", 2),
        (("shop.py:99:1",), "has 6 lines", 2),
        (("shop.py:1:99",), "ends at column 21", 2),
        (("none.py:1:1",), "cannot read", 2),
        (("shop.py:1:1", "--history", "none.patch"), "cannot read", 2),
        (("shop.py:1:1", "--history", "shop.py"), "unified diff", 2),
        (("shop.py:1:1", "--model", "nothing"), "no model is called 'nothing'", 1),
        (("shop.py:1:1", "--model", "shop.py.gguf"), "does not exist", 1),
        (("shop.py:1:1", "--model", "./shop.py"), "not a GGUF file", 1),
    ],
)
def test_what_is_wrong_is_said_in_one_line(here, capsys, arguments, said, code):
    assert run(["predict", *arguments]) == code
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") <= 2  # the message, and the spinner's line where a model was asked
    assert printed.out == ""


def test_columns_count_in_utf16_units(here, capsys):
    (here / "wide.py").write_text('name = "😀"\n')
    assert run(["predict", "wide.py:1:13"]) == 2
    assert "ends at column 12" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (".env", b"TOKEN=1\n", "secret-file pattern"),
        ("made.gen.py", b"a = 1\n", "exclude pattern"),
        ("binary.py", b"a = 1\0\n", "NUL"),
        ("long.py", b"a" * 10_001, "more than 10000 characters"),
    ],
)
def test_what_is_excluded_is_shown_to_no_model(here, capsys, name, content, reason):
    (here / "settings.toml").write_text('exclude = ["*.gen.py"]\n')
    (here / name).write_bytes(content)
    assert run(["predict", f"{name}:1:1", "--json"]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["edits"] == []
    assert report["text_after"] == content.decode()
    assert report["model"] is None
    assert reason in report["reason"]
    assert f"no edit: {report['reason']}" in printed.err
