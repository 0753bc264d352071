"""What of the definitions that were found goes into an answer, within a bound of bytes. Pure; reads no file itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capture.context.index.table import MAX_FOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from capture.context.index.messages import Answer
    from capture.context.index.table import Found

MAX_TEXT_ROWS, MAX_TEXT_BYTES = 60, 4096  # of one definition: its head and the beginning of its body
MAX_ANSWER_BYTES = 64 * 1024  # all texts of one answer: the hub reads it between two keys


def compose(hits: Mapping[str, Sequence[Found]], read_text: Callable[[Found], str]) -> Answer:
    """The definitions of each name with their texts; those ``read_text`` has no text of are left out.

    What is likeliest for each name comes before the second likeliest of any; where ``MAX_ANSWER_BYTES`` are reached the
    rest is left out.
    """
    answer: Answer = {}
    left_bytes = MAX_ANSWER_BYTES
    for rank in range(MAX_FOUND):
        for name, found in hits.items():
            text = read_text(found[rank]) if rank < len(found) else ""
            left_bytes -= len(text.encode())
            if left_bytes < 0:
                return answer
            if text:
                hit = found[rank]
                answer.setdefault(name, []).append((hit.path, hit.symbol.start_row, text, hit.symbol.kind))
    return answer


def first_rows(part: bytes, *, is_whole: bool) -> str:
    r"""The first whole rows of ``part``, ``MAX_TEXT_ROWS`` at most, with ``\n`` at their ends.

    Where the part ``is_whole``, the last row need not have an end. Raises UnicodeDecodeError.
    """
    if is_whole and part and not part.endswith(b"\n"):
        part += b"\n"
    rows = part.split(b"\n")[:-1][:MAX_TEXT_ROWS]
    return "".join(row.removesuffix(b"\r").decode() + "\n" for row in rows)
