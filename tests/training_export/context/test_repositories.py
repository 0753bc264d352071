"""Checkouts are made from clones that are only read, shared, bounded, and gone at the end."""

from __future__ import annotations

import pytest

from training_export.checkout.failure import ContextNotFound
from training_export.checkout.repositories import Repositories

URL = "https://example.org/ada/shop.git"


def test_a_checkout_has_the_files_of_its_commit_and_the_clone_is_as_it_was(clone):
    (clone.path / "cart.py").write_text("changed and not committed\n")
    before = clone.state()
    with Repositories(clone.path.parents[1]) as repositories:
        folder = repositories.checkout(URL, clone.revision)
        assert "coins" in (folder / "cart.py").read_text()
        assert '"?"' not in (folder / "cart.py").read_text()
        older = repositories.checkout(URL, f"{clone.revision}~2")
        assert "?" in (older / "cart.py").read_text()
    assert clone.state() == before
    assert not folder.exists()
    assert not older.exists()


def test_examples_of_one_commit_share_a_checkout_and_only_so_many_are_kept(clone):
    with Repositories(clone.path.parents[1], most=2) as repositories:
        folders = [repositories.checkout(URL, f"{clone.revision}~{back}") for back in (0, 1)]
        assert repositories.checkout(URL, clone.revision) == folders[0]
        third = repositories.checkout(URL, f"{clone.revision}~2")
        assert [folder.exists() for folder in (*folders, third)] == [True, False, True]


def test_nothing_is_left_behind_when_the_run_is_interrupted(clone):
    folders = []

    def interrupted():
        with Repositories(clone.path) as repositories:
            folders.append(repositories.checkout("", clone.revision))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not folders[0].exists()


@pytest.mark.parametrize("bare", [True, False])
def test_a_clone_may_be_bare_and_need_not_be_named_by_a_url(clone, run_git, tmp_path, bare):
    target = tmp_path / "mirror"
    run_git(tmp_path, "clone", "--quiet", *(["--bare"] if bare else []), str(clone.path), str(target))
    with Repositories(target) as repositories:
        assert (repositories.checkout("", clone.revision) / "shop.py").exists()


def test_a_shallow_clone_gives_what_it_has(clone, run_git, tmp_path):
    run_git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{clone.path}", "shallow")
    with Repositories(tmp_path / "shallow") as repositories:
        assert (repositories.checkout("", clone.revision) / "shop.py").exists()
        with pytest.raises(ContextNotFound, match="does not have revision"):
            repositories.checkout("", f"{clone.revision}~1")


@pytest.mark.parametrize(
    ("url", "revision", "reason", "is_final"),
    [
        ("https://example.org/ada/other", "HEAD", "no clone of ada/other", False),
        ("https://example.org/../..", "HEAD", "names no OWNER/NAME", True),
        ("", "HEAD", "names no OWNER/NAME", True),
        (URL, "0" * 40, "does not have revision", False),
        (URL, "--upload-pack=touch x", "does not have revision", False),
        (URL, "", "names no revision", True),
    ],
)
def test_what_is_not_there_says_what_helps(clone, url, revision, reason, is_final):
    with Repositories(clone.path.parents[1]) as repositories:
        with pytest.raises(ContextNotFound, match=reason) as refused:
            repositories.checkout(url, revision)
        assert refused.value.is_final is is_final


def test_programs_that_a_repository_names_are_not_run(clone, run_git, tmp_path, monkeypatch):
    witness = tmp_path / "ran"
    configuration = tmp_path / "gitconfig"
    configuration.write_text(
        f'[filter "spy"]\n\tsmudge = touch {witness}\n\tprocess = touch {witness}\n[core]\n\thooksPath = {tmp_path}/hooks\n'
    )
    hook = tmp_path / "hooks" / "post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {witness}\n")
    hook.chmod(0o700)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text(configuration.read_text())
    revision = clone.commit_files({".gitattributes": "* filter=spy\n", "new.py": "x = 1\n"})
    with Repositories(clone.path) as repositories:
        assert (repositories.checkout("", revision) / "new.py").read_text() == "x = 1\n"
    assert not witness.exists()


def test_commits_are_fetched_only_if_that_was_asked_for(clone, run_git, tmp_path):
    run_git(tmp_path, "clone", "--quiet", str(clone.path), "copy")
    newer = clone.commit(new_py="x = 1\n")
    with Repositories(tmp_path / "copy") as repositories, pytest.raises(ContextNotFound, match="add --fetch"):
        repositories.checkout("", newer)
    with Repositories(tmp_path / "copy", fetch=True) as repositories:
        assert (repositories.checkout("", newer) / "new.py").exists()


def test_a_url_that_is_a_folder_or_runs_a_program_is_never_cloned(tmp_path):
    with Repositories(tmp_path, fetch=True) as repositories:
        for url in ("ext::sh -c touch% /x/y", "file:///x/y", "/somewhere/ada/shop", "-u/ada/shop"):
            with pytest.raises(ContextNotFound):
                repositories.checkout(url, "HEAD")
    assert list(tmp_path.iterdir()) == []
