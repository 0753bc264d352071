r"""What a commit or a release changed, as texts before and after; and what of it can be edited at all.

A model sees lines that end with ``\n``, so CRLF is read as that. Zed's patches have no line for "no newline at the end
of the file", so every text of one file ends as the last one does, from the start (`ending_as`). Knows nothing of git
or archives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from capture.editing.unified_diff import CURSOR_MARKER
from capture.gate.exclude import PathGate

MAX_FILE_BYTES: Final = 1024 * 1024
MAX_LINE_CHARACTERS: Final = 4_000  # longer ones are made by programs, and leave no room for others in an excerpt

_GATE: Final = PathGate()
_UNFIT_FOR_A_HEADER: Final = frozenset(' "\\')


class NotText(ValueError):
    """The content cannot be edited as text; the message says why."""


@dataclass(frozen=True, slots=True)
class TextChange:
    """One file: ``before`` is None where it is new, ``after`` where it is deleted.

    ``path`` is the name it has before (for a new file: gets), ``new_path`` the one it has afterwards.
    """

    path: str
    before: str | None
    after: str | None
    new_path: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A changed file that no example says anything of."""

    path: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """As it is told in an example."""
        return {"path": self.path, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What was changed at one go.

    ``identity`` is the same for the same change on every machine, ``source`` is what people call it. ``origin`` goes
    into the example as it is. ``reordered`` is a patch in the order in which the lines were typed,
    where somebody knows it.
    """

    identity: str
    source: str
    name: str
    repository_url: str
    revision: str
    changes: tuple[TextChange, ...]
    left_out: tuple[LeftOut, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)
    reordered: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A change as a whole, or a sample of it, of which there is no example. ``source`` names it."""

    source: str
    reason: str


def text_of(data: bytes) -> str:
    r"""The text of a file, CRLF read as ``\n``. Raises NotText."""
    if len(data) > MAX_FILE_BYTES:
        raise NotText(f"is larger than {MAX_FILE_BYTES} bytes")
    if b"\0" in data:
        raise NotText("is binary: it contains a NUL character")
    try:
        text = data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise NotText(f"is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}") from error
    if "\r" in text:
        raise NotText("has a carriage return within a line")
    if CURSOR_MARKER in text:
        raise NotText(f"holds {CURSOR_MARKER}, which would be taken for the cursor")
    if any(len(line) > MAX_LINE_CHARACTERS for line in text.split("\n")):
        raise NotText(f"has a line of more than {MAX_LINE_CHARACTERS} characters")
    return text


def why_not_named(path: str) -> str:
    """Why no example may say anything of the file at ``path``, or the empty string."""
    if any(
        character in _UNFIT_FOR_A_HEADER or character.isspace() or not character.isprintable() for character in path
    ):
        return "its name has white space, a quote or a backslash, where patches end a name"
    return _GATE.reason(path) or ""


def change_of(path: str, before: bytes | None, after: bytes | None, new_path: str = "") -> TextChange | LeftOut:
    """The change of a file as text; where that cannot be, the reason."""
    new_path = new_path or path
    reason = why_not_named(path) or why_not_named(new_path)
    if reason:
        return LeftOut(new_path, reason)
    try:
        texts = [None if data is None else text_of(data) for data in (before, after)]
    except NotText as error:
        return LeftOut(new_path, str(error))
    old, new = texts
    if old == new and path == new_path:
        return LeftOut(new_path, "only its line ends or its mode differ")
    if old is None and new is not None and not new.endswith("\n"):
        return LeftOut(new_path, "is a new file without a newline at its end, or empty")
    if new is None and not old:
        return LeftOut(new_path, "is empty and deleted")
    if path != new_path and not (old and new):
        return LeftOut(new_path, "is empty and renamed")
    return TextChange(path, old, new, new_path)


def ending_as(text: str, model: str) -> str:
    """``text`` with a newline at its end exactly where ``model`` has one; where either is empty, ``text`` itself."""
    if not text or not model or text.endswith("\n") == model.endswith("\n"):
        return text
    return f"{text}\n" if model.endswith("\n") else text.rstrip("\n")


def lines_of(text: str) -> list[str]:
    r"""The lines without their ends; a newline at the end of the text begins none."""
    lines = text.split("\n")
    return lines[:-1] if not lines[-1] else lines
