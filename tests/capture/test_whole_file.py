"""Files that are written as a whole, and what is left where their writer was killed."""

from __future__ import annotations

from capture.whole_file import remove_unfinished, write_whole


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "manifest[1].json"
    write_whole(path, "whole\n")
    left = tmp_path / ".manifest[1].json.a1b2c3"
    others = [tmp_path / ".manifest1.json.a1b2c3", tmp_path / "manifest[1].json.a1b2c3", tmp_path / ".other"]
    for file in (left, *others):
        file.write_text("half")
    remove_unfinished(path)
    assert not left.exists()
    assert path.read_text() == "whole\n"
    assert all(other.exists() for other in others)
