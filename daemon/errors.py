"""Errors a person can act on: each message names the cause and the cure and is printed without a traceback.

ForetypeError
├── PathRefused        a directory of ours is not private, or cannot be made
├── SettingsError      the settings file, with key and line
├── ModelNotFound      no model of that name
├── PullFailed         a model could not be fetched or is not what it claims to be
├── TuningFailed       nothing could be measured, or the result cannot be kept
├── TrialRefused       a candidate cannot be tried, promoted or taken back
├── NotServed          the HTTP surface cannot be served
├── NotRecorded        a typing session cannot be recorded, or its file not written
├── SnapshotsRefused   the snapshot store, or a snapshot in it, cannot be used
├── UploadFailed       snapshots cannot be sent, or not be deleted where they were sent
├── HubUnreachable     no hub answers, or it could not start
├── HubRefused         a hub answered, and said no
├── PackageClash       another distribution owns one of our import packages
└── BadArgument        something typed on the command line (exit code 2)
"""

from __future__ import annotations


class ForetypeError(Exception):
    """The command cannot go on; the message is for the person."""

    exit_code = 1


class PathRefused(ForetypeError):
    """A directory of ours is not private, or cannot be made."""


class SettingsError(ForetypeError):
    """The settings file holds something we cannot take; ``line`` counts from 1, 0 when it is not known."""

    def __init__(self, problem: str, *, key: str = "", line: int = 0) -> None:
        self.problem = problem
        self.key = key
        self.line = line
        super().__init__(f"line {line}: {problem}" if line else problem)


class ModelNotFound(ForetypeError):
    """No model of that name."""


class PullFailed(ForetypeError):
    """A model could not be fetched, or is not what it claims to be."""


class TuningFailed(ForetypeError):
    """Nothing could be measured, or the result cannot be kept."""


class TrialRefused(ForetypeError):
    """A candidate cannot be tried, promoted or taken back."""


class NotServed(ForetypeError):
    """The HTTP surface cannot be served."""


class NotRecorded(ForetypeError):
    """A typing session cannot be recorded, or its file not written."""


class SnapshotsRefused(ForetypeError):
    """The snapshot store, or a snapshot in it, cannot be used."""


class UploadFailed(ForetypeError):
    """Snapshots cannot be sent, or not be deleted where they were sent."""


class HubUnreachable(ForetypeError):
    """No hub answers, or it could not start."""


class HubRefused(ForetypeError):
    """A hub answered, and said no."""


class PackageClash(ForetypeError):
    """Another distribution owns one of our import packages."""


class BadArgument(ForetypeError):
    """Something typed on the command line."""

    exit_code = 2
