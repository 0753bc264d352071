"""The collector's log: one JSON object a line on standard error, without a word of what clients send.

What is logged beside the message stands in the record's ``fields``; of other libraries' records and of exceptions no
more is kept than in the hub's log.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from daemon.logs import OUR_LOGGERS, TextFreeFormatter, set_level


class JsonLines(TextFreeFormatter):
    """One line for each record, an exception's place in it."""

    def __init__(self) -> None:
        super().__init__("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Time in UTC, level, logger, message, then the record's own fields."""
        message, _, place = super().format(record).partition("\n")
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": when, "level": record.levelname, "logger": record.name, "message": message}
        if place:
            line["at"] = [entry.strip() for entry in place.split("\n")]
        if record.name.partition(".")[0] in OUR_LOGGERS:
            line.update(getattr(record, "fields", {}))
        return json.dumps(line)


def to_standard_error(level: str) -> None:
    """Send the process's log there, as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], force=True)
    set_level(level)
