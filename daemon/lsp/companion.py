"""A companion: one language server that we run beside the editor's own, for definitions and diagnostics.

LSP shows a server nothing of other servers, so foretype starts a second instance of the one that the user's settings
name, and is its client. It starts with the first document of its language, is started again when it dies, and after
too many deaths stays off with a reason. Its definitions come through ``capture.context``'s ``DefinitionSource``, its
diagnostics through a callback. Knows nothing of sessions, predictions or of who may see what.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from daemon.engine.restarts import RestartPolicy, Restarts
from daemon.lsp.companion_definitions import DefinitionQuestions
from daemon.lsp.companion_handshake import answers_in, introduce
from daemon.lsp.companion_process import CompanionProcess, ServerGone
from daemon.lsp.companion_program import ProgramRefused, find_program
from daemon.lsp.companion_texts import FollowedTexts
from daemon.lsp.documents import path_of
from daemon.lsp.params import member

if TYPE_CHECKING:
    from pathlib import Path

    from capture.context.definitions import Definition, Identifier
    from capture.editing.positions import ContentChange
    from daemon.lsp.companion_definitions import OpenText

OnDiagnostics = Callable[[str, int | None, list[Any]], None]  # the editor's URI and version, LSP's diagnostics

RESTARTS = RestartPolicy(fatal_deaths=4)  # three restarts in a minute


class CompanionState(Enum):
    """The life of a companion."""

    UNUSED = "not needed yet"
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting to be started again"
    OFF = "off"  # for good: ``reason`` says why
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class CompanionLimits:
    """How long a companion is waited for, how much is asked of it at once, how often it is started again."""

    start_seconds: float = 60.0  # for the answer to `initialize`: some servers load a runtime first
    request_seconds: float = 2.0
    requests_in_flight: int = 4
    restarts: RestartPolicy = RESTARTS


class Companion:
    """One language server for one workspace folder and one language; a ``DefinitionSource``."""

    def __init__(
        self,
        language_id: str,
        command: Sequence[str],
        root: Path,
        *,
        on_diagnostics: OnDiagnostics,
        open_text: OpenText = lambda _path: None,
        limits: CompanionLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._language_id = language_id
        self._command = tuple(command)
        self._root = root
        self._on_diagnostics = on_diagnostics
        self._limits = limits or CompanionLimits()
        self._restarts = Restarts(self._limits.restarts)
        self._clock = clock
        self._sleep = sleep
        self._texts = FollowedTexts(language_id)
        self._questions = DefinitionQuestions(
            self._texts, open_text, self._limits.request_seconds, self._limits.requests_in_flight
        )
        self._state = CompanionState.UNUSED
        self._reason = ""
        self._subscribers: list[Callable[[CompanionState], None]] = []
        self._life: asyncio.Task[None] | None = None
        self._server: CompanionProcess | None = None  # one that was introduced
        self._reported: set[str] = set()  # the documents it reported diagnostics of
        self._methods: tuple[str, ...] = ()  # what it answers of definition and typeDefinition

    @property
    def state(self) -> CompanionState:
        """Where the companion is in its life."""
        return self._state

    @property
    def reason(self) -> str:
        """Why it is not running and what helps, empty where it is or was not needed yet."""
        return self._reason

    @property
    def process_id(self) -> int | None:
        """The process id of the server that is ready, None while there is none."""
        return None if self._server is None else self._server.process_id

    def subscribe(self, callback: Callable[[CompanionState], None]) -> Callable[[], None]:
        """Call ``callback`` with every new state; the returned function ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def describe(self) -> dict[str, Any]:
        """What status shows; no text of the user's files is in it."""
        return {
            "language": self._language_id,
            "program": self._command[0],
            "state": self._state.value,
            "reason": self._reason,
            "process_id": self.process_id,
        }

    # What the editor does

    def opened(self, uri: str, version: int, text: str) -> None:
        """A document of the language was opened; the first one starts the server."""
        if self._state is CompanionState.CLOSED:
            return
        self._texts.open(uri, version, text)
        if self._state is CompanionState.UNUSED:
            self._enter(CompanionState.STARTING)
            self._life = asyncio.create_task(self._live())

    def changed(self, uri: str, version: int | None, changes: Sequence[ContentChange]) -> None:
        """An open document changed, by the editor's own words."""
        self._texts.change(uri, version, changes)

    def closed(self, uri: str) -> None:
        """A document was closed."""
        self._texts.close(uri)
        self._reported.discard(uri)

    async def close(self) -> None:
        """End the server; returns when no process of it is left."""
        self._enter(CompanionState.CLOSED)
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait({self._life})
            if not self._life.cancelled():
                self._life.result()  # a defect of ours is not to be mistaken for an end

    # What is asked

    async def definitions(self, path: str, identifiers: Sequence[Identifier]) -> Mapping[str, Sequence[Definition]]:
        """See ``DefinitionQuestions.ask``; nothing where no server is ready."""
        if self._server is None:
            return {}
        return await self._questions.ask(self._server, self._methods, path, identifiers)

    # The server's life

    def _enter(self, state: CompanionState, reason: str = "") -> None:
        if self._state is CompanionState.CLOSED:
            return
        self._state, self._reason = state, reason
        for callback in tuple(self._subscribers):
            callback(state)

    async def _live(self) -> None:
        """Run the server, again and again, until it is refused or dies too often."""
        shown = self._command[0]
        try:
            program = await asyncio.to_thread(find_program, shown, self._root, os.environ.get("PATH", ""))
            while True:
                how = await self._run((program, *self._command[1:]))
                pause_seconds = self._restarts.record(self._clock())
                if pause_seconds is None:
                    break
                self._enter(CompanionState.WAITING, f"`{shown}`: {how}")
                await self._sleep(pause_seconds)
                self._enter(CompanionState.STARTING)
        except ProgramRefused as refused:
            self._enter(CompanionState.OFF, f"`{shown}` of [languages.{self._language_id}] in the settings: {refused}")
            return
        policy = self._limits.restarts
        self._enter(
            CompanionState.OFF,
            f"`{shown}`: {how}, for the {policy.fatal_deaths}th time within {policy.window_seconds:g} s, and is not"
            f" started again: try it in a terminal, correct [languages.{self._language_id}] in the settings, or reopen"
            " the editor",
        )

    async def _run(self, command: Sequence[str]) -> str:
        """One process from its start to its end; says how it ended. Raises ProgramRefused."""
        try:
            server = await CompanionProcess.start(command, answers_in(self._root), self._hear)
        except OSError as error:
            raise ProgramRefused(f"it could not be started: {error.strerror}") from error
        is_introduced = False
        try:
            try:
                offers = await introduce(server, self._root, limit_seconds=self._limits.start_seconds)
            except TimeoutError:
                return f"it did not answer `initialize` within {self._limits.start_seconds:g} s"
            except ServerGone:
                await asyncio.wait({server.ended})
                return server.ended.result()
            is_introduced = True
            self._server, self._methods = server, offers.methods
            self._texts.attach(server.notify, offers.sync_kind)
            self._enter(CompanionState.READY)
            await asyncio.wait({server.ended})
            return server.ended.result()
        finally:
            self._server = None
            self._texts.detach()
            self._withdraw_diagnostics()
            if is_introduced:
                await server.close()
            else:
                server.kill()
                await asyncio.wait({server.ended})

    # What the server says

    def _hear(self, method: str, params: Any) -> None:
        if method != "textDocument/publishDiagnostics":
            return
        uri, said_version, diagnostics = (member(params, name) for name in ("uri", "version", "diagnostics"))
        if not isinstance(uri, str) or not isinstance(diagnostics, list):
            return
        followed = self._texts.find(path_of(uri))  # servers spell a URI in their own way
        if followed is not None and self._server is not None:
            said = said_version if isinstance(said_version, int) else None
            self._reported.add(followed.uri)
            self._on_diagnostics(followed.uri, followed.editors_version(said), diagnostics)

    def _withdraw_diagnostics(self) -> None:
        """What a server that is gone had reported holds no longer."""
        reported, self._reported = self._reported, set()
        if self._state is CompanionState.CLOSED:
            return
        for uri in sorted(reported):
            self._on_diagnostics(uri, None, [])
