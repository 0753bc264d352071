"""The hub's symbol indexes as windows use them: real index processes over small real folders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from capture.context.definitions import Identifier
from capture.editing.positions import Position
from daemon.symbol_indexes import SymbolIndexes

PATIENCE_SECONDS = 60.0  # for a machine that does much else
NEVER_SECONDS = 3600.0


class Windows:
    """Symbol indexes with settings that a test may change, and a way to wait for what they report."""

    def __init__(self, home: Path, grace_seconds: float) -> None:
        self.exclude: list[str] = []
        self.enabled = True
        self.reports: list[tuple[str, str]] = []  # window, folder
        self._news = asyncio.Event()
        self._named: dict[str, object] = {}
        self.indexes = SymbolIndexes(
            logging.getLogger("tests.indexes"),
            lambda: self.exclude,
            lambda: self.enabled,
            grace_seconds=grace_seconds,
            text_seconds=0.0,
            home=home,
        )

    def window(self, name: str, *folders: Path):
        def note(folder: str) -> None:
            self.reports.append((name, folder))
            self._news.set()

        window = self.indexes.window(note)
        window.set_folders([str(folder) for folder in folders])
        return window

    def process_ids(self) -> list[int]:
        return [entry["process_id"] for entry in self.indexes.describe() if entry["process_id"]]

    def states(self) -> dict[str, str]:
        return {entry["folder"]: entry["state"] for entry in self.indexes.describe()}

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a report after which ``condition`` (a function or a coroutine function) holds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self._news.clear()
                held = condition()
                if await held if asyncio.iscoroutine(held) else held:
                    return
                await self._news.wait()

    async def until_found(self, window, asking: Path, name: str, places: list[tuple[Path, int]]) -> None:
        async def are_these() -> bool:
            return await rows(window, asking, name) == [(str(path), row) for path, row in places]

        await self.until(are_these)


async def rows(window, asking: Path, name: str) -> list[tuple[str, int]]:
    found = await window.definitions(str(asking), [Identifier(name, Position(0, 0))])
    return [(item.path, item.start_row) for item in found.get(name, ())]


async def gone(process_id: int) -> None:
    """Wait until a process has ended."""
    if psutil.pid_exists(process_id):
        await asyncio.to_thread(psutil.Process(process_id).wait, PATIENCE_SECONDS)


@pytest.fixture
async def make(tmp_path):
    """``make(grace_seconds=...)``: indexes that are closed after the test, with no process left."""
    made: list[Windows] = []

    def make_windows(grace_seconds: float = NEVER_SECONDS) -> Windows:
        made.append(Windows(tmp_path / "home", grace_seconds))
        return made[-1]

    yield make_windows
    for windows in made:
        await windows.indexes.close()
    assert not psutil.Process().children()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "part").mkdir(parents=True)
    (root / "a.py").write_text("def area(): pass\n")
    (root / "part" / "b.py").write_text("def body(): pass\n")
    return root


async def test_an_index_starts_with_the_first_open_document_in_its_folder_and_not_before(make, project, tmp_path):
    windows = make()
    window = windows.window("one", project)
    window.opened(str(tmp_path / "elsewhere.py"), lambda: "def far(): pass\n")
    assert windows.states() == {str(project): "not needed yet"}
    assert await rows(window, project / "a.py", "area") == []
    window.opened(str(project / "a.py"), lambda: "def area(): pass\n")
    await windows.until_found(window, project / "part" / "b.py", "area", [(project / "a.py", 0)])
    await windows.until(lambda: windows.states() == {str(project): "ready"})
    [entry] = windows.indexes.describe()
    assert (entry["files"], entry["symbols"], entry["notes"], entry["failure"]) == (2, 2, [], None)
    assert {folder for _, folder in windows.reports} == {str(project)}


async def test_two_windows_share_one_process_and_both_hear_of_it(make, project):
    windows = make()
    one, two = windows.window("one", project), windows.window("two", Path(f"{project}/"))
    one.opened(str(project / "a.py"), lambda: "def area(): pass\n")
    two.opened(str(project / "part" / "b.py"), lambda: "\ndef body(): pass\n")
    await windows.until_found(one, project / "a.py", "body", [(project / "part" / "b.py", 1)])
    await windows.until_found(two, project / "a.py", "area", [(project / "a.py", 0)])
    assert len(windows.process_ids()) == 1
    assert set(windows.reports) == {("one", str(project)), ("two", str(project))}


async def test_a_document_is_open_until_both_windows_closed_it_and_the_newest_text_counts(make, project):
    windows = make()
    texts = {"one": "\ndef area(): pass\n", "two": "\n\ndef area(): pass\n"}
    path = project / "a.py"
    one, two = windows.window("one", project), windows.window("two", project)
    one.opened(str(path), lambda: texts["one"])
    await windows.until_found(one, path, "area", [(path, 1)])
    two.opened(str(path), lambda: texts["two"])
    await windows.until_found(one, path, "area", [(path, 2)])
    texts["two"] = "\n\n\ndef area(): pass\n"
    two.changed(str(path))
    await windows.until_found(one, path, "area", [(path, 3)])
    texts["one"] = "def other(): pass\n"
    one.changed(str(path))
    two.closed(str(path))
    await windows.until_found(one, path, "other", [(path, 0)])
    await one.close()
    await windows.until_found(two, path, "area", [(path, 0)])


async def test_of_nested_folders_the_innermost_serves_a_path(make, project):
    windows = make()
    window = windows.window("one", project, project / "part")
    window.opened(str(project / "part" / "b.py"), lambda: "def body(): pass\n")
    await windows.until_found(window, project / "part" / "b.py", "body", [(project / "part" / "b.py", 0)])
    assert windows.states()[str(project)] == "not needed yet"
    window.set_folders([str(project)])
    await windows.until_found(window, project / "part" / "b.py", "area", [(project / "a.py", 0)])


async def test_a_window_that_reloads_finds_its_index_again(make, project):
    windows = make()
    window = windows.window("one", project)
    window.opened(str(project / "a.py"), lambda: "def area(): pass\n")
    await windows.until_found(window, project / "a.py", "body", [(project / "part" / "b.py", 0)])
    [process_id] = windows.process_ids()
    await window.close()
    again = windows.window("again", project)
    assert await rows(again, project / "a.py", "body") == [(str(project / "part" / "b.py"), 0)]
    assert windows.process_ids() == [process_id]


async def test_an_index_that_no_window_has_any_more_ends(make, project):
    windows = make(grace_seconds=0.0)
    one, two = windows.window("one", project), windows.window("two", project)
    one.opened(str(project / "a.py"), lambda: "def area(): pass\n")
    await windows.until(windows.process_ids)
    [process_id] = windows.process_ids()
    await one.close()
    await rows(two, project / "a.py", "area")
    assert windows.process_ids() == [process_id]
    await two.close()
    await gone(process_id)
    assert windows.indexes.describe() == []


async def test_folders_too_large_or_not_there_get_no_index_and_status_says_why(make, tmp_path):
    windows = make()
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    folders = [Path("/"), home, tmp_path / "link", tmp_path / "gone"]
    window = windows.window("one", *folders)
    for folder in folders:
        window.opened(str(folder / "a.py"), lambda: "def area(): pass\n")
    failures = {entry["folder"]: entry["failure"] for entry in windows.indexes.describe()}
    assert "whole file system" in failures["/"]
    assert "home folder" in failures[str(home)]
    assert "home folder" in failures[str(tmp_path / "link")]
    assert "no directory" in failures[str(tmp_path / "gone")]
    assert set(windows.states().values()) == {"off"}
    assert not psutil.Process().children()


async def test_what_the_settings_exclude_is_forgotten_when_they_change(make, project):
    windows = make()
    window = windows.window("one", project)
    window.opened(str(project / "a.py"), lambda: "\ndef area(): pass\n")
    await windows.until_found(window, project / "a.py", "body", [(project / "part" / "b.py", 0)])
    [before] = windows.process_ids()
    windows.indexes.follow_settings()
    assert windows.process_ids() == [before]
    windows.exclude = ["/part"]
    windows.indexes.follow_settings()
    await windows.until_found(window, project / "a.py", "area", [(project / "a.py", 1)])
    await windows.until(lambda: windows.states() == {str(project): "ready"})
    assert await rows(window, project / "a.py", "body") == []
    await gone(before)


async def test_switching_the_index_off_ends_it_and_on_again_starts_it(make, project):
    windows = make()
    window = windows.window("one", project)
    window.opened(str(project / "a.py"), lambda: "\ndef area(): pass\n")
    await windows.until(windows.process_ids)
    [before] = windows.process_ids()
    windows.enabled = False
    windows.indexes.follow_settings()
    await gone(before)
    window.opened(str(project / "part" / "b.py"), lambda: "def body(): pass\n")
    [entry] = windows.indexes.describe()
    assert (entry["state"], entry["process_id"]) == ("off", None)
    assert "settings" in entry["failure"]
    windows.enabled = True
    windows.indexes.follow_settings()
    await windows.until_found(window, project / "a.py", "area", [(project / "a.py", 1)])


async def test_after_the_end_nothing_starts_and_windows_may_still_go(make, project):
    windows = make()
    window = windows.window("one", project)
    window.opened(str(project / "a.py"), lambda: "def area(): pass\n")
    await windows.indexes.close()
    window.changed(str(project / "a.py"))
    window.opened(str(project / "part" / "b.py"), lambda: "def body(): pass\n")
    assert await rows(window, project / "a.py", "area") == []
    assert windows.process_ids() == []
    await window.close()
    assert windows.indexes.describe() == []
