"""Secret files, files the user excludes and texts that are no source are never predicted in."""

import pytest

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from capture.gate.exclude import PathGate, text_reason


@pytest.mark.parametrize(
    "path",
    [
        "/home/u/project/.env",
        "project/.env.production",
        "/p/.env.d/values.py",
        "/p/server.pem",
        "/p/SERVER.PEM",
        "/p/id.key",
        "a/b.cert",
        "a/b.crt",
        "/p/.dev.vars",
        "deploy/secrets.yml",
        "/p/.zed/settings.json",
        "/home/u/.config/zed/settings.json",
        "/home/u/.config/zed/keymap.json",
    ],
)
def test_secret_files_are_excluded_whatever_the_user_sets(path):
    reason = PathGate(["!**/*"]).reason(path)
    assert reason is not None
    assert "secret" in reason


@pytest.mark.parametrize("path", ["/p/main.py", "environment.py", "/p/keys.py", "/p/settings.json", "certificate.rs"])
def test_ordinary_source_passes(path):
    assert PathGate().reason(path) is None


def test_the_users_globs_follow_gitignore():
    gate = PathGate(["/build", "*.gen.py", "!keep.gen.py"])
    assert gate.reason("/w/build/x.py", root="/w") is not None
    assert gate.reason("/w/src/build/x.py", root="/w") is None
    assert gate.reason("/w/a.gen.py", root="/w") is not None
    assert gate.reason("/w/keep.gen.py", root="/w") is None
    assert gate.reason("/elsewhere/a.gen.py", root="/w") is not None


def test_an_invalid_glob_is_refused():
    with pytest.raises(ValueError):
        PathGate(["!"])


def reason_of(text):
    return text_reason(Document(text), max_file_bytes=1_000_000, max_line_characters=100)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("é" * 50 + "\n", None),
        ("", None),
        ("x\n" * 49_999, None),
        ("x\n" * 50_000, "lines"),
        ("x" * 100 + "\r\n", None),
        ("x" * 101 + "\r\n", "characters"),
        ("é\n" * 400_000, "bytes"),
        ("a\0b", "binary"),
    ],
)
def test_texts_that_are_too_large_or_binary_say_why(text, reason):
    found = reason_of(text)
    assert found is None if reason is None else reason in found


def test_a_text_that_becomes_unfit_by_an_edit_is_noticed_and_forgiven_when_it_is_undone():
    document = Document("a\n" * 1000)
    limits = {"max_file_bytes": 100_000, "max_line_characters": 50}
    assert text_reason(document, **limits) is None
    document.apply(ContentChange(Range(Position(500, 0), Position(500, 0)), "x" * 60))
    assert "characters" in text_reason(document, **limits)
    document.apply(ContentChange(Range(Position(500, 0), Position(500, 60)), ""))
    assert text_reason(document, **limits) is None
