"""A peer as a language server: ``python -m bench.peers.server NAME MODEL [--threads N] [--options JSON]``.

The smallest server that the benchmark's client can speak to: our documents, prompt formats and prediction, a
newest-wins queue, and a peer in place of our scheduler and engine. Answers on the version it was asked about; an answer
that comes after the text moved on is empty. Nothing is drawn by these predictions, so gates and offers are left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.peers.completion import Cancelled, Peer, PromptTooLong
from bench.peers.newest_wins import NewestWins
from bench.peers.table import PEERS
from capture.editing.positions import ContentChange, Position, Range
from capture.editing.state import EditingState
from capture.inputs import PredictionInputs
from daemon.engine.llama import Log, Model
from daemon.engine.messages import EngineAnswer
from daemon.lsp.framing import FrameParser, decode_body, encode_message
from daemon.prediction import Nothing, to_prediction
from daemon.prompts.base import FileEdits, NewRegion, NoEdit, PromptFormat, Refusal
from daemon.prompts.registry import choose_format

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
    """One connection. A thread reads; the main one asks the peer."""

    def __init__(self, model: PeerModel, peer: Peer) -> None:
        self._model = model
        self._peer = peer
        self._editing = EditingState(time.monotonic)
        self._documents = threading.Lock()
        self._writing = threading.Lock()
        self._queue: NewestWins[Question] = NewestWins(lambda question: self._answer(question.id, {"edits": []}))
        self._last: dict[str, Any] | None = None
        self._reason = ""
        self._offered = 0
        # As our own daemon's; tokens are None once the peer gave something up and did not say what it had evaluated.
        self._predictions, self._aborted = 0, 0
        self._tokens_evaluated: int | None = 0
        self._tokens_in_vain: int | None = 0

    def serve(self) -> None:
        """Serve until the client leaves; what the peer raises ends the process, so that no question waits for ever."""
        threading.Thread(target=self._read, daemon=True).start()
        while (question := self._queue.take()) is not None:
            self._answer(question.id, {"edits": self._edits(question)})

    def _read(self) -> None:
        parser = FrameParser()
        leaving = False
        try:
            while not leaving and (data := os.read(sys.stdin.fileno(), READ_BYTES)):
                for body in parser.feed(data):
                    if isinstance(body, bytes):
                        leaving = self._handle(decode_body(body)) or leaving
        finally:
            self._queue.close()
            self._peer.cancel()

    def _handle(self, message: dict[str, Any]) -> bool:
        """Whether this message was the last one."""
        method, params = message.get("method", ""), message.get("params") or {}
        if method == "textDocument/didOpen":
            item = params["textDocument"]
            with self._documents:
                self._editing.open(
                    item["uri"],
                    item["text"],
                    path=_path(item["uri"]),
                    version=item["version"],
                    language_id=item["languageId"],
                )
        elif method == "textDocument/didChange":
            changes = [_change(value) for value in params["contentChanges"]]
            with self._documents:
                self._editing.change(params["textDocument"]["uri"], params["textDocument"]["version"], changes)
        elif method == "textDocument/didClose":
            with self._documents:
                self._editing.close(params["textDocument"]["uri"])
        elif method == "textDocument/copilotInlineEdit":
            identifier, position = params["textDocument"], _position(params["position"])
            self._peer.cancel()
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
            self._answer(message["id"], {"capabilities": {}} if method == "initialize" else None)
        return bool(method == "exit")

    def _edits(self, question: Question) -> list[dict[str, Any]]:
        with self._documents:
            document = self._editing.document(question.uri)
            if document is None or document.version != question.version:
                return []
            inputs = self._editing.inputs(question.uri, question.position)
        try:
            answer, counters = self._model.predict(inputs, lambda: not self._queue.has_newer)
        except Cancelled as cancelled:
            if cancelled.tokens_evaluated != 0:  # else the peer was not even asked
                self._aborted += 1
                self._count(cancelled.tokens_evaluated, in_vain=True)
            return []
        with self._documents:
            document = self._editing.document(question.uri)
            in_vain = document is None or document.version != question.version
            self._count(counters.get("tokens_evaluated", 0), in_vain=in_vain)
            if document is None or in_vain:
                return []
            found = to_prediction(inputs, answer, question.uri, document, min_confidence=0.0)
        self._last = {"counters": counters, "confidence": 1.0, "seconds": answer.seconds}
        self._reason = found.reason if isinstance(found, Nothing) else ""
        if isinstance(found, Nothing):
            return []
        self._offered += 1
        command = {"title": "Accept", "command": "foretype.didAccept", "arguments": [str(self._offered)]}
        identifier = {"uri": question.uri, "version": question.version}
        return [
            {"text": edit.text, "range": _range_json(edit.range), "textDocument": identifier, "command": command}
            for edit in found.edits
        ]

    def _count(self, tokens: int | None, *, in_vain: bool) -> None:
        self._predictions += 1
        self._tokens_evaluated = _plus(self._tokens_evaluated, tokens)
        if in_vain:
            self._tokens_in_vain = _plus(self._tokens_in_vain, tokens)

    def _answer(self, request_id: Any, result: Any) -> None:
        with self._writing:
            sys.stdout.buffer.write(encode_message({"jsonrpc": "2.0", "id": request_id, "result": result}))
            sys.stdout.buffer.flush()


def _plus(known: int | None, more: int | None) -> int | None:
    return None if known is None or more is None else known + more


def _path(uri: str) -> str:
    """The path as our own daemon shows it: relative to the one folder of the benchmark."""
    return uri.removeprefix("file:///bench/")


def _position(value: dict[str, int]) -> Position:
    return Position(value["line"], value["character"])


def _change(value: dict[str, Any]) -> ContentChange:
    return ContentChange(Range(_position(value["range"]["start"]), _position(value["range"]["end"])), value["text"])


def _range_json(where: Range) -> dict[str, Any]:
    start, end = ({"line": place.line, "character": place.character_utf16} for place in (where.start, where.end))
    return {"start": start, "end": end}


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
        PeerServer(PeerModel(peer, vocabulary, prompt_format), peer).serve()
    finally:
        peer.close()


if __name__ == "__main__":
    main()
