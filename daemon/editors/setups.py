"""The editors that foretype works in, read from ``setups.toml``: what each needs, gets, and how it asks.

Knows nothing of how a snippet is written into a file or how an editor is tried.
"""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

Asks = Literal["inline edit", "ghost text", "code action", "http"]
Accepts = Literal["request", "notification", "nothing"]


@dataclass(frozen=True, slots=True)
class Setup:
    """One editor, or one plugin of it.

    ``snippet`` belongs into ``file`` and is in ``language``; ``beside`` is what else to install, ``keys`` what to
    press. ``checked`` says how far this was tried: ``real client``, ``recorded traffic`` or ``documentation only``.
    ``asks`` is the request that the editor makes, ``accepts`` how it tells of an acceptance. ``starts`` is the program
    that it starts, ``program`` its own. ``by_hand`` is why the file is not written for the person, empty where it is.
    """

    name: str
    title: str
    gives: str
    file: str
    language: str
    program: str
    beside: str
    keys: str
    checked: str
    asks: Asks
    accepts: Accepts
    snippet: str
    starts: str = "foretype"
    several_edits: bool = False
    by_hand: str = ""

    @property
    def command(self) -> list[str]:
        """How the editor starts the daemon."""
        return [found(self.starts), *(["lsp"] if self.starts == "foretype" else []), "--stdio"]

    @property
    def text(self) -> str:
        """The snippet with the programs' places, ending with a newline."""
        text = self.snippet.lstrip("\n")
        for mark, program in (("@FORETYPE@", "foretype"), ("@FORETYPE_LSP@", "foretype-lsp")):
            text = text.replace(mark, self._quoted(found(program)))
        return text

    @property
    def path(self) -> Path:
        """The file that the snippet belongs into, where ``by_hand`` is empty."""
        return Path(self.file).expanduser()

    def to_json(self) -> dict[str, Any]:
        """The form of ``--json``."""
        return {
            "name": self.name,
            "title": self.title,
            "gives": self.gives,
            "file": self.file,
            "snippet": self.text,
            "beside": self.beside,
            "keys": self.keys,
            "checked": self.checked,
            "by_hand": self.by_hand,
        }

    def _quoted(self, text: str) -> str:
        # One form serves: Lua, Lisp, TOML and JSON read it alike where nothing but printable characters is in it.
        return text if self.language == "text" else json.dumps(text, ensure_ascii=False)


@cache
def setups() -> dict[str, Setup]:
    """All of them, by name."""
    data = tomllib.loads(files("daemon.editors").joinpath("setups.toml").read_text(encoding="utf-8"))
    return {name: Setup(name=name, **table) for name, table in data.items()}


def found(program: str) -> str:
    """``foretype`` or ``foretype-lsp`` where it is on the ``PATH``; else where this installation has it."""
    if shutil.which(program) is not None:
        return program
    return str(Path(sys.executable).parent / program)
