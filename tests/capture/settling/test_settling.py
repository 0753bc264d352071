"""A prediction's region is followed until it settles: every rule by a test clock, and once by the real one."""

import asyncio
import time
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from capture.editing.document import Document, SyncState
from capture.editing.positions import ContentChange, Position, Range, utf16_length
from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, Span
from capture.settling.open_snapshot import UNDECIDED, Returned
from capture.settling.settling import MAX_AGE_SECONDS, Settling
from capture.snapshot.parts import MAX_REGION_BYTES, PredictionRecord, Repository

WORKSPACE = "0123456789abcdef" * 2
EPOCH = 1_700_000_000.0
ROWS = "".join(f"row {row}\n" for row in range(20))


def position(text, index):
    before = text[:index]
    return Position(before.count("\n"), utf16_length(before[before.rfind("\n") + 1 :]))


class Rig:
    """A session's documents, a clock that is set, and what the settling says."""

    def __init__(self, **how):
        self.seconds = 0.0
        self.asked_for = None
        self.asked_times = 0
        self.finals = []
        self.refused_paths = set()
        self.settling = Settling(
            lambda final, _opened: self.finals.append(final),
            self.ask,
            may_hold=lambda workspace_id, path: workspace_id == WORKSPACE and path not in self.refused_paths,
            clock=lambda: self.seconds,
            wall_clock=lambda: EPOCH + self.seconds,
            **how,
        )

    def ask(self, deadline):
        assert self.asked_for is None or deadline < self.asked_for
        self.asked_for = deadline
        self.asked_times += 1

    def pass_time(self, seconds):
        """As an event loop would: woken at the time that was asked for."""
        until = self.seconds + seconds
        while self.asked_for is not None and self.asked_for <= until:
            self.seconds, self.asked_for = max(self.seconds, self.asked_for), None
            self.settling.wake()
        self.seconds = until

    def edit(self, document, start, end, new_text, *, path="a.py"):
        """Replace characters of the document."""
        text = document.text
        change = ContentChange(Range(position(text, start), position(text, end)), new_text)
        document.change(None, [change], lambda edit: self.settling.edited(document, path, edit))

    def type(self, document, where, new_text, **how):
        """Insert behind the first occurrence of ``where``."""
        at = document.text.index(where) + len(where)
        self.edit(document, at, at, new_text, **how)

    def open(self, document, text, prediction_id="", *, new_text=None, reason="", **members):
        """A prediction for the first occurrence of ``text``."""
        start = document.text.index(text)
        return self.open_at(
            document, start, start + len(text), prediction_id, new_text=new_text, reason=reason, **members
        )

    def open_at(self, document, start, end, prediction_id="", *, new_text=None, reason="", **members):
        text = document.text
        where = Span(*(len(text[:index].encode()) for index in (start, end)))
        returned = Returned(
            **{
                "prediction_id": prediction_id,
                "workspace_id": WORKSPACE,
                "language_id": "python",
                "prompt_format": "zeta2",
                "model": "zeta-2",
                "client_name": "Neovim",
                "inputs": PredictionInputs("a.py", text, where.start, ExcerptRanges({}), excerpt_start_row=0),
                "region": where,
                "prediction": PredictionRecord(new_region_text=new_text, reason=reason),
                **members,
            }
        )
        return self.settling.open(document, where, returned)

    @property
    def settled(self):
        return [(final.state, final.region.text_settled) for final in self.finals]


@pytest.fixture
def rig():
    return Rig()


# When it settles


def test_a_region_settles_after_ten_quiet_seconds(rig):
    document = Document(ROWS)
    rig.open(document, "row 3\nrow 4")
    rig.pass_time(9.9)
    assert rig.finals == []
    rig.pass_time(0.1)
    [final] = rig.finals
    assert (final.state, final.created_at, final.finalised_at) == ("settled", EPOCH, EPOCH + 10)
    assert (final.region.text_before, final.region.text_settled) == ("row 3\nrow 4", "row 3\nrow 4")
    assert rig.settling.open_count == 0


def test_an_edit_in_the_region_begins_the_ten_seconds_anew(rig):
    document = Document(ROWS)
    rig.open(document, "row 3\nrow 4")
    rig.pass_time(9)
    rig.type(document, "row 3", "!")
    rig.pass_time(9)
    assert rig.finals == []
    rig.pass_time(1)
    assert rig.settled == [("settled", "row 3!\nrow 4")]


def test_edits_elsewhere_do_not_reset_it_and_it_follows_them(rig):
    document, other = Document(ROWS), Document(ROWS)
    rig.open(document, "row 3\nrow 4")
    for _ in range(9):
        rig.pass_time(1)
        rig.type(document, "row 0", "\nmore")
        rig.type(document, "row 9", " more")
        rig.type(other, "row 3", "!", path="b.py")
    rig.pass_time(1)
    assert rig.settled == [("settled", "row 3\nrow 4")]


@pytest.mark.parametrize(
    ("replaced", "new_text", "settled"),
    [
        ((0, 0), "<", "<row 3\nrow 4"),
        ((11, 11), ">", "row 3\nrow 4>"),
        ((0, 11), "all", "all"),
        ((-6, 17), "", ""),
        ((-6, 17), "one", "one"),
    ],
)
def test_what_is_inserted_at_the_edges_or_in_place_of_it_belongs_to_it(rig, replaced, new_text, settled):
    document = Document(ROWS)
    rig.open(document, "row 3\nrow 4")
    rig.pass_time(5)
    start = ROWS.index("row 3")
    rig.edit(document, start + replaced[0], start + replaced[1], new_text)
    rig.pass_time(9.9)
    assert rig.finals == []
    rig.pass_time(0.1)
    assert rig.settled == [("settled", settled)]


@pytest.mark.parametrize("replaced", [(-6, 0), (11, 17)])
def test_what_ends_where_it_begins_is_elsewhere(rig, replaced):
    document = Document(ROWS)
    rig.open(document, "row 3\nrow 4")
    rig.pass_time(5)
    start = ROWS.index("row 3")
    rig.edit(document, start + replaced[0], start + replaced[1], "other")
    rig.pass_time(5)
    assert rig.settled == [("settled", "row 3\nrow 4")]


def test_settled_text_has_plain_line_ends(rig):
    document = Document("a\r\nb\r\nc\r\n")
    where = Span(0, 4)
    inputs = PredictionInputs("a.py", "a\nb\nc\n", 0, ExcerptRanges({}), excerpt_start_row=0)
    returned = Returned("", WORKSPACE, "", "f", "m", "", inputs, Span(0, 3), PredictionRecord())
    rig.settling.open(document, where, returned)
    document.change(
        None,
        [ContentChange(Range(Position(0, 1), Position(0, 1)), "\r\nnew")],
        lambda edit: rig.settling.edited(document, "a.py", edit),
    )
    rig.pass_time(10)
    assert rig.settled == [("settled", "a\nnew\nb")]


def test_the_time_to_settle_can_be_set_also_while_snapshots_are_open():
    rig = Rig(settle_seconds=2.0)
    document = Document(ROWS)
    rig.open(document, "row 3")
    rig.settling.settle_after(0.5)
    rig.asked_for = rig.settling.next_deadline()
    assert rig.asked_for == 0.5
    rig.pass_time(0.5)
    assert rig.settled == [("settled", "row 3")]
    for seconds in (0.0, -1.0, MAX_AGE_SECONDS):
        with pytest.raises(ValueError, match="settling takes"):
            rig.settling.settle_after(seconds)


# When it ends otherwise


def test_after_five_minutes_it_is_dropped(rig):
    document = Document(ROWS)
    rig.open(document, "row 3")
    for _ in range(59):
        rig.pass_time(5)
        rig.type(document, "row 3", "x")
    assert rig.settling.open_count == 1
    rig.pass_time(5)
    assert rig.settling.open_count == 0
    assert rig.finals == []
    assert rig.settling.counts.too_old == 1


def test_a_region_that_grows_over_four_kibibytes_is_dropped(rig):
    document = Document(ROWS)
    rig.open(document, "row 3")
    rig.type(document, "row 3", (MAX_REGION_BYTES - 5) * "x")
    assert rig.settling.open_count == 1
    rig.type(document, "row 3", "x")
    assert rig.settling.open_count == 0
    assert rig.settling.counts.too_large == 1
    rig.pass_time(20)
    assert rig.finals == []


def test_a_region_that_is_too_large_from_the_start_is_refused(rig):
    document = Document((MAX_REGION_BYTES + 1) * "x")
    assert rig.open_at(document, 0, MAX_REGION_BYTES + 1) is None
    assert rig.settling.last_refusal == "region is longer than 4096 bytes"
    assert rig.settling.counts.refused == 1


def test_closing_the_file_ends_it_unsettled_with_what_stood_there(rig):
    document, other = Document(ROWS), Document(ROWS)
    rig.open(document, "row 3", new_text="row 3!")
    rig.open(other, "row 5")
    rig.type(document, "row 3", "!")
    rig.pass_time(4)
    rig.settling.closed(document)
    [final] = rig.finals
    assert (final.state, final.region.text_settled, final.region.text_unsettled) == ("unsettled", None, "row 3!")
    assert final.kept_rate is None
    assert rig.settling.open_count == 1


def test_the_end_of_the_session_ends_all_unsettled(rig):
    documents = [Document(ROWS), Document(ROWS)]
    for document in documents:
        rig.open(document, "row 3")
        rig.open(document, "row 7")
    rig.settling.close()
    assert [final.state for final in rig.finals] == 4 * ["unsettled"]
    assert rig.settling.next_deadline() is None


def test_what_was_quiet_long_enough_is_settled_though_the_file_is_closed_before_the_wake_up(rig):
    document = Document(ROWS)
    rig.open(document, "row 3")
    rig.seconds = 10.0
    rig.settling.closed(document)
    assert rig.settled == [("settled", "row 3")]


def test_a_text_that_is_not_known_to_be_the_editors_is_not_kept(rig):
    document = Document(ROWS, version=5)
    rig.open(document, "row 3")
    document.change(3, [])
    assert document.sync_state is SyncState.UNSYNCED
    rig.pass_time(10)
    assert rig.finals == []
    assert rig.settling.counts.text_unknown == 1


def test_consent_taken_back_forgets_the_workspaces_snapshots_at_once(rig):
    document = Document(ROWS)
    rig.open(document, "row 3")
    rig.open(document, "row 7", workspace_id="f" * 32)
    rig.settling.discard(WORKSPACE)
    rig.pass_time(10)
    assert [final.workspace_id for final in rig.finals] == ["f" * 32]
    rig.open(document, "row 3")
    rig.settling.discard()
    rig.pass_time(10)
    assert len(rig.finals) == 1
    assert rig.settling.counts.discarded == 2


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"inputs": PredictionInputs("/home/ada/a.py", ROWS, 0, ExcerptRanges({}))}, "path is not relative"),
        ({"workspace_id": "ada"}, "workspace_id must be"),
        ({"model": "/models/zeta.gguf"}, "model must be a name"),
        ({"region": Span(0, len(ROWS) + 1)}, "region 0 to"),
    ],
)
def test_what_no_snapshot_may_hold_is_refused_and_never_raised(rig, members, reason):
    assert rig.open(Document(ROWS), "row 3", **members) is None
    assert rig.settling.last_refusal.startswith(reason)


# One place, one snapshot


def test_a_newer_prediction_takes_the_place_of_one_that_nothing_happened_to(rig):
    document = Document(ROWS)
    rig.open(document, "row 3\nrow 4", "first")
    rig.pass_time(5)
    rig.open(document, "row 4\nrow 5", "second")
    rig.pass_time(10)
    assert rig.settled == [("settled", "row 4\nrow 5")]
    assert rig.settling.counts.replaced == 1


def test_a_burst_of_typing_leaves_the_snapshot_of_its_beginning(rig):
    document = Document(ROWS)
    rig.open(document, "row 3", "0")
    for key in range(1, 9):
        rig.pass_time(0.1)
        rig.type(document, "row 3" + "x" * (key - 1), "x")
        rig.open(document, "row 3" + "x" * key, str(key))
    assert rig.settling.open_count == 1
    rig.pass_time(10)
    [final] = rig.finals
    assert (final.region.text_before, final.region.text_settled) == ("row 3", "row 3xxxxxxxx")


def test_an_accepted_prediction_takes_the_place_of_the_burst_it_came_from(rig):
    document = Document(ROWS)
    rig.open(document, "row 3", "first")
    rig.type(document, "row 3", "x")
    rig.open(document, "row 3x", "second")
    rig.type(document, "row 3x", "x")
    rig.open(document, "row 3xx", "third", new_text="row 3xxyy")
    rig.settling.shown("third")
    rig.type(document, "row 3xx", "yy")
    rig.settling.decided("third", "accepted")
    rig.pass_time(10)
    [final] = rig.finals
    assert (final.outcome, final.region.text_before, final.region.text_settled) == ("accepted", "row 3xx", "row 3xxyy")
    assert final.kept_rate == 1.0


def test_what_waited_and_was_not_accepted_is_forgotten(rig):
    document = Document(ROWS)
    rig.open(document, "row 3", "first")
    rig.type(document, "row 3", "x")
    rig.open(document, "row 3x", "second")
    rig.settling.decided("second", "rejected")
    rig.pass_time(10)
    assert [final.region.text_before for final in rig.finals] == ["row 3"]
    assert rig.settling.find("second") is None
    assert rig.settling.counts.opened == 1


def test_of_those_that_wait_in_one_place_the_newest_stays(rig):
    document = Document(ROWS)
    rig.open(document, "row 3", "first")
    rig.type(document, "row 3", "x")
    rig.open(document, "row 3x", "second")
    rig.open(document, "row 3x", "third")
    assert rig.settling.find("second") is None
    assert rig.settling.find("first").waiting is rig.settling.find("third")


def test_an_accepted_prediction_takes_the_place_of_all_it_overlaps(rig):
    document = Document(ROWS)
    rig.open(document, "row 3", "first")
    rig.open(document, "row 5", "second")
    for row in (3, 5):
        rig.type(document, f"row {row}", "x")
    rig.open(document, "row 3x\nrow 4\nrow 5x", "third")
    rig.settling.decided("third", "accepted")
    rig.pass_time(10)
    assert [final.region.text_before for final in rig.finals] == ["row 3x\nrow 4\nrow 5x"]
    assert rig.settling.counts.replaced == 2


def test_one_that_waits_and_grows_too_large_is_forgotten(rig):
    document = Document(ROWS)
    rig.open(document, "row 3", "first")
    rig.type(document, "row 3", "x")
    rig.open(document, "row 3x\nrow 4", "second")
    rig.type(document, "row 4", MAX_REGION_BYTES * "x")
    assert rig.settling.find("second") is None
    rig.pass_time(10)
    assert rig.settled == [("settled", "row 3x")]


@pytest.mark.parametrize("outcome", ["accepted", "partially_accepted", "rejected"])
def test_what_the_person_gave_a_verdict_on_keeps_its_place(rig, outcome):
    document = Document(ROWS)
    rig.open(document, "row 3", "first")
    rig.settling.decided("first", outcome)
    rig.open(document, "row 3", "second")
    if outcome != "rejected":
        rig.settling.decided("second", "accepted")
    rig.pass_time(10)
    assert [final.outcome for final in rig.finals] == [outcome]


def test_regions_apart_from_each_other_have_a_snapshot_each(rig):
    document = Document(ROWS)
    rig.open(document, "row 3")
    rig.open(document, "row 4")
    rig.pass_time(10)
    assert len(rig.finals) == 2


def test_a_prediction_has_one_snapshot_however_often_it_is_given(rig):
    document = Document(ROWS)
    assert rig.open(document, "row 3", "same") is not None
    assert rig.open(document, "row 3", "same") is None
    rig.pass_time(10)
    assert rig.open(document, "row 3", "same") is None
    assert len(rig.finals) == 1


# What becomes of the prediction


@pytest.mark.parametrize(
    ("signals", "outcome", "reason", "shown_ms", "decided_ms"),
    [
        ([], "not_shown", UNDECIDED, None, None),
        (["shown"], "ignored", UNDECIDED, 1000, None),
        (["shown", "shown"], "ignored", UNDECIDED, 1000, None),
        (["ignored"], "not_shown", "why", None, 1000),
        (["shown", "ignored"], "ignored", "why", 1000, 2000),
        (["shown", "not_shown"], "ignored", "why", 1000, 2000),
        (["accepted"], "accepted", "why", 1000, 1000),
        (["shown", "accepted"], "accepted", "why", 1000, 2000),
        (["shown", "rejected"], "rejected", "why", 1000, 2000),
        (["rejected", "accepted"], "rejected", "why", 1000, 1000),
        (["accepted", "rejected"], "accepted", "why", 1000, 1000),
        (["partially_accepted"], "partially_accepted", "why", 1000, 1000),
        (["partially_accepted", "rejected"], "partially_accepted", "why", 1000, 1000),
        (["shown", "partially_accepted", "accepted"], "accepted", "why", 1000, 3000),
        (["ignored", "shown"], "not_shown", "why", None, 1000),
    ],
)
def test_the_first_verdict_counts(rig, signals, outcome, reason, shown_ms, decided_ms):
    rig.open(Document(ROWS), "row 3", "id")
    for signal in signals:
        rig.pass_time(1)
        if signal == "shown":
            rig.settling.shown("id")
        else:
            rig.settling.decided("id", signal, "why")
    rig.pass_time(20)
    [final] = rig.finals
    assert (final.outcome, final.outcome_reason) == (outcome, reason)
    assert (final.shown_after_ms, final.decided_after_ms) == (shown_ms, decided_ms)


def test_an_empty_prediction_has_a_snapshot_with_its_reason(rig):
    rig.open(Document(ROWS), "row 3", reason="the model predicts no edit")
    rig.pass_time(10)
    [final] = rig.finals
    assert (final.outcome, final.outcome_reason) == ("not_shown", "the model predicts no edit")
    assert (final.kept_rate, final.syntax_errors) == (None, None)


def test_accepting_counts_as_an_edit_though_the_edit_is_yet_to_come(rig):
    document = Document(ROWS)
    rig.open(document, "row 3", "id")
    rig.pass_time(9.9)
    rig.settling.decided("id", "accepted")
    rig.pass_time(1)
    rig.type(document, "row 3", "!")
    rig.pass_time(10)
    assert rig.settled == [("settled", "row 3!")]


def test_signals_about_unknown_predictions_are_let_pass(rig):
    rig.settling.shown("who")
    rig.settling.decided("who", "accepted")


def test_kept_rate_and_syntax_errors_are_stored(rig):
    document = Document("def f(:\n    pass\n")
    rig.open(document, "def f(:", new_text="def f():")
    rig.type(document, "def f(", ")")
    rig.pass_time(10)
    [final] = rig.finals
    assert final.kept_rate == 1.0
    assert final.syntax_errors.before > final.syntax_errors.after


def test_the_repository_may_come_at_any_time_before_the_end():
    opened = []
    rig = Rig(on_open=opened.append)
    document = Document(ROWS)
    inputs = PredictionInputs(
        "a.py", ROWS, 0, ExcerptRanges({}), events=(EditEvent("b.py", "b.py", ""), EditEvent("a.py", "a.py", ""))
    )
    rig.open(document, "row 3", inputs=inputs)
    [snapshot] = opened
    assert snapshot.touched_paths == ("a.py", "b.py")
    rig.pass_time(5)
    snapshot.repository = Repository("https://example.org/a.git")
    rig.pass_time(5)
    [final] = rig.finals
    assert final.id == snapshot.id
    assert final.repository == Repository("https://example.org/a.git")


# What the person did next


def later(rig):
    return [
        [event.path, *(line for line in event.diff.splitlines() if line[0] in "+-")]
        for event in rig.finals[-1].later_events
    ]


def test_later_events_are_those_after_the_prediction(rig):
    document, other = Document(ROWS), Document(ROWS)
    rig.type(document, "row 1", " before")
    rig.open(document, "row 15", "far")
    rig.type(document, "row 1", "?")
    rig.pass_time(0.5)
    rig.open(document, "row 3")
    rig.type(document, "row 3", "!")
    rig.type(document, "row 3!", "!")
    rig.type(other, "row 9", " there", path="b.py")
    rig.pass_time(12)
    assert later(rig) == [["a.py", "-row 3", "+row 3!!"], ["b.py", "-row 9", "+row 9 there"]]
    far = rig.finals[0]
    assert far.region.text_before == "row 15"
    assert [event.path for event in far.later_events] == ["a.py", "a.py", "b.py"]
    rows = [" row 0", "-row 1 before", "+row 1? before", " row 2", " row 3", " row 4"]
    assert far.later_events[0].diff.splitlines()[1:] == rows


def test_at_most_four_later_events_are_kept_the_first_ones(rig):
    documents = [Document(ROWS) for _ in range(7)]
    rig.open(documents[0], "row 3")
    for number, document in enumerate(documents):
        rig.type(document, "row 9", "x", path=f"{number}.py")
    rig.pass_time(10)
    assert [event.path for event in rig.finals[0].later_events] == ["0.py", "1.py", "2.py", "3.py"]


def test_many_later_events_do_not_push_the_first_ones_out(rig):
    documents = [Document(ROWS) for _ in range(30)]
    rig.open(documents[0], "row 3")
    for number, document in enumerate(documents):
        rig.type(document, "row 9", "x", path=f"{number}.py")
    rig.pass_time(10)
    assert [event.path for event in rig.finals[0].later_events] == ["0.py", "1.py", "2.py", "3.py"]


def test_later_events_of_files_that_may_not_be_held_are_left_out(rig):
    document = Document(ROWS)
    rig.refused_paths.add("secret.py")
    rig.open(document, "row 3")
    rig.type(document, "row 9", "a")
    for path in ("secret.py", "/etc/passwd", "../b.py"):
        rig.type(Document(ROWS), "row 9", "b", path=path)
    rig.type(document, "row 9", "c")
    rig.pass_time(10)
    assert {event.path for event in rig.finals[0].later_events} == {"a.py"}
    assert rig.settling.counts.events_left_out == 3


def test_an_accepted_prediction_is_a_predicted_event(rig):
    document = Document(ROWS)
    rig.open(document, "row 3")
    rig.type(document, "row 3", "!")
    rig.type(document, "row 3!", "?")
    rig.settling.predicted(document)
    rig.settling.predicted(document)
    rig.type(document, "row 3!?", "...")
    rig.pass_time(10)
    assert [event.predicted for event in rig.finals[0].later_events] == [False, True, False]
    assert later(rig) == [
        ["a.py", "-row 3", "+row 3!"],
        ["a.py", "-row 3!", "+row 3!?"],
        ["a.py", "-row 3!?", "+row 3!?..."],
    ]


def test_what_was_done_in_a_file_that_is_closed_stays(rig):
    document, other = Document(ROWS), Document(ROWS)
    rig.open(document, "row 3")
    rig.type(other, "row 9", "x", path="b.py")
    rig.settling.closed(other)
    rig.pass_time(10)
    assert later(rig) == [["b.py", "-row 9", "+row 9x"]]


# What it costs


def test_ten_thousand_open_snapshots_cost_one_wake_up_and_no_work_for_edits_elsewhere(rig):
    text = "".join(f"row {row}\n" for row in range(100))
    documents = [Document(text) for _ in range(100)]
    inputs = PredictionInputs("a.py", text, 0, ExcerptRanges({}), excerpt_start_row=0)
    starts = [text.index(f"row {row}\n") for row in range(100)]
    for document in documents:
        for start in starts:
            rig.open_at(document, start, start + 4, inputs=inputs)
    assert rig.settling.open_count == 10_000
    elsewhere = Document(ROWS)
    for _ in range(1000):
        rig.pass_time(0.005)
        rig.type(elsewhere, "row 3", "x", path="b.py")
    deadlines, counts = rig.settling.deadlines, rig.settling.counts
    assert (rig.asked_times, counts.wake_ups, deadlines.pushes, deadlines.pops) == (1, 0, 10_000, 0)
    rig.pass_time(10)
    assert (rig.asked_times, counts.wake_ups, deadlines.pushes, deadlines.pops) == (1, 1, 10_000, 10_000)
    assert len(rig.finals) == counts.settled == 10_000


def test_typing_in_a_region_moves_no_deadline(rig):
    document = Document(ROWS)
    rig.open(document, "row 3")
    for _ in range(600):
        rig.pass_time(0.1)
        rig.type(document, "row 3", "x")
    assert rig.settling.counts.wake_ups <= 6
    assert rig.settling.deadlines.pushes == rig.settling.deadlines.pops + 1 <= 7


# Any script, against a model that looks at everything again each time


class TextWithMarks:
    """A text and the marks in its gaps, as one list of sets; regions are found by walking it."""

    def __init__(self, text):
        self.cells = list(text)
        self.gaps = [set() for _ in range(len(text) + 1)]

    def mark(self, name, start, end):
        self.gaps[start].add((name, "start"))
        self.gaps[end].add((name, "end"))

    def unmark(self, name):
        for gap in self.gaps:
            gap -= {(name, "start"), (name, "end")}

    def where(self, name):
        [start] = [index for index, gap in enumerate(self.gaps) if (name, "start") in gap]
        [end] = [index for index, gap in enumerate(self.gaps) if (name, "end") in gap]
        return start, end

    def text_of(self, name):
        start, end = self.where(name)
        return "".join(self.cells[start:end])

    def is_in(self, start, end, first, last):
        """Whether replacing the cells ``start`` to ``end`` changes the text between two gaps."""
        if start == end:
            return first <= start <= last
        return start < first < end or any(first <= cell < last for cell in range(start, end))

    def edit(self, start, end, new_text, names):
        """Which of ``names`` it was made in."""
        if self.cells[start:end] == list(new_text):
            return []
        touched = [name for name in names if self.is_in(start, end, *self.where(name))]
        if start == end:
            left = {mark for mark in self.gaps[start] if mark[1] == "start"}
            right = self.gaps[start] - left
        else:
            inner = set().union(*self.gaps[start + 1 : end])
            left = self.gaps[start] | {mark for mark in inner if mark[1] == "start"}
            right = self.gaps[end] | {mark for mark in inner if mark[1] == "end"}
        between = [left, *(set() for _ in new_text[1:]), right] if new_text else [left | right]
        self.gaps[start : end + 1] = between
        self.cells[start:end] = new_text
        return touched


MAX_MODEL_BYTES = 24
TEXTS = st.text("ab\n\u00e9\U0001f600", max_size=8)


class SettlingMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.limit = mock.patch("capture.settling.settling.MAX_REGION_BYTES", MAX_MODEL_BYTES)
        self.limit.start()
        self.rig = Rig()
        self.documents = [Document("ab\nab\nab\n"), Document("")]
        self.models = [TextWithMarks(document.text) for document in self.documents]
        self.names = 0
        self.open = []  # dicts, oldest first
        self.expected = []
        self.ends = 0

    def teardown(self):
        self.limit.stop()

    def of(self, index):
        return [entry for entry in self.open if entry["document"] == index]

    def end(self, entry):
        self.open.remove(entry)
        self.ends += 1
        for one in (entry, entry["waiting"]):
            if one is not None:
                self.models[one["document"]].unmark(one["name"])

    def finish(self, entry, now):
        text = self.models[entry["document"]].text_of(entry["name"])
        if now < entry["opened"] + MAX_AGE_SECONDS:
            state = "settled" if now >= entry["edited"] + 10 else "unsettled"
            outcome = entry["outcome"] or ("ignored" if entry["shown"] else "not_shown")
            self.expected.append((entry["name"], state, text, now - entry["opened"], outcome))
        self.end(entry)

    def place(self, index, data):
        """Anywhere, or where a snapshot is."""
        entries = self.of(index)
        if entries and data.draw(st.booleans()):
            return self.models[index].where(data.draw(st.sampled_from(entries))["name"])
        length = len(self.documents[index].text)
        return sorted((data.draw(st.integers(0, length)), data.draw(st.integers(0, length))))

    @rule(index=st.integers(0, 1), new_text=TEXTS, data=st.data())
    def edit(self, index, new_text, data):
        start, end = self.place(index, data)
        model = self.models[index]
        entries = [one for entry in self.of(index) for one in (entry, entry["waiting"]) if one is not None]
        touched = model.edit(start, end, new_text, [entry["name"] for entry in entries])
        for entry in entries:
            if entry["name"] in touched:
                entry["edited"] = self.rig.seconds
        for entry in self.of(index):
            if len(model.text_of(entry["name"]).encode()) > MAX_MODEL_BYTES:
                self.end(entry)
            elif entry["waiting"] and len(model.text_of(entry["waiting"]["name"]).encode()) > MAX_MODEL_BYTES:
                model.unmark(entry["waiting"]["name"])
                entry["waiting"] = None
        self.rig.edit(self.documents[index], start, end, new_text, path=f"{index}.py")

    @rule(index=st.integers(0, 1), data=st.data())
    def returned(self, index, data):
        start, end = self.place(index, data)
        model, text = self.models[index], self.documents[index].text[start:end]
        self.names += 1
        name = str(self.names)
        self.rig.open_at(self.documents[index], start, end, name)
        if len(text.encode()) > MAX_MODEL_BYTES:
            return
        entry = {
            "name": name,
            "document": index,
            "before": text,
            "opened": self.rig.seconds,
            "edited": self.rig.seconds,
            "outcome": None,
            "shown": False,
            "waiting": None,
        }
        rivals = self.meeting(index, start, end)
        model.mark(name, start, end)
        for rival in rivals:
            if (
                rival["outcome"] not in (None, "not_shown", "ignored")
                or model.text_of(rival["name"]) != rival["before"]
            ):
                if rival["waiting"] is not None:
                    model.unmark(rival["waiting"]["name"])
                rival["waiting"] = entry
                return
        for rival in rivals:
            self.end(rival)
        self.open.append(entry)

    def meeting(self, index, start, end):
        places = [(entry, *self.models[index].where(entry["name"])) for entry in self.of(index)]
        return [entry for entry, first, last in places if first <= end and start <= last]

    @precondition(lambda self: self.open)
    @rule(signal=st.sampled_from(["shown", "accepted", "partially_accepted", "rejected", "ignored"]), data=st.data())
    def told(self, signal, data):
        entries = [one for entry in self.open for one in (entry, entry["waiting"]) if one is not None]
        entry = data.draw(st.sampled_from(entries))
        if signal == "shown":
            self.rig.settling.shown(entry["name"])
            entry["shown"] = entry["shown"] or entry["outcome"] is None
            return
        self.rig.settling.decided(entry["name"], signal)
        if entry["outcome"] is None or (entry["outcome"], signal) == ("partially_accepted", "accepted"):
            entry["outcome"] = "not_shown" if signal == "ignored" and not entry["shown"] else signal
            entry["shown"] = entry["shown"] or signal != "ignored"
        if not signal.endswith("accepted"):
            return
        entry["edited"] = self.rig.seconds
        behind = [other for other in self.open if other["waiting"] is entry]
        if behind:
            index = entry["document"]
            meeting = self.meeting(index, *self.models[index].where(entry["name"]))
            rivals = [other for other in self.of(index) if other in behind or other in meeting]
            if not any((rival["outcome"] or "").endswith("accepted") for rival in rivals):
                behind[0]["waiting"] = None
                for rival in rivals:
                    self.end(rival)
                self.open.append(entry)

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.5, 10.0, 120.0, 299.5, 300.0]))
    def pass_time(self, seconds):
        until = self.rig.seconds + seconds
        self.rig.pass_time(seconds)
        while True:
            due = [(min(entry["edited"] + 10, entry["opened"] + MAX_AGE_SECONDS), entry) for entry in self.open]
            due = [(time_due, entry) for time_due, entry in due if time_due <= until]
            if not due:
                return
            time_due, entry = min(due, key=lambda pair: pair[0])
            self.finish(entry, time_due)

    @rule(index=st.integers(0, 1))
    def reopen(self, index):
        self.rig.settling.closed(self.documents[index])
        for entry in self.of(index):
            self.finish(entry, self.rig.seconds)
        self.documents[index] = Document("a\nb")
        self.models[index] = TextWithMarks("a\nb")

    @invariant()
    def same_snapshots_are_open(self):
        settling = self.rig.settling
        assert settling.open_count == len(self.open)
        for entry in self.open:
            document, model = self.documents[entry["document"]], self.models[entry["document"]]
            assert "".join(model.cells) == document.text
            for one in (entry, entry["waiting"]):
                if one is not None:
                    assert settling.find(one["name"]).region.text_in(document) == model.text_of(one["name"])
            waiting = settling.find(entry["name"]).waiting
            assert (waiting and waiting.prediction_id) == (entry["waiting"] and entry["waiting"]["name"])

    @invariant()
    def no_other_is_known(self):
        known = {one["name"] for entry in self.open for one in (entry, entry["waiting"]) if one is not None}
        assert {str(name) for name in range(self.names + 1) if self.rig.settling.find(str(name))} == known

    @invariant()
    def same_snapshots_were_finished(self):
        counts = self.rig.settling.counts
        by_id = {final.id: final for final in self.rig.finals}
        assert len(by_id) == len(self.rig.finals)
        found = [
            (
                final.state,
                final.region.text_settled if final.state == "settled" else final.region.text_unsettled,
                final.finalised_at - final.created_at,
                final.outcome,
            )
            for final in self.rig.finals
        ]
        assert sorted(found) == sorted(expected[1:] for expected in self.expected)
        assert counts.opened == len(self.open) + self.ends
        assert counts.settled + counts.unsettled == len(self.expected)

    @invariant()
    def the_next_wake_up_is_asked_for_in_time(self):
        if self.open:
            due = min(min(entry["edited"] + 10, entry["opened"] + MAX_AGE_SECONDS) for entry in self.open)
            assert self.rig.asked_for <= due


TestSettlingMachine = SettlingMachine.TestCase
TestSettlingMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


# By the real clock


async def test_the_real_ten_seconds_pass():
    finished = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()
    settling = Settling(
        lambda final, _opened: finished.set_result(final),
        lambda deadline: loop.call_at(deadline, settling.wake),
        may_hold=lambda *_: True,
    )
    document = Document(ROWS)
    inputs = PredictionInputs("a.py", ROWS, 0, ExcerptRanges({}), excerpt_start_row=0)
    returned = Returned("", WORKSPACE, "", "f", "m", "", inputs, Span(0, 5), PredictionRecord())
    began = time.monotonic()
    settling.open(document, Span(0, 5), returned)
    document.apply(ContentChange(Range(Position(9, 0), Position(9, 0)), "elsewhere"))
    final = await asyncio.wait_for(finished, timeout=30)
    assert time.monotonic() - began >= 10
    assert (final.state, final.region.text_settled) == ("settled", "row 0")
    assert final.finalised_at - final.created_at >= 10
