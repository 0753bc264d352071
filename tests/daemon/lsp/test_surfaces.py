"""Each surface as an editor uses it: what it is given, in which situations, and what it is told."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from daemon.engine.errors import ModelRefused
from daemon.engine.messages import StopReason
from daemon.engine.scripted import replacing

URI = "file:///home/ada/project/main.py"
NEOVIM = {"clientInfo": {"name": "Neovim", "version": "0.11.4"}}


def at(line, start, end=None):
    end = start if end is None else end
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}


def times_asked(engine, text):
    """How often the engine was asked about exactly this text; the text after an acceptance is another."""
    return sum(inputs.cursor_excerpt == text for inputs in engine.asked)


# Inline edits


async def test_a_rename_two_lines_below_the_cursor_is_one_edit(editor):
    editor.open("new_name = 1\n\nprint(old_name)\n")
    [edit] = await editor.inline_edits(0, 8)
    assert edit["text"] == "new"
    assert edit["range"] == at(2, 6, 9)


async def test_changes_close_together_come_as_one_edit_and_the_nearest_to_the_cursor_comes_first(editor):
    editor.open("old_name\n\nold_name\n" + "\n" * 20 + "old_name\n")
    [edit] = await editor.inline_edits(23, 0)
    assert edit["range"] == at(23, 0, 3)
    [edit] = await editor.inline_edits(1, 0)
    assert edit["range"] == {"start": {"line": 0, "character": 0}, "end": {"line": 2, "character": 3}}
    assert edit["text"] == "new_name\n\nnew"


async def test_after_one_edit_is_applied_the_next_request_brings_the_next_one(editor):
    editor.open("old_name\n" + "\n" * 20 + "old_name\n")
    [first] = await editor.inline_edits(0, 0)
    editor.change(2, {"range": first["range"], "text": first["text"]})
    editor.notify("workspace/executeCommand", first["command"])
    [second] = await editor.inline_edits(0, 3, version=2)
    assert second["range"]["start"]["line"] == 21


async def test_a_request_about_another_version_than_the_text_is_at_gets_nothing(editor):
    editor.open("old_name\n", version=5)
    assert await editor.inline_edits(0, 0, version=4) == []
    assert await editor.inline_edits(0, 0, version=6) == []
    assert "version 6" in editor.status["reason"]
    assert len(await editor.inline_edits(0, 0, version=5)) == 1


async def test_text_typed_while_the_engine_works_makes_the_answer_void(editor, engine):
    engine.hold()
    editor.open("old_name\n")
    asked = editor.ask_inline_edit(0, 0)
    await engine.begun(1)
    editor.change(2, {"range": at(0, 3), "text": "x"})
    assert await editor.answer(asked) == {"edits": []}
    assert engine.aborted == 1


@pytest.mark.parametrize("meanwhile", ["textDocument/didChange", "textDocument/didOpen", "textDocument/didClose"])
async def test_a_change_that_arrives_together_with_the_answer_makes_it_void(editor, engine, meanwhile):
    document = {"uri": URI, "version": 2, "languageId": "python", "text": "old_name and more\n"}
    params = {"textDocument": document, "contentChanges": [{"text": document["text"]}]}

    def answer(inputs):
        body = orjson.dumps({"jsonrpc": "2.0", "method": meanwhile, "params": params})
        editor.session_reader.feed_data(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return inputs.cursor_excerpt.replace("old", "new")

    engine.script = answer
    editor.open("old_name\n")
    assert await editor.inline_edits(0, 0) == []


async def test_a_request_is_bound_to_its_text_even_with_the_next_change_in_the_same_packet(editor, engine):
    editor.open("x = old_name\n")
    asked = editor.ask(
        "textDocument/inlineCompletion",
        {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 4}},
    )
    editor.change(2, {"range": at(0, 0), "text": "some more in front of "})
    assert await editor.answer(asked) == {"items": []}
    assert "typed" in editor.status["reason"]


async def test_a_document_closed_or_reopened_while_the_engine_works_gets_nothing(editor, engine):
    engine.hold()
    editor.open("old_name\n")
    asked = editor.ask_inline_edit(0, 0)
    await engine.begun(1)
    editor.open("old_name other\n")
    assert await editor.answer(asked) == {"edits": []}


async def test_asking_twice_about_the_same_moment_costs_one_prediction_and_keeps_the_id(editor, engine):
    editor.open("old_name\n")
    [first] = await editor.inline_edits(0, 0)
    [second] = await editor.inline_edits(0, 0)
    assert first == second
    assert times_asked(engine, "old_name\n") == 1
    assert editor.status["counts"]["rejected"] == 0


async def test_what_was_asked_while_typing_is_guessed_before_it_is_asked_again(editor, engine):
    editor.open("a = old_name\n")
    await editor.inline_edits(0, 0)
    editor.change(2, {"range": at(0, 0), "text": "b"})
    await engine.begun(3)  # the second was about the text after an acceptance
    assert len(await editor.inline_edits(0, 1, version=2)) == 1
    assert times_asked(engine, "ba = old_name\n") == 1


async def test_an_editor_that_never_asks_costs_nothing(editor, engine):
    editor.open("a = old_name\n")
    editor.change(2, {"range": at(0, 0), "text": "b"})
    await editor.alive()
    assert engine.asked == []


# Inline completions


@pytest.mark.parametrize(
    ("marked", "after", "drawn"),  # | is the cursor
    [
        ("x = f|", "x = foo(a)", True),  # the rest of the line
        ("foo(|)", "foo(a, b)", True),  # between brackets that stay
        ("    |", "    return 1", True),
        ("if x:|", "if x:\n    go()", True),  # several new lines from the cursor on
        ("f(|x)", "f(x, y)", True),  # the text after the cursor stays in the new text
        ("|a b", "a c", False),  # a replacement, not an insertion
        ("ab|", "xab", False),  # before the cursor
        ("a|bc", "ac", False),  # a deletion
    ],
)
async def test_ghost_text_is_given_exactly_where_every_editor_can_draw_it(editor, engine, marked, after, drawn):
    before, cursor = marked.replace("|", ""), marked.index("|")
    engine.script = lambda _inputs: after + "\nend"
    editor.open(before + "\nend")
    items = await editor.ghost_texts(0, cursor)
    if not drawn:
        assert items == []
        assert "ghost text" in editor.status["reason"]
    else:
        [item] = items
        start, end = item["range"]["start"]["character"], item["range"]["end"]["character"]
        assert start <= cursor <= end
        assert before[:start] + item["insertText"] + before[end:] == after
        assert item["insertText"].startswith(before[start:cursor])


async def test_a_line_added_below_the_cursor_becomes_ghost_text_at_the_end_of_its_line(editor, engine):
    engine.script = replacing("one\n", "one\ntwo\n")
    editor.open("one\nend\n")
    [item] = await editor.ghost_texts(0, 3)
    assert (item["insertText"], item["range"]) == ("\ntwo", at(0, 3))
    assert await editor.ghost_texts(0, 1) == []


async def test_ghost_text_goes_on_from_the_entry_picked_in_the_completion_list(editor, engine):
    engine.script = replacing("pri", "print(total)")
    editor.open("pri\n")
    picked = {"range": at(0, 0, 3), "text": "print"}
    [item] = await editor.ghost_texts(0, 3, context={"triggerKind": 2, "selectedCompletionInfo": picked})
    assert (item["insertText"], item["range"]) == ("print(total)", at(0, 0, 3))
    other = {"range": at(0, 0, 3), "text": "private"}
    assert await editor.ghost_texts(0, 3, context={"triggerKind": 1, "selectedCompletionInfo": other}) == []


async def test_copilots_version_on_inline_completion_must_match(editor, engine):
    engine.script = replacing("x", "x = 1")
    editor.open("x\n", version=3)
    params = {"position": {"line": 0, "character": 1}, "context": {"triggerKind": 2}}
    for version, count in ((2, 0), (3, 1)):
        document = {"uri": URI, "version": version}
        result = await editor.request("textDocument/inlineCompletion", {**params, "textDocument": document})
        assert len(result["items"]) == count


async def test_ghost_text_and_inline_edit_of_one_moment_share_one_prediction(editor, engine):
    engine.script = replacing("x", "x = 1")
    editor.open("x\n")
    both = await asyncio.gather(editor.ghost_texts(0, 1), editor.inline_edits(0, 1))
    assert [len(found) for found in both] == [1, 1]
    assert times_asked(engine, "x\n") == 1


# Code actions


async def test_a_code_action_applies_the_prediction_in_editors_without_inline_surfaces(window):
    editor = await window(capabilities={"workspace": {"workspaceEdit": {"documentChanges": True}}})
    editor.open("old_name\n")
    [action] = await editor.code_actions(0, 0, triggerKind=1)
    assert action["kind"] == "refactor.rewrite"
    [change] = action["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": URI, "version": 1}
    assert change["edits"] == [{"range": at(0, 0, 3), "newText": "new"}]
    assert action["command"]["command"] == "foretype.didAccept"


async def test_a_code_action_for_an_editor_without_versioned_edits(editor):
    editor.open("old_name\n")
    [action] = await editor.code_actions(0, 0)
    assert action["edit"] == {"changes": {URI: [{"range": at(0, 0, 3), "newText": "new"}]}}


async def test_automatic_code_action_requests_cost_nothing_and_show_what_is_known(editor, engine):
    editor.open("old_name\n")
    assert await editor.code_actions(0, 0, triggerKind=2) == []
    assert engine.asked == []
    await editor.inline_edits(0, 0)
    assert len(await editor.code_actions(0, 3, triggerKind=2)) == 1
    editor.change(2, {"range": at(0, 0), "text": "x"})
    assert await editor.code_actions(0, 3, triggerKind=2) == []


async def test_a_slow_code_action_opens_the_menu_without_it_and_is_there_the_next_time(editor, engine):
    engine.hold()
    editor.open("old_name\n")
    assert await editor.code_actions(0, 0, triggerKind=1) == []
    assert engine.aborted == 0
    engine.release()
    assert len(await editor.code_actions(0, 0, triggerKind=1)) == 1
    assert len(engine.asked) == 1


@pytest.mark.parametrize(
    ("only", "count"),
    [
        (["refactor"], 1),
        (["refactor.rewrite"], 1),
        ([], 1),
        ([""], 1),
        (["quickfix"], 0),
        (["refactor.re"], 0),
        ([3], 0),
    ],
)
async def test_code_actions_are_given_for_the_kinds_asked_for(editor, only, count):
    editor.open("old_name\n")
    assert len(await editor.code_actions(0, 0, only=only)) == count


# Why there is nothing


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("file:///home/ada/project/.env", "secret"),
        ("file:///home/ada/project/config/.ENV.local", "secret"),
        ("file:///elsewhere/server.pem", "secret"),
        ("file:///elsewhere/a%2Ekey", "secret"),
        ("file:///home/ada/project/.env#cell", "secret"),
        ("vscode-remote://host/home/me/.env", "secret"),
        ("file:///home/ada/project/build/x.py", "exclude"),
        ("file:///home/ada/off/x.py", "off under"),
    ],
)
async def test_excluded_paths_get_nothing_on_any_surface_and_status_says_why(editor, engine, set_settings, uri, reason):
    set_settings('exclude = ["/build/"]\ndisabled_folders = ["/home/ada/off"]\n')
    editor.open("old_name\n", uri=uri)
    assert await editor.inline_edits(0, 0, uri=uri) == []
    assert await editor.ghost_texts(0, 0, uri=uri) == []
    assert await editor.code_actions(0, 0, uri=uri) == []
    editor.change(2, {"range": at(0, 0), "text": "x"}, uri=uri)
    await editor.alive()
    assert engine.asked == []
    assert reason in editor.status["reason"]


@pytest.mark.parametrize(
    "uri",
    [
        "untitled:Untitled-1",
        "file:///outside/x.py",
        "vscode-remote://ssh/home/x.py",
        "zipfile:///a.zip/x.py",
        "x",
    ],
)
async def test_untitled_remote_and_outside_documents_are_served(editor, uri):
    editor.open("old_name\n", uri=uri)
    assert len(await editor.inline_edits(0, 0, uri=uri)) == 1


async def test_an_excluded_file_is_not_seen_through_its_edits(editor, engine):
    editor.open("TOKEN=1\n", uri="file:///home/ada/project/.env")
    editor.change(2, {"range": at(0, 6, 7), "text": "hunter2"}, uri="file:///home/ada/project/.env")
    editor.open("old_name = 1\n")
    editor.change(2, {"range": at(0, 11, 12), "text": "2"})
    await editor.inline_edits(0, 0, version=2)
    await engine.begun(2)
    question, as_if_accepted = engine.asked
    assert [event.path for event in question.events] == ["main.py"]
    assert [event.path for event in as_if_accepted.events] == ["main.py", "main.py"]
    assert "hunter2" not in str([inputs.to_json() for inputs in engine.asked])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x\n" * 1_100_000, "larger than"),
        ("x" * 10_001 + "\n", "line of more than 10000"),
        ("old_name\0", "binary"),
        ("x\n" * 50_001, "more than 50000 lines"),
    ],
)
async def test_texts_that_are_too_large_or_no_text_get_nothing_and_status_says_why(editor, engine, text, reason):
    editor.open(text)
    assert await editor.inline_edits(0, 0) == []
    assert engine.asked == []
    assert reason in editor.status["reason"]


async def test_settings_count_from_the_next_request_on(editor, set_settings, settings):
    editor.open("old_name\n")
    set_settings('disabled_languages = ["python"]\n')
    assert await editor.inline_edits(0, 0) == []
    assert "language python" in editor.status["reason"]
    set_settings("enabled = false\n")
    assert await editor.inline_edits(0, 0) == []
    assert "switched off" in editor.status["reason"]
    set_settings("")
    settings.set_paused(paused=True)
    assert await editor.inline_edits(0, 0) == []
    assert "paused" in editor.status["reason"]
    settings.set_paused(paused=False)
    assert len(await editor.inline_edits(0, 0)) == 1


async def test_what_an_editor_configures_counts_for_its_window_only(window, services):
    strict, other = await window(), await window()
    strict.notify("workspace/didChangeConfiguration", {"settings": {"foretype": {"enabled": False, "model": "x"}}})
    for editor in (strict, other):
        editor.open("old_name\n")
    assert await strict.inline_edits(0, 0) == []
    assert len(await other.inline_edits(0, 0)) == 1
    assert "`model`" in strict.status["settings_problem"]
    strict.notify("workspace/didChangeConfiguration", {"settings": {"http": {"proxy": None}}})
    assert len(await strict.inline_edits(0, 0)) == 1


async def test_an_unsure_model_stays_quiet(editor, engine, set_settings):
    set_settings("min_confidence = 0.5\n")
    engine.confidence = 0.4
    editor.open("old_name\n")
    assert await editor.inline_edits(0, 0) == []
    assert "min_confidence" in editor.status["reason"]


@pytest.mark.parametrize("stop", [StopReason.ANSWER_BUDGET, StopReason.CONTEXT_FULL, StopReason.DEADLINE])
async def test_an_unfinished_answer_is_no_edit(editor, engine, stop):
    engine.stop = stop
    editor.open("old_name\n")
    assert await editor.inline_edits(0, 0) == []
    assert "end marker" in editor.status["reason"]


async def test_a_prediction_slower_than_the_deadline_is_given_up(editor, engine, set_settings):
    set_settings("deadline_ms = 30\n")
    engine.hold()
    editor.open("old_name\n")
    assert await editor.inline_edits(0, 0) == []
    assert "deadline" in editor.status["reason"]


# What the editor is told


async def test_status_changes_are_told_once_and_only_to_editors_that_know_them(window, engine):
    told, untold = await window(**NEOVIM), await window(clientInfo={"name": "emacs"})
    for editor in (told, untold):
        editor.open("old_name\n")
        editor.open("old_name\n", uri="file:///.env")
        for uri in (URI, URI, "file:///.env", "file:///.env", URI):
            await editor.request(
                "textDocument/inlineCompletion",
                {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}},
            )
    assert [status["kind"] for status in told.notifications("didChangeStatus") if not status["busy"]] == [
        "Normal",  # the model is loaded
        "Inactive",
        "Normal",
    ]
    assert untold.notifications("didChangeStatus") == []


async def test_moving_the_focus_to_an_excluded_file_shows_as_inactive(window):
    editor = await window(**NEOVIM)
    editor.open("x\n", uri="file:///.env")
    editor.open("x\n")
    for uri in ("file:///.env", URI):
        editor.notify("textDocument/didFocus", {"textDocument": {"uri": uri}})
    editor.notify("textDocument/didFocus", {})
    await editor.alive()
    assert [status["kind"] for status in editor.notifications("didChangeStatus")] == ["Inactive", "Normal"]


async def test_loading_the_model_shows_as_progress(window, engine):
    editor = await window(capabilities={"window": {"workDoneProgress": True}}, **NEOVIM)
    engine.hold()
    editor.open("old_name\n")
    asked = editor.ask_inline_edit(0, 0)
    create = await editor.until(lambda m: m.get("method") == "window/workDoneProgress/create")
    editor.send({"id": create["id"], "result": None})
    await editor.until(lambda m: m.get("method") == "$/progress")
    engine.release()
    assert len((await editor.answer(asked))["edits"]) == 1
    await editor.until(lambda m: m.get("method") == "$/progress" and m["params"]["value"]["kind"] == "end")
    assert {value["token"] for value in editor.notifications("$/progress")} == {create["params"]["token"]}
    assert [value["value"]["kind"] for value in editor.notifications("$/progress")] == ["begin", "end"]
    assert [status["busy"] for status in editor.notifications("didChangeStatus")] == [True, False]


async def test_an_editor_that_refuses_progress_is_served_all_the_same(window, engine):
    editor = await window(capabilities={"window": {"workDoneProgress": True}})
    engine.hold()
    editor.open("old_name\n")
    asked = editor.ask_inline_edit(0, 0)
    create = await editor.until(lambda m: m.get("method") == "window/workDoneProgress/create")
    editor.send({"id": create["id"], "error": {"code": -32601, "message": "no"}})
    await editor.alive()
    engine.release()
    assert len((await editor.answer(asked))["edits"]) == 1
    assert editor.notifications("$/progress") == []


async def test_a_refused_model_is_explained_in_status(editor, engine):
    engine.fails_with = ModelRefused("model.gguf is not a GGUF file; choose another with `foretype model use`")
    editor.open("old_name\n")
    assert await editor.inline_edits(0, 0) == []
    snapshot = editor.services.status.snapshot()
    assert snapshot["model"]["state"] == "failed"
    assert "not a GGUF" in snapshot["model"]["failure"]
    assert "not a GGUF" in editor.status["reason"]


# Diagnostics


async def test_diagnostics_attached_to_the_request_reach_the_model_nearest_first(editor, engine):
    editor.open("".join(f"line{row}\n" for row in range(60)) + "old_name\n")
    diagnostics = [
        {"severity": "warning", "message": "far", "range": at(12, 0, 4)},
        {"severity": "error", "message": "near", "range": at(19, 4, 6), "code": "E1", "source": "x"},
        {"severity": "error", "message": "out of reach", "range": at(58, 0, 4)},
        {"severity": "error", "message": "no range"},
        "nonsense",
    ]
    await editor.inline_edits(20, 0, diagnostics=diagnostics)
    inputs = engine.asked[0]
    near, far = inputs.active_buffer_diagnostics
    assert (near.severity, near.message) == (1, "near")
    assert (far.severity, far.message) == (2, "far")
    assert (near.snippet_buffer_row_range.start, near.snippet_buffer_row_range.end) == (19, 20)
    place = near.diagnostic_range_in_snippet
    assert near.snippet.encode()[place.start : place.end] == b"19"


async def test_forwarded_diagnostics_move_with_the_text(editor, engine):
    editor.open("ä\nx = oops\n" + "y\n" * 400)
    editor.notify(
        "foretype/didChangeDiagnostics",
        {
            "uri": URI,
            "version": 1,
            "diagnostics": [{"severity": 1, "message": "oops?", "range": at(1, 4, 8)}],
        },
    )
    editor.change(2, {"range": at(0, 0), "text": "one\ntwo\n"})
    await editor.inline_edits(0, 0, version=2)
    [found] = engine.asked[-1].active_buffer_diagnostics
    assert found.snippet_buffer_row_range.start == 3
    place = found.diagnostic_range_in_snippet
    assert found.snippet.encode()[place.start : place.end] == b"oops"


async def test_diagnostics_of_another_version_are_not_drawn_to_the_wrong_text(editor, engine):
    editor.open("x\n", version=5)
    editor.notify(
        "foretype/didChangeDiagnostics",
        {"uri": URI, "version": 4, "diagnostics": [{"severity": 1, "message": "old", "range": at(0, 0, 1)}]},
    )
    await editor.inline_edits(0, 0, version=5)
    assert engine.asked[0].active_buffer_diagnostics == ()


async def test_new_diagnostics_make_a_new_question(editor, engine):
    editor.open("x\n")
    await editor.inline_edits(0, 0)
    await editor.inline_edits(0, 0, diagnostics=[{"severity": "error", "message": "m", "range": at(0, 0, 1)}])
    assert len(engine.asked) == 2


# Copilot's other requests


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("checkStatus", {"status": "OK", "user": "local"}),
        ("signIn", {"status": "AlreadySignedIn", "user": "local"}),
        ("signInInitiate", {"status": "AlreadySignedIn", "user": "local"}),
        ("setEditorInfo", "OK"),
        ("copilot/models", []),
        ("getCompletions", {"completions": []}),
        ("getCompletionsCycling", {"completions": []}),
        ("textDocument/copilotPanelCompletion", {"items": []}),
        ("notifyShown", "OK"),
    ],
)
async def test_copilots_clients_get_what_they_expect_of_a_signed_in_server(editor, method, result):
    assert await editor.request(method, {"_": True}) == result
