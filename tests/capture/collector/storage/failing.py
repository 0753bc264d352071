"""An index and parts of which one step fails: not done, or done and nobody hears of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from capture.collector.storage import StorageUnavailable

ROUND = ("begun", "changed", "assign", "lines", "hashes", "still_ours", "sealed", "rewritten", "gone", "doubt")
PARTS = ("begin", "remove", "sweep")
WRITING = ("add", "finish")


class Plan:
    """Step ``fail_at``, counted from 1, is ``not done``, ``done unheard``, or whoever waits for it is ``cancelled``.

    Or it fails in no way, and ``meanwhile`` is done before it.
    """

    def __init__(self, fail_at, how, meanwhile=None):
        self.fail_at = fail_at
        self.steps = []
        self.meanwhile = meanwhile
        self._how = how
        self._task = None

    async def attempt(self, work):
        """Do it in a task of its own; what the plan brings about is what may become of it."""
        self._task = asyncio.create_task(work)
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, BaseException) and not isinstance(outcome, StorageUnavailable | asyncio.CancelledError):
            raise outcome

    def step(self, name, action):
        self._begin(name)
        if self._fails("meanwhile"):
            asyncio.run_coroutine_threadsafe(self.meanwhile(), self._task.get_loop()).result(20)
        result = action()
        if name == "begin" and self._fails("done unheard"):
            result.let_go()  # or Python tells of a file that nobody closed
        self._end(name)
        return result

    async def async_step(self, name, action):
        self._begin(name)
        if self._fails("meanwhile"):
            await self.meanwhile()
        result = await action()
        self._end(name)
        return result

    def _begin(self, name):
        self.steps.append(name)
        if self._fails("not done"):
            raise StorageUnavailable(f"{name} failed")
        if self._fails("cancelled"):
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def _end(self, name):
        if self._fails("done unheard"):
            raise StorageUnavailable(f"{name} was done, and failed")

    def _fails(self, how):
        return self._how == how and len(self.steps) == self.fail_at

    @property
    def has_failed(self):
        return len(self.steps) >= self.fail_at


class Failing:
    """Stands for another object, whose named methods are steps."""

    def __init__(self, other, plan, names, wrap):
        self._other, self._plan, self._names, self._wrap = other, plan, names, wrap

    def __getattr__(self, name):
        method = getattr(self._other, name)
        if name not in self._names:
            return method
        return self._wrap(self._plan, name, method)


def sync(plan, name, method):
    def call(*arguments):
        result = plan.step(name, lambda: method(*arguments))
        return Failing(result, plan, WRITING, sync) if name == "begin" else result

    return call


def asynchronous(plan, name, method):
    return lambda *arguments, **options: plan.async_step(name, lambda: method(*arguments, **options))


class FailingIndex:
    def __init__(self, index, plan):
        self._index, self._plan = index, plan

    def __getattr__(self, name):
        return getattr(self._index, name)

    @asynccontextmanager
    async def round(self, within_seconds):
        async with self._index.round(within_seconds) as held:
            yield held and Failing(held, self._plan, ROUND, asynchronous)


def make_failing(storage, plan):
    storage._index = FailingIndex(storage._index, plan)
    storage._parts = Failing(storage._parts, plan, PARTS, sync)


def make_late(storage):
    """The next part is not finished when it should be; it is when the function that this returns is called."""
    parts, late = storage._parts, []

    class Late:
        def __init__(self, part):
            self._part = part

        def add(self, lines):
            self._part.add(lines)

        def finish(self):
            raise StorageUnavailable("nobody knows whether it arrived")

        def let_go(self):
            storage._parts = parts

    class PartsWithLateOne:
        def begin(self, name):
            late.append(parts.begin(name))
            return Late(late[-1])

        def __getattr__(self, name):
            return getattr(parts, name)

    def arrive():
        late[0].finish()
        late[0].let_go()

    storage._parts = PartsWithLateOne()
    return arrive
