"""The symbol index as the hub sees it: a source of definitions that lives in a child process.

It starts the worker, tells it of open documents, asks it, and starts it anew where it dies. Nothing here waits for
the index: before it is ready, and where it fails, there are fewer definitions, or none. Knows nothing of tree-sitter.
"""

from __future__ import annotations

import asyncio
import time
from enum import Enum
from typing import TYPE_CHECKING, Any

from capture.context.definitions import Definition
from capture.context.index.messages import Answer, IndexLimits, IndexProgress, Reply, Request, can_be_told
from capture.context.index.process import WORKER_COMMAND, IndexProcess
from capture.gate.exclude import PathGate

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from capture.context.definitions import Identifier

ANSWER_SECONDS = 2.0  # a worker that reads a large file, on a busy machine; later nobody wants to know any more
# Between two tellings of what is typed: parsing after each key would take a core from the model.
TEXT_SECONDS = 0.5


class IndexState(Enum):
    """Where an index is in its life."""

    NEW = "new"
    RUNNING = "running"
    WAITING = "waiting"  # the worker died; the next is about to start
    FAILED = "failed"  # it died too often
    CLOSED = "closed"


class SymbolIndex:
    """The index of one workspace; a ``DefinitionSource``.

    ``root`` is the workspace folder, absolute and as the editor names it; ``exclude_globs`` are the user's, beside the
    secret files. ``pause_after_death`` is told the time of each death of the worker and says after how many seconds the
    next is started, None for never. ``on_progress`` hears every report. Raises ValueError for a glob that is not valid.

    Must be made and used on one event loop.
    """

    def __init__(
        self,
        root: str,
        *,
        log: logging.Logger,
        pause_after_death: Callable[[float], float | None],
        exclude_globs: Sequence[str] = (),
        limits: IndexLimits | None = None,
        on_progress: Callable[[IndexProgress], None] = lambda _progress: None,
        command: Sequence[str] = WORKER_COMMAND,
        text_seconds: float = TEXT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        PathGate(exclude_globs)  # said here, where somebody can act on it
        self._start_message = {
            "op": Request.START,
            "root": root,
            "exclude_globs": list(exclude_globs),
            "limits": (limits or IndexLimits()).to_json(),
        }
        self._log = log
        self._pause_after_death = pause_after_death
        self._on_progress = on_progress
        self._command = command
        self._text_seconds = text_seconds
        self._clock = clock
        self._sleep = sleep
        self._state = IndexState.NEW
        self._failure: str | None = None
        self._progress = IndexProgress()
        self._running: asyncio.Task[None] | None = None
        self._process: IndexProcess | None = None
        self._texts: dict[str, Callable[[], str]] = {}  # of open documents
        self._untold: dict[str, None] = {}  # documents that were opened, changed or closed
        self._telling: asyncio.TimerHandle | None = None
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._last_id = 0

    @property
    def state(self) -> IndexState:
        """Where the index is in its life."""
        return self._state

    @property
    def failure(self) -> str | None:
        """Why there is no index any more, None as long as there is one."""
        return self._failure

    @property
    def progress(self) -> IndexProgress:
        """What the worker reported last; nothing after it died."""
        return self._progress

    @property
    def process_id(self) -> int | None:
        """The worker's process id, None while there is no worker."""
        return self._process.process_id if self._process is not None else None

    def start(self) -> None:
        """Start the worker; returns at once."""
        if self._state is IndexState.NEW:
            self._state = IndexState.WAITING
            self._running = asyncio.create_task(self._run())

    def note_open(self, path: str, read_text: Callable[[], str]) -> None:
        """The document at ``path`` (absolute) was opened or changed; its text counts, and not the disk's.

        ``read_text`` gives the text of the moment it is called; it is called at most every ``text_seconds`` and
        whenever a worker starts, until ``note_closed``.
        """
        if can_be_told(path):
            self._texts[path] = read_text
            self._tell_soon(path)

    def note_closed(self, path: str) -> None:
        """The document at ``path`` was closed: what is on disk counts."""
        if self._texts.pop(path, None) is not None:
            self._tell_soon(path)

    async def definitions(self, path: str, identifiers: Sequence[Identifier]) -> Mapping[str, Sequence[Definition]]:
        """Definitions of names used in the document at ``path``, by name, the likeliest first.

        Nothing where the worker is not there, or does not answer within ``ANSWER_SECONDS``. Never raises.
        """
        names = [identifier.name for identifier in identifiers if can_be_told(identifier.name)]
        if self._process is None or not names or not can_be_told(path):
            return {}
        self._last_id += 1
        number = self._last_id
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self._process.tell({"op": Request.FIND, "id": number, "path": path, "names": names})
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await answer
        except TimeoutError:
            return {}
        finally:
            del self._asked[number]
        return {name: [_definition(name, hit) for hit in hits] for name, hits in found.items()}

    async def close(self) -> None:
        """End the worker, and the index with it."""
        self._state = IndexState.CLOSED
        if self._telling is not None:
            self._telling.cancel()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    # The worker's life

    async def _run(self) -> None:
        """Keep a worker running until there were too many deaths."""
        while True:
            how = await self._live()
            pause_seconds = self._pause_after_death(self._clock())
            if pause_seconds is None:
                self._state = IndexState.FAILED
                self._failure = (
                    f"{how}, too often in a short time: definitions from the symbol index are off until foretype is"
                    " restarted; its log says more"
                )
                self._log.warning("%s", self._failure)
                return
            self._log.info("%s; the next is started in %g s", how, pause_seconds)
            await self._sleep(pause_seconds)

    async def _live(self) -> str:
        """One worker from start to end; how it ended."""
        try:
            process = await IndexProcess.start(self._command, self._log)
        except OSError as error:
            return f"the index worker could not be started ({error})"
        process.tell(self._start_message)
        self._process, self._state = process, IndexState.RUNNING
        self._untold = dict.fromkeys(self._texts)
        self._tell()
        try:
            async for reply in process.replies():
                self._hear(reply)
        finally:
            self._process = None
            self._state = IndexState.CLOSED if self._state is IndexState.CLOSED else IndexState.WAITING
            self._progress = IndexProgress()
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_result({})
            how = await process.end()
        return how

    def _hear(self, reply: dict[str, Any]) -> None:
        if reply["kind"] == Reply.PROGRESS:
            self._progress = IndexProgress.from_json(reply["value"])
            self._on_progress(self._progress)
        elif (answer := self._asked.get(reply["id"])) is not None and not answer.done():
            answer.set_result(reply["value"])

    # Open documents

    def _tell_soon(self, path: str) -> None:
        self._untold[path] = None
        if self._telling is None and self._process is not None:
            self._telling = asyncio.get_running_loop().call_later(self._text_seconds, self._tell)

    def _tell(self) -> None:
        """Tell the worker of every document that changed since it was told last, as far as it keeps up."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        process = self._process
        if process is None:
            return  # the next one is told of all
        while self._untold and not process.is_behind:
            path = next(iter(self._untold))
            del self._untold[path]
            read_text = self._texts.get(path)
            if read_text is None:
                process.tell({"op": Request.CLOSE, "path": path})
            else:
                process.tell({"op": Request.OPEN, "path": path, "text": read_text()})
        if self._untold:
            self._tell_soon(next(iter(self._untold)))


def _definition(name: str, hit: tuple[str, int, str, str]) -> Definition:
    path, start_row, text, kind = hit
    # Zed knows definitions from language servers alone and calls their source so; models were trained on its word.
    return Definition(name, path, start_row, text, kind, source="lsp")
