"""Stored snapshots as lines for a person. Nothing that was captured can steer the terminal it is shown on."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from capture.editing.unified_diff import with_file_headers, write_hunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from capture.inputs import EditEvent
    from capture.snapshot.snapshot import Snapshot
    from capture.store.choice import Summary

Version = Literal["before", "predicted", "settled"]

SHORT_ID = 8
CURSOR = "▮"
ROWS_AROUND = 8
EVENTS_SHOWN = 4
_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_VISIBLE |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def table(rows: Sequence[Summary]) -> Iterator[str]:
    """One line a snapshot."""
    yield f"{'id':<{SHORT_ID}}  {'settled at':<16}  {'outcome':<18}  {'kept':>5}  {'rating':<6}  {'language':<12}  file"
    for row in rows:
        outcome = row.outcome.replace("_", " ") + (" *" if row.state == "unsettled" else "")
        yield visible(
            f"{row.id[:SHORT_ID]}  {_time(row.finalised_at)}  {outcome:<18}  {_share(row.kept_rate):>5}"
            f"  {row.rating:<6}  {row.language_id:<12}  {row.path}"
        )
    if any(row.state == "unsettled" for row in rows):
        yield "* closed before it had settled"


def moment(snapshot: Snapshot, *, full: bool) -> Iterator[str]:
    """The moment: the code, what was edited before, what the model said, what became of it."""
    for line in _moment(snapshot, full=full):
        yield visible(line)


def difference(snapshot: Snapshot, old: Version, new: Version) -> str:
    """A patch of the region from one version to another; empty where they have the same lines."""
    hunks = _hunks(snapshot, text_of(snapshot, old), text_of(snapshot, new))
    return with_file_headers(hunks, snapshot.path) if hunks else ""


def text_of(snapshot: Snapshot, version: Version) -> str:
    """The region's text. What was predicted without an answer is what was there."""
    region = snapshot.region
    if version == "settled":
        return region.text_settled if region.text_settled is not None else region.text_unsettled or ""
    predicted = snapshot.prediction.new_region_text
    return region.text_before if version == "before" or predicted is None else predicted


def summary(statistics: dict[str, Any]) -> Iterator[str]:
    """What `stored.statistics` found, and where."""
    yield f"{'store':<12} {statistics['path']}"
    yield (
        f"{'snapshots':<12} {statistics['snapshots']} in {statistics['file_bytes'] / 1e6:.1f} MB"
        f" ({statistics['length_bytes'] / 1e6:.1f} MB before compression)"
    )
    if statistics["snapshots"]:
        yield f"{'settled':<12} {_time(statistics['oldest'])} to {_time(statistics['newest'])}"
        yield f"{'kept':<12} {_share(statistics['mean_kept_rate'])} of the predicted characters, on average"
    for column, counts in statistics["counts"].items():
        shown = ", ".join(f"{number} {value or 'none'}".replace("_", " ") for value, number in counts.items())
        if shown:
            yield visible(f"{column.removesuffix('_id'):<12} {shown}")
    if statistics["evicted"]:
        shown = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in statistics["evicted"].items())
        yield f"{'made room':<12} {shown}"
    for name in statistics["damaged_files"]:
        yield f"{'damaged':<12} {name} (set aside; `foretype snapshots purge` removes it)"


def visible(text: str) -> str:
    """Control characters but tabs and line ends as their pictures, so that none reaches the terminal."""
    return text.translate(_VISIBLE)


def _moment(snapshot: Snapshot, *, full: bool) -> Iterator[str]:
    prediction = snapshot.prediction
    yield f"snapshot    {snapshot.id}"
    yield f"file        {snapshot.path} ({snapshot.language_id})"
    cost = prediction.reused or f"{prediction.seconds * 1000:.0f} ms"
    how = f"{snapshot.model} ({snapshot.prompt_format}), {cost}, confidence {prediction.confidence:.2f}"
    if prediction.origin == "rule":
        how = f"the rule, as judged by {how}"
    yield f"predicted   {_time(snapshot.created_at)} by {how}"
    yield f"outcome     {_outcome(snapshot)}"
    if snapshot.rating:
        yield f"rated       {snapshot.rating}"
    if snapshot.repository is not None:
        yield f"repository  {snapshot.repository.url or 'no remote'} at {snapshot.repository.revision or 'no commit'}"
    if snapshot.redactions:
        yield f"masked      secrets in {snapshot.redactions} texts"
    if snapshot.left_out:
        yield f"left out    {snapshot.left_out} parts from files that may not be kept"
    yield from _events("edits before", snapshot.inputs.events, full=full)
    yield from _related(snapshot)
    yield ""
    yield f"code, the cursor at {CURSOR}, the editable region marked"
    yield from _code(snapshot, full=full)
    yield from _diagnostics(snapshot)
    yield ""
    yield from _predicted(snapshot)
    yield ""
    yield from _settled(snapshot)
    yield from _events("edits after", snapshot.later_events, full=True)


def _outcome(snapshot: Snapshot) -> str:
    parts = [snapshot.outcome.replace("_", " ")]
    if snapshot.outcome_reason:
        parts.append(f"({snapshot.outcome_reason})")
    if snapshot.shown_after_ms is not None:
        parts.append(f"shown after {snapshot.shown_after_ms} ms")
    if snapshot.decided_after_ms is not None:
        parts.append(f"decided after {snapshot.decided_after_ms} ms")
    return ", ".join(parts).replace(", (", " (")


def _events(title: str, events: Sequence[EditEvent], *, full: bool) -> Iterator[str]:
    shown = events if full else events[-EVENTS_SHOWN:]
    if not shown:
        return
    left_out = len(events) - len(shown)
    yield ""
    yield title + (f" (the last {len(shown)}; --full shows {left_out} more)" if left_out else "")
    for event in shown:
        yield f"  {event.path}" + (" (a prediction)" if event.predicted else "")
        yield from _indented(event.diff)


def _related(snapshot: Snapshot) -> Iterator[str]:
    files = snapshot.inputs.related_files or ()
    if files:
        yield ""
        yield "from other files"
    for related in files:
        for excerpt in related.excerpts:
            rows = f"{excerpt.row_range.start + 1} to {excerpt.row_range.end}"
            yield f"  {related.path}, lines {rows} ({excerpt.context_source.replace('_', ' ')})"


def _code(snapshot: Snapshot, *, full: bool) -> Iterator[str]:
    inputs, region = snapshot.inputs, snapshot.region
    excerpt = inputs.excerpt_bytes
    first, last = (
        excerpt[:at].count(b"\n") for at in (region.start_bytes, max(region.start_bytes, region.end_bytes - 1))
    )
    at = inputs.cursor_offset_in_excerpt
    lines = (excerpt[:at].decode() + CURSOR + excerpt[at:].decode()).split("\n")
    start = 0 if full else max(0, first - ROWS_AROUND)
    end = len(lines) if full else min(len(lines), last + 1 + ROWS_AROUND)
    first_row = inputs.excerpt_start_row or 0
    if start:
        yield f"      ... {start} more lines (--full shows them)"
    for row in range(start, end):
        yield f"{first_row + row + 1:5} {'|' if first <= row <= last else ' '} {lines[row]}"
    if end < len(lines):
        yield f"      ... {len(lines) - end} more lines (--full shows them)"


def _diagnostics(snapshot: Snapshot) -> Iterator[str]:
    for found in snapshot.inputs.active_buffer_diagnostics:
        yield f"diagnostic in line {found.snippet_buffer_row_range.start + 1}: {found.message}"


def _predicted(snapshot: Snapshot) -> Iterator[str]:
    prediction = snapshot.prediction
    if prediction.new_region_text is None:
        yield f"no prediction: {prediction.reason or 'no reason is known'}"
        return
    hunks = _hunks(snapshot, text_of(snapshot, "before"), text_of(snapshot, "predicted"))
    yield "prediction" if hunks else f"predicted no change{f': {prediction.reason}' if prediction.reason else ''}"
    yield from _indented(hunks)


def _settled(snapshot: Snapshot) -> Iterator[str]:
    before, predicted, settled = (text_of(snapshot, version) for version in ("before", "predicted", "settled"))
    how = "settled" if snapshot.state == "settled" else "when it was closed"
    kept = "" if snapshot.kept_rate is None else f", {_share(snapshot.kept_rate)} of the prediction kept"
    if settled == before:
        yield f"{how}: as it was before{kept}"
    elif settled == predicted:
        yield f"{how}: as predicted{kept}"
    else:
        yield f"{how}, as it differs from what was there{kept}"
        yield from _indented(_hunks(snapshot, before, settled))


def _hunks(snapshot: Snapshot, old: str, new: str) -> str:
    before_region = snapshot.inputs.excerpt_bytes[: snapshot.region.start_bytes]
    row = (snapshot.inputs.excerpt_start_row or 0) + before_region.count(b"\n")
    return write_hunks(old, new, old_start_row=row, new_start_row=row)


def _indented(text: str) -> Iterable[str]:
    return (f"    {line}" for line in text.removesuffix("\n").split("\n") if text)


def _time(seconds: float) -> str:
    """In the person's own time zone, to the minute."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def _share(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.0%}"
