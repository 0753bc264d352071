"""Cells as they are kept, made of a few numbers."""

from __future__ import annotations

import pytest

from bench import report
from bench.client import Record

ENVIRONMENT = {
    "at": "2026-01-02 03:04:05",
    "commit": "abc1234",
    "machine": "x86_64, 2 cores, Linux",
    "processor": "A Processor",
    "threads": 1,
    "llama_cpp_python": "0.3.36",
    "load_before": 0.1,
}


@pytest.fixture
def cell():
    """``cell(system, waits_ms)``: a cell whose keys, a minute apart, got their answers so late; None is no answer."""

    def make(system, waits_ms, *, model="student", tokens=18, **others):
        records = [
            Record("python_basket", "type", 60_000.0 * at, 60_000.0 * at)
            if wait is None
            else Record(
                "python_basket",
                "type",
                60_000.0 * at,
                60_000.0 * at,
                60_000.0 * at + wait,
                "none",
                counters={"tokens_evaluated": tokens},
            )
            for at, wait in enumerate(waits_ms)
        ]
        return {
            "key": f"{model}--{system}",
            "model": model,
            "system": system,
            "sessions": ["python_basket"],
            "recorded": [],
            "summary": report.summarise(records),
            "cost": {"cpu_seconds_per_1000": 1.0, "rss_bytes": 2**20},
            "totals": {},
            "setting": {},
            "tuning": {},
            "environment": ENVIRONMENT,
            "records": [record.to_json() for record in records],
            **others,
        }

    return make
