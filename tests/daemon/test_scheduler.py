"""The queue in front of one engine, as its windows see it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.inputs import ExcerptRanges, PredictionInputs
from daemon.engine.api import EngineState
from daemon.engine.errors import DeadlineExceeded, WorkerDied
from daemon.engine.messages import StopReason
from daemon.engine.scripted import ScriptedEngine
from daemon.scheduler import Moment, Scheduler, Superseded
from daemon.status import StatusBoard


def moment(session="a", uri="file:///x.py", version=1, column=0):
    return Moment(session, uri, version, 0, column)


def inputs_of(asked):
    """Inputs that name the moment they were made for."""
    name = f"{asked.session_id} {asked.uri} {asked.version} {asked.column_utf16}"
    return PredictionInputs(asked.uri, name, 0, ExcerptRanges({}))


class Windows:
    """Asks the scheduler on behalf of windows and keeps what they asked."""

    def __init__(self, scheduler):
        self.scheduler = scheduler

    def ask(self, asked, *, deadline_seconds=5.0, **options):
        return asyncio.create_task(
            self.scheduler.predict(asked, lambda: inputs_of(asked), deadline_seconds=deadline_seconds, **options)
        )

    def guess(self, asked):
        self.scheduler.speculate(asked, lambda: inputs_of(asked), deadline_seconds=5.0)


@pytest.fixture
def engine():
    engine = ScriptedEngine(lambda inputs: inputs.cursor_excerpt.upper())
    engine.state = EngineState.READY
    return engine


@pytest.fixture
def status():
    board = StatusBoard()
    for session in ("a", "b", "c"):
        board.open_session(session)
    return board


@pytest.fixture
async def windows(engine, status):
    scheduler = Scheduler(engine, status=status)
    yield Windows(scheduler)
    await scheduler.close()
    assert engine.state is EngineState.CLOSED


def order(engine):
    return [asked.cursor_excerpt for asked in engine.asked]


async def test_an_answer_comes_with_the_inputs_it_was_made_from(windows):
    answered = await windows.ask(moment())
    assert answered.answer.new_region_text == answered.inputs.cursor_excerpt.upper()


async def test_the_newest_question_about_a_document_wins_and_the_running_one_is_aborted(windows, engine, status):
    engine.hold()
    older = windows.ask(moment(column=1))
    await engine.begun(1)
    newer = windows.ask(moment(column=2))
    with pytest.raises(Superseded):
        await older
    engine.release()
    assert (await newer).inputs.cursor_excerpt.endswith("2")
    assert engine.aborted == 1
    assert status.counts.aborted == 1


async def test_a_question_that_never_ran_costs_the_engine_nothing(windows, engine):
    engine.hold()
    running = windows.ask(moment("a"))
    await engine.begun(1)
    waiting = [windows.ask(moment("b", column=column)) for column in range(5)]
    await asyncio.sleep(0)
    engine.release()
    await running
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results[:4]] == [Superseded] * 4
    assert order(engine)[1:] == ["b file:///x.py 1 4"]


async def test_asking_about_the_same_moment_joins_the_work_under_way(windows, engine):
    engine.hold()
    both = [windows.ask(moment()), windows.ask(moment())]
    await engine.begun(1)
    both[0].cancel()
    await asyncio.sleep(0)
    engine.release()
    assert (await both[1]).answer.new_region_text
    assert (await windows.ask(moment())).answer.new_region_text
    assert len(engine.asked) == 1
    assert engine.aborted == 0


async def test_when_the_last_reader_leaves_the_engine_is_aborted(windows, engine):
    engine.hold()
    both = [windows.ask(moment()), windows.ask(moment())]
    await engine.begun(1)
    for task in both:
        task.cancel()
    await asyncio.wait(both)
    await asyncio.sleep(0)
    assert engine.aborted == 1
    engine.release()
    assert (await windows.ask(moment())).answer.new_region_text  # the same moment can be asked anew


async def test_cancelling_before_the_engine_began_leaves_the_queue_working(windows):
    task = windows.ask(moment())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert (await windows.ask(moment(column=1))).answer.new_region_text


async def test_windows_take_turns(windows, engine):
    engine.hold()
    first = windows.ask(moment("a", uri="file:///0.py"))
    await engine.begun(1)
    rest = [windows.ask(moment("a", uri=f"file:///{number}.py")) for number in (1, 2, 3)]
    rest += [windows.ask(moment("b", uri=f"file:///{number}.py")) for number in (1, 2)]
    rest += [windows.ask(moment("c", uri="file:///1.py"))]
    await asyncio.sleep(0)
    engine.release()
    await asyncio.gather(first, *rest)
    assert [name.split()[0] for name in order(engine)] == ["a", "a", "b", "c", "a", "b", "a"]
    assert order(engine)[1] == "a file:///3.py 1 0"  # of one window's documents the latest comes first


async def test_a_window_that_types_without_pause_does_not_starve_another(windows, engine):
    engine.hold()
    typed = windows.ask(moment("a", version=1))
    await engine.begun(1)
    patient = windows.ask(moment("b"))
    for version in range(2, 6):
        windows.scheduler.outdate("a", "file:///x.py")
        with pytest.raises(Superseded):
            await typed
        typed = windows.ask(moment("a", version=version))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await engine.begun(2)
    assert order(engine)[1].startswith("b")
    engine.release()
    assert (await patient).answer.new_region_text
    await typed


async def test_a_guess_is_used_when_the_question_comes(windows, engine):
    windows.guess(moment())
    await engine.begun(1)
    assert (await windows.ask(moment())).answer.new_region_text
    assert len(engine.asked) == 1


async def test_a_guess_never_keeps_a_person_waiting(windows, engine):
    engine.hold()
    windows.guess(moment("a"))
    await engine.begun(1)
    asked = windows.ask(moment("b"))
    await engine.begun(2)
    assert engine.aborted == 1
    engine.release()
    await asked


async def test_a_newer_guess_takes_the_place_of_the_older(windows, engine):
    engine.hold()
    for version in (1, 2, 3):
        windows.guess(moment(version=version))
        await asyncio.sleep(0)
    await engine.begun(2)
    engine.release()
    assert (await windows.ask(moment(version=3))).answer.new_region_text
    assert order(engine)[-1] == "a file:///x.py 3 0"
    assert len(engine.asked) == 1 + engine.aborted


async def test_work_that_lingers_is_there_the_next_time(windows, engine, status):
    engine.hold()
    task = windows.ask(moment(), lingers=True)
    await engine.begun(1)
    task.cancel()
    await asyncio.wait([task])
    engine.release()
    assert (await windows.ask(moment())).answer.new_region_text
    assert len(engine.asked) == 1
    assert status.counts.aborted == 0


async def test_a_dead_worker_costs_one_prediction(windows, engine, status):
    engine.fails_with = WorkerDied("it died")
    with pytest.raises(WorkerDied):
        await windows.ask(moment())
    engine.fails_with = None
    assert (await windows.ask(moment())).answer.new_region_text
    assert status.counts.worker_deaths == 1


async def test_an_engine_that_gave_up_is_not_a_new_death_each_time(windows, engine, status):
    engine.fails_with = WorkerDied("it died three times")
    for version in (1, 2, 3):
        with pytest.raises(WorkerDied):
            await windows.ask(moment(version=version))
    assert status.counts.worker_deaths == 1


async def test_an_answer_cut_off_by_the_deadline_is_tried_again(windows, engine):
    engine.stop = StopReason.DEADLINE
    assert (await windows.ask(moment())).answer.stop is StopReason.DEADLINE
    engine.stop = StopReason.END_OF_SEQUENCE
    assert (await windows.ask(moment())).answer.stop is StopReason.END_OF_SEQUENCE


async def test_no_model_is_loaded_for_a_guess(windows, engine):
    engine.state = EngineState.UNLOADED
    windows.guess(moment())
    await asyncio.sleep(0)
    assert engine.asked == []


async def test_the_deadline_counts_the_time_spent_waiting_for_a_turn(engine, status):
    now = 0.0
    scheduler = Scheduler(engine, lambda: now, status=status)
    windows = Windows(scheduler)
    engine.hold()
    first = windows.ask(moment("a"))
    await engine.begun(1)
    second = windows.ask(moment("b"), deadline_seconds=2.0)
    await asyncio.sleep(0)
    now = 3.0
    engine.release()
    await first
    with pytest.raises(DeadlineExceeded):
        await second
    assert len(engine.asked) == 1
    await scheduler.close()


async def test_a_session_that_leaves_takes_its_work_with_it(windows, engine):
    engine.hold()
    leaving = [windows.ask(moment("a", uri=f"file:///{number}.py")) for number in (1, 2)]
    await engine.begun(1)
    windows.guess(moment("a", uri="file:///3.py"))
    staying = windows.ask(moment("b"))
    await asyncio.sleep(0)
    windows.scheduler.forget_session("a")
    results = await asyncio.gather(*leaving, return_exceptions=True)
    assert [type(result) for result in results] == [Superseded, Superseded]
    engine.release()
    assert (await staying).answer.new_region_text
    assert [name.split()[0] for name in order(engine)] == ["a", "b"]


async def test_the_model_leaves_memory_when_nobody_asks_for_long_enough(engine, status):
    scheduler = Scheduler(engine, status=status, unload_after_seconds=lambda: 0.02)
    windows = Windows(scheduler)
    await windows.ask(moment())
    assert status.snapshot()["model"]["state"] == "ready"
    await engine.unloaded()
    assert engine.state is EngineState.UNLOADED
    assert (await windows.ask(moment(version=2))).answer.new_region_text
    assert engine.state is EngineState.READY
    await scheduler.close()


async def test_a_defect_in_the_engine_is_raised_to_its_reader_and_the_next_is_served(windows, engine):
    engine.script = lambda inputs: inputs.no_such_field
    with pytest.raises(AttributeError):
        await windows.ask(moment())
    engine.script = lambda _inputs: "fine"
    assert (await windows.ask(moment(column=1))).answer.new_region_text == "fine"


async def test_closing_ends_those_who_wait(engine, status):
    scheduler = Scheduler(engine, status=status)
    windows = Windows(scheduler)
    engine.hold()
    asked = [windows.ask(moment("a")), windows.ask(moment("b"))]
    await engine.begun(1)
    await scheduler.close()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results] == [Superseded, Superseded]


# Work whose answer may still be of use


async def test_spared_work_goes_on_and_its_readers_learn_that_they_are_superseded(windows, engine, status):
    engine.hold()
    asked = windows.ask(moment())
    await engine.begun(1)
    assert windows.scheduler.under_way("a", "file:///x.py") == moment()
    windows.scheduler.outdate("a", "file:///x.py", spare=[moment()])
    with pytest.raises(Superseded):
        await asked
    engine.release()
    answered = await windows.scheduler.join(moment())
    assert answered.inputs == inputs_of(moment())
    assert (engine.aborted, status.counts.aborted) == (0, 0)
    assert (await windows.scheduler.join(moment())) == answered  # it is remembered
    assert len(engine.asked) == 1


async def test_only_what_is_spared_goes_on(windows, engine):
    engine.hold()
    asked = windows.ask(moment())
    await engine.begun(1)
    windows.scheduler.outdate("a", "file:///x.py", spare=[moment(version=2)])
    with pytest.raises(Superseded):
        await asked
    await asyncio.sleep(0)
    assert engine.aborted == 1
    assert windows.scheduler.under_way("a", "file:///x.py") is None
    assert await windows.scheduler.join(moment()) is None


async def test_a_guess_waits_for_spared_work_and_a_question_does_not(windows, engine):
    engine.hold()
    windows.ask(moment())
    await engine.begun(1)
    windows.scheduler.outdate("a", "file:///x.py", spare=[moment()])
    windows.guess(moment(version=2))
    await asyncio.sleep(0)
    assert (len(engine.asked), engine.aborted) == (1, 0)
    asked = windows.ask(moment(version=2))
    await engine.begun(2)
    assert engine.aborted == 1
    engine.release()
    assert (await asked).answer.new_region_text
    assert len(engine.asked) == 2


async def test_those_who_join_spared_work_keep_it_from_being_aborted_by_another_window(windows, engine):
    engine.hold()
    windows.ask(moment())
    await engine.begun(1)
    windows.scheduler.outdate("a", "file:///x.py", spare=[moment()])
    joined = asyncio.create_task(windows.scheduler.join(moment()))
    await asyncio.sleep(0)
    other = windows.ask(moment("b"))
    await asyncio.sleep(0)
    assert engine.aborted == 0
    engine.release()
    assert (await joined).inputs == inputs_of(moment())
    assert (await other).inputs == inputs_of(moment("b"))


async def test_a_queued_guess_can_be_spared(windows, engine):
    engine.hold()
    other = windows.ask(moment("b"))
    await engine.begun(1)
    for version in (1, 2):
        windows.guess(moment(version=version))
        windows.scheduler.outdate("a", "file:///x.py", spare=[moment(version=1)])
        assert windows.scheduler.knows(moment(version=version)) is (version == 1)
    engine.release()
    await other


async def test_a_session_that_leaves_takes_its_spared_work_with_it(windows, engine):
    engine.hold()
    windows.ask(moment())
    await engine.begun(1)
    windows.scheduler.outdate("a", "file:///x.py", spare=[moment()])
    windows.scheduler.forget_session("a")
    await asyncio.sleep(0)
    assert engine.aborted == 1
    assert not windows.scheduler.knows(moment())


class OneAtATime(ScriptedEngine):
    """Fails when a prediction begins before the one before it ended."""

    working = False

    async def predict(self, inputs, *, deadline_seconds):
        assert not self.working
        self.working = True
        try:
            return await super().predict(inputs, deadline_seconds=deadline_seconds)
        finally:
            self.working = False


steps = st.lists(
    st.one_of(
        st.tuples(st.just("type"), st.sampled_from("ab"), st.booleans()),
        st.tuples(st.just("ask"), st.sampled_from("ab")),
        st.tuples(st.just("join"), st.sampled_from("ab")),
        st.tuples(st.just("guess"), st.sampled_from("ab")),
        st.tuples(st.just("cancel"), st.integers(0, 4)),
        st.tuples(st.just("finish")),
    ),
    max_size=30,
)


class Typists:
    """Two windows that type, ask, join what is under way, guess and cancel."""

    def __init__(self, scheduler, engine):
        self.scheduler, self.engine, self.windows = scheduler, engine, Windows(scheduler)
        self.versions = dict.fromkeys("ab", 1)
        self.asked = []  # what was asked or joined, and the task that waits for it
        self.newest = {}  # session -> the task that waits for its present text

    def under_way(self, session):
        return self.scheduler.under_way(session, "file:///x.py")

    def type(self, session, spares):
        self.versions[session] += 1
        self.newest.pop(session, None)
        spare = [self.under_way(session)] if spares else []
        self.scheduler.outdate(session, "file:///x.py", spare=spare)

    def ask(self, session):
        asked = moment(session, version=self.versions[session])
        self.newest[session] = self.windows.ask(asked)
        self.asked.append((asked, self.newest[session]))

    def join(self, session):
        running = self.under_way(session)
        if running is not None:
            self.asked.append((running, asyncio.create_task(self.scheduler.join(running))))

    def guess(self, session):
        self.windows.guess(moment(session, version=self.versions[session]))

    def cancel(self, back):
        if back < len(self.asked):
            self.asked[-1 - back][1].cancel()

    def finish(self):
        self.engine.release()
        asyncio.get_running_loop().call_soon(self.engine.hold)

    async def end(self):
        self.engine.release()
        await asyncio.wait([task for _, task in self.asked], timeout=5)
        for asked, task in self.asked:
            assert task.done()
            if task.cancelled() or isinstance(task.exception(), Superseded):
                assert task not in self.newest.values() or task.cancelled()
            else:
                assert task.result() is None or task.result().inputs == inputs_of(asked)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_whatever_is_typed_asked_and_spared_each_question_ends_with_its_answer_or_is_superseded(script):
    """And the question about the present text always with its answer, unless its reader left."""

    async def play():
        engine = OneAtATime(lambda inputs: inputs.cursor_excerpt)
        engine.state = EngineState.READY
        engine.hold()
        scheduler = Scheduler(engine, status=StatusBoard())
        typists = Typists(scheduler, engine)
        for name, *arguments in script:
            getattr(typists, name)(*arguments)
            for _ in range(3):
                await asyncio.sleep(0)
        if typists.asked:
            await typists.end()
        await scheduler.close()

    asyncio.run(play())
