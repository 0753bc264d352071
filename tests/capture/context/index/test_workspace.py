"""The index of a workspace without its process: what a question brings, and what memory and text limits do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capture.context.index.answers import MAX_ANSWER_BYTES, MAX_TEXT_BYTES, MAX_TEXT_ROWS
from capture.context.index.messages import IndexLimits
from capture.context.index.open_texts import OpenTexts
from capture.context.index.symbols import Tagger
from capture.context.index.walk import WorkspaceFiles
from capture.context.index.workspace import WorkspaceIndex
from capture.gate.exclude import PathGate
from capture.parsing import TakesTooLong


class Opened:
    """An index of ``root`` that has no work left."""

    def __init__(self, root: Path, **limits: int) -> None:
        self.root = root
        self.folders: list[tuple[str, ...]] = []
        bounds = IndexLimits(**limits)
        self.index = WorkspaceIndex(WorkspaceFiles(str(root), PathGate(), bounds), bounds, self.folders.append)
        self.work()

    def work(self) -> None:
        while self.index.has_work:
            self.index.work()

    def find(self, *names: str, asking: str = "asking.py") -> dict[str, list[tuple[str, int, str]]]:
        answer = self.index.find(str(self.root / asking), names)
        return {
            name: [(os.path.relpath(path, self.root), row, text) for path, row, text, _ in hits]
            for name, hits in answer.items()
        }


@pytest.fixture
def opened(write):
    return lambda texts, **limits: Opened(write(texts), **limits)


def test_an_answer_has_whole_rows_with_plain_line_ends(opened):
    one = opened({"a.py": "x = 1\r\ndef area(side):\r\n    return side\r\n", "b.py": "def last():\n    return 2"})
    assert one.find("area", "last", "nothing") == {
        "area": [("a.py", 1, "def area(side):\n    return side\n")],
        "last": [("b.py", 0, "def last():\n    return 2\n")],
    }


def test_long_items_give_their_beginning_in_whole_rows(opened):
    rows = [f"    value_{row:04} = 'ä'" for row in range(300)]
    one = opened(
        {"a.py": "def many():\n" + "\n".join(rows) + "\n", "b.py": "def wide():\n" + f"    '{'w' * 3000}'\n" * 3}
    )
    ((_, _, many),), ((_, _, wide),) = one.find("many", "wide").values()
    assert many == "def many():\n" + "".join(row + "\n" for row in rows[: MAX_TEXT_ROWS - 1])
    assert wide.count("\n") == 2
    assert len(wide) <= MAX_TEXT_BYTES


def test_an_item_whose_first_row_is_too_long_gives_nothing(opened):
    assert opened({"a.py": f"data = '{'w' * MAX_TEXT_BYTES}'\n"}).find("data") == {}


def test_an_answer_is_bounded_and_the_likeliest_of_each_name_comes_first(opened):
    body = "".join(f"    '{'w' * 60}'\n" for _ in range(58))
    names = [f"item_{number}" for number in range(12)]
    text = "".join(f"def {name}():\n{body}" for name in names)
    one = opened({"a.py": text, "b.py": text})
    found = one.find(*names)
    assert list(found) == names
    assert sum(len(text) for hits in found.values() for _, _, text in hits) <= MAX_ANSWER_BYTES
    assert [path for path, _, _ in found["item_0"]] == ["a.py", "b.py"]
    assert [path for path, _, _ in found["item_11"]] == ["a.py"]


def test_a_file_that_changed_unheard_gives_nothing_until_it_is_read_again(opened):
    one = opened({"a.py": "def area():\n    return 1\n"})
    (one.root / "a.py").write_text("# moved\n\ndef area():\n    return 22\n")
    assert one.find("area") == {}
    one.work()
    assert one.find("area") == {"area": [("a.py", 2, "def area():\n    return 22\n")]}


def test_an_open_text_counts_at_once_and_the_disk_again_when_it_is_closed(opened):
    one = opened({"a.py": "def area():\n    return 1\n"})
    path = str(one.root / "a.py")
    one.index.open_text(path, "# new\ndef area():\n    return 2\ndef more(): pass\n")
    assert one.find("area", "more") == {
        "area": [("a.py", 1, "def area():\n    return 2\n")],
        "more": [("a.py", 3, "def more(): pass\n")],
    }
    (one.root / "a.py").write_text("def area():\n    return 3\n")
    one.index.note_changes([path])
    one.work()
    assert one.find("area")["area"][0][2] == "def area():\n    return 2\n"
    one.index.close_text(path)
    assert one.find("area", "more") == {"area": [("a.py", 0, "def area():\n    return 3\n")]}


def test_an_unsaved_document_is_found_until_it_is_closed(opened):
    one = opened({})
    one.index.open_text(str(one.root / "new" / "a.py"), "def fresh(): pass\n")
    assert list(one.find("fresh")) == ["fresh"]
    one.index.rescan()
    one.work()
    assert list(one.find("fresh")) == ["fresh"]
    one.index.close_text(str(one.root / "new" / "a.py"))
    assert one.find("fresh") == {}


@pytest.mark.parametrize("name", ["ignored.py", ".env.py", "../outside.py", "node_modules/a.js", "notes.md"])
def test_an_open_text_that_may_not_be_context_is_not_indexed(opened, name):
    one = opened({".gitignore": "ignored.py\n"})
    one.index.open_text(str(one.root / name), "def hidden(): pass\nfunction hidden() {}\n")
    assert one.find("hidden", asking=name) == {}
    assert one.index.progress().files_total == 0


def test_a_rule_that_is_new_takes_an_open_document_out(opened):
    one = opened({"a.py": "def area(): pass\n"})
    one.index.open_text(str(one.root / "a.py"), "def area(): pass\n")
    (one.root / ".gitignore").write_text("a.py\n")
    one.index.note_changes([str(one.root / ".gitignore")])
    one.work()
    assert one.find("area") == {}


def test_files_that_are_no_text_or_too_large_define_nothing(opened):
    one = opened(
        {"binary.py": b"\xff\xfe = 1\n", "large.py": "def large(): pass\n" * 100, "good.py": "def good(): pass\n"},
        file_bytes=1000,
    )
    assert list(one.find("large", "good")) == ["good"]
    one.index.open_text(str(one.root / "good.py"), "def good(): pass\n" * 100)
    assert one.find("good") == {}


def test_a_file_that_takes_too_long_is_left_out_and_a_note_says_so(opened):
    one = opened({"a.py": "(" * 100_000, "b.py": "def good(): pass\n"})
    assert list(one.find("good")) == ["good"]
    assert any("too long" in note for note in one.index.progress().notes)


def test_what_takes_too_long_is_counted_until_it_is_mended_or_gone(opened):
    endless = "a<b(" * 50_000  # as a script for the shell: minutes
    one = opened({"a.sh": endless, "b.sh": endless, "c.sh": "good() { echo; }\n"})
    progress = one.index.progress()
    assert (progress.files_given_up, progress.files_done, progress.is_ready) == (2, 3, True)
    assert "2 files take too long to parse and so define nothing" in progress.notes
    assert list(one.find("good", asking="a.sh")) == ["good"]
    one.index.open_text(str(one.root / "a.sh"), "mended() { echo; }\n")
    assert one.index.progress().files_given_up == 2  # the first state after one that was too long is left out
    one.index.open_text(str(one.root / "a.sh"), "mended() { echo 1; }\n")
    assert list(one.find("mended", asking="c.sh")) == ["mended"]
    (one.root / "b.sh").unlink()
    one.index.note_changes([str(one.root / "b.sh")])
    one.work()
    assert one.index.progress().files_given_up == 0


def test_an_open_text_that_stays_too_long_is_tried_ever_more_rarely(opened, monkeypatch):
    tried = 0

    def symbols(_tagger, _source):
        nonlocal tried
        tried += 1
        raise TakesTooLong

    one = opened({"a.py": "x = 1\n"})
    with monkeypatch.context() as patched:
        patched.setattr(Tagger, "symbols", symbols)
        for state in range(200):
            one.index.open_text(str(one.root / "a.py"), f"{'(' * state}\n")
    assert tried == 8
    one.index.close_text(str(one.root / "a.py"))  # the disk has another text
    assert list(one.find("x")) == ["x"]


def test_only_so_many_files_are_indexed_and_a_note_says_so(opened):
    one = opened({f"{name}.py": f"def in_{name}(): pass\n" for name in "abcd"}, files=3)
    progress = one.index.progress()
    assert (progress.files_done, progress.files_total, progress.is_ready) == (3, 3, True)
    assert any("first 3 files" in note for note in progress.notes)
    assert list(one.find("in_a", "in_d")) == ["in_a"]


def test_a_full_table_keeps_its_bound_takes_in_what_is_touched_and_says_so(opened):
    files = {f"{number:03}.py": f"def name_{number}(): pass\n" for number in range(100)}
    one = opened(files, table_bytes=50_000)
    assert one.index.progress().table_bytes <= 50_000
    assert any("left out" in note for note in one.index.progress().notes)
    assert one.find("name_99") == {}
    one.index.open_text(str(one.root / "099.py"), "def name_99(): pass\n")
    assert list(one.find("name_99")) == ["name_99"]
    assert one.index.progress().table_bytes <= 50_000


def test_the_folders_to_watch_are_told_when_they_change_and_not_else(opened):
    one = opened({"a/a.py": "", "node_modules/x.js": ""})
    assert [set(folders) for folders in one.folders] == [{str(one.root), str(one.root / "a")}]
    one.index.rescan()
    one.work()
    assert len(one.folders) == 1
    (one.root / "b").mkdir()
    one.index.note_changes([str(one.root / "b")])
    one.work()
    assert set(one.folders[-1]) == {str(one.root), str(one.root / "a"), str(one.root / "b")}
    one.index.rescan(watch_anew=True)
    one.work()
    assert len(one.folders) == 3


def test_open_texts_keep_their_bound_by_giving_up_the_longest_unchanged():
    texts = OpenTexts(10)
    assert texts.put("a", b"12345") == ()
    assert texts.put("b", b"12345") == ()
    assert texts.put("a", b"1234") == ()
    assert texts.put("c", b"12345") == ("b",)
    assert (texts.text("a"), texts.text("b"), texts.text("c")) == (b"1234", None, b"12345")
    assert "b" in texts
    assert texts.put("d", b"12345678901") == ("a", "c", "d")
    texts.remove("d")
    assert texts.paths == ("b", "a", "c")
