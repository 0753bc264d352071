"""What was done after a moment leads from the text of that moment to the text of now."""

from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from capture.editing.unified_diff import apply_patch
from capture.settling.later_events import LaterEvents


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def change(row, columns, text):
    start, end = columns
    return ContentChange(Range(Position(row, start), Position(row, end)), text)


NOTIFICATION = st.lists(
    st.tuples(st.integers(0, 39), st.tuples(st.integers(0, 3), st.integers(3, 9)), st.sampled_from(["", "x", "new\n"])),
    min_size=1,
    max_size=3,
)
STEP = NOTIFICATION | st.sampled_from(["mark", "accepted", "pause"])


@given(st.lists(STEP, max_size=14))
def test_the_events_after_a_mark_lead_to_the_text_of_now(steps):
    clock = Clock()
    later = LaterEvents(clock)
    document = Document("".join(f"row {row:02}\n" for row in range(40)))
    marks = [(later.mark(), document.text)]
    number = 0
    for step in steps:
        clock.seconds += 0.1
        if step == "mark":
            marks.append((later.mark(), document.text))
        elif step == "accepted":
            later.accepted(document)
        elif step == "pause":
            clock.seconds += 2
        else:
            changes = []
            for row, columns, text in step:
                number += 1  # no two rows alike: a hunk is found by its text
                changes.append(change(row, columns, f"{text}{number}."))
            document.change(None, changes, lambda edit: later.record(document, "a.py", edit))
    for mark, text_then in marks:
        events = later.since(mark)
        if len(events) < 9:  # else the last ones may be missing
            text = text_then
            for event in events:
                text, _ = apply_patch(f"--- a/a.py\n+++ b/a.py\n{event.diff}", text, trust_rows=True)
            assert text == document.text


def test_marks_without_anything_between_are_one():
    later = LaterEvents(Clock())
    assert later.mark() == later.mark()
    document = Document("a\n")
    document.change(None, [change(0, (0, 0), "b")], lambda edit: later.record(document, "a.py", edit))
    assert later.mark() == later.mark() == 1


def test_what_nobody_will_ask_about_is_forgotten():
    later = LaterEvents(Clock())
    document = Document("a\n")
    for _ in range(5):
        document.change(None, [change(0, (0, 0), "b")], lambda edit: later.record(document, "a.py", edit))
        mark = later.mark()
    later.forget_before(mark)
    assert later.since(0) == later.since(mark) == ()
    document.change(None, [change(0, (0, 0), "c")], lambda edit: later.record(document, "a.py", edit))
    assert len(later.since(mark)) == 1
