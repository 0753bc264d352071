"""Parts as others read them: whole or not there, one frame, one snapshot a line; damage is said and never passed over."""

from __future__ import annotations

import io
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from capture.collector.opening import parts_at
from capture.collector.parts import PartDamaged, compressing, decompressed_lines, is_name, new_name, read_parts
from capture.collector.storage import StorageMisconfigured, StorageUnavailable

DAY = datetime(2026, 11, 23, tzinfo=UTC)
LINES = st.lists(st.binary(min_size=1).map(lambda line: line.replace(b"\n", b" ")), min_size=1)


@pytest.fixture(params=["directory", "file://", "memory://"])
def url(request, tmp_path):
    return {
        "directory": str(tmp_path / "data"),
        "file://": f"file://{tmp_path}/with%20blank",
        "memory://": f"memory://{tmp_path.name}",
    }[request.param]


def write(url, lines, name=None):
    parts = parts_at(url)
    name = name or new_name(DAY)
    part = parts.begin(name)
    part.add(lines)
    part.finish()
    part.let_go()
    return name


def test_what_is_written_is_read_part_by_part_in_the_order_of_names(url):
    written = {write(url, [b"%d of %d" % (line, number) for line in range(3)]): number for number in range(5)}
    assert list(read_parts(url)) == [
        b"%d of %d" % (line, written[name]) for name in sorted(written) for line in range(3)
    ]
    assert all(is_name(name) for name in written)


def test_a_part_is_one_zstd_frame_that_anybody_can_read(tmp_path):
    name = write(str(tmp_path), [b'{"id":1}', b'{"id":2}'])
    assert name.startswith("date=2026-11-23/part-")
    packed = (tmp_path / "parts" / name).read_bytes()
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    assert decompressor.decompress(packed) == b'{"id":1}\n{"id":2}\n'
    assert decompressor.eof
    assert not decompressor.unused_data
    assert zstandard.get_frame_parameters(packed).has_checksum


def test_nothing_is_seen_of_a_part_before_it_is_finished_nor_of_one_that_never_was(url):
    parts = parts_at(url)
    part = parts.begin(new_name(DAY))
    part.add([b"a line" * 100_000])
    assert list(read_parts(url)) == []
    part.let_go()
    assert list(read_parts(url)) == []
    assert parts.names() == []


def test_what_a_writer_that_died_has_left_is_swept(tmp_path):
    parts = parts_at(str(tmp_path))
    name = write(str(tmp_path), [b"whole"])
    died = parts.begin(new_name(DAY))
    died._file.close()
    assert len(list((tmp_path / "parts" / "date=2026-11-23").iterdir())) == 2
    parts.sweep()
    assert [path.name for path in (tmp_path / "parts" / "date=2026-11-23").iterdir()] == [Path(name).name]


def test_a_part_written_again_takes_the_place_of_the_old_one_and_a_removed_one_is_gone(url):
    name, other = write(url, [b"old", b"kept"]), write(url, [b"other"])
    write(url, [b"kept"], name)
    assert sorted(read_parts(url)) == [b"kept", b"other"]
    parts_at(url).remove(name)
    parts_at(url).remove(name)
    assert parts_at(url).names() == [other]


def test_a_part_that_is_removed_while_others_are_read_is_passed_over(url):
    _, second = sorted(write(url, [b"one", b"two"]) for _ in range(2))
    reading = read_parts(url)
    assert next(reading) == b"one"
    parts_at(url).remove(second)
    assert list(reading) == [b"two"]


def test_what_else_lies_there_is_nobodys_business(tmp_path):
    name = write(str(tmp_path), [b"line"])
    folder = (tmp_path / "parts" / name).parent
    (folder / "notes.txt").write_text("not a part")
    (folder / "part-abc.jsonl.zst").write_text("not a name of ours")
    (tmp_path / "parts" / "readme").mkdir()
    assert list(read_parts(str(tmp_path))) == [b"line"]


def test_reading_where_nothing_is_gives_nothing_and_makes_nothing(tmp_path):
    assert list(read_parts(str(tmp_path / "nothing"))) == []
    assert list(read_parts(f"memory://{tmp_path.name}/nothing")) == []
    assert not (tmp_path / "nothing").exists()


def packed(lines):
    file = io.BytesIO()
    frame = compressing(file)
    for line in lines:
        frame.write(line + b"\n")
    frame.close()
    return file.getvalue()


@given(LINES)
def test_lines_come_back_as_they_went_in(lines):
    assert list(decompressed_lines("part", io.BytesIO(packed(lines)))) == lines


@given(LINES, st.data())
def test_a_part_that_was_cut_or_changed_anywhere_is_damaged(lines, data):
    whole = packed(lines)
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        broken = whole[:at]
    else:
        broken = bytearray(whole)
        broken[at] ^= data.draw(st.integers(1, 255))
    found = []
    try:
        found.extend(decompressed_lines("part", io.BytesIO(bytes(broken))))
    except PartDamaged as error:
        assert "backup" in str(error)  # noqa: PT017 (it need not be raised: see below)
    else:
        assert found == lines  # a bit of the frame's header that says nothing about its content


def test_something_behind_the_frame_is_damage():
    with pytest.raises(PartDamaged):
        list(decompressed_lines("part", io.BytesIO(packed([b"line"]) + b"more")))


def test_the_bytes_and_the_name_of_a_part_are_synced_before_it_counts(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor):
        events.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name.partition(".part")[0]))
        fsync(descriptor)

    def watched_replace(path, target):
        events.append(("rename", target.name))
        return replace(path, target)

    if sys.platform != "linux":
        pytest.skip("Linux tells what a descriptor is open for")
    (tmp_path / "parts" / "date=2026-11-23").mkdir(parents=True)
    part = parts_at(str(tmp_path)).begin(name := new_name(DAY))
    part.add([b"line"])
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    part.finish()
    part.let_go()
    assert events == [("sync", ""), ("rename", Path(name).name), ("sync", "date=2026-11-23")]


@pytest.mark.parametrize("scheme", ["http", "sftp", "zip", "nonsense"])
def test_a_place_whose_files_do_not_appear_whole_is_refused(scheme):
    with pytest.raises(StorageMisconfigured, match="no object store whose objects appear whole"):
        parts_at(f"{scheme}://host/path")


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_package_that_an_object_store_needs_is_named(monkeypatch, scheme, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(StorageMisconfigured, match=f"pip install {package}"):
        parts_at(f"{scheme}://bucket/prefix")


def test_a_database_is_no_place_to_read_parts_from():
    with pytest.raises(StorageMisconfigured, match="a database holds no parts"):
        next(read_parts("postgresql://host/database"))


class FullBucket(fsspec.AbstractFileSystem):
    """Nothing can be put, as a cloud's library may say it: in an error that is no OSError."""

    protocol = "oci"

    def pipe_file(self, path, *_, **__):
        raise RuntimeError(f"the quota of {path} is used up")


def test_whatever_an_object_stores_library_raises_is_said_without_its_words():
    fsspec.register_implementation("oci", FullBucket, clobber=True)
    part = parts_at("oci://bucket/secret-prefix").begin(new_name(DAY))
    part.add([b"line"])
    with pytest.raises(StorageUnavailable, match="the object store: RuntimeError") as refusal:
        part.finish()
    assert "secret-prefix" not in str(refusal.value)
