"""What a person, or a program, is told of a run."""

from __future__ import annotations

import builtins
import io
import json
import sys

import pytest
from rich.console import Console

from daemon.errors import BadArgument
from training_export.commands.stage_options import Running, run_and_report
from training_export.errors import ExtraMissing
from training_export.running import progress
from training_export.running.progress import ProgressLine, listening


@pytest.fixture
def mixed(examples_file):
    source = examples_file(["abc", "de-fails"])
    source.write_text(source.read_text() + "nonsense\n")
    return str(source)


def test_the_end_of_a_run_is_one_line(shout, mixed, tmp_path, capsys):
    output = str(tmp_path / "out.jsonl")
    run_and_report(shout(), [mixed], output, Running())
    run_and_report(shout(), [mixed], output, Running())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"foretype: shout: 2 examples to {output}, 1 failed, 1 rejected, letters: 3, sighs: 1",
        f"foretype: shout: 2 examples to {output}, 2 reused, 1 failed, 1 rejected",
    ]


def test_for_a_program_it_is_json(shout, mixed, tmp_path, capsys):
    output, heard = str(tmp_path / "out.jsonl"), []
    with listening(heard.append):
        summary = run_and_report(shout(), [mixed], output, Running(as_json=True))
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == summary.to_json() == {
        "stage": "shout", "output": output, "examples": 2, "reused": 0, "failed": 1, "rejected": 1,
        "tallies": {"letters": 3, "sighs": 1},
    }  # fmt: skip
    assert heard == [summary]


def test_examples_and_summary_do_not_mix_on_standard_output(shout, mixed):
    with pytest.raises(BadArgument, match="standard output"):
        run_and_report(shout(), [mixed], "-", Running(as_json=True))


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_on_a_terminal_once_it_takes_long(is_terminal, monkeypatch):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=is_terminal, width=120)
    monkeypatch.setattr("rich.console.Console", lambda **_: console)
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    counts = {"examples": 10, "reused": 0, "failed": 2, "rejected": 0}
    with ProgressLine("shout", 100) as line:
        line.update(10, counts, {})
        assert shown.getvalue() == ""
        now[0] = 4.0
        line.update(50, {**counts, "examples": 20}, {"dollars": 0.25})
    text = shown.getvalue()
    assert ("20 examples 5.0/s, 2 failed, dollars: 0.2500" in text) == is_terminal
    assert bool(text) == is_terminal


def test_ray_is_asked_for_by_name_where_it_is_missing(shout, mixed, tmp_path, monkeypatch):
    real = builtins.__import__

    def without_ray(name, *arguments, **more):
        if name.partition(".")[0] == "ray":
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    monkeypatch.delitem(sys.modules, "training_export.running.ray_engine", raising=False)
    with pytest.raises(ExtraMissing, match=r"pip install 'foretype\[cluster\]'"):
        run_and_report(shout(), [mixed], str(tmp_path / "out.jsonl"), Running(engine="ray"))
