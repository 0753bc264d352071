"""Install llama-cpp-python with progress: pip compiles it from source, which takes minutes.

Runs before anything of ours is installed, so it uses the standard library only. pip keeps the wheel it built in
its own cache, so a second environment on the same machine does not compile again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

STEP = re.compile(r"\[(\d+)/(\d+)\] ")
PACKAGE = "llama-cpp-python"


def pinned(constraints: Path) -> str:
    """The requirement as the constraints pin it; raises SystemExit when they do not."""
    for line in constraints.read_text().splitlines():
        if line.replace("_", "-").lower().startswith(f"{PACKAGE}=="):
            return line.strip()
    raise SystemExit(f"{constraints} does not pin {PACKAGE}; add a line '{PACKAGE}==VERSION'")


def show(done: int, total: int, started: float, last_percent: int) -> int:
    """Draw the bar on a terminal, or a line every ten per cent elsewhere; returns the percentage shown."""
    percent = 100 * done // total
    seconds = time.monotonic() - started
    left = seconds / done * (total - done)
    text = f"compiling llama.cpp {percent:3d} %, {seconds:4.0f} s, about {left:3.0f} s left"
    if sys.stdout.isatty():
        print(f"\r{text} ", end="", flush=True)
    elif percent // 10 > last_percent // 10:
        print(text, flush=True)
    return percent


def main() -> int:
    """Install, and on failure print the end of pip's log and what is usually missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--constraint", type=Path, required=True)
    requirement = pinned(parser.parse_args().constraint)
    # The vision tower is a quarter of the compilation and nothing here sees pictures.
    arguments = " ".join(filter(None, [os.environ.get("CMAKE_ARGS"), "-DLLAVA_BUILD=OFF"]))
    pip = [sys.executable, "-m", "pip", "install", "--verbose", "--disable-pip-version-check", requirement]
    log: list[str] = []
    started, percent = time.monotonic(), 0
    with subprocess.Popen(
        pip,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "CMAKE_ARGS": arguments},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            step = STEP.search(line)
            if step:
                percent = show(int(step[1]), int(step[2]), started, percent)
        process.wait()
    if percent and sys.stdout.isatty():
        print()
    if process.returncode:
        sys.stderr.writelines(log[-40:])
        print(
            f"\n{requirement} was not installed. Compiling it needs a C++ compiler and make "
            "(Debian: apt install build-essential)."
        )
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
