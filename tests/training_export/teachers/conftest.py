"""Stand-ins for the services, and moments to ask about."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from capture.inputs import ExcerptRanges, PredictionInputs
from training_export.example import Example
from training_export.teachers.pacing import PacingLimits
from training_export.teachers.settings import read_teacher
from training_export.teachers.stand_in.server import StandIn

KEY = "sk-secret-of-the-tests"
QUICK = PacingLimits(patience_seconds=20.0, first_pause_seconds=0.01, longest_pause_seconds=0.05)


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    """The key that SDKs find; they find no other settings of this machine."""
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return KEY


@pytest.fixture
def stand_in():
    with StandIn() as server:
        yield server
    assert server.complaints == [], "every request was of the SDK's type"


@pytest.fixture
def settings_for(stand_in, tmp_path):
    """Settings of a teacher that asks the stand-in, and waits briefly."""

    def of(name="sonnet46", **changes):
        path = "" if name.startswith(("sonnet", "anthropic")) else "/v1"
        found = read_teacher(name, base_url=f"{stand_in.url}{path}")
        return replace(found, **{"cache": tmp_path / "answers.sqlite3", "pacing": QUICK, **changes})

    return of


@pytest.fixture
def moment():
    """The n-th of many examples: a rename of ``total`` that is half done; of an even one nothing is left to do."""

    def of(number, **fields):
        rest = f"print(sum_{number})" if number % 2 == 0 else f"print(total_{number})"
        excerpt = f"sum_{number} = price * count\n{rest}\n"
        diff = f"@@ -1,1 +1,1 @@\n-total_{number} = price * count\n+sum_{number} = price * count\n"
        inputs = PredictionInputs("shop/cart.py", excerpt, len(f"sum_{number}"), ExcerptRanges({}))
        return Example.new(
            name=f"moment {number}",
            cursor_path="shop/cart.py",
            cursor_position=f"sum_{number}<|user_cursor|>{excerpt.removeprefix(f'sum_{number}')}",
            edit_history=f"--- a/shop/cart.py\n+++ b/shop/cart.py\n{diff}",
            prompt_inputs=inputs.to_json(),
            **fields,
        )

    return of


@pytest.fixture
def write_moments(moment, tmp_path):
    def write(count, name="moments.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(moment(number).to_line() + "\n" for number in range(count)), encoding="utf-8")
        return path

    return write


@pytest.fixture
def read_lines():
    def read(path):
        return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]

    return read
