"""A small language server made with pygls, for the companion's tests: ``python companion_server.py OPTIONS`` (JSON).

It knows ``def NAME``, ``class NAME`` and ``NAME = `` in the open documents and the ``.py`` files of its folder. Names
with a meaning of their own make it hang, crash or ask back. What it knows and did stands in a diagnostic of the source
``state`` that it publishes with every other one, so that a test can wait for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sys
from pathlib import Path

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path

OPTIONS = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
SYNC = types.TextDocumentSyncKind(OPTIONS.get("sync", 2))
BARRIER_PARTIES = 4

server = LanguageServer("companion-server", "1", text_document_sync_kind=SYNC)
events: list[str] = []
sooner_was_asked = asyncio.Event()
barrier = asyncio.Barrier(BARRIER_PARTIES)
in_flight: set[str] = set()
most_in_flight = [0]


def utf16(text):
    return len(text.encode("utf-16-le")) // 2


def where(row, line, start, end):
    return types.Range(types.Position(row, utf16(line[:start])), types.Position(row, utf16(line[:end])))


def report(uri):
    document = server.workspace.get_text_document(uri)
    state = {
        "sha256": hashlib.sha256(document.source.encode()).hexdigest(),
        "version": document.version,
        "events": events,
        "most_in_flight": most_in_flight[0],
        "pid": os.getpid(),
        "cwd": str(Path.cwd()),
    }
    wrong = [
        types.Diagnostic(where(row, line, match.start(), match.end()), "this is wrong", types.DiagnosticSeverity.Error)
        for row, line in enumerate(document.source.splitlines())
        for match in re.finditer("wrong", line)
    ]
    start = types.Range(types.Position(0, 0), types.Position(0, 0))
    server.text_document_publish_diagnostics(
        types.PublishDiagnosticsParams(
            # Percent signs as other servers write them.
            uri=uri.replace("main", "%6Dain"),
            version=document.version if OPTIONS.get("versions", True) else None,
            diagnostics=[*wrong, types.Diagnostic(start, json.dumps(state), source="state")],
        )
    )


def happened(event, uri):
    events.append(event)
    report(uri)


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
def did_open(params):
    sys.stderr.write("x" * OPTIONS.get("noise_characters", 0))
    sys.stderr.flush()
    happened("opened " + Path(params.text_document.uri).name, params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
def did_change(params):
    report(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
def did_close(params):
    events.append("closed " + Path(params.text_document.uri).name)


def name_at(uri, position):
    line = server.workspace.get_text_document(uri).source.splitlines()[position.line]
    rest = line.encode("utf-16-le")[2 * position.character :].decode("utf-16-le")
    return re.match(r"\w*", rest)[0]


def texts():
    """Path and text of every file; what is open counts before what is on the disk."""
    opened = {Path(document.path): document.source for document in server.workspace.text_documents.values()}
    folders = [Path(server.workspace.root_path), *map(Path, OPTIONS.get("libraries", ()))]
    files = {path for folder in folders for path in folder.rglob("*.py")} - set(opened)
    return {**opened, **{path: path.read_bytes().decode() for path in files}}


def found(pattern):
    for path, text in sorted(texts().items()):
        lines = text.splitlines()
        for row, line in enumerate(lines):
            match = re.search(pattern, line)
            if match is None:
                continue
            name = where(row, line, match.start(1), match.end(1))
            if not OPTIONS.get("links"):
                yield types.Location(from_fs_path(str(path)), name)
                continue
            end = next((below for below in range(row + 1, len(lines)) if re.match(r"\S", lines[below])), len(lines))
            item = types.Range(types.Position(row, 0), types.Position(end, 0))
            yield types.LocationLink(from_fs_path(str(path)), item, name)


async def ask_back(uri):
    """Everything a server may ask of a client, and something that none knows."""
    configuration = await server.workspace_configuration_async(
        types.ConfigurationParams([types.ConfigurationItem(section="a"), types.ConfigurationItem(section="b")])
    )
    registered = await server.client_register_capability_async(types.RegistrationParams([types.Registration("1", "x")]))
    progress = await server.window_work_done_progress_create_async(types.WorkDoneProgressCreateParams("token"))
    chosen = await server.window_show_message_request_async(
        types.ShowMessageRequestParams(types.MessageType.Info, "choose", [types.MessageActionItem("yes")])
    )
    applied = await server.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(types.WorkspaceEdit()))
    folders = await server.workspace_workspace_folders_async(None)
    try:
        await server.protocol.send_request_async("nonsense/request", {})
        refused = None
    except JsonRpcException as error:
        refused = error.code
    answers = [
        configuration,
        registered,
        progress,
        chosen,
        applied.applied,
        [folder.name for folder in folders],
        refused,
    ]
    happened("answers " + json.dumps(answers), uri)


async def misbehave(name, uri):
    if name == "crash":
        os._exit(3)
    elif name == "refuse":
        raise JsonRpcException("nothing to say", code=-32801)
    elif name.startswith("hang"):
        happened(f"asked {name}", uri)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            happened(f"cancelled {name}", uri)
            raise
    elif name == "later":
        await sooner_was_asked.wait()
    elif name == "sooner":
        sooner_was_asked.set()
    elif name == "ask_back":
        await ask_back(uri)
    elif name.startswith("four"):
        in_flight.add(name)
        most_in_flight[0] = max(most_in_flight[0], len(in_flight))
        await barrier.wait()
        in_flight.remove(name)


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
async def definition(params):
    uri = params.text_document.uri
    name = name_at(uri, params.position)
    await misbehave(name, uri)
    if name == "package":  # the file itself, as servers answer for a module
        start = types.Range(types.Position(0, 0), types.Position(0, 0))
        return types.Location(uri, start)
    return list(found(rf"(?:\b(?:def|class) (?={name}\b)|(?:^|; )(?={name} = ))({name})")) or None


if OPTIONS.get("type_definitions", True):

    @server.feature(types.TEXT_DOCUMENT_TYPE_DEFINITION)
    async def type_definition(params):
        name = name_at(params.text_document.uri, params.position)
        values = (re.search(rf"\b{name} = (\w+)\(", text) for text in texts().values())
        kinds = [match[1] for match in values if match is not None]
        return [place for kind in kinds for place in found(rf"\bclass ({kind})\b")] or None


if __name__ == "__main__":
    if OPTIONS.get("prints"):
        print("Welcome to the language server!", flush=True)
    server.start_io()
