"""What answers cost: prices, estimates before anything is asked, and a budget that is never exceeded.

Knows nothing of services; what they count is taken as they say it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from daemon.errors import BadArgument
from training_export.errors import BudgetReached
from training_export.teachers.api import Reply, Request

# A rule of thumb for code in English; good to about a fifth.
BYTES_PER_TOKEN: Final = 3.5
# For a budget: what a tokenizer makes of code is well below it.
FEWEST_BYTES_PER_TOKEN: Final = 2.0
BATCH_SHARE: Final = 0.5  # of the price, at both services


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens."""

    input_dollars: float
    output_dollars: float

    def of(self, input_tokens: float, output_tokens: float) -> float:
        """Dollars for so many."""
        return (input_tokens * self.input_dollars + output_tokens * self.output_dollars) / 1e6

    def in_batches(self) -> Price:
        """What the batch interfaces take."""
        return Price(self.input_dollars * BATCH_SHARE, self.output_dollars * BATCH_SHARE)


# Dollars for a million tokens without surcharge for long prompts, from the services' price pages
# (https://platform.claude.com/docs/en/about-claude/pricing, https://developers.openai.com/api/docs/pricing) as others
# quoted them in spring 2026. They change: --price says what is true today.
PRICES: Final = {
    "claude-sonnet-4-5": Price(3.0, 15.0),
    "claude-sonnet-4-6": Price(3.0, 15.0),
    "gpt-5.2": Price(1.75, 14.0),
    "gpt-5.4": Price(2.5, 15.0),
    "gpt-5.5": Price(5.0, 30.0),
}
PRICES_OF: Final = "spring 2026"


def read_price(text: str) -> Price:
    """From ``in=3,out=15``; raises BadArgument."""
    parts = dict(part.partition("=")[::2] for part in text.replace(" ", "").split(","))
    try:
        price = Price(float(parts.pop("in")), float(parts.pop("out")))
    except (KeyError, ValueError) as error:
        raise _no_price(text) from error
    if parts or not (0 <= price.input_dollars < math.inf and 0 <= price.output_dollars < math.inf):
        raise _no_price(text)
    return price


def _no_price(text: str) -> BadArgument:
    return BadArgument(f"{text!r} is no price; give dollars for a million tokens, like --price in=3,out=15")


def likely_input_tokens(request: Request) -> int:
    """An estimate by length, without asking anybody."""
    return math.ceil(_bytes(request) / BYTES_PER_TOKEN)


def dearest(request: Request, price: Price) -> float:
    """Dollars for a request if its answer is as long as it may be."""
    return price.of(_bytes(request) / FEWEST_BYTES_PER_TOKEN, request.max_tokens)


def _bytes(request: Request) -> int:
    return sum(len(message.text.encode()) for message in request.messages)


class Ledger:
    """What this run has spent, and what answers on their way may cost. For several threads."""

    def __init__(self, price: Price | None, budget_dollars: float | None) -> None:
        self._price = price
        self._budget_dollars = budget_dollars
        self._changed = threading.Condition()
        self._spent = 0.0
        self._reserved: list[float] = []

    @property
    def spent_dollars(self) -> float:
        """What answers came to so far."""
        return self._spent

    def pay(self, reply: Reply) -> float:
        """Count a reply; returns its dollars, 0 where no price is known."""
        dollars = 0.0 if self._price is None else self._price.of(reply.input_tokens, reply.output_tokens)
        with self._changed:
            self._spent += dollars
        return dollars

    @contextmanager
    def reserved(self, request: Request) -> Iterator[None]:
        """Ask within this block. Waits while answers on their way may use up the budget.

        Raises BudgetReached where even without them too little is left for the dearest answer to this request.
        """
        worst = 0.0 if self._price is None else dearest(request, self._price)
        with self._changed:
            while self._budget_dollars is not None and not self._fits(worst, self._budget_dollars):
                if not self._reserved:
                    raise BudgetReached(
                        f"stopped after ${self._spent:.2f}: the next answer may cost ${worst:.2f}, more than is left of"
                        f" --budget {self._budget_dollars:g}; what was answered is kept, and the same command with a"
                        " higher budget goes on from there"
                    )
                self._changed.wait()
            self._reserved.append(worst)
        try:
            yield
        finally:
            with self._changed:
                self._reserved.remove(worst)
                self._changed.notify_all()

    def _fits(self, worst: float, budget_dollars: float) -> bool:
        return self._spent + math.fsum(self._reserved) + worst <= budget_dollars
