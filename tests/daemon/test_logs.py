"""The log: rotated, and free of the user's text by construction."""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from daemon import logs

MARKER = "xyzzy_marker_42"


@pytest.fixture
def log_file(tmp_path):
    """The process's logging goes to a file during the test and is as before after it."""
    root = logging.getLogger()
    before = (root.level, list(root.handlers), sys.excepthook, sys.unraisablehook, threading.excepthook)
    root.handlers.clear()
    handler = logs.to_file(tmp_path / "state" / "hub.log", "debug")
    yield tmp_path / "state" / "hub.log"
    handler.close()
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    sys.excepthook, sys.unraisablehook, threading.excepthook = before[2:]
    for name in logs.OUR_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_our_own_messages_are_kept(log_file):
    logging.getLogger("daemon.hub").info("serving %d windows", 3)
    assert "daemon.hub: serving 3 windows" in log_file.read_text()


def test_what_libraries_say_is_reduced_to_where_and_how_bad(log_file):
    library = logging.getLogger("somelibrary.part")
    library.warning("could not read %s", {"text": MARKER})
    library.error(f"no such thing: {MARKER}")
    library.info("chatter")
    text = log_file.read_text()
    assert MARKER not in text
    assert "chatter" not in text
    assert text.count("somelibrary.part") == 2
    assert "ERROR" in text


def test_an_exception_is_kept_as_kind_and_place_with_its_causes(log_file):
    def read():
        raise KeyError(MARKER)

    try:
        try:
            read()
        except KeyError as error:
            raise ValueError(f"bad line: {MARKER}") from error
    except ValueError:
        logging.getLogger("daemon.lsp").exception("a request failed")
    text = log_file.read_text()
    assert MARKER not in text
    assert "builtins.ValueError" in text
    assert "builtins.KeyError" in text
    assert "test_logs.py" in text
    assert " read" in text


def test_an_uncaught_exception_is_kept_the_same_way(log_file, capsys):
    logs.log_uncaught()
    error = RuntimeError(MARKER)
    sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=lambda: [].remove(MARKER))
    thread.start()
    thread.join()
    text = log_file.read_text()
    assert "builtins.RuntimeError" in text
    assert "builtins.ValueError" in text
    assert MARKER not in text
    assert capsys.readouterr().err == ""


def test_the_log_is_rotated_and_old_parts_are_dropped(log_file):
    line = "x" * 10_000
    for _ in range(logs.FILE_LIMIT_BYTES // len(line) * (logs.OLD_FILES_KEPT + 2) + 10):
        logging.getLogger("daemon").info(line)
    parts = sorted(path.name for path in log_file.parent.iterdir())
    assert parts == ["hub.log", "hub.log.1", "hub.log.2", "hub.log.3"]
    assert all(path.stat().st_size <= logs.FILE_LIMIT_BYTES for path in log_file.parent.iterdir())


def test_the_level_can_be_changed_while_running(log_file):
    logs.set_level("error")
    logging.getLogger("daemon.hub").info("quiet")
    logs.set_level("info")
    logging.getLogger("daemon.hub").info("loud")
    assert "quiet" not in log_file.read_text()
    assert "loud" in log_file.read_text()
