"""``foretype model tune`` as a person meets it: measured once, used from then on, undone with one option."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

SHORT_SECONDS = "6"  # an idle machine needs no more


def tune(world, *arguments):
    return world.foretype("model", "tune", "--seconds", SHORT_SECONDS, *arguments)


def info(world):
    return json.loads(world.foretype("model", "info", "--json").stdout)


def records(world):
    return list((world.cache / "foretype" / "tuning").glob("*"))


def test_what_was_measured_is_shown_used_and_forgotten_again(world):
    before = info(world)
    assert set(before["sources"].values()) == {"default"}
    assert "foretype model tune" in before["tuning"]
    tuned = tune(world, "--json")
    assert tuned.returncode == 0, tuned.stderr
    report = json.loads(tuned.stdout)
    assert [str(path) for path in records(world)] == [report["record"]]
    assert set(world.written_files()) == set(records(world))

    after = info(world)
    chosen = report["tuning"]
    for name in ("threads", "flash_attention", "kv_type"):
        assert after[name] == chosen[name]
        assert after["sources"][name] == "measured"
    if chosen["read_batch_tokens"]:
        assert after["read_batch_tokens"] == chosen["read_batch_tokens"]
    assert after["tuning"].startswith("measured ")
    shown = world.foretype("model", "info").stdout
    assert f"{chosen['threads']} (measured)" in shown
    world.write_settings("threads = 2\n")
    overridden = info(world)
    assert (overridden["threads"], overridden["sources"]["threads"]) == (2, "setting")
    world.settings_path.unlink()

    forgotten = world.foretype("model", "tune", "--forget")
    assert forgotten.returncode == 0
    assert "forgotten" in forgotten.stdout
    assert not records(world)
    assert set(info(world)["sources"].values()) == {"default"}
    assert "nothing was measured" in world.foretype("model", "tune", "--forget").stdout


def test_a_person_gets_a_table_and_is_told_where_it_is_kept_and_how_to_undo_it(world):
    tuned = tune(world)
    assert tuned.returncode == 0, tuned.stderr
    assert "a keystroke" in tuned.stdout
    assert "chosen: " in tuned.stdout
    assert str(records(world)[0]) in tuned.stdout
    assert "--forget" in tuned.stdout
    (marked,) = [line for line in tuned.stdout.splitlines() if line.startswith("*")][-1:]
    assert "f16" in marked


def test_the_command_never_loads_llama_cpp_itself(world):
    probe = (
        "import sys; sys.argv[1:] = ['model', 'tune', '--seconds', '1', '--json']\n"
        "from daemon.main import main\n"
        "code = main()\n"
        "sys.stderr.write(str(sorted({'llama_cpp', 'numpy'} & set(sys.modules))))"
    )
    found = subprocess.run(
        [sys.executable, "-c", probe], env=world.env, cwd=world.project, capture_output=True, text=True, check=True
    )
    assert found.stderr.endswith("[]")


def test_what_cannot_be_tuned_is_an_error_with_a_cure_and_writes_nothing(world):
    (world.project / "text.gguf").write_text("just text")
    for arguments, said in (
        (("none.gguf",), "none.gguf cannot be read"),
        (("--forget", "none.gguf"), "none.gguf cannot be read"),
        (("text.gguf",), "not a GGUF"),
        (("nothing",), "no model is called 'nothing'"),
    ):
        tuned = world.foretype("model", "tune", *arguments)
        assert tuned.returncode == 1
        assert said in tuned.stderr
        assert "Traceback" not in tuned.stderr
    assert world.foretype("model", "tune", "--seconds", "0").returncode == 2
    assert not world.written_files()


def test_a_cache_directory_that_cannot_be_written_is_named(world):
    world.cache.parent.mkdir(exist_ok=True)
    world.cache.write_text("a file in its place")
    tuned = tune(world)
    assert tuned.returncode == 1
    assert f"{world.cache}/foretype/tuning cannot be written" in tuned.stderr
    assert "Traceback" not in tuned.stderr


def test_a_damaged_record_costs_nothing_but_itself(world):
    assert tune(world).returncode == 0
    (path,) = records(world)
    path.write_text("{")
    found = info(world)
    assert str(path) in found["tuning"]
    assert set(found["sources"].values()) == {"default"}
    assert world.foretype("doctor").returncode == 0
    assert "forgotten" in world.foretype("model", "tune", "--forget").stdout
    assert not records(world)


def test_status_says_how_the_loaded_model_runs(world, changed):
    editor = world.editor()
    editor.initialize()
    editor.notify(
        "textDocument/didOpen",
        {"textDocument": {"uri": "untitled:1", "languageId": "python", "version": 1, "text": "a = 1\nb = a\n"}},
    )
    editor.request(
        "textDocument/copilotInlineEdit",
        {"textDocument": {"uri": "untitled:1", "version": 1}, "position": {"line": 0, "character": 1}},
    )
    changed(world.status, lambda status: status["predictions"]["model"]["model"])
    assert "threads (default); not tuned; run: foretype model tune" in world.foretype("status").stdout


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_leaves_nothing_behind(world, gone, changed):
    command = [sys.executable, "-m", "daemon.main", "model", "tune", "--seconds", "600"]
    tuning = subprocess.Popen(
        command,
        env=world.env,
        cwd=world.project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        workers = changed(
            lambda: [process for process in world.processes() if "daemon.engine.worker" in process.cmdline()],
            lambda found: found,
            tries=2000,
        )
        os.killpg(tuning.pid, signal.SIGINT)  # as a terminal sends it
        _, errors = tuning.communicate(timeout=20)
    finally:
        tuning.kill()
        tuning.wait()
    assert tuning.returncode not in (0, None)
    assert "Traceback" not in errors
    assert all(gone(process) for process in workers)
    assert not world.written_files()
