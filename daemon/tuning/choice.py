"""Which way of running a model is the best, by what was measured of each. Pure: no clock, no file, no worker.

What counts is the time of a typical keystroke. Threads and kernels are compared by one that was measured as it comes,
after a pause; the batches in which prompts are read by the sum of what its passes cost. Three rules stand above it. A
thread is worth taking only if it saves a tenth: it is one that the programmer's editor and compiler do not get. A
prompt is read in batches between which, and inside which, an abort comes soon enough. And the KV cache keeps sixteen
bits wherever there is memory for them, because fewer change the answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.engine.ways import Measured, Way

# A keystroke as it was measured in simulated sessions of the shipped student: half of them are one pass of about 20
# tokens, the others one of 5 and a few of one; now and then a draft is checked.
KEYSTROKE_TOKENS = (20, 1, 8, 1)
# One with more work, as other models need it: the changed line and what stands behind it in the prompt are read again,
# then come a few tokens that had to be chosen one by one and a few passes in which a draft was checked.
NEW_TOKENS = 32
PLAIN_PASSES = 4
DRAFTED_PASSES = 4
DRAFTED_PASS_TOKENS = 16
# Now and then (a jump, another file) nothing of the prompt is known.
WINDOW_TOKENS = 512
KEYSTROKES_A_WINDOW = 20

THREAD_GAIN = 0.10  # of a keystroke's time, for more threads
SWITCH_GAIN = 0.10  # for leaving what llama.cpp chooses itself: less may be chance, and kernels round differently
ABOUT_AS_GOOD = 1.02  # keystrokes that differ by less are the same, and the sooner abort decides
ABORT_SECONDS = 0.012  # from a keystroke to a free engine, while a prompt is read
AROUND_A_GAP_SECONDS = 0.003  # of these: from the key to the flag, and from llama.cpp's return to the next request

PASS_TOKENS = (1, 2, 4, 8, 16, 32, 63)  # what drafts may lead to
COMPARED_PASSES = {1, DRAFTED_PASS_TOKENS}
READ_BATCHES = (8, 16, 32, 64, 128)  # larger ones save a processor nothing
GPU_READ_BATCHES = (*READ_BATCHES, 256, 512)
COMPARED_READ_BATCHES = (NEW_TOKENS, 64)  # with 64 tokens attention works in tiles


def thread_counts(cores: int, default: int) -> list[int]:
    """The default first (there should be something to compare with if time runs out), then 1, doubled, and all."""
    counts = {1 << power for power in range(cores.bit_length()) if 1 << power <= cores} | {cores}
    default = min(default, cores)
    return [default, *sorted(counts - {default})]


def estimated_seconds(measured: Measured, read_batch: int) -> float:
    """What a keystroke with much work costs, by its passes; raises KeyError for a batch that was not measured."""
    first_batch = min(read_batch, NEW_TOKENS)
    reading = measured.read_seconds[first_batch] * NEW_TOKENS / first_batch
    window = measured.read_seconds[read_batch] * WINDOW_TOKENS / read_batch
    passes = PLAIN_PASSES * measured.pass_seconds[1] + DRAFTED_PASSES * measured.pass_seconds[DRAFTED_PASS_TOKENS]
    return reading + passes + window / KEYSTROKES_A_WINDOW


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

    Of the batches in which an abort comes in time: of the fastest, and those about as fast, the one in which it comes
    soonest. Where it comes in time in none, the smallest.
    """
    if not (measured.pass_seconds.keys() >= COMPARED_PASSES and NEW_TOKENS in measured.read_seconds):
        return 0
    batches = sorted(measured.read_seconds.keys() & measured.gap_seconds.keys())
    in_time = [batch for batch in batches if measured.gap_seconds[batch] + AROUND_A_GAP_SECONDS <= ABORT_SECONDS]
    if not in_time:
        return batches[0] if batches else 0
    seconds = {batch: estimated_seconds(measured, batch) for batch in in_time}
    limit = min(seconds.values()) * ABOUT_AS_GOOD
    good = [batch for batch in in_time if seconds[batch] <= limit]
    return min(good, key=lambda batch: (measured.gap_seconds[batch], seconds[batch]))


def _comparable(measured: Sequence[Measured]) -> list[Measured]:
    """Those that were measured at all."""
    return [one for one in measured if one.rounds and one.keystroke_seconds]
