"""Archives made on the spot, a manifest of them, and a registry on this machine that misbehaves when told to."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from training_export.student.sources.index import Registries


def _tar(path: Path, files: Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def _zip(path: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


@pytest.fixture
def make_archive() -> Callable[[Path, Mapping[str, bytes]], Path]:
    """Writes an archive of the kind its name says."""

    def make(path: Path, files: Mapping[str, bytes]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        (_zip if path.suffix in {".whl", ".zip"} else _tar)(path, files)
        return path

    return make


@pytest.fixture
def code() -> Callable[..., bytes]:
    """A Python file of 30 lines that no other call with another name gives."""

    def text(name: str, lines: int = 30) -> bytes:
        return "".join(f"{name}_{number} = {number}\n" for number in range(lines)).encode()

    return text


@pytest.fixture
def make_manifest(tmp_path: Path) -> Callable[..., Path]:
    """Writes a manifest of archives that lie in a folder; each is (registry, package, version, file, takes, earlier)."""

    def make(folder: Path, projects: list[dict[str, Any]], archives: list[dict[str, Any]]) -> Path:
        out: list[str] = []
        for project in projects:
            row = {"licence": "MIT", "languages": ["python"], "side": "train"} | project
            out += ["[[project]]", *(f"{key} = {json.dumps(value)}" for key, value in row.items())]

        def pinned(row: dict[str, Any]) -> list[str]:
            data = (folder / row["registry"] / row["file"]).read_bytes()
            described = {"version": row["version"], "file": row["file"], "bytes": len(data)}
            described["sha256"] = hashlib.sha256(data).hexdigest()
            return [f"{key} = {json.dumps(value)}" for key, value in described.items()]

        for row in archives:
            out += ["[[archive]]", f"registry = {json.dumps(row['registry'])}", f"name = {json.dumps(row['name'])}"]
            out += pinned(row)
            for take in row["takes"]:
                told = {} if "licence_file" in take else {"licence_said_in": "its header"}
                out += ["[[archive.take]]", *(f"{key} = {json.dumps(value)}" for key, value in (told | take).items())]
            for earlier in row.get("earlier", []):
                out += ["[[archive.earlier]]", *pinned(row | earlier)]
        path = tmp_path / "manifest.toml"
        path.write_text("\n".join(out))
        return path

    return make


@dataclass
class LocalRegistry:
    """What a server hands out by path, how it misbehaves, and what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)  # path, Range
    breaks_off_after: list[int] = field(default_factory=list)  # bytes, for one answer with a file after the other
    fails_with: list[int] = field(default_factory=list)  # statuses, for one request after the other
    knows_ranges: bool = True
    while_sending: Callable[[], None] | None = None  # after half a file
    address: str = ""
    index_type: str = "application/vnd.pypi.simple.v1+json"

    def registries(self) -> Registries:
        return Registries(f"{self.address}/simple", f"{self.address}/npm")

    def publish(self, registry: str, name: str, file: str, data: bytes) -> None:
        if registry == "npm":
            self.files[f"/npm/{name}/-/{file}"] = data
            return
        self.files[f"/files/{file}"] = data
        page = json.loads(self.files.get(f"/simple/{name}/", b'{"files": []}'))
        page["files"].append({"filename": file, "url": f"../../files/{file}", "hashes": {}})
        self.files[f"/simple/{name}/"] = json.dumps(page).encode()


class _Handler(BaseHTTPRequestHandler):
    registry: LocalRegistry

    def do_GET(self) -> None:
        asked_range = self.headers.get("Range", "")
        self.registry.requests.append((self.path, asked_range))
        if self.registry.fails_with:
            self.send_error(self.registry.fails_with.pop(0))
            return
        data = self.registry.files.get(self.path)
        if data is None:
            self.send_error(404)
        elif self.path.startswith("/simple/"):
            self.send_response(200)
            self.send_header("Content-Type", self.registry.index_type)
            self._end(data, data)
        else:
            self._file(data, asked_range)

    def _file(self, data: bytes, asked_range: str) -> None:
        start = int(asked_range.removeprefix("bytes=").removesuffix("-")) if asked_range else 0
        if start >= len(data):
            self.send_error(416)
            return
        if start and self.registry.knows_ranges:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            rest = data[start:]
        else:
            self.send_response(200)
            rest = data
        sent = rest[: self.registry.breaks_off_after.pop(0)] if self.registry.breaks_off_after else rest
        self._end(rest, sent)

    def _end(self, promised: bytes, sent: bytes) -> None:
        self.send_header("Content-Length", str(len(promised)))
        self.end_headers()
        if self.registry.while_sending is not None:
            self.wfile.write(sent[: len(sent) // 2])
            self.wfile.flush()
            self.registry.while_sending()
            return
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[LocalRegistry]:
    found = LocalRegistry()
    handler = type("Handler", (_Handler,), {"registry": found})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()
