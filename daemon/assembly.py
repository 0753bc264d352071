"""Puts the daemon together: settings, engine, scheduler and status board, as the hub and ``--standalone``
share them.

The one place that knows which implementation each part has.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.store.store import Store
from capture.store.writer import MEBIBYTE, Limits
from daemon import paths
from daemon.consents import consent_book
from daemon.engine.client import EngineClient
from daemon.model_engine import ModelEngine
from daemon.scheduler import Scheduler
from daemon.services import Services
from daemon.settings_store import SettingsStore
from daemon.snapshot_keeper import SnapshotKeeper
from daemon.status import StatusBoard
from daemon.symbol_indexes import SymbolIndexes
from daemon.trying.engines import TrialEngine
from daemon.tuning.record import with_tuning
from daemon.uploading import Uploading, installs

if TYPE_CHECKING:
    from daemon.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """What was built; whoever built it closes it."""

    services: Services
    engine: TrialEngine
    indexes: SymbolIndexes
    keeper: SnapshotKeeper
    uploading: Uploading

    @property
    def settings(self) -> SettingsStore:
        """The settings in force."""
        return self.services.settings

    @property
    def status(self) -> StatusBoard:
        """Counters and reasons."""
        return self.services.status

    def begin(self) -> None:
        """Do what is done of itself: send snapshots where somebody agreed to that. Called on the event loop."""
        self.uploading.begin()

    async def close(self) -> None:
        """End the workers, free the model, and write what is to be kept."""
        await self.uploading.close()
        await self.keeper.close()
        await self.indexes.close()
        await self.services.ignored.close()
        await self.services.scheduler.close()


def read_startup_settings() -> SettingsStore:
    """The settings as the file has them now; a bad file leaves the defaults and its error."""
    store = SettingsStore(paths.settings_path())
    store.reload()
    return store


def build_parts(settings: SettingsStore, chosen: Settings | None = None) -> Parts:
    """Everything a session needs. Starts nothing: the model loads with the first prediction, an index with the first
    document of a workspace, and no store is made before the first snapshot is kept.

    ``chosen`` names the model to begin with, where it is not the one of ``settings``.
    """
    worker_log = logging.getLogger("daemon.worker")

    def engine_of(wanted: Settings) -> ModelEngine:
        return ModelEngine(wanted, lambda model: EngineClient(model, log=worker_log, prepare=with_tuning))

    in_use = engine_of(chosen or settings.current)
    settings.subscribe(in_use.follow)
    engine = TrialEngine(in_use, chosen or settings.current, engine_of)
    settings.subscribe(engine.follow)
    status = StatusBoard()
    scheduler = Scheduler(
        engine,
        status=status,
        unload_after_seconds=lambda: settings.current.unload_after_seconds,
        serving=engine.serving,
    )
    indexes = SymbolIndexes(
        logging.getLogger("daemon.index"),
        exclude=lambda: settings.current.exclude,
        enabled=lambda: settings.current.symbol_index,
    )
    settings.subscribe(lambda _: indexes.follow_settings())
    store = Store(paths.snapshots_path(), limits=Limits(cap_bytes=settings.current.snapshots_max_mebibytes * MEBIBYTE))
    consents = consent_book()
    keeper = SnapshotKeeper(store, consents, lambda: settings.current, before_purge=installs().before_purge)
    services = Services(scheduler=scheduler, settings=settings, status=status, indexes=indexes, keeper=keeper)
    uploading = Uploading(store, consents, settings, services.keyboard)
    keeper.follow(uploading.wake)
    return Parts(services, engine, indexes, keeper, uploading)
