"""The systems that are compared, and how the language server of each is started. Knows nothing of what is measured.

A peer runs with its documented defaults, but for what ``choices`` lists: of these the benchmark looks for the best. Our
daemon is measured and tuned by its own command, as a person would.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Setting = Mapping[str, str]  # for each thing there is to choose, the name of a choice

DEADLINE_MS = 60_000  # the peers have none
LOOKUP_TOKENS = 2  # llama-cpp-python's advice for machines without a GPU
DRAFTING, FLASH_ATTENTION = "drafting", "flash attention"

# The first of each is the default. Sizes of n-grams and drafts suit answers of a line to a region.
LLAMA_CPP_PYTHON_CHOICES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    FLASH_ATTENTION: {"off": {}, "on": {"flash_attention": True}},
}
LLAMA_SERVER_CHOICES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    FLASH_ATTENTION: {"auto": {}, "off": {"arguments": ("--flash-attn", "off")}},
    "prompt cache": {"prefix": {}, "prefix and reuse": {"arguments": ("--cache-reuse", "64")}},
    DRAFTING: {
        "none": {},
        **{
            f"n-gram {ngram}, draft {draft}": {
                "arguments": (
                    "--spec-type",
                    "ngram-simple",
                    "--spec-ngram-simple-size-n",
                    str(ngram),
                    "--spec-ngram-simple-size-m",
                    str(draft),
                    "--spec-draft-n-max",
                    str(draft),
                )
            }
            for ngram, draft in ((3, 8), (4, 32))
        },
    },
}


@dataclass(frozen=True, slots=True)
class System:
    """One system; ``options`` are those of its peer, ``peer`` is empty for our own daemon.

    ``choices`` are what to look for the best of: a thing to choose, its choices, the options of each.
    """

    name: str
    peer: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def default_setting(self) -> dict[str, str]:
        """The first of all choices."""
        return {what: next(iter(choices)) for what, choices in self.choices.items()}

    def with_setting(self, setting: Setting) -> System:
        """The system with that setting and nothing left to choose; raises KeyError for a choice there is not."""
        options = dict(self.options)
        for what, name in setting.items():
            for option, value in self.choices[what][name].items():
                options[option] = (*options.get(option, ()), *value) if isinstance(value, tuple) else value
        return System(self.name, self.peer, options)

    def command(self, model: Path, threads: int) -> list[str]:
        """The command of its language server."""
        if not self.peer:
            return [sys.executable, "-m", "daemon.main", "lsp", "--standalone"]
        words = [sys.executable, "-m", "bench.peers.server", self.peer, str(model), "--threads", str(threads)]
        return [*words, "--options", json.dumps(dict(self.options))]

    def tune_command(self, seconds: float) -> list[str]:
        """What a person runs once before using it, in the same environment; empty for a peer."""
        command = [sys.executable, "-m", "daemon.main", "model", "tune", "--json", "--seconds", f"{seconds:g}"]
        return [] if self.peer else command

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
        System("llama-cpp-python", "llama-cpp-python", choices=LLAMA_CPP_PYTHON_CHOICES),
        System(
            "llama-cpp-python lookup",
            "llama-cpp-python",
            {"lookup_tokens": LOOKUP_TOKENS},
            choices=LLAMA_CPP_PYTHON_CHOICES,
        ),
        # Not compared unless named: the same with an answer that may be ended after the token it is at.
        System(
            "llama-cpp-python stopping",
            "llama-cpp-python",
            {"stops_between_tokens": True},
            choices=LLAMA_CPP_PYTHON_CHOICES,
        ),
        System("llama-server", "llama-server", choices=LLAMA_SERVER_CHOICES),
    )
}
COMPARED = ("foretype", "llama-cpp-python", "llama-cpp-python lookup", "llama-server")
