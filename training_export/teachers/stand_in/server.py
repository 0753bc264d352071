"""The server of a stand-in."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from training_export.teachers.stand_in import shapes
from training_export.teachers.stand_in.checks import Unacceptable, check
from training_export.teachers.stand_in.conduct import Batch, Conduct, Fault, Outcome, Seen


class StandIn:
    """The server, on a free port of this machine unless one is given, while the block runs."""

    def __init__(self, port: int = 0, conduct: Conduct | None = None) -> None:
        self.conduct = conduct or Conduct()
        self.seen: list[Seen] = []
        self.complaints: list[str] = []
        self.batches: dict[str, Batch] = {}
        self.files: dict[str, bytes] = {}
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"stand_in": self}))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def asked(self) -> int:
        """How many questions were answered or refused, those in batches included."""
        direct = sum(seen.path in ("/v1/messages", "/v1/chat/completions") for seen in self.seen)
        return direct + sum(len(batch.requests) for batch in self.batches.values())

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        size_bytes = int(self.headers.get("content-length", "0"))
        content = self.rfile.read(size_bytes)
        if len(content) == size_bytes:  # else whoever asked has died
            self._serve(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Say nothing."""

    def _serve(self, content: bytes) -> None:
        key = self.headers.get("authorization", "").removeprefix("Bearer ") or self.headers.get("x-api-key", "")
        path = self.path.partition("?")[0]
        if not key or key == self.stand_in.conduct.refused_key:
            self._refuse(401, "no such key")
            return
        try:
            body = self._body(content)
            with self.stand_in.lock:
                self.stand_in.seen.append(Seen(path, body, key))
            self._answer(path, body)
        except Unacceptable as error:
            with self.stand_in.lock:
                self.stand_in.complaints.append(str(error))
            self._refuse(400, str(error))

    def _body(self, content: bytes) -> Any:
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/"):
            return json.loads(content) if content else None
        parts = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\n\n" + content)
        named: dict[str, Any] = {}
        for part in parts.walk():
            if not part.is_multipart():
                named[str(part.get_param("name", header="content-disposition"))] = part.get_payload(decode=True)
        return named

    def _answer(self, path: str, body: Any) -> None:
        parts = path.strip("/").split("/")[1:]
        try:
            (self._post if self.command == "POST" else self._get)(parts, body)
        except KeyError as error:
            self._refuse(404, f"there is no {error}")

    def _post(self, parts: list[str], body: Any) -> None:
        server = self.stand_in
        match parts:
            case ["messages"]:
                check("anthropic message", body)
                self._talk(body, shapes.anthropic_message)
            case ["chat", "completions"]:
                check("openai completion", body)
                self._talk(body, shapes.openai_completion)
            case ["messages", "batches"]:
                check("anthropic batch", body)
                self._begin(body["requests"], "", shapes.anthropic_batch)
            case ["files"]:
                file_id = f"file-{len(server.files)}"
                server.files[file_id] = body["file"]
                self._send(shapes.openai_file(file_id, len(body["file"])))
            case ["batches"]:
                check("openai batch", body)
                lines = [json.loads(line) for line in server.files[body["input_file_id"]].splitlines()]
                for line in lines:
                    check("openai completion", line["body"])
                self._begin(lines, (body.get("metadata") or {}).get("foretype", ""), shapes.openai_batch)
            case _:
                raise KeyError("/".join(parts))

    def _get(self, parts: list[str], _body: Any) -> None:
        server, mistakes = self.stand_in, self.stand_in.conduct.mistakes
        match parts:
            case [*kind, "batches"]:
                describe = shapes.anthropic_batch if kind else shapes.openai_batch
                found = [describe(batch, server.url) for batch in reversed(server.batches.values())]
                self._send({"object": "list", "data": found, "has_more": False, "first_id": None, "last_id": None})
            case ["messages", "batches", batch_id, "results"]:
                requests = server.batches[batch_id].requests
                self._send_lines([shapes.anthropic_result(each, self._outcome(), mistakes) for each in requests])
            case [*kind, "batches", batch_id]:
                batch = server.batches[batch_id]
                batch.looks -= 1
                self._send(
                    shapes.anthropic_batch(batch, server.url) if kind else shapes.openai_batch(batch, server.url)
                )
            case ["files", file_id, "content"]:
                batch = server.batches[file_id.rpartition("-")[0]]
                if not batch.results:
                    batch.results = [shapes.openai_result(each, self._outcome(), mistakes) for each in batch.requests]
                wanted = file_id.endswith("-error")
                self._send_lines([each for each in batch.results if (each["error"] is not None) == wanted])
            case _:
                raise KeyError("/".join(parts))

    def _outcome(self) -> Outcome | None:
        with self.stand_in.lock:
            outcomes = self.stand_in.conduct.outcomes
            return outcomes.popleft() if outcomes else None

    def _talk(self, body: Mapping[str, Any], describe: Any) -> None:
        with self.stand_in.lock:
            fault = self.stand_in.conduct.faults.popleft() if self.stand_in.conduct.faults else None
        match fault:
            case Fault("status"):
                self._refuse(fault.status, "as told", retry_after=fault.retry_after, code=fault.code)
            case Fault("hang"):
                self.stand_in.closing.wait()
                self.close_connection = True
            case Fault("cut"):
                self.close_connection = True
            case Fault("nonsense"):
                self._send_bytes(200, b"<html>Please sign in</html>", "text/html")
            case Fault("garbage"):
                self._send_bytes(200, b'{"id": ', "application/json")
            case _:
                kind = "" if fault is None else fault.kind
                self._send(describe(body, self.stand_in.conduct.mistakes, kind))

    def _begin(self, requests: list[dict[str, Any]], label: str, describe: Any) -> None:
        server = self.stand_in
        if server.conduct.drops_batches:
            self.close_connection = True
            return
        with server.lock:
            batch_id = f"batch_{len(server.batches)}"
            batch = Batch(batch_id, requests, server.conduct.looks, label, server.conduct.fails_batches)
            server.batches[batch_id] = batch
        if server.conduct.loses_batch_replies:
            self.close_connection = True
        else:
            self._send(describe(batch, server.url))

    def _refuse(self, status: int, message: str, *, retry_after: str = "", code: str = "") -> None:
        kind = "invalid_request_error" if status == 400 else "api_error"
        error = {"type": kind, "message": message, "code": code or None, "param": None}
        content = json.dumps({"type": "error", "error": error}).encode()
        headers = {"retry-after": retry_after} if retry_after else {}
        self._send_bytes(status, content, "application/json", headers)

    def _send(self, value: Any) -> None:
        self._send_bytes(200, json.dumps(value).encode(), "application/json")

    def _send_lines(self, values: list[Any]) -> None:
        self._send_bytes(200, b"".join(json.dumps(value).encode() + b"\n" for value in values), "application/x-jsonl")

    def _send_bytes(self, status: int, content: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
