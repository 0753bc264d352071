"""A peer as a language server: ``python -m bench.peers.server NAME MODEL [--threads N] [--options JSON]``.

The smallest server that the benchmark's client can speak to: what a window of ours sees (``window.py``), our prompt
formats, a newest-wins queue, and a peer in place of our scheduler and engine. Answers on the version it was asked
about; an answer that comes after the text moved on is empty. Nothing is drawn by these predictions, so gates are left
out.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from bench.peers.completion import Cancelled, Peer, PromptTooLong
from bench.peers.newest_wins import NewestWins
from bench.peers.table import PEERS
from bench.peers.window import PeerWindow, close_services, make_services
from capture.editing.positions import ContentChange, Position, Range
from capture.inputs import PredictionInputs
from daemon.engine.llama import Log, Model
from daemon.engine.messages import EngineAnswer
from daemon.lsp.framing import FrameParser, decode_body, encode_message
from daemon.prediction import Nothing
from daemon.prompts.base import FileEdits, NewRegion, NoEdit, PromptFormat, Refusal
from daemon.prompts.registry import choose_format

T = TypeVar("T")

READ_BYTES = 65_536
MAX_CONTEXT_TOKENS = 8192  # as in daemon.engine.loaded
TOO_LONG = "the prompt does not fit the model's context"


@dataclass(frozen=True, slots=True)
class Question:
    """A request for the next edit."""

    id: Any
    uri: str
    version: int
    position: Position


class PeerModel:
    """A peer with the prompt format of its model: inputs in, our engine's answer out."""

    def __init__(self, peer: Peer, vocabulary: Model, prompt_format: PromptFormat) -> None:
        self._peer = peer
        self._vocabulary = vocabulary
        self._format = prompt_format

    def predict(self, inputs: PredictionInputs, is_wanted: Callable[[], bool]) -> tuple[EngineAnswer, dict[str, int]]:
        """The answer and what it cost; raises Cancelled, also where ``is_wanted`` says so before the peer is asked."""
        started = time.monotonic()
        prompt = self._format.render(inputs, lambda text: len(self._vocabulary.tokenize(text)))
        if isinstance(prompt, Refusal):
            return EngineAnswer(id=0, reason=prompt.value), {}
        if not is_wanted():
            raise Cancelled(tokens_evaluated=0)
        try:
            completion = self._peer.complete(prompt.text, prompt.stop, prompt.max_answer_tokens)
        except PromptTooLong:
            return EngineAnswer(id=0, reason=TOO_LONG), {}
        found = self._format.parse(inputs, prompt, completion.text, finished=completion.finished)
        answer = EngineAnswer(
            id=0,
            region_start_bytes=prompt.region.start,
            region_end_bytes=prompt.region.end,
            reason=found.reason.value if isinstance(found, NoEdit) else "",
            file_edits=found.edits if isinstance(found, FileEdits) else (),
            new_region_text=found.text if isinstance(found, NewRegion) else None,
            seconds=time.monotonic() - started,
        )
        return answer, completion.counters


class PeerServer:
    """One connection. The event loop reads and knows the window; one thread asks the peer and writes its answers."""

    def __init__(self, model: PeerModel, peer: Peer, window: PeerWindow, write: Callable[[bytes], None]) -> None:
        self._model = model
        self._peer = peer
        self._window = window
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._writing = threading.Lock()
        self._queue: NewestWins[Question] = NewestWins(lambda question: self._answer(question.id, {"edits": []}))
        self._last: dict[str, Any] | None = None
        self._reason = ""
        # As our own daemon's; tokens are None once the peer gave something up and did not say what it had evaluated.
        self._predictions, self._aborted = 0, 0
        self._tokens_evaluated: int | None = 0
        self._tokens_in_vain: int | None = 0

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Serve until the client leaves; raises what the peer raises, so that no question waits for ever."""
        with ThreadPoolExecutor(max_workers=1) as thread:
            asking = self._loop.run_in_executor(thread, self._ask)
            reading = asyncio.create_task(self._read(reader))
            await asyncio.wait([asking, reading], return_when=asyncio.FIRST_COMPLETED)
            reading.cancel()
            self._queue.close()
            self._peer.cancel()
            await asking

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser = FrameParser()
        while data := await reader.read(READ_BYTES):
            for body in parser.feed(data):
                if isinstance(body, bytes) and self.receive(decode_body(body)):
                    return

    def receive(self, message: dict[str, Any]) -> bool:
        """Take a message; whether it was the last one."""
        method, params = message.get("method", ""), message.get("params") or {}
        if method == "textDocument/didOpen":
            item = params["textDocument"]
            self._window.opened(item["uri"], item["languageId"], item["version"], item["text"])
        elif method == "textDocument/didChange":
            changes = [_change(value) for value in params["contentChanges"]]
            self._window.changed(params["textDocument"]["uri"], params["textDocument"]["version"], changes)
        elif method == "textDocument/didClose":
            self._window.closed(params["textDocument"]["uri"])
        elif method == "textDocument/copilotInlineEdit":
            identifier, position = params["textDocument"], _position(params["position"])
            self._peer.cancel()
            self._window.viewed(identifier["uri"], position)
            self._queue.put(Question(message["id"], identifier["uri"], identifier["version"], position))
        elif method == "foretype/status":
            totals = {
                "predictions": self._predictions,
                "aborted": self._aborted,
                "tokens_evaluated": self._tokens_evaluated,
                "tokens_in_vain": self._tokens_in_vain,
            }
            self._answer(message["id"], {"reason": self._reason, "last": self._last, "totals": totals})
        elif "id" in message:
            if method == "initialize":
                self._window.set_folders([folder["uri"] for folder in params["workspaceFolders"]])
            elif method == "workspace/executeCommand":
                self._window.accepted(*params["arguments"])
            self._answer(message["id"], {"capabilities": {}} if method == "initialize" else None)
        return bool(method == "exit")

    # In the thread

    def _ask(self) -> None:
        while (question := self._queue.take()) is not None:
            self._answer(question.id, {"edits": self._edits(question)})

    def _edits(self, question: Question) -> list[dict[str, Any]]:
        uri, version = question.uri, question.version
        inputs = self._on_loop(lambda: self._window.inputs(uri, version, question.position))
        if inputs is None:
            return []
        try:
            answer, counters = self._model.predict(inputs, lambda: not self._queue.has_newer)
        except Cancelled as cancelled:
            if cancelled.tokens_evaluated != 0:  # else the peer was not even asked
                self._aborted += 1
                self._count(cancelled.tokens_evaluated, in_vain=True)
            return []

        def edits() -> list[dict[str, Any]] | Nothing | None:
            return self._window.edits(uri, inputs, answer) if self._window.is_at(uri, version) else None

        found = self._on_loop(edits)
        self._count(counters.get("tokens_evaluated", 0), in_vain=found is None)
        if found is None:
            return []
        self._last = {"counters": counters, "confidence": 1.0, "seconds": answer.seconds}
        self._reason = found.reason if isinstance(found, Nothing) else ""
        return [] if isinstance(found, Nothing) else found

    def _on_loop(self, work: Callable[[], T]) -> T:
        """What ``work`` gives on the event loop, whose the window is."""

        async def there() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result()

    def _count(self, tokens: int | None, *, in_vain: bool) -> None:
        self._predictions += 1
        self._tokens_evaluated = _plus(self._tokens_evaluated, tokens)
        if in_vain:
            self._tokens_in_vain = _plus(self._tokens_in_vain, tokens)

    def _answer(self, request_id: Any, result: Any) -> None:
        with self._writing:
            self._write(encode_message({"jsonrpc": "2.0", "id": request_id, "result": result}))


def _plus(known: int | None, more: int | None) -> int | None:
    return None if known is None or more is None else known + more


def _position(value: dict[str, int]) -> Position:
    return Position(value["line"], value["character"])


def _change(value: dict[str, Any]) -> ContentChange:
    return ContentChange(Range(_position(value["range"]["start"]), _position(value["range"]["end"])), value["text"])


async def serve(model: PeerModel, peer: Peer) -> None:
    """One window on standard input and output, from its beginning to its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    services = make_services()
    window = PeerWindow(services)
    try:
        await PeerServer(model, peer, window, _write).serve(reader)
    finally:
        await window.close()
        await close_services(services)


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def main() -> None:
    """Load the peer and serve standard input and output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(PEERS))
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--options", type=orjson.loads, default={})
    chosen = parser.parse_args()
    log = Log(sys.stderr.write)
    vocabulary = Model.load(chosen.model, log, vocabulary_only=True)
    facts = vocabulary.facts()
    prompt_format = choose_format("", facts.metadata, Path(chosen.model).name)
    context_tokens = min(facts.training_context_tokens or MAX_CONTEXT_TOKENS, MAX_CONTEXT_TOKENS)
    peer = PEERS[chosen.name](chosen.model, context_tokens=context_tokens, threads=chosen.threads, **chosen.options)
    try:
        asyncio.run(serve(PeerModel(peer, vocabulary, prompt_format), peer))
    finally:
        peer.close()


if __name__ == "__main__":
    main()
