"""A file is read again when it changed, and only then."""

import os

from capture.rereading import YOUNG_NANOSECONDS, Rereading
from capture.whole_file import write_whole


class Reader:
    """Counts how often it reads."""

    def __init__(self):
        self.count = 0

    def __call__(self, path):
        self.count += 1
        return path.read_text() if path.exists() else None


def reading(path, reader, age_nanoseconds):
    """As if the file had last been changed so long ago."""
    return Rereading(path, reader, lambda: path.stat().st_ctime_ns + age_nanoseconds)


def test_an_old_file_is_read_once(tmp_path):
    path, reader = tmp_path / "file", Reader()
    path.write_text("one")
    value = reading(path, reader, YOUNG_NANOSECONDS)
    assert [value.current() for _ in range(5)] == ["one"] * 5
    assert reader.count == 1


def test_a_young_file_may_change_without_a_trace_and_is_read_again(tmp_path):
    path, reader = tmp_path / "file", Reader()
    path.write_text("one")
    value = reading(path, reader, YOUNG_NANOSECONDS - 1)
    assert [value.current() for _ in range(5)] == ["one"] * 5
    assert reader.count == 5


def test_a_file_that_comes_changes_is_replaced_and_goes_is_followed(tmp_path):
    path = tmp_path / "file"
    value = Rereading(path, Reader())
    assert value.current() is None
    for text in ("one", "two", "one"):
        path.write_text(text)
        assert value.current() == text
    write_whole(path, "six")
    assert value.current() == "six"
    path.unlink()
    assert value.current() is None


def test_a_missing_file_costs_one_look(tmp_path):
    reader = Reader()
    value = Rereading(tmp_path / "none", reader)
    assert [value.current() for _ in range(5)] == [None] * 5
    assert reader.count == 1


def test_a_change_of_who_may_read_counts_too(tmp_path):
    path, reader = tmp_path / "file", Reader()
    path.write_text("one")
    value = reading(path, reader, YOUNG_NANOSECONDS)
    value.current()
    before = path.stat()
    path.chmod(0)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.chmod(before.st_mode)
    value.current()
    assert reader.count == 2


def test_replacing_keeps_a_link_a_link_and_leaves_nothing_beside(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "file", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_whole(link, "neu\r\n")
    assert link.is_symlink()
    assert target.read_bytes() == b"neu\r\n"
    assert list((tmp_path / "real").iterdir()) == [target]
