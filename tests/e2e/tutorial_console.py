"""A page of the documentation as a terminal: its ``console`` blocks, typed into one shell, and what they should print.

    python -m tests.e2e.tutorial_console docs/tutorial.md

runs the page in a temporary folder and puts what was printed in place of what does not fit any more. In a block, a line
that begins with ``$ `` is a command (``> `` goes on with it) and what follows is its output. ``…`` within a line stands
for a text that differs from run to run, and a line of ``…`` alone for any number of lines.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT, MORE, ANY = "$ ", "> ", "…"
COLUMNS = 120  # as wide as the page


@dataclass(frozen=True)
class Step:
    """One command of a page, and the lines it should print."""

    command: str
    expected: tuple[str, ...]

    def fits(self, printed):
        """Whether that is what was printed."""
        return re.fullmatch(_pattern(self.expected), "".join(f"{line}\n" for line in printed)) is not None

    def text(self):
        """As it stands on the page."""
        first, *rest = self.command.split("\n")
        lines = [PROMPT + first, *(MORE + line for line in rest), *self.expected]
        return "".join(f"{line}\n" for line in lines)


class Shell:
    """A bash in a folder, on a machine of somebody who has just installed foretype."""

    def __init__(self, folder, home):
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        environment = {
            **kept,
            "COLUMNS": str(COLUMNS),
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",  # so that both streams are read in the order in which they were written
        }
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._number = 0

    def run(self, command):
        """What it prints, line by line, and its exit code."""
        self._number += 1
        mark = f"--- {self._number} is done: "
        self._process.stdin.write(f"{command}\nprintf '%s%s\\n' '{mark}' $?\n")
        self._process.stdin.flush()
        printed = []
        for line in self._process.stdout:
            if line.startswith(mark):
                return printed, int(line.removeprefix(mark))
            printed.append(line.rstrip("\n"))
        raise AssertionError(f"the shell ended with {command!r}")

    def close(self):
        """End it, and everything that it has started and that still runs."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@contextmanager
def newcomer() -> Iterator[Shell]:
    """A shell in an empty folder; foretype's repository is in ``~/foretype``."""
    with tempfile.TemporaryDirectory() as root:
        home, folder = Path(root) / "home", Path(root) / "tutorial"
        home.mkdir()
        folder.mkdir()
        (home / "foretype").symlink_to(REPOSITORY)
        shell = Shell(folder, home)
        try:
            yield shell
        finally:
            shell.close()


def blocks(page):
    """The language and the text of each fenced block."""
    return [(match[1], match[2]) for match in FENCE.finditer(page)]


def steps(page):
    """The commands of a page's console blocks, in order."""
    return [step for language, text in blocks(page) if language == "console" for step in _steps(text)]


def rewritten(page, shell):
    """The page with what its commands print now; an output that still fits stays."""

    def block(match):
        if match[1] != "console":
            return match[0]
        return f"```console\n{''.join(_now(step, shell).text() for step in _steps(match[2]))}```"

    return FENCE.sub(block, page)


def _now(step, shell):
    printed, code = shell.run(step.command)
    assert code == 0, (step.command, printed)
    return step if step.fits(printed) else Step(step.command, tuple(printed))


def _steps(block):
    found = []
    for line in block.splitlines():
        if line.startswith(PROMPT):
            found.append([line.removeprefix(PROMPT), []])
        elif line.startswith(MORE) and not found[-1][1]:
            found[-1][0] += "\n" + line.removeprefix(MORE)
        else:
            found[-1][1].append(line)
    return [Step(command, tuple(expected)) for command, expected in found]


def _pattern(lines):
    return "".join(
        r"(?:.*\n)*" if line == ANY else ".+".join(re.escape(part) for part in line.split(ANY)) + r"\n"
        for line in lines
    )


def main():
    """Write the page anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page
    with newcomer() as shell:
        page.write_text(rewritten(page.read_text(encoding="utf-8"), shell), encoding="utf-8")


if __name__ == "__main__":
    main()
