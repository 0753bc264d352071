"""``foretype``: the command line, put together from what the installed packages offer.

``foretype lsp`` and ``foretype acp`` go straight to the bridge, before anything slow is imported: an editor waits for
it. Every other command is found through the entry points of the group ``foretype.commands``, one table per package,
and imported when it is called; the tables carry the help lines, so that ``--help`` imports no command at all.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command in ``sys.argv``; returns its exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["lsp"], ["acp"]):
        from daemon import bridge  # noqa: PLC0415 (see the module's text)

        return bridge.main(arguments[1:], purpose=arguments[0])
    if arguments == ["--version"]:
        from daemon import handshake  # noqa: PLC0415

        sys.stdout.write(f"foretype {handshake.VERSION}\n")
        return 0
    from daemon import command_line  # noqa: PLC0415

    return command_line.run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
