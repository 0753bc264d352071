"""A store with consent, a collector that answers by script, certificates made for the occasion, time that is stepped."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib.util
import random
import sys
import uuid
from pathlib import Path

import grpc
import pytest
import trustme

from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.inputs import ExcerptRanges, PredictionInputs, Span
from capture.snapshot.parts import PredictionRecord, Region
from capture.snapshot.snapshot import Snapshot
from capture.store.answers import Stored
from capture.store.store import Store
from capture.store.writer import Disk
from capture.upload.identity import Installs
from capture.upload.outbox import Outbox
from capture.upload.target import Target
from capture.upload.uploader import Uploader

HERE = Path(__file__).parent
TOKEN = "ft-token-of-the-tests-0123456789"
PATIENCE_SECONDS = 20
GRANTED_AT = 1_700_000_000.0
BEGINNING = 1_800_000_000.0


@pytest.fixture(scope="session")
def scripted():
    """The module that plays collectors."""
    specification = importlib.util.spec_from_file_location("scripted_collector", HERE / "scripted_collector.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def credentials_of():
    """What a server needs to show a certificate made by trustme; a client's is asked for where an authority is given."""

    def make(certificate, clients_authority=None):
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        roots = None if clients_authority is None else clients_authority.cert_pem.bytes()
        return grpc.ssl_server_credentials(
            [(certificate.private_key_pem.bytes(), chain)], roots, clients_authority is not None
        )

    return make


@pytest.fixture(scope="session")
def long_ago():
    """When a certificate that has expired was valid."""
    return {
        "not_before": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        "not_after": dt.datetime(2020, 2, 1, tzinfo=dt.UTC),
    }


@pytest.fixture
async def start_collector(scripted, authority, credentials_of):
    """Start a collector, over TLS with a certificate for 127.0.0.1 unless said otherwise."""
    started = []

    async def start(credentials="ours", **options):
        if credentials == "ours":
            credentials = credentials_of(authority.issue_cert("127.0.0.1", "localhost"))
        collector = await scripted.ScriptedCollector(credentials, **options).start()
        started.append(collector)
        return collector

    yield start
    for collector in started:
        await collector.close()


@pytest.fixture
async def collector(start_collector):
    return await start_collector()


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def authority_file(tmp_path, authority):
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def target_of(token_file, authority_file):
    """The target that names a collector."""

    def make(collector, **changes):
        values = {"token_file": str(token_file), "ca_file": str(authority_file), **changes}
        return Target(collector if isinstance(collector, str) else collector.address, **values)

    return make


def make_snapshot(characters=100, **changes):
    """A settled snapshot; its canonical bytes are about as many as its code has characters, and hardly compress."""
    seed = changes.pop("seed", None)
    code = "".join(
        random.Random(seed).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/", k=characters)
    )
    inputs = PredictionInputs(
        cursor_path="src/sums.py",
        cursor_excerpt="total = 1\n" + code,
        cursor_offset_in_excerpt=9,
        excerpt_ranges=ExcerptRanges({"editable_150": Span(0, 10)}),
        excerpt_start_row=0,
    )
    values = {
        "id": uuid.uuid4().hex,
        "state": "settled",
        "created_at": BEGINNING,
        "finalised_at": BEGINNING + 10,
        "language_id": "python",
        "path": "src/sums.py",
        "prompt_format": "line_edits",
        "model": "embedded",
        "client_name": "Neovim",
        "inputs": inputs,
        "region": Region(0, 10, "total = 1\n", text_settled="total = 3\n"),
        "prediction": PredictionRecord(new_region_text="total = 2\n", confidence=0.75, seconds=0.1),
        "outcome": "accepted",
        "shown_after_ms": 120,
        "decided_after_ms": 900,
    }
    return Snapshot(**{**values, **changes})


class Home:
    """One machine: a store, consent to upload for one project, and what is sent under which name."""

    def __init__(self, folder):
        self.folder = folder
        project = folder / "project"
        project.mkdir(parents=True)
        self.store = Store(folder / "snapshots.sqlite3", disk=lambda _: Disk(1 << 50, 1 << 50))
        self.consents = ConsentBook(folder / "consent.json", PolicyFile(folder / "policy.json"), lambda: GRANTED_AT)
        self.project = project
        self.workspace_id = self.consents.grant(str(project), "upload").workspace_id
        self.outbox = Outbox(self.store, self.consents, lambda _: "")
        self.installs = Installs(folder / "installs.json")

    def put(self, number=1, characters=100, **changes):
        """Store snapshots and return their ids."""
        made = [make_snapshot(characters, workspace_id=self.workspace_id, **changes) for _ in range(number)]
        for first in range(0, number, 64):  # more than the store lets wait would be refused
            for future in [self.store.submit(one) for one in made[first : first + 64]]:
                assert isinstance(future.result(PATIENCE_SECONDS), Stored)
        return [one.id for one in made]

    async def backlog(self):
        return await self.outbox.backlog()

    async def assert_all_arrived_once(self, collector, ids):
        """These ids and no other are at the collector, and the store knows it."""
        assert set(collector.stored) == set(ids)
        backlog = await self.backlog()
        assert (backlog.uploaded, backlog.waiting, backlog.leased) == (len(ids), 0, 0)

    def close(self):
        self.outbox.close()
        assert self.store.close(within_seconds=PATIENCE_SECONDS)


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    yield home
    home.close()


class SteppedClock:
    """Time that stands still until a test lets it pass: `rest` is what the uploader waits for, `let_pass` ends it."""

    def __init__(self):
        self.seconds = 1000.0
        self.wall_seconds = BEGINNING + 1_000_000
        self._rests = asyncio.Queue()
        self._passed = None

    def monotonic(self):
        return self.seconds

    def now(self):
        return self.wall_seconds

    async def wait(self, event, seconds):
        passed = self._passed = asyncio.Event()
        self._rests.put_nowait(seconds)
        waiting = {asyncio.create_task(event.wait()), asyncio.create_task(passed.wait())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.wait(waiting)

    async def rest(self):
        """The seconds of the next rest, once the uploader has come to it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._rests.get()

    def let_pass(self, seconds):
        """That rest is over, and so much time has passed."""
        self.seconds += seconds
        self.wall_seconds += seconds
        self._passed.set()

    async def run_until(self, condition, turns=1000, at_least=0.0):
        """Let the uploader go on, without any real time passing, until the condition holds when it rests."""
        for _ in range(turns):
            seconds = await self.rest()
            if condition():
                return
            self.let_pass(max(seconds or 0.0, at_least))
        raise AssertionError(f"still not so after {turns} turns")


@pytest.fixture
async def clock():
    return SteppedClock()


@pytest.fixture
async def make_uploader(home, clock):
    """An uploader of ``home`` to a target; ``start`` runs it, and it is closed when the test ends."""
    made = []

    def make(target, *, client=None, **options):
        options = {"quiet_seconds": lambda: 60.0, "may_send": lambda: "", "random": lambda: 0.5, **options}
        if client is not None:
            options["new_client"] = client
        uploader = Uploader(
            target if callable(target) else lambda: target,
            options.pop("outbox", home.outbox),
            home.installs,
            clock=options.pop("clock", clock),
            **options,
        )
        made.append(uploader)
        return uploader

    yield make
    for uploader in made:
        await uploader.close()


@pytest.fixture
async def run(make_uploader):
    """Make an uploader and let it run."""
    tasks = []

    def start(target, **options):
        uploader = make_uploader(target, **options)
        tasks.append(asyncio.create_task(uploader.run()))
        return uploader

    yield start
    for task in tasks:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
