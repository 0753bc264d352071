"""What a model is given of files that are excluded or that git ignores: nothing, whatever leads to them."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from capture.context.gathering import QUIET_SECONDS
from daemon.scheduler import Scheduler
from daemon.services import Services
from daemon.status import StatusBoard
from daemon.symbol_indexes import SymbolIndexes
from tests.e2e.marked_workspace import EXCLUDE, EXCLUDED, IGNORED, ORDINARY, Workspace

PATIENCE_SECONDS = 20.0
REST_SECONDS = 1.2 * QUIET_SECONDS  # after each key: what was found while somebody typed is given then


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "project", tmp_path / "elsewhere")


@pytest.fixture
async def services(engine, settings, set_settings):
    """With an index of its own, as the hub has it."""
    set_settings(f'work_ahead = "keys"\nexclude = {json.dumps(EXCLUDE)}\n')
    status = StatusBoard()
    scheduler = Scheduler(engine, status=status)
    indexes = SymbolIndexes(
        logging.getLogger("daemon.index"), lambda: settings.current.exclude, lambda: True, text_seconds=0.01
    )
    services = Services(scheduler, settings, status, indexes=indexes)
    yield services
    await indexes.close()
    await services.ignored.close()
    await scheduler.close()


@pytest.fixture
async def editor(window, workspace):
    return await window(workspaceFolders=[{"uri": workspace.root.as_uri(), "name": "project"}])


@pytest.fixture
def tell(editor, workspace):
    """``tell(name)``: what a client knows of an open file and around it."""

    def tell_of(name):
        uri = workspace.uri(name)
        where = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 6}}
        found = {"range": where, "message": f"undefined: {workspace.markers[f'diagnosed in {name}']}"}
        editor.notify("foretype/didChangeDiagnostics", {"uri": uri, "diagnostics": [found]})
        editor.notify("foretype/didChangeDefinitions", {"uri": uri, "definitions": workspace.definitions()})

    return tell_of


@pytest.fixture
def asks(editor, workspace, engine):
    """``await asks(name, wanted)``: type in a row and ask with each key, until the model is given what is wanted."""
    versions = {}

    async def type_and_ask(name, wanted=lambda _: True):
        uri = workspace.uri(name)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                text = "#" if name in versions else f"# {workspace.markers[f'typed in {name}']}\n"
                version = versions[name] = versions.get(name, 1) + 1
                start = {"line": 11, "character": 0}
                editor.change(version, {"range": {"start": start, "end": start}, "text": text}, uri=uri)
                await editor.inline_edits(11, 1, version=version, uri=uri)

                if engine.asked and wanted(engine.asked[-1]):
                    return engine.asked[-1]
                await asyncio.sleep(REST_SECONDS)

    return type_and_ask


def words_in(workspace, inputs):
    text = json.dumps(inputs.to_json())
    return {name for name, word in workspace.markers.words.items() if word in text}


def sources(inputs):
    return {excerpt.context_source for file in inputs.related_files or () for excerpt in file.excerpts}


def paths(inputs):
    return {file.path for file in inputs.related_files or ()}


async def test_no_prompt_shows_another_file_that_is_excluded_or_ignored(editor, tell, asks, workspace, engine):
    editor.open(workspace.texts["main.py"], workspace.uri("main.py"))
    of_index = {"shop/prices.py", "vendor/lib/seen.py"}  # the last of these is the last that is read
    await asks("main.py", lambda inputs: sources(inputs) == {"lsp", "git_log"} and of_index <= paths(inputs))
    tell("main.py")
    for name in workspace.texts:
        if name != "main.py":
            editor.open(workspace.texts[name], workspace.uri(name))
            tell(name)
    for name in (*EXCLUDED, *IGNORED, *ORDINARY):
        await asks(name)
    shown = await asks("main.py", lambda inputs: "edit_history" in sources(inputs))
    assert {"in shop/prices.py", "typed in shop/prices.py", "diagnosed in main.py"} <= words_in(workspace, shown)
    about = {inputs.cursor_path for inputs in engine.asked}
    assert about == {*ORDINARY, *IGNORED}
    for inputs in engine.asked:
        unseen = [name for name in (*EXCLUDED, *IGNORED) if name != inputs.cursor_path]
        assert words_in(workspace, inputs) & workspace.words_of(unseen) == set()


@pytest.mark.parametrize("hidden", [".env", "generated/values.py", "private.py"])
async def test_a_link_with_a_harmless_name_does_not_show_what_it_leads_to(editor, asks, workspace, engine, hidden):
    (workspace.root / "harmless.py").symlink_to(workspace.root / hidden)
    workspace.texts["harmless.py"] = workspace.texts[hidden]
    for name in ("harmless.py", "shop/prices.py", "main.py"):
        editor.open(workspace.texts[name], workspace.uri(name))
    for name in ("harmless.py", "shop/prices.py"):
        await asks(name)
    shown = await asks("main.py", lambda inputs: "edit_history" in sources(inputs) and len(inputs.events) > 1)
    assert "typed in shop/prices.py" in words_in(workspace, shown)
    about_main = [inputs for inputs in engine.asked if inputs.cursor_path == "main.py"]
    assert not [
        inputs for inputs in about_main if words_in(workspace, inputs) & workspace.words_of(["harmless.py", hidden])
    ]
