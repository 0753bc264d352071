"""What one hub shares with all its sessions. Built once by the hub (or by ``--standalone``), handed down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from capture.context.cochange import CoChange
from daemon.ignored_files import IgnoredFiles
from daemon.keyboard import Keyboard
from daemon.lsp.work_ahead import READING_SECONDS
from daemon.recording.feed import Recordings

if TYPE_CHECKING:
    from daemon.scheduler import Scheduler
    from daemon.settings_store import SettingsStore
    from daemon.snapshot_keeper import SnapshotKeeper
    from daemon.status import StatusBoard
    from daemon.symbol_indexes import SymbolIndexes


@dataclass(frozen=True, slots=True)
class Services:
    """The shared parts a session may use."""

    scheduler: Scheduler
    settings: SettingsStore  # .current is a Settings; .subscribe(callback) on change
    status: StatusBoard  # why there is no prediction, counters, one entry per session
    reading_seconds: float = READING_SECONDS  # before what follows an acceptance is computed
    co_change: CoChange = field(default_factory=CoChange)  # one reading of a repository serves all windows
    recordings: Recordings = field(default_factory=Recordings)  # who listens to one file's changes, if anybody
    ignored: IgnoredFiles = field(default_factory=IgnoredFiles)  # what git ignores serves as context nowhere else
    keyboard: Keyboard = field(default_factory=Keyboard)  # uploads wait while somebody types
    asking_git: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))  # for snapshots
    indexes: SymbolIndexes | None = None  # None: there is no symbol index
    keeper: SnapshotKeeper | None = None  # None: nothing is captured, whoever agreed
