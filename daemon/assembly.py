"""Puts the daemon together: settings, engine, scheduler and status board, as the hub and ``--standalone``
share them.

The one place that knows which implementation each part has.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon import paths
from daemon.engine.client import EngineClient
from daemon.model_engine import ModelEngine
from daemon.scheduler import Scheduler
from daemon.services import Services
from daemon.settings_store import SettingsStore
from daemon.status import StatusBoard
from daemon.tuning.record import with_tuning

if TYPE_CHECKING:
    from daemon.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """What was built; whoever built it closes it."""

    services: Services
    engine: ModelEngine

    @property
    def settings(self) -> SettingsStore:
        """The settings in force."""
        return self.services.settings

    @property
    def status(self) -> StatusBoard:
        """Counters and reasons."""
        return self.services.status

    async def close(self) -> None:
        """End the worker and free the model."""
        await self.services.scheduler.close()


def read_startup_settings() -> SettingsStore:
    """The settings as the file has them now; a bad file leaves the defaults and its error."""
    store = SettingsStore(paths.settings_path())
    store.reload()
    return store


def build_parts(settings: SettingsStore, chosen: Settings | None = None) -> Parts:
    """Everything a session needs. Starts nothing: the model loads with the first prediction.

    ``chosen`` names the model to begin with, where it is not the one of ``settings``.
    """
    worker_log = logging.getLogger("daemon.worker")
    engine = ModelEngine(
        chosen or settings.current, lambda model: EngineClient(model, log=worker_log, prepare=with_tuning)
    )
    settings.subscribe(engine.follow)
    status = StatusBoard()
    scheduler = Scheduler(engine, status=status, unload_after_seconds=lambda: settings.current.unload_after_seconds)
    return Parts(Services(scheduler=scheduler, settings=settings, status=status), engine)
