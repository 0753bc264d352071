"""Who answers: the candidate for its documents, the model in use for all others and where the candidate fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from capture.inputs import ExcerptRanges, PredictionInputs
from daemon.engine.api import EngineState
from daemon.engine.errors import DeadlineExceeded, ModelRefused, StillLoading, WorkerDied
from daemon.model_engine import ModelEngine
from daemon.scheduler import Moment, Scheduler
from daemon.settings import Settings
from daemon.status import StatusBoard
from daemon.trial_settings import TrialSettings
from daemon.trying.engines import TrialEngine
from daemon.trying.sides import is_candidates

INPUTS = PredictionInputs("a.py", "x", 0, ExcerptRanges({}))
TRIAL = Settings(model="/used.gguf", trial=TrialSettings(candidate="/tried.gguf", share=0.5, salt="s"))
NAMES = [f"file:///{number}.py" for number in range(100)]
OURS = next(name for name in NAMES if is_candidates(name, salt="s", share=0.5))
THEIRS = next(name for name in NAMES if not is_candidates(name, salt="s", share=0.5))


class Machine:
    """A scheduler in front of a trial, as the hub puts them together; ``now`` is the time."""

    def __init__(self, settings, make, **options):
        self.now = 0.0
        self.versions = 0
        self.settings = settings
        self.in_use = ModelEngine(settings, make)
        self.trial = TrialEngine(self.in_use, settings, lambda wanted: ModelEngine(wanted, make), lambda: self.now)
        self.status = StatusBoard()
        self.scheduler = Scheduler(self.trial, status=self.status, serving=self.trial.serving, **options)

    def follow(self, settings):
        self.settings = settings
        self.in_use.follow(settings)
        self.trial.follow(settings)

    async def ask(self, uri):
        """The path of the model that answered, and what the answer says of its model."""
        self.versions += 1
        moment = Moment("window", uri, self.versions, 0, 0)
        answered = await self.scheduler.predict(moment, lambda: INPUTS, deadline_seconds=5.0)
        return answered.answer.new_region_text.split()[0], answered.model.path


@pytest.fixture
async def machine(make_engine):
    made = Machine(TRIAL, make_engine)
    yield made
    await made.scheduler.close()


async def test_each_document_is_answered_by_its_side_and_the_answer_names_its_model(machine):
    for name in NAMES:
        model = "/tried.gguf" if is_candidates(name, salt="s", share=0.5) else "/used.gguf"
        assert await machine.ask(name) == (model, model)
    status = machine.trial.status()
    assert status["answered"] == sum(is_candidates(name, salt="s", share=0.5) for name in NAMES)
    assert (status["candidate"], status["share"], status["fell_back"]) == ("/tried.gguf", 0.5, 0)


async def test_a_larger_share_only_adds_documents_and_keeps_the_candidate_loaded(machine, engines):
    before = {name: (await machine.ask(name))[0] for name in NAMES}
    candidate = engines["/tried.gguf"]
    machine.follow(replace(TRIAL, trial=replace(TRIAL.trial, share=0.8)))
    after = {name: (await machine.ask(name))[0] for name in NAMES}
    assert all(after[name] == "/tried.gguf" for name in NAMES if before[name] == "/tried.gguf")
    assert after != before
    assert engines["/tried.gguf"] is candidate


async def test_a_trial_begins_and_ends_without_a_restart(make_engine, engines):
    machine = Machine(Settings(model="/used.gguf"), make_engine)
    assert machine.trial.status() is None
    assert (await machine.ask(OURS))[0] == "/used.gguf"
    machine.follow(TRIAL)
    assert (await machine.ask(OURS))[0] == "/tried.gguf"
    machine.follow(Settings(model="/used.gguf"))
    assert (await machine.ask(OURS))[0] == "/used.gguf"
    await machine.scheduler.close()
    assert engines["/tried.gguf"].state is EngineState.CLOSED


async def test_the_promoted_candidate_serves_everything(machine):
    await machine.ask(OURS)
    machine.follow(Settings(model="/tried.gguf", trial=TrialSettings(former="/used.gguf")))
    assert {(await machine.ask(name))[0] for name in NAMES} == {"/tried.gguf"}
    assert machine.trial.status() is None


@pytest.mark.parametrize("failure", [ModelRefused("it is no model"), WorkerDied("it crashed")])
async def test_where_the_candidate_fails_the_model_in_use_answers_and_that_is_counted(machine, engines, failure):
    await machine.ask(OURS)
    engines["/tried.gguf"].fails_with = failure
    assert await machine.ask(OURS) == ("/used.gguf", "/used.gguf")
    assert await machine.ask(OURS) == ("/used.gguf", "/used.gguf")
    status = machine.trial.status()
    assert (status["answered"], status["fell_back"], status["last_failure"]) == (1, 2, str(failure))
    engines["/tried.gguf"].fails_with = None
    assert await machine.ask(OURS) == ("/tried.gguf", "/tried.gguf")


async def test_a_candidate_that_is_not_there_falls_back_too(make_engine):
    settings = replace(TRIAL, trial=replace(TRIAL.trial, candidate="nothing"))
    machine = Machine(settings, make_engine)
    assert (await machine.ask(OURS))[0] == "/used.gguf"
    status = machine.trial.status()
    assert (status["state"], status["fell_back"]) == ("failed", 1)
    assert "nothing" in status["failure"]
    await machine.scheduler.close()


@pytest.mark.parametrize("slowness", [DeadlineExceeded("too slow"), StillLoading("not yet")])
async def test_being_slow_is_no_failure_of_the_candidate(machine, engines, slowness):
    await machine.ask(OURS)
    engines["/tried.gguf"].fails_with = slowness
    with pytest.raises(type(slowness)):
        await machine.ask(OURS)
    assert machine.trial.status()["fell_back"] == 0


async def test_a_failure_that_took_too_long_leaves_no_time_for_the_other(machine, engines):
    await machine.ask(OURS)
    await machine.ask(THEIRS)

    class Crash(WorkerDied):
        """It takes six seconds to crash."""

        def __init__(self):
            machine.now += 6.0
            super().__init__("it crashed")

    async def crash(*_arguments, **_options):
        raise Crash

    engines["/tried.gguf"].predict = crash
    asked = engines["/used.gguf"].asked
    with pytest.raises(DeadlineExceeded, match="it crashed"):
        await machine.ask(OURS)
    assert engines["/used.gguf"].asked == asked


async def test_both_leave_memory_when_nobody_asks_and_either_is_loaded_again(make_engine, engines):
    machine = Machine(TRIAL, make_engine, unload_after_seconds=lambda: 0.01)
    for name in (OURS, THEIRS):
        await machine.ask(name)
    async with asyncio.timeout(20):
        await asyncio.gather(*(engine.unloaded.wait() for engine in engines.values()))
    assert (await machine.ask(OURS))[0] == "/tried.gguf"
    await machine.scheduler.close()
    assert {engine.state for engine in engines.values()} == {EngineState.CLOSED}


async def test_a_model_that_was_still_being_loaded_when_nobody_asked_any_more_leaves_memory_too(
    make_engine, engines, monkeypatch
):
    monkeypatch.setattr("daemon.idle_engines.LOOK_AGAIN_SECONDS", 0.01)
    machine = Machine(TRIAL, make_engine, unload_after_seconds=lambda: 0.01)
    await machine.ask(THEIRS)
    engine = engines["/used.gguf"]
    engine.state = EngineState.LOADING
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.unloaded.wait(), 0.1)
    engine.state = EngineState.READY
    await asyncio.wait_for(engine.unloaded.wait(), 20)
    await machine.scheduler.close()


async def test_a_model_is_not_tried_against_itself(make_engine):
    machine = Machine(replace(TRIAL, model="/tried.gguf"), make_engine)
    assert machine.trial.status() is None
    assert machine.trial.serving(OURS) is machine.trial
    await machine.scheduler.close()


async def test_what_both_evaluated_is_counted_for_the_window_that_asked(machine):
    machine.status.open_session("window")
    for name in (OURS, THEIRS, OURS):
        await machine.ask(name)
    assert machine.status.totals("window")["tokens_evaluated"] == 30


async def test_an_answer_of_the_other_model_is_not_given_again(machine):
    moment = Moment("window", OURS, 1, 0, 0)

    async def ask():
        return (await machine.scheduler.predict(moment, lambda: INPUTS, deadline_seconds=5.0)).model.path

    await machine.ask(THEIRS)
    assert await ask() == "/tried.gguf"
    assert machine.scheduler.knows(moment)
    machine.follow(replace(TRIAL, trial=TrialSettings()))
    await machine.ask(THEIRS)
    assert not machine.scheduler.knows(moment)
    assert await ask() == "/used.gguf"
