"""In which order somebody may have made the changes of a commit: what is defined comes before what uses it.

A commit says what was changed, not when. Zed's own way to find out is not published; this one is simple and always
comes to the same: source files before tests before other texts before what programs write, files by name, changes from
top to bottom; but a change that brings in a name goes before the changes that use the name, and whoever is in a file
stays there as long as something in it can be done. Names are found by the look of lines, in every language alike.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from capture.context.index.languages import language_of
from training_export.importing.service_files import is_service_file

_DEFINED: Final = (
    re.compile(
        r"\b(?:def|class|func|function|fn|struct|enum|union|interface|trait|type|typedef|const|let|var|val|static|module"
        r"|namespace|record|object|import|use|using|require|define)\s+(?:\w+\.)*([A-Za-z_]\w{2,})"
    ),
    re.compile(r"^(?:export\s+)?([A-Za-z_]\w{2,})\s*(?::[^=(]*)?:?=(?!=)"),  # a name at the line's start gets a value
    re.compile(r"^\s*from\s+\S+\s+import\s+(.+)"),
    re.compile(r"^\s*(?:[\w<>\[\],*&:]+\s+)+([A-Za-z_]\w{2,})\s*\([^;]*\)\s*(?:const\s*)?\{\s*$"),  # C, Java, C#
)
_WORD: Final = re.compile(r"[A-Za-z_]\w{2,}")
_NO_NAMES: Final = frozenset({"if", "for", "while", "switch", "return", "else", "catch", "import", "from", "async"})
_TESTS: Final = re.compile(r"(?:^|[/_.-])(?:tests?|specs?|__tests__|testdata|fixtures)(?:[/_.-]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Group:
    """Lines next to each other that change together, in the order of the file: ``removed`` become ``added``.

    ``row`` is that of the first in the file as it was before all changes; ``index`` counts the file's groups.
    """

    path: str
    index: int
    row: int
    removed: tuple[str, ...]
    added: tuple[str, ...]


def ordered(groups: Sequence[Group]) -> list[Group]:
    """The groups in the order described above; those of one file come with rising ``index``."""
    waiting = sorted(groups, key=lambda group: (_rank(group.path), group.path, group.index))
    needs = _needs(waiting)
    done: set[Group] = set()
    found: list[Group] = []
    while waiting:
        # Where names need each other in a circle, nothing is ready and the first one counts as it.
        ready = [group for group in waiting if needs[group] <= done] or waiting[:1]
        here = found[-1] if found else None
        chosen = next(
            (group for group in ready if here and group.path == here.path and group.index > here.index),
            next((group for group in ready if here and group.path == here.path), ready[0]),
        )
        waiting.remove(chosen)
        done.add(chosen)
        found.append(chosen)
    return found


def _needs(groups: Sequence[Group]) -> dict[Group, set[Group]]:
    """The groups that bring in a name which the group uses."""
    removed = {word for group in groups for line in group.removed for word in _WORD.findall(line)}
    bringer: dict[str, Group] = {}
    for group in groups:
        for name in _names_defined(group.added) - removed:
            bringer.setdefault(name, group)
    needs: dict[Group, set[Group]] = defaultdict(set)
    for group in groups:
        words = {word for line in group.added for word in _WORD.findall(line)}
        needs[group] = {bringer[word] for word in words & bringer.keys()} - {group}
    return needs


def _names_defined(lines: Sequence[str]) -> set[str]:
    found = {match for line in lines for pattern in _DEFINED for match in pattern.findall(line)}
    return {word for text in found for word in _WORD.findall(text)} - _NO_NAMES


def _rank(path: str) -> int:
    if is_service_file(path):
        return 3
    if language_of(path) is None:
        return 2
    return 1 if _TESTS.search(str(PurePosixPath(path))) else 0
