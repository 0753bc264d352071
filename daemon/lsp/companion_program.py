"""Which program a companion server's name in the settings means. A workspace must not choose what runs.

Knows nothing of the server's protocol.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class ProgramRefused(Exception):
    """The program cannot be used; the message says why, of an "it", and what helps."""


def find_program(name: str, root: Path, search_path: str) -> str:
    """The absolute path of a program: ``name`` itself where it is one, else the first on ``search_path``.

    Raises ProgramRefused where there is none, and where a bare name leads into the workspace at ``root``: a folder
    that somebody else wrote would decide what is started.
    """
    # A relative folder on the search path would be looked for in whatever folder we run in.
    folders = os.pathsep.join(folder for folder in search_path.split(os.pathsep) if Path(folder).is_absolute())
    found = shutil.which(name, path=folders)
    if found is None:
        raise ProgramRefused(
            "there is no such program that can be run; correct the path"
            if Path(name).is_absolute()
            else "it is not on foretype's PATH; install it, or give its absolute path"
        )
    if not Path(name).is_absolute() and _is_within(Path(found), root):
        raise ProgramRefused(f"it leads into the workspace, to {found}; if you trust that, give it as an absolute path")
    return found


def _is_within(path: Path, root: Path) -> bool:
    resolved_root = root.resolve()
    return path.is_relative_to(root) or path.resolve().is_relative_to(resolved_root)
