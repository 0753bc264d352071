"""Which files are committed together, from real git repositories."""

import asyncio
import gc
import os
import shutil
import stat
import subprocess

import pytest

from capture.context.cochange import HEAD_BYTES, MAX_FILES_OF_A_COMMIT, CoChange, Neighbour, first_rows

NO_CONFIGURATION = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Repository:
    def __init__(self, folder):
        self.folder = folder
        self._commits = 0
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments):
        environment = {**os.environ, **NO_CONFIGURATION}
        subprocess.run(["git", *arguments], cwd=self.folder, env=environment, check=True)

    def commit(self, *names):
        """A commit that changes these files."""
        self._commits += 1
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} as of commit {self._commits}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")

    def path(self, name):
        return str(self.folder / name)


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "project")


@pytest.fixture
def counted_git(tmp_path):
    """A ``git`` that notes how often a history was read."""
    program, notes = tmp_path / "git", tmp_path / "notes"
    program.write_text(f'#!/bin/sh\ncase "$*" in *--name-only*) echo read >> "{notes}";; esac\nexec git "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program), lambda: len(notes.read_text().splitlines())


async def names(repository, name, co_change=None):
    found = await (co_change or CoChange()).neighbours(repository.path(name))
    return [neighbour.path.removeprefix(f"{repository.folder}/") for neighbour in found]


async def test_files_that_changed_together_most_often_come_first(repository):
    for _ in range(3):
        repository.commit("a.py", "docs/often.md")
    for _ in range(2):
        repository.commit("a.py", "sometimes.py")
    repository.commit("a.py", "once.py")
    repository.commit("unrelated.py", "sometimes.py")
    assert await names(repository, "a.py") == ["docs/often.md", "sometimes.py"]
    assert await names(repository, "docs/often.md") == ["a.py"]


async def test_of_equally_frequent_ones_the_latest_comes_first(repository):
    for name in ("early.py", "late.py", "early.py", "late.py"):
        repository.commit("a.py", name)
    assert await names(repository, "a.py") == ["late.py", "early.py"]


async def test_names_with_spaces_and_letters_of_any_script_are_read(repository):
    for _ in range(2):
        repository.commit("a.py", 'größe "of" it.py')
    assert await names(repository, "a.py") == ['größe "of" it.py']


async def test_a_commit_that_changed_very_many_files_says_nothing(repository):
    for _ in range(2):
        repository.commit("a.py", *(f"generated/{index}.py" for index in range(MAX_FILES_OF_A_COMMIT)))
    assert await names(repository, "a.py") == []


async def test_a_file_that_is_gone_is_no_neighbour(repository):
    for _ in range(2):
        repository.commit("a.py", "b.py", "c.py")
    (repository.folder / "b.py").unlink()
    assert await names(repository, "a.py") == ["c.py"]


async def test_a_file_git_does_not_know_has_no_neighbours(repository):
    repository.commit("a.py", "b.py")
    assert await names(repository, "new.py") == []
    assert await names(repository, "no/such/folder/new.py") == []


async def test_a_history_is_read_once_until_head_moves(repository, counted_git):
    git, times_read = counted_git
    co_change = CoChange(git)
    for _ in range(2):
        repository.commit("a.py", "b.py")
    found = await asyncio.gather(names(repository, "a.py", co_change), names(repository, "b.py", co_change))
    assert found == [["b.py"], ["a.py"]]
    assert times_read() == 1
    for _ in range(3):
        repository.commit("a.py", "c.py")
    assert await names(repository, "a.py", co_change) == ["c.py", "b.py"]
    assert times_read() == 2


async def test_a_path_is_written_as_the_editor_writes_it(repository, tmp_path):
    for _ in range(2):
        repository.commit("package/a.py", "package/b.py")
    (tmp_path / "link").symlink_to(repository.folder)
    [found] = await CoChange().neighbours(str(tmp_path / "link" / "package" / "a.py"))
    assert found.path == str(tmp_path / "link" / "package" / "b.py")
    assert first_rows(found)


async def test_without_a_repository_there_are_none(tmp_path):
    (tmp_path / "a.py").write_text("a\n")
    assert await CoChange().neighbours(str(tmp_path / "a.py")) == ()


async def test_without_a_commit_there_are_none(repository):
    assert await names(repository, "a.py") == []


async def test_without_git_there_are_none(repository):
    repository.commit("a.py", "b.py")
    assert await names(repository, "a.py", CoChange("/no/such/git")) == []


@pytest.mark.parametrize("path", ["", "relative.py", "/w/\0.py", "untitled:Untitled-1"])
async def test_an_odd_path_has_none(path, repository, monkeypatch):
    for _ in range(2):
        repository.commit("relative.py", "b.py")
    monkeypatch.chdir(repository.folder)
    assert await CoChange().neighbours(path) == ()


async def test_a_git_that_hangs_is_given_up_and_ended(repository, tmp_path):
    repository.commit("a.py", "b.py")
    program, started = tmp_path / "git", tmp_path / "started"
    program.write_text(f'#!/bin/sh\necho $$ > "{started}"\nexec sleep 600\n')
    program.chmod(0o700)
    assert await names(repository, "a.py", CoChange(str(program), limit_seconds=0.2)) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_who_is_cancelled_leaves_no_process(repository, turns):
    """At whatever moment: a leaked process would be a warning, which is an error here."""
    for _ in range(2):
        repository.commit("a.py", "b.py")
    co_change = CoChange()
    asking = asyncio.create_task(co_change.neighbours(repository.path("a.py")))
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    asking.cancel()
    await asyncio.wait([asking])
    assert await names(repository, "a.py", co_change) == ["b.py"]
    gc.collect()


async def test_what_came_before_the_time_was_up_counts(repository, tmp_path):
    for _ in range(2):
        repository.commit("a.py", "b.py")
    program = tmp_path / "git"
    program.write_text('#!/bin/sh\ngit "$@"\ncase "$*" in *--name-only*) exec sleep 600;; esac\n')
    program.chmod(0o700)
    assert await names(repository, "a.py", CoChange(str(program), limit_seconds=2.0)) == ["b.py"]


async def test_a_repository_cannot_make_us_run_its_programs(repository, tmp_path):
    proof = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\ntouch "{proof}"\n')
    program.chmod(0o700)
    for _ in range(2):
        repository.commit("a.py", "b.py")
    repository.git("config", "log.showSignature", "true")
    for key in ("gpg.program", "core.fsmonitor", "core.pager", "diff.external", "core.sshCommand"):
        repository.git("config", key, str(program))
    assert await names(repository, "a.py") == ["b.py"]
    assert not proof.exists()


async def test_the_environment_cannot_point_elsewhere(repository, tmp_path, monkeypatch):
    for _ in range(2):
        repository.commit("a.py", "b.py")
    Repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    assert await names(repository, "a.py") == ["b.py"]


# How a neighbour begins


@pytest.fixture
def neighbour(tmp_path):
    def make(content, name="b.py"):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        return Neighbour(str(path), os.path.realpath(path.parent) + f"/{name}")

    return make


def test_the_first_whole_rows_are_shown(neighbour):
    text = first_rows(neighbour(b"a row of text\n" * 1000))
    assert text == "a row of text\n" * (HEAD_BYTES // 14)
    assert first_rows(neighbour("größe\r\nlast".encode())) == "größe\nlast\n"


@pytest.mark.parametrize("content", [b"a\0b\n", b"\xff\xfe\n", b"x" * 5000, b"", None])
def test_what_is_no_text_is_not_shown(neighbour, content):
    assert first_rows(neighbour(content)) == ""


def test_a_character_that_the_limit_cuts_does_no_harm(neighbour):
    text = first_rows(neighbour(("ä" * 100 + "\n").encode() * 10))
    assert text == ("ä" * 100 + "\n") * 2


def test_a_link_is_not_followed_out_of_the_repository(neighbour, tmp_path):
    outside = tmp_path / "secret"
    outside.mkdir()
    (outside / "key.txt").write_text("secret\n")
    (tmp_path / "b.py").symlink_to(outside / "key.txt")
    assert first_rows(neighbour(None)) == ""
    (tmp_path / "folder").symlink_to(outside)
    assert first_rows(Neighbour("/shown", f"{os.path.realpath(tmp_path)}/folder/key.txt")) == ""


@pytest.mark.skipif(shutil.which("mkfifo") is None, reason="needs named pipes")
def test_a_named_pipe_does_not_hold_anybody_up(neighbour, tmp_path):
    os.mkfifo(tmp_path / "b.py")
    assert first_rows(neighbour(None)) == ""
