"""The keys of a session go through a real window, and each stage is accounted for."""

from __future__ import annotations

import orjson
import pytest

from bench import keystroke_path
from bench.session import read_sessions


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch):
    monkeypatch.setattr(keystroke_path, "IDLE_SECONDS", 0.0)


@pytest.mark.parametrize("capture", [False, True])
async def test_every_key_the_model_answers_passes_through_every_stage(tmp_path, capture):
    [session] = read_sessions(["python_basket"])
    keys = await keystroke_path.measure([session.first(12)], tmp_path, capture=capture)
    assert (tmp_path / "snapshots.sqlite3").exists() == capture
    assert 1 <= len(keys) <= 12
    for spent_ms in keys:
        assert set(spent_ms) == set(keystroke_path.STAGES) - {keystroke_path.SUM}
        assert min(spent_ms.values()) > 0
        assert spent_ms["render"] < spent_ms["worker"]


def test_the_last_line_printed_is_the_table_as_json(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["keystroke_path", "go_cache", "--keys", "8"])
    keystroke_path.main()
    printed = capsys.readouterr().out.splitlines()
    result = orjson.loads(printed[-1])
    assert result["bench"] == "keystroke_path"
    assert 1 <= result["keys"] <= 8
    assert [line.split()[0] for line in printed[:-1]] == [stage.split()[0] for stage in keystroke_path.STAGES]
    assert {f"{stage}_ms" for stage in keystroke_path.STAGES} < set(result)
