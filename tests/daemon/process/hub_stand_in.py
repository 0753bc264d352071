"""A stand-in for a Hugging Face hub: real HTTP on a local port, one repository, faults on demand."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubStandIn:
    """Serves ``files`` of the repository ``owner/model``.

    ``stated`` overrides the checksum that is stated for a file; ``cut_after_bytes`` closes every download there;
    ``heard`` are the requests' lines and ``header`` values by name, so that a test can see what was sent.
    """

    def __init__(self, files):
        self.files = files
        self.stated = {}
        self.cut_after_bytes = None
        self.heard = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                hub.answer(self, body=False)

            def do_GET(self):
                hub.answer(self, body=True)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def checksum(self, name):
        return self.stated.get(name, hashlib.sha256(self.files[name]).hexdigest())

    def answer(self, request, *, body):
        self.heard.append(f"{request.command} {request.path}")
        path = request.path.partition("?")[0]
        if path in ("/api/models/owner/model", f"/api/models/owner/model/revision/{COMMIT}"):
            self.send_json(request, self.description(), body=body)
            return
        prefix = f"/owner/model/resolve/{COMMIT}/"
        if path.startswith(prefix) and path.removeprefix(prefix) in self.files:
            self.send_file(request, path.removeprefix(prefix), body=body)
            return
        request.send_response(404)
        request.send_header("X-Error-Code", "RepoNotFound")
        request.send_header("Content-Length", "0")
        request.end_headers()

    def description(self):
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": "f" * 40,
                "lfs": {"size": len(content), "sha256": self.checksum(name), "pointerSize": 130},
            }
            for name, content in self.files.items()
        ]
        return {
            "_id": "1",
            "id": "owner/model",
            "modelId": "owner/model",
            "sha": COMMIT,
            "siblings": siblings,
        }

    def send_json(self, request, value, *, body):
        content = json.dumps(value).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if body:
            request.wfile.write(content)

    def send_file(self, request, name, *, body):
        content = self.files[name]
        start = 0
        wanted = request.headers.get("Range", "")
        if wanted.startswith("bytes="):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("ETag", f'"{self.checksum(name)}"')
        request.send_header("Accept-Ranges", "bytes")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        if not body:
            return
        part = content[start:]
        if self.cut_after_bytes is None:
            request.wfile.write(part)
        else:
            request.wfile.write(part[: self.cut_after_bytes])
            request.close_connection = True
