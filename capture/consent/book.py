"""Who agreed to what: one file with a record for each workspace that capture was allowed in.

Nothing may be captured without a record: no file, no record, a record of an older text, a damaged file, a policy
against it, each of them is a no, and ``ConsentBook.decide`` says which. The record of the innermost folder decides, so
a folder inside a workspace may say otherwise than the workspace. A change that another process makes counts from the
next question on. Knows nothing of what is captured.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from capture.rereading import Rereading
from capture.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from capture.consent.policy import PolicyFile

Scope = Literal["local", "upload"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

# Whoever changes the text raises the version: who agreed to the old one is then asked again.
CONSENT_TEXT_VERSION = 2
CONSENT_TEXT = """\
foretype can remember how its predictions turned out, so that a better model can be trained from that. It remembers
nothing unless you agree, and then only in the folder you agree for.

  remembered  for each prediction: the code around the cursor, your latest edits, and the definitions and diagnostics
              that the model was shown; what it predicted, and what you did with that; how the place reads once you
              have left it alone, and up to four edits after it; the repository's address without user name and
              password, its revision, and the uncommitted changes of the files concerned
  never       files that git ignores, that your settings exclude or that commonly hold secrets, and files outside the
              folder; a moment that holds what looks like a secret is dropped (or the secret masked, if you set that)
  kept        in a database in your data directory, up to a limited size; `foretype snapshots` lists, shows, exports
              and deletes what is in it
  sent        scope local: to nobody; what you export, and where you send that, is up to you. Scope upload: also to the
              collector that your settings name. Whoever runs it may train models on it, and may show it to language
              models that others run, to learn what a good prediction would have been
  taken back  at any time, with `foretype consent revoke`: it stops at once and offers to delete what was kept

No search for secrets finds all of them. Do not agree for a folder whose code must not be written down a second time.
"""

FORMAT = 1  # of the file
_TAKEN_BACK = "none"  # the scope of a record that says no, below a folder whose record says yes
_WORKSPACE_ID = re.compile(r"[0-9a-f]{32}")


class ConsentRefused(Exception):
    """Consent cannot be recorded or taken back; the message names the cause and the cure."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What was agreed to for one workspace.

    ``root`` is absolute, its links followed; ``workspace_id`` is random and stands for it wherever the path must not
    be written; ``granted_at`` is in seconds since the epoch, UTC.
    """

    root: str
    workspace_id: str
    scope: Scope
    granted_at: float
    text_version: int

    @property
    def is_outdated(self) -> bool:
        """Whether the person saw another text than the one that counts now."""
        return self.text_version != CONSENT_TEXT_VERSION


@dataclass(frozen=True, slots=True)
class Decision:
    """The consent that holds for a folder, or None and why there is none."""

    consent: Consent | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the file holds: consents, folders that are exempt from those around them, or why it cannot be known."""

    consents: tuple[Consent, ...] = ()
    exempt: frozenset[str] = frozenset()
    problem: str = ""


class ConsentBook:
    """The records in the file at ``path``, under a policy. ``clock`` gives seconds since the epoch."""

    def __init__(self, path: Path, policy: PolicyFile, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._policy = policy
        self._clock = clock
        self._reading = Rereading(path, _read)

    def for_workspace(self, root: str) -> Consent | None:
        """The consent that holds for the folder ``root``, None when there is none for whatever reason."""
        return self.decide(root).consent

    def decide(self, root: str) -> Decision:
        """The consent that holds for the folder ``root``, or why none does. Never raises.

        Its scope is what may be done: where the policy forbids uploads it is ``local``, whatever was granted.
        """
        policy = self._policy.current
        known = self._reading.current()
        if policy.capture_refusal or known.problem:
            return Decision(None, policy.capture_refusal or known.problem)
        if not Path(root).is_absolute():
            return Decision(None, f"{root!r} is no absolute path")
        folder = _real(root)
        innermost = _innermost(folder, {consent.root for consent in known.consents} | known.exempt)
        if innermost is None:
            return Decision(None, f"nobody agreed to it for {root}; `foretype consent grant {root}` asks")
        if innermost in known.exempt:
            return Decision(None, f"consent was taken back for {innermost}")
        consent = next(consent for consent in known.consents if consent.root == innermost)
        if consent.is_outdated:
            asks = f"`foretype consent grant {innermost}` shows the new one and asks"
            return Decision(None, f"the text that was agreed to for {innermost} has changed since; {asks}")
        if policy.upload_refusal and consent.scope == "upload":
            consent = Consent(consent.root, consent.workspace_id, "local", consent.granted_at, consent.text_version)
        return Decision(consent)

    def uploads(self) -> dict[str, float]:
        """By workspace id since when (seconds since the epoch) what is captured there may be uploaded. Never raises.

        What was captured before stays on this machine. Empty where the policy or a damaged file says no.
        """
        if self.policy_refusal("upload"):
            return {}
        return {
            consent.workspace_id: consent.granted_at
            for consent in self._reading.current().consents
            if consent.scope == "upload" and not consent.is_outdated
        }

    def all(self) -> tuple[Consent, ...]:
        """Every consent on record, outdated ones included, by folder; none when the file cannot be read."""
        return self._reading.current().consents

    @property
    def problem(self) -> str:
        """Why the file cannot be read or understood, empty when it can."""
        return self._reading.current().problem

    def policy_refusal(self, scope: Scope) -> str:
        """Why nobody may grant this scope on this machine, empty when they may."""
        policy = self._policy.current
        return policy.capture_refusal or (policy.upload_refusal if scope == "upload" else "")

    def grant(self, root: str, scope: Scope) -> Consent:
        """Record that a person who was shown ``CONSENT_TEXT`` agreed for the folder ``root``.

        Granting again changes the scope and keeps the workspace's id; granting the same again changes nothing, so
        that it stays known since when it holds. Raises ConsentRefused: a policy forbids it, the folder is none or too
        wide, the file is damaged or cannot be written.
        """
        if self.policy_refusal(scope):
            raise ConsentRefused(self.policy_refusal(scope))
        folder = _workspace(root)
        with self._changing() as known:
            same = next((consent for consent in known.consents if consent.root == folder), None)
            if same is not None and same.scope == scope and not same.is_outdated:
                return same
            consent = Consent(
                root=folder,
                workspace_id=uuid.uuid4().hex if same is None else same.workspace_id,
                scope=scope,
                granted_at=self._clock(),
                text_version=CONSENT_TEXT_VERSION,
            )
            others = [other for other in known.consents if other.root != folder]
            self._write([*others, consent], known.exempt - {folder})
        return consent

    def revoke(self, root: str) -> tuple[Consent, ...]:
        """Take back the consent for the folder ``root`` and every folder in it; returns what ended.

        Where a folder around it has consent, this one is exempt from now on. Raises ConsentRefused when that cannot
        be written down: the file is damaged (and then there is no consent anywhere) or cannot be written.
        """
        if not self.path.exists():
            return ()
        folder = _real(root)
        with self._changing() as known:
            ended = tuple(consent for consent in known.consents if _is_in(consent.root, folder))
            kept = [consent for consent in known.consents if not _is_in(consent.root, folder)]
            exempt = {other for other in known.exempt if not _is_in(other, folder)}
            around = _innermost(folder, {consent.root for consent in kept} | exempt)
            if around is not None and around not in exempt:
                exempt.add(folder)
            if ended or exempt != known.exempt:
                self._write(kept, exempt)
        return ended

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_Known]:
        """What the file holds, while no other process changes it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_suffix(".lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                known = _read(self.path)
                if known.problem:
                    raise ConsentRefused(known.problem)
                yield known
        except OSError as error:
            raise ConsentRefused(f"cannot write {self.path}: {error.strerror}; nothing was changed") from error

    def _write(self, consents: Iterable[Consent], exempt: Iterable[str]) -> None:
        records: list[dict[str, Any]] = [asdict(consent) for consent in consents]
        records += [{"root": root, "scope": _TAKEN_BACK} for root in exempt]
        records.sort(key=lambda record: record["root"])
        write_whole(self.path, json.dumps({"format": FORMAT, "workspaces": records}, indent=2) + "\n", durably=True)


def _read(path: Path) -> _Known:
    try:
        return _parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Known()
    except OSError as error:
        return _Known(problem=f"cannot read {path}: {error.strerror}; nothing is captured until it can be read")
    except ValueError as error:
        cure = "remove the file, and grant consent again where you want it"
        return _Known(problem=f"{path} is damaged ({error}), so nothing is captured; {cure}")


def _parse(text: str) -> _Known:
    """Strictly, because every misreading would be a consent that nobody gave; raises ValueError."""
    whole = json.loads(text)
    if not isinstance(whole, dict) or whole.get("format") != FORMAT or not isinstance(whole.get("workspaces"), list):
        raise ValueError(f"not the consent file of format {FORMAT}")
    consents: list[Consent] = []
    exempt: set[str] = set()
    for record in whole["workspaces"]:
        root = record.get("root") if isinstance(record, dict) else None
        if not isinstance(root, str) or not Path(root).is_absolute():
            raise ValueError("`root` is no absolute path")
        if any(consent.root == root for consent in consents) or root in exempt:
            raise ValueError("two records of one `root`")
        if record.get("scope") == _TAKEN_BACK:
            exempt.add(root)
        else:
            consents.append(_consent(root, record))
    return _Known(tuple(consents), frozenset(exempt))


def _consent(root: str, record: dict[str, Any]) -> Consent:
    workspace_id, scope, version = record.get("workspace_id"), record.get("scope"), record.get("text_version")
    granted_at = record.get("granted_at")
    if not isinstance(workspace_id, str) or not _WORKSPACE_ID.fullmatch(workspace_id):
        raise ValueError("`workspace_id` is not 32 hexadecimal digits")
    if scope not in SCOPES:
        raise ValueError(f"`scope` is not one of {', '.join(SCOPES)}")
    if not isinstance(granted_at, int | float) or isinstance(granted_at, bool):
        raise ValueError("`granted_at` is no number")  # noqa: TRY004 (the file is wrong, not the program)
    if not isinstance(version, int) or isinstance(version, bool):
        raise ValueError("`text_version` is no whole number")  # noqa: TRY004
    return Consent(root, workspace_id, scope, float(granted_at), version)


def _workspace(root: str) -> str:
    """The folder as it is recorded; raises ConsentRefused."""
    folder = _real(root)
    if not Path(folder).is_dir():
        raise ConsentRefused(f"there is no folder {folder}")
    if folder in (os.sep, _real(str(Path.home()))):
        raise ConsentRefused(f"{folder} is too wide for one consent; name the folder of a project")
    return folder


def _real(path: str) -> str:
    return os.path.realpath(path)  # the same folder by whatever link an editor came to it


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _innermost(folder: str, roots: Iterable[str]) -> str | None:
    return max((root for root in roots if _is_in(folder, root)), key=len, default=None)
