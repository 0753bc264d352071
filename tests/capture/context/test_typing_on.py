"""What becomes known while somebody types is shown when they pause, jump, or have typed for long: not between two keys."""

import asyncio

import pytest

from capture.context.definitions import Definition
from capture.context.gathering import MOST_HELD_SECONDS, Context
from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range

URI, PATIENCE_SECONDS = "file:///w/main.py", 5.0


class Everything:
    """Knows every name, each in a file of its own; ``wait`` holds its answers up until ``answer``."""

    def __init__(self):
        self.asked = asyncio.Queue()
        self._free = asyncio.Event()
        self._free.set()

    def wait(self):
        self._free.clear()

    def answer(self):
        self._free.set()

    async def definitions(self, _path, identifiers):
        names = [identifier.name for identifier in identifiers]
        self.asked.put_nowait(names)
        await self._free.wait()
        return {name: [Definition(name, f"/w/{name}.py", 0, f"def {name}(): ...\n")] for name in names}


class Writer:
    """Somebody who types ``a = b`` in row 1 of a file, rests ``quiet_seconds`` and more, and goes elsewhere."""

    def __init__(self, source, quiet_seconds):
        self.seconds = 0.0
        self.source = source
        self.changed = asyncio.Event()
        self.hidden = set()
        self.context = Context(
            [source],
            predicted_in=lambda _path: True,
            shown_elsewhere=lambda path: path not in self.hidden,
            displayed=lambda path: path,
            on_change=lambda _uri: self.changed.set(),
            pause_seconds=0,
            quiet_seconds=quiet_seconds,
            clock=lambda: self.seconds,
        )
        self.document = Document("first\n" + "\n" * 9 + "last\n", version=1)
        self.context.opened(URI, "/w/main.py", "python", self.document)

    async def look(self, row):
        self.context.viewed(URI, Position(row, 0))
        await self.source.asked.get()

    def type(self, text):
        """At the start of row 1."""
        self.document.change(None, [ContentChange(Range(Position(1, 0), Position(1, 0)), text)])
        self.context.edited(URI, Position(1, len(text)))

    @property
    def shown(self):
        return [file.path for file in self.context.related(URI)]

    async def until_shown(self, *paths):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.shown != list(paths):
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def writer():
    made = []

    def make(quiet_seconds):
        made.append(Writer(Everything(), quiet_seconds))
        return made[-1]

    yield make
    for each in made:
        await each.context.close()


async def typed_a_name(at):
    """Somebody typed ``other`` below ``first``, and the source has said what both are."""
    await at.look(0)
    await at.until_shown("/w/first.py")
    at.type("other ")
    assert await at.source.asked.get() == ["other"]
    await asyncio.sleep(0)  # its answer is there
    await asyncio.sleep(0)


async def test_between_two_keys_it_is_not_shown(writer):
    at = writer(quiet_seconds=1000)
    await typed_a_name(at)
    at.type(" ")
    assert at.shown == ["/w/first.py"]


async def test_it_is_once_they_pause(writer):
    at = writer(quiet_seconds=0.05)
    await typed_a_name(at)
    assert at.shown == ["/w/first.py"]
    await at.until_shown("/w/first.py", "/w/other.py")


async def test_it_is_when_they_have_typed_for_long(writer):
    at = writer(quiet_seconds=1000)
    await typed_a_name(at)
    at.seconds += MOST_HELD_SECONDS
    at.type(" ")
    await at.until_shown("/w/first.py", "/w/other.py")


async def test_at_another_place_it_is_as_soon_as_it_is_known(writer):
    at = writer(quiet_seconds=1000)
    await typed_a_name(at)
    await at.look(10)
    await at.until_shown("/w/last.py")


async def test_an_answer_that_comes_after_the_first_keys_at_a_place_waits(writer):
    at = writer(quiet_seconds=1000)
    at.source.wait()
    await at.look(0)
    at.type(" ")
    at.type(" ")
    at.source.answer()
    await asyncio.sleep(0.02)
    assert at.shown == []
    await at.look(10)
    await at.until_shown("/w/last.py")


async def test_what_may_no_longer_be_shown_is_gone_between_two_keys_too(writer):
    at = writer(quiet_seconds=1000)
    await typed_a_name(at)
    at.hidden.add("/w/first.py")
    at.context.reconsider()
    assert at.shown == []


async def test_of_a_document_nobody_is_in_a_source_may_know_more_without_an_end_to_the_typing(writer):
    at = writer(quiet_seconds=1000)
    await typed_a_name(at)
    at.context.opened("file:///w/side.py", "/w/side.py", "python", Document("side\n"))
    at.context.knows_more(at.source, "file:///w/side.py")
    at.type(" ")
    await asyncio.sleep(0.02)
    assert "/w/other.py" not in at.shown
