"""Recorded vectors and moments of editing for the tests of prompt formats."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from capture.inputs import ExcerptRanges, PredictionInputs, Span

CONFORMANCE = Path(__file__).parents[2] / "conformance"


@pytest.fixture(scope="session")
def replay() -> Callable:
    """Run the vectors of one function through an implementation; gives back how many there were.

    ``implementation(input, output)`` gives the output, or raises one of ``errors`` where the vector fails.
    """

    def run(file_name: str, function: str, implementation: Callable, errors=(), only=None) -> int:
        replayed = 0
        for line in (CONFORMANCE / file_name).read_text(encoding="utf-8").split("\n"):
            if not line or (vector := json.loads(line))["function"] != function:
                continue
            if only is not None and not only(vector["input"]):
                continue
            replayed += 1
            if isinstance(vector["output"], dict) and "error" in vector["output"]:
                with pytest.raises(errors):
                    implementation(vector["input"])
            else:
                assert implementation(vector["input"]) == vector["output"], vector["id"]
        return replayed

    return run


@pytest.fixture(scope="session")
def moment() -> Callable:
    """Inputs whose region is the whole excerpt; ``¦`` in the text is the cursor."""

    def build(marked: str, **fields) -> PredictionInputs:
        before, _, after = marked.partition("¦")
        whole = Span(0, len((before + after).encode()))
        keys = ("editable_350", "editable_350_context_150")
        return PredictionInputs(
            cursor_path=fields.pop("cursor_path", "src/a.py"),
            cursor_excerpt=before + after,
            cursor_offset_in_excerpt=len(before.encode()),
            excerpt_ranges=fields.pop("excerpt_ranges", ExcerptRanges(dict.fromkeys(keys, whole))),
            **fields,
        )

    return build


@pytest.fixture(scope="session")
def engine_cut() -> Callable:
    """An answer as the engine hands it over: cut before the first stop string."""

    def cut(answer: str, stop: tuple[str, ...]) -> str:
        return answer[: min([answer.find(text) for text in stop if text in answer], default=len(answer))]

    return cut
