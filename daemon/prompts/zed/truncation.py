"""A sign that an answer stopped too early: what it replaces is kept up to a line, and the rest is gone."""

from __future__ import annotations

from capture.editing.histogram import changes
from capture.editing.unified_diff import split_lines
from daemon.prompts.zed.markers import RUST_WHITESPACE

MAX_DROPPED_LINES = 3  # fewer may well be meant


def drops_the_end(old: str, new: str) -> bool:
    """Whether ``new`` ends where ``old`` goes on for more than three lines that are not blank.

    That is: it is the start of ``old``, perhaps up to the middle of a line, or the last difference between
    them deletes the last lines of ``old`` and adds none. Zed's rule for V0615 (`zeta_prompt` at 09adbb01).
    """
    if old.startswith(new):
        return _has_many_lines(split_lines(old[len(new) :]))
    old_lines, new_lines = split_lines(old), split_lines(new)
    last = next(reversed(changes(old_lines, new_lines)), None)
    if last is None or last.new_start < last.new_end or last.old_end < len(old_lines):
        return False
    return _has_many_lines(old_lines[last.old_start :])


def _has_many_lines(lines: list[str]) -> bool:
    return sum(bool(line.strip(RUST_WHITESPACE)) for line in lines) > MAX_DROPPED_LINES
