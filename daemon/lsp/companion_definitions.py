"""Asking a companion language server where names are defined, in rounds that end when they stop being of use.

A few requests are in flight at a time, each with a time limit. Knows nothing of how the server is run or kept at the
editor's text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.lsp.companion_process import RequestRefused, ServerGone
from daemon.lsp.definition_targets import definitions_of, targets_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from capture.context.definitions import Definition, Identifier
    from daemon.lsp.companion_process import CompanionProcess
    from daemon.lsp.companion_texts import FollowedText, FollowedTexts
    from daemon.lsp.definition_targets import Target

OpenText = Callable[[str], str | None]  # the text of the file at a path where an editor has it open


@dataclass(slots=True)
class _Round:
    """One call for definitions: of one text at one version."""

    server: CompanionProcess
    followed: FollowedText
    version: int
    is_over: bool = False  # the server did not answer in time, or is gone

    @property
    def is_worth_asking(self) -> bool:
        """Whether the positions still mean something, to a server that answers."""
        return not self.is_over and self.followed.is_known_to_the_server and self.followed.text.version == self.version


class DefinitionQuestions:
    """Asks on behalf of one companion."""

    def __init__(
        self, texts: FollowedTexts, open_text: OpenText, request_seconds: float, requests_in_flight: int
    ) -> None:
        self._texts = texts
        self._open_text = open_text
        self._request_seconds = request_seconds
        self._turns = asyncio.Semaphore(requests_in_flight)

    async def ask(
        self, server: CompanionProcess, methods: Sequence[str], path: str, identifiers: Sequence[Identifier]
    ) -> Mapping[str, Sequence[Definition]]:
        """What ``methods`` say of each name in the open document at ``path``, in the order of both.

        A name of which the server knows nothing is there and empty; one that it did not answer is not there. Cancelling
        takes back what was asked. After a request that exceeds its time, or an edit of the document, no more are begun.
        """
        self._texts.send_whole_texts()
        followed = self._texts.find(path)
        if followed is None:
            return {}
        asked = _Round(server, followed, followed.text.version)
        versions = {open_.path: open_.text.version for open_ in self._texts.all_open}
        async with asyncio.TaskGroup() as group:
            questions = [
                (identifier.name, group.create_task(self._targets(asked, identifier, method)))
                for identifier in identifiers
                for method in methods
            ]
        places: dict[str, list[Target]] = {identifier.name: [] for identifier in identifiers}
        unanswered: set[str] = set()
        for name, question in questions:
            targets = question.result()
            if targets is None or not all(self._is_unmoved(target, versions) for target in targets):
                unanswered.add(name)
            else:
                places[name].extend(targets)
        found = await self._read(places)
        return {name: definitions for name, definitions in found.items() if definitions or name not in unanswered}

    async def _targets(self, asked: _Round, identifier: Identifier, method: str) -> list[Target] | None:
        position = {"line": identifier.position.line, "character": identifier.position.character_utf16}
        params = {"textDocument": {"uri": asked.followed.uri}, "position": position}
        async with self._turns:
            if not asked.is_worth_asking:
                return None
            try:
                answer = await asked.server.request(method, params, limit_seconds=self._request_seconds)
            except RequestRefused:
                return None  # it is not ready, or the text changed meanwhile
            except (ServerGone, TimeoutError):
                asked.is_over = True
                return None
        return targets_of(answer)

    def _is_unmoved(self, target: Target, versions: Mapping[str, int]) -> bool:
        """Whether the rows are those of the text as it is; ``versions`` are those that the server was asked about."""
        followed = self._texts.find(target.path)
        return followed is None or versions.get(target.path) == followed.text.version

    async def _read(self, places: Mapping[str, Sequence[Target]]) -> dict[str, list[Definition]]:
        """What stands there, by preference in an open text; on a thread, because files are read."""
        texts: dict[str, str] = {}
        for path in {target.path for targets in places.values() for target in targets}:
            followed = self._texts.find(path)
            text = self._open_text(path) if followed is None else followed.text.text
            if text is not None:
                texts[path] = text
        return await asyncio.to_thread(definitions_of, places, texts)
