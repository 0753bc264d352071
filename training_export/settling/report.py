"""Says in words how the examples lie between the edges, and shows those nearest to each. Plain text, no colours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from capture.editing.unified_diff import PatchError, write_hunks
from capture.inputs import Span
from training_export.patches import patched_excerpt
from training_export.settling.bands import SettleClass
from training_export.settling.distribution import Distribution, Edge, Neighbour
from training_export.stage import ours

DIFF_LINES: Final = 14
CONTEXT_LINES: Final = 1


def report(found: Distribution) -> str:
    """Counts by class, then the neighbours of the lower and of the upper edge."""
    return "\n".join([*_counts(found), *_edge(found, Edge.LOW), *_edge(found, Edge.HIGH)]) + "\n"


def _counts(found: Distribution) -> Iterator[str]:
    total = len(found.scores)
    edges = f"edges {found.bands.low:g} and {found.bands.high:g}"
    yield f"{total:,} example{'' if total == 1 else 's'} with samples, {edges}"
    for settle_class in (SettleClass.OBVIOUS, SettleClass.LEARNABLE, SettleClass.NOISE):
        count = found.classes[settle_class]
        share = f"{count / total:7.1%}" if total else ""
        targets = f"  {found.targets:,} with a target" if settle_class is SettleClass.LEARNABLE else ""
        yield f"  {settle_class.value:10} {count:8,} {share}{targets}"
    if found.classes[SettleClass.UNCHANGED]:
        yield f"  {SettleClass.UNCHANGED.value:10} {found.classes[SettleClass.UNCHANGED]:8,}          settled as it was"
    if found.others:
        yield f"  {'not judged':10} {found.others:8,}          without a settled text, or failed"


def _edge(found: Distribution, edge: Edge) -> Iterator[str]:
    below, above = found.near(edge)
    if edge is Edge.LOW:
        yield f"\nNearest to the lower edge (median {found.bands.low:g}; obvious up to here)"
    else:
        yield f"\nNearest to the upper edge (score {found.bands.high:g}; noise from here)"
    for neighbour in (*below, *above):
        yield from _neighbour(neighbour)
    if not below and not above:
        yield "  (none)"


def _neighbour(neighbour: Neighbour) -> Iterator[str]:
    record, example = neighbour.record, neighbour.example
    name = f" {_plain(example.name)}" if example.name else ""
    yield (
        f"\n  {_plain(neighbour.place)}{name}: {record.settle_class.value},"
        f" median {record.median:.3f}, score {record.score:.3f}; of {record.samples} samples"
        f" {record.exact} exact, {record.no_edit} no edit"
    )
    inputs, region, settled = example.prompt_inputs, ours(example, "region"), ours(example, "settled")
    if inputs is None or not isinstance(region, dict) or not isinstance(settled, str):
        return
    span, excerpt = Span.from_json(region), inputs.excerpt_bytes
    after = excerpt[: span.start].decode() + settled + excerpt[span.end :].decode()
    yield "    what settled"
    yield from _diff(inputs.cursor_excerpt, after)
    if record.candidate is None:
        yield "    no sample could be a target"
        return
    candidate = record.candidate
    yield f"    the nearest sample that could be a target ({candidate.distance:.3f} away, {candidate.count} times)"
    try:
        yield from _diff(inputs.cursor_excerpt, patched_excerpt(inputs, candidate.patch))
    except PatchError as error:
        yield f"      (does not apply: {error})"


def _diff(before: str, after: str) -> Iterator[str]:
    lines = write_hunks(before, after, context_lines=CONTEXT_LINES).splitlines()
    for line in lines[:DIFF_LINES]:
        yield f"      {_plain(line)}"
    if len(lines) > DIFF_LINES:
        yield f"      ... {len(lines) - DIFF_LINES} more lines"


def _plain(text: str) -> str:
    """Nothing in it steers a terminal."""
    return "".join(char if char.isprintable() or char == "\t" else f"\\x{ord(char):02x}" for char in text)
