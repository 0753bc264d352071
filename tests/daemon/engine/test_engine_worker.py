"""The worker process: its pipe carries the protocol alone, and it never outlives its hub."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import subprocess
import sys

import orjson
import psutil
import pytest

from daemon.engine.abort import AbortFlag
from daemon.engine.decoder import DecodeRequest
from daemon.engine.errors import WorkerDied
from daemon.engine.process import WORKING_FOLDER, WorkerProcess

MARKER = "PlantedMarker"
EXIT_SECONDS = 5.0  # from the death of the hub to the end of its worker


class Pipes:
    """A worker on plain pipes, without the hub's code."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.flag = AbortFlag.create()
        self.process = subprocess.Popen(
            (*command, str(self.flag.descriptor)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(self.flag.descriptor,),
            cwd=WORKING_FOLDER,
        )

    def send(self, **message: object) -> None:
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, **message: object) -> dict:
        self.send(**message)
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.kill()
        with self.process:  # closes the pipes and waits
            self.flag.close()


@pytest.fixture
def pipes(plain_worker_command):
    worker = Pipes(plain_worker_command)
    yield worker
    worker.close()


def load(path) -> dict:
    return {"op": "load", "settings": {"path": str(path), "threads": 1}}


def predict(inputs, **options) -> dict:
    return {"op": "predict", "inputs": inputs.to_json(), "deadline_seconds": 60, **options}


def test_whatever_prints_to_standard_output_the_pipe_holds_replies_only(pipes, tiny_model, moment):
    """The format of this worker prints to descriptor 1 by write, C stdio and Python; ggml could as well."""
    model = pipes.ask(id=1, **load(tiny_model))
    answer = pipes.ask(id=2, **predict(moment("def f", budget=3)))
    errors = pipes.process.communicate()

    assert (model["id"], model["kind"]) == (1, "model")
    assert model["value"]["architecture"] == "qwen2"
    assert model["value"]["backend"] == "CPU"
    assert (answer["id"], answer["kind"]) == (2, "answer")
    assert answer["value"]["counters"]["answer_tokens"] == 3
    assert errors[0] == b""
    for noise in (b"noise from a write", b"noise from C", b"noise from Python"):
        assert noise in errors[1]


def test_the_end_of_its_input_ends_a_worker_that_waits(pipes, tiny_model):
    pipes.ask(id=1, **load(tiny_model))
    pipes.process.stdin.close()

    assert pipes.process.wait(EXIT_SECONDS) == 0


@pytest.mark.parametrize(("text", "budget"), [("def " * 3500, 1), ("def ", 8000)], ids=["prefill", "answer"])
def test_the_end_of_its_input_ends_a_worker_that_decodes(pipes, slow_model, moment, text, budget):
    pipes.ask(id=1, **load(slow_model))
    pipes.send(id=2, **predict(moment(text, budget=budget)))
    wait_until_busy(pipes.process.pid)
    pipes.process.stdin.close()

    assert pipes.process.wait(EXIT_SECONDS) == 0
    assert pipes.process.stdout.read() == b""  # it was indeed decoding still


def wait_until_busy(process_id: int) -> None:
    """Wait until the process has computed for 0.1 s from now; ten seconds are more than that ever takes."""
    process = psutil.Process(process_id)
    start = process.cpu_times().user
    for _ in range(1000):
        with pytest.raises(psutil.TimeoutExpired):
            process.wait(0.01)
        if process.cpu_times().user >= start + 0.1:
            return
    pytest.fail("the worker is idle")


HUB = """
import asyncio, json, logging, sys
from capture.inputs import PredictionInputs
from daemon.engine.client import EngineClient
from daemon.engine.messages import ModelSettings

async def main():
    path, inputs, *command = sys.argv[1:]
    client = EngineClient(ModelSettings(path, threads=1), log=logging.getLogger("worker"), command=command)
    await client.ready()
    print(client.process_id, flush=True)
    await client.predict(PredictionInputs.from_json(json.loads(inputs)), deadline_seconds=60)

asyncio.run(main())
"""


def test_a_killed_hub_leaves_no_worker_decoding(slow_model, moment, plain_worker_command):
    inputs = json.dumps(moment("def ", budget=8000).to_json())
    with subprocess.Popen(
        (sys.executable, "-c", HUB, str(slow_model), inputs, *plain_worker_command),
        stdout=subprocess.PIPE,
        cwd=WORKING_FOLDER,
    ) as hub:
        worker = psutil.Process(int(hub.stdout.readline()))
        wait_until_busy(worker.pid)
        hub.kill()

    worker.wait(EXIT_SECONDS)  # raises TimeoutExpired for a worker that lives on
    assert not worker.is_running()


def test_a_fault_costs_one_request_and_prints_no_text_of_the_users(pipes, tiny_model, moment):
    """The fault's message quotes the text; the log gets its type and place only."""
    pipes.ask(id=1, **load(tiny_model))
    fault = pipes.ask(id=2, **predict(moment(f"{MARKER} = 1", fault=True)))
    answer = pipes.ask(id=3, **predict(moment(f"{MARKER} = 2", budget=2)))
    _, errors = pipes.process.communicate()

    assert fault["kind"] == "failed"
    assert "ValueError" in fault["value"]
    assert MARKER not in fault["value"]
    assert answer["kind"] == "answer"
    assert b"ValueError" in errors
    assert MARKER.encode() not in errors


def test_the_worker_writes_no_file(pipes, tiny_model, moment):
    """Of everything it has open, nothing is a regular file it could have written text to."""
    pipes.ask(id=1, **load(tiny_model))
    pipes.ask(id=2, **predict(moment(f"{MARKER} = 1", budget=2)))
    writable = [file.path for file in psutil.Process(pipes.process.pid).open_files() if file.mode != "r"]

    assert writable == []


def test_new_text_never_holds_control_tokens(pipes, build_model, moment, plain_loop, open_bench):
    """The model predicts `<|line_0|>` inside its answer, and this format does not object: the worker does."""
    prompt = open_bench(build_model()).model.tokenize("def f")
    model = build_model(line_token_instead_of=plain_loop.answer(prompt, 2)[0][1])
    bench = open_bench(model)
    decoded = bench.decoder.decode(DecodeRequest(prompt=prompt, stop=(), max_answer_tokens=9))
    before, control, after = decoded.answer.partition(b"<|line_0|>")
    end = next(character for character in after.decode() if character.encode() not in before)
    pipes.ask(id=1, **load(model))
    answer = pipes.ask(id=2, **predict(moment("def f", budget=9, stop=[end])))["value"]

    assert control
    assert answer["stop"] == "stop_marker"
    assert answer["new_region_text"] is None
    assert answer["reason"] == "the answer contains control tokens"


@pytest.mark.parametrize(("limit", "shown"), [(0.0, True), (1.01, False)])
def test_a_model_less_sure_than_its_own_file_asks_for_predicts_nothing(
    pipes, build_model, moment, plain_loop, open_bench, limit, shown
):
    model = build_model(min_confidence=limit)
    prompt = open_bench(model).model.tokenize("def f")
    end = chr(plain_loop.answer(prompt, 3)[0][2])  # the third token is a character of its own: an ASCII byte
    pipes.ask(id=1, **load(model))
    answer = pipes.ask(id=2, **predict(moment("def f", budget=9, stop=[end])))["value"]

    assert answer["stop"] == ("stop_marker" if shown else "unsure")
    assert (answer["counters"]["answer_tokens"] == 1) is not shown
    assert (answer["new_region_text"] is not None) is shown
    assert ("not sure enough" in answer["reason"]) is not shown


@pytest.fixture
def ask_twice(pipes, build_model, moment, plain_loop, open_bench):
    """``ask_twice(part, file_part=...)``: the whole answer to a question, and that to it with a limit of confidence.

    The question's limit and the file's are these parts of the whole answer's confidence.
    """

    def ask(part, file_part=0.0):
        prompt = open_bench(build_model()).model.tokenize("def f")
        end = chr(plain_loop.answer(prompt, 3)[0][2])  # the third token is a character of its own: an ASCII byte
        inputs = moment("def f", budget=9, stop=[end])
        pipes.ask(id=1, **load(build_model()))
        whole = pipes.ask(id=2, **predict(inputs))["value"]
        assert 0.001 < whole["confidence"] < 0.5
        pipes.ask(id=3, **load(build_model(min_confidence=file_part * whole["confidence"])))
        limited = pipes.ask(id=4, **predict(inputs, least_confidence=part * whole["confidence"]))["value"]
        return whole, limited

    return ask


def test_an_answer_less_sure_than_the_question_asks_for_is_given_up(ask_twice):
    whole, limited = ask_twice(1.9, file_part=0.1)
    limit = 1.9 * whole["confidence"]

    assert (limited["new_region_text"], limited["given_up_below"]) == (None, limit)
    assert whole["confidence"] <= limited["confidence"] < limit
    assert limited["counters"]["answer_tokens"] <= whole["counters"]["answer_tokens"]
    assert limited["reason"].endswith(f"eagerness and min_confidence ask for ({limit:.2f})")


def test_an_answer_as_sure_as_the_question_asks_for_is_the_whole_answer(ask_twice):
    whole, limited = ask_twice(0.99)

    for key in ("new_region_text", "stop", "confidence", "reason"):
        assert limited[key] == whole[key]
    assert limited["given_up_below"] == 0


@pytest.mark.parametrize("part", [0.5, 1.5])
def test_an_answer_less_sure_than_the_file_asks_for_would_not_be_shown_whatever_is_asked(ask_twice, part):
    """So it need not be asked again with a lower limit."""
    whole, limited = ask_twice(part, file_part=2.0)

    assert (limited["new_region_text"], limited["given_up_below"]) == (None, 0)
    assert f"below {2.0 * whole['confidence']:.2f} nothing is shown" in limited["reason"]


def test_an_answer_that_is_no_text_is_no_edit(pipes, build_model, moment, open_bench):
    """This model predicts bytes that are no UTF-8."""
    model = build_model(text=False)
    bench = open_bench(model)
    prompt = bench.model.tokenize("def f")
    answer = bench.decoder.decode(DecodeRequest(prompt=prompt, stop=(), max_answer_tokens=20)).answer
    end = next(chr(byte) for index, byte in enumerate(answer) if byte < 128 and not is_utf8(answer[:index]))
    pipes.ask(id=1, **load(model))
    reply = pipes.ask(id=2, **predict(moment("def f", budget=20, stop=[end])))["value"]

    assert reply["stop"] == "stop_marker"
    assert reply["new_region_text"] is None
    assert reply["reason"] == "the answer does not follow its format"


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


async def test_a_hundred_damaged_models_are_refused_or_run_and_nothing_hangs(
    tiny_model, tmp_path, plain_worker_command, moment
):
    """Bytes changed, lengths inflated, ends cut off; a worker that dies of it is replaced."""
    good = tiny_model.read_bytes()
    random_source = random.Random(7)
    log = logging.getLogger("tests.worker")
    worker = await WorkerProcess.start(plain_worker_command, log)
    kinds = []
    for index in range(100):
        path = tmp_path / "damaged.gguf"
        path.write_bytes(damage(good, random_source))
        try:
            reply = await asyncio.wait_for(worker.request({"id": index, **load(path)}), 20)
            if reply["kind"] == "model":
                served = await worker.request({"id": 1000 + index, **predict(moment("def f", budget=3))})
                assert served["kind"] in ("answer", "failed")
        except WorkerDied:
            kinds.append("died")
            worker = await WorkerProcess.start(plain_worker_command, log)
        else:
            assert reply["id"] == index
            kinds.append(reply["kind"])
            assert reply["kind"] == "model" or str(path) in reply["value"] or path.name in reply["value"]
    reply = await worker.request({"id": 100, **load(tiny_model)})
    await worker.close()

    assert reply["kind"] == "model"
    assert kinds.count("refused") > 50  # the damage is real


def damage(good: bytes, random_source: random.Random) -> bytes:
    """One of: the end cut off, some bytes of the header changed, a length made huge."""
    data = bytearray(good)
    header_bytes = 6000
    match random_source.randrange(3):
        case 0:
            del data[random_source.randrange(len(data)) :]
        case 1:
            for _ in range(random_source.randrange(1, 20)):
                data[random_source.randrange(header_bytes)] = random_source.randrange(256)
        case _:
            at = random_source.randrange(8, header_bytes)
            data[at : at + 8] = random_source.choice([2**63 - 1, 2**32, 2**64 - 1, 2**30]).to_bytes(8, "little")
    return bytes(data)


async def test_the_end_of_a_worker_is_told_by_signal_or_exit_code(plain_worker_command):
    worker = await WorkerProcess.start(plain_worker_command, logging.getLogger("tests.worker"))
    os.kill(worker.process_id, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="ended by SIGKILL"):
        await worker.request({"id": 1, "op": "load", "settings": {}})

    failing = await WorkerProcess.start(
        (sys.executable, "-c", "raise SystemExit('no such luck')"), logging.getLogger("tests.worker")
    )
    with pytest.raises(WorkerDied, match="ended with exit code 1; last in its log: no such luck"):
        await failing.request({"id": 1})


def test_replies_are_json_even_for_a_character_of_every_plane(pipes, tiny_model, moment):
    pipes.ask(id=1, **load(tiny_model))
    pipes.send(id=2, **predict(moment("é\u2028🙂\x00", budget=2)))
    reply = orjson.loads(pipes.process.stdout.readline())

    assert reply["value"]["counters"]["prompt_tokens"] == 2 + 3 + 4 + 1
