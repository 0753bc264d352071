"""A symbol index over real folders, in its real worker process, and a way to wait for what it reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from capture.context.definitions import Definition, Identifier
from capture.context.index.client import IndexState, SymbolIndex
from capture.context.index.messages import IndexProgress
from capture.editing.positions import Position
from daemon.engine.restarts import RestartPolicy, Restarts

PATIENCE_SECONDS = 60.0  # for a machine that does much else
QUICK_RESTARTS = RestartPolicy(back_off_seconds=(0.01,), fatal_deaths=4)


class IndexUnderTest:
    """An index whose reports can be waited for."""

    def __init__(self, root: Path, **options: object) -> None:
        self.root = root
        self._news = asyncio.Event()
        options.setdefault("log", logging.getLogger("tests.index"))
        options.setdefault("pause_after_death", Restarts(QUICK_RESTARTS).record)
        options.setdefault("text_seconds", 0.0)
        self.index = SymbolIndex(str(root), on_progress=self._note, **options)
        self.index.start()

    @property
    def progress(self) -> IndexProgress:
        return self.index.progress

    def _note(self, _progress: IndexProgress) -> None:
        self._news.set()

    def path(self, name: str) -> str:
        return str(self.root / name)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a report after which ``condition`` (a function or a coroutine function) holds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self._news.clear()
                held = condition()
                if asyncio.iscoroutine(held):
                    held = await held
                if held:
                    return
                await self._news.wait()

    async def ready(self) -> IndexUnderTest:
        await self.until(lambda: self.progress.is_ready and self.progress.is_watching)
        return self

    async def find(self, name: str, asking: str = "asking.py") -> Sequence[Definition]:
        found = await self.index.definitions(self.path(asking), [Identifier(name, Position(0, 0))])
        return found.get(name, ())

    async def places(self, name: str, asking: str = "asking.py") -> list[tuple[str, int]]:
        """Where ``name`` is defined: paths below the root, and rows."""
        found = await self.find(name, asking)
        return [(str(Path(item.path).relative_to(self.root)), item.start_row) for item in found]

    async def until_at(self, name: str, places: list[tuple[str, int]]) -> None:
        async def are_these() -> bool:
            return await self.places(name) == places

        await self.until(are_these)


@pytest.fixture
async def open_index():
    """``await open_index(root, **options)``: an index that is ready, closed after the test."""
    opened: list[IndexUnderTest] = []

    async def open_(root: Path, *, wait: bool = True, **options: object) -> IndexUnderTest:
        opened.append(IndexUnderTest(root, **options))
        return await opened[-1].ready() if wait else opened[-1]

    yield open_
    for one in opened:
        await one.index.close()
        assert one.index.state is IndexState.CLOSED


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write({"a/b.py": text, ...})``: these files below a workspace folder, whose path is returned."""
    root = tmp_path / "workspace"

    def write_files(files: dict[str, str | bytes]) -> Path:
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return write_files
