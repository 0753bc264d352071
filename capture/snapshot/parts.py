r"""What a snapshot is made of, each part with its JSON: region, prediction, repository; and what its paths may be.

All texts have ``\n`` as line end, as models see them; offsets are UTF-8 bytes of the cursor excerpt. A part refuses
what would tell where on a machine, or under whose name, the code lies. Knows nothing of time, of consent or of how a
snapshot comes about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capture.snapshot.as_json import Members

Origin = Literal["model", "rule"]

MAX_REGION_BYTES = 4096  # Zed's EDIT_PREDICTION_SETTLED_MAX_EDITABLE_REGION_BYTES
MAX_DIFF_BYTES = 64 * 1024  # of all diffs together; Zed leaves a larger `uncommitted_diff` out too

_DRIVE = re.compile(r"[A-Za-z]:")
_SEPARATOR = re.compile(r"[/\\]")
_SCP_FORM = re.compile(r"(?:[^@/:]+@)?(?P<host>[^@/:]{2,}):(?P<path>(?!//).+)")
_HOME = re.compile(r"/+(?:~|home/|Users/|root/)")
_REVISION = re.compile("(?:[0-9a-f]{40}|[0-9a-f]{64})?")
_WEB_SCHEMES = ("http", "https", "ssh", "git")


@dataclass(frozen=True, slots=True)
class Region:
    """The text that was followed: ``text_before`` when the prediction was made, bytes ``start_bytes`` to ``end_bytes``.

    One of the two others is there: ``text_settled`` once nothing in it had changed for long enough, else
    ``text_unsettled``, what stood there when the file or the editor was closed.
    """

    start_bytes: int
    end_bytes: int
    text_before: str
    text_settled: str | None = None
    text_unsettled: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "start_bytes": self.start_bytes,
            "end_bytes": self.end_bytes,
            "text_before": self.text_before,
            "text_settled": self.text_settled,
            "text_unsettled": self.text_unsettled,
        }

    @classmethod
    def read(cls, members: Members) -> Region:
        """Raises ValueError naming the member."""
        region = cls(
            members.whole("start_bytes"),
            members.whole("end_bytes"),
            members.text("text_before"),
            None if members.null("text_settled") else members.text("text_settled"),
            None if members.null("text_unsettled") else members.text("text_unsettled"),
        )
        members.end()
        return region


@dataclass(frozen=True, slots=True)
class OfferedEdit:
    """One edit as it was offered: the excerpt's bytes ``start_bytes`` to ``end_bytes`` become ``text_after``."""

    start_bytes: int
    end_bytes: int
    text_before: str
    text_after: str

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "start_bytes": self.start_bytes,
            "end_bytes": self.end_bytes,
            "text_before": self.text_before,
            "text_after": self.text_after,
        }

    @classmethod
    def read(cls, members: Members) -> OfferedEdit:
        """Raises ValueError naming the member."""
        edit = cls(
            members.whole("start_bytes"),
            members.whole("end_bytes"),
            members.text("text_before"),
            members.text("text_after"),
        )
        members.end()
        return edit


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """What was answered, by the model or, where it found that likelier, by the rule: its ``origin``.

    ``edits`` were offered to the editor, none where the prediction is empty and ``reason`` says why;
    ``new_region_text`` is the whole answer, None where there is none. ``confidence`` is between 0 and 1, ``seconds``
    what the engine took, ``counters`` what it cost in tokens and passes; ``reused`` says how the answer came about
    where the engine did not work for it, else it is empty.
    """

    edits: tuple[OfferedEdit, ...] = ()
    new_region_text: str | None = None
    confidence: float = 1.0
    counters: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    reused: str = ""
    reason: str = ""
    origin: Origin = "model"

    def to_json(self) -> dict[str, Any]:
        """The stored form; only what is not the model's says whose it is."""
        origin = {} if self.origin == "model" else {"origin": self.origin}
        return {
            "edits": [edit.to_json() for edit in self.edits],
            "new_region_text": self.new_region_text,
            "confidence": self.confidence,
            "counters": dict(self.counters),
            "seconds": self.seconds,
            "reused": self.reused,
            "reason": self.reason,
            **origin,
        }

    @classmethod
    def read(cls, members: Members) -> PredictionRecord:
        """Raises ValueError naming the member."""
        counters = members.nested("counters")
        origin: Origin = "model" if members.absent("origin") else members.one_of("origin", ("rule",))
        prediction = cls(
            edits=tuple(map(OfferedEdit.read, members.nested_list("edits"))),
            new_region_text=None if members.null("new_region_text") else members.text("new_region_text"),
            confidence=members.number("confidence", most=1.0),
            counters={name: counters.whole(name) for name in counters.names},
            seconds=members.number("seconds"),
            reused=members.text("reused"),
            reason=members.text("reason"),
            origin=origin,
        )
        members.end()
        return prediction


@dataclass(frozen=True, slots=True)
class FileDiff:
    """What one file held, beyond the last commit, when the prediction was made: a diff as git writes it."""

    path: str
    diff: str

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"path": self.path, "diff": self.diff}

    @classmethod
    def read(cls, members: Members) -> FileDiff:
        """Raises ValueError naming the member."""
        found = cls(members.text("path"), members.text("diff"))
        members.end()
        return found


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the code comes from.

    ``url`` is what `public_url` leaves of the remote's, ``revision`` the commit checked out; both may be empty.
    ``prefix`` is the workspace's folder in the repository (``""`` at its root, else ending in ``/``); paths are
    relative to the workspace. Where there are no ``diffs``, ``diffs_left_out`` says why if something kept them out.
    Raises ValueError, naming the member.
    """

    url: str = ""
    revision: str = ""
    prefix: str = ""
    diffs: tuple[FileDiff, ...] = ()
    diffs_left_out: str = ""

    def __post_init__(self) -> None:
        if self.url != public_url(self.url):
            raise ValueError("repository.url holds more than a host and a path; take public_url of it")
        if not _REVISION.fullmatch(self.revision):
            raise ValueError("repository.revision is no full name of a commit")
        if self.prefix and (path_problem(self.prefix) or not self.prefix.endswith("/")):
            raise ValueError("repository.prefix must be a folder inside the repository, ending in a slash")
        if sum(len(found.diff.encode()) for found in self.diffs) > MAX_DIFF_BYTES:
            raise ValueError(f"repository.diffs hold more than {MAX_DIFF_BYTES} bytes together")

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "url": self.url,
            "revision": self.revision,
            "prefix": self.prefix,
            "diffs": [found.to_json() for found in self.diffs],
            "diffs_left_out": self.diffs_left_out,
        }

    @classmethod
    def read(cls, members: Members) -> Repository:
        """Raises ValueError naming the member."""
        repository = cls(
            url=members.text("url"),
            revision=members.text("revision"),
            prefix=members.text("prefix"),
            diffs=tuple(map(FileDiff.read, members.nested_list("diffs"))),
            diffs_left_out=members.text("diffs_left_out"),
        )
        members.end()
        return repository


def public_url(url: str) -> str:
    """A remote's URL without user, password, query and fragment, so that it says what is public about it.

    Empty where that is nothing: for a folder, a machine named without its domain, somebody's home on a server. The
    short form ``git@host:path`` becomes ``ssh://host/path``.
    """
    short = None if "://" in url else _SCP_FORM.fullmatch(url)
    if short is not None:
        url = f"ssh://{short['host']}/{short['path'].lstrip('/')}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in _WEB_SCHEMES or "." not in host or not host.isascii() or _HOME.match(parts.path):
        return ""
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path}"


def path_problem(path: str) -> str:
    """Why a path must not be stored, empty for one that is relative to the workspace and stays inside it."""
    if not path:
        return "is empty"
    if path.startswith(("/", "\\", "~")) or _DRIVE.match(path) or "://" in path:
        return "is not relative to the workspace"
    if ".." in _SEPARATOR.split(path):
        return "leads out of the workspace"
    return ""


def span_problem(start_bytes: int, end_bytes: int, excerpt: bytes) -> str:
    """Why two offsets are no range of whole characters of the excerpt, empty when they are one."""
    if not 0 <= start_bytes <= end_bytes <= len(excerpt):
        return f"{start_bytes} to {end_bytes} lies outside the excerpt of {len(excerpt)} bytes"
    if any(excerpt[at : at + 1] and excerpt[at] & 0xC0 == 0x80 for at in (start_bytes, end_bytes)):
        return f"{start_bytes} to {end_bytes} cuts a character"
    return ""
