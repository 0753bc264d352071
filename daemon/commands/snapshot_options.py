"""What the commands on snapshots have in common to say which ones, and what they make of it."""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from capture.snapshot.snapshot import Outcome
from capture.store.choice import Choice
from daemon.consents import consent_book
from daemon.errors import BadArgument

_WORKSPACE_ID = re.compile(r"[0-9a-f]{32}")
_AGE = re.compile(r"(\d+(?:\.\d+)?)([mhdw])")
_UNIT_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


RatingName = Literal["good", "bad", "none"]
TextBefore = Literal["before", "predicted"]
TextAfter = Literal["predicted", "settled"]

Id = Annotated[str, typer.Argument(metavar="ID", help="An id from `foretype snapshots list`; its beginning will do.")]
Workspace = Annotated[
    str, typer.Option(metavar="FOLDER", help="Only those of this workspace: its folder, or its id from --json.")
]
Since = Annotated[
    str, typer.Option(metavar="TIME", help="Only those settled since then: 90m, 12h, 3d, 2w ago, or 2026-11-23T09:00.")
]
WithOutcome = Annotated[Outcome | None, typer.Option(help="Only those with this outcome.")]
Language = Annotated[str, typer.Option(metavar="ID", help="Only those in this language, as editors name it: python.")]
Model = Annotated[str, typer.Option(metavar="NAME", help="Only those that this model predicted.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def choice(workspace: str, since: str, outcome: Outcome | None, language: str, model: str) -> Choice:
    """Which snapshots the options mean; raises BadArgument."""
    return Choice(
        workspace_id=workspace_id(workspace),
        since=seconds(since, "--since"),
        outcome=outcome,
        language_id=language or None,
        model=model or None,
    )


def workspace_id(named: str) -> str | None:
    """The id behind a folder or an id; raises BadArgument for a folder nobody consented to."""
    if not named or _WORKSPACE_ID.fullmatch(named):
        return named or None
    folder = Path(named).resolve()
    around = [consent for consent in consent_book().all() if folder.is_relative_to(consent.root)]
    if not around:
        raise BadArgument(
            f"no consent is on record for {folder}; give the workspace's id: `foretype snapshots list --json` shows it"
        )
    return max(around, key=lambda consent: len(consent.root)).workspace_id


def seconds(text: str, option: str) -> float | None:
    """Seconds since the epoch of an age or a date; raises BadArgument."""
    if not text:
        return None
    age = _AGE.fullmatch(text)
    if age:
        return time.time() - float(age[1]) * _UNIT_SECONDS[age[2]]
    try:
        return datetime.fromisoformat(text).timestamp()  # without a zone it is the person's own
    except ValueError as error:
        raise BadArgument(
            f"{option} takes 90m, 12h, 3d, 2w or a date such as 2026-11-23T09:00, not {text!r}"
        ) from error
