"""Members are read from archives of both kinds, hostile ones among them."""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.errors import ArchiveRefused
from training_export.student.sources import archives
from training_export.student.sources.archives import members


def everything(name: str) -> bool:
    return True


@pytest.mark.parametrize("file", ["shop-1.0.tar.gz", "shop-1.0.tgz"])
def test_the_one_folder_of_an_sdist_and_of_an_npm_package_is_taken_off(tmp_path, make_archive, file):
    path = make_archive(tmp_path / file, {"shop-1.0/src/a.py": b"a", "shop-1.0/b.py": b"b", "outside.py": b"c"})
    assert dict(members(path, everything)) == {"src/a.py": b"a", "b.py": b"b"}


@pytest.mark.parametrize("file", ["shop-1.0-py3-none-any.whl", "shop.zip"])
def test_names_in_a_wheel_are_whole(tmp_path, make_archive, file):
    path = make_archive(tmp_path / file, {"shop/a.py": b"a", "b.py": b"b"})
    assert dict(members(path, everything)) == {"shop/a.py": b"a", "b.py": b"b"}


def test_only_what_is_wanted_is_read(tmp_path, make_archive):
    files = {"p/a.py": b"a", "p/b.txt": b"b"}
    for name in ("p.tgz", "p.whl"):
        found = dict(members(make_archive(tmp_path / name, files), lambda name: name.endswith(".py")))
        assert list(found.values()) == [b"a"]


def test_links_and_devices_are_passed_over(tmp_path):
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, kind in (
            ("p/link.py", tarfile.SYMTYPE),
            ("p/hard.py", tarfile.LNKTYPE),
            ("p/fifo.py", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert list(members(path, everything)) == []
    zipped = tmp_path / "evil.whl"
    with zipfile.ZipFile(zipped, "w") as archive:
        link = zipfile.ZipInfo("link.py")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert list(members(zipped, everything)) == []


@given(st.text(st.sampled_from("ab./\\:\0"), min_size=1, max_size=12))
def test_no_name_leads_out_of_the_archive(name):
    with tempfile.TemporaryDirectory() as folder:
        tar, wheel = Path(folder, "evil.tar.gz"), Path(folder, "evil.whl")
        with tarfile.open(tar, "w:gz") as archive:
            member = tarfile.TarInfo(f"p/{name}".replace("\0", "?"))
            archive.addfile(member, io.BytesIO())
        with zipfile.ZipFile(wheel, "w") as zipped:
            info = zipfile.ZipInfo("x")
            info.filename = name.replace("\0", "?")
            zipped.writestr(info, b"")
        for path in (tar, wheel):
            for found, _ in members(path, everything):
                assert found
                assert not found.startswith("/")
                assert "\\" not in found
                assert ".." not in found.split("/")


@pytest.mark.parametrize("name", ["bomb.tar.gz", "bomb.whl"])
def test_an_archive_that_swells_is_refused(tmp_path, make_archive, name):
    path = make_archive(tmp_path / name, {f"p/{number}.py": b"0" * 500_000 for number in range(20)})
    assert path.stat().st_size < 100_000
    with pytest.raises(ArchiveRefused, match="larger than the 2000000 bytes"):
        list(members(path, everything, max_unpacked_bytes=2_000_000))


def test_a_header_that_swells_is_refused(tmp_path):
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb") as file:
        header = tarfile.TarInfo("p/a.py")
        header.type, header.size = tarfile.GNUTYPE_LONGNAME, 50_000_000
        file.write(header.tobuf())
        for _ in range(50):
            file.write(b"a" * 1_000_000)
    with pytest.raises(ArchiveRefused, match="larger than"):
        list(members(path, everything, max_unpacked_bytes=2_000_000))


@pytest.mark.parametrize("name", ["many.tar.gz", "many.whl"])
def test_too_many_members_are_refused(tmp_path, make_archive, monkeypatch, name):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 10)
    path = make_archive(tmp_path / name, {f"p/{number}.py": b"" for number in range(11)})
    with pytest.raises(ArchiveRefused, match="more than the 10 members"):
        list(members(path, everything))


@pytest.mark.parametrize("name", ["cut.tar.gz", "cut.whl"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_what_is_no_whole_archive_is_refused_with_the_cure(tmp_path, make_archive, name, kept):
    path = make_archive(tmp_path / name, {f"p/{number}.py": str(number).encode() * 900 for number in range(50)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(ArchiveRefused, match=f"cannot read .*{name}.*fetch it again"):
        list(members(path, everything))
