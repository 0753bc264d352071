"""The settings in force: read from the file, watched, and handed to whoever asked to be told.

The one owner of the current ``Settings``. A missing file means the defaults; a bad one leaves what was in
force and keeps the error for status. Knows nothing of what the keys do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from capture.whole_file import write_whole
from daemon.errors import SettingsError
from daemon.settings import Settings, line_of_key, parse_settings, statements

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

QUIET_MS = 50  # an editor's save is several file events; they count as one when this long apart at most


class SettingsStore:
    """The current settings and those who follow them. Not thread-safe: lives on the event loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._from_file = Settings()
        self._error: SettingsError | None = None
        self._watch_problem = ""
        self._paused = False
        self._subscribers: list[Callable[[Settings], None]] = []

    @property
    def current(self) -> Settings:
        """The settings in force; while paused they are those of the file with ``enabled`` off."""
        return replace(self._from_file, enabled=False) if self._paused else self._from_file

    @property
    def error(self) -> SettingsError | None:
        """Why the file as it is now did not take effect, None when it did."""
        return self._error

    @property
    def watch_problem(self) -> str:
        """Why changes of the file are not seen, empty while they are."""
        return self._watch_problem

    @property
    def paused(self) -> bool:
        """Whether ``foretype pause`` was said and ``resume`` was not; forgotten when the hub ends."""
        return self._paused

    def subscribe(self, callback: Callable[[Settings], None]) -> Callable[[], None]:
        """Call ``callback`` with the new settings after each change; returns what ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def set_paused(self, *, paused: bool) -> None:
        """Turn predictions off for all windows, whatever the file says, or leave it to the file again."""
        before = self.current
        self._paused = paused
        self._publish(before)

    def reload(self) -> None:
        """Read the file now. Never raises: a bad file is kept in ``error`` and changes nothing."""
        before = self.current
        try:
            self._from_file = read_settings(self.path)
        except SettingsError as error:
            self._error = error
            log.warning("settings not taken: key %s, line %d", error.key or "unknown", error.line)
            return
        self._error = None
        self._publish(before)

    def _publish(self, before: Settings) -> None:
        if self.current == before:
            return
        for callback in tuple(self._subscribers):
            callback(self.current)

    async def watch(self, stop: asyncio.Event) -> None:
        """Reload whenever the file changes, until ``stop`` is set or watching fails (see ``watch_problem``).

        Watches directories, because editors replace files instead of writing them; where the file is a link
        (dotfiles kept elsewhere), the directory of what it points at too.
        """
        try:
            await self._watch(stop)
        except OSError as error:  # a home that cannot be written, or no file watches left on this machine
            self._watch_problem = f"changes of the settings are not seen until the hub restarts: {error}"
            log.warning("the settings are not watched: errno %s", error.errno)

    async def _watch(self, stop: asyncio.Event) -> None:
        from watchfiles import awatch  # noqa: PLC0415 (a command that only reads settings needs no watcher)

        self.path.parent.mkdir(parents=True, exist_ok=True)
        target = self.path.resolve()
        names = {str(self.path), str(target), str(self.path.parent.resolve() / self.path.name)}
        directories = {self.path.parent, target.parent} if target.parent.is_dir() else {self.path.parent}
        changes = awatch(
            *directories,
            watch_filter=lambda _change, path: path in names,
            step=QUIET_MS,
            stop_event=stop,
            recursive=False,
        )
        upcoming = asyncio.ensure_future(anext(changes, None))
        await asyncio.sleep(0)  # the watcher's first step puts the watch in place;
        self.reload()  # so a change made before it is seen here, and a later one below
        while await upcoming is not None:
            self.reload()
            upcoming = asyncio.ensure_future(anext(changes, None))


def read_settings(path: Path) -> Settings:
    """The settings in the file at ``path``, the defaults when there is none; raises SettingsError."""
    try:
        return parse_settings(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text") from error
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error


def write_setting(path: Path, key: str, value: str | int) -> None:
    """Set one key, as `change_settings` does."""
    change_settings(path, lambda text: with_setting(text, key, value))


def change_settings(path: Path, change: Callable[[str], str]) -> None:
    """Make of the file's text what ``change`` makes of it; a file that is not there is an empty one.

    Raises SettingsError when the file is not valid now: then it is the person's to mend. The file is replaced
    in one step, so that neither a crash nor the watcher ever sees half of it; a link stays a link.
    """
    text = path.read_bytes().decode() if path.exists() else ""  # as it is: its line ends are the person's
    parse_settings(text)
    changed = change(text)
    parse_settings(changed)
    write_whole(path, changed)


def with_setting(text: str, key: str, value: str | int) -> str:
    """The file's ``text`` with one key set, everything else kept, comments included."""
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    assignment = f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
    lines = text.split("\n")
    if not line_of_key(text, key):
        return _with_new_line(text, assignment)
    first, last = next((first, last) for first, last, keys in statements(text) if key in keys)
    ending = "\r" if lines[last - 1].endswith("\r") else ""
    comment = _trailing_comment(lines[first - 1 : last])
    lines[first - 1 : last] = [assignment + comment + ending]
    return "\n".join(lines)


def _with_new_line(text: str, assignment: str) -> str:
    """``assignment`` as the last line that belongs to no table: what stands below a table's head belongs to it."""
    lines = text.split("\n")
    heads = (first for first, _, _ in statements(text) if lines[first - 1].lstrip().startswith("["))
    head = next(heads, 0)
    if not head:
        return text + ("" if text.endswith("\n") or not text else "\n") + assignment + "\n"
    at = head - 1
    while at and lines[at - 1].lstrip().startswith("#"):  # a comment right above the head is about its table
        at -= 1
    ending = "\r" if lines[head - 1].endswith("\r") else ""
    lines[at:at] = [assignment + ending, ending]
    return "\n".join(lines)


def _trailing_comment(statement: list[str]) -> str:
    """The comment after a statement, and the space before it: a tail without which the value is the same."""
    joined = "\n".join(statement).removesuffix("\r")
    value = tomllib.loads(joined)
    for position, character in enumerate(joined):
        if character != "#":
            continue
        before = joined[:position]
        try:
            same = tomllib.loads(before) == value
        except tomllib.TOMLDecodeError:
            continue
        if same:
            return joined[len(before.rstrip()) :]
    return ""
