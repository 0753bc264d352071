"""Snapshots as a session makes them: inputs from real documents with a history, a region of whole rows, an answer."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace

import pytest

from capture.editing.positions import ContentChange, Position
from capture.editing.state import EditingState
from capture.inputs import ActiveBufferDiagnostic, RelatedExcerpt, RelatedFile, Span
from capture.snapshot.parts import FileDiff, PredictionRecord, Region, Repository
from capture.snapshot.snapshot import Snapshot
from capture.store.store import Store
from capture.store.writer import Disk

WORKSPACE = "a" * 32
REVISION = "4be1c5d" + "0" * 33


def typed(before, after, *, path, row, language_id="python"):
    """The inputs of a session in which ``before`` became ``after``, the cursor at the end of a row."""
    clock = itertools.count(step=60)
    editing = EditingState(lambda: float(next(clock)))
    document = editing.open("file:///w", before, path=path, language_id=language_id)
    if before != after:
        editing.change("file:///w", 1, [ContentChange(None, after)])
    row = min(row, document.row_count - 1)
    return editing.inputs("file:///w", Position(row, 10**6))


def region_of_rows(inputs, first, end):
    """Bytes of whole rows of the excerpt, without the newline behind the last."""
    rows = inputs.cursor_excerpt.split("\n")
    first, end = min(first, len(rows) - 1), min(max(first + 1, end), len(rows))
    start = sum(len(row.encode()) + 1 for row in rows[:first])
    return Span(start, start + len("\n".join(rows[first:end]).encode()))


def make_snapshot(
    before="total = 1\nprint(totl)\n",
    after="total = 2\nprint(totl)\n",
    *,
    path="src/sums.py",
    rows=(0, 2),
    row=1,
    predicted="total = 2\nprint(total)",
    settled="total = 2\nprint(total)",
    rich=True,
    **changes,
):
    inputs = typed(before, after, path=path, row=row)
    if rich:
        excerpt = RelatedExcerpt(Span(3, 5), "def total():\n    return 1\n")
        inputs = replace(
            inputs,
            related_files=(RelatedFile("src/other.py", 9, (excerpt,)),),
            active_buffer_diagnostics=(ActiveBufferDiagnostic(1, "no name totl", "totl", Span(1, 2), Span(0, 4)),),
        )
    region = region_of_rows(inputs, *rows)
    text = inputs.excerpt_bytes[region.start : region.end].decode()
    values = {
        "id": uuid.uuid4().hex,
        "state": "settled",
        "workspace_id": WORKSPACE,
        "created_at": 1_800_000_000.0,
        "finalised_at": changes.get("created_at", 1_800_000_000.0) + 12.5,
        "language_id": "python",
        "path": path,
        "prompt_format": "zeta2",
        "model": "embedded",
        "client_name": "Neovim",
        "inputs": inputs,
        "region": Region(region.start, region.end, text, text_settled=settled),
        "prediction": PredictionRecord(new_region_text=predicted, confidence=0.75),
        "outcome": "accepted",
        "shown_after_ms": 120,
        "decided_after_ms": 900,
        "kept_rate": 0.5,
    }
    if changes.get("state") == "unsettled":
        values["region"] = Region(region.start, region.end, text, text_unsettled=settled)
        values["kept_rate"] = None
    return Snapshot(**{**values, **changes})


def in_repository(*diffs, prefix="", url="https://example.org/ada/shop.git"):
    return Repository(url, REVISION, prefix, tuple(FileDiff(path, diff) for path, diff in diffs))


@pytest.fixture(scope="session")
def snapshot():
    return make_snapshot


@pytest.fixture(scope="session")
def session_inputs():
    return typed


@pytest.fixture(scope="session")
def repository():
    return in_repository


@pytest.fixture
def store_of(tmp_path):
    """A store of this machine with some snapshots in it; its path."""

    def put(*snapshots):
        path = tmp_path / "store" / "snapshots.sqlite3"
        store = Store(path, disk=lambda _: Disk(1 << 50, 1 << 50))
        for one in snapshots:
            store.submit(one).result(timeout=20)
        assert store.close(within_seconds=20)
        return path

    return put
