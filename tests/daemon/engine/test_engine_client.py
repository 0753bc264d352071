"""The engine in the hub: whatever happens to one prediction or to the worker, the next prediction is right."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import time

import psutil
import pytest

from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, Span
from daemon.engine.api import EngineState
from daemon.engine.client import LOAD_SECONDS, LOAD_SECONDS_PER_GB, load_limit_seconds
from daemon.engine.errors import (
    DeadlineExceeded,
    EngineError,
    ModelRefused,
    StillLoading,
    WorkerDied,
)
from daemon.engine.messages import ModelSettings, StopReason
from daemon.engine.process import WORKER_COMMAND

LONG_SECONDS = 60.0  # a deadline that plays no part
LONG_ANSWER_TOKENS = 8000  # minutes of decoding


class Clock:
    """A clock that only sleeping moves, and tests."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class States:
    """What a subscriber hears."""

    def __init__(self, client) -> None:
        self.seen = []
        self._changed = asyncio.Event()
        client.subscribe(self._hear)

    def _hear(self, state: EngineState) -> None:
        self.seen.append(state)
        self._changed.set()

    async def until(self, state: EngineState, since: int = 0) -> None:
        """Wait until ``state`` was heard, not counting the first ``since`` states."""
        async with asyncio.timeout(20):
            while state not in self.seen[since:]:
                self._changed.clear()
                await self._changed.wait()


async def until_busy(process_id: int, seconds: float = 0.03) -> None:
    """Return once the worker has computed for ``seconds``: it is inside the request."""
    process = psutil.Process(process_id)
    start = process.cpu_times().user
    async with asyncio.timeout(20):
        while process.cpu_times().user < start + seconds:  # noqa: ASYNC110  another process sends no events
            await asyncio.sleep(0.005)


async def until_childless() -> None:
    """Return once no process that this one started is left."""
    async with asyncio.timeout(20):
        while psutil.Process().children():  # noqa: ASYNC110  the processes are the client's own
            await asyncio.sleep(0.005)


async def test_the_first_prediction_loads_the_model_and_the_next_reuses_its_prompt(open_client, moment):
    client = open_client()
    states = States(client)
    assert (client.state, client.model) == (EngineState.UNLOADED, None)

    first = await client.predict(moment("def total(self)", budget=4), deadline_seconds=LONG_SECONDS)
    again = await client.predict(moment("def total(self)", budget=4), deadline_seconds=LONG_SECONDS)

    assert states.seen == [EngineState.LOADING, EngineState.READY]
    assert (client.model.name, client.model.prompt_format) == ("tiny", "plain")
    assert first.counters.tokens_reused == 0
    assert again.counters.tokens_reused == first.counters.prompt_tokens - 1
    assert 0 < again.confidence == pytest.approx(first.confidence, rel=1e-3)
    assert first.reason == "the answer grew longer than its budget"


async def test_an_answer_is_the_new_region_text_up_to_the_stop_marker(
    open_client, moment, plain_loop, open_bench, tiny_model
):
    model = open_bench(tiny_model).model
    tokens, log_probability, _ = plain_loop.answer(model.tokenize("def é(self)"), 6)
    text = b"".join(map(model.piece, tokens)).decode()
    marker = text[-2:]
    answer = await open_client().predict(moment("def é(self)", budget=50, stop=[marker]), deadline_seconds=LONG_SECONDS)

    assert answer.new_region_text == text[: text.index(marker)]
    assert (answer.region_start_bytes, answer.region_end_bytes) == (0, len("def é(self)".encode()))
    assert answer.stop is StopReason.STOP_MARKER
    if text.index(marker) == len(text) - 2:
        assert answer.confidence == pytest.approx(2.718281828**log_probability, rel=1e-2)


@pytest.mark.parametrize(("text", "budget"), [("def " * 3500, 1), ("def ", LONG_ANSWER_TOKENS)])
async def test_cancelling_frees_the_engine_and_keeps_what_was_evaluated(
    open_client, slow_model, moment, text, budget, caplog
):
    """In prefill and in the answer; and the log, which an abort at every key would fill, says nothing of it."""
    caplog.set_level(logging.INFO)
    client = open_client(slow_model)
    await client.ready()
    worker = client.process_id
    task = asyncio.create_task(client.predict(moment(text, budget=budget), deadline_seconds=LONG_SECONDS))
    await until_busy(worker, seconds=0.3)  # a batch takes a tenth of that
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert time.monotonic() - start < 2.0  # whole, it takes many times as long; usually a few milliseconds
    answer = await client.predict(moment(text[:2000], budget=2), deadline_seconds=LONG_SECONDS)
    assert answer.stop is StopReason.ANSWER_BUDGET
    assert answer.counters.tokens_reused > 0
    assert client.process_id == worker
    assert not [record for record in caplog.records if "failed" in record.getMessage()]


async def test_what_a_cancelled_prediction_had_evaluated_is_counted(open_client, slow_model, moment):
    client = open_client(slow_model)
    await client.ready()
    assert client.tokens_evaluated == 0  # what loading evaluates is no prediction
    whole = await client.predict(moment("x = 1\n", budget=3), deadline_seconds=LONG_SECONDS)
    assert client.tokens_evaluated == whole.counters.tokens_evaluated > 0
    prompt = "def " * 3500
    task = asyncio.create_task(client.predict(moment(prompt, budget=1), deadline_seconds=LONG_SECONDS))
    await until_busy(client.process_id, seconds=0.3)
    task.cancel()
    await asyncio.wait({task})
    of_cancelled = client.tokens_evaluated - whole.counters.tokens_evaluated

    assert task.cancelled()
    again = await client.predict(moment(prompt[:2000], budget=1), deadline_seconds=LONG_SECONDS)
    assert of_cancelled >= again.counters.tokens_reused > 0
    assert client.tokens_evaluated - whole.counters.tokens_evaluated - of_cancelled == again.counters.tokens_evaluated


async def test_an_abort_never_reaches_the_next_request(open_client, moment):
    """Cancelled at any moment, even when the answer is on its way: the next request is answered, and right."""
    client = open_client()
    inputs = [moment(f"def total{index}(self)", budget=40) for index in range(2)]
    expected = [await client.predict(each, deadline_seconds=LONG_SECONDS) for each in inputs]
    seconds = max(answer.seconds for answer in expected)
    pauses = random.Random(3)
    cancelled = 0
    for _ in range(60):
        task = asyncio.create_task(client.predict(inputs[0], deadline_seconds=LONG_SECONDS))
        await asyncio.sleep(pauses.uniform(0, 1.3 * seconds))
        cancelled += task.cancel()
        following = await client.predict(inputs[1], deadline_seconds=LONG_SECONDS)
        await asyncio.wait({task})

        assert following.stop is StopReason.ANSWER_BUDGET
        assert following.counters.answer_tokens == 40
        assert following.confidence == pytest.approx(expected[1].confidence, rel=1e-2)
    assert cancelled > 5


async def test_cancelling_twice_still_waits_for_the_worker(open_client, slow_model, moment):
    client = open_client(slow_model)
    await client.ready()
    task = asyncio.create_task(client.predict(moment("def ", budget=LONG_ANSWER_TOKENS), deadline_seconds=LONG_SECONDS))
    await until_busy(client.process_id)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    answer = await client.predict(moment("def ", budget=2), deadline_seconds=LONG_SECONDS)

    assert task.cancelled()
    assert answer.counters.answer_tokens == 2


async def test_cancelling_a_request_that_waits_its_turn_aborts_nobody_else(open_client, slow_model, moment):
    client = open_client(slow_model)
    await client.ready()
    running = asyncio.create_task(client.predict(moment("def ", budget=150), deadline_seconds=LONG_SECONDS))
    await until_busy(client.process_id)
    waiting = asyncio.create_task(client.predict(moment("x", budget=1), deadline_seconds=LONG_SECONDS))
    await asyncio.sleep(0)
    waiting.cancel()

    assert (await running).counters.answer_tokens == 150
    assert waiting.cancelled()


async def test_a_prediction_past_its_deadline_is_answered_without_an_edit(open_client, slow_model, moment):
    client = open_client(slow_model)
    await client.ready()
    late = await client.predict(moment("def ", budget=LONG_ANSWER_TOKENS), deadline_seconds=0.2)
    next_one = await client.predict(moment("def ", budget=1), deadline_seconds=LONG_SECONDS)

    assert late.stop is StopReason.DEADLINE
    assert late.new_region_text is None
    assert late.reason == "the prediction took longer than its deadline"
    assert next_one.stop is StopReason.ANSWER_BUDGET


async def test_a_worker_that_hangs_is_ended_and_the_next_prediction_served(open_client, moment):
    clock = Clock()
    client = open_client(hard_deadline_grace_seconds=0.2, clock=clock, sleep=clock.sleep)
    await client.ready()
    os.kill(client.process_id, signal.SIGSTOP)
    with pytest.raises(DeadlineExceeded, match="did not answer within"):
        await client.predict(moment("def ", budget=1), deadline_seconds=0.1)
    answer = await client.predict(moment("def ", budget=1), deadline_seconds=LONG_SECONDS)

    assert answer.counters.answer_tokens == 1


async def test_a_killed_worker_costs_one_prediction(open_client, slow_model, moment):
    clock = Clock()
    client = open_client(slow_model, clock=clock, sleep=clock.sleep)
    await client.ready()
    states = States(client)
    task = asyncio.create_task(client.predict(moment("def ", budget=LONG_ANSWER_TOKENS), deadline_seconds=LONG_SECONDS))
    await until_busy(client.process_id)
    os.kill(client.process_id, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="SIGKILL"):
        await task
    answer = await client.predict(moment("def ", budget=1), deadline_seconds=LONG_SECONDS)

    assert answer.counters.answer_tokens == 1
    assert clock.slept == [1.0]
    assert states.seen == [EngineState.LOADING, EngineState.READY]


async def test_a_worker_killed_while_idle_costs_nothing(open_client, moment):
    clock = Clock()
    client = open_client(clock=clock, sleep=clock.sleep)
    await client.ready()
    states = States(client)
    os.kill(client.process_id, signal.SIGKILL)
    await states.until(EngineState.READY)
    answer = await client.predict(moment("def ", budget=1), deadline_seconds=LONG_SECONDS)

    assert answer.counters.answer_tokens == 1


async def test_three_deaths_in_a_minute_turn_predictions_off_until_a_reload(open_client, tiny_model, moment):
    clock = Clock()
    client = open_client(clock=clock, sleep=clock.sleep)
    states = States(client)
    for follows in (EngineState.LOADING, EngineState.LOADING, EngineState.FAILED):
        await client.ready()
        heard = len(states.seen)
        os.kill(client.process_id, signal.SIGKILL)
        await states.until(follows, since=heard)

    assert client.state is EngineState.FAILED
    assert clock.slept == [1.0, 2.0]
    assert "SIGKILL" in client.failure
    assert "death 3 within 60 s" in client.failure
    with pytest.raises(WorkerDied, match="death 3"):
        await client.predict(moment("def ", budget=1), deadline_seconds=LONG_SECONDS)

    await client.reload(ModelSettings(str(tiny_model), threads=1))
    answer = await client.predict(moment("def ", budget=1), deadline_seconds=LONG_SECONDS)
    assert answer.counters.answer_tokens == 1
    assert client.failure == ""


async def test_a_model_that_kills_its_worker_is_given_up(open_client, moment):
    clock = Clock()
    dying = ("sh", "-c", "echo GGML_ASSERT failed >&2; kill -ABRT $$")
    client = open_client(command=dying, clock=clock, sleep=clock.sleep)
    with pytest.raises(WorkerDied, match="SIGABRT; last in its log: GGML_ASSERT failed"):
        await client.predict(moment("def "), deadline_seconds=LONG_SECONDS)

    assert client.state is EngineState.FAILED
    assert clock.slept == [1.0, 2.0]


async def test_a_prediction_does_not_wait_longer_for_the_model_than_for_an_answer(open_client, moment):
    client = open_client()
    with pytest.raises(StillLoading):
        await client.predict(moment("def "), deadline_seconds=0.001)
    assert client.state is EngineState.LOADING

    answer = await client.predict(moment("def ", budget=1), deadline_seconds=LONG_SECONDS)
    assert answer.counters.answer_tokens == 1


async def test_loading_that_never_ends_is_given_up_with_cause_and_cure_and_another_model_loads(
    open_client, tiny_model, moment
):
    client = open_client(load_limit=lambda settings: 0.5 if settings.prompt_format == "endless" else LONG_SECONDS)
    endless = ModelSettings(str(tiny_model), prompt_format="endless", threads=1)
    await client.reload(endless)
    with pytest.raises(StillLoading):
        await client.predict(moment("def "), deadline_seconds=0.01)
    with pytest.raises(EngineError, match=r"tiny.* was not loaded within 0\.5 s") as given_up:
        await asyncio.wait_for(client.ready(), LONG_SECONDS)

    assert client.state is EngineState.FAILED
    assert client.failure == str(given_up.value)
    for cause_or_cure in ("drive that does not answer", "too little memory", "foretype model use", "restarted"):
        assert cause_or_cure in client.failure
    await until_childless()
    with pytest.raises(EngineError, match="was not loaded"):  # it is not tried again with each question
        await client.predict(moment("def "), deadline_seconds=LONG_SECONDS)
    assert not psutil.Process().children()
    await client.reload(ModelSettings(str(tiny_model), threads=1))
    assert (await client.predict(moment("def ", budget=1), deadline_seconds=LONG_SECONDS)).counters.answer_tokens == 1


def test_a_larger_file_may_take_longer_to_load_and_a_missing_one_has_a_limit_too(tiny_model, tmp_path):
    large = tmp_path / "large.gguf"
    large.touch()
    os.truncate(large, 10**10)  # sparse
    paths = (tmp_path / "missing.gguf", tiny_model, large)
    limits = [load_limit_seconds(ModelSettings(str(path))) for path in paths]
    assert limits == [LOAD_SECONDS, LOAD_SECONDS, LOAD_SECONDS + 10 * LOAD_SECONDS_PER_GB]


def damaged(path, build_model, tmp_path):
    good = build_model()
    match path:
        case "empty":
            (tmp_path / "m.gguf").touch()
        case "garbage":
            (tmp_path / "m.gguf").write_bytes(bytes(range(256)) * 10)
        case "truncated":
            (tmp_path / "m.gguf").write_bytes(good.read_bytes()[:-5000])
        case "cut header":
            (tmp_path / "m.gguf").write_bytes(good.read_bytes()[:2000])
        case "folder":
            (tmp_path / "m.gguf").mkdir()
        case "architecture":
            return build_model(architecture="frobnicator")
        case "format":
            return build_model(prompt_format="esperanto")
        case "output":
            return build_model(broken=True)
        case "too big":
            (tmp_path / "m.gguf").write_bytes(good.read_bytes())
            os.truncate(tmp_path / "m.gguf", 8 * 1024**4)  # sparse: 8 TiB that take no place
    return tmp_path / "m.gguf"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "is empty"),
        ("garbage", "is not a GGUF file"),
        ("truncated", "within the file bounds"),
        ("cut header", "llama.cpp cannot run"),
        ("folder", "is a folder"),
        ("missing", "does not exist"),
        ("architecture", "unknown model architecture: 'frobnicator'"),
        ("format", "unknown prompt format 'esperanto'; known formats: plain"),
        ("output", "not a number"),
        ("too big", "of memory and"),
    ],
)
async def test_a_model_we_cannot_run_is_refused_by_name_and_another_one_loads(
    open_client, build_model, tiny_model, moment, tmp_path, kind, reason
):
    path = damaged(kind, build_model, tmp_path)
    client = open_client(path)
    with pytest.raises(ModelRefused) as refusal:
        await client.predict(moment("def "), deadline_seconds=LONG_SECONDS)

    assert reason in str(refusal.value)
    assert path.name in str(refusal.value)
    assert client.state is EngineState.FAILED
    assert client.failure == str(refusal.value)
    await client.reload(ModelSettings(str(tiny_model), threads=1))
    assert (await client.ready()).path == str(tiny_model)


async def test_the_worker_that_ships_speaks_the_formats_that_ship(open_client, build_model):
    """Random weights predict nothing sensible: a prediction has text or a reason, and its region is the file's."""
    client = open_client(build_model(prompt_format="line_edits"), command=WORKER_COMMAND)
    text = "total = 0\nfor each in every:\n    total += each\n"
    inputs = PredictionInputs(
        cursor_path="sum.py",
        cursor_excerpt=text,
        cursor_offset_in_excerpt=10,
        excerpt_ranges=ExcerptRanges({"editable_350": Span(0, len(text))}),
        events=(EditEvent("sum.py", "sum.py", "@@ -1,1 +1,1 @@\n-sum = 0\n+total = 0\n"),),
    )
    answer = await client.predict(inputs, deadline_seconds=LONG_SECONDS)

    assert client.model.prompt_format == "line_edits"
    assert answer.counters.prompt_tokens > 20
    assert (answer.new_region_text is None) == bool(answer.reason)
    assert 0 <= answer.region_start_bytes < answer.region_end_bytes <= len(text)

    refused = open_client(build_model(prompt_format="esperanto"), command=WORKER_COMMAND)
    with pytest.raises(ModelRefused, match=r"esperanto.*line_edits.*zeta2"):
        await refused.ready()


async def test_unloading_gives_the_memory_back_and_the_next_prediction_loads_again(open_client, moment):
    client = open_client()
    states = States(client)
    await client.ready()
    process = psutil.Process(client.process_id)
    await client.unload()

    assert not process.is_running()
    assert (client.state, client.model) == (EngineState.UNLOADED, None)
    answer = await client.predict(moment("def ", budget=1), deadline_seconds=LONG_SECONDS)
    assert answer.counters.answer_tokens == 1
    assert states.seen == [
        EngineState.LOADING,
        EngineState.READY,
        EngineState.UNLOADED,
        EngineState.LOADING,
        EngineState.READY,
    ]


async def test_reloading_while_loading_loads_the_new_model_only(open_client, build_model, tiny_model):
    client = open_client(build_model(layers=1))
    loading = asyncio.create_task(client.ready())
    await asyncio.sleep(0)
    await client.reload(ModelSettings(str(tiny_model), threads=1))

    assert (await loading).path == str(tiny_model)
    assert not [child for child in psutil.Process().children() if child.pid != client.process_id]


async def test_closing_aborts_what_runs_and_ends_the_worker(open_client, slow_model, moment):
    client = open_client(slow_model)
    await client.ready()
    process = psutil.Process(client.process_id)
    task = asyncio.create_task(client.predict(moment("def ", budget=LONG_ANSWER_TOKENS), deadline_seconds=LONG_SECONDS))
    await until_busy(process.pid)
    await client.close()

    assert (await task).stop is StopReason.ABORTED
    assert not process.is_running()
    assert client.state is EngineState.CLOSED
    with pytest.raises(EngineError, match="closed"):
        await client.predict(moment("def "), deadline_seconds=LONG_SECONDS)


async def test_half_a_surrogate_pair_costs_one_prediction_and_no_worker(open_client, moment):
    client = open_client()
    await client.ready()
    worker = client.process_id
    with pytest.raises(EngineError, match="not valid Unicode"):
        await client.predict(moment("x = '\ud83d'"), deadline_seconds=LONG_SECONDS)

    assert (await client.predict(moment("x", budget=1), deadline_seconds=LONG_SECONDS)).counters.prompt_tokens == 1
    assert client.process_id == worker


async def test_the_workers_log_tells_of_faults_without_the_users_text(open_client, moment, tmp_path):
    log = logging.getLogger("tests.worker")
    handler = logging.FileHandler(tmp_path / "worker.log")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    client = open_client(log=log)
    with pytest.raises(EngineError, match="ValueError"):
        await client.predict(moment("PlantedMarker = 1", fault=True), deadline_seconds=LONG_SECONDS)
    await client.close()
    handler.close()
    text = (tmp_path / "worker.log").read_text()

    assert "ValueError in the engine worker" in text
    assert "PlantedMarker" not in text
