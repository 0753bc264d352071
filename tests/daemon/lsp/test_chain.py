"""One edit after the other: elsewhere in the document and in others, as a whole, and a part at a time."""

from __future__ import annotations

import pytest

from daemon.engine.scripted import ScriptedEngine
from tests.daemon.lsp.conftest import URI, where

OTHER = "file:///home/ada/project/other.py"
FAR_ROW, FARTHER_ROW = 900, 1800  # more rows away than a model sees at once
ANYWHERE = {"capabilities": {"experimental": {"foretype": {"otherFiles": True}}}}
TOGETHER = {"capabilities": {"experimental": {"foretype": {"severalEdits": True}}}}


def renaming_at_the_cursor(inputs):
    """Renames ``cost`` to ``price`` in the cursor's row, and does nothing else."""
    lines = inputs.cursor_excerpt.split("\n")
    row = inputs.excerpt_bytes[: inputs.cursor_offset_in_excerpt].count(b"\n")
    renamed = lines[row].replace("cost", "price")
    return None if renamed == lines[row] else "\n".join([*lines[:row], renamed, *lines[row + 1 :]])


@pytest.fixture
def engine():
    return ScriptedEngine(renaming_at_the_cursor)


def long_text(*used_in, first="def cost(a):"):
    rows = [first, "    return a", *["#" * 70] * 2_000]
    for row in used_in:
        rows[row] = f"x{row} = cost({row})"
    return "\n".join(rows)


def rename(editor, version=2):
    """The name in the first row is replaced; the cursor is behind it."""
    editor.change(version, {"range": where(0, 4, 8), "text": "price"})


async def accept(editor, edit, version):
    editor.change(version, {"range": edit["range"], "text": edit["text"]}, uri=edit["textDocument"]["uri"])
    await editor.request("workspace/executeCommand", edit["command"])


async def test_where_there_is_nothing_at_the_cursor_the_other_uses_of_a_renamed_name_follow(window):
    editor = await window()
    editor.open(long_text(FAR_ROW, FARTHER_ROW))
    rename(editor)
    [edit] = await editor.inline_edits(0, 9, version=2)
    assert (edit["range"]["start"]["line"], edit["text"], edit["place"]) == (FAR_ROW, "price", "other occurrence")
    await accept(editor, edit, 3)
    [edit] = await editor.inline_edits(FAR_ROW, 13, version=3)
    assert (edit["range"]["start"]["line"], edit["text"], edit["place"]) == (FARTHER_ROW, "price", "other occurrence")
    await accept(editor, edit, 4)
    assert await editor.inline_edits(FARTHER_ROW, 13, version=4) == []
    assert editor.status["counts"]["accepted"] == 2


async def test_after_an_accept_the_next_edit_is_there_without_the_model(window, engine):
    editor = await window()
    editor.open(long_text(FAR_ROW, FARTHER_ROW))
    rename(editor)
    [edit] = await editor.inline_edits(0, 9, version=2)
    await engine.begun(4)  # at the cursor and there; and, as if accepted, there and at the next use
    await editor.alive()
    await accept(editor, edit, 3)
    [edit] = await editor.inline_edits(FAR_ROW, 13, version=3)
    assert edit["range"]["start"]["line"] == FARTHER_ROW
    assert (await editor.request("foretype/status", {}))["source"] == "ahead"


async def test_only_clients_that_can_show_it_get_an_edit_of_another_open_file(window):
    plain, able = await window(), await window(**ANYWHERE)
    for editor in (plain, able):
        editor.open("def cost(a):\n    return a\n")
        editor.open("from main import cost\n", uri=OTHER, version=7)
        rename(editor)
    assert await plain.inline_edits(0, 9, version=2) == []
    [edit] = await able.inline_edits(0, 9, version=2)
    assert edit["textDocument"] == {"uri": OTHER, "version": 7}
    assert (edit["range"], edit["text"]) == (where(0, 17, 21), "price")
    await accept(able, edit, 8)
    assert await able.inline_edits(0, 22, version=8, uri=OTHER) == []


async def test_an_excluded_file_is_never_led_to(window, engine):
    editor = await window(**ANYWHERE)
    editor.open("def cost(a):\n    return a\n")
    editor.open("cost = 1\n", uri="file:///home/ada/project/.env.py")
    rename(editor)
    assert await editor.inline_edits(0, 9, version=2) == []
    assert {inputs.cursor_path for inputs in engine.asked} == {"main.py"}


async def test_an_error_that_somebody_reported_is_led_to(window):
    editor = await window()
    editor.open(long_text(FAR_ROW, first="def f(a):"))
    diagnostics = [{"range": where(FAR_ROW, 8, 12), "message": "unknown name", "severity": 1}]
    editor.notify("foretype/didChangeDiagnostics", {"uri": URI, "diagnostics": diagnostics})
    editor.change(2, {"range": where(1, 12), "text": " + 1"})
    [edit] = await editor.inline_edits(1, 16, version=2)
    assert (edit["range"]["start"]["line"], edit["place"]) == (FAR_ROW, "diagnostic")


async def test_uses_of_a_function_whose_head_was_changed_are_led_to(window):
    editor = await window()
    editor.open(long_text(FAR_ROW, first="def x900(a):"))
    editor.change(2, {"range": where(0, 10), "text": ", b"})
    [edit] = await editor.inline_edits(0, 13, version=2)
    assert (edit["range"]["start"]["line"], edit["place"]) == (FAR_ROW, "changed definition")


async def test_who_changed_nothing_or_just_said_no_is_not_led_away(window):
    editor = await window()
    editor.open(long_text(FAR_ROW, FARTHER_ROW))
    assert await editor.inline_edits(1, 2) == []
    rename(editor)
    [edit] = await editor.inline_edits(0, 9, version=2)
    await editor.request("workspace/executeCommand", {**edit["command"], "command": "foretype.didReject"})
    assert await editor.inline_edits(0, 9, version=2) == []


async def test_who_takes_an_accepted_edit_back_is_not_offered_it_again(window):
    editor = await window()
    editor.open("a = cost\n")
    [edit] = await editor.inline_edits(0, 8)
    await accept(editor, edit, 2)
    editor.change(3, {"range": where(0, 4, 9), "text": "cost"})
    assert await editor.inline_edits(0, 8, version=3) == []
    assert "takes back what was just typed" in editor.status["reason"]


async def test_typing_ends_the_search_in_another_file(window, engine):
    editor = await window(**ANYWHERE)
    editor.open("def cost(a):\n    return a\n")
    editor.open("from main import cost\n", uri=OTHER)
    rename(editor)
    [_] = await editor.inline_edits(0, 9, version=2)
    engine.hold()
    editor.change(3, {"range": where(0, 9), "text": "s"})
    asked = editor.ask_inline_edit(0, 10, version=3)
    await engine.begun(len(engine.asked) + 1)
    editor.change(4, {"range": where(0, 10), "text": "x"})
    assert (await editor.answer(asked))["edits"] == []
    engine.release()


async def test_all_edits_of_an_answer_come_together_where_the_client_applies_them_so(window, engine):
    engine.script = lambda inputs: inputs.cursor_excerpt.replace("cost", "price")
    editor = await window(**TOGETHER)
    editor.open("cost\n\n\n\n\ncost\n\n\n\n\n🦊 cost\n")
    edits = await editor.inline_edits(5, 0)
    assert [edit["range"] for edit in edits] == [where(5, 0, 4), where(0, 0, 4), where(10, 3, 7)]
    assert {edit["command"]["arguments"][0] for edit in edits} == {edits[0]["command"]["arguments"][0]}
    in_reverse = sorted(edits, key=lambda edit: -edit["range"]["start"]["line"])
    editor.change(2, *({"range": edit["range"], "text": edit["text"]} for edit in in_reverse))
    await editor.alive()
    assert editor.status["counts"]["accepted"] == 1


@pytest.mark.parametrize("unit", ["word", "line"])
async def test_an_edit_is_accepted_part_by_part_without_the_model(window, engine, unit):
    engine.script = lambda inputs: "x = price(1)\ny = price(2)\n" if "cost" in inputs.cursor_excerpt else None
    editor = await window()
    editor.open("x = cost(1)\ny = cost(2)\n")
    texts, version, row, column = [], 1, 0, 4
    while edits := await editor.inline_edits(row, column, version=version):
        prediction_id = edits[0]["command"]["arguments"][0]
        part = (await editor.request("foretype/part", {"id": prediction_id, "unit": unit}))["edits"][0]
        version += 1
        editor.change(version, {"range": part["range"], "text": part["text"]})
        row, column = part["range"]["start"]["line"], part["range"]["start"]["character"] + len(part["text"])
        await editor.alive()
        texts.append(next(iter(editor.services.status.snapshot()["sessions"].values()))["counts"]["accepted"])
    assert texts == [0, 1]
    assert len(engine.asked) <= 3


async def test_a_part_of_what_is_not_shown_any_more_is_nothing(window):
    editor = await window()
    editor.open("a = cost\n")
    [edit] = await editor.inline_edits(0, 8)
    prediction_id = edit["command"]["arguments"][0]
    editor.change(2, {"range": where(0, 0), "text": "# "})
    assert (await editor.request("foretype/part", {"id": prediction_id, "unit": "word"})) == {"edits": []}
    assert (await editor.request("foretype/part", {"id": "unknown", "unit": "line"})) == {"edits": []}
