"""One editor window: its connection, its documents, and the parts that answer it.

``serve`` runs a session from its first byte to its end. It ends with the connection, with ``exit``, with
the death of the editor's process, or when the peer stops reading; nothing of that touches another session.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

from daemon.lsp.capturing import Capturing
from daemon.lsp.client_traits import ClientTraits
from daemon.lsp.diagnostics import DiagnosticsStore
from daemon.lsp.dialect import LSP, Dialect
from daemon.lsp.documents import Documents
from daemon.lsp.editor_process import wait_for_death
from daemon.lsp.next_edits import NextEdits
from daemon.lsp.offers import Offers
from daemon.lsp.outgoing import Outgoing
from daemon.lsp.predicting import Predictor
from daemon.lsp.protocol import LenientProtocol, Lifecycle
from daemon.lsp.recorded_window import RecordedWindow
from daemon.lsp.status_notifications import Announcer
from daemon.lsp.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from capture.consent.book import ConsentBook
    from capture.store.answers import Stored
    from daemon.prediction import Prediction
    from daemon.services import Services
    from daemon.settings import Settings

READ_BYTES = 64 * 1024
EXIT_AFTER_SHUTDOWN, EXIT_WITHOUT_SHUTDOWN = 0, 1  # what the specification asks for


class Session:
    """Owns everything of one editor window; the surfaces work on it."""

    def __init__(self, services: Services, outgoing: Outgoing, dialect: Dialect = LSP) -> None:
        self.id = secrets.token_hex(4)
        self.nes_id = ""  # ACP's session of next edits, empty while there is none
        self._dialect = dialect
        self._services = services
        self._ended = asyncio.Event()
        self._guard: asyncio.Task[None] | None = None
        self.client = ClientTraits()
        self.folders: tuple[str, ...] = ()
        self.protocol = LenientProtocol(
            outgoing,
            dialect,
            {method: partial(handler, self) for method, handler in dialect.requests.items()},
            {method: partial(handler, self) for method, handler in dialect.notifications.items()},
        )
        self.announcer = Announcer(self.protocol)
        self.capturing = Capturing(services, lambda: self.documents, lambda: self.settings, self._stored)
        self.documents = Documents(observer=self.capturing, real_path=services.ignored.real_path)
        self.diagnostics = DiagnosticsStore()
        self.surroundings = Surroundings(services, self.documents, self.diagnostics, lambda: self.settings)
        self.next_edits = NextEdits(self.documents, self.diagnostics, self.surroundings)
        self.offers = Offers(self.id, services.status, self._accepted, self.capturing)
        self.predictor = Predictor(
            self.id,
            services,
            self.documents,
            self.diagnostics,
            self.surroundings,
            self.capturing,
            self.announcer,
            self.next_edits,
        )
        self.recorded = RecordedWindow(self.id, services, self.documents, lambda: self.settings)
        services.status.open_session(self.id)
        services.status.follow_session(self.id, self._describe)

    @property
    def settings(self) -> Settings:
        """The user's settings with what this editor said for itself."""
        return self.predictor.settings

    @property
    def consents(self) -> ConsentBook | None:
        """Who agreed to what, None where nothing is captured whoever agrees."""
        return None if self._services.keeper is None else self._services.keeper.consents

    def typed(self) -> None:
        """Somebody types here."""
        self._services.keyboard.typed()

    def begin(self, client: ClientTraits, editor_settings: Mapping[str, Any]) -> None:
        """The editor introduced itself."""
        self.client = client
        self.capturing.client_name = client.name
        self._services.status.open_session(self.id, client.name)
        self.set_folders(client.folders)
        self.announcer.meet(client)
        self.predictor.follow_editor(editor_settings)
        if client.process_id is not None:
            self._guard = asyncio.create_task(wait_for_death(client.process_id))
            self._guard.add_done_callback(lambda _: self.end())

    def set_folders(self, uris: Sequence[str]) -> None:
        """The workspace has these folders now."""
        self.folders = tuple(uris)
        self.documents.set_folders(uris)
        self.surroundings.set_folders(uris)

    async def forget(self, workspace_ids: Sequence[str], *, purge: bool) -> int | None:
        """Consent ended for these workspaces; returns how many snapshots were deleted, None where none were to be."""
        for workspace_id in workspace_ids:
            self.capturing.discard(workspace_id)
        keeper = self._services.keeper
        return await keeper.purge(workspace_ids) if purge and keeper is not None else None

    def end(self) -> None:
        """End the session; what is queued for the editor is still written."""
        self._ended.set()

    def stop_work(self) -> None:
        """Give up every request but the one being answered."""
        current = asyncio.current_task()
        for task in self.protocol.requests_in_flight():
            if task is not current:
                task.cancel()
        self._services.scheduler.forget_session(self.id)

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Dispatch what arrives until the peer closes its side."""
        frames = self._dialect.parser()
        while data := await _read(reader):
            for frame in frames.feed(data):
                self.protocol.receive(frame)
                # Lets the handler just started run to its first wait before the next message is dispatched,
                # so a request is bound to the text it was asked about even when the next change is in the
                # same packet.
                await asyncio.sleep(0)
                if self._ended.is_set():
                    return

    async def ended(self) -> None:
        """Return once something asked for the end."""
        await self._ended.wait()

    async def close(self) -> None:
        """Give up what is under way and forget the session everywhere."""
        if self._guard is not None:
            self._guard.cancel()
        tasks = self.protocol.requests_in_flight()
        self.stop_work()
        if tasks:
            await asyncio.wait(tasks)
        self.announcer.close()
        self.predictor.close()
        await self.capturing.close()
        await self.surroundings.close()
        self.recorded.leave()
        self._services.status.close_session(self.id)

    def _describe(self) -> dict[str, Any]:
        return {"companions": self.surroundings.describe(), "open_snapshots": self.capturing.open_count}

    def _stored(self, stored: Stored) -> None:
        if self.client.hears_of_snapshots:
            self.protocol.notify("foretype/snapshotStored", {"id": stored.id, "sha256": stored.sha256})

    def _accepted(self, prediction: Prediction) -> None:
        self.documents.accepted(prediction)
        self.recorded.accepted(prediction)


async def serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, services: Services, dialect: Dialect = LSP
) -> int:
    """Serve one editor window; returns the exit code of its server: 0 where it ended as its dialect has it, else 1.

    Cancelling ends the session. The caller closes ``writer``.
    """
    outgoing = Outgoing(writer)
    session = Session(services, outgoing, dialect)
    writing = asyncio.create_task(outgoing.run())
    listening = asyncio.create_task(session.listen(reader))
    ending = asyncio.create_task(session.ended())
    try:
        await asyncio.wait([writing, listening, ending], return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        await session.close()
        outgoing.finish()
        await writing
    finally:
        for task in (writing, listening, ending):
            task.cancel()
        await asyncio.wait([writing, listening, ending])
        await session.close()
    if not listening.cancelled():
        listening.result()  # a defect of ours is not to be mistaken for an end
    ended_well = session.protocol.lifecycle is Lifecycle.SHUT_DOWN or not dialect.ends_by_request
    return EXIT_AFTER_SHUTDOWN if ended_well else EXIT_WITHOUT_SHUTDOWN


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(READ_BYTES)
    except ConnectionError:
        return b""
