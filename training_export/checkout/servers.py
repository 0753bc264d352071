"""What language servers say of a file: the companions that the user's settings name, one a language, for one workspace.

A server is given the file as it was at the moment and asked nothing; its first report about it counts. Must be used on
one event loop. Knows nothing of examples.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from daemon.lsp.companion import Companion, CompanionState
from training_export.checkout.failure import ContextNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

REPORT_SECONDS: Final = 60.0  # some servers look at the whole workspace before they say a word


class Servers:
    """Owns the companions; a server runs from the first file of its language on until ``close``."""

    def __init__(self, root: Path, commands: Mapping[str, Sequence[str]]) -> None:
        """``commands`` are command lines by language id."""
        self._root = root
        self._commands = commands
        self._running: dict[str, Companion] = {}
        self._awaited: dict[str, asyncio.Future[list[Any]]] = {}
        self._last_version = 0

    async def report(self, path: str, language_id: str, text: str) -> list[Any] | None:
        """LSP's diagnostics of the file at ``path`` (absolute) with that text; None where no server is configured.

        Raises ContextNotFound where the server cannot be used, or says nothing in time.
        """
        command = self._commands.get(language_id)
        if not command:
            return None
        if language_id not in self._running:
            self._running[language_id] = Companion(language_id, command, self._root, on_diagnostics=self._hear)
        companion = self._running[language_id]
        uri = (self._root / path).as_uri()
        awaited: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._awaited[uri] = awaited
        unsubscribe = companion.subscribe(lambda state: self._gave_up(uri, state, companion))
        self._last_version += 1
        companion.opened(uri, self._last_version, text)
        self._gave_up(uri, companion.state, companion)
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                return await awaited
        except TimeoutError as error:
            reason = f"the language server of {language_id} said nothing of the file within {REPORT_SECONDS:g} s"
            raise ContextNotFound(reason, is_final=False) from error
        finally:
            unsubscribe()
            del self._awaited[uri]
            companion.closed(uri)

    async def close(self) -> None:
        """End all servers; returns when none is left."""
        for companion in self._running.values():
            await companion.close()

    def _hear(self, uri: str, version: int | None, said: list[Any]) -> None:
        awaited = self._awaited.get(uri)
        if awaited is not None and not awaited.done() and version in {None, self._last_version}:
            awaited.set_result(said)

    def _gave_up(self, uri: str, state: CompanionState, companion: Companion) -> None:
        awaited = self._awaited.get(uri)
        if state is CompanionState.OFF and awaited is not None and not awaited.done():
            awaited.set_exception(ContextNotFound(companion.reason, is_final=False))
