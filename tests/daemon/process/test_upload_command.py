"""``foretype upload`` beside a real collector on this machine: what would go, what goes, and what is taken back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from capture.collector.index import Sealing
from capture.collector.opening import open_from
from capture.collector.parts import read_parts
from capture.snapshot.parts import Region
from capture.store.store import Store

PORT_ANY = "127.0.0.1:0"


class RunningCollector:
    """``foretype collect`` in plain text, with one client's token; it keeps its port when it is started again."""

    def __init__(self, world):
        self._world = world
        self._tokens = world.root / "tokens.json"
        self.data = world.root / "collected"
        self.token_file = world.root / "token"
        made = world.foretype("collect", "token", "add", "tests", "--tokens", str(self._tokens))
        assert made.returncode == 0, made.stderr
        self.token_file.touch(0o600)
        self.token_file.write_text(made.stdout)
        self._process = None
        self.address = PORT_ANY

    def start(self):
        words = ["collect", "--listen", self.address, "--data", str(self.data), "--plain-text", "--json"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "daemon.main", *words, "--tokens", str(self._tokens)],
            env=self._world.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self._process.stdout.readline()
        assert line, "the collector ended"
        self.address = json.loads(line)["listening"]

    def stop(self):
        if self._process is None:
            return
        self._process.terminate()
        assert self._process.wait(20) == 0
        self._process.stdout.close()
        self._process = None

    def contents(self):
        """What it keeps, by id. It is stopped for that: one at a time has its index open."""
        was_running = self._process is not None
        self.stop()
        asyncio.run(sealed(self.data))
        kept = {json.loads(line)["id"]: line for line in read_parts(str(self.data))}
        if was_running:
            self.start()
        return kept


async def sealed(data):
    storage = await open_from([str(data)])
    await storage.keep_up(Sealing(size_bytes=0, age_seconds=0.0))
    await storage.close()


@pytest.fixture
def collector(world):
    made = RunningCollector(world)
    made.start()
    world.write_settings(
        f"[upload]\ncollector = '{made.address}'\ntoken_file = '{made.token_file}'\nplain_text = true\n"
        "on_battery = true\n"
    )
    yield made
    made.stop()


@pytest.fixture
def run(world):
    """Run ``foretype`` and give what it printed; it must end well, and its JSON be JSON."""

    def call(*arguments):
        done = world.foretype(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return call


@pytest.fixture
def agreed(world, run):
    """The id of the world's project, for which somebody agreed to upload."""
    return run("consent", "grant", str(world.project), "--scope", "upload", "--yes", "--json")["workspace_id"]


@pytest.fixture
def keep(world, samples):
    """Store settled snapshots, made so many seconds after now, and give them."""

    def put(*workspace_ids, after_seconds=1.0, **changes):
        store = Store(world.data / "foretype" / "snapshots" / "snapshots.sqlite3", disk=lambda _: samples.LARGE_DISK)
        at = time.time() + after_seconds
        made = [
            samples.sample(workspace_id=one, created_at=at, finalised_at=at + 10, **changes) for one in workspace_ids
        ]
        for snapshot in made:
            assert store.submit(snapshot).result(20).id == snapshot.id
        assert store.close()
        return made

    return put


def test_without_a_collector_nothing_is_sent_and_the_settings_are_named(world, agreed, keep):
    keep(agreed)
    done = world.foretype("upload", "--once")
    assert done.returncode == 1
    assert "[upload]" in done.stderr
    assert not (world.data / "foretype" / "uploads").exists()


def test_a_dry_run_prints_what_would_go_byte_for_byte_and_sends_nothing(world, collector, agreed, keep):
    going = keep(agreed, agreed)
    staying = [*keep(agreed, state="unsettled", **unsettled()), *keep("f" * 32), *keep(agreed, after_seconds=-60)]
    excluded = keep(agreed, path="src/.env.py")
    done = world.foretype("upload", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.encode() == b"".join(one.canonical_bytes() + b"\n" for one in going)
    assert f"would go to {collector.address}" in done.stderr
    assert "1 would stay here: excluded" in done.stderr
    assert "1 stay here: they are older than the consent" in done.stderr
    told = json.loads(world.foretype("upload", "--dry-run", "--json").stdout)
    assert [one["id"] for one in told["snapshots"]] == [one.id for one in going]
    assert told["withheld"] == {excluded[0].id: "excluded"}
    assert len(staying) == 3
    assert collector.contents() == {}
    assert not (world.data / "foretype" / "uploads").exists()  # not even a name to send under


@pytest.mark.parametrize("by_link", [False, True])
def test_what_lies_in_a_folder_that_was_disabled_since_stays(world, collector, agreed, keep, by_link):
    (world.project / "src").mkdir()
    keep(agreed, path="src/sums.py")
    (going,) = keep(agreed, path="other/sums.py", inputs=elsewhere(keep(agreed, path="src/a.py")[0]))
    named = world.root / "link"
    named.symlink_to(world.project)
    folder = (named if by_link else world.project) / "src"
    settings = world.settings_path.read_text()
    world.write_settings(f"disabled_folders = ['{folder}']\n{settings}")
    told = json.loads(world.foretype("upload", "--dry-run", "--json").stdout)
    assert [one["id"] for one in told["snapshots"]] == [going.id]
    assert set(told["withheld"].values()) == {"excluded"}
    assert len(told["withheld"]) == 2


def test_what_may_go_goes_once_and_the_rest_stays(run, collector, agreed, keep):
    going = keep(agreed, agreed, agreed)
    keep("f" * 32)
    first = run("upload", "--once", "--json")
    assert (first["sent"], first["duplicates"], first["failure"]) == (3, 0, "")
    assert first["left"]["waiting"] == 0
    assert run("upload", "--once").startswith("0 sent, 0 wait")
    assert collector.contents() == {one.id: one.canonical_bytes() for one in going}


def test_a_collector_that_is_away_costs_nothing_but_time(world, run, collector, agreed, keep):
    (snapshot,) = keep(agreed)
    collector.stop()
    done = world.foretype("upload", "--once")
    assert done.returncode == 1
    assert collector.address in done.stderr
    assert "0 sent, 1 wait" in done.stdout
    collector.start()
    assert run("upload", "--once").startswith("1 sent, 0 wait")
    assert collector.contents().keys() == {snapshot.id}


def test_a_purge_deletes_at_the_collector_too_under_whatever_id_it_was_sent(run, collector, agreed, keep):
    keep(agreed)
    run("upload", "--once")
    run("upload", "--rotate")
    keep(agreed)
    run("upload", "--once")
    assert len(collector.contents()) == 2
    assert "the collector deleted 2" in run("snapshots", "purge", "--workspace", agreed, "--yes")
    assert collector.contents() == {}


def test_a_purge_while_the_collector_is_away_is_made_up_for_before_anything_is_sent(
    world, run, collector, agreed, keep
):
    keep(agreed)
    run("upload", "--once")
    collector.stop()
    assert "could not be asked to delete them yet" in run("snapshots", "purge", "--all", "--yes")
    (later,) = keep(agreed)
    collector.start()
    assert run("upload", "--once", "--json")["deleted"] == 1
    assert collector.contents().keys() == {later.id}


def test_who_takes_consent_back_and_purges_is_forgotten_by_the_collector(world, run, collector, agreed, keep):
    keep(agreed)
    run("upload", "--once")
    run("consent", "revoke", str(world.project), "--purge")
    assert collector.contents() == {}
    keep(agreed)
    assert run("upload", "--once").startswith("0 sent")
    assert collector.contents() == {}


def test_a_hub_sends_by_itself_and_status_says_how_it_stands(world, collector, agreed, keep, changed):
    (snapshot,) = keep(agreed)
    world.editor().initialize()
    status = changed(world.status, lambda hub: hub["upload"]["state"] in ("filling", "idle"))["upload"]
    assert status["target"] == collector.address
    assert status["backlog"]["waiting"] + status["backlog"]["uploaded"] == 1
    assert collector.address in world.foretype("status").stdout
    assert world.foretype("upload", "--once").returncode == 0  # and need not wait for the hub's batch to fill
    assert collector.contents().keys() == {snapshot.id}


def test_the_doctor_names_a_token_that_others_may_read(world, collector, run):
    assert any(one["subject"] == "upload" and one["verdict"] == "ok" for one in doctor(world))
    collector.token_file.chmod(0o644)
    (finding,) = [one for one in doctor(world) if one["subject"] == "upload"]
    assert finding["verdict"] == "warning"
    assert "chmod 600" in finding["text"]


def doctor(world):
    return json.loads(world.foretype("doctor", "--json").stdout)["findings"]


def elsewhere(snapshot):
    """The inputs of a snapshot without a file of ``src``."""
    return replace(snapshot.inputs, cursor_path="other/sums.py", events=())


def unsettled():
    first_row = "total = 1\n"
    region = Region(0, len(first_row), first_row, text_unsettled=first_row)
    return {"region": region, "kept_rate": None}
