"""The collector's log: JSON lines that hold nothing of what an error or another library says."""

from __future__ import annotations

import json
import logging

from daemon.collector_log import JsonLines


def line(logger, message, **options):
    record = logging.getLogger(logger).makeRecord(logger, logging.ERROR, __file__, 1, message, (), **options)
    return json.loads(JsonLines().format(record))


def test_our_records_come_with_their_fields():
    written = line("capture.collector.service", "uploaded", exc_info=None, extra={"fields": {"accepted": 3}})
    assert written["message"] == "uploaded"
    assert written["accepted"] == 3
    assert written["level"] == "ERROR"


def test_of_an_exception_kind_and_place_are_kept_and_not_its_words():
    try:
        {}["text of a snapshot"]
    except KeyError as error:
        written = line("capture.collector.calls", "failed", exc_info=(type(error), error, error.__traceback__))
    assert "builtins.KeyError" in written["at"][0]
    assert "text of a snapshot" not in json.dumps(written)


def test_of_other_libraries_not_even_the_message_is_kept():
    written = line("grpc.aio", "text of a snapshot", exc_info=None, extra={"fields": {"content": "text of a snapshot"}})
    assert "text of a snapshot" not in json.dumps(written)
