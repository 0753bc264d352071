"""A team: machines whose hubs capture and upload, a collector to be killed, and what both of them hold in the end.

What a collector holds is read here with SQLite and zstd themselves, besides the collector's own way of reading it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import trustme
import zstandard

from capture.collector.index import Sealing
from capture.collector.opening import open_from
from capture.collector.parts import read_parts
from capture.store import stored
from tests.daemon.process.conftest import new_world
from tests.e2e.capturing_machine import CapturingMachine, await_ready
from tests.e2e.typing_window import TypingWindow, text_of_file

HERE = Path(__file__).parent
PATIENCE_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 0.1
COUNTED_PER_SECOND = 20_000.0  # so that a long run does not count all the time
STOP_SECONDS = 30.0
SPEED = 20.0  # of the uploader's clock: a back-off of five minutes is one of fifteen seconds
CALL_SECONDS = 3.0  # before a call is given up
PART_BYTES = 256 * 1024
SETTLE_SECONDS = 0.05
SMALLEST_FILE_BYTES = 1024  # what a file may grow to on a disk that is full


class UploadingMachine(CapturingMachine):
    """One person's: a project that may be uploaded, and a folder whose snapshots stay."""

    def __init__(self, world, *, files, collector, token_file, ca_file):
        upload = f'[upload]\ncollector = "{collector}"\ntoken_file = "{token_file}"\nca_file = "{ca_file}"\n'
        settings = f'symbol_index = false\nsnapshots_max_mebibytes = 8192\nlog_level = "warning"\n{upload}'
        super().__init__(world, files=files, settle_seconds=SETTLE_SECONDS, settings=settings)
        self.epoch = time.time()
        self.said = []
        self.private = world.root / "private"
        self.private.mkdir()
        self.private_file = self.private / "diary.py"
        self.private_file.write_text(text_of_file(1000))
        self.workspace_id = self._agree("--scope", "upload", str(world.project))
        self.private_workspace_id = self._agree(str(self.private))

    def start_hub(self, speed=SPEED, call_seconds=CALL_SECONDS):
        hub = self._start("uploading_hub.py", str(speed), repr(self.epoch), str(call_seconds))
        await_ready(hub)
        return hub

    async def started(self, **options):
        """A hub that is ready; the test's loop goes on meanwhile."""
        return await asyncio.to_thread(self.start_hub, **options)

    async def open_private_window(self, announcements):
        return await TypingWindow(self.socket_path, self.private, announcements).open()

    def upload_status(self):
        return self.status()["upload"]

    def left(self):
        """How many settled snapshots of the project are neither uploaded nor set aside, as the store has it."""
        query = """SELECT count(*) FROM snapshot WHERE (uploaded_at IS NULL) = 1 AND workspace_id = ?
            AND state = 'settled' AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.sequence = snapshot.sequence)"""
        with stored.reading(self.store_path) as database:
            if database is None:
                return 0
            with database.reading() as connection:
                return connection.execute(query, (self.workspace_id,)).fetchone()[0]

    async def until_left(self, count, within_seconds=PATIENCE_SECONDS):
        """Return once no more than so many are left; raises TimeoutError."""
        async with asyncio.timeout(within_seconds):
            while (left := await asyncio.to_thread(self.left)) > count:  # noqa: ASYNC110 (who uploads tells nobody)
                await asyncio.sleep(LOOK_AGAIN_SECONDS + left / COUNTED_PER_SECOND)

    async def until(self, condition, within_seconds=PATIENCE_SECONDS):
        """The upload's status once it meets the condition."""
        found = None
        try:
            async with asyncio.timeout(within_seconds):
                while not condition(found := await asyncio.to_thread(self.upload_status)):  # noqa: ASYNC110 (a hub tells nobody)
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise AssertionError(f"not within {within_seconds} s: {found}") from None
        return found

    async def ended(self, hub):
        """The exit status of a hub that ends or has ended; what it wrote on standard error is added to ``said``."""
        _, said = await asyncio.to_thread(hub.communicate, timeout=STOP_SECONDS)
        self.said += said.decode(errors="replace").splitlines()
        return hub.returncode

    async def purge(self, *words):
        """As a person does."""
        purged = await asyncio.to_thread(self.world.foretype, "snapshots", "purge", "--yes", "--json", *words)
        assert purged.returncode == 0, purged.stderr

    def _agree(self, *words):
        granted = self.world.foretype("consent", "grant", "--yes", "--json", *words)
        assert granted.returncode == 0, granted.stderr
        return json.loads(granted.stdout)["workspace_id"]

    def rows(self):
        """What is in the store, by id."""
        query = """SELECT id, state, workspace_id, sha256, uploaded_at IS NOT NULL AS is_uploaded,
            (SELECT reason FROM parked WHERE parked.sequence = snapshot.sequence) AS parked FROM snapshot"""
        with stored.reading(self.store_path) as database:
            if database is None:
                return {}
            with database.reading() as connection:
                return {row["id"]: dict(row) for row in connection.execute(query).fetchall()}

    def contents(self, ids):
        """The bytes of each."""
        with stored.reading(self.store_path) as database:
            for snapshot_id in ids:
                yield snapshot_id, stored.content(database, snapshot_id)


class Collector:
    """``foretype collect`` in a process of its own: to be killed, frozen, stopped, and to find its disk full.

    ``done`` counts what was done to it; ``taken`` what its log says it took, kind by kind.
    """

    def __init__(self, world, part_bytes=PART_BYTES):
        self.world = world
        self.port = None  # while it listens
        self.data = world.root / "collected"
        self.authority_file = world.root / "ca.pem"
        self.done = Counter()
        self.taken = Counter()
        self.troubles = []  # what its log says went wrong
        self._part_bytes = part_bytes
        self._tokens = world.root / "tokens.json"
        self._chain, self._key = world.root / "chain.pem", world.root / "key.pem"
        self._changed = asyncio.Event()
        self._process = None
        self._reading = None
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(self.authority_file)
        self._chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(self._key)

    def token_file(self, name):
        """A private file with a new token."""
        made = self.world.foretype("collect", "token", "add", name, "--tokens", str(self._tokens))
        assert made.returncode == 0, made.stderr
        path = self.world.root / f"{name}.token"
        path.touch(0o600)
        path.write_text(made.stdout)
        return path

    async def start(self):
        limits = ("--snapshots-per-minute", "0", "--mebibytes-per-minute", "0")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, HERE / "sealing_collector.py", str(self._part_bytes)),
            *("collect", "--json", "--listen", "127.0.0.1:0", "--data", self.data, "--tokens", self._tokens),
            *("--certificate", self._chain, "--key", self._key, *limits),
            env={**self.world.env, "GRPC_VERBOSITY": "NONE"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read_log(self._process.stderr))
        async with asyncio.timeout(PATIENCE_SECONDS):
            said = await self._process.stdout.readline()
        assert said, self.troubles
        self.port = int(json.loads(said)["listening"].rpartition(":")[2])
        return self

    async def kill(self):
        """kill -9."""
        self.done["killed"] += 1
        self.port = None
        self._assert_alive()
        self._process.kill()
        assert await self._over() == -signal.SIGKILL

    async def stop(self):
        """As a service manager does."""
        self.done["stopped"] += 1
        self.port = None
        self._assert_alive()
        self._process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            assert await self._over() == 0, self.troubles

    def freeze(self):
        self.done["frozen"] += 1
        self._assert_alive()
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def fill_disk(self):
        """No file of it can grow from now on."""
        self.done["full"] += 1
        self._limit_files(SMALLEST_FILE_BYTES)

    def empty_disk(self):
        self._limit_files(resource.RLIM_INFINITY)

    async def until(self, kind, count):
        """Return once so many of a kind were taken, as its log says."""
        while self.taken[kind] < count:
            self._changed.clear()
            await self._changed.wait()

    def mistakes(self):
        """What is in its log besides the troubles that it names itself."""
        return [trouble for trouble in self.troubles if not trouble.startswith("{") or "nobody foresaw" in trouble]

    async def close(self):
        """Nothing of it is left."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._over()

    async def _over(self):
        status = await self._process.wait()
        await self._process.stdout.read()
        await self._reading
        return status

    def _assert_alive(self):
        assert self._process.returncode is None, (self._process.returncode, self.troubles[-20:])

    def _limit_files(self, limit_bytes):
        self._assert_alive()
        hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (limit_bytes, hard))

    async def _read_log(self, stream):
        async for line in stream:
            try:
                entry = json.loads(line)
            except ValueError:
                self.troubles.append(line.decode(errors="replace"))
                continue
            if entry["message"] == "uploaded":
                self.taken.update({kind: entry[kind] for kind in ("accepted", "duplicates")})
                self.taken.update(entry["rejected"])
            elif entry["message"] == "refused":
                self.taken[f"refused: {entry['why']}"] += 1
            elif entry["level"] in ("WARNING", "ERROR", "CRITICAL"):
                self.troubles.append(line.decode())
            self._changed.set()


class Collected:
    """All that a collector holds that has ended: the bytes of each snapshot, by id, with where they are.

    Read with SQLite and zstd; raises AssertionError where the index and the parts do not fit together, or where
    anything is there twice.
    """

    def __init__(self, data):
        self.sha256 = {}
        self.workspaces = {}
        self.parts = 0
        with contextlib.closing(sqlite3.connect(f"file:{data / 'index.sqlite3'}?mode=ro", uri=True)) as index:
            assert index.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            rows = index.execute(
                """SELECT snapshot.id, hex(snapshot.sha256), snapshot.length_bytes, part.name, part.is_sealed,
                payload.compressed FROM snapshot LEFT JOIN part ON part.number = snapshot.part
                LEFT JOIN payload USING (sequence)"""
            )
            in_parts = {}
            for snapshot_id, sha256, length_bytes, part, is_sealed, compressed in rows:
                if is_sealed:
                    assert compressed is None, "the index still has the bytes of a snapshot in a sealed part"
                    in_parts.setdefault(part, {})[snapshot_id] = (sha256, length_bytes)
                else:
                    content = zstandard.ZstdDecompressor().decompress(compressed, max_output_size=length_bytes)
                    self._add(snapshot_id, sha256, length_bytes, content)
            unsealed = {name for (name,) in index.execute("SELECT name FROM part WHERE NOT is_sealed")}
        files = {str(path.relative_to(data / "parts")): path for path in (data / "parts").rglob("*.zst")}
        assert files.keys() - unsealed == in_parts.keys(), "there are other parts than the index knows"
        for name, expected in in_parts.items():
            self.parts += 1
            for line in _lines(files[name]):
                snapshot_id = json.loads(line)["id"]
                self._add(snapshot_id, *expected.pop(snapshot_id), line)
            assert not expected, f"{name} lacks what the index says is in it"

    def _add(self, snapshot_id, sha256, length_bytes, content):
        value = json.loads(content)
        assert snapshot_id not in self.sha256, f"{snapshot_id} is there twice"
        found = hashlib.sha256(content).hexdigest()
        assert (value["id"], value["state"], len(content)) == (snapshot_id, "settled", length_bytes)
        assert found == sha256.lower()
        self.sha256[snapshot_id] = found
        self.workspaces[snapshot_id] = value["workspace_id"]


async def sealed_lines(data):
    """Every line, as whoever trains reads them, once all are in parts; for a collector that has ended."""
    storage = await open_from([str(data)])
    try:
        await storage.keep_up(Sealing(size_bytes=1, age_seconds=0.0))
    finally:
        await storage.close()
    return read_parts(str(data))


def _lines(path):
    with path.open("rb") as file:
        whole = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert whole.endswith(b"\n")
    return whole[:-1].split(b"\n")


@pytest.fixture
async def collector():
    """A collector on a machine of its own; not started."""
    with new_world() as world:
        made = Collector(world, int(os.environ.get("UPLOAD_ORACLE_PART_BYTES", str(PART_BYTES))))
        yield made
        await made.close()


@pytest.fixture
async def join(collector):
    """``await join(name, address)``: another machine of the team, that uploads to ``address``."""
    with contextlib.ExitStack() as stack:

        def make(name, address, files):
            machine = UploadingMachine(
                stack.enter_context(new_world()),
                files=files,
                collector=address,
                token_file=collector.token_file(name),
                ca_file=collector.authority_file,
            )
            stack.callback(machine.close)
            return machine

        async def joined(name, address, files=4):
            return await asyncio.to_thread(make, name, address, files)

        yield joined
