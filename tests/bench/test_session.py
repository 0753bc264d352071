"""Sessions as files: where they are found, and what is refused."""

from __future__ import annotations

import pytest

from bench.session import FOLDER, read_sessions
from capture.editing.document import Document
from capture.typing_session import sha256

SESSIONS = read_sessions()


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.name)
def test_every_session_of_the_folder_replays_to_its_final_text(session):
    document = Document(session.header.text)
    for number, keystroke in enumerate(session.keystrokes, start=1):
        if keystroke.change is not None:
            document.change(number, [keystroke.change])
        assert document.clamp(keystroke.cursor) == keystroke.cursor
    assert sha256(document.text) == session.header.final_text_sha256
    assert len(session.keystrokes) == session.header.keystrokes


def test_a_name_is_one_of_the_folder_and_a_path_may_lie_anywhere(tmp_path):
    elsewhere = tmp_path / "mine.jsonl"
    elsewhere.write_bytes((FOLDER / "c_ring.jsonl").read_bytes())
    assert read_sessions([str(elsewhere), "c_ring"]) == 2 * read_sessions(["c_ring"])
    assert read_sessions(folder=tmp_path) == read_sessions(["c_ring"])


def test_a_path_there_is_not_is_an_error_of_the_file_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_sessions([str(tmp_path / "none.jsonl")])


@pytest.mark.parametrize("content", ["", "{}\n", "not json\n", '{"session": "x"}\n', "[1]\n"])
def test_a_file_that_holds_no_session_is_named(tmp_path, content):
    path = tmp_path / "odd.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"odd\.jsonl holds no typing session"):
        read_sessions([str(path)])
