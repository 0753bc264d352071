"""Git itself is asked whether it ignores a file, and says no more and no less than we do."""

import os
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from capture.gate.ignored import GitIgnored, Standing


class Repository:
    """A repository in a home of its own."""

    def __init__(self, root):
        self.home = root / "home"
        self.root = root / "work"
        self.root.mkdir(parents=True)
        self.home.mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a",
        }  # fmt: skip
        self.git("init", "--quiet")
        self.ignored = GitIgnored(self.environment)

    def git(self, *words, cwd=None, check=True):
        return subprocess.run(
            ["git", *words], cwd=cwd or self.root, env=self.environment, check=check, capture_output=True, text=True
        )

    def git_ignores(self, path):
        """What git says, as if nothing were tracked."""
        answer = self.git("check-ignore", "--no-index", "--quiet", "--", path, check=False)
        assert answer.returncode in (0, 1), answer.stderr
        return answer.returncode == 0

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def standing(self, path, workspace=""):
        return self.ignored.standing(str(self.root / path), workspace)


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


PATTERNS = (
    "*.log", "/build", "build/", "!keep.log", "!build", "src/*.tmp", "**/cache", "a/**/z", "logs/**", "doc/*", "!doc/a",
    "[ab].c", "[!a].c", "te?t.py", "# a comment", "\\#odd", "\\!odd", "trailing   ", "space\\ ", "*", "!*/", "!*.py", "",
    "/", "a/", "/a/b/", "*.p[yz]", "umlaut-ä", "**", "**/", "a/**", "x/y", "./x", "x\r", "!a/", "!*/x", "!/a/*", "*.log/", "!a", "a/**/", "!**/b/", "b",
)  # fmt: skip
PATHS = (
    "x.log", "keep.log", "build/x.py", "src/build/x.py", "src/x.tmp", "src/a/x.tmp", "a/cache/x", "cache", "a/z",
    "a/b/z", "a/b/c/z", "logs/x", "doc/a", "doc/b", "doc/a/b", "a.c", "c.c", "test.py", "#odd", "!odd", "trailing",
    "space ", "x.pyz", "a/b/x.py", "umlaut-ä/x", "x", "x/y", "build", "a/x.log/y.py", "a/x.log", "b/x", "x.log/b/y", "a/b/x.log",
)  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_means_what_it_means_to_git(repository, pattern):
    repository.write(".gitignore", pattern + "\n")
    for path in PATHS:
        expected = Standing.IGNORED if repository.git_ignores(path) else Standing.SEEN
        assert repository.standing(path) is expected, (pattern, path)


class Lists(RuleBasedStateMachine):
    """Pattern files come, change and go, faster than a file system's clock; git is asked each time."""

    places = (".gitignore", "a/.gitignore", "a/b/.gitignore", ".git/info/exclude")

    @initialize()
    def begin(self):
        self.repository = Repository(self.make_root())

    @rule(place=st.sampled_from(places), patterns=st.lists(st.sampled_from(PATTERNS), max_size=4))
    def write(self, place, patterns):
        self.repository.write(place, "\n".join(patterns) + "\n")

    @rule(place=st.sampled_from(places))
    def remove(self, place):
        (self.repository.root / place).unlink(missing_ok=True)

    @invariant()
    def git_agrees(self):
        names = [*PATHS, "a/keep.log", "a/b/keep.log", "a/build/z", "a/b/doc/a"]
        asked = "\0".join(names)
        found = subprocess.run(
            ["git", "check-ignore", "--no-index", "--stdin", "-z"], check=False,
            cwd=self.repository.root, env=self.repository.environment, input=asked, capture_output=True, text=True,
        )  # fmt: skip
        assert found.returncode in (0, 1), found.stderr
        expected = set(found.stdout.split("\0")) - {""}
        ours = {name for name in names if self.repository.standing(name) is Standing.IGNORED}
        assert ours == expected


def test_any_lists_in_any_order_mean_what_they_mean_to_git(tmp_path_factory):
    Lists.make_root = staticmethod(lambda: tmp_path_factory.mktemp("lists"))
    run_state_machine_as_test(
        Lists,
        settings=settings(
            max_examples=int(os.environ.get("IGNORED_EXAMPLES", "15")), stateful_step_count=12, deadline=None
        ),
    )


@pytest.mark.parametrize("named", [None, "elsewhere/ignore", "~/mine"])
def test_the_excludes_file_of_the_configuration_counts(repository, named):
    path = {
        None: repository.home / ".config/git/ignore",
        "elsewhere/ignore": repository.root / "elsewhere/ignore",
        "~/mine": repository.home / "mine",
    }[named]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("*.secret\n")
    assert repository.standing("a.secret") is (Standing.IGNORED if named is None else Standing.SEEN)
    if named is not None:
        repository.git("config", "--global", "core.excludesFile", named)
    assert repository.standing("a.secret") is Standing.IGNORED
    assert repository.git_ignores("a.secret")
    path.write_text("")
    assert repository.standing("a.secret") is Standing.SEEN


def test_variables_that_name_another_repository_are_not_followed(repository, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    repository.git("config", "core.excludesFile", str(tmp_path / "list"))
    (tmp_path / "list").write_text("*.log\n")
    ignored = GitIgnored({**repository.environment, "GIT_DIR": str(other), "GIT_WORK_TREE": str(other)})
    assert ignored.standing(str(repository.root / "x.log")) is Standing.IGNORED


def test_outside_of_any_repository_git_has_no_say(repository, tmp_path):
    assert repository.ignored.standing(str(tmp_path / "elsewhere" / "x.py")) is Standing.OUTSIDE
    assert repository.standing("x.py") is Standing.SEEN


def test_git_s_own_folder_is_never_seen(repository):
    assert repository.standing(".git/config") is Standing.IGNORED
    assert repository.standing("vendor/.git/HEAD") is Standing.IGNORED


def test_a_repository_in_a_repository_has_its_own_lists(repository):
    repository.write(".gitignore", "vendor/\n*.log\n")
    inner = repository.root / "vendor" / "lib"
    inner.mkdir(parents=True)
    assert repository.standing("vendor/lib/x.log") is Standing.IGNORED
    repository.git("init", "--quiet", cwd=inner)
    assert repository.standing("vendor/lib/x.log") is Standing.SEEN
    assert repository.standing("vendor/other/x.py") is Standing.IGNORED


def test_in_a_workspace_a_repository_is_ignored_that_the_one_around_it_ignores(repository, tmp_path):
    repository.write(".gitignore", "vendor/\n/itself/\n")
    for name in ("vendor/lib", "vendor/lib/deeper", "itself", "seen"):
        (repository.root / name).mkdir(parents=True)
        repository.git("init", "--quiet", cwd=repository.root / name)
    root = str(repository.root)
    assert repository.standing("vendor/lib/x.py", workspace=root) is Standing.IGNORED
    assert repository.standing("vendor/lib/deeper/x.py", workspace=root) is Standing.IGNORED
    assert repository.standing("itself/x.py", workspace=root) is Standing.IGNORED
    assert repository.standing("seen/x.py", workspace=root) is Standing.SEEN
    # Whoever opens it by itself means it.
    assert repository.standing("vendor/lib/x.py", workspace=f"{root}/vendor/lib") is Standing.SEEN
    (tmp_path / "link").symlink_to(root)
    assert repository.standing("vendor/lib/x.py", workspace=str(tmp_path / "link")) is Standing.IGNORED


def test_a_folder_that_only_looks_like_a_repository_is_unknown_and_so_ignored(repository):
    (repository.root / "odd" / ".git").mkdir(parents=True)
    assert repository.standing("odd/x.py") is Standing.IGNORED
    repository.write("strange/.git", "no idea\n")
    assert repository.standing("strange/x.py") is Standing.IGNORED


def test_a_further_working_tree_and_a_submodule_share_or_have_their_exclude_file(repository, tmp_path):
    repository.git("commit", "--quiet", "--allow-empty", "--message", "first")
    repository.git("worktree", "add", "--quiet", str(tmp_path / "second"))
    (repository.root / ".git/info/exclude").write_text("*.mine\n")
    assert repository.ignored.standing(str(tmp_path / "second" / "x.mine")) is Standing.IGNORED
    assert repository.ignored.standing(str(tmp_path / "second" / "x.py")) is Standing.SEEN
    library = tmp_path / "library"
    library.mkdir()
    repository.git("init", "--quiet", cwd=library)
    repository.git("commit", "--quiet", "--allow-empty", "--message", "first", cwd=library)
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "library")
    assert repository.standing("library/x.mine") is Standing.SEEN
    (repository.root / ".git/modules/library/info/exclude").write_text("*.mine\n")
    assert repository.standing("library/x.mine") is Standing.IGNORED


@pytest.mark.parametrize("name", ["a\0b.py", "a\ud800b.py"])
def test_what_no_file_can_be_named_is_ignored(repository, name):
    assert repository.standing(name) is Standing.IGNORED


def test_behind_a_link_the_stricter_of_both_names_counts(repository, tmp_path):
    repository.write(".gitignore", "hidden/\n")
    repository.write("hidden/x.py", "")
    (repository.root / "open.py").symlink_to(repository.root / "hidden" / "x.py")
    assert repository.standing("open.py") is Standing.IGNORED
    (tmp_path / "away.py").write_text("")
    (repository.root / "away.py").symlink_to(tmp_path / "away.py")
    assert repository.standing("away.py") is Standing.OUTSIDE


# --- an unknown is a no ---


def test_a_list_that_cannot_be_read_or_understood_ignores_all_it_may_speak_of(repository):
    repository.write("a/b/x.py", "")
    (repository.root / "a" / ".gitignore").mkdir()
    assert repository.standing("a/b/x.py") is Standing.IGNORED
    assert repository.standing("x.py") is Standing.SEEN
    (repository.root / "a" / ".gitignore").rmdir()
    assert repository.standing("a/b/x.py") is Standing.SEEN
    for pattern in ("!", "[z-a]"):
        repository.write(".gitignore", f"{pattern}\n")
        assert repository.standing("x.py") is Standing.IGNORED


def test_where_git_cannot_be_asked_everything_in_a_repository_is_ignored(repository, tmp_path):
    ignored = GitIgnored({**repository.environment, "PATH": str(tmp_path / "nothing")})
    assert ignored.standing(str(repository.root / "x.py")) is Standing.IGNORED
    assert ignored.standing(str(tmp_path / "x.py")) is Standing.OUTSIDE


def test_a_configuration_that_git_does_not_take_ignores_everything(repository):
    (repository.home / ".gitconfig").write_text("[core\n")
    assert repository.standing("x.py") is Standing.IGNORED
    (repository.home / ".gitconfig").write_text("")
    assert repository.standing("x.py") is Standing.SEEN


def test_a_tracked_file_that_a_pattern_matches_counts_as_ignored(repository):
    repository.write("x.log", "")
    repository.git("add", "x.log")
    repository.write(".gitignore", "*.log\n")
    assert repository.standing("x.log") is Standing.IGNORED


def test_names_and_patterns_need_not_be_utf_8(repository):
    name = os.fsdecode(b"latin-\xe4.py")
    (repository.root / ".gitignore").write_bytes(b"\xef\xbb\xbflatin-\xe4.py\n")
    assert repository.standing(name) is Standing.IGNORED
    assert repository.standing("latin-b.py") is Standing.SEEN


def test_git_is_asked_once_for_a_repository_that_does_not_change(repository, tmp_path):
    (tmp_path / "bin").mkdir()
    counted = tmp_path / "count"
    git = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    script = tmp_path / "bin" / "git"
    script.write_text(f'#!/bin/sh\necho x >> "{counted}"\nexec "{git}" "$@"\n')
    script.chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    ignored = GitIgnored({**repository.environment, "PATH": path})
    for letter in string.ascii_lowercase:
        assert ignored.standing(str(repository.root / f"{letter}.py")) is Standing.SEEN
    assert counted.read_text() == "x\n"
    assert Path(git).exists()
