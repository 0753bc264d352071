"""Sends what waits in the cache as batches and brings the answers back into it; may be killed at any moment.

One process at a time does this for a cache. Knows nothing of examples: stages put their questions into the cache
before, and find the answers there after.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Final

from capture.file_lock import FileLock
from training_export.errors import AnswersUnusable, BudgetReached, TeacherRefused
from training_export.teachers import batch_rows
from training_export.teachers.api import Reply, Request
from training_export.teachers.batch_rows import Sent
from training_export.teachers.cache import AnswerCache
from training_export.teachers.money import Price, dearest
from training_export.teachers.service import Batches, Fault
from training_export.teachers.settings import TeacherSettings

MOST_REQUESTS: Final = 16_000
MOST_BYTES: Final = 100 << 20
AT_ONCE: Final = 500  # rows to a transaction
POLL_SECONDS: Final = 30.0
ID_PREFIX: Final = "req_hash_"


@dataclass(slots=True)
class Fetched:
    """What one call brought, sent and left on its way, in requests."""

    answers: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0
    sent: int = 0
    on_their_way: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one batch, and how often to look."""

    requests: int = MOST_REQUESTS
    bytes: int = MOST_BYTES
    poll_seconds: float = POLL_SECONDS


class Courier:
    """Carries one teacher's questions and answers between a cache and its service."""

    def __init__(
        self,
        settings: TeacherSettings,
        service: Batches,
        cache: AnswerCache,
        *,
        tell: Callable[[str], None],
        limits: Limits | None = None,
    ) -> None:
        """``tell`` takes a sentence about what goes on."""
        self._teacher = settings.identity.label
        self._price = None if settings.known_price is None else settings.known_price.in_batches()
        self._budget_dollars = settings.budget_dollars
        self._cache_path = settings.cache
        self._service = service
        self._cache = cache
        self._tell = tell
        self._limits = limits or Limits()
        self._fetched = Fetched()
        self._reserved: dict[str, float] = {}  # dollars that batches sent by this call may cost, by label

    def carry(self, questions: Iterable[tuple[str, Request]], *, wait: bool) -> Fetched:
        """Fetch what is done and send what has no answer; with ``wait`` until nothing is on its way any more.

        ``questions`` come with their keys. Raises TeacherRefused, NotAnswered where the service is not available,
        BudgetReached when nothing more can be sent, and AnswersUnusable while another process does the same.
        """
        with self._alone():
            self._find_lost()
            self._cache.write(partial(batch_rows.forget_wishes, self._teacher))
            self._want(questions)
            while True:
                self._fetch()
                self._send()
                left = self._cache.read(partial(batch_rows.wanted_on_their_way, self._teacher))
                self._fetched.on_their_way = left
                if not (wait and left):
                    return self._fetched
                time.sleep(self._limits.poll_seconds)  # the services tell nobody when they are done

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = FileLock(self._cache_path.with_suffix(".batches.lock"))
        try:
            if not lock.take():
                raise AnswersUnusable(
                    f"another process is sending or fetching batches with {self._cache_path}; let it finish, or choose"
                    " another --cache FILE"
                )
            yield
        finally:
            lock.close()

    def _want(self, questions: Iterable[tuple[str, Request]]) -> None:
        remaining = iter(questions)
        while some := {key: request.to_json() for key, request in islice(remaining, AT_ONCE)}:
            self._cache.write(partial(batch_rows.want, self._teacher, some))

    def _find_lost(self) -> None:
        """Batches whose sending was killed, or broke off: the service has them, or their questions wait again."""
        batches = self._cache.read(partial(batch_rows.on_their_way, self._teacher))
        known = {batch.id for batch in batches if batch.id is not None}
        for batch in batches:
            if batch.id is None:
                begun = datetime.fromisoformat(batch.begun)
                found = self._service.find(batch.label, batch.requests, begun, frozenset(known))
                if found is None:
                    self._cache.write(partial(batch_rows.withdraw, batch.label))
                else:
                    known.add(found)
                    self._cache.write(partial(batch_rows.arrived, batch.label, found))

    def _fetch(self) -> None:
        """Bring back what is done."""
        for batch in self._cache.read(partial(batch_rows.on_their_way, self._teacher)):
            assert batch.id is not None  # noqa: S101  the lost ones were found or withdrawn
            state = self._service.state(batch.id)
            if state.problem:
                self._cache.write(partial(batch_rows.withdraw, batch.label))
                raise TeacherRefused(f"the service did not take a batch: {state.problem}")
            if not state.has_ended:
                self._tell(f"{batch.id}: {state.done} of {batch.requests} answered")
            else:
                self._bring(batch)
                self._reserved.pop(batch.label, None)

    def _bring(self, batch: Sent) -> None:
        answers, faults = 0, ""
        results = self._service.results(batch.id or "")
        while outcomes := list(islice(results, AT_ONCE)):
            replies = {custom_id.removeprefix(ID_PREFIX): found for custom_id, found in outcomes}
            whole = {key: reply for key, reply in replies.items() if isinstance(reply, Reply)}
            faults = next((found.reason for found in replies.values() if isinstance(found, Fault)), faults)
            values = {key: reply.to_json() for key, reply in whole.items()}
            answers += self._cache.write(partial(batch_rows.keep, batch.label, values))
            for reply in whole.values():
                self._pay(reply)
        left = self._cache.write(partial(batch_rows.end, batch.label))
        self._fetched.answers += answers
        self._tell(f"{batch.id}: {answers} answers fetched" + (f", {left} without one ({faults})" if left else ""))

    def _pay(self, reply: Reply) -> None:
        self._fetched.input_tokens += reply.input_tokens
        self._fetched.output_tokens += reply.output_tokens
        if self._price is not None:
            self._fetched.dollars += self._price.of(reply.input_tokens, reply.output_tokens)

    def _send(self) -> None:
        """Send what waits, as far as the budget goes."""
        while chunk := self._next_chunk():
            label = f"foretype-{secrets.token_hex(8)}"
            begun = datetime.now(UTC).isoformat(timespec="seconds")
            batch = Sent(label, None, begun, len(chunk))
            self._cache.write(partial(batch_rows.begin, self._teacher, batch, [key for key, _ in chunk]))
            batch_id = self._service.send(label, [(ID_PREFIX + key, request) for key, request in chunk])
            self._cache.write(partial(batch_rows.arrived, label, batch_id))
            self._reserved[label] = sum(self._dearest(request) for _, request in chunk)
            self._tell(f"{batch_id}: {len(chunk)} requests sent")
            self._fetched.sent += len(chunk)

    def _next_chunk(self) -> list[tuple[str, Request]]:
        """What goes into the next batch. Raises BudgetReached where nothing fits and nothing is on its way."""
        chunk: list[tuple[str, Request]] = []
        size_bytes, dollars = 0, self._fetched.dollars + sum(self._reserved.values())
        for key, request in self._waiting():
            size_bytes += self._service.request_bytes(ID_PREFIX + key, request)
            dollars += self._dearest(request)
            is_affordable = self._budget_dollars is None or dollars <= self._budget_dollars
            if not is_affordable and not chunk and not self._reserved:
                raise BudgetReached(
                    f"stopped after ${self._fetched.dollars:.2f}: the next answer may cost"
                    f" ${self._dearest(request):.2f}, more than is left of --budget {self._budget_dollars:g}; what was"
                    " answered is kept, and the same command with a higher budget goes on from there"
                )
            if not is_affordable or (chunk and size_bytes > self._limits.bytes):
                break
            chunk.append((key, request))
            if len(chunk) == self._limits.requests:
                break
        return chunk

    def _waiting(self) -> Iterator[tuple[str, Request]]:
        after = ""
        while rows := self._cache.read(partial(batch_rows.waiting, self._teacher, AT_ONCE, after)):
            for key, value in rows:
                yield key, Request.from_json(value)
            after = rows[-1][0]

    def _dearest(self, request: Request) -> float:
        price: Price | None = self._price
        return 0.0 if price is None else dearest(request, price)
