"""Where consent is on record for this user, and under whose policy: what the hub and the commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile, system_policy_path
from daemon.paths import APPLICATION

if TYPE_CHECKING:
    from pathlib import Path


def consent_path() -> Path:
    """The file of consents, in the user's configuration folder wherever the settings file is kept."""
    from platformdirs import user_config_path  # noqa: PLC0415 (as in daemon.paths)

    return user_config_path(APPLICATION) / "consent.json"


def consent_book() -> ConsentBook:
    """The consents on record, under this system's policy."""
    return ConsentBook(consent_path(), PolicyFile(system_policy_path()))
