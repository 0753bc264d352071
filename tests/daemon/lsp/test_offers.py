"""What became of a prediction: told by the editor, or seen in the text."""

from __future__ import annotations

import pytest

URI = "file:///home/ada/project/main.py"


def at(line, start, end=None):
    end = start if end is None else end
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}


def counts(editor):
    counted = editor.status["counts"]
    return counted["shown"], counted["accepted"], counted["rejected"]


@pytest.fixture
async def offered(editor):
    """``old_name`` is open and its rename was offered."""
    editor.open("x = old_name + 1\n")
    [editor.edit] = await editor.inline_edits(0, 4)
    return editor


def apply(editor, version=2):
    editor.change(version, {"range": editor.edit["range"], "text": editor.edit["text"]})


async def test_a_client_that_tells_before_it_applies_is_counted_once(offered):
    offered.notify("workspace/executeCommand", offered.edit["command"])
    apply(offered)
    await offered.alive()
    assert counts(offered) == (1, 1, 0)


async def test_a_client_that_tells_after_it_applied_is_counted_once(offered):
    apply(offered)
    await offered.request("workspace/executeCommand", offered.edit["command"])
    assert counts(offered) == (1, 1, 0)


@pytest.mark.parametrize("first", ["tell", "apply"])
async def test_an_accepted_prediction_is_marked_in_the_history_the_model_sees(offered, engine, first):
    if first == "tell":
        offered.notify("workspace/executeCommand", offered.edit["command"])
        apply(offered)
    else:
        apply(offered)
        offered.notify("workspace/executeCommand", offered.edit["command"])
    offered.change(3, {"range": at(0, 0), "text": "y"})
    await offered.inline_edits(0, 1, version=3)
    assert [event.predicted for event in engine.asked[-1].events] == [True, False]


async def test_acceptance_is_seen_in_the_text_when_nobody_tells(offered):
    apply(offered)
    await offered.alive()
    assert counts(offered) == (1, 1, 0)


async def test_acceptance_is_seen_when_the_client_sends_the_whole_text(offered):
    offered.change(2, {"text": "x = new_name + 1\n"})
    await offered.alive()
    assert counts(offered) == (1, 1, 0)


async def test_typing_the_predicted_text_oneself_is_not_a_rejection(offered, engine):
    engine.script = lambda _inputs: None
    offered.change(2, {"range": at(0, 4, 7), "text": "n"})
    offered.change(3, {"range": at(0, 5), "text": "e"})
    await offered.alive()
    assert counts(offered) == (1, 0, 0)
    await offered.inline_edits(0, 6, version=3)  # asks again on the way
    assert counts(offered) == (1, 0, 0)


async def test_typing_the_predicted_text_to_its_end_is_an_acceptance(offered):
    for version, (column, end, text) in enumerate([(4, 7, "n"), (5, 5, "e"), (6, 6, "w")], start=2):
        offered.change(version, {"range": at(0, column, end), "text": text})
    await offered.alive()
    assert counts(offered) == (1, 1, 0)


@pytest.mark.parametrize("change", [(4, 4, "z"), (0, 1, "y"), (12, 16, ""), (4, 12, "other")])
async def test_typing_something_else_rejects_what_was_shown(offered, change):
    start, end, text = change
    offered.change(2, {"range": at(0, start, end), "text": text})
    await offered.alive()
    assert counts(offered) == (1, 0, 1)


async def test_asking_about_a_newer_text_rejects_what_was_shown_of_the_older(offered):
    offered.change(2, {"range": at(1, 0), "text": "more\n"})
    await offered.inline_edits(1, 0, version=2)
    assert counts(offered)[1:] == (0, 1)


async def test_telling_is_believed(offered):
    command = {**offered.edit["command"], "command": "foretype.didReject"}
    await offered.request("workspace/executeCommand", command)
    apply(offered)  # too late: it was rejected
    await offered.alive()
    assert counts(offered) == (1, 0, 1)


async def test_ignoring_counts_neither_way(offered):
    command = {**offered.edit["command"], "command": "foretype.didIgnore"}
    await offered.request("workspace/executeCommand", command)
    offered.change(2, {"range": at(0, 4), "text": "z"})
    await offered.alive()
    assert counts(offered) == (1, 0, 0)


async def test_copilots_rejection_request_is_understood(offered):
    await offered.request("notifyNextEditRejected", {"uuid": offered.edit["command"]["arguments"][0], "reason": "x"})
    assert counts(offered) == (1, 0, 1)


async def test_closing_the_document_counts_neither_way(offered):
    offered.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    await offered.alive()
    assert counts(offered) == (1, 0, 0)


async def test_once_a_client_tells_what_it_drew_only_that_counts_as_shown(offered):
    shown = {"item": {"command": offered.edit["command"]}}
    offered.notify("textDocument/didShowInlineEdit", shown)
    offered.notify("textDocument/didShowInlineEdit", shown)
    offered.open("old_name\n", uri="file:///b.py")
    [undrawn] = await offered.inline_edits(0, 0, uri="file:///b.py")
    assert counts(offered) == (1, 0, 0)
    offered.change(2, {"range": at(0, 0), "text": "z"}, uri="file:///b.py")
    await offered.alive()
    assert counts(offered) == (1, 0, 0)  # not drawn, so typing on is no rejection
    assert undrawn["command"]["arguments"] != offered.edit["command"]["arguments"]


async def test_one_text_offered_on_two_surfaces_is_accepted_once(editor, engine):
    engine.script = lambda inputs: "x = 1\n" if inputs.cursor_excerpt == "x\n" else None
    editor.open("x\n")
    [item] = await editor.ghost_texts(0, 1)
    [_edit] = await editor.inline_edits(0, 1)
    editor.change(2, {"range": item["range"], "text": item["insertText"]})
    await editor.request("workspace/executeCommand", item["command"])
    assert counts(editor)[1:] == (1, 0)


async def test_the_status_snapshot_holds_counts_and_names_but_no_text(offered):
    apply(offered)
    await offered.alive()
    snapshot = str(offered.services.status.snapshot())
    assert "old_name" not in snapshot
    assert "new_name" not in snapshot


async def test_what_is_left_of_a_prediction_is_the_same_offer(offered):
    offered.change(2, {"range": at(0, 4, 7), "text": "n"})
    [left] = await offered.inline_edits(0, 5, version=2)
    assert (left["range"], left["text"]) == (at(0, 5), "ew")
    assert left["command"] == offered.edit["command"]
    offered.change(3, {"range": left["range"], "text": left["text"]})
    await offered.request("workspace/executeCommand", left["command"])
    assert counts(offered) == (1, 1, 0)


async def test_an_accepted_rest_of_a_prediction_is_marked_in_the_history_the_model_sees(offered, engine):
    offered.change(2, {"range": at(0, 4, 7), "text": "n"})
    [left] = await offered.inline_edits(0, 5, version=2)
    offered.notify("workspace/executeCommand", left["command"])
    offered.change(3, {"range": left["range"], "text": left["text"]})
    offered.change(4, {"range": at(0, 0), "text": "y"})
    await offered.inline_edits(0, 1, version=4)
    assert [event.predicted for event in engine.asked[-1].events] == [False, True, False]


async def test_a_change_far_away_leaves_what_is_shown_undecided(editor):
    editor.open("x = old_name\n" + "\n" * 9)
    [edit] = await editor.inline_edits(0, 4)
    editor.change(2, {"range": at(9, 0), "text": "far"})
    await editor.alive()
    assert counts(editor) == (1, 0, 0)
    editor.change(3, {"range": edit["range"], "text": edit["text"]})
    await editor.alive()
    assert counts(editor) == (1, 1, 0)


async def test_a_question_that_was_overtaken_decides_nothing(offered, engine):
    offered.change(2, {"range": at(0, 4, 7), "text": "n"})
    assert await offered.inline_edits(0, 5, version=1) == []  # about a text that is gone
    [left] = await offered.inline_edits(0, 5, version=2)
    assert left["command"] == offered.edit["command"]
    assert counts(offered) == (1, 0, 0)
