"""A change word by word, as a model reads it best: ``[-taken away-]{+brought in+}``.

Words are those of the metrics: identifiers whole, runs of white space, operators. For reading only: text that holds
such brackets itself is not told apart. Knows nothing of examples.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rapidfuzz.distance import Indel

from capture.editing.unified_diff import extract_cursor, split_lines
from capture.metrics.tokens import units

_HEADERS = ("--- ", "+++ ", "@@")


def word_diff(old: str, new: str) -> str:
    """``new`` with what it lacks of ``old`` and has beyond it in brackets."""
    old_words, new_words = units(old), units(new)
    parts: list[str] = []
    taken, brought = "", ""
    for step in Indel.opcodes(old_words, new_words):
        if step.tag == "equal":
            parts.append(_bracketed(taken, brought))
            parts.extend(new_words[step.dest_start : step.dest_end])
            taken, brought = "", ""
        else:
            taken += "".join(old_words[step.src_start : step.src_end])
            brought += "".join(new_words[step.dest_start : step.dest_end])
    return "".join(parts) + _bracketed(taken, brought)


def word_diff_of_patch(patch: str) -> str:
    """A unified diff with its changed lines word by word; headers stay, the signs of lines and cursor marks go."""
    lines = split_lines(extract_cursor(patch)[0])
    return "\n".join(
        text for changes, run in groupby(lines, _is_change) for text in (_changed(run) if changes else _unchanged(run))
    )


def _is_change(line: str) -> bool:
    return line.startswith(("+", "-")) and not line.startswith(_HEADERS)


def _changed(run: Iterable[str]) -> list[str]:
    lines = list(run)
    old = "".join(f"{line[1:]}\n" for line in lines if line.startswith("-"))
    new = "".join(f"{line[1:]}\n" for line in lines if line.startswith("+"))
    return [word_diff(old, new).removesuffix("\n")]


def _unchanged(run: Iterable[str]) -> list[str]:
    return [line.removeprefix(" ") for line in run]


def _bracketed(taken: str, brought: str) -> str:
    return (f"[-{taken}-]" if taken else "") + (f"{{+{brought}+}}" if brought else "")
