"""Snapshots for tests, and for the processes that tests start: those find this file in their own folder."""

from __future__ import annotations

import random
import uuid

from capture.inputs import ActiveBufferDiagnostic, EditEvent, ExcerptRanges, PredictionInputs, Span
from capture.snapshot.parts import PredictionRecord, Region
from capture.snapshot.snapshot import Snapshot
from capture.store.writer import Disk

LARGE_DISK = Disk(1 << 50, 1 << 50)
WORKSPACE = "a" * 32
OTHER_WORKSPACE = "b" * 32


def noise(characters, seed):
    """Text that hardly compresses."""
    return "".join(
        random.Random(seed).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/", k=characters)
    )


def sample(*, code="total = 1\nprint(total)\n", predicted="total = 2\n", settled="total = 3\n", **changes):
    """A settled snapshot of a prediction for the first row of ``code``."""
    first_row = code[: code.index("\n") + 1]
    inputs = PredictionInputs(
        cursor_path="src/sums.py",
        cursor_excerpt=code.removesuffix("\n"),
        cursor_offset_in_excerpt=len(first_row.encode()) - 1,
        excerpt_ranges=ExcerptRanges({"editable_150": Span(0, len(first_row.encode()))}),
        excerpt_start_row=10,
        events=(EditEvent("src/other.py", "src/other.py", "@@ -1,1 +1,1 @@\n-count = 1\n+count = 2\n"),),
        active_buffer_diagnostics=(
            ActiveBufferDiagnostic(1, "undefined name 'totl'", "totl", Span(11, 12), Span(0, 4)),
        ),
    )
    values = {
        "id": uuid.uuid4().hex,
        "state": "settled",
        "workspace_id": WORKSPACE,
        "created_at": 1_800_000_000.0,
        "finalised_at": 1_800_000_012.5,
        "language_id": "python",
        "path": "src/sums.py",
        "prompt_format": "zeta2",
        "model": "embedded",
        "client_name": "Neovim",
        "inputs": inputs,
        "region": Region(0, len(first_row.encode()), first_row, text_settled=settled),
        "prediction": PredictionRecord(new_region_text=predicted, confidence=0.75, seconds=0.1),
        "outcome": "accepted",
        "shown_after_ms": 120,
        "decided_after_ms": 900,
        "kept_rate": 0.5,
    }
    return Snapshot(**{**values, **changes})


def noisy(characters, seed, **changes):
    """A snapshot that takes about as many bytes in the store as its code has characters."""
    return sample(code="total = 1\n" + noise(characters, seed) + "\n", **changes)
