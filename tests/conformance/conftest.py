"""Replays recorded vectors: one test per vector, and at the end ``N of M`` per file.

``CONFORMANCE_DIR=DIR pytest tests/conformance`` replays another set of the same form. A test module names its
file (``FILE``) and how each function is called (``FUNCTIONS``); README.md says what the functions are.
"""

import json
import math
import os
from collections import Counter
from pathlib import Path

import pytest

from capture.editing.unified_diff import PatchError, apply_patch, extract_cursor

OWN = Path(__file__).parent
DIRECTORY = Path(os.environ.get("CONFORMANCE_DIR") or OWN)

# Vectors that cannot be met: id -> reason. One that is met after all fails as a surprise.
KNOWN_MISSES: dict[str, str] = {}

# Computed in single precision by the reference, so compared to 1e-6 instead of 1e-9.
SINGLE_PRECISION = {
    ("reversal_ratio", "ratio"),
    ("score_prediction", "delta_chr_f"),
    ("score_prediction", "reversal_ratio"),
}

OUTCOMES = pytest.StashKey[dict[str, Counter]]()


def vectors_of(file_name: str) -> list[dict]:
    path = DIRECTORY / file_name
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line] if path.exists() else []


def pytest_configure(config):
    if DIRECTORY != OWN and not any(DIRECTORY.glob("*.jsonl")):
        raise pytest.UsageError(f"CONFORMANCE_DIR={DIRECTORY} holds no .jsonl file")
    config.stash[OUTCOMES] = {}


def pytest_generate_tests(metafunc):
    if "vector" not in metafunc.fixturenames:
        return
    file_name = metafunc.module.FILE
    vectors = vectors_of(file_name)
    metafunc.config.stash[OUTCOMES][file_name] = Counter(recorded=len(vectors))
    metafunc.parametrize("vector", [pytest.param(vector, id=vector["id"]) for vector in vectors])


@pytest.fixture
def check(request):
    """Compare what an implementation gives for a vector with what was recorded."""

    def run(functions, vector):
        reason = KNOWN_MISSES.get(vector["id"])
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
        request.config.stash[OUTCOMES][request.module.FILE]["replayed"] += 1
        function, expected = vector["function"], vector["output"]
        assert function in functions, f"nothing implements {function}"
        how = "exactly"
        if isinstance(expected, dict) and "error" in expected:
            with pytest.raises(ValueError):
                functions[function](vector["input"])
        else:
            actual = functions[function](vector["input"])
            if not agrees(function, actual, expected):
                assert leads_to_the_same(function, vector["input"], actual, expected), differences(actual, expected)
                how = "by result"
        request.config.stash[OUTCOMES][request.module.FILE][how] += 1

    return run


def agrees(function, actual, expected, key=""):
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return False
        # A missing key means null.
        return all(agrees(function, actual.get(name), expected.get(name), name) for name in actual | expected)
    if isinstance(expected, list):
        pairs = zip(actual, expected, strict=True) if isinstance(actual, list) and len(actual) == len(expected) else ()
        return (
            isinstance(actual, list) and len(actual) == len(expected) and all(agrees(function, *pair) for pair in pairs)
        )
    if isinstance(expected, float) and isinstance(actual, int | float) and not isinstance(actual, bool):
        if (function, key) in SINGLE_PRECISION:
            return math.isclose(actual, expected, rel_tol=1e-6, abs_tol=1e-9)
        return math.isclose(actual, expected, rel_tol=0, abs_tol=1e-9)
    if isinstance(actual, float) and isinstance(expected, int):
        return agrees(function, actual, float(expected), key)
    return type(actual) is type(expected) and actual == expected


def leads_to_the_same(function, given, actual, expected):
    """Whether another line diff was written that has the same effect; README says where that is allowed."""
    if function == "unified_diff":
        return result_of(actual["diff"], given["old"]) == result_of(expected["diff"], given["old"])
    if function not in {"parse_output", "parsed_region_to_patch"} or "cursor_excerpt" not in given["prompt_input"]:
        return False
    others = {key: value for key, value in expected.items() if key != "patch"}
    if not agrees(function, {key: value for key, value in actual.items() if key != "patch"}, others):
        return False
    excerpt = given["prompt_input"]["cursor_excerpt"] + "\n"
    return result_of(actual["patch"], excerpt) == result_of(expected["patch"], excerpt) is not None


def result_of(patch, text):
    plain, cursor = extract_cursor(patch)
    try:
        new_text, first_hunk_offset = apply_patch(plain, text)
    except PatchError:
        return None
    return new_text, cursor if cursor is None or first_hunk_offset is None else cursor + first_hunk_offset


def differences(actual, expected):
    if not isinstance(actual, dict) or not isinstance(expected, dict):
        return f"{actual!r} instead of {expected!r}"
    return {
        key: (actual.get(key), expected.get(key)) for key in expected | actual if actual.get(key) != expected.get(key)
    }


def pytest_terminal_summary(terminalreporter, config):
    outcomes = {file_name: counts for file_name, counts in config.stash[OUTCOMES].items() if counts["replayed"]}
    if not outcomes:
        return
    terminalreporter.section(f"conformance: {'the recorded vectors' if DIRECTORY == OWN else DIRECTORY}")
    for file_name, counts in sorted(outcomes.items()):
        met = counts["exactly"] + counts["by result"]
        apart = f", {counts['by result']} of them by their result" if counts["by result"] else ""
        terminalreporter.write_line(f"{file_name}: {met} of {counts['recorded']}{apart}")
    for vector_id, reason in sorted(KNOWN_MISSES.items()):
        terminalreporter.write_line(f"known miss {vector_id}: {reason}")
