"""A moment as a model and the pipeline see it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.positions import Position
from capture.inputs import PredictionInputs
from daemon.lsp.documents import Documents
from daemon.prompts.base import Prompt
from daemon.prompts.line_edits import LineEdits
from daemon.prompts.sections import estimate_tokens
from daemon.settings import Settings
from training_export.example import Example
from training_export.patches import NotSayable, patched_excerpt
from training_export.student.syntax.parsed import parse_text
from training_export.student.synthesis.asked import asked_at, asked_by_rule, asked_of_region, expected_excerpt
from training_export.student.synthesis.mixture import MAKERS, Maker
from training_export.student.synthesis.moment import Diagnosed, Moment, Place, Step, Surroundings, Task
from training_export.student.synthesis.playing import content_changes
from training_export.student.synthesis.quiet import quiet
from training_export.student.synthesis.rename import rename
from training_export.student.synthesis.trajectory import with_past

Moments = Callable[..., list[Moment]]
FORMAT = LineEdits()
LINES = st.lists(st.sampled_from(["", "a", "b = 1", "  é = '𝄞'", "}"]), max_size=9)


def moment(before: str, after: str, expected: str, path: str = "shop/a.py", **fields: object) -> Moment:
    row = next((row for row, line in enumerate(after.split("\n")) if line not in before.split("\n")), 0)
    step = Step(path, after, Place(row, len(after.split("\n")[row])))
    task = Task.QUIET if after == expected else Task.REPEAT
    return Moment(task, "test", "python", "shop", path, {path: before}, (step,), expected, **fields)  # type: ignore[arg-type]  # given by name


@given(LINES, LINES)
def test_the_changes_of_a_step_lead_from_text_to_text(old: list[str], new: list[str]) -> None:
    document = Document("\n".join(old))
    document.change(None, content_changes("\n".join(old), "\n".join(new)))
    assert document.text == "\n".join(new)


@pytest.mark.parametrize("maker", [rename, quiet])
def test_a_moment_shows_what_a_session_with_these_edits_would(
    maker: Maker, moments: Moments, language: str, surroundings: Surroundings
) -> None:
    """The daemon's own documents, told what an editor sends, as one edit after the other comes."""
    for found in moments(maker, language, count=8):
        longer = with_past(found, Random(3), surroundings, 4)
        assert as_in_a_session(longer) == longer.inputs()


def as_in_a_session(found: Moment) -> PredictionInputs:
    seconds = [0.0]
    documents = Documents(lambda: seconds[0])
    documents.set_folders(["file:///project"])
    texts = dict(found.texts)
    ids = {"py": "python", "js": "javascript", "ts": "typescript", "go": "go", "rs": "rust"}
    for path, text in texts.items():
        documents.open(f"file:///project/{path}", ids[path.rpartition(".")[2]], 0, text)
    for version, step in enumerate(found.steps, 1):
        seconds[0] += step.seconds
        documents.change(f"file:///project/{step.path}", version, list(content_changes(texts[step.path], step.text)))
        texts[step.path] = step.text
    document = documents.find(f"file:///project/{found.path}")
    assert document is not None
    line = found.current.split("\n")[found.cursor.row][: found.cursor.column]
    position = Position(found.cursor.row, len(line.encode("utf-16-le")) // 2)
    return documents.inputs(document, position, (), found.related, Settings())


def test_files_are_open_beside_each_other(surroundings: Surroundings) -> None:
    steps = (Step("b.py", "y = 2\n", Place(0, 5)), Step("a.py", "x = y\n", Place(0, 5)))
    found = Moment(Task.QUIET, "t", "python", "p", "a.py", {"a.py": "x = 1\n", "b.py": "y = 1\n"}, steps, "x = y\n")
    assert [(event.path, event.diff.split("\n")[1:3]) for event in found.inputs().events] == [
        ("b.py", ["-y = 1", "+y = 2"]),
        ("a.py", ["-x = 1", "+x = y"]),
    ]


def test_a_pause_splits_what_was_typed_in_one_place() -> None:
    steps = [Step("a.py", text, Place(0, len(text) - 1), seconds) for text, seconds in (("ab\n", 0.2), ("abc\n", 0.2))]
    found = Moment(Task.QUIET, "t", "python", "p", "a.py", {"a.py": "a\n"}, tuple(steps), "abc\n")
    assert len(found.inputs().events) == 1
    late = (steps[0], Step("a.py", "abc\n", Place(0, 3), 5.0))
    assert len(Moment(Task.QUIET, "t", "python", "p", "a.py", {"a.py": "a\n"}, late, "abc\n").inputs().events) == 2


def test_diagnostics_reach_the_model_as_the_daemon_would_give_them() -> None:
    text = "é = 1\n" + "pass\n" * 10 + "x = nmae\n"
    said = (Diagnosed(11, 4, 8, '"nmae" is not defined'), Diagnosed(0, 0, 1, "unused", 2))
    shown = moment("", text, text, diagnostics=said).inputs().active_buffer_diagnostics
    assert {(item.severity, item.message, item.snippet_buffer_row_range.start) for item in shown} == {
        (1, '"nmae" is not defined', 11),
        (2, "unused", 0),
    }


@pytest.mark.parametrize(
    "broken",
    [
        Moment(Task.QUIET, "t", "python", "p", "a.py", {"b.py": ""}, (), ""),
        Moment(Task.QUIET, "t", "python", "p", "a.py", {"a.py": "", "b.py": ""}, (Step("b.py", "x", Place(0, 1)),), ""),
        Moment(Task.QUIET, "t", "python", "p", "a.py", {"a.py": "x"}, (), "x", opened_at=Place(0, 2)),
        Moment(Task.QUIET, "t", "python", "p", "a.py", {"a.py": "x"}, (), "x", opened_at=Place(1, 0)),
    ],
    ids=["not open", "ends elsewhere", "behind the line", "below the text"],
)
def test_parts_that_do_not_fit_are_refused(broken: Moment) -> None:
    with pytest.raises(ValueError, match=r"a\.py|cursor"):
        broken.inputs()


def test_an_example_says_what_was_asked_and_where_it_is_from() -> None:
    found = moment("a = 1\nb = a\n", "c = 1\nb = a\n", "c = 1\nb = c\n")
    example = Example.from_line(found.example(7).to_line())
    assert example.tags == ("synthetic", "repeat", "python")
    assert example.cursor_position == "c = 1<|user_cursor|>\nb = a\n"
    assert example.edit_history.startswith("--- a/shop/a.py\n+++ b/shop/a.py\n@@")
    assert example.prompt_inputs == found.inputs()
    assert patched_excerpt(found.inputs(), example.expected_patches[0]) == "c = 1\nb = c\n"
    assert example.value["foretype"]["synthesis"] == {
        "task": "repeat", "kind": "test", "language": "python", "project": "shop", "path": "shop/a.py", "seed": 7,
        "is_quiet": False, "rule_is_right": True,
    }  # fmt: skip


def test_where_nothing_should_change_the_patch_is_empty() -> None:
    assert moment("a\n", "b\n", "b\n").example(1).expected_patches == ("",)


def test_an_edit_that_reads_as_a_file_header_is_refused() -> None:
    with pytest.raises(NotSayable):
        moment("", "a\n-- b\nc\n", "a\nc\n").example(1)


def test_a_text_with_the_mark_of_a_cursor_in_it_is_refused() -> None:
    with pytest.raises(NotSayable, match="user_cursor"):
        moment("a = 1\n", "MARK = '<|user_cursor|>'\na = 1\n", "MARK = '<|user_cursor|>'\na = 2\n").example(1)


def every_maker() -> list[Maker]:
    return [maker for makers in MAKERS.values() for maker, _ in makers]


@pytest.mark.parametrize("maker", every_maker(), ids=lambda maker: maker.__name__)
def test_what_the_example_says_follows_from_the_moment(maker: Maker, moments: Moments) -> None:
    tried = [moments(maker, language, count=6, may_be_none=True) for language in ("python", "typescript", "go", "rust")]
    if not any(tried):
        pytest.skip("these files offer none")
    for found in chain.from_iterable(tried):
        assert found.is_quiet is (found.task is Task.QUIET)
        inputs = found.inputs()
        expected = expected_excerpt(found, inputs)
        assert expected == found.expected, "these files are shown whole"
        asked = asked_at(inputs, expected)
        if asked is None:
            continue
        example = found.example(1)
        assert patched_excerpt(inputs, example.expected_patches[0]) == expected
        prompt = FORMAT.render(inputs, estimate_tokens)
        assert isinstance(prompt, Prompt)
        of_patch = asked_of_region(inputs, prompt.region, example.expected_patches[0])
        assert of_patch is not None
        assert (asked.region, asked.old, asked.new) == (prompt.region, prompt.region_text, of_patch.text)
        by_rule = asked_by_rule(inputs, prompt.region)
        assert example.value["foretype"]["synthesis"]["rule_is_right"] is (by_rule == of_patch.text)


@pytest.mark.parametrize("task", MAKERS)
def test_what_is_expected_parses_where_the_file_did(task: Task, moments: Moments, language: str) -> None:
    """Nobody is asked for an edit that breaks the syntax of a file in which all is done."""
    if task in (Task.QUIET, Task.FINISH_LINE, Task.FINISH_BLOCK):
        pytest.skip("what is not finished need not parse")
    for one in moments(MAKERS[task][0][0], language, count=12, may_be_none=True):
        assert parse_text(one.language, one.project, one.path, one.expected) is not None, one


def test_in_a_large_file_the_excerpt_s_part_of_what_comes_next_is_expected() -> None:
    rows = [f"value_{number} = total  # {'x' * 60}" for number in range(1200)]
    before = "\n".join(rows)
    after = "\n".join(["value_600 = amount" if number == 600 else row for number, row in enumerate(rows)])
    found = moment(before, after, before.replace("total", "amount"))
    inputs = found.inputs()
    assert 0 < inputs.cursor_excerpt.count("\n") < 800
    patched = patched_excerpt(inputs, found.example(1).expected_patches[0])
    assert "total" not in patched
    assert patched.count("amount") == inputs.cursor_excerpt.count("\n") + 1


def test_a_change_over_the_region_s_edge_is_asked_as_far_as_lines_go_one_by_one() -> None:
    rows = [f"v{number} = total" for number in range(80)]
    before = "\n".join(rows)
    after = before.replace("v40 = total", "v40 = amount")
    found = moment(before, after, before.replace("total", "amount"))
    asked = asked_at(found.inputs(), found.expected)
    assert asked is not None
    assert asked.new == asked.old.replace("total", "amount")
    inserted = moment(before, after, after.replace("v39 = total", "\n".join(rows[:60])))
    shorter = asked_at(inserted.inputs(), inserted.expected)
    assert shorter is not None
    assert shorter.new.startswith(shorter.old.split("\n", maxsplit=1)[0])
    replaced_from_above = moment(before, after, "\n".join([*rows[:10], "new", *after.split("\n")[41:]]))
    assert asked_at(replaced_from_above.inputs(), replaced_from_above.expected) is None
