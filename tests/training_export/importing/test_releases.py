"""Releases of a package as commits of single files, from folders and from archives that nobody can trust."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from training_export.errors import ArchiveRefused
from training_export.example import Example
from training_export.importing import releases
from training_export.importing.changes import ChangeSet, Refused
from training_export.importing.releases import read_release, releases_of
from training_export.importing.splitting import SplitSettings, examples_of

OLD = {"shop/cart.py": "def total(prices):\n    return sum(prices)\n", "shop/same.py": "x = 1\n", "shop/gone.py": "y\n"}
NEW = {
    "shop/cart.py": "def total(prices, discount=0):\n    return sum(prices) - discount\n",
    "shop/same.py": "x = 1\n",
    "shop/added.py": "z\n",
}


def in_folder(path, files, top=""):
    for name, text in files.items():
        file = path / top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


def in_tar(path, files, top=""):
    with tarfile.open(path, f"w:{path.suffix[1:]}" if path.suffix != ".tar" else "w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{top}{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def in_zip(path, files, top=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{top}{name}", text)
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda path, version, files: in_folder(path / f"shop-{version}", files),
        lambda path, version, files: in_tar(path / f"shop-{version}.tar.gz", files, f"shop-{version}/"),
        lambda path, version, files: in_tar(path / f"shop-{version}.tar.xz", files, f"shop-{version}/"),
        lambda path, version, files: in_tar(path / f"shop-{version}.tar", files, f"shop-{version}/"),
        lambda path, version, files: in_zip(path / f"shop-{version}.zip", files, f"shop-{version}/"),
        lambda path, version, files: in_zip(path / f"shop-{version}-py3-none-any.whl", files),
    ],
    ids=["folder", "gz", "xz", "tar", "zip", "wheel"],
)
def test_a_file_that_both_releases_have_is_a_change(tmp_path, make, replay):
    (found,) = releases_of([make(tmp_path, "1.0", OLD), make(tmp_path, "1.1", NEW)])
    assert isinstance(found, ChangeSet)
    assert (found.source, found.revision) == ("shop-1.1/shop/cart.py", "")
    assert found.origin == {"release": {"package": "shop", "older": "shop-1.0", "newer": "shop-1.1"}}
    (example,) = examples_of(found, SplitSettings())
    assert isinstance(example, Example)
    assert example.name.startswith("shop-")
    parent = {"shop/cart.py": OLD["shop/cart.py"]}
    assert replay(example, parent)[1] == {"shop/cart.py": NEW["shop/cart.py"]}


def test_more_releases_are_compared_one_after_the_other(tmp_path):
    folders = [in_folder(tmp_path / f"shop-{number}", {"a.py": f"a = {number}\n"}) for number in range(4)]
    assert [found.source for found in releases_of(folders)] == [f"shop-{number}/a.py" for number in (1, 2, 3)]


def test_the_same_change_is_drawn_alike_wherever_the_releases_lie(tmp_path):
    folder = releases_of([in_folder(tmp_path / "shop-1", OLD), in_folder(tmp_path / "shop-2", NEW)])
    archive = releases_of([in_zip(tmp_path / "shop-1.zip", OLD), in_zip(tmp_path / "shop-2.zip", NEW)])
    assert [each.identity for each in folder] == [each.identity for each in archive]


def test_what_is_no_text_and_the_packages_own_data_is_left_out(tmp_path):
    old = {"a.png": "\0", "shop-1.dist-info/METADATA": "1\n", "shop/x.py": "a\n"}
    new = {"a.png": "\0\0", "shop-1.dist-info/METADATA": "2\n", "shop/x.py": "a\n"}
    (found,) = releases_of([in_zip(tmp_path / "shop-1.whl", old), in_zip(tmp_path / "shop-2.whl", new)])
    assert found == Refused("shop-2/a.png", "is binary: it contains a NUL character")


@pytest.mark.parametrize("name", ["../../evil.py", "/etc/evil.py", "a/../../evil.py", "..\\evil.py"])
@pytest.mark.parametrize("make", [in_zip, in_tar])
def test_a_path_that_leaves_the_package_is_left_out(tmp_path, name, make):
    path = make(tmp_path / ("shop-1.zip" if make is in_zip else "shop-1.tar"), {name: "evil\n", "good.py": "a\n"})
    found = read_release(path)
    assert found.files == {"good.py": b"a\n"}
    assert [each.reason for each in found.left_out] == ["its path leaves the package"]


def test_links_in_archives_and_folders_are_not_followed(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    path = tmp_path / "shop-1.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"x{kind!r}.py")
            member.type, member.linkname = kind, str(secret)
            archive.addfile(member)
    folder = in_folder(tmp_path / "shop-2", {"good.py": "a\n"})
    (folder / "x.py").symlink_to(secret)
    (folder / "more").symlink_to(tmp_path)
    assert read_release(path).files == {}
    assert len(read_release(path).left_out) == 3
    assert read_release(folder).files == {"good.py": b"a\n"}


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.bz2"])
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(releases, "MAX_RELEASE_BYTES", 3_000_000)
    files = {f"{number}.py": "x" * 500_000 for number in range(9)}
    make = in_zip if suffix == ".zip" else in_tar
    path = make(tmp_path / f"shop-1{suffix}", files)
    assert path.stat().st_size < 50_000
    with pytest.raises(ArchiveRefused, match="larger than"):
        read_release(path)


def test_a_header_that_unpacks_to_too_much_is_refused_before_it_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(releases, "MAX_RELEASE_BYTES", 3_000_000)
    path = tmp_path / "shop-1.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a.py")
        member.pax_headers = {"comment": "x" * 9_000_000}
        archive.addfile(member)
    with pytest.raises(ArchiveRefused, match="larger than"):
        read_release(path)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(releases, "MAX_FILES", 5)
    with pytest.raises(ArchiveRefused, match="5 files"):
        read_release(in_zip(tmp_path / "shop-1.zip", {f"{number}.py": "" for number in range(6)}))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", b"no archive"), ("a.tar.gz", b"\x1f\x8b\x08\0garbage"), ("a.zip", b"PK\x05\x06" + b"\xff" * 30)],
)
def test_what_is_no_archive_or_damaged_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArchiveRefused, match="cannot read"):
        read_release(tmp_path / name)


def test_an_archive_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ArchiveRefused, match="No such file"):
        read_release(tmp_path / "missing.tar.gz")
