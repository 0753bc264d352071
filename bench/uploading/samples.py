"""Settled snapshots as a busy team would send them, the same ones every time.

Their inputs are what a model would see at the keys of ``bench/sessions``, in an order that puts other projects side by
side; what settled is the same place some keys later. Each is filled up to the size that is asked for with what a
snapshot has: edit events, related files, later events, uncommitted changes of project files. Where more are wanted than
there are keys, the same moments come again under other ids. Knows nothing of how they are sent.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from functools import cache
from itertools import cycle
from typing import TYPE_CHECKING

from bench.session import read_sessions
from bench.surroundings import seen_inputs
from bench.workspaces import workspace_of
from capture.editing.line_diff import minimal_edits
from capture.editing.unified_diff import with_file_headers, write_hunks
from capture.inputs import ExcerptRanges, Span
from capture.snapshot.parts import FileDiff, OfferedEdit, PredictionRecord, Region, Repository
from capture.snapshot.snapshot import MAX_LATER_EVENTS, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.session import Session
    from capture.inputs import PredictionInputs

WORKSPACE = "5" * 32  # one for all: whose consent holds is not what is measured
KEYS_UNTIL_SETTLED = 20
BEGAN_AT = 1_700_000_000.0
SECONDS_BETWEEN = 12.0
EDITABLE = "editable_150"
REVISION = "0123456789abcdef0123456789abcdef01234567"


def snapshots(count: int, size_bytes: int) -> list[Snapshot]:
    """``count`` snapshots whose canonical bytes are a little less than ``size_bytes``, or as few as they can be."""
    made = [_snapshot(number, *moment, size_bytes) for number, moment in enumerate(_moments()[:count])]
    again = (replace(made[number % len(made)], id=_id(number)) for number in range(len(made), count))
    return [*made, *again]


def contents(made: Sequence[Snapshot], count: int) -> Iterator[tuple[str, bytes]]:
    """Ids and canonical bytes of ``count`` snapshots, those that were made again and again under other ids.

    They are spelled as they are asked for.
    """
    spelled = [(one.id.encode(), one.canonical_bytes()) for one in made]
    for number, (old_id, content) in zip(range(count), cycle(spelled), strict=False):
        snapshot_id = _id(number)
        yield snapshot_id, content.replace(old_id, snapshot_id.encode(), 1)


@cache
def _moments() -> list[tuple[Session, PredictionInputs, PredictionInputs]]:
    """Every key of every session with the one at which it is taken for settled, shuffled."""
    moments = []
    for session in read_sessions():
        seen = seen_inputs(session)
        moments += [
            (session, inputs, seen[min(key + KEYS_UNTIL_SETTLED, len(seen) - 1)]) for key, inputs in enumerate(seen)
        ]
    random.Random(7).shuffle(moments)
    return moments


def _snapshot(
    number: int, session: Session, inputs: PredictionInputs, later: PredictionInputs, size_bytes: int
) -> Snapshot:
    start_bytes, before = _region_of(inputs)
    _, settled = _region_of(later)
    offered = tuple(
        OfferedEdit(
            start_bytes + edit.range.start,
            start_bytes + edit.range.end,
            before.encode()[edit.range.start : edit.range.end].decode(),
            edit.text,
        )
        for edit in minimal_edits(before, settled)
    )
    created_at = BEGAN_AT + SECONDS_BETWEEN * number
    bare = Snapshot(
        id=_id(number),
        state="settled",
        workspace_id=WORKSPACE,
        created_at=created_at,
        finalised_at=created_at + 10.5,
        language_id=session.header.language_id,
        path=inputs.cursor_path,
        prompt_format="line_edits",
        model="embedded",
        client_name="Neovim",
        inputs=replace(inputs, events=(), related_files=None),
        region=Region(start_bytes, start_bytes + len(before.encode()), before, text_settled=settled),
        prediction=PredictionRecord(offered, settled, 0.875, {"prompt_tokens": 612, "answer_tokens": 24}, 0.09375),
        outcome="accepted" if offered else "not_shown",
        shown_after_ms=90 if offered else None,
        decided_after_ms=700 if offered else None,
        kept_rate=0.75,
    )
    if len(bare.canonical_bytes()) > size_bytes:
        return _narrowed(bare)
    return _filled(bare, session, inputs, later, size_bytes)


def _narrowed(snapshot: Snapshot) -> Snapshot:
    """With no more of the file than the region, and nothing predicted: as small as one of that moment can be."""
    inputs, region = snapshot.inputs, snapshot.region
    rows_before = inputs.excerpt_bytes[: region.start_bytes].count(b"\n")
    length_bytes = region.end_bytes - region.start_bytes
    narrow = replace(
        inputs,
        cursor_excerpt=region.text_before,
        cursor_offset_in_excerpt=inputs.cursor_offset_in_excerpt - region.start_bytes,
        excerpt_start_row=(inputs.excerpt_start_row or 0) + rows_before,
        excerpt_ranges=ExcerptRanges({EDITABLE: Span(0, length_bytes)}),
        syntax_ranges=None,
        active_buffer_diagnostics=(),
    )
    return replace(
        snapshot,
        inputs=narrow,
        region=replace(region, start_bytes=0, end_bytes=length_bytes),
        prediction=PredictionRecord(confidence=0.5, seconds=0.0625, reason="the model predicts no edit"),
        outcome="not_shown",
        shown_after_ms=None,
        decided_after_ms=None,
        kept_rate=None,
    )


def _filled(
    snapshot: Snapshot, session: Session, inputs: PredictionInputs, later: PredictionInputs, size_bytes: int
) -> Snapshot:
    """With one thing more after the other, whatever stays within the size."""

    def if_it_fits(larger: Snapshot) -> Snapshot:
        return larger if len(larger.canonical_bytes()) <= size_bytes else snapshot

    for event in reversed(inputs.events):
        events = (event, *snapshot.inputs.events)
        snapshot = if_it_fits(replace(snapshot, inputs=replace(snapshot.inputs, events=events)))
    snapshot = if_it_fits(replace(snapshot, inputs=replace(snapshot.inputs, related_files=inputs.related_files)))
    snapshot = if_it_fits(replace(snapshot, later_events=later.events[-MAX_LATER_EVENTS:]))
    snapshot = if_it_fits(replace(snapshot, repository=Repository("https://git.example.org/team/project", REVISION)))
    for diff in _uncommitted(session):
        left_bytes = size_bytes - len(snapshot.canonical_bytes())
        if snapshot.repository is not None and len(diff.diff) < left_bytes:
            repository = replace(snapshot.repository, diffs=(*snapshot.repository.diffs, diff))
            snapshot = if_it_fits(replace(snapshot, repository=repository))
    return snapshot


def _uncommitted(session: Session) -> list[FileDiff]:
    """New files as git would show them: of the session's own project first, then of those that follow it."""
    projects = _new_files()
    names = list(projects)
    at = names.index(session.name)
    return [diff for name in [*names[at:], *names[:at]] for diff in projects[name]]


@cache
def _new_files() -> dict[str, list[FileDiff]]:
    """For each session the files of its project, as if nothing of them had been committed."""
    return {
        session.name: [
            FileDiff(f"{session.name}/{path}", with_file_headers(write_hunks("", text), f"{session.name}/{path}"))
            for path, text in workspace_of(session).files.items()
        ]
        for session in read_sessions()
    }


def _region_of(inputs: PredictionInputs) -> tuple[int, str]:
    """Where the region begins in the excerpt, in bytes, and its text."""
    span = inputs.excerpt_ranges[EDITABLE]
    return span.start, inputs.excerpt_bytes[span.start : span.end].decode()


def _id(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()[:32]
