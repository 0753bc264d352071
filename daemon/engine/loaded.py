"""A loaded model with its prompt format: predictions in, answers out. Lives in the worker process.

Knows the prompt formats and the decoder; nothing of pipes and processes.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.engine import guard
from daemon.engine.decoder import COARSE_NEAR_TIE_LOGITS, NEAR_TIE_LOGITS, Decoder, DecodeRequest
from daemon.engine.errors import EngineError, ModelRefused
from daemon.engine.expected import NOTHING_EXPECTED, Expected, expected_answers, expected_completions
from daemon.engine.llama import Context, LlamaError, Log, Model, ModelFacts, backend, system_info
from daemon.engine.messages import (
    Completion,
    EngineAnswer,
    ModelInfo,
    ModelSettings,
    Origin,
    Sample,
    SampleAnswer,
    SampleRequest,
    StopReason,
    less_sure,
)
from daemon.engine.proposals import MAX_PROPOSALS
from daemon.engine.ranking import Ranked, Ranking
from daemon.engine.sampling import RECURRENT_SIDE_BY_SIDE, SIDE_BY_SIDE, Sampled, Sampler, SamplingTask
from daemon.engine.scoring import Scorer
from daemon.engine.tokens import Tokenizer
from daemon.engine.ways import FlashAttention, InUse, KvType, in_use
from daemon.prompts.base import FileEdits, NewRegion, NoEdit, NoEditReason, Prompt, PromptFormat, Refusal
from daemon.prompts.raw_prompt import RawPrompt, shown_region
from daemon.registry import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from capture.inputs import PredictionInputs
    from daemon.engine.abort import AbortFlag

    ChooseFormat = Callable[[str, Mapping[str, str], str], PromptFormat]

MAX_CONTEXT_TOKENS = 8192  # prompts stay far below; a larger KV cache only costs memory
MIN_CONFIDENCE_KEY = "foretype.min_confidence"  # GGUF metadata: below this the model's edits are not worth showing
BATCH_TOKENS = 128  # the most a pass takes when nobody waits, and how long a GPU (never asked inside) runs on
CACHED_PROMPTS = 4  # this window, the one before, another file, and one to spare
SAMPLING_CELLS = MAX_CONTEXT_TOKENS  # for the samples of one prompt that are decoded side by side
WARM_UP_SECONDS = 0.2  # of measuring what passes cost, before the first answer

CUT_OFF = (StopReason.ABORTED, StopReason.DEADLINE)
UNFINISHED_REASONS = {
    StopReason.ANSWER_BUDGET: "the answer grew longer than its budget",
    StopReason.CONTEXT_FULL: "the prompt and its answer do not fit the model's context",
    StopReason.ABORTED: "the prediction was aborted",
    StopReason.DEADLINE: "the prediction took longer than its deadline",
    StopReason.UNSURE: "the model is not sure enough",
}


class LoadedModel:
    """One model, its context and its format."""

    def __init__(
        self,
        model: Model,
        context: Context,
        prompt_format: PromptFormat,
        info: ModelInfo,
        abort: AbortFlag,
        open_sampling_context: Callable[[], Context],
        least_confidence: float = 0.0,
    ) -> None:
        pass_clock = time.thread_time if info.gpu_layers == 0 else time.perf_counter
        self.info = info
        self._least_confidence = max(float(model.facts().metadata.get(MIN_CONFIDENCE_KEY, "0")), least_confidence)
        self._tokenizer = Tokenizer(model, prompt_format.control_tokens)
        self._format = prompt_format
        self._decoder = Decoder(
            model,
            context,
            abort,
            read_batch_tokens=info.read_batch_tokens,
            pass_clock=pass_clock,
            near_tie_logits=NEAR_TIE_LOGITS if _rounds_finely(info) else COARSE_NEAR_TIE_LOGITS,
            spare_sequences=_spare_sequences(model),
        )
        self._ranking = Ranking(prompt_format, Scorer(self._decoder), self._tokenizer.tokens) if info.ranking else None
        self._previous: tuple[str, Sequence[int]] = ("", ())  # a path, and the last answer about it
        self._sampler = Sampler(model, open_sampling_context, self._decoder.interruption)
        controls = filter(None, model.control_texts())
        self._control = re.compile("|".join(map(re.escape, controls)) or "(?!)")

    @classmethod
    def load(cls, settings: ModelSettings, choose_format: ChooseFormat, log: Log, abort: AbortFlag) -> LoadedModel:
        """Load and try the model; raises ModelRefused, or whatever ``choose_format`` refuses with."""
        path = Path(settings.path)
        guard.check_file(path)
        try:
            facts = probe(settings.path, log)
            prompt_format = choose_format(settings.prompt_format, facts.metadata, path.name)
            used = in_use(settings.threads, settings.tuning, settings.why_untuned, system_info(settings.gpu_layers))
            context_tokens, cells = context_sizes(facts)
            if settings.gpu_layers == 0:  # else the weights go where we cannot count
                _check_memory(path, facts, cells, used.way.kv_type)
            model = Model.load(settings.path, log, gpu_layers=settings.gpu_layers)
            open_context = partial(
                Context,
                model,
                log,
                context_tokens=context_tokens,
                threads=used.way.threads,
                abort=abort,
                flash_attention=used.way.flash_attention,
                kv_type=used.way.kv_type,
            )
            context = open_context(
                batch_tokens=max(BATCH_TOKENS, used.read_batch_tokens),
                sequences=(CACHED_PROMPTS if model.can_forget else 1) + _spare_sequences(model),
                cells=cells,
            )

            def open_sampling_context() -> Context:
                if settings.gpu_layers == 0:
                    _check_sampling_memory(facts, used.way.kv_type)
                together = SIDE_BY_SIDE if model.can_forget else RECURRENT_SIDE_BY_SIDE
                return open_context(batch_tokens=BATCH_TOKENS, sequences=1 + together, cells=SAMPLING_CELLS)

            info = _describe(settings, model.facts(), prompt_format.name, context.context_tokens, used)
            loaded = cls(model, context, prompt_format, info, abort, open_sampling_context, settings.least_confidence)
            loaded.warm_up()
        except LlamaError as error:
            raise ModelRefused(
                f"llama.cpp cannot run {path}: {error}; download it again or choose another model"
            ) from None
        return loaded

    def warm_up(self) -> None:
        """Evaluate something: pages are touched, costs measured, and a model that cannot compute is found out."""
        self._decoder.warm_up(WARM_UP_SECONDS)
        self.info = replace(self.info, read_batch_tokens=self._decoder.read_batch(can_be_superseded=True))

    def count_tokens(self, text: str) -> int:
        """How many of the model's tokens ``text`` takes, control tokens recognised."""
        return self._tokenizer.count(text)

    def predict(
        self,
        request_id: int,
        inputs: PredictionInputs,
        deadline_seconds: float,
        *,
        can_be_superseded: bool = True,
        least_confidence: float = 0.0,
    ) -> EngineAnswer:
        """The edit for ``inputs``, or the reason there is none; raises LlamaError when llama.cpp fails.

        ``can_be_superseded`` and ``least_confidence`` are explained at ``EngineClient.predict``.
        """
        started = time.monotonic()
        prompt = self._format.render(inputs, self.count_tokens)
        if isinstance(prompt, Refusal):
            return EngineAnswer(id=request_id, reason=prompt.value, seconds=time.monotonic() - started)
        limit = max(self._least_confidence, least_confidence)
        expected = expected_answers(self._format, inputs, prompt, self._tokenizer.tokens)
        ranking = self._ranking if self._ranking is not None and self._ranking.concerns(prompt) else None
        request = DecodeRequest(
            prompt=self._tokenizer.prompt_tokens(prompt.text),
            stop=tuple(marker.encode() for marker in prompt.stop),
            max_answer_tokens=prompt.max_answer_tokens,
            drafts=(self._previous_answer(inputs), *expected.drafts),
            unchanged=expected.unchanged,
            deadline=started + deadline_seconds,
            can_be_superseded=can_be_superseded,
            least_log_probability=math.log(limit) if limit else -math.inf,
            keeps_first=ranking is not None,
        )
        decoded = self._decoder.decode(request)
        self._remember(inputs, expected, decoded.tokens)
        answer = EngineAnswer(
            id=request_id,
            region_start_bytes=prompt.region.start,
            region_end_bytes=prompt.region.end,
            stop=decoded.stop,
            confidence=math.exp(decoded.log_probability),
            counters=decoded.counters,
        )
        meaning = self._meaning(inputs, prompt, decoded.answer, decoded.stop)
        ranked = None
        if ranking is not None and decoded.stop not in CUT_OFF:
            ranked = ranking.rank(inputs, prompt, request, decoded, meaning)
        if ranked is None:
            answer = self._judge(meaning, answer, least_confidence)
        else:
            answer = self._choose(ranked, meaning, answer, least_confidence)
        return replace(answer, seconds=time.monotonic() - started)

    def complete(self, request_id: int, prompt: RawPrompt, deadline_seconds: float) -> Completion:
        """What the model writes behind a client's own prompt; raises LlamaError when llama.cpp fails.

        The limits of confidence play no part: what is shown is the client's to decide.
        """
        started = time.monotonic()
        region = shown_region(prompt.text)
        expected = NOTHING_EXPECTED if region is None else expected_completions(region, self._tokenizer.tokens)
        markers = prompt.stop if region is None else (*prompt.stop, region.end_marker.removesuffix("\n"))
        decoded = self._decoder.decode(
            DecodeRequest(
                prompt=self._tokenizer.prompt_tokens(prompt.text),
                stop=tuple(marker.encode() for marker in markers if marker),
                max_answer_tokens=prompt.max_answer_tokens,
                drafts=expected.drafts,
                unchanged=expected.unchanged,
                deadline=started + deadline_seconds,
            )
        )
        text = decoded.answer.decode(errors="ignore")
        if region is None:
            answer: str | None = self._control.split(text, maxsplit=1)[0]
        elif decoded.stop.finished and not self._adds_control_tokens(f"{region.text}{region.marks}", text):
            answer = text
        else:
            answer = region.no_edit
        return Completion(
            id=request_id,
            text=answer,
            stop=decoded.stop,
            confidence=math.exp(decoded.log_probability),
            seconds=time.monotonic() - started,
            counters=decoded.counters,
        )

    def sample(
        self, request_id: int, inputs: PredictionInputs, request: SampleRequest, deadline_seconds: float
    ) -> SampleAnswer:
        """Many answers for ``inputs``, or the reason there are none (the file's own limit of confidence plays no part).

        Raises EngineError where there is no memory for it, and LlamaError when llama.cpp fails.
        """
        started = time.monotonic()
        prompt = self._format.render(inputs, self.count_tokens)
        if isinstance(prompt, Refusal):
            return SampleAnswer(id=request_id, reason=prompt.value, seconds=time.monotonic() - started)
        drawn = self._sampler.sample(
            SamplingTask(
                prompt=self._tokenizer.prompt_tokens(prompt.text),
                stop=tuple(marker.encode() for marker in prompt.stop),
                max_answer_tokens=prompt.max_answer_tokens,
                request=request,
                deadline=started + deadline_seconds,
            )
        )
        return SampleAnswer(
            id=request_id,
            samples=tuple(self._sample(inputs, prompt, sampled) for sampled in drawn.samples),
            region_start_bytes=prompt.region.start,
            region_end_bytes=prompt.region.end,
            seconds=time.monotonic() - started,
            counters=drawn.counters,
        )

    def _sample(self, inputs: PredictionInputs, prompt: Prompt, sampled: Sampled) -> Sample:
        sample = Sample(
            text=sampled.answer.decode(errors="replace"),
            stop=sampled.stop,
            log_probability=sampled.log_probability,
            answer_tokens=len(sampled.tokens),
        )
        found = self._meaning(inputs, prompt, sampled.answer, sampled.stop)
        if isinstance(found, str):
            return replace(sample, reason=found)
        if isinstance(found, FileEdits):
            return replace(sample, file_edits=found.edits)
        return replace(sample, new_region_text=found.text, cursor_offset_bytes=found.cursor_offset_bytes)

    def _previous_answer(self, inputs: PredictionInputs) -> Sequence[int]:
        """What was answered to the last keystroke in this file: mostly, the answer to the next is the same."""
        path, tokens = self._previous
        return tokens if path == inputs.cursor_path else ()

    def _remember(self, inputs: PredictionInputs, expected: Expected, tokens: Sequence[int]) -> None:
        """Keep an answer less its last token, which a draft does not need; none where it is the region as it was."""
        if not tokens:
            return  # given up before it began: what was answered before it may still be said again
        kept = tokens[:-1]
        copy = [] if expected.unchanged is None else list(expected.unchanged.tokens[: len(kept)])
        self._previous = (inputs.cursor_path, () if kept == copy else kept)

    def _judge(self, found: NewRegion | FileEdits | str, answer: EngineAnswer, asked: float) -> EngineAnswer:
        if answer.stop is StopReason.UNSURE:
            return self._unsure(answer, asked)
        if isinstance(found, str):
            return replace(answer, reason=found)
        if answer.confidence < max(self._least_confidence, asked):
            return self._unsure(answer, asked)
        if isinstance(found, FileEdits):
            return replace(answer, file_edits=found.edits)
        return replace(answer, new_region_text=found.text, cursor_offset_bytes=found.cursor_offset_bytes)

    def _choose(
        self, ranked: Ranked, meaning: NewRegion | FileEdits | str, decoded: EngineAnswer, asked: float
    ) -> EngineAnswer:
        """The likeliest candidate, if it is likely enough; ``decoded`` and ``meaning`` are the model's own answer."""
        counters = replace(
            decoded.counters,
            tokens_evaluated=decoded.counters.tokens_evaluated + ranked.tokens_evaluated,
            forward_passes=decoded.counters.forward_passes + ranked.forward_passes,
            aborted=int(ranked.stop is StopReason.ABORTED),
        )
        answer = replace(decoded, counters=counters, candidates=ranked.candidates)
        if ranked.stop is not None:
            return replace(answer, stop=ranked.stop, reason=UNFINISHED_REASONS[ranked.stop])
        best = next(candidate for candidate in ranked.candidates if candidate.is_exact)
        limit = max(self._least_confidence, asked)
        is_edit = decoded.stop is StopReason.UNSURE or isinstance(meaning, NewRegion)  # as far as anybody can tell
        likeliest = max(ranked.candidates[0].probability, decoded.confidence if is_edit else 0.0)
        if best.new_region_text is None and best.probability >= likeliest:
            # What means nothing is no candidate; where it is likelier than "no edit", it is the reason all the same.
            is_likelier = isinstance(meaning, str) and decoded.confidence > best.probability
            reason = meaning if isinstance(meaning, str) and is_likelier else NoEditReason.SAID_SO.value
            return replace(answer, confidence=best.probability, reason=reason)
        if best.new_region_text is None or best.probability < limit:
            return self._unsure(replace(answer, confidence=likeliest), asked)
        # Of what the rule wrote the model has judged the end, too, wherever it would have stopped itself.
        stop = decoded.stop if best.origin is Origin.MODEL else StopReason.STOP_MARKER
        return replace(
            answer, stop=stop, origin=best.origin, confidence=best.probability, new_region_text=best.new_region_text
        )

    def _unsure(self, answer: EngineAnswer, asked: float) -> EngineAnswer:
        limit = self._least_confidence
        if answer.confidence >= limit:
            return replace(answer, reason=less_sure(answer.confidence, asked), given_up_below=asked)
        return replace(
            answer, reason=f"the model is not sure enough ({answer.confidence:.2f}; below {limit:.2f} nothing is shown)"
        )

    def _meaning(
        self, inputs: PredictionInputs, prompt: Prompt, answer: bytes, stop: StopReason
    ) -> NewRegion | FileEdits | str:
        """The edit that an answer is, or why it is none."""
        if not stop.finished:
            return UNFINISHED_REASONS[stop]
        try:
            text = answer.decode()
        except UnicodeDecodeError:
            return NoEditReason.MALFORMED.value
        read = self._format.parse(inputs, prompt, text, finished=True)
        if isinstance(read, NoEdit):
            return read.reason.value
        changes = (
            [(edit.old_text, edit.new_text) for edit in read.edits]
            if isinstance(read, FileEdits)
            else [(prompt.region_text, read.text)]
        )
        if any(self._adds_control_tokens(old, new) for old, new in changes):
            return NoEditReason.CONTROL_TOKENS.value
        return read

    def _adds_control_tokens(self, old_text: str, new_text: str) -> bool:
        """Text of the user's own may look like a control token; new text never may."""
        return bool(set(self._control.findall(new_text)) - set(self._control.findall(old_text)))


def _spare_sequences(model: Model) -> int:
    """Sequences for the answers that are judged beside the model's own."""
    return MAX_PROPOSALS if model.can_forget else 0


def _rounds_finely(info: ModelInfo) -> bool:
    """Whether passes of one token and of several agree (nearly) bit for bit; elsewhere attention adds up otherwise."""
    return info.threads == 1 and info.gpu_layers == 0 and info.flash_attention != FlashAttention.OFF


def context_sizes(facts: ModelFacts) -> tuple[int, int]:
    """Tokens of the longest prompt with its answer, and cells for all cached prompts together."""
    context_tokens = min(facts.training_context_tokens or MAX_CONTEXT_TOKENS, MAX_CONTEXT_TOKENS)
    return context_tokens, min(CACHED_PROMPTS * context_tokens, MAX_CONTEXT_TOKENS)


def _check_memory(path: Path, facts: ModelFacts, cells: int, kv_type: KvType) -> None:
    size_bytes, available = path.stat().st_size, guard.available_bytes()
    smallest = guard.needed_bytes(size_bytes, facts.metadata, cells, KvType.Q8_0)
    cure = ", or run `foretype model tune`: a KV cache of 8 bits a value fits" if smallest <= available else ""
    guard.check_memory(path, guard.needed_bytes(size_bytes, facts.metadata, cells, kv_type), available, cure)


def _check_sampling_memory(facts: ModelFacts, kv_type: KvType) -> None:
    needed = guard.needed_bytes(0, facts.metadata, SAMPLING_CELLS, kv_type)
    available = guard.available_bytes()
    if needed > available:
        raise EngineError(
            f"sampling needs about {needed / 1e9:.1f} GB of memory beside the model and {available / 1e9:.1f} GB are"
            " free; close other programs or choose a smaller model"
        )


def probe(path: str, log: Log) -> ModelFacts:
    """Metadata and vocabulary alone: an unknown architecture or a damaged header is refused cheaply here."""
    vocabulary = Model.load(path, log, vocabulary_only=True)
    facts = vocabulary.facts()
    vocabulary.close()
    return facts


def _describe(
    settings: ModelSettings, facts: ModelFacts, format_name: str, context_tokens: int, used: InUse
) -> ModelInfo:
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
        threads=used.way.threads,
        flash_attention=used.way.flash_attention.value,
        kv_type=used.way.kv_type.value,
        read_batch_tokens=used.read_batch_tokens,
        sources=used.sources,
        tuning=used.tuning,
        fingerprint=fingerprint(Path(settings.path)),
        ranking=settings.ranking,
    )
