"""Which file defines which name, within a bound of memory, and which definition a name most likely means. Pure.

A file is replaced or removed as a whole. Where the bound is reached, what was merely found on a walk stays out, and
what the user touches pushes out the files that were touched, or found by a lookup, longest ago. Knows nothing of the
disk.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass
from heapq import nsmallest
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from capture.context.index.languages import family_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capture.context.index.symbols import Symbol

MAX_FOUND = 4  # definitions of one name: the fifth likeliest is hardly the right one
MAX_FILES_OF_NAME = 128  # what more files define (`__init__`, `main`) says nothing: then only the file's own counts
# What CPython 3.11 to 3.13 needs, rounded up; a test compares with what is allocated.
FILE_BYTES: Final = 700  # beside its path
SYMBOL_BYTES: Final = 256
NAME_BYTES: Final = 360  # beside its characters, once for all its symbols

_NAME = attrgetter("name")


@dataclass(frozen=True, slots=True)
class Found:
    """A symbol and the file that defines it."""

    path: str
    symbol: Symbol


@dataclass(eq=False, slots=True)
class _File:
    path: str
    family: str
    symbols: list[Symbol]  # by name, then by place

    @property
    def names(self) -> set[str]:
        return {symbol.name for symbol in self.symbols}

    @property
    def bytes_without_names(self) -> int:
        return FILE_BYTES + _text_bytes(self.path) + len(self.symbols) * SYMBOL_BYTES

    @property
    def bytes_alone(self) -> int:
        return self.bytes_without_names + sum(map(_name_bytes, self.names))

    def named(self, name: str) -> Iterable[Symbol]:
        index = bisect_left(self.symbols, name, key=_NAME)
        while index < len(self.symbols) and self.symbols[index].name == name:
            yield self.symbols[index]
            index += 1


class SymbolTable:
    """The symbols of a workspace; ``limit_bytes`` bounds what they take in memory."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._files: OrderedDict[str, _File] = OrderedDict()  # touched or found longest ago first
        self._by_name: dict[str, list[_File]] = {}
        self._bytes = 0
        self._symbol_count = 0

    @property
    def memory_bytes(self) -> int:
        """What the table takes, a little overestimated; never over the limit."""
        return self._bytes

    @property
    def symbol_count(self) -> int:
        """How many symbols there are."""
        return self._symbol_count

    @property
    def paths(self) -> tuple[str, ...]:
        """The files in the table, those touched or found longest ago first."""
        return tuple(self._files)

    def replace(self, path: str, symbols: Iterable[Symbol], *, may_evict: bool) -> bool:
        """The file at ``path`` (absolute) now defines ``symbols``; False where there is no room for them.

        With ``may_evict`` others make room. Whatever the outcome, nothing is left of what the file defined before.
        """
        self.remove(path)
        file = _File(path, family_of(path), sorted(symbols, key=lambda symbol: (symbol.name, symbol.start_byte)))
        if file.bytes_alone > self._limit_bytes:
            return False
        while self._bytes + self._price(file) > self._limit_bytes:
            if not may_evict:
                return False
            self.remove(next(iter(self._files)))
        self._bytes += self._price(file)
        self._symbol_count += len(file.symbols)
        self._files[path] = file
        for name in file.names:
            self._by_name.setdefault(name, []).append(file)
        return True

    def remove(self, path: str) -> None:
        """Forget what the file at ``path`` defines, if anything."""
        file = self._files.pop(path, None)
        if file is None:
            return
        for name in file.names:
            files = self._by_name[name]
            files.remove(file)
            if not files:
                del self._by_name[name]
                self._bytes -= _name_bytes(name)
        self._bytes -= file.bytes_without_names
        self._symbol_count -= len(file.symbols)

    def find(self, name: str, asking_path: str) -> tuple[Found, ...]:
        """At most ``MAX_FOUND`` definitions of ``name`` as ``asking_path`` may mean it, the likeliest first.

        First come its own (a name that a file defines is hardly another's), then those of its folder, then the more
        folders up and down again the later; at last by path and row. Files of other languages are left out, unless
        the asking file's language is not known.
        """
        own = self._files.get(asking_path)
        files: Iterable[_File] = self._by_name.get(name, ())
        if len(self._by_name.get(name, ())) > MAX_FILES_OF_NAME:
            files = (own,) if own is not None else ()
        family, here = family_of(asking_path), asking_path.split("/")[:-1]
        ranked = nsmallest(
            MAX_FOUND,
            (file for file in files if family in ("", file.family)),
            key=lambda file: (file is not own, *_distance(here, file.path.split("/")[:-1]), file.path),
        )
        found = [Found(file.path, symbol) for file in ranked for symbol in file.named(name)][:MAX_FOUND]
        for hit in found:
            self._files.move_to_end(hit.path)
        return tuple(found)

    def _price(self, file: _File) -> int:
        """What ``file`` would add: itself and the names nobody else defines."""
        # Not `names - keys()`: that would go through the whole table.
        return file.bytes_without_names + sum(_name_bytes(name) for name in file.names if name not in self._by_name)


def _name_bytes(name: str) -> int:
    return NAME_BYTES + _text_bytes(name)


def _text_bytes(text: str) -> int:
    return len(text) * (1 if text.isascii() else 4)  # at the most: CPython takes four where one character needs them


def _distance(here: list[str], there: list[str]) -> tuple[int, int]:
    """How many folders one goes up and then down from ``here`` to ``there``."""
    common = 0
    for one, other in zip(here, there, strict=False):
        if one != other:
            break
        common += 1
    return len(here) - common, len(there) - common
