"""The queue in front of one engine, as its windows see it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.inputs import ExcerptRanges, PredictionInputs
from daemon.engine.api import EngineState
from daemon.engine.errors import DeadlineExceeded, WorkerDied
from daemon.engine.messages import StopReason
from daemon.engine.scripted import ScriptedEngine
from daemon.prompts.raw_prompt import RawPrompt
from daemon.scheduler import Moment, Scheduler, Superseded
from daemon.status import StatusBoard


def moment(session="a", uri="file:///x.py", version=1, column=0, assumed=""):
    return Moment(session, uri, version, 0, column, assumed=assumed)


def name_of(asked):
    return f"{asked.session_id} {asked.uri} {asked.version} {asked.column_utf16}{asked.assumed}"


def inputs_of(asked):
    """Inputs that name the moment they were made for."""
    return PredictionInputs(asked.uri, name_of(asked), 0, ExcerptRanges({}))


class Windows:
    """Asks the scheduler on behalf of windows and keeps what they asked."""

    def __init__(self, scheduler):
        self.scheduler = scheduler

    def ask(self, asked, *, deadline_seconds=5.0, **options):
        return asyncio.create_task(
            self.scheduler.predict(asked, lambda: inputs_of(asked), deadline_seconds=deadline_seconds, **options)
        )

    async def answer(self, asked, **options):
        """Ask, and answer an editor with what comes."""
        answered = await self.ask(asked, **options)
        self.scheduler.take(asked, answered)
        return answered

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


async def test_spared_work_ends_where_another_window_waits(windows, engine):
    engine.hold()
    typed = windows.ask(moment("b"))
    await engine.begun(1)
    other = windows.ask(moment("a"))
    await asyncio.sleep(0)
    windows.scheduler.outdate("b", "file:///x.py", spare=[moment("b")])
    with pytest.raises(Superseded):
        await typed
    await asyncio.wait_for(engine.begun(2), 5)
    assert (engine.aborted, order(engine)[1]) == (1, name_of(moment("a")))
    engine.release()
    await other


async def test_a_guess_whose_last_reader_left_ends_where_another_window_waits(windows, engine):
    engine.hold()
    windows.guess(moment("b"))
    await engine.begun(1)
    leaving, other = windows.ask(moment("b")), windows.ask(moment("a"))
    await asyncio.sleep(0)
    assert engine.aborted == 0
    leaving.cancel()
    await asyncio.wait([leaving])
    await asyncio.wait_for(engine.begun(2), 5)
    assert (engine.aborted, order(engine)[1]) == (1, name_of(moment("a")))
    engine.release()
    await other


async def test_work_that_lingers_unbegun_comes_after_those_who_wait(windows, engine):
    engine.hold()
    first = windows.ask(moment("a"))
    await engine.begun(1)
    lingering = windows.ask(moment("b"), lingers=True)
    await asyncio.sleep(0)
    lingering.cancel()
    await asyncio.wait([lingering])
    waiting = windows.ask(moment("c"))
    await asyncio.sleep(0)
    engine.release()
    await asyncio.gather(first, waiting)
    await asyncio.wait_for(engine.begun(3), 5)
    assert order(engine) == [name_of(moment(session)) for session in "acb"]


# What was done, and what of it in vain; the scripted engine evaluates one token for each character of a moment's name

TOKENS = len(name_of(moment()))


def work(predictions=0, aborted=0, taken=0, tokens_in_vain=0):
    evaluated = taken * TOKENS + tokens_in_vain
    return {
        "predictions": predictions,
        "aborted": aborted,
        "taken": taken,
        "tokens_evaluated": evaluated,
        "tokens_in_vain": tokens_in_vain,
    }


async def test_an_answer_is_taken_once_however_often_it_is_given(windows, status):
    for _ in range(3):
        await windows.answer(moment())
    assert status.work.to_json() == {**work(predictions=1, taken=1), "ahead": work()}


async def test_the_tokens_of_aborted_work_are_in_vain(windows, engine, status):
    engine.hold()
    windows.ask(moment(column=1))
    await engine.begun(1)
    newer = windows.ask(moment(column=2))
    await engine.begun(2)
    engine.release()
    windows.scheduler.take(moment(column=2), await newer)
    assert status.work.asked.to_json() == work(predictions=2, aborted=1, taken=1, tokens_in_vain=TOKENS)


async def test_work_that_never_began_is_no_work(windows, engine, status):
    engine.hold()
    windows.ask(moment("a"))
    await engine.begun(1)
    waiting = [windows.ask(moment("b", column=column)) for column in range(5)]
    await asyncio.sleep(0)
    windows.scheduler.forget_session("b")
    await asyncio.gather(*waiting, return_exceptions=True)
    windows.scheduler.forget_session("a")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert status.work.asked.to_json() == work(predictions=1, aborted=1, tokens_in_vain=TOKENS)
    assert status.totals("b")["predictions"] == 0


async def test_a_guess_is_in_vain_until_its_question_comes(windows, engine, status):
    windows.guess(moment())
    await engine.begun(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert status.work.asked.to_json() == work(predictions=1, tokens_in_vain=TOKENS)
    await windows.answer(moment())
    assert status.work.asked.to_json() == work(predictions=1, taken=1)


async def test_an_answer_that_was_waited_for_and_not_given_is_in_vain(windows, status):
    await windows.ask(moment())
    assert status.work.asked.to_json() == work(predictions=1, tokens_in_vain=TOKENS)


@pytest.mark.parametrize("stop", [StopReason.DEADLINE, StopReason.ABORTED])
async def test_work_that_was_cut_off_is_in_vain_though_its_asker_hears_of_it(windows, engine, status, stop):
    engine.stop = stop
    asked = windows.ask(moment())
    if stop is StopReason.DEADLINE:
        windows.scheduler.take(moment(), await asked)
    else:
        with pytest.raises(Superseded):
            await asked
    assert status.work.asked.to_json() == work(predictions=1, aborted=1, tokens_in_vain=TOKENS)


async def test_a_dead_worker_is_a_prediction_in_vain(windows, engine, status):
    engine.fails_with = WorkerDied("it died")
    with pytest.raises(WorkerDied):
        await windows.ask(moment())
    assert status.work.asked.to_json() == work(predictions=1, tokens_in_vain=TOKENS)


async def test_work_ahead_is_counted_apart(windows, engine, status):
    ahead = moment(assumed="!")
    windows.guess(ahead)
    await engine.begun(1)
    engine.hold()
    windows.guess(moment(column=1, assumed="!"))
    await engine.begun(2)
    windows.scheduler.forget_session("b")
    windows.scheduler.outdate("a", "file:///x.py")
    engine.release()
    assert status.work.asked.to_json() == work()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    in_vain = 2 * (TOKENS + 1)
    assert status.work.ahead.to_json() == work(predictions=2, aborted=1, tokens_in_vain=in_vain)
    await windows.answer(ahead)
    assert status.work.ahead.to_json() == {
        **work(2, 1, 1, in_vain),
        "tokens_evaluated": in_vain,
        "tokens_in_vain": in_vain // 2,
    }
    assert status.work.asked.to_json() == work()


async def test_each_window_has_its_own_totals_and_the_board_all_of_them(windows, status):
    await windows.answer(moment("a"))
    await windows.answer(moment("b"))
    await windows.answer(moment("b", column=1))
    assert [status.totals(session)["taken"] for session in "abc"] == [1, 2, 0]
    assert status.work.asked.taken == 3
    status.close_session("a")
    assert status.totals("a")["taken"] == 0
    assert status.work.asked.taken == 3


async def test_answers_about_a_text_that_is_gone_are_forgotten_but_not_what_is_spared_or_ahead(windows, engine):
    kept = [moment(version=2), moment(version=1, assumed="!"), moment("b")]
    gone = [moment(), moment(uri="file:///y.py")]  # the edits of one document are shown to the model in all of them
    for asked in (*gone, *kept):
        await windows.ask(asked)
    windows.scheduler.forget_answers("a", spare=[moment(version=2)])
    assert [windows.scheduler.knows(asked) for asked in (*gone, *kept)] == [False, False, True, True, True]
    await windows.ask(moment())
    assert order(engine).count(name_of(moment())) == 2


class OneAtATime(ScriptedEngine):
    """Fails when a prediction begins before the one before it ended, or as a guess while somebody waits.

    ``waited_for`` are the names of the moments that somebody waits for.
    """

    working_on = ""

    def __init__(self, script, waited_for):
        super().__init__(script)
        self.waited_for = waited_for

    async def predict(self, inputs, *, deadline_seconds, least_confidence=0.0):
        assert not self.working_on
        self.working_on = inputs.cursor_excerpt
        self.check()
        try:
            return await super().predict(inputs, deadline_seconds=deadline_seconds, least_confidence=least_confidence)
        finally:
            self.working_on = ""

    def check(self):
        """Who waits has the engine, or waits for somebody else who waits."""
        assert not self.waited_for or self.working_on in self.waited_for


TURNS = 10  # of the event loop, for one abort and the next beginning

steps = st.lists(
    st.one_of(
        st.tuples(st.just("type"), st.sampled_from("ab"), st.booleans()),
        st.tuples(st.just("ask"), st.sampled_from("ab"), st.booleans()),
        st.tuples(st.just("join"), st.sampled_from("ab")),
        st.tuples(st.just("guess"), st.sampled_from("ab"), st.sampled_from(["", "!"])),
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
        self.taken = {}  # the answers that were given, by the names of their moments
        self.newest = {}  # session -> the task that waits for its present text

    def under_way(self, session):
        return self.scheduler.under_way(session, "file:///x.py")

    def type(self, session, spares):
        self.versions[session] += 1
        self.newest.pop(session, None)
        spare = [self.under_way(session)] if spares else []
        self.scheduler.outdate(session, "file:///x.py", spare=spare)

    def ask(self, session, lingers):
        asked = moment(session, version=self.versions[session])
        self.newest[session] = self.wait(
            asked,
            lambda: self.scheduler.predict(asked, lambda: inputs_of(asked), deadline_seconds=5.0, lingers=lingers),
        )

    def join(self, session):
        running = self.under_way(session)
        if running is not None:
            self.wait(running, lambda: self.scheduler.join(running))

    def wait(self, asked, ask):
        """Put a question about ``asked`` in a task of its own and take what comes."""

        async def waiting():
            name = name_of(asked)
            self.engine.waited_for[name] += 1
            try:
                answered = await ask()
            finally:
                self.engine.waited_for -= Counter([name])
            if answered is not None:
                self.scheduler.take(asked, answered)
                self.taken[name] = answered
            return answered

        self.asked.append((asked, asyncio.create_task(waiting())))
        return self.asked[-1][1]

    def guess(self, session, assumed):
        self.windows.guess(moment(session, version=self.versions[session], assumed=assumed))

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


def check_totals(workload, engine, taken):
    """Each token that the engine evaluated is counted once, and is in vain unless its answer was given."""
    both = workload.asked + workload.ahead
    assert (both.predictions, both.aborted) == (len(engine.asked), engine.aborted)
    assert both.tokens_evaluated == engine.tokens_evaluated
    assert workload.ahead.tokens_evaluated == sum(len(name) for name in order(engine) if name.endswith("!"))
    assert both.taken == len(taken)
    assert both.tokens_taken == sum(map(len, taken))


@settings(max_examples=150, deadline=None)
@given(steps)
def test_whatever_is_typed_asked_and_spared_each_question_ends_with_its_answer_or_is_superseded(script):
    """And the question about the present text always with its answer, unless its reader left.

    The engine never works on a guess while somebody waits, and every token it evaluates is counted.
    """

    async def play():
        engine = OneAtATime(lambda inputs: inputs.cursor_excerpt, Counter())
        engine.state = EngineState.READY
        engine.hold()
        status = StatusBoard()
        scheduler = Scheduler(engine, status=status)
        typists = Typists(scheduler, engine)
        for name, *arguments in script:
            getattr(typists, name)(*arguments)
            for _ in range(TURNS):
                await asyncio.sleep(0)
            engine.check()
        if typists.asked:
            await typists.end()
        await scheduler.close()
        check_totals(status.work, engine, typists.taken)

    asyncio.run(play())


async def test_a_worker_that_dies_of_work_nobody_waits_for_any_more_is_counted(status):
    class DiesWhenGivenUp(ScriptedEngine):
        async def predict(self, inputs, **how):
            try:
                return await super().predict(inputs, **how)
            except asyncio.CancelledError:
                self.state = EngineState.LOADING  # as the client has it as soon as its worker is gone
                raise

    engine = DiesWhenGivenUp(lambda _inputs: None)
    engine.state = EngineState.READY
    engine.hold()
    windows = Windows(Scheduler(engine, status=status))
    task = windows.ask(moment())
    await engine.begun(1)
    task.cancel()
    await asyncio.wait([task])
    engine.release()
    await windows.ask(moment(version=2))
    assert status.counts.worker_deaths == 1
    await windows.scheduler.close()


def complete(scheduler, text, *, session="http", deadline_seconds=5.0):
    prompt = RawPrompt(text, (), 8)
    return asyncio.create_task(scheduler.complete(moment(session, uri=text), prompt, deadline_seconds=deadline_seconds))


async def test_clients_prompts_take_turns_with_windows_and_none_supersedes_another(windows, engine):
    engine.completes = str.upper
    engine.hold()
    first = complete(windows.scheduler, "one")
    await engine.begun(1)
    asked = windows.ask(moment("a"))
    second = complete(windows.scheduler, "two")
    await asyncio.sleep(0)
    engine.release()
    assert (await first).text == "ONE"
    assert (await second).text == "TWO"
    assert (await asked).answer.new_region_text == "A FILE:///X.PY 1 0"
    assert [prompt.text for prompt in engine.completed] == ["one", "two"]


async def test_a_client_that_leaves_frees_the_engine(windows, engine):
    engine.hold()
    left = complete(windows.scheduler, "one")
    await engine.begun(1)
    left.cancel()
    await asyncio.wait([left])
    engine.release()
    assert (await windows.ask(moment("a"))).answer is not None
    assert engine.aborted == 1


async def test_the_same_prompt_again_is_asked_again(windows, engine):
    await complete(windows.scheduler, "one")
    await complete(windows.scheduler, "one")
    assert len(engine.completed) == 2


async def test_a_prompt_is_more_urgent_than_a_guess(windows, engine):
    engine.hold()
    windows.guess(moment("a"))
    await engine.begun(1)
    asked = complete(windows.scheduler, "one")
    await engine.begun(2)
    engine.release()
    await asked
    assert engine.aborted == 1
