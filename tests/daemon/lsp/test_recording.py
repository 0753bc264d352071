"""What a window tells a recording, through a real session: its one file, from the first change on, and nothing else."""

from __future__ import annotations

import pytest

from capture.editing.positions import ContentChange, Position, Range
from daemon.errors import NotRecorded
from daemon.lsp.recorded_window import RecordedWindow
from daemon.recording import feed as feed_module
from daemon.recording.events import Accepted, Begun, Changed, CursorAt, Ended, Opened, Unreadable, from_line
from daemon.recording.recorder import Recorder

PATH = "/home/ada/project/main.py"
URI = f"file://{PATH}"
OTHER = "file:///home/ada/project/other.py"


def insertion(line, column, text, until=None):
    until = column if until is None else until
    return {
        "range": {"start": {"line": line, "character": column}, "end": {"line": line, "character": until}},
        "text": text,
    }


def inserted(line, column, text):
    return ContentChange(Range(Position(line, column), Position(line, column)), text)


@pytest.fixture
def listen(services):
    """``listen()`` begins a recording; awaiting what it returns ends that and gives its events."""

    def begin(path=PATH):
        feed = services.recordings.begin(path)

        async def events():
            services.recordings.end("enough")
            return [from_line(line) async for line in feed.lines()]

        return events

    return begin


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def recorded(events):
    """The recording that a command makes of the events."""
    recorder = None
    for event in events:
        if isinstance(event, Begun):
            recorder = Recorder(event)
        elif recorder is not None:
            recorder.take(event)
    return recorder


async def test_the_text_is_told_with_the_first_change_and_then_each_change_and_cursor(editor, listen):
    editor.open("a = 1\n")
    await editor.alive()
    events = listen()
    await editor.inline_edits(0, 1)
    editor.change(2, insertion(0, 5, "0"))
    await editor.inline_edits(0, 6, version=2)
    editor.change(3, insertion(0, 6, "0"), insertion(0, 7, ";"))
    await editor.alive()
    opened, begun, first, cursor, second, ended = await events()
    assert opened == Opened(1)
    assert begun == Begun("main.py", "python", 1, "a = 1\n")
    assert (first.version, first.changes) == (2, (inserted(0, 5, "0"),))
    assert (cursor.version, cursor.position) == (2, Position(0, 6))
    assert second.changes == (inserted(0, 6, "0"), inserted(0, 7, ";"))
    assert first.at_seconds <= cursor.at_seconds <= second.at_seconds
    assert ended == Ended("enough")


async def test_before_and_after_a_recording_nothing_is_kept_of_what_is_typed(editor, listen, services):
    assert services.recordings.feed is None
    editor.open("a\n")
    editor.change(2, insertion(0, 1, "early"))
    await editor.alive()
    events = listen()
    editor.change(3, insertion(0, 6, "b"))
    await editor.alive()
    told = await events()
    editor.change(4, insertion(0, 7, "late"))
    await editor.alive()
    assert services.recordings.feed is None
    assert recorded(told).text == "aearlyb\n"
    assert "late" not in str(told)
    assert of_kind(told, Begun)[0].text == "aearly\n"


async def test_no_other_file_is_told_about(editor, listen):
    editor.open("a\n")
    editor.open("secret\n", uri=OTHER)
    await editor.alive()
    events = listen()
    editor.change(2, insertion(0, 0, "private"), uri=OTHER)
    await editor.inline_edits(0, 1, version=2, uri=OTHER)
    await editor.alive()
    assert await events() == [Opened(1), Ended("enough")]


async def test_of_several_windows_the_one_that_changes_first_is_followed(window, listen):
    first, second = await window(), await window()
    for editor, text in ((first, "first\n"), (second, "second\n")):
        editor.open(text)
        await editor.alive()
    events = listen()
    second.change(2, insertion(0, 0, "2"))
    await second.alive()
    first.change(2, insertion(0, 0, "1"))
    await first.inline_edits(0, 0, version=2)
    told = await events()
    assert told[0] == Opened(2)
    assert recorded(told).text == "2second\n"
    assert len(of_kind(told, Changed)) == 1
    assert of_kind(told, CursorAt) == []


async def test_a_file_that_is_opened_and_closed_meanwhile_is_said_to_be(editor, listen):
    events = listen()
    editor.open("a\n")
    editor.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    await editor.alive()
    assert await events() == [Opened(0), Opened(1), Opened(0), Ended("enough")]


async def test_another_way_to_the_same_file_is_the_file(editor, listen, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.py").write_text("a\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    editor.open("a\n", uri=(tmp_path / "link" / "a.py").as_uri())
    await editor.alive()
    events = listen(str(tmp_path / "real" / "a.py"))
    assert (await events())[0] == Opened(1)


async def test_a_name_that_no_file_can_have_is_another_file(editor, listen):
    events = listen()
    editor.open("a\n", uri="file:///home/ada/project/main%00.py")
    await editor.alive()
    assert await events() == [Opened(0), Ended("enough")]
    assert await editor.inline_edits(0, 0, uri="file:///home/ada/project/main%00.py") == []


async def test_a_buffer_that_is_no_file_is_not_taken_for_one(editor, listen):
    editor.open("a\n", uri=f"untitled:{PATH}")
    await editor.alive()
    events = listen()
    assert (await events())[0] == Opened(0)


async def test_closing_the_followed_file_ends_the_recording(editor, listen, services):
    editor.open("a\n")
    await editor.alive()
    events = listen()
    editor.change(2, insertion(0, 1, "b"))
    editor.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    await editor.alive()
    assert services.recordings.feed is None
    assert (await events())[-1] == Ended("the file was closed in the editor")


async def test_a_window_that_dies_ends_the_recording_it_was_followed_in(window, listen):
    first, second = await window(), await window()
    for editor in (first, second):
        editor.open("a\n")
        await editor.alive()
    events = listen()
    second.change(2, insertion(0, 1, "b"))
    await second.alive()
    await first.close()
    assert len(of_kind((await events()), Changed)) == 1
    again = listen()
    second.change(3, insertion(0, 2, "c"))
    await second.alive()
    await second.close()
    assert (await again())[-1] == Ended("the editor's window is gone")


async def test_an_excluded_file_is_refused_with_the_reason(editor, listen, set_settings):
    set_settings('exclude = ["main.*"]\n')
    editor.open("a\n")
    await editor.alive()
    with pytest.raises(NotRecorded, match=r"main\.py is not recorded: the path matches an exclude pattern"):
        listen()
    events = listen("/home/ada/project/.env")
    editor.open("KEY=1\n", uri="file:///home/ada/project/.env")
    await editor.alive()
    assert (await events())[-1] == Ended("the path matches the secret-file pattern **/.env*")


async def test_a_file_that_becomes_excluded_or_too_large_is_not_recorded_on(editor, listen, set_settings):
    editor.open("a\n")
    await editor.alive()
    events = listen()
    editor.change(2, insertion(0, 1, "b"))
    await editor.alive()
    set_settings('exclude = ["main.*"]\n')
    editor.change(3, insertion(0, 2, "private"))
    await editor.alive()
    told = await events()
    assert told[-1] == Ended("the path matches an exclude pattern of your settings")
    assert "private" not in str(told)


async def test_a_pause_is_a_reason_not_to_record(editor, listen, services):
    editor.open("a\n")
    await editor.alive()
    events = listen()
    services.settings.set_paused(paused=True)
    editor.change(2, insertion(0, 1, "b"))
    await editor.alive()
    told = await events()
    assert "paused" in told[-1].reason
    assert of_kind(told, Changed) == []
    with pytest.raises(NotRecorded, match="paused"):
        listen()


async def test_there_is_one_recording_at_a_time(editor, listen):
    listen()
    with pytest.raises(NotRecorded, match=r"main\.py is being recorded; end that first"):
        listen("/home/ada/project/other.py")


async def test_a_prediction_that_the_editor_applies_is_an_accepted_key(editor, listen):
    editor.open("old_name = 1\n")
    events = listen()
    editor.change(2, insertion(0, 12, "0"))
    [edit] = await editor.inline_edits(0, 13, version=2)
    editor.change(3, {"range": edit["range"], "text": edit["text"]})
    await editor.request("workspace/executeCommand", edit["command"])
    told = await events()
    [accepted] = of_kind(told, Accepted)
    assert accepted.version == 2
    assert [keystroke.kind for keystroke in recorded(told).keystrokes] == ["type", "accept"]
    assert recorded(told).text == "new_name = 10\n"


async def test_a_prediction_that_is_said_to_be_accepted_first_is_an_accepted_key(editor, listen):
    editor.open("old_name = 1\n")
    await editor.alive()
    events = listen()
    editor.change(2, insertion(0, 12, "0"))
    [edit] = await editor.inline_edits(0, 13, version=2)
    await editor.request("workspace/executeCommand", edit["command"])
    editor.change(3, {"range": edit["range"], "text": edit["text"]})
    await editor.alive()
    assert [keystroke.kind for keystroke in recorded(await events()).keystrokes] == ["type", "accept"]


@pytest.mark.parametrize("ask", ["ghost_texts", "code_actions", "inline_edits"])
async def test_every_question_tells_where_the_cursor_is(editor, listen, ask):
    editor.open("a = 1\nb = 2\n")
    await editor.alive()
    events = listen()
    editor.change(2, insertion(0, 5, "0"))
    await getattr(editor, ask)(1, 3, **({"version": 2} if ask == "inline_edits" else {}))
    assert recorded(await events()).keystrokes[-1].cursor == Position(1, 3)


async def test_code_actions_that_the_editor_asks_for_by_itself_tell_it_too(editor, listen):
    editor.open("a = 1\nb = 2\n")
    await editor.alive()
    events = listen()
    editor.change(2, insertion(0, 5, "0"))
    await editor.code_actions(1, 3, triggerKind=2)
    assert recorded(await events()).keystrokes[-1].cursor == Position(1, 3)


async def test_after_a_change_nobody_can_read_the_next_whole_text_counts(editor, listen):
    editor.open("a\n")
    await editor.alive()
    events = listen()
    editor.change(2, insertion(0, 1, "b"))
    editor.change(3, {"range": "nonsense", "text": "x"})
    editor.change(4, insertion(0, 0, "lost"))
    editor.change(5, {"text": "abc\n"})
    await editor.alive()
    told = await events()
    assert of_kind(told, Unreadable) == [Unreadable()]
    assert recorded(told).text == "abc\n"
    assert [keystroke.change for keystroke in recorded(told).keystrokes] == [inserted(0, 1, "b"), inserted(0, 2, "c")]


async def test_a_recording_does_not_begin_with_a_text_that_is_not_trusted(editor, listen):
    editor.open("a\n", version=5)
    editor.change(5, insertion(0, 0, "x"))  # the version does not rise
    await editor.alive()
    events = listen()
    editor.change(6, insertion(0, 0, "y"))
    editor.change(7, {"text": "whole\n"})
    editor.change(8, insertion(0, 5, "!"))
    await editor.alive()
    assert of_kind(await events(), Begun) == [Begun("main.py", "python", 7, "whole\n")]


async def test_a_file_outside_the_workspace_is_told_by_its_name_alone(editor, listen):
    editor.open("a\n", uri="file:///home/ada/diary/main.py")
    await editor.alive()
    events = listen("/home/ada/diary/main.py")
    editor.change(2, insertion(0, 0, "x"), uri="file:///home/ada/diary/main.py")
    await editor.alive()
    assert of_kind(await events(), Begun)[0].path == "main.py"


async def test_who_does_not_listen_is_not_waited_for_and_costs_no_more_memory(editor, listen, services, monkeypatch):
    monkeypatch.setattr(feed_module, "MAX_WAITING_BYTES", 1000)
    editor.open("a\n")
    await editor.alive()
    events = listen()
    for version in range(2, 30):
        editor.change(version, insertion(0, 0, "b"))
    await editor.alive()
    assert services.recordings.feed is None
    assert await events() == [Ended("the recording command did not keep up")]


async def test_without_a_recording_a_keystroke_costs_one_look(editor, services, monkeypatch):
    """What a recording would need is not even asked for."""
    looked = []
    monkeypatch.setattr(RecordedWindow, "_refusal", lambda *_: looked.append("refusal"))
    editor.open("a\n")
    editor.change(2, insertion(0, 1, "b"))
    await editor.inline_edits(0, 1, version=2)
    assert looked == []
    services.recordings.begin(PATH)
    editor.change(3, insertion(0, 1, "b"))
    await editor.alive()
    assert looked
