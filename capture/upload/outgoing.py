"""The last look at a snapshot before it leaves the machine: its paths, its secrets, and whose machine it names.

What foretype fills in itself is relative and random already. What the user's code and tools say may still hold the
user's home directory or name, or the name of the machine; and what was let in once may be excluded, or known as a
secret, by now. Knows nothing of consent, of the store or of networks.
"""

from __future__ import annotations

import builtins
import keyword
import os
import pwd
import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from capture.gate.exclude import PathGate
from capture.gate.provider_keys import ScannerBroken
from capture.gate.redaction import SecretScanner
from capture.snapshot.snapshot import paths_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from capture.snapshot.snapshot import Snapshot

Refusal = Literal["", "excluded", "names_machine", "secret", "scan_too_long"]

SEARCH_SECONDS = 0.25  # of the processor, for one snapshot: nobody types against it here
MIN_NAME_CHARACTERS = 3
REPOSITORY_URLS = frozenset(("repository.url", "inputs.repo_url"))  # the text of the consent names them
# Of accounts and machines that are called so nobody learns whose they are.
TELLING_NOTHING = frozenset((
    "admin", "administrator", "app", "arch", "archlinux", "azureuser", "build", "builder", "centos", "ci", "code",
    "coder", "codespace", "container", "daemon", "data", "debian", "default", "desktop", "dev", "developer",
    "docker", "ec2-user", "fedora", "git", "gitpod", "guest", "home", "host", "jenkins", "laptop", "linux", "local",
    "localdomain", "localhost", "localhost.localdomain", "mac", "macbook", "machine", "main", "me", "nixos",
    "nobody", "node", "opc", "pc", "pi", "postgres", "raspberrypi", "root", "runner", "server", "service",
    "student", "system", "test", "tester", "ubuntu", "user", "username", "users", "vagrant", "vm", "vscode", "work",
    "worker", "workspace", "www-data",
))  # fmt: skip
# Not a name in code; a home directory called so is told by its path.
WORDS_OF_CODE = frozenset(word.lower() for word in (*keyword.kwlist, *keyword.softkwlist, *dir(builtins)))
_COMMON_FOLDERS = frozenset(("export", "lib", "mnt", "nonexistent", "opt", "private", "srv", "tmp", "usr", "var"))
_NO_LETTER_BEFORE, _NO_LETTER_BEHIND = r"(?<![^\W_])", r"(?![^\W_])"


class CheckBroken(Exception):
    """No snapshot can be looked at now, so none may leave; the message names the cause and the cure."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What would say whose machine this is: absolute paths of home directories, names of accounts and of the host."""

    home_directories: tuple[str, ...]
    account_names: tuple[str, ...]
    host_names: tuple[str, ...]


def machine_now() -> Machine:
    """What there is to know of this machine, and of the user this process runs as."""
    homes = [os.path.expanduser("~")]  # noqa: PTH111 (a Path raises where there is none)
    accounts: list[str] = []
    try:
        account = pwd.getpwuid(os.getuid())
    except KeyError:  # a container may run under a number that has no name
        pass
    else:
        accounts.append(account.pw_name)
        homes.append(account.pw_dir)
    homes = [home.rstrip(os.sep) for home in homes if os.path.isabs(home)]  # noqa: PTH117
    homes += [os.path.realpath(home) for home in homes]
    host = os.uname().nodename
    return Machine(
        tuple(dict.fromkeys(filter(None, homes))),
        tuple(accounts),
        tuple(dict.fromkeys(filter(None, (host, host.partition(".")[0])))),
    )


def search_at_the_door() -> SecretScanner:
    """A scanner with the time that there is here; raises ScannerBroken."""
    return SecretScanner(budget_seconds=SEARCH_SECONDS)


class OutgoingGate:
    """Called with a snapshot, says why it may not leave, or nothing. For one thread, in which the scanner is made.

    ``exclude`` is asked for the globs that hold now, with every snapshot. Raises CheckBroken.
    """

    def __init__(
        self,
        machine: Machine,
        exclude: Callable[[], Sequence[str]],
        new_scanner: Callable[[], SecretScanner] = search_at_the_door,
    ) -> None:
        self._exclude = exclude
        self._new_scanner = new_scanner
        self._scanner: SecretScanner | None = None
        self._path_gate: tuple[tuple[str, ...], PathGate] | None = None
        self._names = _names_of(machine)

    def __call__(self, snapshot: Snapshot) -> Refusal:
        """Empty when it may leave; a snapshot that may not is sent at no later time either."""
        gate = self._gate()
        if any(gate.reason(name) for _, path in paths_of(snapshot) for name in _spellings(path)):
            return "excluded"
        texts = snapshot.texts()
        if any(self._is_named(text) for place, text in texts.items() if place not in REPOSITORY_URLS):
            return "names_machine"
        try:
            if self._scanner is None:
                self._scanner = self._new_scanner()
            verdict = self._scanner.verdict(texts)
        except (ScannerBroken, ImportError) as error:
            raise CheckBroken(f"nothing is uploaded, because secrets cannot be looked for: {error}") from error
        except OSError as error:  # no memory or no descriptor for the file in memory
            cure = "it is tried again"
            raise CheckBroken(f"secrets cannot be looked for now ({error.strerror}); {cure}") from error
        if verdict.found:
            return "secret"
        return "scan_too_long" if verdict.exceeded else ""

    def _gate(self) -> PathGate:
        globs = tuple(self._exclude())
        if self._path_gate is None or self._path_gate[0] != globs:
            try:
                self._path_gate = globs, PathGate(globs)
            except ValueError as error:
                problem = "nothing is uploaded, because `exclude` in your settings holds a pattern that is not valid"
                raise CheckBroken(f"{problem}: {error}") from error
        return self._path_gate[1]

    def _is_named(self, text: str) -> bool:
        return self._names is not None and self._names.search(unicodedata.normalize("NFC", text)) is not None


def _names_of(machine: Machine) -> re.Pattern[str] | None:
    """What finds them as whole words, in capitals or not; None where they tell nothing."""
    names = [
        f"{_NO_LETTER_BEFORE}{_literal(name)}"
        for name in (*machine.account_names, *machine.host_names)
        if len(name) >= MIN_NAME_CHARACTERS and name.lower() not in TELLING_NOTHING | WORDS_OF_CODE
    ]
    homes = [_literal(home) for home in machine.home_directories if _tells_something(home)]
    if not names and not homes:
        return None
    return re.compile(f"(?:{'|'.join((*homes, *names))}){_NO_LETTER_BEHIND}", re.IGNORECASE)


def _literal(text: str) -> str:
    return re.escape(unicodedata.normalize("NFC", text))


def _tells_something(home: str) -> bool:
    parts = {part.lower() for part in PurePosixPath(home).parts if part != os.sep}
    return bool(parts - TELLING_NOTHING - _COMMON_FOLDERS)


def _spellings(path: str) -> Iterable[str]:
    """The path, and what of it names a file where an editor put more behind it: a notebook's cell, a query."""
    return dict.fromkeys((path, path.split("#", 1)[0].split("?", 1)[0] or path))
