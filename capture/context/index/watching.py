"""Hears of changes on disk, through watchfiles, in a thread of its own.

Each folder is watched for itself: watching the root with all that is below it would watch what git ignores too, and
follow links out of it. Knows nothing of what the files mean.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from watchfiles import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STEP_MS = 200  # between two looks for news; as long without any ends a batch
BATCH_MS = 1_000  # at most


class FolderWatcher:
    """Watches the folders it was told last.

    From threads of its own it calls ``on_ready`` once all of them are watched and ``on_changes`` with the paths that
    changed. After ``on_lost`` and ``on_failure`` (each with a sentence) nothing more will be heard; after the first it
    is worth trying again. All but ``on_changes`` get the number that ``watch`` returned: an earlier watch may report.
    """

    def __init__(
        self,
        on_ready: Callable[[int], None],
        on_changes: Callable[[list[str]], None],
        on_lost: Callable[[int, str], None],
        on_failure: Callable[[int, str], None],
    ) -> None:
        self._on_ready = on_ready
        self._on_changes = on_changes
        self._on_lost = on_lost
        self._on_failure = on_failure
        self._number = 0
        self._stop: _Stop | None = None

    def watch(self, folders: Sequence[str]) -> int:
        """Watch these folders, and no others any more; with none nothing is reported.

        The change from one set to another may miss something.
        """
        if self._stop is not None:
            self._stop.set()
        self._number += 1
        if not folders:
            return self._number
        self._stop = _Stop(partial(self._on_ready, self._number))
        threading.Thread(target=self._run, args=(self._number, tuple(folders), self._stop), daemon=True).start()
        return self._number

    def _run(self, number: int, folders: Sequence[str], stop: _Stop) -> None:
        try:
            for changes in watch(
                *folders,
                watch_filter=None,
                debounce=BATCH_MS,
                step=STEP_MS,
                stop_event=stop,
                recursive=False,
                ignore_permission_denied=False,  # it would ignore every error
                raise_interrupt=False,
            ):
                self._on_changes([path for _, path in changes])
        except (FileNotFoundError, PermissionError, RuntimeError) as error:
            # A folder has changed meanwhile; watchfiles' own error, as when a file is made whose name is no Unicode.
            self._on_lost(number, str(error))
        except OSError as error:
            self._on_failure(number, str(error))


class _Stop:
    """What watchfiles asks whether to stop, again and again once it watches: the first time says that it does."""

    def __init__(self, on_ready: Callable[[], None]) -> None:
        self._event = threading.Event()
        self._on_ready = on_ready
        self._was_asked = False

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        if not self._was_asked:
            self._was_asked = True
            self._on_ready()
        return self._event.is_set()
