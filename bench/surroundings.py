"""What a model would see at each key of a session, in the session's own time, which takes none of ours.

The session is typed into a window's documents, diagnostics and ``capture.context`` on an event loop whose clock jumps
from one timer to the next: what is known at a key is the same on every machine. The symbol index is asked in this
process and answers as soon as a worker mostly does, git was asked before. Of what a window does, guesses and reuse are
left out: every key asks a model. Knows nothing of models.
"""

from __future__ import annotations

import asyncio
import selectors
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.client import SECONDS_BEFORE_FIRST_KEY
from bench.workspaces import workspace_of
from capture.context.cochange import CoChange
from capture.context.definitions import Definition
from capture.context.gathering import Context
from capture.context.index.client import TEXT_SECONDS
from capture.context.index.messages import IndexLimits
from capture.context.index.walk import WorkspaceFiles
from capture.context.index.workspace import WorkspaceIndex
from capture.editing.positions import Position
from capture.gate.exclude import PathGate
from daemon.lsp.diagnostics import DiagnosticsStore
from daemon.lsp.documents import Documents
from daemon.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bench.session import Session
    from capture.context.definitions import Identifier
    from capture.context.related import Candidate
    from capture.context.syntax_errors import SyntaxProblem
    from capture.inputs import PredictionInputs, RelatedFile
    from daemon.lsp.documents import OpenDocument

ANSWER_SECONDS = 0.005  # of an index worker that has nothing else to do


def seen_inputs(session: Session, *, with_context: bool = True) -> list[PredictionInputs]:
    """The inputs of every key's question. Raises OSError where the session's workspace cannot be written."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        workspace_of(session).write(root)
        window = _Window(session, root)
        neighbours = asyncio.run(window.neighbours()) if with_context else ()
        with asyncio.Runner(loop_factory=_SessionTime) as runner:
            return runner.run(window.typed(neighbours if with_context else None))


class _Jumping(selectors.SelectSelector):
    """Waits for nothing that a clock can bring about."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout is not None:
            self.seconds += max(0.0, timeout)
        return ready


class _SessionTime(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while it works and jumps to the next timer when it has nothing to do."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.seconds


class _IndexHere:
    """The workspace's index in this process; a ``DefinitionSource`` that hears of texts as rarely as a worker does."""

    def __init__(self, root: Path, on_progress: Callable[[], None]) -> None:
        limits = IndexLimits()
        self._index = WorkspaceIndex(WorkspaceFiles(str(root), PathGate(), limits), limits, lambda _folders: None)
        self._on_progress = on_progress
        self._telling: asyncio.TimerHandle | None = None
        self._work()

    async def definitions(self, path: str, identifiers: Sequence[Identifier]) -> Mapping[str, Sequence[Definition]]:
        """As ``SymbolIndex`` answers."""
        await asyncio.sleep(ANSWER_SECONDS)
        found = self._index.find(path, [identifier.name for identifier in identifiers])
        return {name: [Definition(name, *hit) for hit in hits] for name, hits in found.items()}

    def changed(self, document: OpenDocument) -> None:
        """Its text is another one."""
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TEXT_SECONDS, self.tell, document)

    def tell(self, document: OpenDocument) -> None:
        """The text of the moment is indexed."""
        self._telling = None
        self._index.open_text(document.path, document.text.text)
        self._work()
        self._on_progress()

    def _work(self) -> None:
        while self._index.has_work:
            self._index.work()


class _Known(CoChange):
    """Git was asked before."""

    def __init__(self, neighbours: tuple[Candidate, ...]) -> None:
        super().__init__()
        self._candidates = neighbours

    async def candidates(
        self,
        path: str,  # noqa: ARG002  there is one document
        *,
        wanted: Callable[[str], Awaitable[bool]],  # noqa: ARG002  found out before, too
    ) -> tuple[Candidate, ...]:
        """What git said."""
        return self._candidates


class _Window:
    """One session's window, as far as a model sees it."""

    def __init__(self, session: Session, root: Path) -> None:
        self._session = session
        self._root = root
        self._path = str(root / session.header.path)
        self._uri = (root / session.header.path).as_uri()
        self._settings = Settings()
        self._diagnostics = DiagnosticsStore()

    async def neighbours(self) -> tuple[Candidate, ...]:
        """What git says of the session's file."""

        async def is_another(path: str) -> bool:
            return path != self._path

        return await CoChange().candidates(self._path, wanted=is_another)

    async def typed(self, neighbours: tuple[Candidate, ...] | None) -> list[PredictionInputs]:
        """Type the session; without ``neighbours`` there is no context at all."""
        loop = asyncio.get_running_loop()
        documents = Documents(loop.time)
        documents.set_folders([self._root.as_uri()])
        header = self._session.header
        document = documents.open(self._uri, header.language_id, 1, header.text)

        def may_be_seen(path: str) -> bool:
            return documents.may_be_seen(path, self._settings)

        def note_problems(_uri: str, _version: int, problems: tuple[SyntaxProblem, ...]) -> None:
            self._diagnostics.replace_syntax_errors(document, problems)

        index = _IndexHere(self._root, lambda: context.knows_more(index, self._uri))
        options: dict[str, Any] = {} if neighbours is None else {"on_problems": note_problems}
        context = Context(
            [] if neighbours is None else [index],
            predicted_in=may_be_seen,
            shown_elsewhere=lambda _path: True,
            displayed=documents.displayed,
            co_change=None if neighbours is None else _Known(neighbours),
            clock=loop.time,
            **options,
        )

        def asked(cursor: Position) -> PredictionInputs:
            context.viewed(self._uri, cursor)
            near = self._diagnostics.near(document, cursor)
            related: tuple[RelatedFile, ...] = () if neighbours is None else context.related(self._uri)
            return documents.inputs(document, cursor, near, related, self._settings)

        context.opened(self._uri, self._path, header.language_id, document.text)
        index.tell(document)
        asked(Position(0, 0))
        began = loop.time() + SECONDS_BEFORE_FIRST_KEY
        seen = []
        for version, keystroke in enumerate(self._session.keystrokes, start=2):
            await asyncio.sleep(began + keystroke.at_ms / 1000 - loop.time())
            if keystroke.change is not None:
                [edit] = documents.change(self._uri, version, [keystroke.change])
                index.changed(document)
                behind = document.text.position_at(edit.start_bytes + edit.new_bytes)
                context.edited(self._uri, behind)
            seen.append(asked(keystroke.cursor))
        await context.close()
        return seen
