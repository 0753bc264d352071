"""llama-cpp-python's own ``Llama.create_completion``, plain or with its prompt lookup decoding.

As a server built on it would use it: greedy, its prefix reuse on. ``stops_between_tokens`` lets a newer question end
an answer after the token it is at; a pass cannot be stopped. Counts what is evaluated; knows nothing of the queue.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import llama_cpp
from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

from bench.peers.completion import Cancelled, Completion, PromptTooLong

BATCH_TOKENS = 512  # llama-cpp-python's default
TOO_LONG = "exceed context window"  # of its ValueError; it has no type of its own


class LlamaCppPython:
    """One ``Llama``."""

    def __init__(
        self,
        model: str,
        *,
        context_tokens: int,
        threads: int,
        lookup_tokens: int = 0,
        stops_between_tokens: bool = False,
        flash_attention: bool = False,
    ) -> None:
        """``lookup_tokens`` is how far prompt lookup drafts, 0 for plain decoding; raises ValueError on a bad model."""
        self._unwanted = threading.Event()
        self._stops_between_tokens = stops_between_tokens
        self._llama = _CountingLlama(
            model,
            n_ctx=context_tokens,
            n_batch=BATCH_TOKENS,
            n_threads=threads,
            n_threads_batch=threads,
            draft_model=LlamaPromptLookupDecoding(num_pred_tokens=lookup_tokens) if lookup_tokens else None,
            # Drafting takes logits for every token; without this their array would be too small for that.
            logits_all=lookup_tokens > 0,
            flash_attn=flash_attention,
            verbose=False,
        )

    def complete(self, prompt: str, stop: tuple[str, ...], max_tokens: int) -> Completion:
        """The greedy completion; raises Cancelled when it stopped between tokens, and PromptTooLong."""
        self._unwanted.clear()
        self._llama.tokens_evaluated = self._llama.forward_passes = 0
        options: dict[str, Any] = {}
        if self._stops_between_tokens:
            options["stopping_criteria"] = llama_cpp.StoppingCriteriaList(
                [lambda _tokens, _logits: self._is_unwanted()]
            )
        try:
            answer: Any = self._llama.create_completion(
                prompt, max_tokens=max_tokens, temperature=0.0, stop=list(stop), **options
            )
        except ValueError as error:
            if TOO_LONG in str(error):
                raise PromptTooLong from error
            raise
        if self._stops_between_tokens and self._is_unwanted():
            raise Cancelled(self._llama.tokens_evaluated)
        choice, usage = answer["choices"][0], answer["usage"]
        counters = {
            "prompt_tokens": usage["prompt_tokens"],
            "answer_tokens": usage["completion_tokens"],
            "tokens_evaluated": self._llama.tokens_evaluated,
            "forward_passes": self._llama.forward_passes,
        }
        return Completion(choice["text"], choice["finish_reason"] == "stop", counters)

    def cancel(self) -> None:
        """Stop after the present token, if this peer does that."""
        self._unwanted.set()

    def close(self) -> None:
        """Free the model."""
        self._llama.close()

    def _is_unwanted(self) -> bool:
        return self._unwanted.is_set()


class _CountingLlama(llama_cpp.Llama):
    """Counts what it evaluates, and writes control tokens out: the student's answers are full of them."""

    tokens_evaluated = 0
    forward_passes = 0

    def eval(self, tokens: Sequence[int]) -> None:
        self.tokens_evaluated += len(tokens)
        self.forward_passes += -(-len(tokens) // BATCH_TOKENS)
        super().eval(tokens)

    def detokenize(self, tokens: list[int], prev_tokens: list[int] | None = None, special: bool = False) -> bytes:
        del special
        text: bytes = super().detokenize(tokens, prev_tokens=prev_tokens, special=True)
        return text
