"""Simulated sessions: the same bytes from the same scripts, and texts that our own documents arrive at, too."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.session import FOLDER, Keystroke, Session, read_sessions, sha256
from bench.typist import CHARACTERS_PER_WORD, KEYSTROKES, Typist, make_all, make_session
from capture.editing.document import Document

SESSIONS = read_sessions()
SIMULATED = [session for session in SESSIONS if session.header.simulated]  # a person may have added another kind
by_name = pytest.mark.parametrize("session", SIMULATED, ids=lambda session: session.name)


def replayed(text, keystrokes):
    """The text after all keystrokes, as our documents apply them; each must leave the cursor where it says."""
    document = Document(text)
    for number, keystroke in enumerate(keystrokes, start=1):
        if keystroke.change is not None:
            document.change(number, [keystroke.change])
            end = document.offset_bytes(keystroke.change.range.start) + len(keystroke.change.text.encode())
            assert document.position_at(end) == keystroke.cursor
        assert document.clamp(keystroke.cursor) == keystroke.cursor
    return document.text


def test_the_files_are_what_the_scripts_make():
    made = make_all()
    assert sorted(made) == sorted(session.name for session in SIMULATED)
    for name, session in made.items():
        assert (FOLDER / f"{name}.jsonl").read_bytes() == session.to_bytes(), f"run: python -m bench.typist ({name})"


def test_there_are_ten_sessions_or_more_and_six_are_python():
    languages = [session.header.language_id for session in SIMULATED]
    assert len(SIMULATED) >= 10
    assert languages.count("python") >= 6
    assert len(set(languages)) >= 5


@by_name
def test_a_session_leads_to_its_final_text(session):
    assert sha256(replayed(session.header.text, session.keystrokes)) == session.header.final_text_sha256


@by_name
def test_a_session_says_that_it_is_simulated_and_how_fast(session):
    assert "simulated" in session.header.simulated
    assert 60 <= session.header.words_per_minute <= 120
    assert len(session.keystrokes) == session.header.keystrokes == KEYSTROKES
    pairs = pairwise(session.keystrokes)
    intervals = [after.at_ms - before.at_ms for before, after in pairs if before.kind == after.kind == "type"]
    wanted_ms = 60_000 / (session.header.words_per_minute * CHARACTERS_PER_WORD)
    assert wanted_ms == pytest.approx(statistics.median(intervals), rel=0.25)


@by_name
def test_a_session_types_erases_jumps_accepts_and_takes_back(session):
    assert {keystroke.kind for keystroke in session.keystrokes} == {"type", "erase", "move", "accept", "undo"}


@by_name
def test_time_never_runs_backwards_and_people_pause(session):
    times = [keystroke.at_ms for keystroke in session.keystrokes]
    assert times == sorted(times)
    assert max(after - before for before, after in pairwise(times)) >= 500


def test_a_session_file_reads_back_as_it_was_written():
    for session in SESSIONS:
        assert Session.from_bytes(session.to_bytes()) == session


def test_a_session_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match=r"no session python_basquet; there are: .*python_basket"):
        read_sessions(["python_basquet"])


def test_an_unknown_kind_of_keystroke_is_refused():
    with pytest.raises(ValueError, match="'sing' is no kind of keystroke"):
        Keystroke.from_json({"at_ms": 1, "kind": "sing", "cursor": [0, 0]})


def test_a_rename_is_accepted_group_by_group_as_predictions_show_them():
    text = "old = 1\nuse(old)\n\n\n\nprint(old)\n"
    typist = Typist(text, seed=1, words_per_minute=100)
    typist.do({"replace": ["old", "new"], "everywhere": True})
    assert typist.text == text.replace("old", "new")
    accepted = [keystroke.change.text for keystroke in typist.keystrokes if keystroke.kind == "accept"]
    assert accepted == ["new", "new"]


def test_occurrences_on_neighbouring_rows_are_accepted_as_one_edit():
    typist = Typist("old\n\n\n\nold = 1\nuse(old)\n", seed=1, words_per_minute=100)
    typist.do({"replace": ["old", "new"], "everywhere": True})
    [accept] = [keystroke for keystroke in typist.keystrokes if keystroke.kind == "accept"]
    assert accept.change.text == "new = 1\nuse(new"
    assert typist.text == "new\n\n\n\nnew = 1\nuse(new)\n"


def test_undo_takes_back_what_was_typed_since_the_last_jump():
    typist = Typist("first\nsecond\n", seed=1, words_per_minute=100)
    typist.do({"at": "first", "type": " line, and\nmore"})
    typist.do({"undo": True})
    assert typist.text == "first\nsecond\n"
    assert [keystroke.kind for keystroke in typist.keystrokes].count("undo") == 1


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        ({"at": "nowhere"}, "'nowhere' stands 0 times"),
        ({"at": "a", "occurrence": 3}, "stands 1 times in the text, not 3"),
        ({"replace": ["b", "c"]}, "'b' is not in the text"),
        ({"replace": ["a", "a b"], "everywhere": True}, "would never end"),
        ({"undo": True}, "nothing to undo"),
        ({"dance": True}, "unknown in an action: dance"),
    ],
)
def test_a_wrong_action_is_named_with_its_session(action, complaint):
    script = {"text": "a\n", "seed": 1, "words_per_minute": 60, "do": [action]}
    with pytest.raises(ValueError, match=f"^wrong, action 1 .*{complaint}"):
        make_session("wrong", script)


def test_a_script_that_is_too_short_is_refused():
    script = {"text": "a\n", "seed": 1, "words_per_minute": 60, "do": [{"at": "a", "type": "bc"}]}
    with pytest.raises(ValueError, match="short has 3 keystrokes; a session has 200"):
        make_session("short", script)


words = st.text(alphabet="ab é\U0001f950\n", max_size=8)
actions = st.one_of(
    st.fixed_dictionaries({"type": words}),
    st.fixed_dictionaries({"accept": words}),
    st.fixed_dictionaries({"erase": st.integers(0, 4)}),
    st.fixed_dictionaries({"at": st.sampled_from("ab\n")}),
    st.fixed_dictionaries({"replace": st.tuples(st.sampled_from(["a", "ab"]), words), "everywhere": st.just(True)}),
    st.just({"undo": True}),
)


@given(text=words, script=st.lists(actions, max_size=12), seed=st.integers(0, 99))
def test_whatever_is_done_our_documents_arrive_at_the_same_text(text, script, seed):
    typist = Typist(text, seed=seed, words_per_minute=90)
    for action in script:
        try:
            typist.do(action)
        except ValueError:  # what it refers to is not in this text, or there is nothing to take back
            continue
    assert replayed(text, typist.keystrokes) == typist.text
