"""The peers by name. Each is imported when it is made: no peer's packages are in another's process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.peers.completion import Peer


def _llama_cpp_python(model: str, **options: Any) -> Peer:
    from bench.peers.llama_cpp_python import LlamaCppPython  # noqa: PLC0415 (see the module's text)

    return LlamaCppPython(model, **options)


def _llama_server(model: str, **options: Any) -> Peer:
    from bench.peers.llama_server import LlamaServer  # noqa: PLC0415

    return LlamaServer(model, **options)


PEERS: Mapping[str, Callable[..., Peer]] = {
    "llama-cpp-python": _llama_cpp_python,
    "llama-server": _llama_server,
}
