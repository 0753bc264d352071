"""llama.cpp's own ``llama-server``: started on a free port of the loopback, asked over one connection at a time.

Its prompt cache is always on. A newer question closes the connection of the one it replaces, which is how this server
is told that nobody waits. Knows nothing of how the server is built (``llama_server_build``).
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import orjson

from bench.peers.completion import Cancelled, Completion, PromptTooLong
from bench.peers.llama_server_build import binary_path

HOST = "127.0.0.1"
START_SECONDS = 300.0
POLL_SECONDS = 0.05  # the server tells nobody when it is ready; it can only be asked
LEAVE_SECONDS = 10.0
TOO_LONG = "exceed_context_size_error"  # the type of that error


class LlamaServer:
    """One server process with one slot."""

    def __init__(self, model: str, *, context_tokens: int, threads: int, arguments: Sequence[str] = ()) -> None:
        """Returns when the model is loaded; raises OSError when the server does not come up."""
        self._port = _free_port()
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._cancelled = False
        command = [str(binary_path()), "--model", model, "--host", HOST, "--port", str(self._port)]
        command += ["--ctx-size", str(context_tokens), "--threads", str(threads), "--threads-batch", str(threads)]
        command += ["--parallel", "1", "--special", "--no-webui", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr)
        self._wait_until_ready()

    def complete(self, prompt: str, stop: tuple[str, ...], max_tokens: int) -> Completion:
        """The greedy completion; raises Cancelled when a newer question closed the connection, and PromptTooLong."""
        body = {
            "prompt": prompt,
            "n_predict": max_tokens,
            "stop": list(stop),
            "samplers": ["top_k"],
            "top_k": 1,
            "repeat_penalty": 1.0,
            "cache_prompt": True,
            "stream": True,
        }
        connection = http.client.HTTPConnection(HOST, self._port)
        connection.connect()
        with self._lock:
            self._connection, self._cancelled = connection, False
        try:
            connection.request("POST", "/completion", orjson.dumps(body), {"Content-Type": "application/json"})
            return _read_stream(connection.getresponse())
        except (OSError, http.client.HTTPException):
            if self._cancelled:
                raise Cancelled(tokens_evaluated=None) from None  # what it had evaluated, it does not say
            raise
        finally:
            with self._lock:
                self._connection = None
            connection.close()

    def cancel(self) -> None:
        """Close the connection that the running completion came over."""
        with self._lock:
            if self._connection is not None and self._connection.sock is not None:
                self._cancelled = True
                with contextlib.suppress(OSError):  # the server closed it first: the completion is over
                    self._connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        try:
            self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_until_ready(self) -> None:
        patience_ends = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None:
                raise OSError(f"llama-server ended with code {self._process.returncode}; its log is above")
            if time.monotonic() > patience_ends:
                self.close()
                raise OSError(f"llama-server was not ready within {START_SECONDS:g} s")
            time.sleep(POLL_SECONDS)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=START_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:  # not listening yet
            return False
        finally:
            connection.close()


def _read_stream(response: http.client.HTTPResponse) -> Completion:
    """The completion from server-sent events; raises PromptTooLong, and HTTPException when they stop too early."""
    if response.status != http.HTTPStatus.OK:
        complaint = response.read().decode(errors="replace")
        if TOO_LONG in complaint:
            raise PromptTooLong
        raise RuntimeError(f"llama-server refused: {complaint}")
    text = ""
    for line in response:
        if not line.startswith(b"data: "):
            continue
        event = orjson.loads(line.removeprefix(b"data: "))
        text += event.get("content", "")
        if event.get("stop"):
            return Completion(text, event["stop_type"] in ("eos", "word"), _counters(event))
    raise http.client.IncompleteRead(text.encode())


def _counters(event: dict[str, Any]) -> dict[str, int]:
    timings = event["timings"]
    reused, prompt, answer = timings["cache_n"], timings["prompt_n"], timings["predicted_n"]
    drafted, accepted = timings.get("draft_n", 0), timings.get("draft_n_accepted", 0)
    return {
        "prompt_tokens": reused + prompt,
        "answer_tokens": answer,
        # Each drafted token is evaluated; an accepted one is a token of the answer.
        "tokens_evaluated": prompt + answer + drafted - accepted,
        "tokens_reused": reused,
        "drafted": drafted,
        "accepted": accepted,
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port
