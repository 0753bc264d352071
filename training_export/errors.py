"""Errors of the pipeline; each message names the cause and the cure and is printed without a traceback.

ForetypeError
├── ExampleRejected      one example that would not survive, or would poison training; field and reason
├── ExamplesUnreadable   a whole file that cannot be read (exit code 2)
└── ExamplesUnwritable   a file that cannot be written; nothing of it was
"""

from __future__ import annotations

from daemon.errors import ForetypeError


class ExampleRejected(ForetypeError):
    """One example cannot be taken. ``field`` is its path (``predictions[0].provider``), empty for the whole."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}" if field else reason)


class ExamplesUnreadable(ForetypeError):
    """The file is not there, is of no known kind, or the system refuses it."""

    exit_code = 2


class ExamplesUnwritable(ForetypeError):
    """The system refuses the file; what was there before is still there."""
