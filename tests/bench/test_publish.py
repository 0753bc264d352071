"""The page that shows a run, and its pictures."""

from __future__ import annotations

import importlib.util
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import plots
from bench.publish import publish
from bench.session import read_sessions

NEEDS_MATPLOTLIB = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib (the extra `report`)"
)


@pytest.fixture
def without_pictures(monkeypatch):
    monkeypatch.setattr(plots, "draw", lambda _cells, _folder: {})


def test_a_page_shows_each_system_its_goals_and_where_it_was_measured(without_pictures, cell, tmp_path):
    cells = [
        cell("foretype", [10], setting={"flash attention": "off"}),
        cell("llama-cpp-python", [24]),
        cell("foretype", [2000], model="student@0.5b-q8_0"),
    ]
    later = {**cells[2]["environment"], "at": "2026-01-02 05:00:00", "commit": "def5678", "load_before": 1.5}
    cells[2]["environment"] = later
    [page] = publish(cells, ["student@0.5b-q8_0, llama-server"], tmp_path)
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "keystrokes.md"
    assert "## student\n" in text
    assert "## student@0.5b-q8_0\n" in text
    assert "| foretype | 10.0 | 10.0 | 10.0 |" in text
    assert "| wait of llama-cpp-python, p50 | 2.40 times ours | 3 times ours at least | missed by 20% |" in text
    assert "| student | 2.40 times ours: missed by 20% | 2.40 times ours: missed by 20% |" in text
    assert "1 keystrokes of python_basket." in text
    assert "- foretype ran with flash attention off." in text
    assert "| measured | 2026-01-02 03:04:05 to 2026-01-02 05:00:00 |" in text
    assert "| commit | `abc1234`; `def5678` |" in text
    assert "| load before a cell | 0.1 to 1.5 |" in text
    assert "## Not measured\n\n- student@0.5b-q8_0, llama-server\n" in text
    assert "`python -m bench.keystrokes --publish docs`" in text


def test_a_page_says_whether_anybody_typed_its_sessions(without_pictures, cell, tmp_path):
    [page] = publish([cell("foretype", [10])], [], tmp_path)
    assert "The sessions are **simulated**" in page.read_text()
    assert "Not measured" not in page.read_text()
    [page] = publish([cell("foretype", [10], sessions=["mine"], recorded=["mine"])], [], tmp_path)
    assert "recorded while a person typed: mine" in page.read_text()
    assert "simulated" not in page.read_text()


def test_every_row_of_a_pages_tables_has_as_many_cells_as_its_titles(without_pictures, cell, tmp_path):
    [page] = publish([cell("foretype", [10, None]), cell("llama-server", [None])], [], tmp_path)
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    tables = [[]]
    for line, above in zip(rows, ["", *rows], strict=False):
        if line.count("|") != above.count("|"):
            tables.append([])
        tables[-1].append(line)
    assert [len(table) for table in tables[1:]] == [3, 9, 4, 6]
    assert all(table[1].replace("|", "").replace(" ", "").strip("-") == "" for table in tables[1:])


@NEEDS_MATPLOTLIB
def test_a_page_has_a_small_picture_of_each_model(cell, tmp_path):
    sessions = [session.name for session in read_sessions()]
    chance = random.Random(3)
    systems = ("foretype", "llama-cpp-python", "llama-cpp-python lookup", "llama-server")
    cells = []
    for model in ("student", "folder/other.gguf@1.5b-q4_0"):
        for system in systems:
            waits = [chance.lognormvariate(4, 1.5) for _ in range(200 * len(sessions))]
            cells.append(cell(system, [*waits[:-1], None], model=model, sessions=sessions))
            for at, record in enumerate(cells[-1]["records"]):
                record["session"] = sessions[at // 200]
    page, *pictures = publish(cells, [], tmp_path)
    assert [picture.name for picture in pictures] == ["student.png", "other.gguf-1.5b-q4_0.png"]
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < 150_000
        assert f"](keystrokes/{picture.name})" in page.read_text()


@NEEDS_MATPLOTLIB
def test_systems_that_never_answered_are_drawn_without_a_point(cell, tmp_path):
    assert list(plots.draw([cell("foretype", [None]), cell("llama-server", [None, None])], tmp_path)) == ["student"]


@given(st.lists(st.one_of(st.floats(0.1, 1e5), st.just(math.inf)), min_size=1), st.integers(1, 30))
def test_a_curve_of_shares_rises_to_the_share_that_was_answered(waits, points):
    milliseconds, shares = plots.shares_below(waits, points)
    finite = [wait for wait in waits if wait < math.inf]
    assert len(shares) <= points + 1
    assert shares == sorted(shares)
    assert milliseconds == sorted(milliseconds)
    assert (shares[-1] if shares else 0) == len(finite) / len(waits)
    for wait, share in zip(milliseconds, shares, strict=True):
        assert sum(other < wait for other in waits) < share * len(waits) <= sum(other <= wait for other in waits) + 1e-9
