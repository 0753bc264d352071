"""The plan of the benchmark, what a run keeps and how it goes on, and the model names."""

from __future__ import annotations

import argparse
import sys

import orjson
import pytest

from bench import cells as cells_module
from bench import keystrokes, models, plots
from bench.cells import Bench, CannotTune, Cell, write_json
from bench.client import ServerEnded
from bench.keystrokes import plan, planned_seconds, run
from bench.session import read_sessions
from bench.systems import COMPARED, DRAFTING, SYSTEMS, System
from daemon.registry import EMBEDDED_PATH
from daemon.tuning.record import Key

NO_LIMIT = float("inf")


def options(**others):
    chosen = {"quick": False, "models": [], "systems": [], "sessions": [], "keystrokes": 0}
    return argparse.Namespace(**{**chosen, **others})


@pytest.fixture
def zeta2_student(tmp_path, monkeypatch):
    """A file where the second student would be."""
    path = tmp_path / "zeta2_student.gguf"
    path.write_bytes(EMBEDDED_PATH.read_bytes())
    monkeypatch.setattr(keystrokes, "ZETA2_PATH", path)
    monkeypatch.setitem(models.PATHS, models.ZETA2_STUDENT, path)
    return path


@pytest.fixture
def scripted_bench(tmp_path, monkeypatch, cell):
    """A bench whose servers take no time; what was typed into which is in ``runs``, what fails in ``broken``."""
    bench = Bench(tmp_path / "out", 1)
    (tmp_path / "out").mkdir()
    bench.runs, bench.broken = [], set()

    def type_into(wanted, system):
        bench.runs.append((wanted.model, wanted.system, len(wanted.sessions[0].keystrokes), dict(system.options)))
        if wanted.system in bench.broken:
            raise ServerEnded(f"{wanted.system} ended")
        return cell(wanted.system, [10.0] * 3, model=wanted.model, key=wanted.key)

    monkeypatch.setattr(bench, "_run", type_into)
    monkeypatch.setattr(bench, "_tune", lambda _model, system: {} if system.peer else {"threads": 1})
    monkeypatch.setattr(cells_module, "build", lambda: None)
    return bench


# --- the plan ---


def test_the_full_plan_has_every_system_and_session_and_begins_with_what_matters_most(zeta2_student):
    cells = plan(options())
    assert list(dict.fromkeys(cell.model for cell in cells)) == [
        "student",
        "zeta2-student",
        "student@0.5b-q8_0",
        "zeta2-student@0.5b-q8_0",
        "student@1.5b-q4_0",
        "zeta2-student@1.5b-q4_0",
    ]
    assert {cell.system for cell in cells} == set(COMPARED)
    assert all(len(cell.sessions) == len(read_sessions()) for cell in cells if "@" not in cell.model)


def test_the_full_plan_takes_less_than_an_hour_and_fifty_minutes(zeta2_student):
    assert sum(map(planned_seconds, plan(options()))) < 110 * 60


def test_the_full_plan_leaves_a_second_student_out_that_was_not_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(keystrokes, "ZETA2_PATH", tmp_path / "none.gguf")
    assert not any("zeta2" in cell.model for cell in plan(options()))
    assert "zeta2-student is left out" in capsys.readouterr().out


def test_the_quick_plan_takes_less_than_five_minutes():
    assert sum(planned_seconds(cell, quick=True) for cell in plan(options(quick=True))) < 300


def test_an_unknown_system_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"no system copilot; there are: foretype"):
        plan(options(systems=["copilot"]))


@pytest.mark.parametrize("name", ["no-such-model.gguf", "no-such-model.gguf@0.5b-q8_0"])
def test_an_unknown_model_is_refused_before_anything_is_measured(name):
    with pytest.raises(ValueError, match=r"no model no-such-model\.gguf"):
        plan(options(models=[name]))


def test_a_model_that_cannot_be_made_is_refused_with_what_can():
    with pytest.raises(ValueError, match=r"of 0\.5b, 1\.5b and f32, q8_0, q4_0"):
        models.model_path("student@7b-q8_0")
    assert models.model_path("student") == EMBEDDED_PATH
    assert (models.base_name("student@1.5b-q4_0"), models.shape_name("student@1.5b-q4_0")) == ("student", "1.5b")
    assert (models.base_name("student"), models.shape_name("student")) == ("student", "")


def test_other_sessions_are_another_cell():
    found = read_sessions(["python_basket", "python_parser"])
    cells = [Cell("m", "s", sessions) for sessions in ((), (found[0],), (found[1],), (found[0].first(50),))]
    assert len({cell.key for cell in cells}) == len(cells)


# --- a run ---


def test_a_run_goes_on_where_another_stopped(scripted_bench):
    cells = plan(options(models=["student"], systems=["foretype", "llama-cpp-python"], sessions=["python_basket"]))
    first = run(cells[:1], scripted_bench, minutes=NO_LIMIT, quick=False)
    assert [result["system"] for result in first.results] == ["foretype"]
    assert keystrokes.measured(cells, scripted_bench).missing == ["student, llama-cpp-python"]
    scripted_bench.runs.clear()
    second = run(cells, scripted_bench, minutes=NO_LIMIT, quick=False)
    assert [result["system"] for result in second.results] == ["foretype", "llama-cpp-python"]
    assert {system for _, system, *_ in scripted_bench.runs} == {"llama-cpp-python"}
    assert second.missing == second.failures == []
    assert keystrokes.measured(cells, scripted_bench).results == second.results


def test_what_was_measured_with_other_threads_is_measured_again(tmp_path, scripted_bench):
    [cell] = plan(options(models=["student"], systems=["foretype"], sessions=["python_basket"]))
    scripted_bench.measure(cell)
    path = tmp_path / "out" / f"{cell.key}.json"
    kept = orjson.loads(path.read_bytes())
    assert kept["environment"]["threads"] == 1
    write_json(path, kept | {"environment": kept["environment"] | {"threads": 2}})
    assert scripted_bench.known(cell) is None
    assert Bench(tmp_path / "out", 2).known(cell) is not None


def test_a_kept_cells_figures_are_made_anew_of_its_records(tmp_path, scripted_bench):
    [cell] = plan(options(models=["student"], systems=["foretype"], sessions=["python_basket"]))
    result = scripted_bench.measure(cell)
    write_json(tmp_path / "out" / f"{cell.key}.json", {**result, "summary": {"from": "an earlier version"}})
    assert scripted_bench.known(cell)["summary"] == result["summary"]


def test_a_system_that_breaks_costs_its_own_cell_alone(scripted_bench, capsys):
    scripted_bench.broken.add("llama-cpp-python")
    systems = ["foretype", "llama-cpp-python", "llama-server"]
    cells = plan(options(models=["student"], systems=systems, sessions=["python_basket"]))
    progress = run(cells, scripted_bench, minutes=NO_LIMIT, quick=False)
    assert [result["system"] for result in progress.results] == ["foretype", "llama-server"]
    assert progress.missing == ["student, llama-cpp-python"]
    assert progress.failures == ["student, llama-cpp-python: llama-cpp-python ended"]
    assert "llama-cpp-python ended" in capsys.readouterr().err


def test_a_cell_that_would_end_too_late_is_not_begun_but_what_is_known_is_shown(scripted_bench):
    cells = plan(options(models=["student"], systems=["foretype", "llama-cpp-python"], sessions=["python_basket"]))
    run(cells[1:], scripted_bench, minutes=NO_LIMIT, quick=False)
    progress = run(cells, scripted_bench, minutes=0.1, quick=False)
    assert progress.missing == ["student, foretype"]
    assert [result["system"] for result in progress.results] == ["llama-cpp-python"]


def test_an_interrupt_ends_the_run_with_what_there_is(scripted_bench, monkeypatch):
    cells = plan(options(models=["student"], systems=["foretype", "llama-cpp-python"], sessions=["python_basket"]))
    measure = scripted_bench.measure

    def interrupted(cell):
        if cell.system == "llama-cpp-python":
            raise KeyboardInterrupt
        return measure(cell)

    monkeypatch.setattr(scripted_bench, "measure", interrupted)
    progress = run([*cells, cells[1]], scripted_bench, minutes=NO_LIMIT, quick=False)
    assert [result["system"] for result in progress.results] == ["foretype"]
    assert progress.missing == ["student, llama-cpp-python"] * 2


def test_what_is_shown_ends_with_one_json_line_without_records(scripted_bench, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(plots, "draw", lambda _cells, _folder: {})
    cells = plan(options(models=["student"], systems=["foretype"], sessions=["python_basket"]))
    keystrokes.show(run(cells, scripted_bench, minutes=NO_LIMIT, quick=False), tmp_path)
    last = orjson.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each["system"] for each in last["cells"]] == ["foretype"]
    assert "records" not in last["cells"][0]
    assert last["missing"] == []


# --- settings and tuning ---


def test_a_peers_best_setting_is_looked_for_once_and_used(scripted_bench):
    cells = plan(options(models=["student"], systems=["llama-server"], sessions=["python_basket", "python_parser"]))
    [result] = run(cells, scripted_bench, minutes=NO_LIMIT, quick=False).results
    *tries, measured = scripted_bench.runs
    assert len(tries) == 5
    assert {keystroke_count for _, _, keystroke_count, _ in tries} == {cells_module.SWEEP_KEYSTROKES}
    assert measured[3] == SYSTEMS["llama-server"].with_setting(result["setting"]).options
    other = plan(options(models=["student"], systems=["llama-server"], sessions=["python_basket"]))
    scripted_bench.runs.clear()
    scripted_bench.measure(other[0])
    assert len(scripted_bench.runs) == 1


def test_a_widened_models_search_begins_where_the_students_ended(scripted_bench):
    cells = plan(options(models=["student@0.5b-q8_0"], systems=["llama-server"], sessions=["python_basket"]))
    [result] = run(cells, scripted_bench, minutes=NO_LIMIT, quick=False).results
    typed = [model for model, *_ in scripted_bench.runs]
    assert typed == ["student@0.5b-q8_0"] * 0 + ["student"] * 5 + ["student@0.5b-q8_0"] * 3
    assert result["setting"].keys() == {"flash attention", "prompt cache", DRAFTING}


def test_a_quick_bench_takes_the_defaults(scripted_bench, monkeypatch):
    monkeypatch.setattr(scripted_bench, "_searches", False)
    [cell] = plan(options(models=["student"], systems=["llama-server"], sessions=["python_basket"]))
    assert scripted_bench.measure(cell)["setting"] == SYSTEMS["llama-server"].default_setting
    assert len(scripted_bench.runs) == 1


def test_the_daemon_is_tuned_in_the_homes_and_with_the_settings_it_runs_with(tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    script = (
        "import os, sys, json; from pathlib import Path;"
        f"Path({str(seen)!r}).write_text(os.environ['XDG_CACHE_HOME'] + Path(os.environ['FORETYPE_CONFIG']).read_text());"
        "print(json.dumps({'tuning': {'threads': 2, 'flash_attention': 'off'}, 'notes': ['busy']}))"
    )
    monkeypatch.setattr(System, "tune_command", lambda _self, _seconds: [sys.executable, "-c", script])
    found = Bench(tmp_path, 2)._tune("student", SYSTEMS["foretype"])
    assert (found["flash_attention"], found["notes"]) == ("off", ["busy"])
    text = seen.read_text()
    assert text.startswith(str(tmp_path / "home" / "cache"))
    assert "threads = 2\n" in text
    assert f'model = "{EMBEDDED_PATH}"\n' in text


def test_a_tuning_that_fails_says_why(tmp_path, monkeypatch):
    command = [sys.executable, "-c", "import sys; sys.exit('the time is too short')"]
    monkeypatch.setattr(System, "tune_command", lambda _self, _seconds: command)
    with pytest.raises(CannotTune, match="the time is too short"):
        Bench(tmp_path, 1)._tune("student", SYSTEMS["foretype"])


def test_a_peer_is_not_tuned(tmp_path):
    assert Bench(tmp_path, 1)._tune("student", SYSTEMS["llama-server"]) == {}


def test_the_real_command_tunes_and_what_it_found_is_in_use(tmp_path):
    """Few seconds are enough to choose threads; the rest is left as it was."""
    bench = Bench(tmp_path, 1, tune_seconds=5.0)
    found = bench._tune("student", SYSTEMS["foretype"])
    assert found["threads"] >= 1
    assert found["flash_attention"] in ("auto", "on", "off")
    kept = list((tmp_path / "home" / "cache").rglob("tuning/*.json"))
    assert len(kept) == 1
    record = orjson.loads(kept[0].read_bytes())
    assert Key(**record["key"]).model_bytes == EMBEDDED_PATH.stat().st_size


def test_what_is_written_reads_back_and_leaves_nothing_half(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1})
    assert orjson.loads((tmp_path / "a.json").read_bytes()) == {"b": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
