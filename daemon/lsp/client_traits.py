"""What one editor said of itself in ``initialize``; any part may be missing or of another type.

Knows nothing of what is done with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daemon.lsp.params import member


@dataclass(frozen=True, slots=True)
class ClientTraits:
    """``folders`` are the URIs of the workspace; ``process_id`` is the editor's, None when it gave none."""

    name: str = ""
    process_id: int | None = None
    folders: tuple[str, ...] = ()
    shows_progress: bool = False
    edits_by_version: bool = False  # it takes WorkspaceEdit.documentChanges
    hears_of_snapshots: bool = False  # it wants ``foretype/snapshotStored``
    shows_other_files: bool = False  # it can show and apply an edit in another open document than the one it asks about
    applies_together: bool = False  # it applies all edits of a reply in one step
    speaks_copilot: bool = False  # it understands didChangeStatus; others would warn about it

    @classmethod
    def from_initialize(cls, params: Any) -> ClientTraits:
        """Read the parameters of ``initialize``; never raises."""
        name = member(params, "clientInfo", "name")
        process_id = member(params, "processId")
        editor = member(params, "initializationOptions", "editorInfo")
        ours = member(params, "capabilities", "experimental", "foretype")
        editor_name = member(editor, "name")
        name = name if isinstance(name, str) else editor_name if isinstance(editor_name, str) else ""
        return cls(
            name=name,
            process_id=process_id if isinstance(process_id, int) and process_id > 1 else None,
            folders=_folders(params),
            shows_progress=member(params, "capabilities", "window", "workDoneProgress") is True,
            edits_by_version=member(params, "capabilities", "workspace", "workspaceEdit", "documentChanges") is True,
            hears_of_snapshots=member(ours, "snapshotStored") is True,
            shows_other_files=member(ours, "otherFiles") is True,
            applies_together=member(ours, "severalEdits") is True,
            # Neovim ignores notifications it has no handler for, so its Copilot-style plugins can be told.
            speaks_copilot=isinstance(editor, dict) or "neovim" in name.lower(),
        )


def _folders(params: Any) -> tuple[str, ...]:
    listed = member(params, "workspaceFolders")
    if isinstance(listed, list) and listed:
        uris = [member(folder, "uri") for folder in listed]
        return tuple(uri for uri in uris if isinstance(uri, str))
    root = member(params, "rootUri")
    if isinstance(root, str):
        return (root,)
    path = member(params, "rootPath")
    return (f"file://{path}",) if isinstance(path, str) and path.startswith("/") else ()
