"""Tree-sitter parsers that give up in time, and the nodes around a place of a tree.

There are texts, most of them no code at all, whose parsing takes time with the square of their length, or never ends,
and nobody else in the process gets a turn meanwhile. Nesting is bounded too: tree-sitter finds a parent by going down
from the root, for some nodes recursively, so that a tree that is deep enough ends the process. Knows nothing of what
trees are used for.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tree_sitter import Parser

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from tree_sitter import Language, Node, Point, Tree

# Of processor time. What a model sees of one file (24 kB) takes at most 10 ms where it is code.
BETWEEN_KEYS_SECONDS = 0.05
MAX_DEPTH = 1_000  # what is nested deeper is nothing that anybody reads
MAX_STATES_SKIPPED = 63

_READ_BYTES: Final = 64 * 1024


class TakesTooLong(Exception):
    """A text cannot be parsed, or searched, in the time it may take."""


class BoundedParser:
    """A parser of one language, not for threads. ``clock`` gives the seconds of processor time that went by.

    The trees do not hold the text: ``Node.text`` is slow, and what it gives is never freed (tree-sitter 0.26.1).
    """

    def __init__(self, language: Language, clock: Callable[[], float] = time.thread_time) -> None:
        self._parser = Parser(language)
        self._clock = clock
        # What is returned to the parser is never freed (tree-sitter 0.26.1): so it gets the same buffer every time.
        self._window = bytearray()

    def parse(self, source: bytes, old_tree: Tree | None = None, *, limit_seconds: float) -> Tree:
        """The tree of ``source`` (UTF-8), from ``old_tree`` once that was told what changed. Raises TakesTooLong."""
        window, clock = self._window, self._clock
        end_seconds = clock() + limit_seconds
        is_parsing = True
        took_too_long = False

        def read(offset_bytes: int, _point: Point) -> bytes | bytearray | None:
            part = source[offset_bytes : offset_bytes + _READ_BYTES]
            if not is_parsing:
                return part  # to ``Node.text``, which takes nothing else
            if not part:
                return None
            window[:] = part
            return window

        def give_up(_offset_bytes: int, _has_error: bool) -> bool:
            nonlocal took_too_long
            took_too_long = clock() > end_seconds
            return took_too_long

        try:
            if old_tree is None:
                return self._parser.parse(read, progress_callback=give_up)
            return self._parser.parse(read, old_tree, progress_callback=give_up)
        except ValueError:
            self._parser.reset()  # or it would go on with this text
            if took_too_long:
                raise TakesTooLong from None
            raise
        finally:
            is_parsing = False


class Patience:
    """Of one text that changes: after it took too long, its next state is left out, then 3, 7, ... of them.

    So a text that stays as it is costs little, and one that was mended is parsed again.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._left_out = 0

    def may_try(self) -> bool:
        """Whether a new state of the text should be parsed; asked once for each."""
        if self._left_out:
            self._left_out -= 1
            return False
        return True

    def took_too_long(self) -> None:
        """The state that was tried could not be parsed."""
        self._failures += 1
        self._left_out = min(2**self._failures - 1, MAX_STATES_SKIPPED)

    def succeeded(self) -> None:
        """It could."""
        self._failures = 0


def nodes_at(root: Node, offset_bytes: int) -> tuple[Node, ...]:
    """The smallest node at a place and those around it, innermost first; none where they are over ``MAX_DEPTH``."""
    leaf = root.descendant_for_byte_range(offset_bytes, offset_bytes)
    if leaf is None or max(_depth(root, offset_bytes), _depth(root, max(0, offset_bytes - 1))) > MAX_DEPTH:
        return ()
    nodes = [root]
    while nodes[-1] != leaf:
        child = nodes[-1].child_with_descendant(leaf)
        if child is None:
            break
        nodes.append(child)
    return tuple(reversed(nodes))


def _depth(root: Node, offset_bytes: int) -> int:
    """How deep the tree is at a byte. A node without bytes is found at the byte before it, or at its own."""
    cursor = root.walk()
    while cursor.depth <= MAX_DEPTH and cursor.goto_first_child_for_byte(offset_bytes) is not None:
        pass
    return cursor.depth
