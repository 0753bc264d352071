"""What one hub shares with all its sessions. Built once by the hub (or by ``--standalone``), handed down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.lsp.work_ahead import READING_SECONDS
from daemon.recording.feed import Recordings

if TYPE_CHECKING:
    from daemon.scheduler import Scheduler
    from daemon.settings_store import SettingsStore
    from daemon.status import StatusBoard


@dataclass(frozen=True, slots=True)
class Services:
    """The shared parts a session may use."""

    scheduler: Scheduler
    settings: SettingsStore  # .current is a Settings; .subscribe(callback) on change
    status: StatusBoard  # why there is no prediction, counters, one entry per session
    reading_seconds: float = READING_SECONDS  # before what follows an acceptance is computed
    recordings: Recordings = field(default_factory=Recordings)  # who listens to one file's changes, if anybody
