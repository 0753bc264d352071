"""One window's snapshots: opened with each prediction where there is consent, followed, and handed to the keeper.

What is open lives in memory only. Without consent for the document's workspace nothing is made at all. Whether a
finished snapshot may be kept is decided once more, part by part, by ``daemon/snapshot_keeper.py``. Knows nothing of
messages, save the one that says that a snapshot is on the disk.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from capture.gate.admission import Origins
from capture.inputs import Span
from capture.settling.followed_region import locate, offered_edit, whole_rows
from capture.settling.open_snapshot import Returned
from capture.settling.settling import Settling
from capture.snapshot.parts import PredictionRecord, path_problem
from capture.snapshot.snapshot import paths_of
from capture.store.answers import Stored
from daemon.engine.messages import Origin
from daemon.lsp.repository_looks import RepositoryLooks
from daemon.prediction import Nothing
from daemon.snapshot_keeper import Finished

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from capture.editing.document import AppliedEdit, Document
    from capture.inputs import PredictionInputs
    from capture.settling.open_snapshot import OpenSnapshot
    from capture.snapshot.snapshot import Outcome, Snapshot
    from daemon.lsp.documents import Documents, OpenDocument
    from daemon.prediction import Prediction
    from daemon.reuse import FrozenText
    from daemon.scheduler import Answered
    from daemon.services import Services
    from daemon.settings import Settings

CLOSE_SECONDS = 2.0  # the hub gives a window that ends a second more
KEPT_AT_ONCE = 32  # more that end together wait here: the keeper refuses what comes faster than it can be examined


class Capturing:
    """Owns what is open. Made on the event loop; ``edited`` and ``predicted`` are an ``EditObserver``'s, ``shown`` and
    ``decided`` an ``OfferObserver``'s.

    ``settings`` are the user's with what the editor said, ``tell`` hears of each snapshot that is on the disk.
    """

    def __init__(
        self,
        services: Services,
        documents: Callable[[], Documents],
        settings: Callable[[], Settings],
        tell: Callable[[Stored], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._services = services
        self._documents = documents
        self._settings = settings
        self._tell = tell
        self.client_name = ""
        self._keeper = services.keeper
        self._folders: WeakKeyDictionary[OpenSnapshot, str] = WeakKeyDictionary()  # the window's, that paths count from
        self._looks = RepositoryLooks(services.asking_git, self._folders.get)
        self._turns = asyncio.Semaphore(KEPT_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._settling = Settling(
            self._finished,
            self._wake_at,
            may_hold=self._may_hold,
            on_open=self._looks.look_at,
            settle_seconds=services.settings.current.settle_seconds,
            clock=loop.time,
        )
        self._unsubscribe = services.settings.subscribe(lambda now: self._settling.settle_after(now.settle_seconds))

    @property
    def open_count(self) -> int:
        """How many snapshots are open."""
        return self._settling.open_count

    def returned(
        self, document: OpenDocument, answered: Answered, found: Prediction | Nothing, then: FrozenText | None = None
    ) -> None:
        """The editor is given ``found``, an edit or none, that the engine made of ``answered``.

        ``then`` is the text it is about, where that is not the document's as it is.
        """
        keeper = self._keeper
        folder = self._documents().folder_of(document.path)
        if keeper is None or folder is None or self._services.ignored.is_ignored(document.path):
            return
        consent = keeper.consents.decide(folder).consent
        if consent is None:
            return
        returned = self._record(document, consent.workspace_id, answered, found)
        text_then = None if then is None or then.version == document.version else "".join(then.all_rows)
        where = locate(document.text, answered.inputs, returned.region, text_then=text_then)
        if where is None:
            keeper.count("place_lost")
            return
        refused_before = self._settling.counts.refused
        opened = self._settling.open(document.text, where, returned)
        if opened is not None:
            self._folders[opened] = folder
        elif self._settling.counts.refused != refused_before:
            keeper.count("no_snapshot")

    def edited(self, document: Document, path: str, edit: AppliedEdit) -> None:
        """A document has just applied ``edit``."""
        self._settling.edited(document, path, edit)

    def predicted(self, document: Document) -> None:
        """The document's latest changes did what was predicted."""
        self._settling.predicted(document)

    def shown(self, prediction_id: str) -> None:
        """The editor drew the prediction."""
        self._settling.shown(prediction_id)

    def decided(self, prediction_id: str, outcome: Outcome, reason: str = "") -> None:
        """What became of the prediction."""
        self._settling.decided(prediction_id, outcome, reason)

    def closed(self, document: OpenDocument) -> None:
        """The document is closed, or about to be replaced by another text."""
        self._settling.closed(document.text)

    def discard(self, workspace_id: str) -> None:
        """Consent was taken back: what is open of that workspace is forgotten."""
        self._settling.discard(workspace_id)

    async def close(self) -> None:
        """The window ends: what is open is kept as it is. To close again does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._unsubscribe()
        self._settling.close()
        await self._looks.close()
        if self._wake is not None:
            self._wake.cancel()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
            if self._keeper is not None:
                self._keeper.count("not_in_time")

    # What a snapshot holds

    def _record(
        self, document: OpenDocument, workspace_id: str, answered: Answered, found: Prediction | Nothing
    ) -> Returned:
        inputs, left_out = _storable(answered.inputs)
        answer = answered.answer
        model = answered.model
        region = Span(answer.region_start_bytes, answer.region_end_bytes)
        region, new_text = whole_rows(inputs, region, answer.new_region_text)
        edits = []
        if not isinstance(found, Nothing):
            for edit, replaced in zip(found.edits, found.replaced, strict=True):
                offered = offered_edit(inputs, edit.range, replaced, edit.text)
                edits += [] if offered is None else [offered]
        record = PredictionRecord(
            edits=tuple(edits),
            new_region_text=new_text,
            confidence=answer.confidence,
            counters=asdict(answer.counters),
            seconds=answer.seconds,
            reason=found.reason if isinstance(found, Nothing) else "",
            origin="rule" if answer.origin is Origin.RULE else "model",
        )
        return Returned(
            prediction_id="" if isinstance(found, Nothing) else found.id,
            workspace_id=workspace_id,
            language_id=document.language_id,
            prompt_format="" if model is None else model.prompt_format,
            model="" if model is None else model.identity,
            client_name=self.client_name,
            inputs=inputs,
            region=region,
            prediction=record,
            left_out=left_out,
        )

    def _may_hold(self, _workspace_id: str, path: str) -> bool:
        """Whether a later event of the file may be held until the keeper decides."""
        documents = self._documents()
        return all(
            documents.may_be_seen(behind, self._settings()) and self._services.ignored.is_visible(behind)
            for behind in documents.paths_behind(path)
        )

    # Time

    def _wake_at(self, deadline: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake = asyncio.get_running_loop().call_at(deadline, self._settling.wake)

    # The end

    def _finished(self, snapshot: Snapshot, opened: OpenSnapshot) -> None:
        folder = self._folders.pop(opened, None)
        if self._keeper is None or folder is None:
            return
        documents = self._documents()
        origins = Origins(folder, {path: documents.paths_behind(path) for _, path in paths_of(snapshot)})
        finished = Finished(snapshot, origins, partial(documents.may_be_seen, settings=self._settings()))
        self._begin(self._keep(finished))

    async def _keep(self, finished: Finished) -> None:
        if self._keeper is None:
            return
        async with self._turns:
            answer = await self._keeper.keep(finished)
        if isinstance(answer, Stored):
            self._tell(answer)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _storable(inputs: PredictionInputs) -> tuple[PredictionInputs, int]:
    """The inputs without what comes from files whose paths no snapshot may hold, and how many parts that were.

    An untitled text may have such a path; all else of the moment can be kept.
    """
    events = tuple(
        event for event in inputs.events if not path_problem(event.path) and not path_problem(event.old_path)
    )
    all_related = inputs.related_files or ()
    related = tuple(file for file in all_related if not path_problem(file.path))
    left_out = len(inputs.events) - len(events) + len(all_related) - len(related)
    if not left_out:
        return inputs, 0
    return replace(inputs, events=events, related_files=None if inputs.related_files is None else related), left_out
