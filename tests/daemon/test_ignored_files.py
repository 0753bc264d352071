"""What git ignores is found out beside the event loop; until it is known, a file counts as ignored."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from daemon.ignored_files import AGAIN_SECONDS, IgnoredFiles

PATIENCE_SECONDS = 10.0


class Clock:
    """A clock that is set."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def project(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("private.py\n*.ipynb\n")
    return tmp_path


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def files(clock):
    files = IgnoredFiles(clock)
    yield files
    await files.close()


@pytest.fixture
def change(files):
    """Awaits the next news."""

    async def news():
        heard = asyncio.Event()
        end = files.subscribe(heard.set)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await heard.wait()
        end()

    return news


async def test_a_file_counts_as_ignored_until_it_is_known(files, project, change):
    path = str(project / "main.py")
    assert not files.is_visible(path)
    assert not files.is_ignored(path)
    await change()
    assert files.is_visible(path)


async def test_an_ignored_file_stays_hidden(files, project):
    path = str(project / "private.py")
    assert not await files.find_out(path)
    assert not files.is_visible(path)
    assert files.is_ignored(path)


@pytest.mark.parametrize("behind", ["#W0sZmlsZQ", "?version=2"])
async def test_what_an_editor_puts_behind_a_path_does_not_hide_an_ignored_file(files, project, behind):
    assert not await files.find_out(str(project / "notes.ipynb") + behind)


async def test_outside_of_every_repository_git_has_no_say(files, tmp_path_factory):
    assert await files.find_out(str(tmp_path_factory.mktemp("plain") / "main.py"))


async def test_an_untitled_text_is_no_file_that_git_could_ignore(files):
    assert files.is_visible("Untitled-1")


async def test_a_list_that_changes_counts_a_little_later(files, project, clock, change):
    path = str(project / "main.py")
    assert await files.find_out(path)
    (project / ".gitignore").write_text("main.py\n")
    assert files.is_visible(path)
    clock.seconds += AGAIN_SECONDS + 1
    assert files.is_visible(path)  # as it was, while it is asked again
    await change()
    assert not files.is_visible(path)
    assert files.is_ignored(path)


async def test_only_what_changes_is_news(files, project):
    heard = []
    files.subscribe(lambda: heard.append(1))
    paths = [str(project / f"file_{number}.py") for number in range(5)]
    assert not any(map(files.is_visible, paths))
    await asyncio.gather(*map(files.find_out, paths))
    await asyncio.sleep(0)
    assert all(map(files.is_visible, paths))
    assert 1 <= len(heard) <= len(paths)
    before = len(heard)
    await files.find_out(str(project / "private.py"))  # ignored, as it counted before
    await asyncio.sleep(0)
    assert len(heard) == before
