"""What of a snapshot may be kept, by the paths of the files that it shows: the whole of it, a part, or nothing.

A path as displayed to a model does not say which file it names, so whoever displayed it says what may be behind it.
Each of these files must lie in the workspace, also where links lead, be excluded by nothing, and not be ignored by git.
What is not known is a no. Knows nothing of patterns, of git or of what is in the texts.
"""
# A Path would take the dots out of a name and lose the link that stands before them.
# ruff: noqa: PTH100, PTH117, PTH118

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from capture.gate.ignored import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from capture.inputs import EditEvent
    from capture.snapshot.snapshot import Snapshot

Part = TypeVar("Part")

UNKNOWN = "which file it is about is not known"
OUTSIDE = "the file lies outside of the workspace"
EXCLUDED = "the file is excluded by its name or by a setting"
IGNORED = "git ignores the file, or it is not known whether it does"


@dataclass(frozen=True, slots=True)
class Origins:
    """Which files the paths in a snapshot name.

    ``root`` is the workspace's folder, absolute, as the editor names it; ``paths`` has for each path, as displayed to
    models, the absolute paths of all files that may be behind it: in another folder of the window may lie one of that
    name.
    """

    root: str
    paths: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """Nothing of the snapshot may be kept, because of the file it is about; ``reason`` names no path."""

    reason: str


def admitted(
    snapshot: Snapshot,
    origins: Origins,
    *,
    may_be_seen: Callable[[str], bool],
    standing: Callable[[str], Standing],
) -> Snapshot | NotAdmitted:
    """The snapshot without what shows a file that may not be kept, and with that counted in ``left_out``.

    Both questions get an absolute path, each path once, only where it lies in the workspace; ``may_be_seen`` is asked
    about what a link leads to as well, ``standing`` follows links itself.
    """
    files = _Files(origins, may_be_seen, standing)
    for path in dict.fromkeys((snapshot.path, snapshot.inputs.cursor_path)):
        reason = files.refusal(path)
        if reason:
            return NotAdmitted(reason)

    def shows_only_admissible(event: EditEvent) -> bool:
        return not files.refusal(event.path) and not files.refusal(event.old_path)

    inputs, repository = snapshot.inputs, snapshot.repository
    events = _those(inputs.events, shows_only_admissible)
    later_events = _those(snapshot.later_events, shows_only_admissible)
    all_related = inputs.related_files or ()
    related = _those(all_related, lambda found: not files.refusal(found.path))
    all_diffs = () if repository is None else repository.diffs
    diffs = _those(all_diffs, lambda found: not files.diff_refusal(found.path))
    left_out = sum(
        len(before) - len(after)
        for before, after in (
            (inputs.events, events),
            (snapshot.later_events, later_events),
            (all_related, related),
            (all_diffs, diffs),
        )
    )
    if not left_out:
        return snapshot
    return replace(
        snapshot,
        inputs=replace(inputs, events=events, related_files=None if inputs.related_files is None else related),
        later_events=later_events,
        repository=None if repository is None else replace(repository, diffs=diffs),
        left_out=snapshot.left_out + left_out,
    )


class _Files:
    """Why files may not be kept, each asked about once."""

    def __init__(
        self, origins: Origins, may_be_seen: Callable[[str], bool], standing: Callable[[str], Standing]
    ) -> None:
        self._origins = origins
        self._may_be_seen = may_be_seen
        self._standing = standing
        self._answers: dict[str, bool] = {}
        self._refusals: dict[str, str] = {}
        self._root = os.path.abspath(origins.root) if os.path.isabs(origins.root) else ""
        self._real_root = _real(self._root)

    def refusal(self, displayed: str) -> str:
        """Why nothing of what is displayed as ``displayed`` may be kept, empty when it may."""
        return self._first_refusal(self._origins.paths.get(displayed, ()))

    def diff_refusal(self, displayed: str) -> str:
        """The same of a diff: git named its file relative to the root, whatever else may be displayed so."""
        return self._first_refusal({os.path.join(self._root, displayed), *self._origins.paths.get(displayed, ())})

    def _first_refusal(self, paths: Iterable[str]) -> str:
        asked = [self._refusal_of_file(name) for path in paths for name in _names(path)]
        return next(filter(None, asked), "") if asked else UNKNOWN

    def _refusal_of_file(self, path: str) -> str:
        if path not in self._refusals:
            self._refusals[path] = self._found_refusal(path)
        return self._refusals[path]

    def _found_refusal(self, path: str) -> str:
        real = _real(path)
        if not real or not self._real_root:
            return UNKNOWN
        below, real_below = _below(os.path.abspath(path), self._root), _below(real, self._real_root)
        if not below or not real_below:
            return OUTSIDE
        # Patterns may count from the root as the editor names it, folders be named by where they really are.
        names = dict.fromkeys((path, os.path.join(self._root, below), os.path.join(self._root, real_below), real))
        if not all(map(self._is_seen, names)):
            return EXCLUDED
        return IGNORED if self._standing(path) is Standing.IGNORED else ""

    def _is_seen(self, path: str) -> bool:
        if path not in self._answers:
            self._answers[path] = self._may_be_seen(path)
        return self._answers[path]


def _those(parts: tuple[Part, ...], is_admissible: Callable[[Part], bool]) -> tuple[Part, ...]:
    return tuple(filter(is_admissible, parts))


def _names(path: str) -> Iterator[str]:
    """The path, and what of it names a file where an editor put more behind it: a notebook's cell, a query."""
    yield path
    bare = path.split("#", 1)[0].split("?", 1)[0]
    if bare != path:
        yield bare


def _real(path: str) -> str:
    """Where ``path`` leads, empty where it is not absolute or no file can have the name."""
    if not os.path.isabs(path):
        return ""
    try:
        return os.path.realpath(path)
    except ValueError:  # a NUL, or half of a surrogate pair
        return ""


def _below(path: str, folder: str) -> str:
    """``path`` as seen from ``folder``, empty when it does not lie in it."""
    beginning = folder.rstrip(os.sep) + os.sep
    return path[len(beginning) :] if path.startswith(beginning) else ""
