"""Where foretype keeps things outside its package: runtime, settings, data, state and cache directories.

The runtime directory holds sockets and locks and must be private (owner only), because whoever can connect to
the hub can read what is being typed. Its part of this module is imported by the bridge on every editor start,
so it uses nothing but ``os`` and ``stat``; the rest asks platformdirs when called.
"""
# pathlib would cost the bridge a third of its start.
# ruff: noqa: PTH102, PTH112, PTH116, PTH117, PTH118, PTH208

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from daemon.errors import PathRefused
from daemon.handshake import VERSION

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION = "foretype"
PRIVATE_MODE = 0o700
SOCKET_PATH_LIMIT_BYTES = 103  # macOS allows 104 with the final NUL, Linux 108
SETTINGS_VARIABLE = "FORETYPE_CONFIG"
LONGEST_SOCKET_NAME = "hub-00.00.00.dev000.sock"


def runtime_directory() -> str:
    """The directory of sockets and locks, whether or not it exists.

    ``$XDG_RUNTIME_DIR/foretype`` where that variable names a directory of ours, else ``foretype-<uid>`` in
    the temporary directory; a place whose socket paths would be too long for the kernel is passed over.
    """
    for candidate in _runtime_candidates():
        if len(os.fsencode(os.path.join(candidate, LONGEST_SOCKET_NAME))) <= SOCKET_PATH_LIMIT_BYTES:
            return candidate
    return f"/tmp/{APPLICATION}-{os.getuid()}"  # noqa: S108 (made private and checked before it is used)


def _runtime_candidates() -> list[str]:
    candidates = []
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(session) and os.path.isdir(session) and os.stat(session).st_uid == os.getuid():
        candidates.append(os.path.join(session, APPLICATION))
    temporary = os.environ.get("TMPDIR", "")
    if os.path.isabs(temporary) and os.path.isdir(temporary):
        candidates.append(os.path.join(temporary, f"{APPLICATION}-{os.getuid()}"))
    return candidates


def make_runtime_directory() -> str:
    """The runtime directory, made if need be; raises PathRefused when it is not private and ours."""
    directory = runtime_directory()
    try:
        os.mkdir(directory, PRIVATE_MODE)
    except FileExistsError:
        pass
    except OSError as error:
        raise PathRefused(f"cannot make {directory}: {error.strerror}") from error
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode):
        raise PathRefused(f"{directory} is not a directory; remove it and try again")
    if found.st_uid != os.getuid():
        raise PathRefused(f"{directory} belongs to user {found.st_uid}; remove it, or set XDG_RUNTIME_DIR")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise PathRefused(f"{directory} is open to other users; run: chmod 700 {directory}")
    return directory


def socket_path(version: str = VERSION) -> str:
    """The socket of the hub of one version: a new version never speaks to an old hub by accident."""
    return os.path.join(runtime_directory(), f"hub-{version}.sock")


def hub_lock_path() -> str:
    """Locked by the hub for as long as it lives, so that a socket left by a killed one is known as stale."""
    return os.path.join(runtime_directory(), f"hub-{VERSION}.lock")


def start_lock_path() -> str:
    """Locked while somebody starts a hub, and by a hub that decides to leave."""
    return os.path.join(runtime_directory(), f"start-{VERSION}.lock")


def hub_sockets() -> list[str]:
    """The sockets of all hubs of this user, whatever their version; some may be stale."""
    directory = runtime_directory()
    if not os.path.isdir(directory):
        return []
    names = sorted(name for name in os.listdir(directory) if name.startswith("hub-") and name.endswith(".sock"))
    return [os.path.join(directory, name) for name in names]


def settings_path() -> Path:
    """The settings file; ``FORETYPE_CONFIG`` overrides where it is."""
    from pathlib import Path  # noqa: PLC0415 (the bridge imports this module and needs none of it)

    from platformdirs import user_config_path  # noqa: PLC0415

    override = os.environ.get(SETTINGS_VARIABLE, "")
    return Path(override).expanduser().absolute() if override else user_config_path(APPLICATION) / "settings.toml"


def data_directory() -> Path:
    """Pulled models, and snapshots where there is consent."""
    from platformdirs import user_data_path  # noqa: PLC0415

    return user_data_path(APPLICATION)


def models_directory() -> Path:
    """Pulled models, one GGUF and one manifest each."""
    return data_directory() / "models"


def snapshots_path() -> Path:
    """The store of snapshots, in a folder of its own: beside it lie its log, its locks, and what was set aside."""
    return data_directory() / "snapshots" / "snapshots.sqlite3"


def installs_path() -> Path:
    """Under which names snapshots were uploaded, with the secrets that delete them again."""
    return data_directory() / "uploads" / "installs.json"


def http_token_path() -> Path:
    """What an editor shows of itself to the HTTP surface."""
    return data_directory() / "http-token"


def state_directory() -> Path:
    """Logs."""
    from platformdirs import user_state_path  # noqa: PLC0415

    return user_state_path(APPLICATION)


def cache_directory() -> Path:
    """What can be made again."""
    from platformdirs import user_cache_path  # noqa: PLC0415

    return user_cache_path(APPLICATION)


def hub_log_path() -> Path:
    """The hub's rotating log."""
    return state_directory() / "hub.log"


def hub_stderr_path() -> Path:
    """What the hub or a C library under it printed last; begun anew at each start."""
    return state_directory() / "hub.stderr"


def written_paths() -> list[Path]:
    """Everything foretype may have written outside its package, existing or not."""
    from pathlib import Path  # noqa: PLC0415

    from platformdirs import user_config_path  # noqa: PLC0415

    settings = settings_path()
    places = [settings, user_config_path(APPLICATION), data_directory(), state_directory(), cache_directory()]
    places.append(Path(runtime_directory()))
    return list(dict.fromkeys(places))
