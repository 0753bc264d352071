"""The typer application: a group whose commands are stand-ins with a help line until one is called."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from daemon import handshake
from daemon.engine.errors import EngineError
from daemon.errors import ForetypeError

if TYPE_CHECKING:
    from daemon.commands import CommandEntry

GROUP = "foretype.commands"


def command_tables() -> dict[str, CommandEntry]:
    """The commands of all installed packages by name; where two claim a name, the first package's counts."""
    commands: dict[str, CommandEntry] = {}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda found: found.name != "daemon"):
        table: dict[str, CommandEntry] = entry_point.load()
        for name, command in table.items():
            commands.setdefault(name, command)
    return commands


class CommandGroup(TyperGroup):
    """Lists the tables' commands and imports the one that is called.

    A name of two words ("model compare") is a subcommand that another package adds to a group of commands.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._entries = command_tables()
        for name, entry in self._entries.items():
            if " " not in name:
                self.add_command(_stand_in(name, entry))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The real command instead of its stand-in."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is None or name not in self._entries:
            return name, command, rest
        real = _imported(name, self._entries[name])
        for added, entry in self._entries.items():
            group, _, subcommand = added.partition(" ")
            if group == name and subcommand:
                is_called = rest[:1] == [subcommand]
                real.add_command(_imported(subcommand, entry) if is_called else _stand_in(subcommand, entry))
        return name, real, rest


def _stand_in(name: str, entry: CommandEntry) -> TyperCommand:
    return TyperCommand(name, help=entry.help, callback=None)


def _imported(name: str, entry: CommandEntry) -> Any:
    module, _, attribute = entry.target.partition(":")
    application: typer.Typer = getattr(importlib.import_module(module), attribute)
    command = typer.main.get_command(application)
    command.name = name
    return command


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"foretype {handshake.VERSION}")
        raise typer.Exit


application = typer.Typer(cls=CommandGroup, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@application.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Predicts your next edit, on this machine, in any editor that speaks LSP."""


def run(arguments: list[str]) -> int:
    """Run one command; an error that names its cure becomes one line on standard error."""
    try:
        application(arguments, prog_name="foretype")
    except (ForetypeError, EngineError) as error:
        sys.stderr.write(f"foretype: {error}\n")
        return getattr(error, "exit_code", 1)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def fail(message: str, exit_code: int = 1) -> NoReturn:
    """End the command with a message on standard error."""
    sys.stderr.write(f"foretype: {message}\n")
    raise typer.Exit(exit_code)
