"""The edit history tells what the user did lately, in few and small events."""

from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.history import MAX_EVENTS, MAX_WINDOW_BYTES, History
from capture.editing.positions import ContentChange, Position, Range
from capture.editing.unified_diff import apply_patch, with_file_headers
from capture.inputs import Span


class Clock:
    """Seconds that pass only when told."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


class Typing:
    """A document, its history, and someone who types."""

    def __init__(self, text):
        self.clock = Clock()
        self.history = History(self.clock)
        self.document = Document(text)

    def replace(self, row, start, end, text, *, predicted=False):
        change = ContentChange(Range(Position(row, start), Position(row, end)), text)
        edit = self.document.apply(change)
        if edit is not None:
            self.history.record(self.document, "a.py", edit, predicted=predicted)

    def type(self, row, text, **how):
        self.replace(row, 0, 0, text, **how)

    @property
    def events(self):
        return self.history.events()

    @property
    def diffs(self):
        return [event.diff for event in self.events]


def numbered(count):
    return "".join(f"line {row}\n" for row in range(count))


def replayed(text, events):
    for event in events:
        text, _ = apply_patch(with_file_headers(event.diff, event.path), text, trust_rows=True)
    return text


def test_keystrokes_in_one_place_are_one_event_with_three_context_lines():
    typing = Typing(numbered(20))
    for column, character in enumerate("new "):
        typing.replace(10, column, column, character)
    assert typing.diffs == [
        "@@ -8,7 +8,7 @@\n line 7\n line 8\n line 9\n-line 10\n+new line 10\n line 11\n line 12\n line 13\n"
    ]
    start = len("".join(f"line {row}\n" for row in range(10)))
    assert typing.events[0].old_range == Span(start, start)
    assert typing.events[0].new_range == Span(start, start + 4)


def test_eight_rows_apart_is_one_event_nine_rows_are_two():
    near, far = Typing(numbered(40)), Typing(numbered(40))
    for typing, row in ((near, 18), (far, 19)):
        typing.type(10, "x")
        typing.type(row, "y")
    assert (len(near.events), len(far.events)) == (1, 2)


def test_distance_counts_from_the_latest_edit_so_an_event_can_grow_down_the_file():
    typing = Typing(numbered(40))
    for row in (0, 8, 16, 24):
        typing.type(row, "x")
    assert len(typing.events) == 1


def test_a_pause_of_a_second_splits_the_running_event_when_it_is_read():
    typing = Typing(numbered(10))
    typing.type(4, "a")
    typing.clock.seconds += 0.9
    typing.type(4, "b")
    assert len(typing.events) == 1
    typing.clock.seconds += 1.0
    typing.type(4, "c")
    typing.type(4, "d")
    before, after = typing.diffs
    assert "-line 4\n+baline 4" in before
    assert "-baline 4\n+dcbaline 4" in after


def test_only_the_last_pause_splits_and_an_ended_event_is_whole_again():
    typing = Typing(numbered(60))
    for character in "abc":
        typing.type(4, character)
        typing.clock.seconds += 1.5
    assert len(typing.events) == 2
    typing.type(50, "x")
    assert len(typing.events) == 2
    assert "-line 4\n+cbaline 4" in typing.diffs[0]


def test_an_accepted_prediction_is_an_event_of_its_own():
    typing = Typing(numbered(10))
    typing.type(4, "a")
    typing.type(4, "b", predicted=True)
    assert [event.predicted for event in typing.events] == [False, True]


def test_typed_and_predicted_events_merge_once_the_user_works_elsewhere():
    typing = Typing(numbered(80))
    typing.type(4, "a")
    typing.type(5, "b", predicted=True)
    typing.type(6, "c")
    assert len(typing.events) == 3
    typing.type(60, "x")
    first, second = typing.events
    assert not first.predicted
    assert all(f"+{mark}line {row}" in first.diff for mark, row in (("a", 4), ("b", 5), ("c", 6)))
    assert "+xline 60" in second.diff


def test_events_near_the_newest_edit_stay_apart():
    typing = Typing(numbered(80))
    typing.type(20, "a")
    typing.type(21, "b", predicted=True)
    typing.type(22, "c")
    typing.type(23, "d", predicted=True)
    assert [event.predicted for event in typing.events] == [False, True, False, True]


def test_what_is_typed_and_taken_back_leaves_no_event():
    typing = Typing(numbered(60))
    typing.type(4, "x")
    typing.replace(4, 0, 1, "")
    assert typing.events == ()
    typing.type(50, "y")
    assert len(typing.events) == 1


def test_an_edit_too_large_is_not_recorded_and_ends_the_running_event():
    typing = Typing(numbered(20))
    typing.type(4, "a")
    typing.type(8, "x" * MAX_WINDOW_BYTES)
    typing.type(4, "b")
    typing.replace(8, 0, MAX_WINDOW_BYTES, "")  # too large again, now as a deletion
    typing.type(4, "c")
    assert len(typing.events) == 3
    for diff, line in zip(typing.diffs, ("+aline 4", "+baline 4", "+cbaline 4"), strict=True):
        assert line in diff


def test_an_edit_beside_a_huge_line_is_too_large_by_its_context():
    typing = Typing("x" * MAX_WINDOW_BYTES + "\n" + numbered(9))
    typing.type(3, "a")
    assert typing.events == ()
    typing.type(4, "b")
    assert len(typing.events) == 1


def test_an_event_that_would_grow_too_large_is_continued_by_another():
    typing = Typing(numbered(10))
    for _ in range(9):
        typing.type(4, "x" * 1000 + "\n")
    assert 2 <= len(typing.events) <= 3
    assert all(len(event.diff) < 2 * MAX_WINDOW_BYTES for event in typing.events)
    assert replayed(numbered(10), typing.events) == typing.document.text


def test_only_the_newest_ten_events_are_kept():
    typing = Typing(numbered(1000))
    for index in range(30):
        typing.type(index * 30, "x")
    assert len(typing.events) == MAX_EVENTS
    assert "+xline 870" in typing.diffs[-1]
    assert "+xline 600" in typing.diffs[0]


def test_events_of_two_files_keep_their_order():
    typing = Typing(numbered(10))
    other = Document(numbered(10))
    typing.type(1, "a")
    typing.history.record(other, "b.py", other.apply(ContentChange(Range(Position(1, 0), Position(1, 0)), "b")))
    typing.type(1, "c")
    assert [event.path for event in typing.events] == ["a.py", "b.py", "a.py"]


STEP = st.tuples(
    st.integers(0, 40),  # row
    st.integers(0, 6),  # columns
    st.integers(0, 6),
    st.text(alphabet="ab é\U0001f600\n", max_size=3),
    st.sampled_from([0.0, 0.3, 1.0, 2.0]),  # seconds before it
    st.sampled_from([False, False, False, True]),  # accepted prediction
)


@given(rows=st.integers(1, 40), steps=st.lists(STEP, max_size=25))
def test_replaying_the_events_leads_from_the_first_text_to_the_last(rows, steps):
    base = numbered(rows)
    typing = Typing(base)
    for row, start, end, text, seconds, predicted in steps:
        typing.clock.seconds += seconds
        last_row = typing.document.row_count - 2  # the final newline is outside the dialect
        if last_row < 0:
            continue
        typing.replace(min(row, last_row), start, end, text, predicted=predicted)
        if len(typing.history.state.finished) >= MAX_EVENTS - 1:
            break  # from here on the oldest events may be gone
        assert replayed(base, typing.events) == typing.document.text
