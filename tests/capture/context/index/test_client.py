"""The symbol index as the hub uses it: a real worker process over real files, followed while they change."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import psutil
import pytest

from capture.context.definitions import Definition, Identifier
from capture.context.index.client import IndexState, SymbolIndex
from capture.context.index.messages import IndexLimits, IndexProgress, Request
from capture.context.index.process import WORKER_COMMAND, WORKING_FOLDER
from capture.editing.positions import Position
from daemon.engine.restarts import RestartPolicy, Restarts

WATCHED_WORKER = (sys.executable, "-m", "tests.capture.context.index.watched_worker")
AREA = "def area(side):\n    return side * side\n"


async def test_definitions_come_from_other_files_with_their_rows_and_text(write, open_index):
    one = await open_index(write({"lib/shapes.py": f"import math\n\n{AREA}", "app.py": "area(2)\n"}))
    found = await one.index.definitions(
        one.path("app.py"), [Identifier("area", Position(0, 0)), Identifier("nothing", Position(0, 5))]
    )
    expected = Definition("area", one.path("lib/shapes.py"), 2, AREA, kind="function", source="lsp")
    assert found == {"area": [expected]}
    assert one.progress == IndexProgress(2, 2, 1, one.progress.table_bytes, is_ready=True, is_watching=True)


async def test_nothing_of_ignored_secret_excluded_or_linked_files_is_ever_found(write, open_index, tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text(AREA.replace("area", "linked"))
    root = write(
        {
            "seen.py": AREA,
            "build/gen.py": "def ignored(): pass\n",
            ".gitignore": "build/\n",
            ".env.py": "def secret(): pass\n",
            "private/own.py": "def excluded(): pass\n",
        }
    )
    (root / "link.py").symlink_to(outside)
    one = await open_index(root, exclude_globs=["/private"])
    for name in ("ignored", "secret", "excluded", "linked"):
        assert await one.find(name) == ()
    assert len(await one.find("area")) == 1
    assert one.progress.files_total == 1


async def test_changes_on_disk_are_followed(write, open_index):
    one = await open_index(write({"a.py": AREA, "keep.py": "def kept(): pass\n"}))
    (one.root / "a.py").write_text("\n" + AREA)
    await one.until_at("area", [("a.py", 1)])
    (one.root / "b.py").write_text(AREA)
    await one.until_at("area", [("a.py", 1), ("b.py", 0)])
    (one.root / "a.py").rename(one.root / "c.py")
    await one.until_at("area", [("b.py", 0), ("c.py", 1)])
    (one.root / "b.py").unlink()
    await one.until_at("area", [("c.py", 1)])
    assert await one.places("kept") == [("keep.py", 0)]


async def test_folders_that_come_move_and_go_are_followed(write, open_index):
    one = await open_index(write({"keep.py": "def kept(): pass\n"}))
    write({"new/deep/a.py": AREA})
    await one.until_at("area", [("new/deep/a.py", 0)])
    await one.ready()
    write({"new/deep/b.py": AREA})
    await one.until_at("area", [("new/deep/a.py", 0), ("new/deep/b.py", 0)])
    (one.root / "new").rename(one.root / "old")
    await one.until_at("area", [("old/deep/a.py", 0), ("old/deep/b.py", 0)])
    await one.ready()
    shutil.rmtree(one.root / "old")
    await one.until_at("area", [])
    assert await one.places("kept") == [("keep.py", 0)]


async def test_a_file_whose_name_is_no_unicode_does_not_end_the_watching(write, open_index):
    one = await open_index(write({"a.py": AREA}))
    write({os.fsdecode(b"\xff.py"): AREA})
    await one.until(lambda: not one.progress.is_watching)
    await one.ready()
    (one.root / "b.py").write_text(AREA)
    await one.until_at("area", [("a.py", 0), ("b.py", 0)])


async def test_a_changed_ignore_file_takes_files_out_and_back_in(write, open_index):
    one = await open_index(write({"a.py": AREA, "sub/b.py": AREA}))
    write({".gitignore": "sub/\n"})
    await one.until_at("area", [("a.py", 0)])
    (one.root / ".gitignore").unlink()
    await one.until_at("area", [("a.py", 0), ("sub/b.py", 0)])


async def test_the_text_of_an_open_document_wins_over_the_disk(write, open_index):
    one = await open_index(write({"a.py": AREA}))
    text = "\n\n" + AREA
    one.index.note_open(one.path("a.py"), lambda: text)
    await one.until_at("area", [("a.py", 2)])
    (one.root / "a.py").write_text("# on disk\n")
    text = "\n" + AREA
    one.index.note_open(one.path("a.py"), lambda: text)
    await one.until_at("area", [("a.py", 1)])
    one.index.note_closed(one.path("a.py"))
    await one.until_at("area", [])


async def test_the_text_is_told_once_for_many_keys(write, open_index):
    one = await open_index(write({"a.py": AREA}), text_seconds=0.05)
    reads = 0

    def read_text() -> str:
        nonlocal reads
        reads += 1
        return "\n" + AREA

    for _ in range(100):
        one.index.note_open(one.path("a.py"), read_text)
    await one.until_at("area", [("a.py", 1)])
    assert reads == 1


async def test_a_killed_worker_is_replaced_and_knows_what_it_knew(write, open_index):
    one = await open_index(write({"a.py": AREA, "b.py": "def other(): pass\n"}))
    one.index.note_open(one.path("b.py"), lambda: "\ndef other(): pass\n")
    await one.until_at("other", [("b.py", 1)])
    first = one.index.process_id
    os.kill(first, signal.SIGKILL)
    await one.until_at("area", [("a.py", 0)])
    await one.until_at("other", [("b.py", 1)])
    assert one.index.process_id not in (None, first)
    assert one.index.failure is None


async def test_a_question_that_dies_with_its_worker_is_answered_with_nothing(write, open_index):
    one = await open_index(write({"a.py": AREA}))
    os.kill(one.index.process_id, signal.SIGSTOP)
    question = asyncio.create_task(one.find("area"))
    await asyncio.sleep(0)
    os.kill(one.index.process_id, signal.SIGKILL)
    assert await question == ()


async def test_a_worker_that_keeps_dying_is_given_up_with_a_reason(write, open_index):
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    ended = asyncio.Event()
    restarts = Restarts(RestartPolicy(fatal_deaths=4))

    def pause_after_death(now: float) -> float | None:
        pause_seconds = restarts.record(now)
        if pause_seconds is None:
            ended.set()
        return pause_seconds

    one = await open_index(
        write({"a.py": AREA}),
        wait=False,
        command=(sys.executable, "-c", "raise SystemExit(3)"),
        pause_after_death=pause_after_death,
        clock=lambda: 0.0,
        sleep=sleep,
    )
    async with asyncio.timeout(60):
        await ended.wait()
    await asyncio.sleep(0)
    assert pauses == [1.0, 2.0, 4.0]
    assert one.index.state is IndexState.FAILED
    assert "exit code 3" in one.index.failure
    assert await one.find("area") == ()


async def test_a_worker_that_cannot_be_started_counts_as_dead(write, open_index):
    ended = asyncio.Event()

    def never_again(_now: float) -> None:
        ended.set()

    one = await open_index(write({}), wait=False, command=("/nonexistent",), pause_after_death=never_again)
    async with asyncio.timeout(60):
        await ended.wait()
    await asyncio.sleep(0)
    assert "could not be started" in one.index.failure


async def test_closing_leaves_no_process_whatever_it_is_doing(write, open_index):
    root = write({f"{number}.py": AREA * 50 for number in range(200)})
    one = await open_index(root, wait=False)
    await one.until(lambda: one.progress.files_total > 0)
    process = psutil.Process(one.index.process_id)
    await one.index.close()
    assert not process.is_running()
    assert await one.find("area") == ()


@pytest.mark.parametrize("turns", range(12))
async def test_closing_while_the_worker_starts_leaves_nothing(write, open_index, turns):
    one = await open_index(write({"a.py": AREA}), wait=False)
    for _ in range(turns):
        await asyncio.sleep(0)
    await one.index.close()
    assert not psutil.Process().children()


async def test_before_it_is_started_there_is_nothing(write, open_index, tmp_path):
    index = SymbolIndex(str(tmp_path), log=None, pause_after_death=lambda _now: None)
    assert index.state is IndexState.NEW
    assert await index.definitions("/a.py", [Identifier("area", Position(0, 0))]) == {}
    await index.close()


def test_a_glob_that_is_not_valid_is_said_at_once(tmp_path):
    with pytest.raises(ValueError):
        SymbolIndex(str(tmp_path), log=None, pause_after_death=lambda _now: None, exclude_globs=["!"])


async def test_a_workspace_that_does_not_exist_is_empty_and_a_note_says_that_nothing_is_followed(tmp_path, open_index):
    one = await open_index(tmp_path / "gone", wait=False)
    await one.until(lambda: one.progress.is_ready)
    assert one.progress.files_total == 0
    assert any("not followed" in note for note in one.progress.notes)


async def test_it_opens_no_connection_and_writes_nothing(write, open_index, tmp_path):
    root = write({f"{number}.py": AREA for number in range(20)} | {"a.go": "package a\n", "b.rs": "fn b() {}\n"})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    one = await open_index(root, command=WATCHED_WORKER)
    one.index.note_open(one.path("0.py"), lambda: "\n" + AREA)
    await one.until_at("area", [("0.py", 1), *((f"{number}.py", 0) for number in (1, 10, 11))])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert one.index.failure is None


async def test_the_worker_gives_way_to_everybody_else(write, open_index):
    one = await open_index(write({"a.py": AREA}))
    assert psutil.Process(one.index.process_id).nice() == 19


def test_the_worker_ends_with_its_input_even_while_it_reads(write):
    root = write({f"{number}.py": AREA * 200 for number in range(200)})
    worker = subprocess.Popen(
        WORKER_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=WORKING_FOLDER
    )
    start = {"op": Request.START, "root": str(root), "exclude_globs": [], "limits": IndexLimits().to_json()}
    worker.stdin.write(orjson.dumps(start) + b"\n")
    worker.stdin.flush()
    assert orjson.loads(worker.stdout.readline())["kind"] == "progress"
    worker.stdin.close()
    assert worker.wait(timeout=60) == 0
    worker.stdout.close()


async def test_a_fault_costs_one_message_and_shows_no_text(write, open_index, caplog):
    caplog.set_level("INFO", logger="tests.index")
    one = await open_index(write({"a.py": AREA}))
    one.index._process.tell({"op": "PlantedMarker", "path": "PlantedMarker"})
    assert await one.places("area") == [("a.py", 0)]
    await one.index.close()
    assert "ValueError in the index worker" in caplog.text
    assert "PlantedMarker" not in caplog.text


async def test_a_text_that_takes_too_long_to_parse_holds_up_nothing_else(write, open_index):
    endless = "a<b(" * 50_000  # 200 kB of brackets that nobody closes: minutes, for a shell's grammar
    one = await open_index(write({"stalled.sh": endless, "z.sh": "good() { echo; }\n"}))
    first = one.index.process_id
    assert await one.places("good", "asking.sh") == [("z.sh", 0)]
    assert (one.progress.files_given_up, one.progress.files_done) == (1, 2)
    one.index.note_open(one.path("typed.sh"), lambda: endless)
    await one.until(lambda: one.progress.files_given_up == 2)
    for keys in range(20):
        one.index.note_open(one.path("typed.sh"), lambda typed="(" * keys: endless + typed)
        assert await one.places("good", "asking.sh") == [("z.sh", 0)]
    one.index.note_closed(one.path("typed.sh"))
    await one.until(lambda: one.progress.files_given_up == 1)
    assert any("too long" in note for note in one.progress.notes)
    assert one.index.process_id == first


async def test_many_files_changed_at_once_are_all_followed(write, open_index):
    one = await open_index(write({f"{number}.py": f"def old_{number}(): pass\n" for number in range(300)}))
    write({f"{number}.py": f"def new_{number}(): pass\n" for number in range(300)})

    async def all_are_new() -> bool:
        names = [Identifier(f"new_{number}", Position(0, 0)) for number in range(0, 300, 10)]
        return len(await one.index.definitions(one.path("x.py"), names)) == len(names)

    await one.until(all_are_new)
    assert one.progress.symbols == 300


async def test_the_table_keeps_its_bound_in_the_worker_too(write, open_index):
    root = write({f"{number}.py": AREA for number in range(300)})
    one = await open_index(root, limits=IndexLimits(table_bytes=100_000))
    assert one.progress.table_bytes <= 100_000
    assert any("left out" in note for note in one.progress.notes)


def test_the_working_folder_is_ours():
    assert (Path(WORKING_FOLDER) / "capture" / "context" / "index" / "worker.py").exists()
