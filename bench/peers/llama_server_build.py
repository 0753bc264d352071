"""Builds ``llama-server`` from the llama.cpp source that the pinned llama-cpp-python ships, once per machine.

    python -m bench.peers.llama_server_build

The sdist comes from pip; nothing else is downloaded, as the server's web page is left out. Source, build and binary
lie in the user's cache directory, by version, so that a new pin is built anew and an interrupted build goes on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from daemon import paths

PACKAGE = "llama-cpp-python"
SOURCE_IN_SDIST = PurePosixPath("vendor/llama.cpp")
TARGET = "llama-server"
OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_TOOLS_INSTALL=OFF",
)
NICENESS = "15"
PROGRESS = re.compile(r"\[\s*(\d+)(?:/(\d+)\]|%\])")


class BuildFailed(Exception):
    """pip, cmake or the compiler failed; the message has the end of what it said."""


def binary_path() -> Path:
    """Where the server of the installed llama-cpp-python's version is, or will be."""
    return _folder() / "build" / "bin" / TARGET


def build() -> Path:
    """The server, built if there is none yet; raises BuildFailed."""
    if binary_path().exists():
        return binary_path()
    source = _folder() / "source"
    if not source.exists():
        _unpack(source)
    build_folder = _folder() / "build"
    _run(["cmake", "-S", str(source), "-B", str(build_folder), *OPTIONS])
    started = time.monotonic()
    command = ["nice", "-n", NICENESS, "cmake", "--build", str(build_folder), "--target", TARGET]
    command += ["--parallel", str(os.cpu_count() or 1)]
    _run(command, lambda line: _show_progress(line, started))
    return binary_path()


def _folder() -> Path:
    return paths.cache_directory() / "bench" / "llama.cpp" / version(PACKAGE)


def _unpack(source: Path) -> None:
    """llama.cpp's part of the sdist; put in its place at the end, so that half of it is never taken for all."""
    _folder().mkdir(parents=True, exist_ok=True)
    requirement = f"{PACKAGE}=={version(PACKAGE)}"
    with tempfile.TemporaryDirectory(dir=_folder()) as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", PACKAGE]
        _run([*pip, "--dest", scratch, requirement])
        [sdist] = Path(scratch).glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            archive.extractall(scratch, filter="data")
        [unpacked] = [path for path in Path(scratch).iterdir() if path.is_dir()]
        (unpacked / SOURCE_IN_SDIST).rename(source)


def _run(command: list[str], on_line: Callable[[str], None] = lambda _line: None) -> None:
    """Run to the end, line by line; raises BuildFailed."""
    lines: list[str] = []
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            for line in process.stdout or ():
                lines.append(line)
                on_line(line)
    except FileNotFoundError as error:
        raise BuildFailed(f"{error.filename} is not installed; llama-server needs cmake and a C++ compiler") from None
    if process.returncode:
        raise BuildFailed(f"{' '.join(command[:4])} ... failed:\n{''.join(lines[-20:])}")


def _show_progress(line: str, started: float) -> None:
    match = PROGRESS.match(line)
    if match is None:
        return
    percent = int(match[1]) if match[2] is None else 100 * int(match[1]) // int(match[2])
    seconds = time.monotonic() - started
    print(f"\rbuilding {TARGET}: {percent:3d} %, {seconds:4.0f} s ", end="", file=sys.stderr, flush=True)


def main() -> int:
    """Build and say where it is."""
    try:
        print(build())
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
