"""What a peer is asked and what it says: a prompt in, a completed text out. Knows nothing of any peer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer without its stop string.

    ``finished`` is false where neither a stop string nor end-of-sequence ended it. ``counters`` have the names of
    ``daemon.engine.messages.Counters``, as far as the peer tells.
    """

    text: str
    finished: bool
    counters: dict[str, int] = field(default_factory=dict)


class Cancelled(Exception):
    """The peer gave the completion up because it was told to.

    ``tokens_evaluated`` is what it had evaluated until then, None where it does not say.
    """

    def __init__(self, tokens_evaluated: int | None) -> None:
        super().__init__("a newer question came")
        self.tokens_evaluated = tokens_evaluated


class PromptTooLong(Exception):
    """The prompt does not fit the model's context."""


class Peer(Protocol):
    """A loaded model of somebody else's; ``complete`` is called from one thread, one call at a time."""

    def complete(self, prompt: str, stop: tuple[str, ...], max_tokens: int) -> Completion:
        """The greedy completion; raises Cancelled or PromptTooLong."""
        ...

    def cancel(self) -> None:
        """The running completion is no longer wanted; called from another thread. May do nothing."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
