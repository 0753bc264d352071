"""Which prediction the one engine works on: newest wins, windows take turns, the superseded is aborted.

A prediction belongs to a ``Moment``: one session, document, version and cursor. Asking again for a moment
that is computed or being computed joins it; asking for another moment of the same document ends the older
one. Work that nobody asked for yet (speculation) runs only while nobody waits. Whoever knows documents may
spare work on an older moment whose answer can still be of use; it then goes on as a guess that the newest
question may join first. A trial gives some documents another engine; still one works at a time. The status board hears
of all work, and of what was of use. Knows nothing of LSP, documents or prompts.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from daemon.engine.api import EngineState
from daemon.engine.errors import DeadlineExceeded, EngineError, WorkerDied
from daemon.engine.messages import StopReason
from daemon.idle_engines import IdleEngines
from daemon.status import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container

    from capture.inputs import PredictionInputs
    from daemon.engine.api import Engine
    from daemon.engine.messages import Completion, EngineAnswer, ModelInfo
    from daemon.prompts.raw_prompt import RawPrompt
    from daemon.status import StatusBoard

RECENT_ANSWERS = 32  # kept for surfaces that ask about the same moment again
_CUT_OFF = (StopReason.ABORTED, StopReason.DEADLINE)


class Superseded(Exception):
    """Something newer made the prediction pointless; its reader answers with nothing."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a prediction is for, exactly; ``context_revision`` counts changes of what else the model sees.

    ``assumed`` is empty, or says what is taken as done to the text of ``version``: the id of a prediction that was
    accepted, or a key that was pressed. An answer less sure than ``least_confidence`` is given up.
    """

    session_id: str
    uri: str
    version: int
    row: int
    column_utf16: int
    context_revision: int = 0
    assumed: str = ""
    least_confidence: float = 0.0


@dataclass(slots=True)
class Answered:
    """What a ``model`` (None: not known which) was asked and said; ``is_taken`` once a question was answered by it."""

    inputs: PredictionInputs
    answer: EngineAnswer
    model: ModelInfo | None = field(default=None, compare=False)
    is_taken: bool = field(default=False, compare=False)

    @property
    def stop(self) -> StopReason:
        """Why its decoding ended."""
        return self.answer.stop


@dataclass(eq=False, slots=True)
class _Job:
    moment: Moment
    ask: Callable[[Engine, float], Awaitable[Answered | Completion]]  # with the seconds that are left for it
    deadline_seconds: float
    asked_at: float
    waiters: list[asyncio.Future[Any]] = field(default_factory=list)
    speculative: bool = False  # goes on although nobody waits
    spared: bool = False  # its text is outdated, its answer perhaps not: no newer guess of its session ends it
    then: Callable[[Answered], None] | None = None
    task: asyncio.Task[None] | None = None


class Scheduler:
    """Owns the queue in front of one engine.

    ``clock`` counts seconds. ``unload_after_seconds`` is asked each time the engine falls idle. ``serving`` gives the
    engine of a document, named by its uri, where that is not always ``engine``.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float] = time.monotonic,
        *,
        status: StatusBoard,
        unload_after_seconds: Callable[[], float] = lambda: 600.0,
        serving: Callable[[str], Engine] | None = None,
    ) -> None:
        self.engine = engine
        self._serving = serving
        self._clock = clock
        self._status = status
        self._idle = IdleEngines(unload_after_seconds)
        self._waiting: dict[str, OrderedDict[str, _Job]] = {}  # session -> uri -> job somebody waits for
        self._turns: deque[str] = deque()  # the sessions in ``_waiting``, next first
        self._guesses: OrderedDict[str, _Job] = OrderedDict()  # session -> its one speculative job
        self._running: _Job | None = None
        self._recent: OrderedDict[Moment, Answered] = OrderedDict()
        status.follow_model(self._model_state)

    def engine_of(self, uri: str) -> Engine:
        """The engine that answers for a document."""
        return self.engine if self._serving is None else self._serving(uri)

    async def predict(
        self,
        moment: Moment,
        make_inputs: Callable[[], PredictionInputs],
        *,
        deadline_seconds: float,
        lingers: bool = False,
    ) -> Answered:
        """The engine's answer for ``moment``; cancelling the caller aborts it unless others wait too.

        Work that ``lingers`` goes on after its caller was cancelled, as if it were a guess. ``make_inputs``
        is called when the engine's turn comes, which is never after ``outdate``. Raises Superseded when
        newer work took its place, EngineError when there will be no answer.
        """
        recent = self._answered_before(moment)
        if recent is not None:
            return recent
        job = self._find(moment)
        if job is None:
            self.outdate(moment.session_id, moment.uri)
            job = _Job(moment, _asking(moment, make_inputs), deadline_seconds, self._clock())
        job.speculative = job.speculative or lingers
        answered: Answered = await self._outcome(job)
        return answered

    async def complete(self, moment: Moment, prompt: RawPrompt, *, deadline_seconds: float) -> Completion:
        """The engine's answer to a client's own prompt; ``moment`` names the request, and nothing is remembered of it.

        Cancelling the caller aborts it. Raises as ``predict`` does.
        """

        async def ask(engine: Engine, seconds: float) -> Completion:
            return await engine.complete(prompt, deadline_seconds=seconds)

        completion: Completion = await self._outcome(_Job(moment, ask, deadline_seconds, self._clock()))
        return completion

    async def join(self, moment: Moment) -> Answered | None:
        """The answer to ``moment`` if it is there or on its way, else None; as ``predict`` otherwise."""
        recent = self._answered_before(moment)
        if recent is not None:
            return recent
        running = self._running
        if running is None or running.moment != moment or _given_up(running):
            return None
        answered: Answered = await self._outcome(running)
        return answered

    def take(self, moment: Moment, answered: Answered) -> None:
        """An editor's question is answered by ``answered``, which is about ``moment``: it was not made in vain."""
        if answered.is_taken or answered.answer.stop in _CUT_OFF:
            return
        answered.is_taken = True
        tokens = answered.answer.counters.tokens_evaluated
        self._status.worked(moment.session_id, Work(taken=1, tokens_taken=tokens), ahead=bool(moment.assumed))

    def speculate(
        self,
        moment: Moment,
        make_inputs: Callable[[], PredictionInputs],
        *,
        deadline_seconds: float,
        then: Callable[[Answered], None] | None = None,
    ) -> None:
        """Work on ``moment`` when nothing better is to do; the session's older guess is given up.

        ``then`` hears the answer, if there is one before the guess is given up. Work that ``outdate`` spared is
        finished first. Nothing is loaded for a guess.
        """
        if self.engine_of(moment.uri).state is not EngineState.READY or self.knows(moment):
            return
        self._drop_guess(moment.session_id)
        ask = _asking(moment, make_inputs)
        job = _Job(moment, ask, deadline_seconds, self._clock(), speculative=True, then=then)
        self._guesses[moment.session_id] = job
        self._start_next()

    def knows(self, moment: Moment) -> bool:
        """Whether asking for ``moment`` costs no work that is not done or under way or queued already."""
        return self._answered_before(moment) is not None or self._find(moment) is not None

    def under_way(self, session_id: str, uri: str) -> Moment | None:
        """The moment of a document that the engine works on now."""
        running = self._running
        if running is None or _given_up(running) or not _is_about(running, session_id, uri):
            return None
        return running.moment

    def outdate(self, session_id: str, uri: str, *, spare: Container[Moment] = ()) -> None:
        """Give up what was asked for a document: its text changed, or something newer is asked.

        Work on the moments in ``spare`` goes on as a guess, unless somebody waits for other work; those who wait for
        it learn that they are superseded, because they asked about the older text. Its ``make_inputs`` must have been
        called, or hold whatever is typed.
        """
        job = self._waiting_job(session_id, uri)
        if job is not None:
            self._drop(job)
        guess = self._guesses.get(session_id)
        if guess is not None and guess.moment.uri == uri and guess.moment not in spare:
            self._drop(guess)
        running = self._running
        if running is None or not _is_about(running, session_id, uri):
            return
        if running.moment in spare and not self._turns:
            running.speculative = running.spared = True
            self._settle(running, Superseded())
        else:
            self._drop(running)

    def forget_answers(self, session_id: str, *, spare: Container[Moment] = ()) -> None:
        """No more answer with what is known of a session's texts as they were.

        A version may come again with another text, and the edits of one document are shown in all. What was computed
        as if a prediction were accepted or a key were pressed is about that text and stays.
        """
        for moment in list(self._recent):
            if moment.session_id == session_id and not moment.assumed and moment not in spare:
                del self._recent[moment]

    def forget_session(self, session_id: str) -> None:
        """Give up everything a session asked for; it is gone."""
        for uri in list(self._waiting.get(session_id, ())):
            self.outdate(session_id, uri)
        self._drop_guess(session_id)
        if self._running is not None and self._running.moment.session_id == session_id:
            self._drop(self._running)
        for moment in [moment for moment in self._recent if moment.session_id == session_id]:
            del self._recent[moment]

    async def close(self) -> None:
        """Give up everything and close the engine."""
        for session_id in {*self._waiting, *self._guesses}:
            self.forget_session(session_id)
        if self._running is not None:
            running = self._running.task
            self._drop(self._running)
            if running is not None:
                await asyncio.wait([running])
        await self._idle.close()
        await self.engine.close()

    async def _outcome(self, job: _Job) -> Any:
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        job.waiters.append(waiter)
        if job is not self._running:
            job.asked_at = self._clock() if len(job.waiters) == 1 else job.asked_at
            self._enqueue(job)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter in job.waiters and not job.speculative:  # else ``_drop`` counted it
                self._status.count("aborted", job.moment.session_id)
            raise
        finally:
            if waiter in job.waiters:
                job.waiters.remove(waiter)
                if not job.waiters:
                    self._left_alone(job)

    # The queue

    def _find(self, moment: Moment) -> _Job | None:
        running = self._running
        if running is not None and running.moment == moment and not _given_up(running):
            return running
        for job in (
            self._waiting_job(moment.session_id, moment.uri),
            self._guesses.get(moment.session_id),
        ):
            if job is not None and job.moment == moment:
                return job
        return None

    def _waiting_job(self, session_id: str, uri: str) -> _Job | None:
        jobs = self._waiting.get(session_id)
        return None if jobs is None else jobs.get(uri)

    def _enqueue(self, job: _Job) -> None:
        session_id = job.moment.session_id
        if self._guesses.get(session_id) is job:
            del self._guesses[session_id]
        jobs = self._waiting.setdefault(session_id, OrderedDict())
        jobs[job.moment.uri] = job
        jobs.move_to_end(job.moment.uri)
        if session_id not in self._turns:
            self._turns.append(session_id)
        if self._running is not None and not self._running.waiters:
            self._abort(self._running)  # a guess never keeps a person waiting
        self._start_next()

    def _start_next(self) -> None:
        if self._running is not None:
            return
        job = self._take_waiting() or self._take_guess()
        if job is None:
            self._idle.rest()
            return
        self._idle.wake()
        self._running = job
        job.task = asyncio.get_running_loop().create_task(self._run(job))
        # Not a ``finally`` in ``_run``: a task cancelled before its first step never enters it.
        job.task.add_done_callback(partial(self._ended, job=job))

    def _take_waiting(self) -> _Job | None:
        if not self._turns:
            return None
        session_id = self._turns.popleft()
        jobs = self._waiting[session_id]
        _, job = jobs.popitem()  # the document the person looked at last
        if jobs:
            self._turns.append(session_id)
        else:
            del self._waiting[session_id]
        return job

    def _take_guess(self) -> _Job | None:
        if not self._guesses:
            return None
        _, job = self._guesses.popitem(last=False)
        return job

    async def _run(self, job: _Job) -> None:
        engine = self.engine_of(job.moment.uri)
        await self._idle.engage(engine)
        remaining_seconds = job.deadline_seconds - (self._clock() - job.asked_at)
        if job.speculative and not job.waiters:
            remaining_seconds = job.deadline_seconds  # a guess waits as long as it must
        elif remaining_seconds <= 0:
            self._settle(job, DeadlineExceeded("the model was busy with another window for too long"))
            return
        state_before = engine.state
        tokens_before = engine.tokens_evaluated
        aborted = 0
        try:
            answered = await job.ask(engine, remaining_seconds)
            aborted = int(answered.stop in _CUT_OFF)
        except asyncio.CancelledError:
            aborted = 1
            self._count_unheard_death(engine, state_before)
            raise
        except EngineError as error:
            if isinstance(error, WorkerDied) and state_before is not EngineState.FAILED:  # then it repeats one
                self._status.count("worker_deaths")
            self._settle(job, error)
        else:
            if answered.stop is StopReason.ABORTED:
                return
            # After a deadline the next try may be in time.
            if isinstance(answered, Answered) and answered.stop is not StopReason.DEADLINE:
                self._remember(job.moment, answered)
                if job.then is not None:
                    job.then(answered)
            self._settle(job, answered)
        finally:
            tokens = engine.tokens_evaluated - tokens_before
            work = Work(predictions=1, aborted=aborted, tokens_evaluated=tokens)
            self._status.worked(job.moment.session_id, work, ahead=bool(job.moment.assumed))

    def _count_unheard_death(self, engine: Engine, state_before: EngineState) -> None:
        """A worker that died of work which was given up already tells nobody."""
        if state_before is EngineState.READY and engine.state in (EngineState.LOADING, EngineState.FAILED):
            self._status.count("worker_deaths")

    def _ended(self, task: asyncio.Task[None], job: _Job) -> None:
        """Whatever way a job ended, the next one starts and nobody is left waiting."""
        error = None if task.cancelled() else task.exception()
        self._settle(job, error if isinstance(error, Exception) else Superseded())
        self._running = None
        self._start_next()

    def _settle(self, job: _Job, outcome: Answered | Completion | Exception) -> None:
        waiters, job.waiters = job.waiters, []
        for waiter in waiters:
            if waiter.done():
                continue
            if isinstance(outcome, Exception):
                waiter.set_exception(outcome)
            else:
                waiter.set_result(outcome)

    def _answered_before(self, moment: Moment) -> Answered | None:
        """The answer, unless it is of another model than the one that would be asked now."""
        answered = self._recent.get(moment)
        if answered is None or answered.model is None:
            return answered
        model = self.engine_of(moment.uri).model
        return answered if model is None or model == answered.model else None

    def _remember(self, moment: Moment, answered: Answered) -> None:
        self._recent[moment] = answered
        self._recent.move_to_end(moment)
        if len(self._recent) > RECENT_ANSWERS:
            self._recent.popitem(last=False)

    def _drop(self, job: _Job) -> None:
        """Take a job out, wherever it is; its readers learn that it was superseded."""
        session_id = job.moment.session_id
        if job.waiters:
            self._status.count("aborted", session_id)
        if job is self._running:
            self._abort(job)
        elif self._guesses.get(session_id) is job:
            del self._guesses[session_id]
        else:
            self._leave_queue(job)
        self._settle(job, Superseded())

    def _left_alone(self, job: _Job) -> None:
        """Its last reader left: from now on it is a guess, or nothing."""
        session_id = job.moment.session_id
        if not job.speculative:
            self._drop(job)
        elif job is not self._running:
            self._leave_queue(job)
            self._drop_guess(session_id)
            self._guesses[session_id] = job
        elif self._turns:
            self._abort(job)

    def _leave_queue(self, job: _Job) -> None:
        session_id = job.moment.session_id
        if self._waiting_job(session_id, job.moment.uri) is job:
            del self._waiting[session_id][job.moment.uri]
            if not self._waiting[session_id]:
                del self._waiting[session_id]
                self._turns.remove(session_id)

    def _drop_guess(self, session_id: str) -> None:
        guess = self._guesses.get(session_id)
        if guess is not None:
            self._drop(guess)
        running = self._running
        if running is None or running.spared or running.waiters or running.moment.session_id != session_id:
            return
        self._abort(running)

    def _abort(self, job: _Job) -> None:
        if job.task is not None and not job.task.cancelling():
            job.task.cancel()

    def _model_state(self) -> dict[str, Any]:
        model = self.engine.model
        return {
            "state": self.engine.state.value,
            "failure": self.engine.failure,
            "busy": self._running is not None,
            "model": None if model is None else model.to_json(),
        }


def _asking(
    moment: Moment, make_inputs: Callable[[], PredictionInputs]
) -> Callable[[Engine, float], Awaitable[Answered]]:
    async def ask(engine: Engine, seconds: float) -> Answered:
        inputs = make_inputs()
        answer = await engine.predict(inputs, deadline_seconds=seconds, least_confidence=moment.least_confidence)
        return Answered(inputs, answer, engine.model)

    return ask


def _is_about(job: _Job, session_id: str, uri: str) -> bool:
    return (job.moment.session_id, job.moment.uri) == (session_id, uri)


def _given_up(job: _Job) -> bool:
    return job.task is not None and job.task.cancelling() > 0
