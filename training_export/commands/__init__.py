"""The pipeline's commands, one file each; the daemon's command line finds this table by its entry point."""

from __future__ import annotations

from daemon.commands import CommandEntry

COMMANDS = {
    "example": CommandEntry(
        "Show, convert and check training examples.", "training_export.commands.example:application"
    ),
}
