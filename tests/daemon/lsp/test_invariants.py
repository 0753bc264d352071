"""The promises that existing clients break without, one test each, named after the promise."""

from __future__ import annotations

import asyncio

import pytest

from daemon.engine.errors import WorkerDied
from daemon.engine.scripted import replacing

URI = "file:///home/ada/project/main.py"


async def test_the_result_of_copilot_inline_edit_is_an_object_with_edits_never_null(editor, engine):
    assert await editor.request(
        "textDocument/copilotInlineEdit",
        {
            "textDocument": {"uri": "file:///never/opened.py", "version": 1},
            "position": {"line": 0, "character": 0},
        },
    ) == {"edits": []}
    editor.open("nothing to rename\n")
    assert await editor.inline_edits(0, 0) == []
    assert await editor.inline_edits(0, 0, version=7) == []
    engine.fails_with = WorkerDied("the worker died")
    editor.open("old_name\n", uri="file:///b.py")
    assert await editor.inline_edits(0, 0, uri="file:///b.py") == []


@pytest.mark.parametrize("closes", [True, False])
async def test_a_document_that_is_opened_again_is_not_predicted_from_what_it_was(editor, engine, closes):
    """Editors count versions from the beginning again, so the version alone does not tell the texts apart."""
    engine.script = replacing("old", "new")
    editor.open("x = old\n")
    assert len(await editor.inline_edits(0, 0)) == 1
    if closes:
        editor.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    editor.open("# a comment\ny = 1\nold\n")
    [edit] = await editor.inline_edits(0, 0)
    assert (edit["range"]["start"]["line"], edit["text"]) == (2, "new")


@pytest.mark.parametrize("under_way", [False, True])
async def test_a_whole_text_with_a_version_that_was_there_before_is_predicted_from_as_it_is(editor, engine, under_way):
    engine.script = replacing("old", "new")
    editor.open("x = old\n")
    if under_way:
        engine.hold()
        editor.ask_inline_edit(0, 0)
        await engine.begun(1)
    else:
        assert len(await editor.inline_edits(0, 0)) == 1
    editor.change(1, {"text": "# a comment\nx = old\n"})
    asked = editor.ask_inline_edit(0, 0)
    await editor.alive()
    engine.release()
    [edit] = (await editor.answer(asked))["edits"]
    assert (edit["range"]["start"]["line"], edit["text"]) == (1, "new")


@pytest.mark.parametrize("version", [0, 1, 4711])
async def test_an_edit_carries_the_version_that_was_asked_about(editor, version):
    editor.open("old_name = 1\n", version=version)
    [edit] = await editor.inline_edits(0, 0, version=version)
    assert edit["textDocument"]["version"] == version
    assert isinstance(edit["textDocument"]["version"], int)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///home/ada/project/a%20b.py",
        "file:///home/ada/project/a b.py",
        "file:///c%3A/x.py",
        "untitled:Untitled-1",
        "vscode-remote://ssh-remote%2Bhost/home/me/ä.py",
        "FILE:///odd/./../x.py#fragment?query",
    ],
)
async def test_an_edit_carries_the_uri_exactly_as_it_was_sent(editor, uri):
    editor.open("old_name = 1\n", uri=uri)
    [edit] = await editor.inline_edits(0, 0, uri=uri)
    assert edit["textDocument"]["uri"] == uri


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a\nold_name", "a"),  # the last line goes, there is no final newline
        ("a\nold_name\n", "a\n"),  # the last line goes, its newline stays
        ("a\nb\n", "a\nb\nc\n"),  # a line comes after the last one
        ("\U0001f600 old_name", "\U0001f600 new_name"),
        ("", "x"),
    ],
)
async def test_ranges_lie_inside_the_text_and_spare_the_line_after_the_last(editor, engine, text, wanted):
    engine.script = lambda _inputs: wanted
    editor.open(text)
    [edit] = await editor.inline_edits(0, 0)
    lines = text.split("\n")
    count = len(lines) - 1 if text.endswith("\n") else len(lines)  # as editors count that have no line after it
    for place in (edit["range"]["start"], edit["range"]["end"]):
        assert place["line"] < count
        assert place["character"] <= len(lines[place["line"]].encode("utf-16-le")) // 2


async def test_an_edit_that_changes_nothing_is_never_returned(editor, engine):
    engine.script = lambda inputs: inputs.cursor_excerpt
    editor.open("x = 1\n")
    assert await editor.inline_edits(0, 0) == []
    assert await editor.ghost_texts(0, 5) == []
    assert await editor.code_actions(0, 0) == []
    assert editor.status["reason"] == "the answer equals the current text"


async def test_the_accept_command_is_announced_and_in_our_namespace(editor):
    announced = editor.initialized["capabilities"]["executeCommandProvider"]["commands"]
    editor.open("old_name = 1\n")
    [edit] = await editor.inline_edits(0, 0)
    assert edit["command"]["command"] in announced
    assert edit["command"]["title"]
    assert all(command.startswith("foretype.") for command in announced)


async def test_execute_command_works_with_and_without_id_with_unknown_ids_and_extra_arguments(editor):
    editor.open("old_name = 1\n")
    [edit] = await editor.inline_edits(0, 0)
    command, [known] = edit["command"]["command"], edit["command"]["arguments"]
    for arguments in (["unknown"], [], [known, "more", 3], [None], None, "no list"):
        assert await editor.request("workspace/executeCommand", {"command": command, "arguments": arguments}) is None
        editor.notify("workspace/executeCommand", {"command": command, "arguments": arguments})
    assert await editor.request("workspace/executeCommand", {"command": command}) is None
    await editor.alive()
    assert editor.status["counts"]["accepted"] == 1


@pytest.mark.parametrize("offered", [["utf-8", "utf-16"], ["utf-32", "utf-8"], ["utf-8"], [], None])
async def test_positions_are_utf16_whatever_the_client_offers(window, offered):
    editor = await window(capabilities={"general": {"positionEncodings": offered}})
    assert editor.initialized["capabilities"]["positionEncoding"] == "utf-16"
    editor.open("\U0001f600é old_name\n")
    [edit] = await editor.inline_edits(0, 4)
    assert edit["range"]["start"]["character"] == 4  # two for the face, one for the accent, one for the space


async def test_a_failing_engine_gives_an_empty_result_and_one_status_transition(window, engine):
    editor = await window(initializationOptions={"editorInfo": {"name": "Neovim", "version": "0.11"}})
    editor.open("old_name = 1\n")
    engine.fails_with = WorkerDied("the worker died; it is restarted")
    for character in (0, 1, 2):
        assert await editor.inline_edits(0, character) == []
    assert await editor.ghost_texts(0, 3) == []
    kinds = [status["kind"] for status in editor.notifications("didChangeStatus")]
    assert kinds.count("Warning") == 1
    assert not editor.notifications("window/showMessage")
    assert editor.status["reason"] == "the worker died; it is restarted"
    engine.fails_with = None
    assert len(await editor.inline_edits(0, 4)) == 1
    assert editor.notifications("didChangeStatus")[-1]["kind"] == "Normal"


async def test_cancelling_stops_the_engine_at_once(editor, engine):
    engine.hold()
    editor.open("old_name = 1\n")
    asked = editor.ask_inline_edit(0, 0)
    await engine.begun(1)
    before = asyncio.get_running_loop().time()
    editor.notify("$/cancelRequest", {"id": asked})
    reply = await editor.reply(asked)
    assert reply.get("result") == {"edits": []} or reply["error"]["code"] == -32800
    assert engine.aborted == 1
    assert asyncio.get_running_loop().time() - before < 1.0  # milliseconds; the rest is a busy machine


async def test_a_second_request_for_the_same_document_cancels_the_first(editor, engine):
    engine.hold()
    editor.open("old_name = 1\n")
    first = editor.ask_inline_edit(0, 0)
    await engine.begun(1)
    second = editor.ask_inline_edit(0, 4)
    assert await editor.answer(first) == {"edits": []}
    await engine.begun(2)
    engine.release()
    assert len((await editor.answer(second))["edits"]) == 1
    assert engine.aborted == 1


@pytest.mark.parametrize("mark", ["\f", "\x0b", "\x1c", "\x85", "\u2028", "\u2029", "\U0001f600", "é", "e\u0301"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
async def test_unusual_characters_and_line_ends_round_trip(editor, mark, line_end):
    text = line_end.join([f"a{mark}b", f"x{mark} = old_name", ""])
    editor.open("")
    editor.change(2, {"text": text})
    column = len(f"x{mark} = ".encode("utf-16-le")) // 2
    [edit] = await editor.inline_edits(1, column, version=2)
    assert edit["range"]["start"] == {"line": 1, "character": column}
    assert edit["range"]["end"] == {"line": 1, "character": column + len("old")}
    assert edit["text"] == "new"
    # and what it is applied to is the line we think it is
    editor.change(3, {"range": edit["range"], "text": edit["text"]})
    assert await editor.inline_edits(1, column, version=3) == []
    assert editor.status["reason"] == "the model predicts no edit"
    assert editor.status["counts"]["accepted"] == 1


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
async def test_inserted_lines_have_the_documents_line_ends(editor, engine, line_end):
    engine.script = replacing("one", "one\ntwo\nthree")
    editor.open(f"one{line_end}end{line_end}")
    [edit] = await editor.inline_edits(0, 3)
    assert edit["text"] == f"two{line_end}three{line_end}"


async def test_an_automatic_inline_completion_is_one_item_on_the_cursors_line_that_repeats_what_is_typed(
    editor, engine
):
    engine.script = replacing("ret", "return total")
    editor.open("def f(total):\n    ret\n")
    [item] = await editor.ghost_texts(1, 7)
    start, end = item["range"]["start"], item["range"]["end"]
    assert start["line"] == end["line"] == 1
    assert start["character"] <= 7 <= end["character"]
    typed = "    ret"[start["character"] : 7]
    assert item["insertText"].startswith(typed)
    assert "    ret"[: start["character"]] + item["insertText"] == "    return total"
    assert item["command"]["command"] == "foretype.didAccept"


@pytest.mark.parametrize(
    "token",
    ["<|user_cursor|>", "<|endoftext|>", "NO_EDITS", "KEEP_PREVIOUS", "<[fim-suffix]>", "\u25c1cursor\u25b7"],
)
async def test_control_tokens_never_reach_the_buffer(editor, engine, token):
    engine.script = replacing("old_name", f"new_name{token}")
    editor.open("old_name = 1\n")
    assert await editor.inline_edits(0, 0) == []
    assert await editor.ghost_texts(0, 8) == []
    assert editor.status["reason"] == "the answer contains control tokens"


@pytest.mark.parametrize(
    "params",
    [
        {"capabilities": {}},
        {"capabilities": {}, "processId": None, "rootUri": None},
        {"capabilities": {}, "workspaceFolders": [{"uri": "file:///work"}]},
        {"capabilities": {}, "workspaceFolders": None},
        {"capabilities": {"textDocument": {"completion": True, "synchronization": False}, "window": True}},
        {"capabilities": None, "clientInfo": None, "initializationOptions": None, "_": True},
        {
            "capabilities": [],
            "clientInfo": "x",
            "initializationOptions": [1],
            "workspaceFolders": {},
            "trace": 3,
        },
        {},
        None,
    ],
)
async def test_initialize_succeeds_with_missing_and_odd_members(window, params):
    editor = await window(connect_only=True)
    result = await editor.request("initialize", params)
    assert result["capabilities"]["inlineCompletionProvider"] == {}
    assert result["capabilities"]["textDocumentSync"]["change"] == 2
    editor.open("old_name = 1\n")
    assert len(await editor.inline_edits(0, 0)) == 1


@pytest.mark.parametrize("end", ["shutdown and exit", "exit alone", "crash"])
async def test_the_end_of_one_window_leaves_the_others_alive(window, end):
    leaving, staying = await window(), await window()
    for editor in (leaving, staying):
        editor.open("old_name = 1\n")
        assert len(await editor.inline_edits(0, 0)) == 1
    if end == "crash":
        leaving.writer.transport.abort()
    else:
        if end == "shutdown and exit":
            assert await leaving.request("shutdown", None) is None
        leaving.notify("exit", None)
    assert await leaving.exit_code() == (0 if end == "shutdown and exit" else 1)
    assert len(await staying.inline_edits(0, 1)) == 1
