"""The sessions that are typed into every system: those of ``bench/sessions`` by name, a recorded one by its path.

``capture.typing_session`` says what a session is; its names may be taken from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from capture.typing_session import CHARACTERS_PER_WORD, KINDS, Header, Keystroke, Kind, Session, sha256

__all__ = [
    "CHARACTERS_PER_WORD",
    "FOLDER",
    "KINDS",
    "Header",
    "Keystroke",
    "Kind",
    "Session",
    "read_session",
    "read_sessions",
    "sha256",
]

FOLDER = Path(__file__).parent / "sessions"
SUFFIX = ".jsonl"


def read_sessions(names: Iterable[str] = (), folder: Path = FOLDER) -> list[Session]:
    """The sessions of a folder by name, all of them without ``names``; a name that ends in ``.jsonl`` is a path.

    Raises ValueError for a name there is not and for a file that holds no session, OSError for a path there is not.
    """
    found = {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}
    wanted = list(names) or list(found)
    missing = [name for name in wanted if name not in found and not name.endswith(SUFFIX)]
    if missing:
        raise ValueError(f"there is no session {', '.join(missing)}; there are: {', '.join(found)}")
    return [read_session(Path(name) if name.endswith(SUFFIX) else found[name]) for name in wanted]


def read_session(path: Path) -> Session:
    """The session in a file; raises OSError, and ValueError when it holds none."""
    try:
        return Session.from_bytes(path.read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no typing session: {error!r}") from error
