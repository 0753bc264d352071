"""The systems that are compared, and how the language server of each is started. Knows nothing of what is measured."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEADLINE_MS = 60_000  # the peers have none
LOOKUP_TOKENS = 2  # llama-cpp-python's advice for machines without a GPU

# What is tried to find llama-server's best setting for a model; the sizes suit answers of a line to a region.
LLAMA_SERVER_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "cache only": (),
    "cache reuse": ("--cache-reuse", "64"),
    "n-gram 3, draft 8": (
        "--cache-reuse",
        "64",
        "--spec-type",
        "ngram-simple",
        "--spec-ngram-simple-size-n",
        "3",
        "--spec-ngram-simple-size-m",
        "8",
        "--spec-draft-n-max",
        "8",
    ),
    "n-gram 4, draft 32": (
        "--cache-reuse",
        "64",
        "--spec-type",
        "ngram-simple",
        "--spec-ngram-simple-size-n",
        "4",
        "--spec-ngram-simple-size-m",
        "32",
        "--spec-draft-n-max",
        "32",
    ),
}


@dataclass(frozen=True, slots=True)
class System:
    """One system; ``options`` are those of its peer, ``peer`` is empty for our own daemon."""

    name: str
    peer: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def command(self, model: Path, threads: int) -> list[str]:
        """The command of its language server."""
        if not self.peer:
            return [sys.executable, "-m", "daemon.main", "lsp", "--standalone"]
        words = [sys.executable, "-m", "bench.peers.server", self.peer, str(model), "--threads", str(threads)]
        return [*words, "--options", json.dumps(dict(self.options))]

    def environment(self, folder: Path, model: Path, threads: int) -> dict[str, str]:
        """The environment of its language server; a daemon keeps everything under ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "model": str(model),
            "threads": threads,
            "deadline_ms": DEADLINE_MS,
            "unload_after_seconds": 3600,
        }
        path = folder / "settings.toml"
        path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()), encoding="utf-8")
        homes = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
        # Its own caches, but not another home: the peers' server was built into the user's.
        own = {**homes, "FORETYPE_CONFIG": str(path), "XDG_RUNTIME_DIR": str(folder)} if not self.peer else {}
        return {**os.environ, **own}


SYSTEMS = {
    system.name: system
    for system in (
        System("foretype"),
        System("llama-cpp-python", "llama-cpp-python"),
        System("llama-cpp-python lookup", "llama-cpp-python", {"lookup_tokens": LOOKUP_TOKENS}),
        # Not compared unless named: the same with an answer that may be ended after the token it is at.
        System("llama-cpp-python stopping", "llama-cpp-python", {"stops_between_tokens": True}),
        System("llama-server", "llama-server"),
    )
}
COMPARED = ("foretype", "llama-cpp-python", "llama-cpp-python lookup", "llama-server")


def llama_server(setting: str) -> System:
    """``llama-server`` with one of ``LLAMA_SERVER_SETTINGS``."""
    arguments = list(LLAMA_SERVER_SETTINGS[setting])
    return System("llama-server", "llama-server", {"arguments": arguments})
