"""Collectors that really serve, in this process or in one of their own, with real TLS and a real directory of snapshots."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
import trustme

from capture.collector.clients import Clients, TokenBook
from capture.collector.server import serving
from capture.collector.settings import Address, CertificateFiles, Settings
from capture.collector.storage import open_storage
from capture.inputs import ExcerptRanges, PredictionInputs, Span
from capture.snapshot.parts import PredictionRecord, Region
from capture.snapshot.snapshot import Snapshot
from capture.wire import snapshots_pb2 as wire

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
SERVICE = "/foretype.snapshots.v1.Snapshots/"
MARK = "a_name_that_stands_in_no_log"
REPLIES = {"UploadBatch": wire.UploadBatchReply, "Delete": wire.DeleteReply, "Policy": wire.PolicyReply}


def load(name):
    """A module beside this file; test folders are no packages."""
    spec = importlib.util.spec_from_file_location(f"collector_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def hostile():
    return load("hostile")


def make_snapshot(**changes):
    code = f"{MARK} = 1\n"
    inputs = PredictionInputs(
        cursor_path="src/sums.py",
        cursor_excerpt=code,
        cursor_offset_in_excerpt=len(code) - 1,
        excerpt_ranges=ExcerptRanges({"editable_150": Span(0, len(code))}),
        excerpt_start_row=10,
        events=(),
    )
    settled = {} if changes.get("state") == "unsettled" else {"text_settled": "total = 3\n"}
    unsettled = {"text_unsettled": "total = 3\n"} if not settled else {}
    values = {
        "id": uuid.uuid4().hex,
        "state": "settled",
        "workspace_id": "a" * 32,
        "created_at": 1_800_000_000.0,
        "finalised_at": 1_800_000_012.5,
        "language_id": "python",
        "path": "src/sums.py",
        "prompt_format": "zeta2",
        "model": "embedded",
        "client_name": "Neovim",
        "inputs": inputs,
        "region": Region(0, len(code), code, **settled, **unsettled),
        "prediction": PredictionRecord(new_region_text="total = 2\n", confidence=0.75, seconds=0.1),
    }
    return Snapshot(**{**values, **changes})


@pytest.fixture(scope="session")
def snapshot():
    """Make a snapshot; its code holds a name that must be found nowhere but in storage."""
    return make_snapshot


def make_message(snapshot=None, **changes):
    snapshot = snapshot or make_snapshot()
    content = changes.pop("content", snapshot.canonical_bytes())
    values = {"id": snapshot.id, "schema_version": 1, "sha256": hashlib.sha256(content).digest(), "content": content}
    return wire.Snapshot(**{**values, **changes})


@pytest.fixture(scope="session")
def message():
    """Make the wire's form of a snapshot, with what is said of it changed."""
    return make_message


class Sender:
    """An installation with its secret."""

    def __init__(self):
        self.id, self.secret = uuid.uuid4().hex, secrets.token_bytes(32)

    @property
    def install(self):
        return wire.Install(id=self.id, secret_sha256=hashlib.sha256(self.secret).digest())

    def batch(self, *messages):
        return wire.UploadBatchRequest(install=self.install, snapshots=messages or (make_message(),))

    def deletion(self, **selection):
        proof = wire.InstallProof(id=self.id, secret=self.secret)
        return wire.DeleteRequest(installs=[proof], selection=wire.Selection(**selection))


@pytest.fixture
def sender():
    return Sender()


@pytest.fixture(scope="session")
def make_sender():
    return Sender


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def stranger():
    """An authority that nobody trusts."""
    return trustme.CA()


class Pem:
    """Where the files of a certificate are."""

    def __init__(self, folder, authority, issued):
        self.certificate, self.key, self.authority = folder / "chain.pem", folder / "key.pem", folder / "ca.pem"
        self.put(issued)
        authority.cert_pem.write_to_path(self.authority)

    def put(self, issued):
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())


@pytest.fixture
def pem(tmp_path, authority):
    folder = tmp_path / "tls"
    folder.mkdir()
    return Pem(folder, authority, authority.issue_cert("localhost", "127.0.0.1"))


class Caller:
    """Calls one collector; what it is told comes back as a reply, or as gRPC's error."""

    def __init__(self, channel, token):
        self._channel, self.token = channel, token

    async def raw(self, path, payload, *, metadata=None, seconds=20, compression=None):
        if metadata is None:
            metadata = [("authorization", f"Bearer {self.token}")] if self.token else []
        return await self._channel.unary_unary(path)(
            payload, metadata=metadata, timeout=seconds, compression=compression
        )

    async def __call__(self, method, request, **options):
        payload = request if isinstance(request, bytes) else request.SerializeToString()
        return REPLIES[method].FromString(await self.raw(SERVICE + method, payload, **options))

    async def upload(self, request, **options):
        return await self("UploadBatch", request, **options)

    async def refusal(self, method, request, **options):
        """The error a call ends with."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self(method, request, **options)
        return caught.value


class Collector:
    """One that serves in this process; ``token`` is alice's."""

    def __init__(self, listening, storage, tokens, token, exits):
        self.address, self.metrics = str(listening.address), listening.metrics
        self.storage, self.tokens, self.token = storage, tokens, token
        self._exits = exits

    async def caller(self, *, trusted=None, certificate=None, token=..., plain=False, options=()):
        token = self.token if token is ... else token
        if plain:
            channel = grpc.aio.insecure_channel(self.address, options=options)
        else:
            chain = None if certificate is None else b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
            key = None if certificate is None else certificate.private_key_pem.bytes()
            credentials = grpc.ssl_channel_credentials(trusted.cert_pem.bytes(), key, chain)
            channel = grpc.aio.secure_channel(self.address, credentials, options=options)
        await self._exits.enter_async_context(channel)
        return Caller(channel, token)

    async def stored(self):
        """How many snapshots are there, asked of the storage."""
        return (await self.storage.state()).waiting_snapshots


@pytest.fixture
async def start(tmp_path, pem):
    """Start collectors; they end with the test."""
    async with AsyncExitStack() as exits:

        async def begin(
            *, plain=False, client_ca=None, tokens=True, wrap=lambda storage: storage, clock=None, **options
        ):
            book = TokenBook(tmp_path / "tokens.json", **({} if clock is None else {"clock": clock}))
            files = None if plain else CertificateFiles(pem.certificate, pem.key, client_ca)
            settings = Settings(Address("127.0.0.1", 0), files, **{"stop_seconds": 5.0, **options})
            storage = await open_storage(str(tmp_path / "collected"))
            exits.push_async_callback(storage.close)
            who = Clients(
                book if tokens else None,
                certificates=client_ca is not None,
                **({} if clock is None else {"clock": clock}),
            )
            token = book.add("alice") if tokens else ""
            listening = await exits.enter_async_context(serving(settings, wrap(storage), who))
            return Collector(listening, storage, book, token, exits)

        yield begin


class StorageWith:
    """A real storage with some of its methods replaced."""

    def __init__(self, storage, **methods):
        self._storage = storage
        self.__dict__.update(methods)

    def __getattr__(self, name):
        return getattr(self._storage, name)


@pytest.fixture(scope="session")
def storage_with():
    return StorageWith


class HeldStorage(StorageWith):
    """One that says when it was asked to store, and does so only once it may."""

    def __init__(self, storage):
        super().__init__(storage)
        self.may, self.asked = asyncio.Event(), asyncio.Semaphore(0)

    async def store(self, install, arrivals):
        self.asked.release()
        await self.may.wait()
        return await self._storage.store(install, arrivals)


@pytest.fixture(scope="session")
def held_storage():
    return HeldStorage


@pytest.fixture
async def collector(start):
    """One with TLS and tokens."""
    return await start()


@pytest.fixture
async def alice(collector, authority):
    """A client it knows."""
    return await collector.caller(trusted=authority)


class Process:
    """A collector in a process of its own, plain text on loopback."""

    def __init__(self, process, said, token, log):
        self.process, self.pid, self.token, self._log = process, process.pid, token, log
        self.address, self.metrics = said["listening"], said["metrics"]

    def log(self):
        return self._log.read_text()

    @asynccontextmanager
    async def caller(self, **options):
        async with grpc.aio.insecure_channel(self.address, **options) as channel:
            yield Caller(channel, self.token)


COMMAND = "from daemon.commands.collect import application; application(prog_name='foretype collect')"


@pytest.fixture
def command():
    """Run ``foretype collect`` with some arguments; its result."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
async def start_process(tmp_path):
    """Start ``foretype collect``; killed when the test ends, if it still runs."""
    started = []
    tokens, log = tmp_path / "tokens.json", tmp_path / "collector.log"

    def launch(*arguments):
        given = (
            "--listen",
            "127.0.0.1:0",
            "--plain-text",
            "--data",
            tmp_path / "collected",
            "--tokens",
            tokens,
            "--json",
        )
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *map(str, (*given, *arguments))],
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        started.append(process)
        return process, process.stdout.readline()

    async def begin(*arguments):
        token = TokenBook(tokens).add("alice")
        async with asyncio.timeout(60):
            process, line = await asyncio.to_thread(launch, *arguments)
        assert line, log.read_text()
        return Process(process, json.loads(line), token, log)

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def fuzzed_messages():
    """How many; a soak sets more."""
    return int(os.environ.get("FUZZED_MESSAGES", "3000"))
