"""A local folder is read as one project."""

from __future__ import annotations

import os
import subprocess

import pytest

from training_export.errors import SourcesRefused
from training_export.student.sources.source_file import Side
from training_export.student.sources.trees import read_tree


def test_files_come_in_order_with_paths_of_the_project(tmp_path, code):
    for name in ("b/c.py", "a.py", "b/a.go", "b/notes.txt", "node_modules/x.js"):
        (tmp_path / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shop" / name).write_bytes(code(name.replace("/", "").replace(".", "")))
    found = list(read_tree(tmp_path / "shop", side=Side.TEST))
    assert [(file.project, file.path, file.language) for file in found] == [
        ("shop", "a.py", "python"),
        ("shop", "b/a.go", "go"),
        ("shop", "b/c.py", "python"),
    ]
    assert {file.side for file in found} == {Side.TEST}
    assert [file.path for file in read_tree(tmp_path / "shop", languages=["go"])] == ["b/a.go"]


def test_what_git_ignores_and_where_links_lead_is_left_out(tmp_path, code):
    shop = tmp_path / "shop"
    (shop / "made").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(shop)], check=True)
    (shop / ".gitignore").write_text("made/\n*.local.py\n")
    (tmp_path / "secret.py").write_bytes(code("secret"))
    (shop / "link.py").symlink_to(tmp_path / "secret.py")
    for name in ("a.py", "made/b.py", "c.local.py"):
        (shop / name).write_bytes(code(name.replace("/", "").replace(".", "")))
    assert [file.path for file in read_tree(shop)] == ["a.py"]


def test_a_folder_without_a_usable_file_is_an_error_with_the_reasons_counted(tmp_path):
    with pytest.raises(SourcesRefused, match="it is empty"):
        list(read_tree(tmp_path))
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "short.py").write_text("a = 1\n")
    with pytest.raises(SourcesRefused, match=r"2 .*no language that is read; 1 .*fewer than 24 lines"):
        list(read_tree(tmp_path))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourcesRefused, match=r"there is no folder .*nowhere"):
        list(read_tree(tmp_path / "nowhere"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_counted(tmp_path):
    (tmp_path / "a.py").write_text("")
    (tmp_path / "a.py").chmod(0)
    with pytest.raises(SourcesRefused, match="cannot be read"):
        list(read_tree(tmp_path))
