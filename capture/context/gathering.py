"""What is known of the code around each place somebody works at, gathered in the background.

The session says what is open, where the cursor is and what changed; ``related`` then gives what is known by now and
waits for nothing. A gathering follows such news after a short pause: it reads the names near the cursor, asks the
sources of definitions about them and chooses what is shown (``related.choose``), once more with each answer.

What was given to a prediction stays, in its place, until the cursor leaves its rows; and what becomes known while
somebody types joins once they pause or jump, or have typed for long: it moves all that a prompt has behind it, which is
read anew then. Knows nothing of prompts, nor of how a source finds anything.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from capture.context.asking import Asker, Found, Question
from capture.context.cochange import CoChange
from capture.context.followed import Followed, stands_in
from capture.context.identifiers import identifiers_near, item_headed_at
from capture.context.recent import RecentFiles
from capture.context.related import MAX_DEFINITIONS_PER_NAME, choose, definition_candidates
from capture.context.syntax_errors import SyntaxProblem, syntax_problems
from capture.context.syntax_tree import SyntaxTree
from capture.editing.positions import Position

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from capture.context.definitions import Definition, DefinitionSource
    from capture.editing.document import Document
    from capture.inputs import RelatedFile

PAUSE_SECONDS = 0.1  # Zed's before it looks for definitions: most keys have passed by then
# Between two keys of somebody who types, nearly everything is a syntax error.
QUIET_SECONDS = 0.5
MOST_HELD_SECONDS = 3.0  # somebody who types on and on has one slow key in so long, and then what they need


class Context:
    """Owns what is known for one session. Must be made and used on one event loop.

    ``sources`` are asked all at once; of two that know a name the first counts. Two gates stand before a file, both
    asked by its absolute path. ``predicted_in``: whether it may be seen at all, asked with every ``related``, so it
    must be quick. ``shown_elsewhere``: whether it may also be shown beside others, asked whenever something is chosen,
    in the background; where its answer has to be found out first, ``find_out`` waits for it, and ``reconsider`` is to
    be called after it changed. ``displayed`` makes the path that models see.

    ``on_change`` hears the uri of a document with other related files than before, ``on_problems`` the uri, the version
    and the syntax errors of a text that rested. ``clock`` gives seconds that never go backwards.
    """

    def __init__(
        self,
        sources: Sequence[DefinitionSource],
        *,
        predicted_in: Callable[[str], bool],
        shown_elsewhere: Callable[[str], bool],
        displayed: Callable[[str], str],
        find_out: Callable[[str], Awaitable[bool]] | None = None,
        co_change: CoChange | None = None,
        on_change: Callable[[str], None] | None = None,
        on_problems: Callable[[str, int, tuple[SyntaxProblem, ...]], None] | None = None,
        pause_seconds: float = PAUSE_SECONDS,
        quiet_seconds: float = QUIET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._predicted_in = predicted_in
        self._shown_elsewhere = shown_elsewhere
        self._displayed = displayed
        self._find_out = find_out
        self._co_change = co_change
        self._on_change = on_change
        self._on_problems = on_problems
        self._pause_seconds = pause_seconds
        self._quiet_seconds = quiet_seconds
        self._clock = clock
        self._askers = [Asker(source, partial(self._take, index), clock) for index, source in enumerate(sources)]
        self._followed: dict[str, Followed] = {}
        self._documents: dict[str, Document] = {}  # the open ones, by path
        self._recent = RecentFiles()
        self._places = 0
        self._at = ""  # the uri of the document somebody works in
        self._due = ""  # the uri of the next gathering
        self._timer: asyncio.TimerHandle | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._looked_at = ""  # the uri that neighbours were last looked for
        self._looking: set[asyncio.Task[None]] = set()

    def related(self, uri: str) -> tuple[RelatedFile, ...]:
        """What a model may see beside the document at ``uri``: what is known by now."""
        followed = self._followed.get(uri)
        if followed is None:
            return ()
        if followed.is_of_place:
            followed.given = followed.chosen
        holds = [self._holds(followed, file) for file in followed.chosen]
        if all(holds):
            return followed.shown
        return tuple(file for file, held in zip(followed.shown, holds, strict=True) if held)

    def item_headed_at(self, uri: str, cursor: Position) -> str:
        """The name of the item in whose head the cursor is, as far as a grammar tells; else empty."""
        followed = self._followed.get(uri)
        if followed is None or not self._predicted_in(followed.path):
            return ""
        return item_headed_at(followed.tree.around(followed.document, cursor.line), cursor)

    def opened(self, uri: str, path: str, language_id: str, document: Document) -> None:
        """A document is open; ``document`` is kept up to date by whoever owns it."""
        self._followed[uri] = Followed(uri, path, document, SyntaxTree(language_id))
        self._documents[path] = document
        self._recent.viewed(path, 0, document)

    def closed(self, uri: str) -> None:
        """It is no longer open."""
        followed = self._followed.pop(uri, None)
        if followed is not None:
            self._documents.pop(followed.path, None)
            self._recent.closed(followed.path)
        if self._looked_at == uri:
            self._looked_at = ""
        if self._at == uri:
            self._at = ""

    def viewed(self, uri: str, cursor: Position) -> None:
        """The cursor is there."""
        self._moved(uri, cursor, is_edit=False)

    def edited(self, uri: str, cursor: Position) -> None:
        """The text changed, and the cursor most likely is there."""
        self._moved(uri, cursor, is_edit=True)

    def knows_more(self, source: DefinitionSource, uri: str) -> None:
        """``source`` has something new to say about the document at ``uri``."""
        for asker in self._askers:
            if asker.asks(source):
                asker.forget()
        if uri == self._at:  # of any other it is found out once somebody turns to it
            self._gather_soon(uri)

    def reconsider(self) -> None:
        """Other files than before may be shown; those that may no longer are gone at once."""
        for followed in self._followed.values():
            if followed.typed_since is not None:
                self._show(followed, tuple(file for file in followed.chosen if self._shown_elsewhere(file.path)))
            if followed.is_of_place:
                self._choose(followed)

    async def close(self) -> None:
        """End all that is under way and wait for its end."""
        for timer in (self._timer, self._resting):
            if timer is not None:
                timer.cancel()
        self._followed.clear()
        for asker in self._askers:
            await asker.close()
        for task in self._looking:
            task.cancel()
        if self._looking:
            await asyncio.wait(self._looking)

    def _moved(self, uri: str, cursor: Position, *, is_edit: bool) -> None:
        followed = self._followed.get(uri)
        if followed is None:
            return
        has_jumped = uri != self._at or followed.is_far_from(cursor)
        self._at = uri
        if has_jumped:
            followed.typed_since = None
        elif is_edit and followed.typed_since is None:
            followed.typed_since = self._clock()
        followed.cursor = cursor
        note = self._recent.edited if is_edit else self._recent.viewed
        note(followed.path, cursor.line, followed.document)
        self._gather_soon(uri)
        if is_edit or followed.examined != (followed.document.version, cursor.line):
            if self._resting is not None:
                self._resting.cancel()
            self._resting = asyncio.get_running_loop().call_later(self._quiet_seconds, self._rest, followed)

    def _gather_soon(self, uri: str) -> None:
        self._due = uri
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._pause_seconds, self._gather)

    def _gather(self) -> None:
        """Look at the names near the cursor of the newest document and ask about those that are new."""
        self._timer = None
        followed = self._followed.get(self._due)
        if followed is None or followed.cursor is None or not self._predicted_in(followed.path):
            return
        cursor = followed.document.clamp(followed.cursor)
        parsed = followed.tree.around(followed.document, cursor.line)
        if followed.left_its_rows(cursor):
            self._places += 1
            followed.settle(cursor, self._places)
        identifiers = identifiers_near(parsed, cursor)
        followed.name(identifiers)
        self._look_for_neighbours(followed)
        is_to_choose = followed.is_of_place or followed.has_more
        if is_to_choose or not followed.chosen or not self._askers or not identifiers:
            self._choose(followed)
        for asker in self._askers:
            asker.ask(Question(followed.uri, followed.path, followed.place, identifiers))

    def _rest(self, followed: Followed) -> None:
        """Nobody has typed for a while: what was not worth a delay is shown, and syntax errors are looked for."""
        if self._followed.get(followed.uri) is not followed:
            return
        followed.typed_since = None
        if followed.has_more:
            self._choose(followed)
        if self._on_problems is None or not self._predicted_in(followed.path):
            return
        document = followed.document
        cursor = document.clamp(followed.cursor or Position(0, 0))
        if followed.examined == (document.version, cursor.line):
            return
        followed.examined = (document.version, cursor.line)
        problems = syntax_problems(followed.tree.around(document, cursor.line), cursor)
        self._on_problems(followed.uri, document.version, problems)

    def _take(self, index: int, asked: Question, found: Found) -> set[str]:
        """The source of that index answered; gives the names of which nothing more is to be expected."""
        followed = self._followed.get(asked.uri)
        if followed is None or followed.place != asked.place:
            return set()
        answered: set[str] = set()
        for name in found.keys() & {identifier.name for identifier in asked.identifiers}:
            standing = tuple(each for each in found[name] if self._stands(each))
            followed.answers.setdefault(name, {})[index] = standing[:MAX_DEFINITIONS_PER_NAME]
            if len(standing) == len(found[name]):
                answered.add(name)
        self._choose(followed)
        return answered

    def _choose(self, followed: Followed) -> None:
        """Choose what is shown; where somebody is typing, once they pause or have typed long enough."""
        if followed.typed_since is not None:
            followed.has_more = self._clock() - followed.typed_since < MOST_HELD_SECONDS
            if followed.has_more:
                return
        followed.has_more = False
        candidates = [
            *definition_candidates(followed.names, followed.definitions),
            *self._recent.candidates(without=followed.path),
            *followed.neighbours,
        ]
        given = (file for file in followed.given if self._shown_elsewhere(file.path))
        kept = tuple(file for file in given if self._holds(followed, file))
        chosen = choose(candidates, allowed=self._may_be_shown, kept=kept, visible=(followed.path, followed.visible))
        followed.is_of_place = True
        self._show(followed, chosen)

    def _show(self, followed: Followed, chosen: tuple[RelatedFile, ...]) -> None:
        if chosen == followed.chosen:
            return
        followed.chosen = chosen
        followed.shown = tuple(replace(file, path=self._displayed(file.path)) for file in chosen)
        followed.verdicts.clear()
        if followed.typed_since is not None:
            followed.typed_since = self._clock()
        if self._on_change is not None:
            self._on_change(followed.uri)

    def _stands(self, definition: Definition) -> bool:
        """Not where a source saw an open file as it was before: its rows are no longer there."""
        document = self._documents.get(definition.path)
        return document is None or stands_in(document, definition.start_row, definition.text)

    def _may_be_shown(self, path: str) -> bool:
        return self._predicted_in(path) and self._shown_elsewhere(path)

    def _holds(self, followed: Followed, file: RelatedFile) -> bool:
        return self._predicted_in(file.path) and followed.holds(file, self._documents.get(file.path))

    def _look_for_neighbours(self, followed: Followed) -> None:
        """Once for every time somebody turns to a document."""
        if self._co_change is None or self._looked_at == followed.uri:
            return
        self._looked_at = followed.uri
        task = asyncio.get_running_loop().create_task(self._find_neighbours(self._co_change, followed))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _find_neighbours(self, co_change: CoChange, followed: Followed) -> None:
        followed.neighbours = await co_change.candidates(followed.path, wanted=self._is_wanted)
        if followed.is_of_place and self._followed.get(followed.uri) is followed:
            self._choose(followed)

    async def _is_wanted(self, path: str) -> bool:
        """Whether a neighbour may be shown; what is open is among the recent files, as the editor has it."""
        if path in self._documents or not self._predicted_in(path):
            return False
        return self._shown_elsewhere(path) if self._find_out is None else await self._find_out(path)
