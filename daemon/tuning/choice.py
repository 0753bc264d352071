"""Which way of running a model is the best, by what was measured of each. Pure: no clock, no file, no worker.

What counts is the time of a typical keystroke, measured as it comes, after a pause. Three rules stand above it. A
thread is worth taking only if it saves a tenth: it is one that the programmer's editor and compiler do not get. A
prompt is read in batches between which, and inside which, an abort comes soon enough. And the KV cache keeps sixteen
bits wherever there is memory for them, because fewer change the answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.engine.pace import batch_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.engine.ways import Measured, Way

# A keystroke as it was measured in simulated sessions of the shipped student: half of them are one pass of about 20
# tokens, the others one of 5 and a few of one; now and then a draft is checked.
KEYSTROKE_TOKENS = (20, 1, 8, 1)
THREAD_GAIN = 0.10  # of a keystroke's time, for more threads
SWITCH_GAIN = 0.10  # for leaving what llama.cpp chooses itself: less may be chance, and kernels round differently
ABORT_SECONDS = 0.012  # from a keystroke to a free engine, while a prompt is read
AROUND_A_GAP_SECONDS = 0.003  # of these: from the key to the flag, and from llama.cpp's return to the next request

PASS_TOKENS = (1, 2, 4, 8, 16, 32, 63)  # what drafts may lead to
DRAFTED_PASS_TOKENS = 16  # of these, what is shown of each way beside a plain pass
COMPARED_PASSES = {1, DRAFTED_PASS_TOKENS}
READ_BATCHES = (8, 16, 32, 64, 128)  # larger ones save a processor nothing
GPU_READ_BATCHES = (*READ_BATCHES, 256, 512)
COMPARED_READ_BATCHES = (32, 64)  # with 64 tokens attention works in tiles


def thread_counts(cores: int, default: int) -> list[int]:
    """The default first (there should be something to compare with if time runs out), then 1, doubled, and all."""
    counts = {1 << power for power in range(cores.bit_length()) if 1 << power <= cores} | {cores}
    default = min(default, cores)
    return [default, *sorted(counts - {default})]


def choose_threads(measured: Sequence[Measured]) -> Way:
    """Of ways with different numbers of threads, the fewest of which no larger number saves a tenth.

    Raises ValueError where none was measured.
    """
    seconds = {one.way: one.keystroke_seconds for one in _comparable(measured)}
    best = min(seconds.values())
    enough = [way for way in seconds if best > seconds[way] * (1 - THREAD_GAIN) or seconds[way] == best]
    return min(enough, key=lambda way: way.threads)


def choose_kernels(present: Way, measured: Sequence[Measured]) -> Way:
    """``present``, or the fastest of the others with its KV type if that saves enough."""
    ways = [one for one in _comparable(measured) if one.way.kv_type is present.kv_type]
    if present not in [one.way for one in ways]:
        return present
    seconds = {one.way: one.keystroke_seconds for one in ways}
    fastest = min(seconds, key=seconds.__getitem__)
    return fastest if seconds[fastest] <= seconds[present] * (1 - SWITCH_GAIN) else present


def choose_read_batch(measured: Measured) -> int:
    """Tokens of a prompt that one pass reads; 0 where too little was measured to say.

    Of the batches in which an abort comes in time, by what typing leaves of them (``batch_for``). Where it comes in
    time in none, the smallest.
    """
    batches = sorted(measured.read_seconds.keys() & measured.gap_seconds.keys())
    in_time = [batch for batch in batches if measured.gap_seconds[batch] + AROUND_A_GAP_SECONDS <= ABORT_SECONDS]
    if not in_time:
        return batches[0] if batches else 0
    return batch_for({batch: measured.read_seconds[batch] for batch in in_time})


def _comparable(measured: Sequence[Measured]) -> list[Measured]:
    """Those that were measured at all."""
    return [one for one in measured if one.rounds and one.keystroke_seconds]
