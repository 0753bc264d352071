"""What `foretype model tune` found out, kept in the cache directory: one JSON file for each model on each machine.

A record counts for one file (by size, time and its first mebibyte), one processor, one number of cores, one version of
llama-cpp-python and one `gpu_layers`. Whether llama.cpp was built the same way is known to the worker alone, which
compares what llama.cpp says of itself (``engine/ways.py:in_use``). Holds numbers and names of hardware, no text of the
user's. Knows nothing of how anything is measured.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture.whole_file import write_whole
from daemon import paths
from daemon.engine.ways import Measured, Tuning

if TYPE_CHECKING:
    from daemon.engine.messages import ModelSettings

log = logging.getLogger(__name__)

FORM = 2  # of the file: raise it when its meaning changes
IDENTIFYING_BYTES = 1 << 20  # a GGUF's metadata and vocabulary, or the better part of them
NOT_TUNED = "not tuned; run: foretype model tune"


@dataclass(frozen=True, slots=True)
class Key:
    """What a record counts for."""

    model_bytes: int
    model_modified_ns: int
    model_start_sha256: str
    processor: str
    cores: int
    llama_cpp_python: str
    gpu_layers: int

    @property
    def path(self) -> Path:
        """Where its record is, or would be."""
        text = json.dumps(asdict(self), sort_keys=True)
        return directory() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


@dataclass(frozen=True, slots=True)
class Record:
    """The way that was chosen, all that was measured, and what else there is to say."""

    key: Key
    tuning: Tuning
    measured: tuple[Measured, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The form in which it is stored."""
        return {
            "form": FORM,
            "key": asdict(self.key),
            "tuning": asdict(self.tuning),
            "measured": [one.to_json() for one in self.measured],
            "notes": list(self.notes),
        }


class NoRecordError(Exception):
    """There is no record to use; the message is the sentence that says why."""


def directory() -> Path:
    """Where the records are."""
    return paths.cache_directory() / "tuning"


def key_of(model: Path, gpu_layers: int) -> Key:
    """What a record must say to count for this file here and now; raises OSError when it cannot be read."""
    with model.open("rb") as file:
        status = os.fstat(file.fileno())
        start = hashlib.sha256(file.read(IDENTIFYING_BYTES)).hexdigest()
    return Key(
        model_bytes=status.st_size,
        model_modified_ns=status.st_mtime_ns,
        model_start_sha256=start,
        processor=processor_name(),
        cores=usable_cores(),
        llama_cpp_python=_library_version(),
        gpu_layers=gpu_layers,
    )


def with_tuning(settings: ModelSettings) -> ModelSettings:
    """``settings`` with what was measured for that model on this machine, or with the reason why nothing is.

    Never raises: a file that is no record is named in the log and does not count.
    """
    path = Path(settings.path)
    if not path.is_file():
        return settings  # the worker says so
    try:
        return replace(settings, tuning=read(key_of(path, settings.gpu_layers)).tuning, why_untuned="")
    except NoRecordError as reason:
        return replace(settings, tuning=None, why_untuned=str(reason))
    except OSError as error:
        return replace(settings, tuning=None, why_untuned=f"not tuned: {path} cannot be read ({error.strerror})")


def read(key: Key) -> Record:
    """The record of ``key``; raises NoRecordError where there is none, or one that is damaged or of another key."""
    path = key.path
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NoRecordError(NOT_TUNED) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(path, str(error)) from None
    try:
        return parse(text, key)
    except (ValueError, RecursionError) as error:
        raise _refused(path, str(error)) from None


def parse(text: str, key: Key) -> Record:
    """The record in ``text``; raises ValueError, saying what is wrong, where it is none or not one of ``key``."""
    value = json.loads(text)
    if not isinstance(value, dict) or value.get("form") != FORM:
        raise ValueError(f"it is no record of form {FORM}")
    if value.get("key") != asdict(key):
        raise ValueError("it is of another model or another machine")
    tuning = Tuning.from_json(value.get("tuning"))
    try:
        measured = tuple(Measured.from_json(one) for one in value["measured"])
        notes = tuple(str(note) for note in value["notes"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its measurements are damaged ({error})") from None
    return Record(key, tuning, measured, notes)


def write(record: Record) -> Path:
    """Keep the record in place of an earlier one; returns where. Raises OSError."""
    path = record.key.path
    write_whole(path, json.dumps(record.to_json(), indent=1) + "\n")
    return path


def forget(key: Key) -> bool:
    """Remove the record, damaged or not; whether there was one. Raises OSError."""
    try:
        key.path.unlink()
    except FileNotFoundError:
        return False
    return True


def can_be_written() -> bool:
    """Whether a record could be kept, as far as can be told without writing anything."""
    nearest = next(folder for folder in (directory(), *directory().parents) if folder.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)


def usable_cores() -> int:
    """The cores this process may run on: a container or `taskset` may allow fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def processor_name() -> str:
    """What the system calls the processor; of its architecture where it has no name."""
    name = ""
    if sys.platform == "darwin":
        asked = subprocess.run(
            ("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"), capture_output=True, text=True, check=False
        )
        name = asked.stdout.strip()
    elif Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        parts = (found.get(key, "") for key in ("model name", "CPU implementer", "CPU part", "CPU variant"))
        name = " ".join(filter(None, parts))  # ARM gives numbers in place of a name
    return name or platform.processor() or platform.machine()


def _library_version() -> str:
    try:
        return version("llama-cpp-python")
    except PackageNotFoundError:  # on the path without having been installed: the worker may find it all the same
        return "unknown"


def _refused(path: Path, why: str) -> NoRecordError:
    log.warning("%s is not used: %s", path, why)
    return NoRecordError(f"not tuned: {path} is not used ({why}); run: foretype model tune")
