"""What changed between the releases that a manifest names."""

from __future__ import annotations

import pytest

from training_export.errors import SourcesRefused
from training_export.importing.splitting import SplitSettings, examples_of
from training_export.student.sources.manifest import load_manifest
from training_export.student.sources.releases import released_changes
from training_export.student.sources.source_file import Side, side_of


@pytest.fixture
def kit(tmp_path, make_archive, make_manifest, code):
    """Three releases of an npm package: `a.js` changes twice, `b.js` never, a built and a short file always."""
    folder = tmp_path / "corpus"
    for number in range(3):
        make_archive(
            folder / "npm" / f"kit-{number}.0.0.tgz",
            {
                "package/src/a.js": code("a") + f"last = {number}\nend = {number}\n".encode(),
                "package/src/b.js": code("b"),
                "package/dist/a.js": code("c") + b"x\n" * number,
                "package/src/short.js": b"x\n" * number,
                f"package/src/new{number}.js": code("d"),
            },
        )
    rows = [{"version": f"{number}.0.0", "file": f"kit-{number}.0.0.tgz"} for number in range(3)]
    path = make_manifest(
        folder,
        [{"name": "kit", "languages": ["javascript"]}],
        [
            {"registry": "npm", "name": "kit", "takes": [{"project": "kit", "only": ["/src/"]}], "earlier": rows[:2]}
            | rows[2]
        ],
    )
    return load_manifest(path), folder


def test_files_that_differ_are_paired_release_by_release(kit):
    manifest, folder = kit
    found = list(released_changes(manifest, folder, sides=Side))
    assert [(each.newer.path, each.older_version, each.newer_version) for each in found] == [
        ("src/a.js", "0.0.0", "1.0.0"),
        ("src/a.js", "1.0.0", "2.0.0"),
    ]
    first = found[0]
    assert first.older.text.endswith("last = 0\nend = 0\n")
    assert first.newer.text.endswith("last = 1\nend = 1\n")
    assert first.change_set.changes[0].after == first.newer.text


def test_a_change_is_on_the_side_of_its_file(kit):
    manifest, folder = kit
    side = side_of("kit", "src/a.js")
    assert len(list(released_changes(manifest, folder, sides=[side]))) == 2
    assert list(released_changes(manifest, folder, sides=set(Side) - {side})) == []


def test_the_importer_makes_an_example_of_a_change(kit):
    manifest, folder = kit
    change = next(iter(released_changes(manifest, folder, sides=Side)))
    (example,) = examples_of(change.change_set, SplitSettings())
    assert "src/a.js" in example.cursor_path


def test_a_release_that_was_not_fetched_is_named_with_the_cure(kit):
    manifest, folder = kit
    (folder / "npm" / "kit-1.0.0.tgz").unlink()
    with pytest.raises(SourcesRefused, match=r"kit-1\.0\.0\.tgz is not there; fetch the corpus"):
        list(released_changes(manifest, folder))
