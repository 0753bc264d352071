"""A loaded model with its prompt format: predictions in, answers out. Lives in the worker process.

Knows the prompt formats and the decoder; nothing of pipes and processes.
"""

from __future__ import annotations

import math
import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.engine import guard
from daemon.engine.decoder import Decoded, Decoder, DecodeRequest
from daemon.engine.errors import ModelRefused
from daemon.engine.expected import expected_answers
from daemon.engine.llama import Context, LlamaError, Log, Model, ModelFacts, backend
from daemon.engine.messages import EngineAnswer, ModelInfo, ModelSettings, StopReason
from daemon.prompts.base import FileEdits, NoEdit, NoEditReason, Prompt, PromptFormat, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from capture.inputs import PredictionInputs
    from daemon.engine.abort import AbortFlag

    ChooseFormat = Callable[[str, Mapping[str, str], str], PromptFormat]

MAX_CONTEXT_TOKENS = 8192  # prompts stay far below; a larger KV cache only costs memory
MIN_CONFIDENCE_KEY = "foretype.min_confidence"  # GGUF metadata: below this the model's edits are not worth showing
BATCH_TOKENS = 128  # the most a pass takes when nobody waits, and how long a GPU (never asked inside) runs on
CACHED_PROMPTS = 4  # this window, the one before, another file, and one to spare
WARM_UP_SECONDS = 0.2  # of measuring what passes cost, before the first answer

UNFINISHED_REASONS = {
    StopReason.ANSWER_BUDGET: "the answer grew longer than its budget",
    StopReason.CONTEXT_FULL: "the prompt and its answer do not fit the model's context",
    StopReason.ABORTED: "the prediction was aborted",
    StopReason.DEADLINE: "the prediction took longer than its deadline",
}


class LoadedModel:
    """One model, its context and its format."""

    def __init__(
        self, model: Model, context: Context, prompt_format: PromptFormat, info: ModelInfo, abort: AbortFlag
    ) -> None:
        pass_clock = time.thread_time if info.gpu_layers == 0 else time.perf_counter
        self.info = info
        self._min_confidence = float(model.facts().metadata.get(MIN_CONFIDENCE_KEY, "0"))
        self._model = model
        self._format = prompt_format
        self._decoder = Decoder(model, context, abort, pass_clock=pass_clock)
        controls = filter(None, model.control_texts())
        self._control = re.compile("|".join(map(re.escape, controls)) or "(?!)")

    @classmethod
    def load(cls, settings: ModelSettings, choose_format: ChooseFormat, log: Log, abort: AbortFlag) -> LoadedModel:
        """Load and try the model; raises ModelRefused, or whatever ``choose_format`` refuses with."""
        path = Path(settings.path)
        guard.check_file(path)
        try:
            facts = _probe(settings.path, log)
            prompt_format = choose_format(settings.prompt_format, facts.metadata, path.name)
            context_tokens = min(facts.training_context_tokens or MAX_CONTEXT_TOKENS, MAX_CONTEXT_TOKENS)
            cells = min(CACHED_PROMPTS * context_tokens, MAX_CONTEXT_TOKENS)
            if settings.gpu_layers == 0:  # else the weights go where we cannot count
                needed = guard.needed_bytes(path.stat().st_size, facts.metadata, cells)
                guard.check_memory(path, needed, guard.available_bytes())
            model = Model.load(settings.path, log, gpu_layers=settings.gpu_layers)
            threads = settings.threads or max(1, (os.cpu_count() or 2) // 2)
            context = Context(
                model,
                log,
                context_tokens=context_tokens,
                batch_tokens=BATCH_TOKENS,
                threads=threads,
                abort=abort,
                sequences=CACHED_PROMPTS if model.can_forget else 1,
                cells=cells,
            )
            info = _describe(settings, model.facts(), prompt_format.name, context.context_tokens)
            loaded = cls(model, context, prompt_format, info, abort)
            loaded.warm_up()
        except LlamaError as error:
            raise ModelRefused(
                f"llama.cpp cannot run {path}: {error}; download it again or choose another model"
            ) from None
        return loaded

    def warm_up(self) -> None:
        """Evaluate something: pages are touched, costs measured, and a model that cannot compute is found out."""
        self._decoder.warm_up(WARM_UP_SECONDS)

    def count_tokens(self, text: str) -> int:
        """How many of the model's tokens ``text`` takes, control tokens recognised."""
        return len(self._model.tokenize(text))

    def predict(self, request_id: int, inputs: PredictionInputs, deadline_seconds: float) -> EngineAnswer:
        """The edit for ``inputs``, or the reason there is none; raises LlamaError when llama.cpp fails."""
        started = time.monotonic()
        prompt = self._format.render(inputs, self.count_tokens)
        if isinstance(prompt, Refusal):
            return EngineAnswer(id=request_id, reason=prompt.value, seconds=time.monotonic() - started)
        expected = expected_answers(self._format, inputs, prompt, self._model.tokenize)
        decoded = self._decoder.decode(
            DecodeRequest(
                prompt=self._model.tokenize(prompt.text, add_beginning=True),
                stop=tuple(marker.encode() for marker in prompt.stop),
                max_answer_tokens=prompt.max_answer_tokens,
                drafts=expected.drafts,
                unchanged=expected.unchanged,
                deadline=started + deadline_seconds,
            )
        )
        answer = EngineAnswer(
            id=request_id,
            region_start_bytes=prompt.region.start,
            region_end_bytes=prompt.region.end,
            stop=decoded.stop,
            confidence=math.exp(decoded.log_probability),
            seconds=time.monotonic() - started,
            counters=decoded.counters,
        )
        return self._judge(inputs, prompt, decoded, answer)

    def _judge(self, inputs: PredictionInputs, prompt: Prompt, decoded: Decoded, answer: EngineAnswer) -> EngineAnswer:
        if not decoded.stop.finished:
            return replace(answer, reason=UNFINISHED_REASONS[decoded.stop])
        try:
            text = decoded.answer.decode()
        except UnicodeDecodeError:
            return replace(answer, reason=NoEditReason.MALFORMED.value)
        read = self._format.parse(inputs, prompt, text, finished=True)
        if isinstance(read, NoEdit):
            return replace(answer, reason=read.reason.value)
        if answer.confidence < self._min_confidence:
            unsure = (
                f"the model is not sure enough ({answer.confidence:.2f}, its own limit is {self._min_confidence:.2f})"
            )
            return replace(answer, reason=unsure)
        changes = (
            [(edit.old_text, edit.new_text) for edit in read.edits]
            if isinstance(read, FileEdits)
            else [(prompt.region_text, read.text)]
        )
        if any(self._adds_control_tokens(old, new) for old, new in changes):
            return replace(answer, reason=NoEditReason.CONTROL_TOKENS.value)
        if isinstance(read, FileEdits):
            return replace(answer, file_edits=read.edits)
        return replace(answer, new_region_text=read.text, cursor_offset_bytes=read.cursor_offset_bytes)

    def _adds_control_tokens(self, old_text: str, new_text: str) -> bool:
        """Text of the user's own may look like a control token; new text never may."""
        return bool(set(self._control.findall(new_text)) - set(self._control.findall(old_text)))


def _probe(path: str, log: Log) -> ModelFacts:
    """Metadata and vocabulary alone: an unknown architecture or a damaged header is refused cheaply here."""
    probe = Model.load(path, log, vocabulary_only=True)
    facts = probe.facts()
    probe.close()
    return facts


def _describe(settings: ModelSettings, facts: ModelFacts, format_name: str, context_tokens: int) -> ModelInfo:
    return ModelInfo(
        path=settings.path,
        name=facts.metadata.get("general.name", Path(settings.path).stem),
        architecture=facts.architecture,
        prompt_format=format_name,
        parameters=facts.parameters,
        size_bytes=facts.size_bytes,
        context_tokens=context_tokens,
        vocabulary_tokens=facts.vocabulary_tokens,
        backend=backend(settings.gpu_layers),
        gpu_layers=settings.gpu_layers,
    )
