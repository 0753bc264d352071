"""Under which names this machine sends, and what its collectors are still to delete: one private file.

For each collector a random install in use, with the secret that proves it, and those it was before. A file that cannot
be read or understood stops uploads and is never begun anew: the secrets in it are all that deletes what was sent. Knows
nothing of networks or of the store.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from capture.file_lock import FileLock
from capture.rereading import Rereading
from capture.store.stored import PurgeRefused
from capture.upload.selection import Selection, read_selection, selection_of
from capture.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from capture.store.choice import Choice

FORMAT = 1  # of the file
SECRET_BYTES = 32
LOCK_SECONDS = 5.0
MAX_PROOFS = 256  # of one `DeleteRequest`

_ID = re.compile(r"[0-9a-f]{32}")
_SECRET = re.compile(r"[0-9a-f]{64}")


class InstallsUnusable(Exception):
    """The file cannot be read, understood or written; the message names the cause and the cure."""


@dataclass(frozen=True, slots=True)
class Install:
    """A name this machine sends under: ``id`` 32 hexadecimal digits, ``secret`` 32 bytes; both random."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Install(id={self.id!r})"  # the secret is never in a log


@dataclass(frozen=True, slots=True)
class Deletion:
    """What the collector at ``address`` is still to be asked: at most what one request holds.

    ``installs`` are those that were in use when it was asked for, at most 256; later ones sent nothing that is meant.
    ``asked_at`` is in seconds since the epoch.
    """

    id: str
    address: str
    selection: Selection
    installs: tuple[Install, ...]
    asked_at: float


@dataclass(frozen=True, slots=True)
class _Collector:
    """What is known for one address; ``installs`` newest first."""

    installs: tuple[Install, ...] = ()
    is_first_in_use: bool = False
    deletions: tuple[Deletion, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    collectors: dict[str, _Collector]
    problem: str = ""


class Installs:
    """The file at ``path``, shared with other processes; ``clock`` gives seconds since the epoch.

    Every method raises InstallsUnusable. Those that change something return once that is durable, after some
    milliseconds; the others cost a ``stat``.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._reading = Rereading(path, _read)

    def current(self, address: str) -> Install | None:
        """The install in use for the collector at ``address`` (host and port), None before the first upload."""
        return _current(self._of(address))

    def take(self, address: str) -> Install:
        """The install in use, made if there is none.

        To be called before the snapshots are leased that are sent under it: a purge asks those collectors to
        delete what is on its way that have an install.
        """
        found = self.current(address)
        if found is not None:
            return found
        with self._changing() as collectors:
            known = collectors.get(address, _Collector())
            found = _current(known)
            if found is None:
                found = Install(secrets.token_hex(16), secrets.token_bytes(SECRET_BYTES))
                collectors[address] = replace(known, installs=(found, *known.installs), is_first_in_use=True)
        return found

    def rotate(self, address: str) -> None:
        """Send under a new name from the next upload on; the old one is kept, to delete what was sent under it."""
        if not self.path.exists():
            return
        with self._changing() as collectors:
            if address in collectors:
                collectors[address] = replace(collectors[address], is_first_in_use=False)

    def proofs(self, address: str) -> tuple[Install, ...]:
        """Every install that may have sent something there, newest first."""
        return self._of(address).installs

    def addresses(self) -> tuple[str, ...]:
        """Every collector to which something was sent that it was not asked to delete, or did not confirm yet."""
        return tuple(self._usable().collectors)

    def ask_deletion(self, selection: Selection | None, in_flight_ids: Collection[str] = ()) -> None:
        """Have every collector that anything was sent to asked to delete what matches, and what is on its way.

        None selects nothing but what is on its way. Where the selection may match what is sent later, this machine
        sends that under a new install, so that asking again and again does not delete it.
        """
        if not self.path.exists():
            return
        # What is on its way first: it may arrive any moment, and is refused once its ids are known.
        selections = [*Selection(snapshot_ids=tuple(in_flight_ids)).parts()] if in_flight_ids else []
        selections += [] if selection is None else selection.parts()
        now = self._clock()
        with self._changing() as collectors:
            for address, known in collectors.items():
                if not known.installs:
                    continue  # nothing is there any more but what an earlier deletion covers
                asked = tuple(
                    Deletion(secrets.token_hex(16), address, part, known.installs[first : first + MAX_PROOFS], now)
                    for part in selections
                    for first in range(0, len(known.installs), MAX_PROOFS)
                )
                keeps_install = known.is_first_in_use and not (selection and selection.may_match_later(now))
                collectors[address] = replace(
                    known, deletions=(*known.deletions, *asked), is_first_in_use=keeps_install
                )

    def before_purge(self, wanted: Choice) -> Callable[[Collection[str]], None]:
        """What a purge of the ``Choice`` calls before it deletes: it has the collectors asked to do the same.

        Raises NotSelectable at once where no collector could be asked that; the function raises PurgeRefused.
        """
        selection = selection_of(wanted)

        def ask(in_flight_ids: Collection[str]) -> None:
            try:
                self.ask_deletion(selection, in_flight_ids)
            except InstallsUnusable as error:
                raise PurgeRefused(f"nothing was deleted, because no collector can be asked to: {error}") from error

        return ask

    def deletions(self, address: str) -> tuple[Deletion, ...]:
        """What the collector at ``address`` is still to be asked, in the order it was asked for."""
        return self._of(address).deletions

    def deleted(self, deletion: Deletion) -> None:
        """Note that the collector confirmed it: nothing that matches is left there.

        After everything was deleted the installs it covered are forgotten.
        """
        with self._changing() as collectors:
            known = collectors.get(deletion.address)
            if known is None or all(one.id != deletion.id for one in known.deletions):
                return
            covered = {one.id for one in deletion.installs} if deletion.selection.everything else set()
            if known.is_first_in_use:
                covered.discard(known.installs[0].id)
            left = _Collector(
                installs=tuple(one for one in known.installs if one.id not in covered),
                is_first_in_use=known.is_first_in_use,
                deletions=tuple(one for one in known.deletions if one.id != deletion.id),
            )
            collectors[deletion.address] = left
            if not left.installs and not left.deletions:
                del collectors[deletion.address]

    def _of(self, address: str) -> _Collector:
        return self._usable().collectors.get(address, _Collector())

    def _usable(self) -> _Known:
        return _sound(self._reading.current())

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, _Collector]]:
        """What the file holds, while no other process changes it; what the block makes of it is written down."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(self.path.with_suffix(".lock"))
            try:
                if not lock.take(within_seconds=LOCK_SECONDS):
                    raise InstallsUnusable(f"another process is changing {self.path.name}; try again when it is done")
                before = _sound(_read(self.path)).collectors
                collectors = dict(before)
                yield collectors
                if collectors != before:
                    write_whole(self.path, _written(collectors), durably=True)
            finally:
                lock.close()
        except OSError as error:
            raise InstallsUnusable(f"cannot write {self.path}: {error.strerror}; nothing was changed") from error


def _current(known: _Collector) -> Install | None:
    return known.installs[0] if known.is_first_in_use else None


def _sound(known: _Known) -> _Known:
    if known.problem:
        raise InstallsUnusable(known.problem)
    return known


def _written(collectors: dict[str, _Collector]) -> str:
    whole = {
        "format": FORMAT,
        "collectors": [
            {
                "address": address,
                "installs": [_install_json(one) for one in known.installs],
                "is_first_in_use": known.is_first_in_use,
                "deletions": [
                    {
                        "id": one.id,
                        "selection": one.selection.to_json(),
                        "installs": [_install_json(install) for install in one.installs],
                        "asked_at": one.asked_at,
                    }
                    for one in known.deletions
                ],
            }
            for address, known in sorted(collectors.items())
        ],
    }
    return json.dumps(whole, indent=1) + "\n"


def _install_json(install: Install) -> dict[str, str]:
    return {"id": install.id, "secret": install.secret.hex()}


def _read(path: Path) -> _Known:
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                return _Known({}, f"others may read {path}, which holds secrets; run: chmod 600 {path}")
            return _Known(_parse(file.read()))
    except FileNotFoundError:
        return _Known({})
    except OSError as error:
        return _Known({}, f"cannot read {path}: {error.strerror}; nothing is sent until it can be read")
    except ValueError as error:
        cure = (
            "put a backup in its place; without the file uploads begin under a new name, and what was sent before can"
            " only be deleted by whoever runs the collector"
        )
        return _Known({}, f"{path} is damaged ({error}), so nothing is sent; {cure}")


def _parse(text: str) -> dict[str, _Collector]:
    """Strictly; raises ValueError, whose message holds nothing of the file's values."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON at character {error.pos}") from None
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise ValueError(f"not the file of format {FORMAT}")
    collectors: dict[str, _Collector] = {}
    for record in _list(whole, "collectors"):
        address, is_first_in_use = record.get("address"), record.get("is_first_in_use")
        if not isinstance(address, str) or not address or address in collectors:
            raise ValueError("`address` is no text of its own")
        installs = tuple(map(_install, _list(record, "installs")))
        if not isinstance(is_first_in_use, bool) or (is_first_in_use and not installs):
            raise ValueError("`is_first_in_use` is not true or false, or true of no install")
        deletions = tuple(_deletion(address, one) for one in _list(record, "deletions"))
        for what, those in (("installs", installs), ("deletions", deletions)):
            if len({one.id for one in those}) != len(those):
                raise ValueError(f"two {what} of one `id`")
        collectors[address] = _Collector(installs, is_first_in_use, deletions)
    return collectors


def _list(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = record.get(name)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError(f"`{name}` is no list of objects")
    return value


def _install(record: dict[str, Any]) -> Install:
    secret = record.get("secret")
    if not isinstance(secret, str) or not _SECRET.fullmatch(secret):
        raise ValueError("`secret` is not 64 hexadecimal digits")
    return Install(_id(record), bytes.fromhex(secret))


def _deletion(address: str, record: dict[str, Any]) -> Deletion:
    asked_at = record.get("asked_at")
    if not isinstance(asked_at, int | float) or isinstance(asked_at, bool):
        raise ValueError("`asked_at` is no number")  # noqa: TRY004 (the file is wrong, not the program)
    installs = tuple(map(_install, _list(record, "installs")))
    if not 0 < len(installs) <= MAX_PROOFS:
        raise ValueError(f"`installs` of a deletion are none or more than {MAX_PROOFS}")
    return Deletion(_id(record), address, read_selection(record.get("selection")), installs, float(asked_at))


def _id(record: dict[str, Any]) -> str:
    found = record.get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise ValueError("`id` is not 32 hexadecimal digits")
    return found
