"""Which files may be read: what git ignores, secrets, links and other people's code stay out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capture.context.index.messages import IndexLimits
from capture.context.index.walk import WorkspaceFiles
from capture.gate.exclude import PathGate

FOLDERS = ("", "src", "src/deep", "build", "tests")
NAMES = ("a.py", "b.py", "key.py", "#a.py", "c d.py")
TREE = {f"{folder}/{name}".lstrip("/"): "x = 1\n" for folder in FOLDERS for name in NAMES}
PATTERNS = st.sampled_from(
    ["a.py", "/a.py", "*.py", "!a.py", "!b.py", "build", "build/", "/src", "src/deep", "src/*", "!src/deep", "**/deep",
     "deep/**", "src/**/a.py", "\\#a.py", "#a.py", "c d.py", "c*.py ", "[ab].py", "[!a].py", "k?y.py", "", "*", "!*/", "!/src/"]
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git's configuration is the test's."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def files_of(root: Path, globs: tuple[str, ...] = (), **limits: int) -> WorkspaceFiles:
    return WorkspaceFiles(str(root), PathGate(globs), IndexLimits(**limits))


def walked(files: WorkspaceFiles) -> set[str]:
    """The names a walk finds; ``admits`` must say the same of every file there is."""
    found = {path for listing in files.walk() for path, _ in listing.files}
    there = {str(path) for path in Path(files.root).rglob("*") if path.is_file() and not path.is_symlink()}
    assert {path for path in there if files.admits(path)} == found
    return {os.path.relpath(path, files.root) for path in found}


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_files_of_known_languages_are_found_near_ones_first(write):
    root = write({"z.py": "", "a/b.go": "", "notes.md": "", "a/c/d.rs": "", "Makefile": ""})
    found = [os.path.relpath(path, root) for listing in files_of(root).walk() for path, _ in listing.files]
    assert found == ["z.py", "a/b.go", "a/c/d.rs"]


def test_secrets_and_what_the_user_excludes_stay_out(write):
    root = write({".env.py": "", "secret/.env/x.py": "", "gen/a.py": "", "keep.py": "", "a.gen.py": ""})
    assert walked(files_of(root, ("/gen", "*.gen.py"))) == {"keep.py"}


def test_folders_of_installed_code_stay_out(write):
    root = write(
        {"node_modules/a.js": "", "env/pyvenv.cfg": "", "env/lib/a.py": "", "__pycache__/a.py": "", "a.py": ""}
    )
    assert walked(files_of(root)) == {"a.py"}


def test_links_are_not_followed_and_lead_nowhere(write, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("secret = 1\n")
    root = write({"real/a.py": ""})
    (root / "link.py").symlink_to(outside / "secret.py")
    (root / "folder").symlink_to(outside, target_is_directory=True)
    (root / "again").symlink_to(root / "real", target_is_directory=True)
    files = files_of(root)
    assert walked(files) == {"real/a.py"}
    for path in ("folder/secret.py", "again/a.py", "../outside/secret.py", "real/../../outside/secret.py"):
        assert not files.admits(str(root / path))


def test_a_root_that_is_itself_a_link_is_walked_under_its_own_name(write, tmp_path):
    write({"a.py": ""})
    (tmp_path / "link").symlink_to(tmp_path / "workspace", target_is_directory=True)
    assert walked(files_of(tmp_path / "link")) == {"a.py"}


def test_files_that_are_too_large_and_pipes_are_passed_over(write):
    root = write({"small.py": "x = 1\n", "large.py": "x = 1\n" * 1000})
    os.mkfifo(root / "pipe.py")
    found = {path for listing in files_of(root, file_bytes=1000).walk() for path, _ in listing.files}
    assert found == {str(root / "small.py")}


def test_a_name_that_is_no_unicode_is_passed_over(write):
    root = write({"a.py": ""})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.py")).write_text("x = 1\n")
    assert [path for listing in files_of(root).walk() for path, _ in listing.files] == [str(root / "a.py")]


def test_only_so_many_folders_are_walked_and_a_note_says_so(write):
    files = files_of(write({"a/a.py": "", "b/b.py": "", "c/c.py": ""}), folders=3)
    assert [Path(listing.folder).name for listing in files.walk()] == ["workspace", "a", "b"]
    assert any("first 3 folders" in note for note in files.notes)


@settings(max_examples=80)
@given(
    of_root=st.lists(PATTERNS, max_size=5), of_src=st.lists(PATTERNS, max_size=3), own=st.lists(PATTERNS, max_size=2)
)
@example(of_root=[], of_src=[], own=["src/deep", "!*/"])
def test_what_git_ignores_is_not_walked(of_root, of_src, own, tmp_path_factory):
    root = tmp_path_factory.mktemp("repository")
    git(root, "init", "-q")
    for name, text in TREE.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / ".gitignore").write_text("\n".join(of_root))
    (root / "src" / ".gitignore").write_text("\n".join(of_src))
    (root / ".git" / "info" / "exclude").write_text("\n".join(own))
    seen_by_git = git(root, "-c", "core.quotePath=off", "ls-files", "--others", "--exclude-standard").splitlines()
    assert walked(files_of(root)) == {name for name in seen_by_git if name.endswith(".py")}


def test_rules_above_the_root_hold_in_it(write):
    root = write({"inner/a.py": "", "inner/b.py": "", ".gitignore": "/inner/b.py\n", ".git/info/exclude": ""})
    files = files_of(root / "inner")
    assert walked(files) == {"a.py"}
    assert set(files.folders_of_rules) == {str(root), str(root / ".git" / "info")}


def test_a_root_that_git_ignores_gives_nothing_and_says_so(write):
    root = write({"inner/a.py": "", ".gitignore": "inner\n", ".git/info/exclude": ""})
    files = files_of(root / "inner")
    assert walked(files) == set()
    assert any("git ignores" in note for note in files.notes)


def test_the_users_own_excludes_file_counts_where_git_names_it_and_where_it_is_by_default(write, tmp_path):
    root = write(
        {
            "a.py": "",
            "b.py": "",
            "c.py": "",
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/objects/x": "",
            ".git/refs/x": "",
        }
    )
    default = tmp_path / "home" / ".config" / "git" / "ignore"
    default.parent.mkdir(parents=True)
    default.write_text("a.py\n")
    assert walked(files_of(root)) == {"b.py", "c.py"}
    (tmp_path / "mine").write_text("b.py\n")
    (tmp_path / "home" / ".gitconfig").write_text(f"[core]\n\texcludesFile = {tmp_path / 'mine'}\n")
    assert walked(files_of(root)) == {"a.py", "c.py"}


def test_a_linked_work_tree_has_the_excludes_of_its_repository(write, tmp_path):
    root = write({"a.py": "", "b.py": ""})
    git(root, "init", "-q")
    git(root, "-c", "user.name=n", "-c", "user.email=e@e", "commit", "-q", "--allow-empty", "-m", "m")
    git(root, "worktree", "add", "-q", str(tmp_path / "tree"))
    for name in ("a.py", "b.py"):
        (tmp_path / "tree" / name).write_text("x = 1\n")
    (root / ".git" / "info" / "exclude").write_text("b.py\n")
    assert walked(files_of(tmp_path / "tree")) == {"a.py"}


def test_rules_that_cannot_be_read_ignore_all_they_might_speak_of(write):
    root = write({"a.py": "", "src/b.py": "", "src/.gitignore/not_a_file": ""})
    files = files_of(root)
    assert walked(files) == {"a.py"}
    assert any("src/.gitignore" in note for note in files.notes)


def test_a_configuration_that_git_refuses_ignores_everything(write, tmp_path):
    root = write({"a.py": ""})
    (tmp_path / "home" / ".gitconfig").write_text("[core\n")
    files = files_of(root)
    assert walked(files) == set()
    assert any("git's configuration" in note for note in files.notes)
