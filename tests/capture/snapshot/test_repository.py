"""What git says of a workspace, asked of a real git in real repositories."""

import os
import stat
import subprocess

import pytest

from capture.snapshot.parts import MAX_DIFF_BYTES, Repository
from capture.snapshot.repository import repository_of


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
    )


@pytest.fixture
def repository(tmp_path):
    """One commit with ``a.py`` and ``sub/b.py``."""
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "a.py").write_text("x = 1\ny = 2\n")
    (folder / "sub" / "b.py").write_text("z = 3\n")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def revision_of(folder):
    return (folder / ".git" / "refs" / "heads" / "main").read_text().strip()


async def test_a_clean_workspace_has_a_revision_and_no_diffs(repository):
    assert await repository_of(repository, ["a.py"]) == Repository(revision=revision_of(repository))


async def test_the_remotes_url_comes_without_who_may_use_it(repository):
    git(repository, "remote", "add", "fork", "git@example.org:fork/a.git")
    assert (await repository_of(repository, [])).url == "ssh://example.org/fork/a.git"
    git(repository, "remote", "add", "origin", "https://ada:secret@example.org/a.git")
    assert (await repository_of(repository, [])).url == "https://example.org/a.git"


async def test_a_remote_that_is_a_folder_is_not_told(repository):
    git(repository, "remote", "add", "origin", str(repository))
    assert (await repository_of(repository, [])).url == ""


async def test_only_touched_files_have_diffs(repository):
    (repository / "a.py").write_text("x = 1\ny = 5\n")
    (repository / "sub" / "b.py").write_text("z = 4\n")
    [diff] = (await repository_of(repository, ["a.py"])).diffs
    assert diff.path == "a.py"
    assert diff.diff.splitlines()[2:] == ["--- a/a.py", "+++ b/a.py", "@@ -1,2 +1,2 @@", " x = 1", "-y = 2", "+y = 5"]


async def test_what_is_staged_counts_as_uncommitted(repository):
    (repository / "a.py").write_text("x = 1\n")
    git(repository, "add", "a.py")
    [diff] = (await repository_of(repository, ["a.py"])).diffs
    assert "-y = 2" in diff.diff


async def test_a_new_file_is_a_diff_from_nothing_and_an_ignored_one_is_none(repository):
    (repository / "new \u00e9.py").write_text("n = 0\n")
    (repository / "secrets.log").write_text("hush\n")
    [diff] = (await repository_of(repository, ["new \u00e9.py", "secrets.log"])).diffs
    assert diff.path == "new \u00e9.py"
    lines = diff.diff.splitlines()
    assert "--- /dev/null" in lines
    assert [line.rstrip("\t") for line in lines if line.startswith("+++")] == ["+++ b/new \u00e9.py"]
    assert lines[-1] == "+n = 0"


async def test_a_deleted_file_is_a_diff_to_nothing(repository):
    (repository / "a.py").unlink()
    [diff] = (await repository_of(repository, ["a.py"])).diffs
    assert "+++ /dev/null" in diff.diff.splitlines()


async def test_a_workspace_inside_a_repository_has_paths_of_its_own(repository):
    (repository / "sub" / "b.py").write_text("z = 4\n")
    (repository / "sub" / "c.py").write_text("c = 1\n")
    found = await repository_of(repository / "sub", ["b.py", "c.py"])
    assert found.prefix == "sub/"
    assert [diff.path for diff in found.diffs] == ["b.py", "c.py"]
    for diff in found.diffs:
        assert f"+++ b/{diff.path}" in diff.diff.splitlines()


async def test_the_diffs_apply_to_the_commit(repository, tmp_path):
    (repository / "a.py").write_text("x = 1\ny = 5")
    (repository / "new.py").write_text("n = 0\n")
    found = await repository_of(repository, ["a.py", "new.py"])
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    (tmp_path / "patch").write_text("".join(diff.diff for diff in found.diffs))
    git(clone, "apply", str(tmp_path / "patch"))
    assert (clone / "a.py").read_text() == "x = 1\ny = 5"
    assert (clone / "new.py").read_text() == "n = 0\n"


async def test_paths_are_names_and_no_patterns(repository):
    (repository / "a.py").write_text("x = 9\n")
    found = await repository_of(repository, ["*", ":(top)a.py", "--output=x", "../project/a.py", "/etc/passwd"])
    assert found.diffs == ()
    assert found.diffs_left_out == ""


async def test_diffs_that_are_long_together_are_left_out_and_said_so(repository):
    (repository / "a.py").write_text(MAX_DIFF_BYTES // 2 * "x")
    (repository / "sub" / "b.py").write_text(MAX_DIFF_BYTES // 2 * "y")
    one = await repository_of(repository, ["a.py"])
    both = await repository_of(repository, ["a.py", "sub/b.py"])
    assert len(one.diffs) == 1
    assert both.diffs == ()
    assert str(MAX_DIFF_BYTES) in both.diffs_left_out


async def test_before_the_first_commit_there_is_no_revision(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.py").write_text("x\n")
    assert await repository_of(tmp_path, ["a.py"]) == Repository(diffs_left_out="there is no commit yet")


async def test_a_file_that_is_no_text_leaves_the_diffs_out(repository):
    (repository / "a.py").write_bytes(b"x = '\xff'\n")
    found = await repository_of(repository, ["a.py"])
    assert (found.diffs, found.diffs_left_out) == ((), "a file is not UTF-8")


async def test_outside_of_a_repository_there_is_none(tmp_path):
    assert await repository_of(tmp_path, ["a.py"]) is None
    assert await repository_of(tmp_path / "missing", ["a.py"]) is None


async def test_without_git_there_is_none(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert await repository_of(repository, ["a.py"]) is None


@pytest.fixture
def slow_git(tmp_path, monkeypatch):
    """A git that hangs at the subcommand it is told, and writes its process id before."""
    real = subprocess.run(["sh", "-c", "command -v git"], check=True, capture_output=True, text=True).stdout.strip()
    folder = tmp_path / "bin"
    folder.mkdir()

    def hang(subcommand):
        script = folder / "git"
        script.write_text(
            f'#!/bin/sh\nfor word; do [ "$word" = {subcommand} ] && echo $$ > {folder}/pid && exec sleep 60; done\n'
            f'exec {real} "$@"\n'
        )
        script.chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return folder / "pid"

    return hang


async def test_a_git_that_hangs_is_ended_and_the_rest_kept(repository, slow_git):
    pid_file = slow_git("status")
    found = await repository_of(repository, ["a.py"], time_limit_seconds=0.5)
    assert found.revision == revision_of(repository)
    assert found.diffs_left_out == "git took longer than 0.5 s"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


async def test_a_git_that_hangs_at_once_says_nothing(repository, slow_git):
    slow_git("rev-parse")
    assert await repository_of(repository, ["a.py"], time_limit_seconds=0.5) is None


async def test_programs_that_a_repository_names_are_not_run(repository, tmp_path):
    """An external diff, a text conversion and a file watcher would each leave a trace."""
    trace = tmp_path / "trace"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho ran >> {trace}\ncat "$1" 2>/dev/null\n')
    program.chmod(stat.S_IRWXU)
    (repository / ".gitattributes").write_text("*.py diff=own\n")
    for name in ("diff.external", "diff.own.command", "diff.own.textconv", "core.fsmonitor", "core.pager"):
        git(repository, "config", name, str(program))
    (repository / "a.py").write_text("x = 9\n")
    [diff] = (await repository_of(repository, ["a.py"])).diffs
    assert "+x = 9" in diff.diff
    assert not trace.exists()


async def test_a_git_of_the_surroundings_points_nowhere_else(repository, tmp_path, monkeypatch):
    """An editor that git itself started has these set."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert (await repository_of(repository, [])).revision == revision_of(repository)
