"""The hub's log: rotated, in the state directory, and without a word of the user's files.

Only our own loggers' messages are written out, and those are composed without text. Of other libraries'
records, and of every exception, no more is kept than where it happened and of what kind it was: an
exception's message may quote the line that caused it.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

from daemon import paths
from daemon.errors import PathRefused

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

FILE_LIMIT_BYTES = 1024 * 1024
OLD_FILES_KEPT = 3
OUR_LOGGERS = ("daemon", "capture")
LINE_FORMAT = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"


class TextFreeFormatter(logging.Formatter):
    """Formats records so that nothing quoted from a file can get into the log."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and one more for each stack frame of an exception."""
        if record.name.partition(".")[0] in OUR_LOGGERS:
            return super().format(record)
        bare = logging.makeLogRecord(record.__dict__)
        bare.msg = f"something to tell at {record.module}:{record.lineno} (its text is not kept)"
        bare.args = ()
        return super().format(bare)

    def formatException(  # noqa: N802 (the name is logging's)
        self, ei: tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
    ) -> str:
        """Kind and place of an exception and of what caused it, never its message."""
        parts = []
        error = ei[1]
        while error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            where = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
            parts.append(f"  {type(error).__module__}.{type(error).__qualname__} at {where or 'an unknown place'}")
            error = error.__cause__ or error.__context__
        return "\n".join(parts)


def to_file(path: Path, level: str) -> logging.Handler:
    """Send the process's log to ``path``, replacing whatever was set up before; returns the handler.

    Raises PathRefused when that file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=paths.PRIVATE_MODE)
        handler = RotatingFileHandler(path, maxBytes=FILE_LIMIT_BYTES, backupCount=OLD_FILES_KEPT, encoding="utf-8")
    except OSError as error:
        raise PathRefused(f"cannot write the log {path}: {error.strerror}; make that possible") from error
    _log_to(handler, level)
    return handler


def to_standard_error(level: str) -> None:
    """Send the process's log to standard error, which editors keep in logs of their own."""
    _log_to(logging.StreamHandler(), level)


def _log_to(handler: logging.Handler, level: str) -> None:
    handler.setFormatter(TextFreeFormatter(LINE_FORMAT))
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    set_level(level)


def set_level(level: str) -> None:
    """How much of our own is logged; of other libraries only warnings and worse."""
    logging.getLogger().setLevel(logging.WARNING)
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())


def log_uncaught() -> None:
    """Uncaught exceptions go to the log (kind and place), not with their message to standard error."""

    def record(error: BaseException | None) -> None:
        logging.getLogger("daemon").critical("an uncaught exception", exc_info=error or True)

    sys.excepthook = lambda _kind, error, _trace: record(error)
    sys.unraisablehook = lambda unraisable: record(unraisable.exc_value)
    threading.excepthook = lambda thread: record(thread.exc_value)
