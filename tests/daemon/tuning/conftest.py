"""Measurements and records for tests: made up, of any size."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from daemon.engine.ways import FlashAttention, KvType, Measured, Tuning, Way
from daemon.tuning import choice
from daemon.tuning.record import Key, Record

SECONDS = st.floats(1e-6, 100)
PLAIN_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@st.composite
def measurements(draw, way=None, read_batches=choice.READ_BATCHES):
    """What a worker may have measured of ``way``, everything of it."""

    def seconds_of(sizes):
        return {size: draw(SECONDS) for size in sizes}

    return Measured(
        way or draw(ways()),
        draw(st.integers(1, 15)),
        draw(st.integers(0, 512)),
        draw(SECONDS),
        seconds_of(choice.PASS_TOKENS),
        seconds_of(read_batches),
        seconds_of(read_batches),
        draw(st.floats(0, 1)),
    )


@st.composite
def ways(draw):
    flash = draw(st.sampled_from(FlashAttention))
    kv_types = [KvType.F16] if flash is FlashAttention.OFF else list(KvType)
    return Way(draw(st.integers(1, 1024)), flash, draw(st.sampled_from(kv_types)))


@st.composite
def records(draw):
    """Any record that may have been written."""
    way = draw(ways())
    key = Key(
        draw(st.integers(0, 1 << 40)),
        draw(st.integers(0, 1 << 62)),
        draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        draw(PLAIN_TEXT),
        draw(st.integers(1, 1024)),
        draw(PLAIN_TEXT),
        draw(st.integers(-1, 1000)),
    )
    tuning = Tuning(
        way.threads,
        way.flash_attention,
        way.kv_type,
        draw(st.integers(0, 512)),
        draw(PLAIN_TEXT),
        draw(PLAIN_TEXT),
        draw(st.booleans()),
    )
    return Record(key, tuning, tuple(draw(st.lists(measurements(), max_size=2))), tuple(draw(st.lists(PLAIN_TEXT))))


@pytest.fixture(scope="session")
def any_measurement():
    """``any_measurement(way=..., read_batches=...)``: a strategy."""
    return measurements


@pytest.fixture(scope="session")
def any_way():
    """A strategy for ways that llama.cpp may take."""
    return ways


@pytest.fixture(scope="session")
def any_record():
    """A strategy."""
    return records


@pytest.fixture(scope="session")
def costing():
    """``costing(way, factor, gap=...)``: a way in which everything costs ``factor`` times a millisecond a token."""

    def make(way, factor, gap_seconds=0.001):
        return Measured(
            way,
            rounds=3,
            depth_tokens=512,
            keystroke_seconds=factor * sum(choice.KEYSTROKE_TOKENS) / 1000,
            pass_seconds={tokens: factor * tokens / 1000 for tokens in choice.PASS_TOKENS},
            read_seconds={tokens: factor * tokens / 1000 for tokens in choice.READ_BATCHES},
            gap_seconds=dict.fromkeys(choice.READ_BATCHES, gap_seconds),
        )

    return make
