"""The gate: how it is chosen, and how it gets into a GGUF."""

from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.messages import ModelSettings
from daemon.registry import EMBEDDED_PATH
from training_export.errors import ModelUnusable
from training_export.student.evaluation.gate import (
    STEPS,
    Sure,
    checksum_without_limit,
    is_for_calibration,
    lowest_gate,
    read_limit,
    shown_at,
    ungated,
    write_limit,
)
from training_export.student.evaluation.shares import Share

edits = st.lists(st.builds(Sure, st.floats(0, 1), st.booleans()), max_size=60)


@pytest.fixture
def student(tmp_path: Path) -> Path:
    path = tmp_path / "student.gguf"
    shutil.copyfile(EMBEDDED_PATH, path)
    return path


@given(edits, st.floats(0.05, 1.0))
def test_at_the_gate_enough_is_right_and_at_no_lower_one(found: list[Sure], wanted: float) -> None:
    gate = lowest_gate(found, wanted)
    limits = [step / STEPS for step in range(STEPS)]
    enough = [limit for limit in limits if (shown := shown_at(limit, found)).total and shown.value >= wanted]
    if gate is None:
        assert not enough
        return
    shown = [edit for edit in found if edit.confidence >= gate.limit]
    assert sum(edit.is_right for edit in shown) >= wanted * len(shown) > 0
    assert gate.limit == min(enough)
    assert gate.shown == Share.of(edit.is_right for edit in shown)


def test_who_wants_certainty_gets_a_higher_gate_or_none() -> None:
    rows = [Sure(0.3, is_right=number % 10 < 8) for number in range(40)]
    rows += [Sure(0.9, is_right=True) for _ in range(20)]
    by_share, certain = lowest_gate(rows), lowest_gate(rows, estimate=Share.lower_bound)
    assert by_share is not None
    assert certain is not None
    assert by_share.limit == 0.0
    assert 0.3 < certain.limit <= 0.9
    assert lowest_gate(rows[-3:], estimate=Share.lower_bound) is None, "three of three may be luck"


@given(st.text(), st.text())
def test_all_cases_of_a_file_are_in_one_half(project: str, path: str) -> None:
    file = f"{project}\0{path}"
    assert is_for_calibration(file) is is_for_calibration(file)


def test_both_halves_get_about_as_many_files() -> None:
    halves = Share.of(is_for_calibration(f"shop\0file_{number}.py") for number in range(1000))
    assert 0.45 < halves.value < 0.55


def test_a_gate_is_written_into_the_model_and_nothing_else_changes(student: Path) -> None:
    before, checksum = student.read_bytes(), checksum_without_limit(student)
    write_limit(student, 0.37)
    after = student.read_bytes()
    assert read_limit(student) == pytest.approx(0.37)
    assert len(after) == len(before)
    assert 1 <= sum(one != other for one, other in zip(before, after, strict=True)) <= 4
    assert checksum_without_limit(student) == checksum


def test_another_model_has_another_checksum(student: Path) -> None:
    checksum = checksum_without_limit(student)
    content = bytearray(student.read_bytes())
    content[-1] ^= 1
    student.write_bytes(content)
    assert checksum_without_limit(student) != checksum


def test_a_model_is_asked_without_its_gate_and_keeps_it(student: Path) -> None:
    write_limit(student, 0.5)
    with ungated(ModelSettings(str(student))) as model:
        copy = Path(model.path)
        assert copy != student
        assert read_limit(copy) == 0.0
    assert not copy.exists()
    assert read_limit(student) == 0.5
    write_limit(student, 0.0)
    with ungated(ModelSettings(str(student))) as model:
        assert Path(model.path) == student, "what has no gate need not be copied"


def test_a_model_without_a_place_for_the_gate_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert read_limit(path) is None
    assert checksum_without_limit(path)
    with pytest.raises(ModelUnusable, match=r"other\.gguf has no field foretype\.min_confidence.*anew"):
        write_limit(path, 0.5)


def test_what_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.gguf"
    path.write_bytes(b"GGUF, but not really" * 10)
    with pytest.raises(ModelUnusable, match=r"none\.gguf"):
        read_limit(path)
    with pytest.raises(ModelUnusable, match=r"missing\.gguf"):
        read_limit(tmp_path / "missing.gguf")
