"""Puts the upload together from settings, consents and the store: for the hub, where it runs, and for commands.

gRPC is imported with the first uploader that is made, and none is made where no collector is named. Knows nothing of
what is sent or of when.
"""

from __future__ import annotations

import asyncio
import logging
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from capture.store.store import Store
from capture.upload.identity import Installs
from capture.upload.outbox import Outbox
from capture.upload.outgoing import OutgoingGate, machine_now
from capture.upload.target import Target
from daemon import paths
from daemon.consents import consent_book

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capture.consent.book import ConsentBook
    from capture.upload.uploader import Uploader
    from daemon.keyboard import Keyboard
    from daemon.settings import Settings
    from daemon.settings_store import SettingsStore
    from daemon.upload_settings import UploadSettings

log = logging.getLogger(__name__)

NO_COLLECTOR = "no collector is named; see [upload] in docs/settings.md"
ON_BATTERY = "the machine is on its battery; `on_battery = true` in [upload] sends all the same"


def installs() -> Installs:
    """Under which names this machine sends, and what is still to be deleted elsewhere."""
    return Installs(paths.installs_path())


def target_of(settings: UploadSettings) -> Target | None:
    """The collector that the settings name, None where they name none."""
    if not settings.collector:
        return None
    return Target(
        address=settings.collector,
        token_file=settings.token_file,
        # A collector that knows its clients by certificate may ask for no token.
        token_in_keyring=not settings.token_file and not settings.certificate_file,
        ca_file=settings.ca_file,
        certificate_file=settings.certificate_file,
        key_file=settings.key_file,
        plain_text=settings.plain_text,
    )


def outbox_of(store: Store, consents: ConsentBook, settings: Callable[[], Settings]) -> Outbox:
    """What may leave, looked at by the rules that hold when it does."""
    gate = OutgoingGate(machine_now(), lambda: settings().exclude)
    return Outbox(store, consents, gate, may_be_seen=lambda path: not _is_disabled(path, settings().disabled_folders))


def command_outbox(settings: Settings) -> Outbox:
    """For a command: the hub may use the same store at the same time."""
    return outbox_of(Store(paths.snapshots_path()), consent_book(), lambda: settings)


def uploader_of(
    outbox: Outbox,
    settings: Callable[[], Settings],
    *,
    quiet_seconds: Callable[[], float] = lambda: float("inf"),
    may_send: Callable[[], str] = lambda: "",
) -> Uploader:
    """Made on the event loop that it is used on."""
    # gRPC's own library would print each failed handshake; the uploader says what failed.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from capture.upload.uploader import Uploader  # noqa: PLC0415 (gRPC takes 30 MB)

    return Uploader(
        lambda: target_of(settings().upload), outbox, installs(), quiet_seconds=quiet_seconds, may_send=may_send
    )


def _is_disabled(path: str, folders: Sequence[str]) -> bool:
    """Whether the file lies in one of the folders, by its name or where its links lead."""
    real = os.path.realpath(path)
    places = {place for folder in folders for place in (folder, os.path.realpath(folder))}
    return any(Path(one).is_relative_to(place) for one in (path, real) for place in places)


class Uploading:
    """The hub's: begins once a collector is named, follows the settings, ends with the hub."""

    def __init__(self, store: Store, consents: ConsentBook, settings: SettingsStore, keyboard: Keyboard) -> None:
        self._store = store
        self._consents = consents
        self._settings = settings
        self._keyboard = keyboard
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outbox: Outbox | None = None
        self._uploader: Uploader | None = None
        self._running: asyncio.Task[None] | None = None
        self._broken = ""

    def begin(self) -> None:
        """Follow the settings from now on; called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._settings.subscribe(lambda _: self._follow())
        self._follow()

    def wake(self) -> None:
        """There may be something to do: a snapshot was stored, a deletion is to be asked for. For any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._follow)

    def status(self) -> dict[str, Any]:
        """As JSON takes it: what `Uploader.status` says, of an uploader that is off where there is none."""
        if self._broken or self._uploader is None:
            return {"state": "off", "reason": self._broken or NO_COLLECTOR}
        return self._uploader.status()

    async def close(self) -> None:
        """Send no more; what was on its way is sent again by the next hub."""
        self._loop = None
        if self._uploader is not None:
            await self._uploader.close()
        if self._running is not None:
            await asyncio.wait([self._running])
        if self._outbox is not None:
            self._outbox.close()

    def _follow(self) -> None:
        if self._loop is None:
            return
        if self._uploader is not None:
            self._uploader.wake()
        elif self._settings.current.upload.collector:
            self._outbox = outbox_of(self._store, self._consents, lambda: self._settings.current)
            self._uploader = uploader_of(
                self._outbox,
                lambda: self._settings.current,
                quiet_seconds=self._keyboard.quiet_seconds,
                may_send=self._reason_to_wait,
            )
            self._running = self._loop.create_task(self._uploader.run())
            self._running.add_done_callback(self._ended)

    def _ended(self, running: asyncio.Task[None]) -> None:
        error = None if running.cancelled() else running.exception()
        if error is not None:
            # The message may hold text of the user's; where it happened does not.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("uploads have ended: %s at\n%s", type(error).__name__, where)
            self._broken = f"a mistake in foretype ended it ({type(error).__name__}), see its log; then `foretype stop`"

    def _reason_to_wait(self) -> str:
        battery = psutil.sensors_battery()
        is_on_battery = battery is not None and battery.power_plugged is False
        return ON_BATTERY if is_on_battery and not self._settings.current.upload.on_battery else ""
