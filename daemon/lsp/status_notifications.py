"""What the editor is told unasked: ``didChangeStatus`` on transitions, ``$/progress`` while loading.

``didChangeStatus`` is Copilot's and goes only to editors that speak that dialect; nothing here ever opens a
pop-up. Knows nothing of how predictions are made.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from daemon.scheduler import Superseded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.lsp.client_traits import ClientTraits
    from daemon.lsp.protocol import LenientProtocol


class StatusKind(Enum):
    """The kinds of Copilot's status we use; not ``Error``, at which clients offer a sign-in."""

    NORMAL = "Normal"
    WARNING = "Warning"
    INACTIVE = "Inactive"


class Announcer:
    """Owns what the editor was last told."""

    def __init__(self, protocol: LenientProtocol) -> None:
        self._protocol = protocol
        self._speaks_copilot = False
        self._shows_progress = False
        self._told = (StatusKind.NORMAL, "", False)
        self._loading = 0
        self._progress: asyncio.Task[None] | None = None

    def meet(self, traits: ClientTraits) -> None:
        """Learn what the editor understands."""
        self._speaks_copilot = self._speaks_copilot or traits.speaks_copilot
        self._shows_progress = traits.shows_progress

    def hear_copilot(self) -> None:
        """The editor used Copilot's dialect, so it understands it."""
        self._speaks_copilot = True

    def tell(self, kind: StatusKind, message: str = "", *, busy: bool = False) -> None:
        """Tell the status unless the editor knows it already."""
        if (kind, message, busy) == self._told or not self._speaks_copilot:
            return
        self._told = (kind, message, busy)
        self._protocol.notify("didChangeStatus", {"kind": kind.value, "message": message, "busy": busy})

    @property
    def kind(self) -> StatusKind:
        """The kind the editor was last told."""
        return self._told[0]

    @asynccontextmanager
    async def loading(self) -> AsyncIterator[None]:
        """Show that the model is being loaded while the body runs; one display however many wait.

        Whoever runs the body tells the status that follows; only when the body is given up is it told here.
        """
        self._loading += 1
        if self._loading == 1:
            self.tell(StatusKind.NORMAL, "loading the model", busy=True)
            if self._shows_progress:
                self._progress = asyncio.create_task(self._show_progress())
        try:
            yield
        except (asyncio.CancelledError, Superseded):
            self.tell(StatusKind.NORMAL)
            raise
        finally:
            self._loading -= 1
            if self._loading == 0:
                self.close()

    def close(self) -> None:
        """Take the display of progress away."""
        if self._progress is not None:
            self._progress.cancel()
            self._progress = None

    async def _show_progress(self) -> None:
        token = str(uuid.uuid4())
        try:
            await self._protocol.ask("window/workDoneProgress/create", {"token": token})
        except JsonRpcException:
            return  # the editor does not want it
        begin = types.WorkDoneProgressBegin(title="foretype", message="loading the model", cancellable=False)
        self._protocol.notify("$/progress", types.ProgressParams(token, begin))
        try:
            await asyncio.Event().wait()  # until the model is there
        finally:
            self._protocol.notify("$/progress", types.ProgressParams(token, types.WorkDoneProgressEnd()))
