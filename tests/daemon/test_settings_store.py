"""The settings in force: followed without a restart, never replaced by a bad file."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from daemon.settings import Settings
from daemon.settings_store import SettingsStore

PATIENCE_SECONDS = 10.0


@contextlib.asynccontextmanager
async def watching(store):
    """The store, followed; gives a function that waits until a condition holds after a change."""
    stop = asyncio.Event()
    changed = asyncio.Event()
    store.subscribe(lambda _settings: changed.set())
    task = asyncio.create_task(store.watch(stop))
    await asyncio.sleep(0)  # the watch stands after its first step
    await asyncio.sleep(0)

    async def next_change():
        async with asyncio.timeout(PATIENCE_SECONDS):
            await changed.wait()
        changed.clear()
        return store.current

    yield next_change
    stop.set()
    await task


def replace(path, text):
    """As editors save: a new file put in the old one's place."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


@pytest.mark.parametrize("save", [replace, lambda path, text: path.write_text(text)])
async def test_a_saved_file_is_in_force_without_a_restart(tmp_path, save):
    store = SettingsStore(tmp_path / "settings.toml")
    async with watching(store) as next_change:
        save(store.path, "threads = 3\n")
        assert (await next_change()).threads == 3
        save(store.path, "threads = 4\n")
        assert (await next_change()).threads == 4


async def test_the_folder_need_not_exist_before(tmp_path):
    store = SettingsStore(tmp_path / "new" / "settings.toml")
    async with watching(store) as next_change:
        replace(store.path, "enabled = false\n")
        assert not (await next_change()).enabled


async def test_a_bad_file_leaves_the_old_settings_and_says_why(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("threads = 3\n")
    store = SettingsStore(path)
    store.reload()
    async with watching(store) as next_change:
        assert store.current.threads == 3
        replace(path, "threads = 5\nenabeld = true\n")
        replace(path.with_name("other.toml"), "")
        replace(path, "threads = 'many'\n")
        store.reload()
        assert store.current.threads == 3
        assert store.error.key == "threads"
        assert store.error.line == 1
        replace(path, "threads = 6\n")
        assert (await next_change()).threads == 6
        assert store.error is None


async def test_removing_the_file_brings_the_defaults_back(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("threads = 3\n")
    store = SettingsStore(path)
    store.reload()
    async with watching(store) as next_change:
        path.unlink()
        assert await next_change() == Settings()


async def test_a_linked_file_is_followed_where_it_really_is(tmp_path):
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "foretype.toml").write_text("threads = 1\n")
    path = tmp_path / "config" / "settings.toml"
    path.parent.mkdir()
    path.symlink_to(dotfiles / "foretype.toml")
    store = SettingsStore(path)
    store.reload()
    async with watching(store) as next_change:
        replace(dotfiles / "foretype.toml", "threads = 2\n")
        assert (await next_change()).threads == 2


def test_a_pause_turns_predictions_off_whatever_the_file_says(tmp_path):
    store = SettingsStore(tmp_path / "settings.toml")
    heard = []
    end = store.subscribe(heard.append)
    store.set_paused(paused=True)
    assert not store.current.enabled
    store.path.write_text("threads = 2\n")
    store.reload()
    assert not store.current.enabled
    store.set_paused(paused=False)
    assert [(settings.enabled, settings.threads) for settings in heard] == [(False, 0), (False, 2), (True, 2)]
    end()
    store.set_paused(paused=True)
    assert len(heard) == 3


def test_a_reload_that_changes_nothing_tells_nobody(tmp_path):
    store = SettingsStore(tmp_path / "settings.toml")
    heard = []
    store.subscribe(heard.append)
    store.path.write_text("# only a comment\n")
    store.reload()
    assert heard == []


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = "])
def test_a_file_that_cannot_be_read_is_an_error_not_a_crash(tmp_path, content):
    store = SettingsStore(tmp_path / "settings.toml")
    store.path.write_bytes(content)
    store.reload()
    assert store.current == Settings()
    assert store.error is not None


async def test_a_folder_that_cannot_be_watched_is_a_reason_not_a_crash(tmp_path):
    (tmp_path / "file").write_text("")
    store = SettingsStore(tmp_path / "file" / "settings.toml")  # its folder is a file
    await store.watch(asyncio.Event())
    assert "not seen" in store.watch_problem
