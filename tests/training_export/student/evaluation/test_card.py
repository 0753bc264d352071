"""What stands in a model card, and that nothing in it can break it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.registry import EMBEDDED_PATH
from training_export.errors import ExamplesUnreadable
from training_export.student.evaluation.card import CardFacts, card, write_card
from training_export.student.evaluation.evaluation import Evaluation
from training_export.student.evaluation.failures import known_failures
from training_export.student.evaluation.gate import Gate
from training_export.student.evaluation.markdown import block, cell, code, table
from training_export.student.evaluation.model_facts import read_model
from training_export.student.evaluation.run_facts import read_run
from training_export.student.evaluation.shares import Share

ORIGIN = {
    "project": "flask", "name": "Flask", "version": "3.1.0", "registry": "pypi", "licence": "BSD-3-Clause",
    "languages": ("python",), "files": 24, "bytes": 345678, "side": "test",
}  # fmt: skip


@pytest.fixture
def evaluation(moments, make_judged):
    """Right in half of the renames; in the other half, wrong with confidences 0.5 to 0.57."""
    cases = [
        make_judged(moment, moment.expected if number % 2 else moment.current + "`~~~`|", 0.5 + number / 100)
        for number, moment in enumerate(moments[0:24:3])
    ]
    return Evaluation(EMBEDDED_PATH, "c0ffee", 0.25, tuple(cases))


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    settings = {
        "recipe": {},
        "seed": 7,
        "base": None,
        "sources": ["train.jsonl.zst"],
        "replay": [],
        "number_type": "bfloat16",
    }
    (folder / "run.json").write_text(json.dumps(settings))
    lines = [{"step": 20, "tokens": 1_000_000, "seconds": 60.0}, {"step": 40, "tokens": 2_500_000, "seconds": 600.0}]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "curves.svg").write_text("<svg/>")
    return folder


@pytest.fixture
def facts(run_folder):
    return CardFacts(
        model=read_model(EMBEDDED_PATH),
        run=read_run(run_folder),
        commands=("foretype train --from train.jsonl.zst --out runs/student",),
        hardware="two cores",
        machine="this machine",
        origins=(ORIGIN,),
        evaluated_by="foretype model evaluate student.gguf --cases test.jsonl.zst",
    )


def test_the_card_holds_what_was_measured(evaluation, facts) -> None:
    text = card(evaluation, facts)
    assert "40 steps, 2.5 million tokens, seed 7" in text
    assert "10 minutes in bfloat16" in text
    assert "| rename | 8 | 50.0 % (21.5 to 78.5) |" in text
    assert f"{EMBEDDED_PATH.stat().st_size:,} bytes" in text
    assert "| flask | pypi Flask 3.1.0 | BSD-3-Clause | python | test | 24 | 345,678 |" in text
    assert "foretype train --from train.jsonl.zst --out runs/student" in text
    assert "foretype model evaluate student.gguf" in text
    assert "below 0.25 are not shown" in text
    for title in ("What it is for", "Goals", "Scores", "How sure it is", "How fast", "Known failures", "Limits"):
        assert f"\n## {title}" in text


def test_the_same_evaluation_gives_the_same_card_and_all_drawings_it_names(evaluation, facts, tmp_path) -> None:
    path = tmp_path / "MODEL_CARD.md"
    written = write_card(path, evaluation, facts)
    assert path.read_text() == card(replace(evaluation), facts)
    assert {one.name for one in written} == {"MODEL_CARD.md", "reliability.svg", "curves.svg"}
    assert all(f"]({one.name})" in path.read_text() for one in written if one != path)


def test_a_gate_that_was_chosen_is_told_with_both_halves(evaluation, facts) -> None:
    chosen = replace(evaluation, gate=Gate(0.25, Share(3, 4)))
    assert "75.0 % of 4 shown edits" in card(chosen, facts)
    left = chosen.shown_on(is_calibration=False)
    assert f"of {left.total}." in card(chosen, facts)


def test_known_failures_are_the_surest_of_different_files(evaluation) -> None:
    found = known_failures(evaluation.cases, per_task=3)
    assert [failure.confidence for failure in found] == pytest.approx([0.56, 0.54, 0.52])
    assert len({failure.path for failure in found}) == 3
    assert known_failures(tuple(reversed(evaluation.cases)), per_task=3) == found
    assert all("`~~~`|" in failure.predicted for failure in found)


def test_a_folder_that_is_no_run_is_named(tmp_path, run_folder) -> None:
    with pytest.raises(ExamplesUnreadable, match="no whole training run"):
        read_run(tmp_path)
    (run_folder / "log.jsonl").write_text("")
    with pytest.raises(ExamplesUnreadable, match="no whole training run"):
        read_run(run_folder)


def test_the_model_says_what_it_is() -> None:
    found = read_model(EMBEDDED_PATH)
    assert found.prompt_format == "line_edits"
    assert found.size_bytes == EMBEDDED_PATH.stat().st_size
    assert sum(share for _, share in found.number_types) == pytest.approx(1.0)
    assert min(found.layers, found.width, found.heads, found.vocabulary_tokens, found.context_tokens) > 0


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_whatever_stands_in_a_table_it_keeps_its_rows_and_columns(rows) -> None:
    lines = table(("one", "two"), rows).split("\n")
    assert len(lines) == 2 + len(rows)
    for line in lines:
        unescaped = line.replace("\\\\", "").replace("\\|", "")
        assert unescaped.count("|") == 3


@given(st.text())
def test_a_block_ends_where_its_text_ends(text) -> None:
    fence, *inner, last = block(text).split("\n")
    assert fence == last
    assert set(fence) == {"`"}
    assert not any(fence in line for line in inner)
    assert "\n".join(inner) == text


@given(st.text(min_size=1))
def test_code_within_a_line_is_one_line(text) -> None:
    assert len(code(text).splitlines()) <= 1
    assert len(cell(text).splitlines()) <= 1


def test_the_card_is_written_beside_its_drawings_only(evaluation, facts, tmp_path) -> None:
    folder: Path = tmp_path / "card"
    folder.mkdir()
    write_card(folder / "CARD.md", evaluation, replace(facts, run=None))
    assert sorted(path.name for path in folder.iterdir()) == ["CARD.md", "reliability.svg"]
