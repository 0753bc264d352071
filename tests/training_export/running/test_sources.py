"""What a stage's inputs may look like: which files are meant, and lines that are broken, torn, or far too long."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training_export.errors import ExamplesUnreadable
from training_export.example import Example
from training_export.example_format.files import Loaded, Rejected
from training_export.running.sources import Sources, opened, rereadable

LINE = Example.new(name="a", cursor_path="a.py", cursor_position="x<|user_cursor|>").to_line().encode()
COMPRESSED = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


def good(sources: Sources) -> list[str]:
    return [found.example.name for found in sources if isinstance(found, Loaded)]


def reasons(sources: Sources) -> list[str]:
    return [str(found) for found in sources if isinstance(found, Rejected)]


def test_globs_and_folders_mean_their_files_in_order(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.jsonl", "a.jsonl.gz", "c.jsonl.zst", "old.jsonl.rejected.jsonl", "notes.txt", "deep/d.jsonl"):
        (tmp_path / name).write_bytes(COMPRESSED.get(f".{name.rsplit('.', 1)[1]}", bytes)(LINE))
    names = [str(tmp_path / name) for name in ("a.jsonl.gz", "b.jsonl", "c.jsonl.zst")]
    assert list(opened([str(tmp_path)]).names) == names
    assert list(opened([str(tmp_path / "*")]).names) == names
    assert opened([str(tmp_path / "**" / "d*")]).names == (str(tmp_path / "deep" / "d.jsonl"),)
    assert list(opened([names[1], str(tmp_path / "*.jsonl*")]).names) == [names[1], names[0], names[2]]
    assert good(opened([str(tmp_path)])) == ["a", "a", "a"]


def test_a_name_that_looks_like_a_glob_and_is_a_file_is_that_file(tmp_path):
    path = tmp_path / "run[1].jsonl"
    path.write_bytes(LINE)
    assert opened([str(path)]).names == (str(path),)


@pytest.mark.parametrize("name", ["*.jsonl", "no-such.jsonl", "notes.txt", ".", "run[.jsonl"])
def test_what_names_nothing_is_an_error_that_names_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_bytes(LINE)
    with pytest.raises(ExamplesUnreadable) as refused:
        opened([name])
    assert name in str(refused.value)


def test_standard_input_is_read_once_unless_it_is_copied(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINE + b"\nnonsense\n")))
    with rereadable(["-"]) as sources:
        assert good(sources) == good(sources) == ["a"]
        (reason,) = reasons(sources)
        assert reason.startswith("standard input:2: ")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINE)))
    sources = opened(["-"])
    assert good(sources) == ["a"]
    with pytest.raises(RuntimeError, match="rereadable"):
        good(sources)
    with pytest.raises(ExamplesUnreadable, match="only once"):
        opened(["-", "-"])


def test_a_copy_of_standard_input_is_private_and_goes_away(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINE)))
    with rereadable(["-"]) as sources:
        copy = Path(sources.names[0])
        assert copy.parent.stat().st_mode & 0o077 == 0
    assert not copy.parent.exists()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (LINE.decode().encode("utf-16"), "not UTF-8"),
        (LINE.replace(b"a.py", "é.py".encode("latin-1")), "not UTF-8: byte"),
        (b"\xef\xbb\xbf" + LINE, "byte order mark"),
        (b"\0" * 512, "not JSON"),
        (LINE.replace(b"a.py", b"a\0.py"), "not JSON"),
        (LINE[:-10], "not JSON"),
        (b'{"name": 7}', "repository_url"),
    ],
)
def test_a_bad_line_costs_itself_alone(bad, reason, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(LINE + b"\r\n" + bad.replace(b"\n", b" ") + b"\n\n" + LINE + b"\n")
    assert good(opened([str(path)])) == ["a", "a"]
    (said,) = reasons(opened([str(path)]))
    assert said.startswith(f"{path}:2: ")
    assert reason in said


@pytest.mark.parametrize("ending", list(COMPRESSED))
def test_a_last_line_without_its_end_counts_where_it_is_whole(ending, tmp_path):
    path = tmp_path / f"in.jsonl{ending}"
    path.write_bytes(COMPRESSED[ending](LINE + b"\n" + LINE))
    assert good(opened([str(path)])) == ["a", "a"]
    path.write_bytes(COMPRESSED[ending](LINE + b"\n" + LINE[:-1]))
    assert good(opened([str(path)])) == ["a"]
    (said,) = reasons(opened([str(path)]))
    assert "torn: the file ends in the middle of this line" in said


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("kind", ["cut", "damaged", "nothing of the kind"])
def test_a_compressed_file_that_breaks_off_says_so_after_what_could_be_read(ending, kind, tmp_path):
    lines = [LINE.replace(b'"a"', b'"%d"' % number) for number in range(20_000)]
    content = bytearray(COMPRESSED[ending](b"\n".join(lines)))
    if kind == "cut":
        del content[len(content) // 2 :]
    elif kind == "damaged":
        content[len(content) // 2 :] = bytes(byte ^ 0x55 for byte in content[len(content) // 2 :])
    else:
        content[:] = LINE
    path = tmp_path / f"in.jsonl{ending}"
    path.write_bytes(content)
    names = good(opened([str(path)]))
    *_, said = reasons(opened([str(path)]))
    if kind == "damaged":  # the check sum stands at the end, so what is wrong may still be read as an example
        assert "what was read before may be wrong" in said
    else:
        assert names == [str(number) for number in range(len(names))]
        assert f"{path}:{len(names) + 1}: torn: the " in said


@pytest.mark.parametrize("ending", list(COMPRESSED))
def test_several_compressed_pieces_after_one_another_are_one_file(ending, tmp_path):
    path = tmp_path / f"in.jsonl{ending}"
    path.write_bytes(COMPRESSED[ending](LINE + b"\n") * 3)
    assert good(opened([str(path)])) == ["a"] * 3


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.sampled_from([LINE, b"nonsense", b"", b"x" * 400, b"\xff\xfe", LINE + b" " * 200]), max_size=8),
    ends_with_newline=st.booleans(),
    ending=st.sampled_from(list(COMPRESSED)),
)
def test_every_line_is_an_example_or_rejected_with_its_number(parts, ends_with_newline, ending, tmp_path):
    path = tmp_path / f"in.jsonl{ending}"
    content = b"\n".join(parts) + (b"\n" if ends_with_newline and parts else b"")
    path.write_bytes(COMPRESSED[ending](content))
    limit = len(LINE) + 100
    found = list(opened([str(path)], max_line_bytes=limit))
    lines = content.split(b"\n")
    expected = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    assert [one.line for one in found] == [number for number, _ in expected]
    for one, (_, line) in zip(found, expected, strict=True):
        if isinstance(one, Rejected):
            assert one.reason.startswith("too long") == (len(line) > limit)
        else:
            assert line.strip() == LINE == one.text


def test_progress_is_told_in_bytes_on_the_disk(tmp_path):
    for name, ending in (("a", ""), ("b", ".gz"), ("c", ".zst")):
        (tmp_path / f"{name}.jsonl{ending}").write_bytes(COMPRESSED[ending]((LINE + b"\n") * 500))
    sources = opened([str(tmp_path)])
    positions = [sources.read_bytes for _ in sources]
    assert positions == sorted(positions)
    assert sources.read_bytes == sources.total_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_what_is_passed_on_unchanged_is_the_bytes_that_were_read(tmp_path):
    spaced = LINE.replace(b'"name":"a"', b'"name" :  "a"')
    separators = LINE.replace(b"a.py", "a\u2028b.py".encode())
    path = tmp_path / "in.jsonl"
    path.write_bytes(spaced + b"\r\n" + separators + b"\n" + LINE.replace(b'"a"', b'""') + b"\n")
    texts = [found.text for found in opened([str(path)]) if isinstance(found, Loaded)]
    assert texts == [spaced, LINE.replace(b"a.py", b"a\\u2028b.py"), LINE.replace(b'"a"', b'"in-2"')]


MEASURE = """
import resource, sys
from pathlib import Path
from training_export.example_format.files import Loaded
from training_export.running.sources import opened
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
list(opened([sys.argv[1]]))
before = peak()
found = [type(one).__name__ + ":" + str(one.line) for one in opened([sys.argv[2]])]
print(peak() - before, *found)
"""


@pytest.mark.parametrize("ending", list(COMPRESSED))
def test_a_line_of_100_megabytes_is_rejected_without_being_held(ending, tmp_path):
    small, large = tmp_path / "small.jsonl", tmp_path / f"large.jsonl{ending}"
    small.write_bytes(LINE)
    content = LINE + b"\n" + b'{"name":"' + b"x" * (100 << 20) + b'"}\n' + LINE + b"\n"
    if ending == ".gz":
        large.write_bytes(gzip.compress(content, compresslevel=1))
    else:
        large.write_bytes(COMPRESSED[ending](content))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(small), str(large)], capture_output=True, text=True, check=True
    )
    grown, *found = done.stdout.split()
    assert found == ["Loaded:1", "Rejected:2", "Loaded:3"]
    # What may be read of a line, once in the reader and once as it is put together, and some room.
    assert int(grown) < 200 << 20
