"""A companion language server as a real process: what it knows arrives, and whatever it does harms nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import sys
from pathlib import Path

import psutil
import pytest

from capture.context.definitions import Definition, Identifier
from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range, utf16_length
from daemon.engine.restarts import RestartPolicy
from daemon.language_settings import LanguageSettings
from daemon.lsp.companion import Companion, CompanionLimits, CompanionState
from daemon.lsp.companion_process import MAX_OWED, CompanionProcess, ServerGone
from daemon.lsp.companions import Companions
from daemon.lsp.documents import Documents
from daemon.lsp.outgoing import Outgoing

HERE = Path(__file__).parent
PATIENCE_SECONDS = 30.0  # a Python process with pygls takes a second to start, on a busy machine more
SHORT_SECONDS = 0.3
UNHURRIED = CompanionLimits(request_seconds=PATIENCE_SECONDS)


def server_command(**options):
    return (sys.executable, str(HERE / "companion_server.py"), json.dumps(options))


def stubborn_command(fault):
    return (sys.executable, str(HERE / "stubborn_server.py"), fault)


class Heard:
    """What a callback heard, and waiting for it."""

    def __init__(self):
        self.all = []
        self._changed = asyncio.Event()

    def __call__(self, *said):
        self.all.append(said)
        self._changed.set()

    async def until(self, wanted):
        """The newest thing heard for which ``wanted`` is true, now or later."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for said in reversed(self.all):
                    if wanted(*said):
                        return said
                self._changed.clear()
                await self._changed.wait()


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class World:
    """A workspace on the disk, and companions in it."""

    def __init__(self, root):
        self.root = root
        self.diagnostics = Heard()
        self.states = Heard()
        self.clock = Clock()
        self._companions = []
        self._others = set(psutil.Process().children(recursive=True))

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def uri(self, name="main.py"):
        return (self.root / name).as_uri()

    def companion(self, command=None, *, limits=UNHURRIED, **options):
        companion = Companion(
            "python",
            command or server_command(),
            self.root,
            on_diagnostics=self.diagnostics,
            limits=limits,
            clock=self.clock,
            sleep=self.clock.sleep,
            **options,
        )
        companion.subscribe(self.states)
        self._companions.append(companion)
        return companion

    async def ready(self, text, name="main.py", command=None, **options):
        """A companion with one open document that its server has read."""
        companion = self.companion(command, **options)
        companion.opened(self.uri(name), 1, text)
        await self.until_it_has(text, name)
        return companion

    async def until_it_has(self, text, name="main.py", **more):
        """What the server says of itself, once the document is ``text`` to it and ``more`` holds."""
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        return await self.state(name, sha256=sha256, **more)

    async def state(self, name="main.py", **wanted):
        def is_it(uri, _version, diagnostics):
            state = self._state(diagnostics)
            return uri == self.uri(name) and state is not None and wanted.items() <= state.items()

        return self._state((await self.diagnostics.until(is_it))[2])

    async def event(self, event):
        """Wait until something happened in the server."""

        def is_it(_uri, _version, diagnostics):
            return event in (self._state(diagnostics) or {"events": ()})["events"]

        await self.diagnostics.until(is_it)

    async def found(self, companion, text, names, name="main.py"):
        return await companion.definitions(str(self.root / name), [first(text, wanted) for wanted in names])

    @staticmethod
    def _state(diagnostics):
        said = [each["message"] for each in diagnostics if each.get("source") == "state"]
        return json.loads(said[0]) if said else None

    async def close(self):
        for companion in self._companions:
            await companion.close()
        assert not self.processes()

    def processes(self):
        """What was started and runs."""
        return set(psutil.Process().children(recursive=True)) - self._others


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path / "project")
    world.root.mkdir()
    yield world
    await world.close()


def first(text, name):
    """The first use of a name in a text."""
    uses = ((row, line, re.search(rf"\b{name}\b", line)) for row, line in enumerate(text.splitlines()))
    row, line, use = next(found for found in uses if found[2] is not None)
    return Identifier(name, Position(row, utf16_length(line[: use.start()])))


def where(path, row, text, name="helper"):
    return Definition(name, str(path), row, text)


# Definitions


async def test_definitions_are_found_across_files_with_their_rows(world):
    path = world.write("tools/helpers.py", "import os\n\n\ndef helper(x):\n    return x\n")
    text = "from tools.helpers import helper\n\nprint(helper(1), missing)\n"
    companion = await world.ready(text)
    found = await world.found(companion, text, ["helper", "missing"])
    assert found == {"helper": [where(path, 3, "def helper(x):\n    return x\n")], "missing": []}


async def test_a_server_that_names_whole_items_gives_their_text(world):
    path = world.write("helpers.py", "def helper(x):\n    y = x\n    return y\nlast = 1\n")
    text = "helper(1)\n"
    companion = await world.ready(text, command=server_command(links=True))
    found = await world.found(companion, text, ["helper"])
    assert found == {"helper": [where(path, 0, "def helper(x):\n    y = x\n    return y\n")]}


async def test_of_a_server_that_names_the_name_alone_the_whole_item_is_shown(world):
    path = world.write("helpers.py", "@cached\ndef helper(x):\n    y = x\n\n    return y\n\n\nlast = 1\n")
    text = "helper(1)\n"
    companion = await world.ready(text)
    found = await world.found(companion, text, ["helper"])
    assert found == {"helper": [where(path, 1, "def helper(x):\n    y = x\n\n    return y\n")]}


async def test_the_type_of_a_value_comes_after_its_definition(world):
    path = world.write("things.py", "class Thing:\n    pass\n\nvalue = Thing()\n")
    text = "value.use()\n"
    companion = await world.ready(text)
    found = await world.found(companion, text, ["value"])
    assert found == {
        "value": [where(path, 3, "value = Thing()\n", "value"), where(path, 0, "class Thing:\n    pass\n", "value")]
    }


async def test_an_open_buffer_counts_before_the_file_on_the_disk(world):
    path = world.write("helpers.py", "\n\n\ndef helper(old): ...\n")
    text = "helper(1)\n"
    companion = await world.ready(text)
    companion.opened(path.as_uri(), 1, "def helper(new): ...\n")
    await world.until_it_has("def helper(new): ...\n", "helpers.py")
    assert await world.found(companion, text, ["helper"]) == {"helper": [where(path, 0, "def helper(new): ...\n")]}


async def test_the_text_of_a_file_open_in_another_language_is_asked_of_the_caller(world):
    path = world.write("helpers.py", "def helper(old): ...\n")
    text = "helper(1)\n"
    buffers = {str(path): "def helper(typed): ...\n"}
    companion = await world.ready(text, open_text=buffers.get)
    assert await world.found(companion, text, ["helper"]) == {"helper": [where(path, 0, "def helper(typed): ...\n")]}


async def test_a_librarys_definition_is_found_by_its_absolute_path(world, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    path = library / "lib.py"
    path.write_text("def helper(): ...\n")
    text = "helper()\n"
    companion = await world.ready(text, command=server_command(libraries=[str(library)]))
    assert await world.found(companion, text, ["helper"]) == {"helper": [where(path, 0, "def helper(): ...\n")]}


async def test_windows_line_ends_and_columns_after_emoji_are_right(world):
    path = world.write("party.py", 'first = 1\r\n"🎉🎉"; party = 1\r\nlast = 2\r\n')
    text = 'a = 1\r\nprint("🎉🎉🎉", party)\r\nwrong = "🎉"\r\n"🎉🎉" + wrong\r\n'
    companion = await world.ready(text)
    assert await world.found(companion, text, ["party"]) == {"party": [where(path, 1, '"🎉🎉"; party = 1\n', "party")]}
    *_, (_, _, diagnostics) = world.diagnostics.all
    assert [each["range"]["start"] for each in diagnostics if each["message"] == "this is wrong"] == [
        {"line": 2, "character": 0},
        {"line": 3, "character": 9},
    ]


async def test_a_module_is_no_definition_nor_is_a_place_that_our_text_does_not_have(world):
    path = world.write("helpers.py", "def helper(): ...\n")
    text = "package.helper\n"
    companion = await world.ready(text, open_text={str(path): "def\n"}.get)
    assert await world.found(companion, text, ["package", "helper"]) == {"package": [], "helper": []}


async def test_nothing_is_found_in_a_document_that_is_not_open(world):
    world.write("helpers.py", "def helper(): ...\n")
    companion = await world.ready("helper()\n")
    assert await companion.definitions(str(world.root / "other.py"), [first("helper", "helper")]) == {}


# Edits


async def test_a_thousand_edits_reach_it_in_order(world):
    generator = random.Random(5)
    pieces = ["a", "\n", "\r\n", "🎉", "é", "wrong", "def f():\n    pass\n", "", "", "\t"]
    text = Document("start\r\n🎉 second\nthird", version=1)
    companion = await world.ready(text.text)
    for version in range(2, 1002):
        rows = sorted(generator.randrange(text.row_count) for _ in range(2))
        start, end = (Position(row, generator.randrange(utf16_length(text.line(row)) + 2)) for row in rows)
        if generator.random() < 0.8:  # most edits are small
            end = Position(start.line, start.character_utf16 + generator.randrange(3))
        changes = [ContentChange(Range(start, end), generator.choice(pieces))]
        if generator.random() < 0.02:
            changes.append(ContentChange(None, text.text[: len(text.text) // 2] + "fresh\n"))
        text.change(version, changes)
        companion.changed(world.uri(), version, changes)
    companion.changed(world.uri(), 1002, [ContentChange(None, text.text + "# the end\n")])
    state = await world.until_it_has(text.text + "# the end\n")
    assert state["version"] == 1002


async def test_a_server_that_wants_whole_texts_gets_them_before_it_is_asked(world):
    path = world.write("helpers.py", "def helper(): ...\n")
    companion = await world.ready("nothing\n", command=server_command(sync=1))
    for version, typed in enumerate(("h", "he", "hel", "help", "helpe", "helper"), start=2):
        companion.changed(world.uri(), version, [ContentChange(None, typed + "\n")])
    assert await world.found(companion, "helper\n", ["helper"]) == {"helper": [where(path, 0, "def helper(): ...\n")]}
    companion.changed(world.uri(), 8, [ContentChange(None, "and then\n")])
    await world.until_it_has("and then\n", version=8)  # without a question, after a pause


async def test_after_a_version_that_went_back_it_is_asked_nothing_until_a_whole_text_comes(world):
    world.write("helpers.py", "def helper(): ...\n")
    text = "helper()\n"
    companion = await world.ready(text)
    companion.changed(world.uri(), 0, [ContentChange(Range(Position(0, 0), Position(0, 0)), "x")])
    assert await world.found(companion, text, ["helper"]) == {}
    companion.changed(world.uri(), 0, [ContentChange(None, "\nhelper()\n")])
    await world.until_it_has("\nhelper()\n", version=0)
    assert list(await world.found(companion, "\nhelper()\n", ["helper"])) == ["helper"]


async def test_a_closed_document_is_closed_in_the_server_and_its_diagnostics_are_not_reported(world):
    companion = await world.ready("wrong\n", name="gone.py")
    companion.closed(world.uri("gone.py"))
    companion.opened(world.uri(), 1, "x\n")
    state = await world.until_it_has("x\n")
    assert "closed gone.py" in state["events"]
    assert await companion.definitions(str(world.root / "gone.py"), [first("wrong", "wrong")]) == {}


# Diagnostics


async def test_diagnostics_come_with_the_editors_uri_and_version(world):
    companion = await world.ready("fine\n")
    companion.changed(world.uri(), 7, [ContentChange(None, "so wrong\n")])

    def is_it(_uri, _version, diagnostics):
        return any(each["message"] == "this is wrong" for each in diagnostics)

    uri, version, diagnostics = await world.diagnostics.until(is_it)
    assert (uri, version) == (world.uri(), 7)
    assert diagnostics[0]["range"] == {"start": {"line": 0, "character": 3}, "end": {"line": 0, "character": 8}}
    assert diagnostics[0]["severity"] == 1


async def test_diagnostics_without_a_version_are_passed_on_without_one(world):
    await world.ready("fine\n", command=server_command(versions=False))
    assert {version for _, version, _ in world.diagnostics.all} == {None}


# What the server asks and prints


async def test_what_a_server_asks_is_answered(world):
    text = "ask_back\n"
    companion = await world.ready(text)
    await world.found(companion, text, ["ask_back"])
    await world.event('answers [[null, null], null, null, null, false, ["project"], -32601]')


async def test_much_on_standard_error_and_words_on_standard_output_disturb_nothing(world):
    world.write("helpers.py", "def helper(): ...\n")
    text = "helper()\n"
    companion = await world.ready(text, command=server_command(noise_characters=10_000_000, prints=True))
    assert list(await world.found(companion, text, ["helper"])) == ["helper"]


async def test_messages_that_make_no_sense_are_passed_over(world):
    companion = world.companion(stubborn_command("babbles"))
    companion.opened(world.uri(), 1, "x\n")
    await world.states.until(lambda state: state is CompanionState.READY)
    assert world.diagnostics.all == []


async def test_it_does_not_start_in_a_folder_of_the_user(world):
    await world.ready("x\n")
    assert (await world.state())["cwd"] == "/"


# Slow, hanging and dying servers


async def test_an_answer_that_comes_late_is_still_the_right_names(world):
    world.write("names.py", "def later(): ...\ndef sooner(): ...\n")
    text = "later sooner\n"
    companion = await world.ready(text)
    found = await world.found(companion, text, ["later", "sooner"])
    assert {name: [each.start_row for each in places] for name, places in found.items()} == {
        "later": [0],
        "sooner": [1],
    }


async def test_no_more_requests_than_allowed_are_in_flight(world):
    text = " ".join(f"four{number}" for number in range(8))
    companion = await world.ready(text, command=server_command(type_definitions=False))
    await world.found(companion, text, text.split())
    companion.changed(world.uri(), 2, [ContentChange(None, "done\n")])
    assert (await world.until_it_has("done\n"))["most_in_flight"] == 4


async def test_a_hang_costs_its_time_limit_and_no_more_is_asked_meanwhile(world):
    world.write("helpers.py", "def helper(): ...\n")
    names = [f"hang{number}" for number in range(20)]
    text = " ".join([*names, "helper"])
    limits = CompanionLimits(request_seconds=SHORT_SECONDS, requests_in_flight=2)
    companion = await world.ready(text, command=server_command(type_definitions=False), limits=limits)
    assert await world.found(companion, text, names) == {}
    await world.event("cancelled hang1")
    companion.changed(world.uri(), 2, [ContentChange(None, "helper()\n")])
    state = await world.until_it_has("helper()\n")
    assert [event for event in state["events"] if event.startswith("asked")] == ["asked hang0", "asked hang1"]


async def test_giving_up_a_question_takes_it_back(world):
    text = "hang\n"
    companion = await world.ready(text)
    question = asyncio.create_task(world.found(companion, text, ["hang"]))
    await world.event("asked hang")
    question.cancel()
    await world.event("cancelled hang")
    with pytest.raises(asyncio.CancelledError):
        await question


async def test_what_the_server_refuses_is_only_not_found(world):
    world.write("helpers.py", "def helper(): ...\n")
    text = "refuse helper\n"
    companion = await world.ready(text)
    assert list(await world.found(companion, text, ["refuse", "helper"])) == ["helper"]


async def test_a_crash_restarts_it_with_the_text_as_it_is_now(world):
    path = world.write("helpers.py", "def helper(): ...\n")
    text = "crash\n"
    companion = await world.ready(text)
    before = companion.process_id
    assert await world.found(companion, text, ["crash"]) == {}
    await world.states.until(lambda state: state is CompanionState.WAITING)
    assert world.clock.slept == [1.0]
    companion.changed(world.uri(), 2, [ContentChange(None, "helper()\n")])
    await world.until_it_has("helper()\n", version=2)
    assert companion.process_id not in (None, before)
    found = await world.found(companion, "helper()\n", ["helper"])
    assert found == {"helper": [where(path, 0, "def helper(): ...\n")]}


async def test_what_a_server_that_died_had_reported_is_withdrawn(world):
    text = "crash\n"
    companion = await world.ready(text)
    await world.found(companion, text, ["crash"])
    await world.diagnostics.until(lambda uri, version, said: (uri, version, said) == (world.uri(), None, []))


async def test_three_restarts_in_a_minute_are_the_most(world):
    companion = world.companion(stubborn_command("dies"))
    companion.opened(world.uri(), 1, "x\n")
    await world.states.until(lambda state: state is CompanionState.OFF)
    assert world.clock.slept == [1.0, 2.0, 4.0]
    assert "it ended with exit code 7" in companion.reason
    assert "[languages.python]" in companion.reason
    assert companion.describe() == {
        "language": "python",
        "program": sys.executable,
        "state": "off",
        "reason": companion.reason,
        "process_id": None,
    }
    companion.changed(world.uri(), 2, [ContentChange(None, "y\n")])
    assert await world.found(companion, "y\n", ["y"]) == {}


@pytest.mark.parametrize(
    ("fault", "reason"), [("refuses", "refused to be initialized (error -32002)"), ("utf-8", "columns in utf-16")]
)
async def test_a_server_that_cannot_be_used_is_off_at_once(world, fault, reason):
    companion = world.companion(stubborn_command(fault))
    companion.opened(world.uri(), 1, "x\n")
    await world.states.until(lambda state: state is CompanionState.OFF)
    assert reason in companion.reason
    assert world.clock.slept == []


async def test_a_server_that_never_answers_initialize_is_given_up(world):
    limits = CompanionLimits(start_seconds=SHORT_SECONDS, restarts=RestartPolicy(fatal_deaths=1))
    companion = world.companion(stubborn_command("mute"), limits=limits)
    companion.opened(world.uri(), 1, "x\n")
    await world.states.until(lambda state: state is CompanionState.OFF)
    assert "did not answer `initialize`" in companion.reason


@pytest.mark.parametrize("program", ["no-such-language-server", "/no/such/server"])
async def test_a_program_that_is_not_there_is_named_with_the_cure(world, program):
    companion = world.companion((program, "--stdio"))
    companion.opened(world.uri(), 1, "x\n")
    await world.states.until(lambda state: state is CompanionState.OFF)
    assert program in companion.reason
    assert "path" in companion.reason


@pytest.mark.parametrize("search_path", ["{root}/bin", ".:bin:/nowhere"])
async def test_a_workspace_does_not_choose_what_runs(world, monkeypatch, search_path):
    program = world.write("bin/friendly-server", f"#!/bin/sh\ntouch {world.root}/ran\n")
    program.chmod(0o755)
    monkeypatch.chdir(world.root)
    monkeypatch.setenv("PATH", search_path.format(root=world.root))
    companion = world.companion(("friendly-server",))
    companion.opened(world.uri(), 1, "x\n")
    await world.states.until(lambda state: state is CompanionState.OFF)
    assert "absolute path" in companion.reason
    assert not (world.root / "ran").exists()


# The end


async def test_nothing_is_started_before_the_first_document_is_opened(world):
    companion = world.companion()
    assert companion.state is CompanionState.UNUSED
    assert await companion.definitions(str(world.root / "main.py"), [first("x", "x")]) == {}
    await companion.close()
    assert world.states.all == [(CompanionState.CLOSED,)]


async def test_closing_ends_the_server(world):
    companion = await world.ready("x\n")
    process = psutil.Process(companion.process_id)
    await companion.close()
    assert not process.is_running()
    assert companion.state is CompanionState.CLOSED
    companion.opened(world.uri(), 1, "x\n")
    assert companion.state is CompanionState.CLOSED


async def test_closing_while_it_starts_leaves_no_process(world):
    companion = world.companion(stubborn_command("mute"))
    companion.opened(world.uri(), 1, "x\n")
    await asyncio.sleep(0)
    await companion.close()
    assert not world.processes()


async def test_a_server_that_ignores_its_end_is_killed_with_what_it_started(world):
    companion = world.companion(stubborn_command("deaf"), limits=CompanionLimits())
    companion.opened(world.uri(), 1, "x\n")
    await world.states.until(lambda state: state is CompanionState.READY)
    server = psutil.Process(companion.process_id)
    [child] = server.children()
    await companion.close()
    _, alive = psutil.wait_procs([server, child], timeout=PATIENCE_SECONDS)
    assert not alive


async def test_a_server_that_stops_reading_is_given_up(world, monkeypatch):
    monkeypatch.setattr(Outgoing.__init__, "__kwdefaults__", {"stall_seconds": SHORT_SECONDS})
    process = await CompanionProcess.start(stubborn_command("deaf"), {}, lambda _method, _params: None)
    await process.request("initialize", {}, limit_seconds=PATIENCE_SECONDS)
    for _ in range(40):
        process.notify("textDocument/didChange", {"text": "x" * 10_000})
    question = asyncio.create_task(process.request("shutdown", None, limit_seconds=PATIENCE_SECONDS))
    await asyncio.wait({process.ended})
    assert process.ended.result() == "it stopped reading what it was sent"
    with pytest.raises(ServerGone):
        await question


async def test_a_server_that_owes_many_answers_is_not_asked_more(world):
    process = await CompanionProcess.start(stubborn_command("mute"), {}, lambda _method, _params: None)
    for _ in range(MAX_OWED):
        with pytest.raises(TimeoutError):
            await process.request("textDocument/definition", {}, limit_seconds=0)
    question = asyncio.create_task(process.request("textDocument/definition", {}, limit_seconds=PATIENCE_SECONDS))
    await asyncio.sleep(0)
    assert question.done()
    assert isinstance(question.exception(), TimeoutError)
    process.kill()
    await asyncio.wait({process.ended})
    assert process.ended.result() == "it ended by SIGKILL"


# All companions of a window


@pytest.fixture
async def window(world, tmp_path):
    """A window's documents and companions on the folder of ``world`` and one more."""
    other = tmp_path / "other"
    other.mkdir()
    documents = Documents()
    companions = Companions(documents, world.diagnostics)
    folders = [world.root.as_uri(), other.as_uri()]
    documents.set_folders(folders)
    companions.set_folders(folders)
    companions.follow({"python": LanguageSettings(server_command())})

    def open_document(folder, name, text, language_id="python"):
        document = documents.open((folder / name).as_uri(), language_id, 1, text)
        companions.opened(document)
        return document

    companions.open_document, companions.other = open_document, other
    yield companions
    await companions.close()


async def test_each_folder_and_language_has_a_server_of_its_own_and_others_have_none(world, window, tmp_path):
    world.write("helpers.py", "def helper(): ...\n")
    text = "helper()\n"
    here = window.open_document(world.root, "main.py", text)
    again = window.open_document(world.root, "again.py", text)
    there = window.open_document(window.other, "main.py", text)
    window.open_document(world.root, "main.go", text, "go")
    window.open_document(tmp_path, "outside.py", text)
    for document in (here, again, there):
        await world.diagnostics.until(lambda uri, _version, _said, document=document: uri == document.uri)
    assert {(entry["folder"], entry["language"]) for entry in window.describe()} == {
        (str(world.root), "python"),
        (str(window.other), "python"),
    }
    assert list(await window.definitions(here.path, [first(text, "helper")])) == ["helper"]
    assert await window.definitions(there.path, [first(text, "helper")]) == {"helper": []}
    assert await window.definitions(str(tmp_path / "outside.py"), [first(text, "helper")]) == {}


async def test_a_new_command_in_the_settings_replaces_the_server(world, window):
    window.open_document(world.root, "main.py", "x\n")
    await world.state()
    [before] = window.describe()
    window.follow({"python": LanguageSettings(server_command(sync=1))})
    await world.diagnostics.until(
        lambda _uri, _version, said: (
            (world._state(said) or {"pid": before["process_id"]})["pid"] != before["process_id"]
        )
    )
    [after] = window.describe()
    assert after["process_id"] != before["process_id"]
    window.follow({})
    assert window.describe() == []


async def test_a_folder_that_leaves_the_window_takes_its_server_with_it(world, window):
    document = window.open_document(world.root, "main.py", "x\n")
    await world.state()
    window.set_folders([window.other.as_uri()])
    assert window.describe() == []
    window.changed(document.uri, 2, [ContentChange(None, "y\n")])
    window.closed(document.uri)
