"""What a recording makes of what the hub tells, and that it always leads to the text the hub ended with."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from capture.typing_session import Keystroke, Session, sha256
from daemon.lsp.documents import Documents
from daemon.lsp.recorded_window import RecordedWindow
from daemon.prediction import Prediction, TextEdit
from daemon.recording.events import Accepted, Begun, Changed, CursorAt, Unreadable, from_line, to_line
from daemon.recording.feed import Recordings
from daemon.recording.recorder import Recorder, words_per_minute
from daemon.settings import Settings
from daemon.settings_store import SettingsStore

PATH = "/home/ada/project/main.py"
URI = f"file://{PATH}"


def span(line, start, end=None, end_line=None):
    return Range(Position(line, start), Position(line if end_line is None else end_line, start if end is None else end))


def change(where, text):
    return ContentChange(where, text)


class Recording:
    """A recorder that is told one thing after the other, a tenth of a second apart."""

    def __init__(self, text, version=1):
        self.recorder = Recorder(Begun("main.py", "python", version, text))
        self.version, self.seconds = version, 1000.0

    def changed(self, *changes, version=0):
        self.version += 1
        self.seconds += 0.1
        number = version if version != 0 else self.version
        self.recorder.take(Changed(self.seconds, number, changes))
        return self

    def cursor(self, line, column, version=0):
        self.seconds += 0.1
        number = version if version != 0 else self.version
        self.recorder.take(CursorAt(self.seconds, number, Position(line, column)))
        return self

    def accepted(self, version, where, text):
        self.recorder.take(Accepted(version, (change(where, text),)))
        return self

    @property
    def keystrokes(self):
        return self.recorder.keystrokes

    @property
    def kinds(self):
        return [keystroke.kind for keystroke in self.keystrokes]


def test_what_comes_in_is_typed_and_what_only_goes_is_erased():
    recording = Recording("ab\n").changed(change(span(0, 2), "c")).changed(change(span(0, 0, 1), ""))
    recording.changed(change(span(0, 0, 2), "x"))
    assert recording.kinds == ["type", "erase", "type"]
    assert recording.recorder.text == "x\n"


def test_time_counts_from_the_first_key_in_milliseconds():
    recording = Recording("\n").changed(change(span(0, 0), "a")).changed(change(span(0, 1), "b"))
    assert [keystroke.at_ms for keystroke in recording.keystrokes] == [0, 100]


def test_a_whole_text_is_the_smallest_change_that_leads_to_it():
    recording = Recording("one\ntwo\nthree\n").changed(change(None, "one\ntwos\nthree\n"))
    [keystroke] = recording.keystrokes
    assert keystroke == Keystroke(0, "type", change(span(1, 3), "s"), Position(1, 4))


def test_several_changes_of_one_notification_are_one_keystroke():
    recording = Recording("a\nb\na\n").changed(change(span(2, 0, 1), "x"), change(span(0, 0, 1), "x"))
    [keystroke] = recording.keystrokes
    assert recording.recorder.text == "x\nb\nx\n"
    assert keystroke.change == change(span(0, 0, 1, end_line=2), "x\nb\nx")


def test_a_notification_that_changes_nothing_is_no_keystroke():
    recording = Recording("ab").changed().changed(change(span(0, 0, 2), "ab")).changed(change(None, "ab"))
    recording.changed(change(span(0, 2), "c"), change(span(0, 2, 3), ""))
    assert recording.keystrokes == ()


def test_a_bracket_that_the_editor_closed_leaves_the_cursor_between():
    recording = Recording("f\n").changed(change(span(0, 1), "()")).cursor(0, 2)
    [keystroke] = recording.keystrokes
    assert keystroke.cursor == Position(0, 2)


def test_a_question_behind_the_typed_character_is_no_key_and_one_elsewhere_is_a_jump():
    recording = Recording("f\ng\n").changed(change(span(0, 1), "o")).cursor(0, 2).cursor(1, 0).cursor(1, 0)
    assert recording.kinds == ["type", "move"]
    assert recording.keystrokes[1] == Keystroke(200, "move", None, Position(1, 0))


def test_going_back_into_what_was_just_typed_is_a_jump():
    recording = Recording("\n").changed(change(span(0, 0), "abc")).cursor(0, 3).cursor(0, 1)
    assert recording.kinds == ["type", "move"]


def test_a_question_about_another_version_does_not_tell_where_the_cursor_is():
    recording = Recording("ab\ncd\n").changed(change(span(0, 2), "c"))
    recording.cursor(1, 1, version=recording.version - 1).cursor(1, 1, version=recording.version + 1)
    assert recording.kinds == ["type"]
    assert recording.cursor(1, 1, version=None).kinds == ["type", "move"]


def test_no_key_is_recorded_before_the_first_change():
    assert Recording("ab\ncd\n").cursor(1, 1).keystrokes == ()


def test_what_a_prediction_said_is_accepted_whether_the_editor_says_so_before_or_after():
    before = Recording("old = 1\n").accepted(1, span(0, 0, 3), "new").changed(change(span(0, 0, 3), "new"))
    after = Recording("old = 1\n").changed(change(span(0, 0, 3), "new")).accepted(1, span(0, 0, 3), "new")
    assert before.kinds == after.kinds == ["accept"]


def test_an_accepted_prediction_counts_however_the_editor_applies_it():
    recording = Recording("old = 1\nold\n").changed(change(None, "new = 1\nnew\n"))
    assert recording.accepted(1, span(0, 0, 3, end_line=1), "new = 1\nnew").kinds == ["accept"]


def test_something_else_than_the_prediction_is_not_accepted():
    before = Recording("old = 1\n").accepted(1, span(0, 0, 3), "new").changed(change(span(0, 3), "er"))
    after = Recording("old = 1\n").changed(change(span(0, 3), "er")).accepted(1, span(0, 0, 3), "new")
    assert before.kinds == after.kinds == ["type"]


def test_only_the_change_right_before_or_after_the_acceptance_is_accepted():
    typed_out = Recording("old = 1\n").accepted(1, span(0, 0, 3), "new").changed(change(span(0, 0, 3), ""))
    stale = Recording("old\n").changed(change(span(0, 0), "x")).changed(change(span(0, 0, 4), "new"))
    assert typed_out.changed(change(span(0, 0), "new")).kinds == ["erase", "type"]
    assert stale.accepted(1, span(0, 0, 9), "new").kinds == ["type", "type"]


def test_a_prediction_of_which_one_character_was_left_counts_as_typed():
    recording = Recording("retur\n").changed(change(span(0, 5), "n")).accepted(1, span(0, 5), "n")
    assert recording.kinds == ["type"]


def test_after_a_version_that_does_not_rise_nothing_is_recorded_until_a_whole_text_comes():
    recording = Recording("abc\n", version=5).changed(change(span(0, 0), "x"), version=5)
    recording.changed(change(span(0, 0), "y")).cursor(0, 2)
    assert recording.keystrokes == ()
    recording.changed(change(None, "abcd\n")).changed(change(span(0, 4), "e"))
    assert [keystroke.change for keystroke in recording.keystrokes] == [
        change(span(0, 3), "d"),
        change(span(0, 4), "e"),
    ]


def test_where_the_text_is_not_trusted_no_cursor_is_either():
    recording = Recording("abc\nd\n", version=1).changed(change(span(0, 3), "d"))
    recording.recorder.take(Unreadable())
    assert recording.cursor(1, 0).kinds == ["type"]


def test_half_a_character_is_recorded_as_the_hub_has_it():
    recording = Recording("a\n").changed(change(span(0, 1), "\ud800"))
    [keystroke] = recording.keystrokes
    assert keystroke.change.text == "\ufffd"
    assert recording.recorder.text == "a\ufffd\n"


def test_after_a_change_that_could_not_be_read_nothing_is_recorded_until_a_whole_text_comes():
    recording = Recording("abc\n")
    recording.recorder.take(Unreadable())
    assert recording.changed(change(span(0, 0), "x")).keystrokes == ()
    assert recording.changed(change(None, "")).kinds == ["erase"]


def test_the_header_says_that_a_person_typed_and_what_is_needed_to_check_a_replay():
    recording = Recording("a\n").changed(change(span(0, 1), "b")).changed(change(span(0, 2), "c"))
    header = recording.recorder.session("mine").header
    assert (header.session, header.simulated, header.seed) == ("mine", "", 0)
    assert (header.path, header.language_id, header.text) == ("main.py", "python", "a\n")
    assert (header.keystrokes, header.final_text_sha256) == (2, sha256("abc\n"))
    assert header.words_per_minute == 120  # ten keys a second, five a word


@pytest.mark.parametrize(
    ("kinds", "words"), [([], 0), (["type"], 0), (["type", "move", "type"], 0), (["type"] * 3, 60), (["erase"] * 3, 0)]
)
def test_the_pace_is_that_of_keys_typed_one_after_the_other(kinds, words):
    pressed = [Keystroke(200 * at, kind, None, Position(0, 0)) for at, kind in enumerate(kinds)]
    assert words_per_minute(pressed) == words


def test_a_pause_does_not_slow_the_pace():
    times = (0, 100, 200, 60_000, 60_100)
    assert words_per_minute([Keystroke(at, "type", None, Position(0, 0)) for at in times]) == 120


# --- whatever an editor sends ---


class Window:
    """A window's documents and a recording of one of them; the texts come as the hub has them."""

    def __init__(self, text):
        settings = SettingsStore(Path("/home/ada/no-such-settings.toml"))
        clock = itertools.count(5)
        self.recordings = Recordings(lambda: next(clock) / 1000)
        self.documents = Documents(lambda: 0.0)
        services = SimpleNamespace(settings=settings, recordings=self.recordings)
        self.recorded = RecordedWindow("w", services, self.documents, Settings)
        self.documents.open(URI, "python", 3, text)
        self.feed = self.recordings.begin(PATH)

    def do(self, what, *details):
        getattr(self, what)(self.documents.find(URI), *details)

    def change(self, document, step, changes):
        version = None if step is None else document.version + step
        self.recorded.changes(document, version, changes)
        self.documents.change(URI, version, changes)

    def unreadable(self, document):
        self.documents.distrust(document.uri)
        self.recorded.unreadable(document.uri)

    def cursor(self, document, step, position):
        self.recorded.cursor(document.uri, None if step is None else document.version + step, position)

    def accepted(self, document, step, where, text):
        edits = (TextEdit(where, text),)
        self.recorded.accepted(Prediction(document.uri, document.version + step, edits, ("",)))

    def recorder(self):
        """What the other end of the socket makes of the lines."""

        async def lines():
            return [line async for line in self.feed.lines()]

        self.recordings.end("enough")
        recorder = None
        for line in asyncio.run(lines()):
            event = from_line(line)
            if isinstance(event, Begun):
                recorder = Recorder(event)
            elif recorder is not None:
                recorder.take(event)
        return recorder


texts = st.text(alphabet="ab \r\n\u00e9\U0001f600\ud800", max_size=10) | st.sampled_from(["\r\n", "\n", "\r", ""])
positions = st.builds(Position, st.integers(0, 5), st.integers(0, 7))
ranges = st.builds(Range, positions, positions)
content_changes = st.builds(ContentChange, ranges | st.none(), texts) | st.builds(ContentChange, ranges, texts)
steps = st.one_of(
    st.tuples(st.just("change"), st.sampled_from([1, 1, 1, 1, 2, 0, -1, None]), st.lists(content_changes, max_size=3)),
    st.tuples(st.just("unreadable")),
    st.tuples(st.just("cursor"), st.sampled_from([0, 0, -1, None]), positions),
    st.tuples(st.just("accepted"), st.sampled_from([0, -1]), ranges, texts),
)


@given(text=texts, script=st.lists(steps, max_size=15))
def test_whatever_happens_the_recording_replays_to_the_text_the_hub_has(text, script):
    window = Window(text)
    for step in script:
        window.do(*step)
    recorder = window.recorder()
    if recorder is None:
        assert not any(step[0] == "change" for step in script) or ("unreadable",) in script
        return
    session = Session.from_bytes(recorder.session("any").to_bytes())
    document = Document(session.header.text)
    for number, keystroke in enumerate(session.keystrokes, start=1):
        before = document.text
        if keystroke.change is not None:
            start, end = keystroke.change.range.start, keystroke.change.range.end
            assert (document.clamp(start), document.clamp(end)) == (start, end)
            start_bytes = document.offset_bytes(start)
            document.change(number, [keystroke.change])
            # One less where the edit joined a carriage return and a line feed: there is no place between.
            end_bytes = start_bytes + len(keystroke.change.text.encode())
            assert start_bytes - 1 <= document.offset_bytes(keystroke.cursor) <= end_bytes
        assert (document.text != before) == (keystroke.kind != "move")
        assert document.clamp(keystroke.cursor) == keystroke.cursor
    assert document.text == window.documents.find(URI).text.text
    assert sha256(document.text) == session.header.final_text_sha256
    assert len(session.keystrokes) == session.header.keystrokes
    times = [keystroke.at_ms for keystroke in session.keystrokes]
    assert times == sorted(times)
    assert times[:1] in ([], [0])


@given(
    st.one_of(
        st.builds(Begun, texts, texts, st.integers(), texts),
        st.builds(
            Changed,
            st.floats(0, 1e9),
            st.integers() | st.none(),
            st.lists(content_changes, max_size=3).map(tuple),
        ),
        st.builds(CursorAt, st.floats(0, 1e9), st.integers() | st.none(), positions),
        st.builds(Accepted, st.integers(), st.lists(content_changes, max_size=2).map(tuple)),
        st.just(Unreadable()),
    )
)
def test_an_event_reads_back_as_it_was_written_and_is_one_line(event):
    line = to_line(event)
    assert line.count(b"\n") == 1
    assert from_line(line) == event
