"""Editable and context ranges equal those recorded from Zed's own code."""

from collections import Counter
from pathlib import Path

import orjson
import pytest

from capture.editing.excerpt import editable_and_context_ranges, excerpt_ranges, ranges_of_inputs
from capture.inputs import PredictionInputs, Span

CONFORMANCE = Path(__file__).parents[1] / "conformance"
VECTORS = [orjson.loads(line) for line in (CONFORMANCE / "prompt.jsonl").read_bytes().split(b"\n") if line.strip()]
RANGE_VECTORS = [
    vector for vector in VECTORS if vector["function"] in {"excerpt_ranges", "editable_and_context_ranges"}
]

# The region formats ask for (editable tokens, context tokens); the others choose their region differently.
BUDGETS = {
    "V0112MiddleAtEnd": (150, 350),
    "V0113Ordered": (150, 350),
    "V0114180EditableRegion": (180, 350),
} | dict.fromkeys(
    [
        "V0120GitMergeMarkers",
        "V0131GitMergeMarkersPrefix",
        "V0211Prefill",
        "V0211SeedCoder",
        "V0331SeedCoderModelPy",
        "v0226Hashline",
        "V0304SeedNoEdits",
        "V0306SeedMultiRegions",
        "V0316SeedMultiRegions",
        "V0317SeedMultiRegions",
        "V0318SeedMultiRegions",
        "V0420Diagnostics",
        "V0608QwenMultiRegions",
    ],
    (350, 150),
)
PROMPT_VECTORS = [
    vector
    for vector in VECTORS
    if vector["function"] == "format_prompt"
    and vector["input"]["format"] in BUDGETS
    and vector["output"].get("editable_range_in_excerpt") is not None
]


def spans(values):
    return [Span.from_json(value) for value in values]


@pytest.mark.parametrize("vector", RANGE_VECTORS, ids=lambda vector: vector["id"])
def test_ranges_equal_the_recorded_ones(vector):
    given, expected = vector["input"], vector["output"]
    where = (given["text"], given["cursor_offset"], spans(given["syntax_ranges"]))
    if vector["function"] == "excerpt_ranges":
        assert excerpt_ranges(*where).to_json() == expected
        return
    editable, context = editable_and_context_ranges(*where, given["editable_tokens"], given["context_tokens"])
    assert {"editable_range": editable.to_json(), "context_range": context.to_json()} == expected


@pytest.mark.parametrize("vector", PROMPT_VECTORS, ids=lambda vector: vector["id"])
def test_the_region_of_a_recorded_prompt_is_found_again(vector):
    inputs = PredictionInputs.from_json(vector["input"]["prompt_input"])
    found = ranges_of_inputs(inputs, *BUDGETS[vector["input"]["format"]])
    assert found is not None
    editable, context = found
    assert editable.to_json() == vector["output"]["editable_range_in_excerpt"]
    assert context.to_json() == vector["output"]["context_range_in_excerpt"]


def test_every_vector_was_replayed():
    counts = Counter(vector["function"] for vector in RANGE_VECTORS + PROMPT_VECTORS)
    assert counts["excerpt_ranges"] == 4
    assert counts["editable_and_context_ranges"] == 3
    assert counts["format_prompt"] == 68
