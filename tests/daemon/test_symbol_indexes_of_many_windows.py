"""Whatever windows do in whatever order, each index knows the documents that are open in its folder, by their newest text.

The indexes themselves are stand-ins here that remember what they were told.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import daemon.symbol_indexes
from daemon.symbol_indexes import SymbolIndexes

FOLDERS = ("w", "w/inner", "other")
DOCUMENTS = ("w/a.py", "w/inner/b.py", "other/c.py", "outside.py")
WINDOWS = range(2)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("folders"), st.sampled_from(WINDOWS), st.sets(st.sampled_from(FOLDERS))),
        st.tuples(st.just("open"), st.sampled_from(WINDOWS), st.sampled_from(DOCUMENTS)),
        st.tuples(st.just("change"), st.sampled_from(WINDOWS), st.sampled_from(DOCUMENTS)),
        st.tuples(st.just("close"), st.sampled_from(WINDOWS), st.sampled_from(DOCUMENTS)),
        st.tuples(st.just("switch"), st.booleans(), st.just("")),
    ),
    min_size=10,
    max_size=40,
)


class Told:
    """Stands in for an index: what it was told, by path the text of the moment."""

    def __init__(self, running, root):
        self.running = running
        self.root = root
        self.texts: dict[str, str] = {}

    def start(self):
        self.running.append(self)

    def note_open(self, path, read_text):
        self.texts[path] = read_text()

    def note_closed(self, path):
        del self.texts[path]

    async def close(self):
        self.running.remove(self)


class Model:
    """The same, said simply: who has which folders, and the documents in the order in which they came to their folder."""

    def __init__(self):
        self.folders: dict[int, set[str]] = {window: set() for window in WINDOWS}
        self.came: dict[tuple[int, str], str | None] = {}  # the folder of each open document, the newest last
        self.keys: dict[tuple[int, str], int] = {}
        self.begun: set[str] = set()
        self.enabled = True

    def folder_of(self, window, document):
        return max((f for f in self.folders[window] if document.startswith(f + "/")), key=len, default=None)

    def come(self, window, document):
        self.came.pop((window, document), None)
        folder = self.came[window, document] = self.folder_of(window, document)
        if folder is not None and self.enabled:
            self.begun.add(folder)

    def expected(self) -> dict[str, dict[str, str]]:
        told: dict[str, dict[str, str]] = {folder: {} for folder in self.begun}
        for (window, document), folder in self.came.items():
            if folder in told:
                told[folder][document] = f"window {window}, key {self.keys[window, document]}"
        return told


class Play:
    """The steps, done to the real thing and to the model."""

    def __init__(self, root: Path, running: list[Told]):
        self.root = root
        self.running = running
        self.model = Model()
        self.indexes = SymbolIndexes(
            logging.getLogger("tests.indexes"),
            tuple,
            lambda: self.model.enabled,
            grace_seconds=3600.0,
            home=root / "home",
        )
        self.windows = [self.indexes.window(lambda _folder: None) for _ in WINDOWS]

    def folders(self, window, folders):
        model = self.model
        model.folders[window] = folders
        for who, document in list(model.came):
            if who == window and model.came[who, document] != model.folder_of(who, document):
                model.come(who, document)
        self.windows[window].set_folders([str(self.root / folder) for folder in folders])

    def open(self, window, document):
        keys = self.model.keys
        keys[window, document] = 0
        self.model.come(window, document)
        self.windows[window].opened(str(self.root / document), lambda: f"window {window}, key {keys[window, document]}")

    def change(self, window, document):
        if (window, document) in self.model.came:
            self.model.keys[window, document] += 1
        self.windows[window].changed(str(self.root / document))

    def close(self, window, document):
        self.model.came.pop((window, document), None)
        self.windows[window].closed(str(self.root / document))

    def switch(self, enabled, _nothing):
        if self.model.enabled != enabled:
            self.model.enabled = enabled
            self.model.begun = {folder for folder in self.model.came.values() if folder and enabled}
        self.indexes.follow_settings()

    def told(self) -> list[tuple[str, dict[str, str]]]:
        return [
            (self.below(index.root), {self.below(path): text for path, text in index.texts.items()})
            for index in sorted(self.running, key=lambda index: index.root)
        ]

    def below(self, path: str) -> str:
        return str(Path(path).relative_to(self.root))


async def play(root: Path, running: list[Told], done) -> None:
    played = Play(root, running)
    for window in WINDOWS:
        played.folders(window, {"w"})
    for step, *details in done:
        getattr(played, step)(*details)
        await asyncio.sleep(0)  # what ends, ends behind the scenes
        assert played.told() == sorted(played.model.expected().items())
    for window in played.windows:
        await window.close()
    await played.indexes.close()
    assert running == []
    assert played.indexes.describe() == []


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """The folders, and the list of the indexes that run."""
    root, running = tmp_path_factory.mktemp("windows"), []
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(daemon.symbol_indexes, "SymbolIndex", lambda path, **_options: Told(running, path))
        yield root, running


@settings(max_examples=200)
@given(done=steps)
def test_each_index_knows_what_is_open_in_its_folder(stage, done):
    asyncio.run(play(*stage, done))
