"""People who use two models, simulated: documents differ in size and in how much is accepted, models by what is said."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest

from capture.editing.positions import ContentChange, Position
from capture.editing.state import EditingState
from capture.snapshot.parts import OfferedEdit, PredictionRecord, Region
from capture.snapshot.snapshot import Snapshot

WORKSPACE = "a" * 32
IN_USE, CANDIDATE = "student@11111111", "student@22222222"


@dataclass(frozen=True)
class People:
    """``rate`` is accepted of what the model in use shows; ``alike`` is the correlation within a document."""

    rate: float = 0.3
    alike: float = 0.1
    predictions_per_document: float = 8.0
    share: float = 0.3

    def work(self, draw, documents, difference=0.0):
        """Predictions and acceptances by document, and which documents are the candidate's."""
        sizes = np.maximum(1, np.round(draw.lognormal(np.log(self.predictions_per_document) - 0.5, 1.0, documents)))
        is_candidates = draw.random(documents) < self.share
        spread = (1 - self.alike) / self.alike
        rates = draw.beta(self.rate * spread, (1 - self.rate) * spread, documents) + difference * is_candidates
        accepted = draw.binomial(sizes.astype(int), np.clip(rates, 0, 1)).astype(float)
        return sizes, accepted, is_candidates


@pytest.fixture(scope="session")
def people():
    """``people(rate=...)``."""
    return People


def make_snapshot(*, seed=0, model=IN_USE, path="src/sums.py", before="total = 1\n", after="total = 2\n", **changes):
    """A person changed ``before`` to ``after``; the model changes ``2`` to ``3``, and that is shown and accepted."""
    editing = EditingState(lambda: 0.0)
    editing.open("file:///w", before, path=path, language_id="python")
    editing.change("file:///w", 1, [ContentChange(None, after)])
    inputs = editing.inputs("file:///w", Position(0, 9))
    length = len(inputs.excerpt_bytes)
    predicted = changes.pop("predicted", "3")
    record = PredictionRecord(
        edits=(OfferedEdit(8, 9, "2", predicted),), new_region_text=f"total = {predicted}", seconds=0.02
    )
    values = {
        "id": random.Random(seed).randbytes(16).hex(),
        "state": "settled",
        "workspace_id": WORKSPACE,
        "created_at": 1_800_000_000.0 + seed,
        "finalised_at": 1_800_000_012.5 + seed,
        "language_id": "python",
        "path": path,
        "prompt_format": "line_edits",
        "model": model,
        "client_name": "Neovim",
        "inputs": inputs,
        "region": Region(0, length, inputs.cursor_excerpt, text_settled="total = 3"),
        "prediction": record,
        "outcome": "accepted",
        "shown_after_ms": 20,
        "decided_after_ms": 900,
        "kept_rate": 1.0,
    }
    return Snapshot(**{**values, **changes})


@pytest.fixture(scope="session")
def snapshot():
    """``snapshot(seed=..., model=...)``: one that was shown and accepted, unless said otherwise."""
    return make_snapshot


@pytest.fixture
def as_snapshots(tmp_path):
    """Snapshots as the file that `foretype snapshots export` writes."""

    def write(snapshots, name="snapshots.jsonl"):
        path = tmp_path / name
        path.write_bytes(b"".join(one.canonical_bytes() + b"\n" for one in snapshots))
        return path

    return write
