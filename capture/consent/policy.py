"""An organisation's say: a file that forbids capture or upload on this machine, whatever anybody consented to.

The file stands where only an administrator writes. No variable of the environment moves it, or anybody could step
around it. Without the file nothing is forbidden; a file that cannot be read or understood forbids both. Knows nothing
of consent.

    capture = "forbidden"   # nothing is captured
    upload = "forbidden"    # what is captured stays on this machine
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from capture.rereading import Rereading

ALLOWED, FORBIDDEN = "allowed", "forbidden"
KEYS = ("capture", "upload")


@dataclass(frozen=True, slots=True)
class Policy:
    """Why capture and upload are refused, for a person to read; empty where they are not."""

    capture_refusal: str = ""
    upload_refusal: str = ""


class PolicyFile:
    """The policy in force; a change of the file counts from the next question on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reading = Rereading(path, read_policy)

    @property
    def current(self) -> Policy:
        """The policy as the file has it now."""
        return self._reading.current()


def system_policy_path() -> Path:
    """Where this system's administrator puts the policy."""
    if sys.platform == "darwin":
        return Path("/Library/Application Support/foretype/policy.toml")
    return Path("/etc/foretype/policy.toml")


def read_policy(path: Path) -> Policy:
    """The policy in the file at ``path``. Never raises: what is wrong with the file is the reason of the refusal."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Policy()
    except OSError as error:
        return _refusing(path, f"cannot be read: {error.strerror}")
    except ValueError as error:  # not UTF-8, or not TOML
        return _refusing(path, f"is not valid TOML: {error}")
    for key, value in values.items():
        if key not in KEYS:
            return _refusing(path, f"holds an unknown key `{key}`; it may hold {' and '.join(KEYS)}")
        if value not in (ALLOWED, FORBIDDEN):
            return _refusing(path, f'holds `{key} = {value!r}`; it may be "{ALLOWED}" or "{FORBIDDEN}"')
    return Policy(
        capture_refusal=_refusal(path, "capture", values.get("capture", ALLOWED)),
        upload_refusal=_refusal(path, "upload", values.get("upload", ALLOWED)),
    )


def _refusal(path: Path, what: str, value: str) -> str:
    return f"{what} is forbidden by {path}" if value == FORBIDDEN else ""


def _refusing(path: Path, problem: str) -> Policy:
    reason = f"the policy {path} {problem}, so capture and upload are off; ask whoever administers this machine"
    return Policy(capture_refusal=reason, upload_refusal=reason)
