"""The daemon's commands, one file each. This table is all that ``foretype --help`` reads.

Another package adds commands with a table of its own, named by an entry point of the group
``foretype.commands``.
"""

from __future__ import annotations

from typing import NamedTuple


class CommandEntry(NamedTuple):
    """``target`` is ``module:attribute`` of a ``typer.Typer``, imported when the command is called."""

    help: str
    target: str


COMMANDS = {
    "lsp": CommandEntry("Speak LSP on standard input and output, for an editor.", "daemon.commands.lsp:application"),
    "acp": CommandEntry("Speak the Agent Client Protocol's next edits on stdio.", "daemon.commands.acp:application"),
    "predict": CommandEntry("Predict the next edit at one place of a file.", "daemon.commands.predict:application"),
    "status": CommandEntry(
        "Show the hub, its windows, and why there is no prediction.", "daemon.commands.status:application"
    ),
    "doctor": CommandEntry("Check everything a prediction needs.", "daemon.commands.doctor:application"),
    "editor": CommandEntry("Set up an editor, or try it.", "daemon.commands.editor:application"),
    "serve": CommandEntry("Answer editors that ask over HTTP, as Zed does.", "daemon.commands.serve:application"),
    "pause": CommandEntry("Turn predictions off in all windows.", "daemon.commands.pause:application"),
    "resume": CommandEntry("Turn predictions on again after a pause.", "daemon.commands.resume:application"),
    "stop": CommandEntry("Stop the hub.", "daemon.commands.stop:application"),
    "record": CommandEntry("Record how you type in one file, for the benchmark.", "daemon.commands.record:application"),
    "demo": CommandEntry("Replay a recorded editing session in the terminal.", "daemon.commands.demo:application"),
    "logs": CommandEntry("Print the hub's log.", "daemon.commands.logs:application"),
    "model": CommandEntry("List, inspect, tune, choose and fetch models.", "daemon.commands.model:application"),
    "consent": CommandEntry(
        "Say where foretype may remember how predictions ended.", "daemon.commands.consent:application"
    ),
    "snapshots": CommandEntry(
        "See, rate, export and delete what was captured.", "daemon.commands.snapshots:application"
    ),
    "upload": CommandEntry(
        "Send what your team may have, or see what that would be.", "daemon.commands.upload:application"
    ),
    "collect": CommandEntry("Run a team's collector.", "daemon.commands.collect:application"),
    "uninstall": CommandEntry(
        "Remove everything written outside the package.", "daemon.commands.uninstall:application"
    ),
}
