"""The upload benchmark: what it sends, that nothing which is missing goes unseen, and that it leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import orjson
import psutil
import pytest

from bench import upload
from bench.uploading import rounds, soak
from bench.uploading.payload import Payload
from bench.uploading.rounds import Figures, Lost
from bench.uploading.samples import contents, snapshots
from bench.uploading.soak import Look
from capture.collector.checks import check_snapshots
from capture.store import stored
from capture.wire import snapshots_pb2 as wire

REPOSITORY = Path(__file__).parents[2]
LIMIT_SECONDS = 120


@pytest.fixture(scope="module")
def made():
    return snapshots(60, 20_000)


@pytest.fixture(scope="module")
def payload(tmp_path_factory):
    return Payload.made_in(tmp_path_factory.mktemp("upload") / "payload", 30, 4_000)


@pytest.fixture
def bench(tmp_path):
    """Start the benchmark; it works in ``tmp_path``, and whatever it started has that in its command line."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "bench.upload", "--folder", tmp_path, *map(str, arguments)]
        process = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for process in of_the_bench(tmp_path):
        process.kill()


def of_the_bench(folder):
    """Running processes that name a file below ``folder``."""
    below = f"{folder}{os.sep}"
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(below in part for part in process.info["cmdline"] or ())
    ]


def result_of(process):
    output, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0, errors
    return output, orjson.loads(output.splitlines()[-1])


# --- what is sent ---


def test_the_snapshots_are_those_that_a_collector_takes_and_of_the_size_that_was_asked_for(made):
    spelled = [(one, one.canonical_bytes()) for one in made]
    messages = [
        wire.Snapshot(id=one.id, schema_version=1, sha256=hashlib.sha256(content).digest(), content=content)
        for one, content in spelled
    ]
    arrivals, refused = check_snapshots(messages)
    assert (len(arrivals), refused) == (60, [])
    assert all(18_000 < len(content) <= 20_000 for _, content in spelled)
    assert len({content for _, content in spelled}) == 60


def test_the_snapshots_are_the_same_in_every_process(made):
    code = (
        "from hashlib import sha256\n"
        "from bench.uploading.samples import snapshots\n"
        "print(sha256(b''.join(one.canonical_bytes() for one in snapshots(60, 20_000))).hexdigest())"
    )
    command, env = [sys.executable, "-c", code], {**os.environ, "PYTHONHASHSEED": "1"}
    printed = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == hashlib.sha256(b"".join(one.canonical_bytes() for one in made)).hexdigest()


def test_more_snapshots_than_moments_come_under_other_ids_and_stay_canonical(made):
    found = list(contents(made[:3], 8))
    assert len({snapshot_id for snapshot_id, _ in found}) == 8
    assert [content for _, content in found[:3]] == [one.canonical_bytes() for one in made[:3]]
    messages = [
        wire.Snapshot(id=snapshot_id, schema_version=1, sha256=hashlib.sha256(content).digest(), content=content)
        for snapshot_id, content in found
    ]
    assert check_snapshots(messages)[1] == []


def test_lines_names_and_store_of_a_payload_hold_the_same(payload, tmp_path):
    payload.copy_store(tmp_path)
    sent = {one.id: one for one in payload.outgoing()}
    with stored.reading(tmp_path / "snapshots.sqlite3") as database:
        in_store = {one.id: stored.content(database, one.id) for one in stored.summaries(database)}
    assert in_store == {snapshot_id: one.content for snapshot_id, one in sent.items()}
    assert all(hashlib.sha256(one.content).hexdigest() == one.sha256 for one in sent.values())
    assert payload.digests() == {bytes.fromhex(one.sha256) for one in sent.values()}
    assert payload.content_bytes == sum(map(len, in_store.values()))


# --- what arrived ---


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda lines: lines[1:], "1 of 30 snapshots did not arrive"),
        (lambda lines: [*lines, lines[0]], "arrived twice"),
        (lambda lines: [lines[0].replace(b"settled", b"Settled", 1), *lines[1:]], "not sent"),
        (lambda lines: [*lines, b"{}"], "not sent"),
    ],
)
def test_what_is_missing_doubled_changed_or_invented_is_seen(payload, tmp_path, change, complaint):
    lines = payload.lines.read_bytes().splitlines()
    rounds.check(replace(rounds.OTLP, received=lambda _: iter(reversed(lines))), payload, tmp_path)
    with pytest.raises(Lost, match=complaint):
        rounds.check(replace(rounds.OTLP, received=lambda _: iter(change(lines))), payload, tmp_path)


# --- figures ---


def test_rates_are_compared_by_their_medians():
    def figures(way, seconds):
        return Figures(way, 100, 2_000_000, seconds, 0.5, 1, 0.25, 2)

    summary = upload.summarise(
        [figures("store", 1.0), figures("otlp", 0.5), figures("otlp", 0.25), figures("otlp", 50.0)]
    )
    assert summary["times_the_rate_of_otlp"] == {"store": 0.5}
    assert summary["ways"]["otlp"]["snapshots_per_second"] == {"median": 200.0, "least": 2.0, "largest": 400.0}
    assert summary["ways"]["store"]["client_cpu_ms_per_snapshot"]["median"] == 5.0
    assert summary["ways"]["otlp"]["snapshots_found"] == 300


def test_a_soak_says_how_memory_grew_after_the_first_tenth():
    looks = [Look(at, at * 1000, (500 if at else 100) + 2 * at * 1000, 7) for at in range(101)]
    result = soak.summarise(looks, removed_bytes=11)
    assert result["rss_bytes_per_snapshot"] == 2.0
    assert result["rss_first_tenth_median_bytes"] == 500 + 2 * 5_000
    assert result["rss_last_tenth_median_bytes"] == 500 + 2 * 95_000
    assert result["snapshots_per_second"] == 1000.0


# --- the whole ---


def test_a_small_run_finds_all_of_every_way_and_ends_with_one_json_line(bench, tmp_path):
    _, result = result_of(bench("--snapshots", 40, "--rounds", 1, "--searched", 4))
    found = {name: figures["snapshots_found"] for name, figures in result["ways"].items()}
    assert found == {"store": 40, "memory": 40, "otlp": 40, "hub": 4}
    assert set(result["times_the_rate_of_otlp"]) == {"store", "memory", "hub"}
    for figures in result["ways"].values():
        assert figures["client_peak_rss_bytes"]["median"] > 2**20
        assert figures["server_peak_rss_bytes"]["median"] > 2**20
    assert {"commit", "machine", "snapshots_per_call", "content_bytes"} <= set(result)
    assert of_the_bench(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_small_soak_finds_all_snapshots_and_ends_with_one_json_line(bench, tmp_path):
    output, result = result_of(bench("--soak", 1_500, "--delete-sealed"))
    assert result["soak_snapshots"] == 1_500
    assert result["rss_peak_bytes"] > 2**20
    assert "collector MiB" in output
    assert of_the_bench(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_interrupted_leaves_no_process_and_no_file_behind(bench, tmp_path, number):
    process = bench("--snapshots", 40, "--rounds", 1_000, "--searched", 0)
    limit = time.monotonic() + LIMIT_SECONDS
    while not of_the_bench(tmp_path):
        assert time.monotonic() < limit
        with pytest.raises(subprocess.TimeoutExpired):  # it goes on meanwhile
            process.wait(timeout=0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert errors == "interrupted\n"
    assert of_the_bench(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
