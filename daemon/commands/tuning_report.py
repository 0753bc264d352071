"""What `foretype model tune` measured, as lines for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.tuning import choice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.engine.ways import Measured, Way
    from daemon.tuning.record import Record


def describe(record: Record, path: Path) -> Iterator[str]:
    """The ways that were compared, the passes of the chosen one, and what follows."""
    *compared, chosen = record.measured
    tuning = record.tuning
    way = chosen.way
    depth = max(one.depth_tokens for one in record.measured)
    yield f"medians in milliseconds, behind a prompt of {depth} tokens; the chosen way is marked; a keystroke comes"
    yield f"after a pause and is passes of {', '.join(map(str, choice.KEYSTROKE_TOKENS))} tokens"
    yield ""
    yield from _comparison(compared, way)
    yield ""
    if chosen.read_seconds:
        yield from _passes(chosen, tuning.read_batch_tokens)
        yield ""
    batch = f"prompts read {tuning.read_batch_tokens} tokens at a time" if tuning.read_batch_tokens else ""
    as_set = " (as the settings say)" if tuning.threads_were_set else ""
    parts = [f"{way.threads} thread{'s' * (way.threads > 1)}{as_set}", f"flash attention {way.flash_attention}"]
    yield "chosen: " + ", ".join(filter(None, [*parts, f"cache {way.kv_type}", batch]))
    for note in record.notes:
        yield f"note: {note}"
    yield f"kept in {path}; `foretype model tune --forget` undoes it"
    yield "running windows use it from the next time they load the model; `foretype stop` makes that now"


def _comparison(compared: list[Measured], chosen: Way) -> Iterator[str]:
    drafted = choice.DRAFTED_PASS_TOKENS
    small, large = choice.COMPARED_READ_BATCHES
    yield f"  threads  flash  cache   1 token  {drafted} tokens  read {small}  read {large}  a keystroke"
    for one in compared:
        way = one.way
        start = f"{'*' if way == chosen else ' '} {way.threads:7}  {way.flash_attention:<5}  {way.kv_type:<5} "
        if one.refused:
            yield f"{start}  not possible: {one.refused}"
        elif not one.rounds:
            yield f"{start}  not measured: no time was left"
        else:
            costs = [one.pass_seconds[1], one.pass_seconds[drafted], one.read_seconds[small], one.read_seconds[large]]
            shown = zip((8, 9, 7, 7, 11), [*costs, one.keystroke_seconds], strict=True)
            yield start + "  ".join(f"{seconds * 1000:{width}.1f}" for width, seconds in shown)


def _passes(chosen: Measured, read_batch: int) -> Iterator[str]:
    yield _row("tokens of a pass", [f"{tokens}" for tokens in chosen.pass_seconds])
    yield _row("it takes", [f"{seconds * 1000:.1f}" for seconds in chosen.pass_seconds.values()])
    yield ""
    marked = [f"{'*' if tokens == read_batch else ''}{tokens}" for tokens in chosen.read_seconds]
    yield _row("prompt read by", marked)
    yield _row("each token takes", [f"{seconds * 1000 / batch:.2f}" for batch, seconds in chosen.read_seconds.items()])
    yield _row("longest until stop", [f"{seconds * 1000:.1f}" for seconds in chosen.gap_seconds.values()])


def _row(name: str, cells: list[str]) -> str:
    return f"{name:<20}" + "".join(f"{cell:>8}" for cell in cells)
