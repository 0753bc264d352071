"""Which two models are compared: those that somebody names, or those of the trial that runs on this machine.

Knows nothing of how they are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon import paths, registry
from daemon.engine.messages import IDENTITY_DIGITS
from daemon.errors import BadArgument, ModelNotFound
from daemon.settings_store import read_settings

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from daemon.settings import Settings


@dataclass(frozen=True, slots=True)
class Pair:
    """The names of two models as snapshots have them, and since when (seconds since the epoch) they are compared.

    ``nothing_yet`` says why there is nothing to compare, empty where there is something.
    """

    candidate: str = ""
    in_use: str = ""
    since: float | None = None
    nothing_yet: str = ""


def named_pair(names: AbstractSet[str], candidate: str, against: str) -> Pair:
    """The models that two names, or their ends, mean; raises BadArgument where one means none, or several."""
    first, second = (_meant(names, named) for named in (candidate, against))
    if first == second:
        raise BadArgument(f"{candidate!r} and {against!r} are the same model, {first}")
    return Pair(first, second)


def pair_on_trial(names: AbstractSet[str], *, is_team: bool) -> Pair | None:
    """The models of the trial that the settings have, None where it does not run; raises SettingsError.

    A team's machines began at different times, so for a team there is no ``since``.
    """
    settings = read_settings(paths.settings_path())
    if not settings.trial.is_running:
        return None
    found = []
    for setting in (settings.trial.candidate, settings.model):
        try:
            ending = _ending(setting)
        except (ModelNotFound, OSError) as error:
            return Pair(nothing_yet=f"the trial of {settings.trial.candidate} cannot be compared: {error}")
        found.append(next((name for name in names if name.endswith(ending)), ""))
    candidate, in_use = found
    if not candidate or not in_use:
        return Pair(nothing_yet=_nothing_of(settings, settings.model if candidate else settings.trial.candidate))
    return Pair(candidate, in_use, None if is_team else settings.trial.since_seconds)


def _meant(names: AbstractSet[str], named: str) -> str:
    meant = [named] if named in names else sorted(name for name in names if name.endswith(named))
    if len(meant) != 1:
        there = ", ".join(meant or sorted(names)) or "none"
        raise BadArgument(f"{named!r} is {'several models' if meant else 'no model'} here; there are: {there}")
    return meant[0]


def _ending(setting: str) -> str:
    """How snapshots' names of a model end."""
    return f"@{registry.fingerprint(registry.resolve(setting).path)[:IDENTITY_DIGITS]}"


def _nothing_of(settings: Settings, missing: str) -> str:
    return (
        f"{settings.trial.candidate} is tried in {settings.trial.share:.0%} of the documents, but nothing that"
        f" {missing} predicted is remembered yet; `foretype status` says how the trial does"
    )
