"""The corpus is read from archives as a manifest says; what is held out stays out."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from training_export.errors import SourcesRefused
from training_export.student.sources.corpus import Corpus, manifest_rows
from training_export.student.sources.licences import licence_doubts, recognised
from training_export.student.sources.manifest import PERMISSIVE, load_manifest
from training_export.student.sources.source_file import Side

SHIPPED = load_manifest()
LANGUAGE_GROUPS = {
    "python": ("python",),
    "javascript": ("javascript", "typescript", "typescriptreact"),
    "go": ("go",),
    "rust": ("rust",),
}


@pytest.fixture
def made(tmp_path, make_archive, make_manifest, code):
    """A wheel of a training project, an sdist with a project of its own in a folder of other people's code."""
    folder = tmp_path / "corpus"
    make_archive(
        folder / "pypi" / "shop-1.0-py3-none-any.whl",
        {f"shop/{number}.py": code(f"shop{number}") for number in range(40)}
        | {"shop/tests/t.py": code("t"), "shop/copied.py": code("shared"), "shop/notes.txt": b"", "LICENSE": b"x"},
    )
    make_archive(
        folder / "pypi" / "kit-2.0.tar.gz",
        {
            "kit-2.0/go/vendor/held/a.py": code("shared"),
            "kit-2.0/go/vendor/held/b.py": code("b"),
            "kit-2.0/c.py": code("c"),
        },
    )
    path = make_manifest(
        folder,
        [{"name": "shop"}, {"name": "held", "side": "test"}],
        [
            {
                "registry": "pypi", "name": "shop", "version": "1.0", "file": "shop-1.0-py3-none-any.whl",
                "takes": [{"project": "shop", "only": ["/shop/"], "without": ["tests/"]}],
            },
            {
                "registry": "pypi", "name": "kit", "version": "2.0", "file": "kit-2.0.tar.gz",
                "takes": [{"project": "held", "folder": "go/vendor/held"}],
            },
        ],
    )  # fmt: skip
    return load_manifest(path), folder


def test_files_are_those_that_the_manifest_takes(made):
    manifest, folder = made
    found = {(file.project, file.path) for file in Corpus(folder, manifest).files()}
    assert found == {("shop", f"shop/{number}.py") for number in range(40)} | {("held", "a.py"), ("held", "b.py")}


def test_a_text_that_is_held_out_is_in_no_training_project(made):
    manifest, folder = made
    corpus = Corpus(folder, manifest)
    held = {file.text for file in corpus.files(sides=[Side.TEST, Side.VALIDATION])}
    assert not held & {file.text for file in corpus.files(sides=[Side.TRAIN])}
    assert corpus.left_out["has the text of another"] == 1


def test_choosing_languages_and_sides_does_not_change_what_is_chosen_from(made):
    manifest, folder = made
    corpus = Corpus(folder, manifest)
    everything = list(corpus.files())
    assert everything == list(corpus.files())
    for side in Side:
        assert list(corpus.files(["python"], [side])) == [file for file in everything if file.side is side]
    assert list(corpus.files(["rust"])) == []


def test_the_card_gets_a_row_for_each_project(made):
    manifest, folder = made
    rows = manifest_rows(folder, manifest)
    assert [(row["project"], row["name"], row["version"], row["files"], row["side"]) for row in rows] == [
        ("held", "kit", "2.0", 2, "test"),
        ("shop", "shop", "1.0", 40, "train"),
    ]
    assert {row["licence"] for row in rows} == {"MIT"}
    sizes = Counter[str]()
    for file in Corpus(folder, manifest).files():
        sizes[file.project] += len(file.text.encode())
    assert {row["project"]: row["bytes"] for row in rows} == sizes


def test_an_archive_that_was_not_fetched_is_named_with_the_cure(made):
    manifest, folder = made
    (folder / "pypi" / "kit-2.0.tar.gz").unlink()
    with pytest.raises(SourcesRefused, match=r"kit-2\.0\.tar\.gz is not there; fetch the corpus"):
        list(Corpus(folder, manifest).files())


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ('"MIT"', '"GPL-3.0"', "project shop: GPL-3.0 is no permissive licence"),
        ('"MIT"', '"MIT OR GPL-3.0"', "no permissive licence"),
        ('side = "train"', 'side = "training"', "`side` must be one of train, validation, test"),
        ('registry = "pypi"', 'registry = "cpan"', "`registry` must be one of pypi, npm"),
        ('["python"]', '["cobol"]', "`languages` must be some of python"),
        ('project = "shop"', 'project = "nobody"', "there is no project nobody"),
        ('file = "shop', 'file = "../shop', "`file` must be the name"),
        ('sha256 = "', 'sha256 = "X', "archive shop: `sha256` must be 64 hexadecimal digits"),
        ("bytes = ", "bytes = -", "`bytes` must be a number above 0"),
        ("licence_said_in", "licence_file_in", "give either `licence_file` or `licence_said_in`"),
        ("only = ", "onyl = ", "`onyl` means nothing here"),
        ("[[project]]", "[[projects]]", "`projects` means nothing here|there is no project"),
        ('name = "held"', 'name = "shop"', "two projects of that name"),
        ("kit-2.0.tar.gz", "shop-1.0-py3-none-any.whl", "is named twice"),
        ("[[project]]", "[[project", "cannot read the manifest"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_row(made, tmp_path, good, bad, message):
    path = tmp_path / "manifest.toml"
    text = path.read_text()
    assert good in text
    path.write_text(text.replace(good, bad))
    with pytest.raises(SourcesRefused, match=message):
        load_manifest(path)


def test_a_manifest_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourcesRefused, match=r"cannot read the manifest .*nowhere"):
        load_manifest(tmp_path / "nowhere.toml")


MIT = "Permission is hereby granted, free of charge, to any person ... The above copyright notice and this permission notice"
BSD = "Redistribution and use in source and binary forms, with or without modification ... Neither the name of"


def test_the_licence_that_a_text_begins_with_counts():
    assert recognised(MIT) == "MIT"
    assert (
        recognised(f"Licence of the parts:\n{BSD}\n\nOf others:\n{MIT}\nGNU General Public License") == "BSD-3-Clause"
    )
    assert recognised("GNU LESSER GENERAL\nPUBLIC LICENSE") == "GPL"
    assert recognised("All rights reserved.") is None


@pytest.mark.parametrize(
    ("licence", "take", "doubt"),
    [
        ("MIT", {"licence_file": "LICENSE"}, None),
        ("ISC OR MIT", {"licence_file": "LICENSE"}, None),
        ("Apache-2.0", {"licence_file": "LICENSE"}, "LICENSE is MIT, not Apache-2.0"),
        ("MIT", {"licence_file": "COPYING"}, "there is no COPYING"),
        ("BSD-3-Clause", {"licence_said_in": "the archive's metadata"}, None),
        ("ISC", {"licence_said_in": "the archive's metadata"}, "its metadata does not say ISC"),
    ],
)
def test_an_archive_must_say_what_the_manifest_says(tmp_path, make_archive, make_manifest, code, licence, take, doubt):
    folder = tmp_path / "corpus"
    files = {"s-1/LICENSE": MIT.encode(), "s-1/PKG-INFO": b"Name: s\nLicense: BSD\n\nISC\n", "s-1/a.py": code("a")}
    make_archive(folder / "pypi" / "s-1.tar.gz", files)
    path = make_manifest(
        folder,
        [{"name": "s", "licence": licence}],
        [{"registry": "pypi", "name": "s", "version": "1", "file": "s-1.tar.gz", "takes": [{"project": "s"} | take]}],
    )
    doubts = list(licence_doubts(load_manifest(path), folder))
    assert doubts == ([] if doubt is None else [f"s-1.tar.gz: s: {doubt}"])


def test_the_shipped_manifest_holds_out_enough_projects():
    for group, languages in LANGUAGE_GROUPS.items():
        held = [project for project in SHIPPED.projects if set(languages) & set(project.languages)]
        sides = Counter(project.side for project in held)
        assert sides[Side.TEST] >= (3 if group == "go" else 5), group
        assert sides[Side.VALIDATION] >= 2, group
        assert sides[Side.TRAIN] >= 10, group


def test_the_shipped_manifest_has_permissive_licences_only():
    for project in SHIPPED.projects:
        assert PERMISSIVE.issuperset(re.split(" OR | AND ", project.licence)), project


def test_the_shipped_manifest_is_what_a_stranger_can_fetch_in_an_evening():
    assert sum(pinned.bytes for pinned in SHIPPED.files()) < 600_000_000
    with_earlier = [archive for archive in SHIPPED.archives if archive.earlier]
    assert len(with_earlier) >= 8
    languages = {language for archive in with_earlier for take in archive.takes for language in take.project.languages}
    assert languages == {"python", "javascript", "typescript", "typescriptreact", "go", "rust"}


def test_the_shipped_manifest_is_part_of_the_package():
    assert Path(load_manifest.__code__.co_filename).with_name("manifest.toml").is_file()
