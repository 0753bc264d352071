"""Times that the benchmark of keystrokes has written."""

from __future__ import annotations

import json

import pytest

from training_export.errors import ExamplesUnreadable
from training_export.student.evaluation.keystrokes import read_keystrokes


@pytest.fixture
def write(tmp_path):
    def write(name, system="foretype", p50=14.2):
        cell = {
            "model": "student",
            "system": system,
            "sessions": ["python_basket"],
            "summary": {"keystrokes": 75, "wait_ms": {"p50": p50, "p95": 56.2, "p99": 78.4}},
            "environment": {"machine": "x86_64, 2 cores, Linux", "threads": 2},
        }
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(cell))
        return path

    return write


def test_our_cell_of_a_folder_is_read(write, tmp_path) -> None:
    write("student--foretype")
    write("student--llama-server", system="llama-server")
    (tmp_path / "settings.json").write_text('{"best": {}}')
    found = read_keystrokes(tmp_path)
    assert (found.p50_ms, found.p95_ms, found.count, found.threads) == (14.2, 56.2, 75, 2)
    assert read_keystrokes(tmp_path / "student--foretype.json") == found


def test_none_and_several_are_refused_with_what_to_do(write, tmp_path) -> None:
    with pytest.raises(ExamplesUnreadable, match=r"holds 0 \(none\).*bench\.keystrokes"):
        read_keystrokes(tmp_path)
    write("one")
    write("two")
    with pytest.raises(ExamplesUnreadable, match=r"holds 2 \(student, student\)"):
        read_keystrokes(tmp_path)


def test_a_model_that_never_answered_has_no_times(write) -> None:
    with pytest.raises(ExamplesUnreadable, match="holds 0"):
        read_keystrokes(write("silent", p50=None))


@pytest.mark.parametrize("content", ["", "{", '{"system": "foretype", "summary": {}}'])
def test_what_is_damaged_is_named(tmp_path, content) -> None:
    path = tmp_path / "torn.json"
    path.write_text(content)
    with pytest.raises(ExamplesUnreadable, match=r"torn\.json"):
        read_keystrokes(path)
