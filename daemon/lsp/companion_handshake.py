"""How we introduce ourselves to a language server as its client, and what we answer when it asks us something.

We claim little: definitions, diagnostics, UTF-16. What a server asks all the same gets the answer of a client that has
no configuration and changes nothing. Knows nothing of documents or of the server's process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.handshake import VERSION
from daemon.lsp.companion_process import RequestRefused
from daemon.lsp.companion_program import ProgramRefused
from daemon.lsp.companion_texts import SyncKind, sync_kind
from daemon.lsp.params import member

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from daemon.lsp.companion_process import CompanionProcess

_METHODS = {
    "definitionProvider": "textDocument/definition",
    "typeDefinitionProvider": "textDocument/typeDefinition",
}
_CAPABILITIES = {
    "general": {"positionEncodings": ["utf-16"]},
    "workspace": {"configuration": True, "workspaceFolders": True},
    "textDocument": {
        "synchronization": {"dynamicRegistration": False},
        "definition": {"linkSupport": True},  # a link holds the whole item, a location mostly the name alone
        "typeDefinition": {"linkSupport": True},
        "publishDiagnostics": {"versionSupport": True},
    },
}


@dataclass(frozen=True, slots=True)
class ServerOffers:
    """What a server said that it can do, as far as we ask for it."""

    sync_kind: SyncKind
    methods: tuple[str, ...]  # of the requests for definitions


def answers_in(root: Path) -> Mapping[str, Callable[[Any], Any]]:
    """Our answers to a server for the folder ``root``: method -> its params -> our result."""
    return {
        "workspace/configuration": _no_configuration,
        "workspace/workspaceFolders": lambda _: [_folder(root)],
        "workspace/applyEdit": lambda _: {"applied": False},
        "window/showDocument": lambda _: {"success": False},
        "window/showMessageRequest": lambda _: None,
        "window/workDoneProgress/create": lambda _: None,
        "client/registerCapability": lambda _: None,
        "client/unregisterCapability": lambda _: None,
    }


async def introduce(server: CompanionProcess, root: Path, *, limit_seconds: float) -> ServerOffers:
    """``initialize`` and ``initialized``.

    Raises ProgramRefused where the server refuses or does not speak our dialect, else as ``CompanionProcess.request``.
    """
    params = {
        "processId": os.getpid(),
        "clientInfo": {"name": "foretype", "version": VERSION},
        "rootPath": str(root),
        "rootUri": root.as_uri(),
        "workspaceFolders": [_folder(root)],
        "capabilities": _CAPABILITIES,
    }
    try:
        result = await server.request("initialize", params, limit_seconds=limit_seconds)
    except RequestRefused as refused:
        raise ProgramRefused(f"it refused to be initialized ({refused}); try it in a terminal") from refused
    capabilities = member(result, "capabilities")
    encoding = member(capabilities, "positionEncoding")
    if encoding not in (None, "utf-16"):
        raise ProgramRefused("it does not count columns in utf-16, though nothing else was offered; use another server")
    server.notify("initialized", {})
    methods = tuple(method for offer, method in _METHODS.items() if _is_offered(member(capabilities, offer)))
    return ServerOffers(sync_kind(capabilities), methods)


def _folder(root: Path) -> dict[str, str]:
    return {"uri": root.as_uri(), "name": root.name}


def _is_offered(said: Any) -> bool:
    return said is not None and said is not False  # an object of options, even an empty one, is an offer


def _no_configuration(params: Any) -> list[None]:
    items = member(params, "items")
    return [None] * len(items) if isinstance(items, list) else []
