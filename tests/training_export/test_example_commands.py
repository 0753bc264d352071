"""``foretype example`` as a person meets it, and the files it reads and writes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from daemon.command_line import run
from training_export.commands import COMMANDS, late_progress
from training_export.errors import ExamplesUnreadable
from training_export.example import Example
from training_export.example_format.files import Loaded, Rejected, markdown_name, read_examples, write_examples

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20.0
# A process started in the background of a shell inherits that Ctrl-C is ignored.
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from daemon.main import main\n"
    "raise SystemExit(main())"
)


def example(name="cart", **changes):
    return Example.new(
        **{
            "name": name,
            "repository_url": "https://example.org/ada/shop.git",
            "revision": "4be1c5d",
            "cursor_path": "cart.py",
            "cursor_position": "a = 1\nb = <|user_cursor|>a\n",
            "edit_history": "--- a/cart.py\n+++ b/cart.py\n@@ -1,1 +1,1 @@\n-a = 0\n+a = 1\n",
            "expected_patches": [
                "--- a/cart.py\n+++ b/cart.py\n@@ -1,2 +1,2 @@\n a = 1\n-b = a\n+b = 2<|user_cursor|>\n"
            ],
            **changes,
        }
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def foretype(capsys):
    """Run a command; gives exit code, standard output and standard error."""

    def call(*arguments):
        code = run(["example", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def put(path, *lines):
    path.write_bytes(b"".join(line if isinstance(line, bytes) else f"{line}\n".encode() for line in lines))
    return path.name


# Reading and writing files.


def test_a_torn_last_line_costs_only_itself(here):
    put(
        here / "a.jsonl",
        example("one").to_line(),
        "",
        example("two").to_line(),
        example("three").to_line()[:40].encode(),
    )
    one, two, torn = read_examples("a.jsonl")
    assert isinstance(one, Loaded)
    assert isinstance(two, Loaded)
    assert (one.line, two.line, two.example.name) == (1, 3, "two")
    assert isinstance(torn, Rejected)
    assert (torn.line, torn.reason.split(":")[0]) == (4, "torn")


def test_a_file_cut_anywhere_loses_only_the_line_that_was_cut(here):
    whole = "".join(f"{example(name, tags=['é']).to_line()}\n" for name in ("one", "two")).encode()
    first = whole.index(b"\n")
    for cut in range(len(whole)):
        (here / "a.jsonl").write_bytes(whole[:cut])
        found = list(read_examples("a.jsonl"))
        names = [item.example.name for item in found if isinstance(item, Loaded)]
        assert names == ["one", "two"][: (cut >= first) + (cut >= len(whole) - 1)]
        torn = [item for item in found if isinstance(item, Rejected)]
        assert len(torn) == (cut not in {0, first, first + 1, len(whole) - 1})
        assert all(item.reason.startswith("torn") and item.line == 1 + (cut > first) for item in torn)


def test_a_last_line_without_newline_counts(here):
    put(here / "a.jsonl", example().to_line().encode())
    (found,) = read_examples("a.jsonl")
    assert isinstance(found, Loaded)


def test_lines_end_at_lf_only_and_may_have_cr(here):
    line = '{"x":"\u2028\x85","repository_url":"","revision":"","cursor_path":"a","cursor_position":"<|user_cursor|>","edit_history":"","expected_patches":[]}'
    put(here / "a.jsonl", line, f"{line}\r\n".encode())
    assert [type(item) for item in read_examples("a.jsonl")] == [Loaded, Loaded]


def test_bytes_that_are_no_utf8_are_named(here):
    put(here / "a.jsonl", b'{"name":"\xff"}\n', example().to_line())
    bad, good = read_examples("a.jsonl")
    assert isinstance(bad, Rejected)
    assert str(bad) == "a.jsonl:1: not UTF-8: byte 9 is 0xff"
    assert isinstance(good, Loaded)


def test_an_empty_name_becomes_that_of_the_place(here, monkeypatch):
    nameless = example("")
    put(here / "moments.jsonl", nameless.to_line(), example("own").to_line(), nameless.to_line())
    put(here / "moment.json", json.dumps(nameless.value, indent=2))
    names = [item.example.name for item in read_examples("moments.jsonl") if isinstance(item, Loaded)]
    assert names == ["moments-0", "own", "moments-2"]
    (single,) = read_examples("moment.json")
    assert isinstance(single, Loaded)
    assert single.example == nameless.with_fields(name="moment")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{nameless.to_line()}\n".encode())))
    (piped,) = read_examples("-")
    assert isinstance(piped, Loaded)
    assert (piped.example.name, piped.source) == ("stdin-0", "standard input")


def test_a_file_of_another_kind_or_none_is_refused(here):
    for name, reason in (("a.txt", "must end in"), ("b.jsonl", "No such file"), ("c.md", "No such file")):
        with pytest.raises(ExamplesUnreadable, match=reason):
            list(read_examples(name))


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=4))
def test_written_files_are_read_back_equal(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("written") / "a.jsonl"
    examples = [example(name) for name in names]
    assert write_examples(path, examples) == len(examples)
    assert [item.example for item in read_examples(str(path)) if isinstance(item, Loaded)] == examples
    assert len(path.read_text().splitlines()) == len(examples)


def test_a_file_is_replaced_whole_or_not_at_all(here):
    path = here / "a.jsonl"
    write_examples(path, [example("before")])
    path.chmod(0o640)
    (here / "link.jsonl").symlink_to(path)

    def failing():
        yield example("after")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_examples(path, failing())
    assert [path.name for path in here.iterdir() if path.name not in {"a.jsonl", "link.jsonl"}] == []
    assert "before" in path.read_text()
    write_examples(here / "link.jsonl", [example("after")])
    assert (here / "link.jsonl").is_symlink()
    assert "after" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_markdown_name_stays_in_its_folder(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("names")
    path = folder / markdown_name(example(name))
    path.write_text("x")
    assert list(folder.iterdir()) == [path]


# foretype example show


def test_a_page_shows_where_the_cursor_is(here, foretype):
    put(here / "a.jsonl", example("one").to_line(), example("two", tags=["t"], rejected_patch="-no\n").to_line())
    code, out, err = foretype("show", "a.jsonl", "--name", "tw")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == ["two  a.jsonl:2", "https://example.org/ada/shop.git @ 4be1c5d", "tags: t"]
    assert "  a = 1" in lines
    assert "> b = \u2038a" in lines
    assert "-no" in lines
    assert "one" not in out


def test_a_page_never_steers_the_terminal(here, foretype):
    put(
        here / "a.jsonl",
        example(
            "x\x1b[2J", cursor_position="\x1b]0;x\x07[bold]<|user_cursor|>\u202e\n", edit_history="\x9b1m\n"
        ).to_line(),
    )
    _, out, _ = foretype("show", "a.jsonl")
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "\u241b]0;x\u2407[bold]\u2038" in out


def test_one_line_can_be_shown_and_printed_as_it_is(here, foretype):
    put(here / "a.jsonl", example("one").to_line(), example("two").with_fields(own={"b": 1.0}).to_line(), "torn")
    assert foretype("show", "a.jsonl", "--line", "2", "--json") == (
        0,
        f"{example('two').with_fields(own={'b': 1.0}).to_line()}\n",
        "",
    )
    code, out, err = foretype("show", "a.jsonl", "--json")
    assert (code, len(out.splitlines())) == (1, 2)
    assert err.startswith("a.jsonl:3: not JSON")
    code, out, err = foretype("show", "a.jsonl", "--line", "9")
    assert (code, out) == (1, "")
    assert "no example with line 9" in err


# foretype example convert


def test_markdown_and_jsonl_turn_into_each_other(here, foretype):
    examples = [example("a/b: c"), example("two", expected_patches=[])]
    put(here / "a.jsonl", *(item.to_line() for item in examples))
    assert foretype("convert", "a.jsonl", "-o", "pages")[0] == 0
    assert sorted(path.name for path in (here / "pages").iterdir()) == ["a-b--c.md", "two.md"]
    code, out, err = foretype("convert", "pages/a-b--c.md", "pages/two.md", "-o", "b.jsonl")
    assert (code, out, err) == (0, "", "2 examples written to b.jsonl\n")
    assert (here / "b.jsonl").read_bytes() == (here / "a.jsonl").read_bytes()
    assert foretype("convert", "b.jsonl", "-o", "-") == (0, (here / "a.jsonl").read_text(), "")
    assert foretype("convert", "pages/two.md", "-o", "two.json")[0] == 0
    assert foretype("convert", "two.json", "-o", "again.md")[0] == 0
    assert (here / "again.md").read_bytes() == (here / "pages" / "two.md").read_bytes()


def test_bad_lines_are_named_and_the_good_ones_written(here, foretype):
    put(here / "a.jsonl", example("one").to_line(), "{}", example("two").to_line())
    code, _, err = foretype("convert", "a.jsonl", "-o", "b.jsonl")
    assert code == 1
    assert "a.jsonl:2: repository_url: is missing (left out)" in err
    assert "2 examples written to b.jsonl, 1 left out" in err
    assert [item.example.name for item in read_examples("b.jsonl") if isinstance(item, Loaded)] == ["one", "two"]
    put(here / "c.jsonl", "{}")
    assert foretype("convert", "c.jsonl", "-o", "d.jsonl")[0] == 1
    assert not (here / "d.jsonl").exists()


def test_nothing_is_replaced_without_force(here, foretype):
    put(here / "a.jsonl", example("one").to_line())
    put(here / "b.jsonl", "mine")
    code, _, err = foretype("convert", "a.jsonl", "-o", "b.jsonl")
    assert (code, "--force" in err) == (2, True)
    assert (here / "b.jsonl").read_text() == "mine\n"
    (here / "pages").mkdir()
    put(here / "pages" / "one.md", "mine")
    code, _, err = foretype("convert", "a.jsonl", "-o", "pages")
    assert (code, "--force" in err) == (1, True)
    assert (here / "pages" / "one.md").read_text() == "mine\n"
    assert foretype("convert", "a.jsonl", "-o", "b.jsonl", "--force")[0] == 0
    assert foretype("convert", "a.jsonl", "-o", "pages", "--force")[0] == 0
    assert "mine" not in (here / "b.jsonl").read_text() + (here / "pages" / "one.md").read_text()


def test_two_examples_never_share_a_page(here, foretype):
    put(here / "a.jsonl", example("a:b").to_line(), example("A/b").to_line())
    code, _, err = foretype("convert", "a.jsonl", "-o", "pages", "--force")
    assert code == 1
    assert "a.jsonl:2: A-b.md is already written, from a.jsonl:1" in err
    assert [path.name for path in (here / "pages").iterdir()] == ["a-b.md"]


def test_what_markdown_cannot_carry_is_dropped_only_when_asked(here, foretype):
    full = example("one", reasoning="why", predictions=[{"actual_output": "x", "provider": "p"}], own=1)
    put(here / "a.jsonl", full.to_line())
    code, _, err = foretype("convert", "a.jsonl", "-o", "a.md")
    assert code == 1
    assert "Markdown has no place for reasoning, predictions, own; --drop-fields" in err
    assert not (here / "a.md").exists()
    code, _, err = foretype("convert", "a.jsonl", "-o", "a.md", "--drop-fields")
    assert code == 0
    assert "a.jsonl:1: dropped reasoning, predictions, own" in err
    assert "\nwhy\n" in (here / "a.md").read_text()
    code, _, err = foretype("convert", "a.md", "-o", "b.jsonl")
    assert (code, "a.md: not carried over: the section 'Reasoning'" in err) == (0, True)
    assert (here / "b.jsonl").read_text() == f"{example('one').to_line()}\n"


def test_reasoning_that_would_be_read_as_a_section_is_left_out_of_the_page(here, foretype):
    put(here / "a.jsonl", example("one", reasoning="    an indented block").to_line())
    assert foretype("convert", "a.jsonl", "-o", "a.md", "--drop-fields")[0] == 0
    assert "Reasoning" not in (here / "a.md").read_text()


def test_a_missing_final_newline_is_named_with_its_cure(here, foretype):
    put(here / "a.jsonl", example("one", rejected_patch="x").to_line())
    code, _, err = foretype("convert", "a.jsonl", "-o", "a.md")
    assert code == 1
    assert "a.jsonl:1: rejected_patch: has no newline at its end" in err
    assert "--add-newlines" in err
    code, _, err = foretype("convert", "a.jsonl", "-o", "a.md", "--add-newlines")
    assert (code, "added a newline to the end of rejected_patch" in err) == (0, True)


@pytest.mark.parametrize(
    ("output", "reason"),
    [("one.md", "can hold one example"), ("no/such.jsonl", "there is no folder"), ("file", "is a file"), ("d.md", "is a folder")],
)  # fmt: skip
def test_an_output_that_cannot_be_is_refused(here, foretype, output, reason):
    put(here / "file", "x")
    (here / "d.md").mkdir()
    put(here / "a.jsonl", example("one").to_line(), example("two").to_line())
    code, _, err = foretype("convert", "a.jsonl", "-o", output)
    assert code == 2
    assert reason in err


def test_ctrl_c_leaves_nothing_half_written(here):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "example", "convert", "-", "-o", "out.jsonl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    process.stdin.write(f"{example().to_line()}\n".encode() * 200)
    process.stdin.flush()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list(here.iterdir()):
        assert time.monotonic() < deadline, "the command never began to write"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode not in {0, None}
    assert b"Traceback" not in err
    assert not list(here.iterdir())


# foretype example check


def test_check_names_bad_lines_and_warnings_apart(here, foretype):
    put(
        here / "a.jsonl",
        example("one", expected_patches=["@@ -1 +1 @@\n-a\n+b\n"]).to_line(),
        '{"name": "x", "name": "y"}',
        example("one").to_line(),
    )
    code, out, err = foretype("check", "a.jsonl")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "a.jsonl:2: bad: the key 'name' occurs twice",
        "a.jsonl:1: warning: expected_patches[0]: is a change in at most 3 lines, which Zed takes for no edit: give it file headers",
        "a.jsonl:3: warning: name: is also that of a.jsonl:1",
        "a.jsonl: 2 examples, 1 bad line, 2 warnings",
    ]


def test_check_speaks_json(here, foretype):
    put(here / "a.jsonl", example("one").to_line(), "{}")
    put(here / "b.jsonl", example("two", edit_history="x\n").to_line())
    code, out, _ = foretype("check", "a.jsonl", "b.jsonl", "--json")
    assert code == 1
    found = json.loads(out)
    assert (found["example_count"], found["bad_count"], found["warning_count"]) == (2, 1, 1)
    assert found["files"][0]["bad"] == [{"line": 2, "field": "repository_url", "reason": "is missing"}]
    assert [item["field"] for item in found["files"][1]["warnings"]] == ["edit_history"]


def test_the_exit_code_says_how_it_went(here, foretype):
    put(here / "good.jsonl", example("one").to_line())
    put(here / "bad.jsonl", "{}")
    assert foretype("check", "good.jsonl")[0] == 0
    assert foretype("check", "bad.jsonl")[0] == 1
    code, out, err = foretype("check", "none.jsonl", "good.jsonl", "bad.jsonl")
    assert code == 2
    assert "none.jsonl: No such file" in err
    assert "good.jsonl: 1 example, 0 bad lines, 0 warnings" in out
    assert "all: 1 example, 1 bad line, 0 warnings" in out


# Around the commands.


def test_each_command_explains_itself_with_an_example(foretype):
    assert "example" in COMMANDS
    for name in ("show", "convert", "check"):
        code, out, _ = foretype(name, "--help")
        assert code == 0
        assert f"foretype example {name} " in out.split("For instance:")[1].replace("\n ", "")


def test_progress_waits_for_two_seconds_and_for_a_terminal(monkeypatch):
    for quiet_seconds, is_terminal, shows in ((0.0, True, True), (99.0, True, False), (0.0, False, False)):
        shown = io.StringIO()
        monkeypatch.setattr(late_progress, "QUIET_SECONDS", quiet_seconds)
        console = Console(file=shown, force_terminal=is_terminal)
        monkeypatch.setattr(late_progress, "Console", lambda console=console, **_options: console)
        with late_progress.late_progress("checking a.jsonl") as done:
            done(1234)
        assert ("checking a.jsonl: 1,234 examples" in shown.getvalue()) == shows
        assert shows or not shown.getvalue()
