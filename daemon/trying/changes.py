"""What a trial's beginning, end, promotion and rollback make of the settings.

Each is one change of the settings file's text, so that whoever is killed in between leaves the old file or the new one.
Knows nothing of models: that the candidate can be used is found out before.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daemon.errors import TrialRefused
from daemon.settings_store import change_settings, read_settings, with_setting
from daemon.settings_tables import with_table
from daemon.trial_settings import TrialSettings

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "trial"
SALT_BYTES = 8
_HOW = "`foretype model try NAME` begins one"


def begin(path: Path, candidate: str, share: float) -> TrialSettings:
    """Serve ``candidate`` to ``share`` of the documents, or to another share of them than before.

    Raises TrialRefused where another candidate is tried already, and SettingsError.
    """
    trial = read_settings(path).trial
    if trial.is_running and trial.candidate != candidate:
        raise TrialRefused(
            f"{trial.candidate} is being tried; end that first: foretype model try --stop, or foretype model promote"
        )
    if trial.is_running:
        wanted = replace(trial, share=share)
    else:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        wanted = replace(trial, candidate=candidate, share=share, salt=secrets.token_hex(SALT_BYTES), since=since)
    _write(path, wanted)
    return wanted


def stop(path: Path) -> TrialSettings:
    """End the trial; all documents are served by the model in use. Returns what ended; raises TrialRefused."""
    trial = read_settings(path).trial
    if not trial.is_running:
        raise TrialRefused(f"no trial is running; {_HOW}")
    _write(path, TrialSettings(former=trial.former))
    return trial


def promote(path: Path) -> TrialSettings:
    """Make the candidate the model in use, remember the one before, end the trial. Raises TrialRefused."""
    settings = read_settings(path)
    if not settings.trial.is_running:
        raise TrialRefused(f"there is no candidate to promote: no trial is running; {_HOW}")
    _write(path, TrialSettings(former=settings.model), model=settings.trial.candidate)
    return settings.trial


def rollback(path: Path) -> str:
    """End the trial, and go back to the model before the promoted one where there is one. Returns the model in use.

    Raises TrialRefused where there is neither.
    """
    settings = read_settings(path)
    if not settings.trial.former and not settings.trial.is_running:
        raise TrialRefused("nothing was promoted and no trial is running; `foretype model use NAME` chooses a model")
    model = settings.trial.former or settings.model
    _write(path, TrialSettings(), model=model)
    return model


def _write(path: Path, trial: TrialSettings, model: str = "") -> None:
    def change(text: str) -> str:
        if model:
            text = with_setting(text, "model", model)
        return with_table(text, TABLE, trial.to_table())

    change_settings(path, change)
