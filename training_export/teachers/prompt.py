"""What a teacher is asked: the rules, worked examples, and one moment of editing.

The words are in ``teacher_prompt_VERSION.md`` beside this file, those for edits far away in
``teacher_jumps_prompt_VERSION.md``; the moment is cut to budgets and put into them. What comes back is read by
``answer``. Knows nothing of models, money or files of examples.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from capture.editing.excerpt import editable_and_context_ranges, ranges_of_inputs
from capture.editing.unified_diff import CURSOR_MARKER
from capture.inputs import ActiveBufferDiagnostic, PredictionInputs, RelatedFile, Span
from daemon.prompts.guards import NEVER_IN_A_BUFFER, SENTINELS, is_covered, without_clashing_context
from daemon.prompts.sections import (
    contains_special_tokens,
    filter_redundant_excerpts,
    format_diagnostics,
    format_edit_history,
    format_related_files,
    write_event,
)
from training_export.example import Example
from training_export.stage import ours
from training_export.teachers.jumps import jump_inputs, shown_code

REGION_START: Final = "<|editable_region_start|>"
REGION_END: Final = "<|editable_region_end|>"
NO_EDITS, KEEP_PREVIOUS = SENTINELS
# What neither the code shown nor an answer may hold: it could not be told from the prompt's own marks, and no student's
# format takes code that holds a control token.
FORBIDDEN: Final = (*NEVER_IN_A_BUFFER, "<|editable_region_")

RELATED_TOKENS, JUMPS_RELATED_TOKENS, JUMPS_HISTORY_TOKENS = 1024, 8192, 4000
DIAGNOSTICS_TOKENS: Final = 2000  # Zed's budget for them, where they are asked for
RULES: Final = "teacher_rules_1.md"
NEWEST_VERSION: Final = 1
SHORTEST_FENCE: Final = 5  # backticks; code with fences of its own has three or four
# The parts of an example that shape a prompt and the reading of its answer.
READS: Final = ("prompt_inputs", "edit_history", "foretype.region", "foretype.contexts")

_PLACE = re.compile(r"\{\{(\w+)\}\}")
_BACKTICKS = re.compile(r"`+")


class NotAskable(ValueError):
    """No teacher can be asked about this example; the message says why."""


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """What a prompt shows. Budgets are in estimated tokens (bytes // 3); 0 leaves a section out.

    The editable budgets count only where the example does not carry its region. ``related_tokens`` None is 1024, and
    8192 with ``jumps``: then all code that is shown may change, other files too (see ``jumps``). ``context_name`` takes
    related files and diagnostics from that one of ``foretype.contexts``, not from the prompt's inputs. ``version`` is
    the text's.
    """

    editable_tokens: int = 350
    context_tokens: int = 150
    related_tokens: int | None = None
    history_lines: int = 128
    diagnostics_tokens: int = 0
    context_name: str = ""
    jumps: bool = False
    version: int = NEWEST_VERSION

    @property
    def related_budget_tokens(self) -> int:
        """``related_tokens``, or what is usual."""
        if self.related_tokens is not None:
            return self.related_tokens
        return JUMPS_RELATED_TOKENS if self.jumps else RELATED_TOKENS

    @property
    def text_name(self) -> str:
        """The file with the words; raises ValueError for a version there is none of."""
        if not 1 <= self.version <= NEWEST_VERSION:
            raise ValueError(f"there is no teacher prompt {self.version}; the versions run from 1 to {NEWEST_VERSION}")
        return f"teacher_{'jumps_' if self.jumps else ''}prompt_{self.version}.md"

    def to_json(self) -> dict[str, Any]:
        """All of it, with a digest of the text: what a stage's settings should hold."""
        return {**asdict(self), "text": text_digest(self.text_name)}


DEFAULT_PROMPT: Final = PromptSettings()


@dataclass(frozen=True, slots=True)
class Moment:
    """What an example says of its moment. Both ranges are bytes of the excerpt, the context around the region.

    With ``jumps`` both are the whole excerpt, and the inputs hold exactly the files that are shown.
    """

    inputs: PredictionInputs
    region: Span
    context: Span
    jumps: bool = False

    @property
    def region_text(self) -> str:
        """The text that may change, as it is now."""
        return self.inputs.excerpt_bytes[self.region.start : self.region.end].decode()


def moment_of(example: Example, settings: PromptSettings) -> Moment:
    """The moment a teacher is asked about; raises NotAskable where there is none, or its code holds our marks."""
    inputs = example.prompt_inputs
    if inputs is None:
        raise NotAskable("the example has no prompt_inputs: run `foretype context` on it, or import it anew")
    inputs = _with_context(inputs, example, settings.context_name)
    if settings.jumps:
        moment = _jump_moment(inputs, settings)
    else:
        moment = Moment(inputs, *_ranges(inputs, ours(example, "region"), settings))
    shown = inputs.excerpt_bytes[moment.context.start : moment.context.end].decode()
    found = next((token for token in FORBIDDEN if contains_special_tokens(shown, (token,))), "")
    found = found or next((token for token in FORBIDDEN if token in inputs.cursor_path), "")
    if found:
        raise NotAskable(
            f"the code around the cursor holds {found.rstrip()!r}, which prompts and answers use themselves"
        )
    if "\r\n" in moment.region_text or moment.region_text.endswith("\r"):
        raise NotAskable("the region has CRLF line ends, which no patch of Zed's can say")
    return moment


def teacher_prompt(example: Example, settings: PromptSettings) -> str:
    """The whole question, for one user message; raises NotAskable."""
    return write_prompt(example, moment_of(example, settings), settings)


def write_prompt(example: Example, moment: Moment, settings: PromptSettings) -> str:
    """The same for a moment that is known already."""
    if moment.jumps:
        code = {"history": _events(example, moment, settings), "code": shown_code(moment.inputs)}
        return _filled(moment, settings, code)
    parts = {
        "history": history_text(example, settings.history_lines) or "(none)",
        "related": _related(moment, settings.related_budget_tokens) or "(none)",
        "path": moment.inputs.cursor_path,
        "file": marked_file(moment),
    }
    return _filled(moment, settings, parts)


def fill(template: str, parts: Mapping[str, str]) -> str:
    """The template with its ``{{name}}`` replaced, once: what stands in a part stays as it is."""
    return _PLACE.sub(lambda place: parts[place[1]], template).rstrip("\n")


def fence_around(*texts: str) -> str:
    """Backticks enough to fence the texts: more than stand in a row anywhere in them."""
    runs = (len(run) for text in texts for run in _BACKTICKS.findall(text))
    return "`" * max(SHORTEST_FENCE, 1 + max(runs, default=0))


def history_text(example: Example, most_lines: int) -> str:
    """The newest lines of the edits, oldest first; from the prompt's inputs where the example does not say."""
    inputs = example.prompt_inputs
    text = example.edit_history
    if not text.strip() and inputs is not None:
        text = "\n".join(write_event(event).rstrip("\n") for event in inputs.events)
    lines = text.strip("\n").split("\n")
    if len(lines) > most_lines:
        lines = ["[earlier edits are left out]", *lines[len(lines) - most_lines :]]
    return "\n".join(lines)


def marked_file(moment: Moment) -> str:
    """The context of the cursor, with the region and the cursor marked in it."""
    excerpt, cursor = moment.inputs.excerpt_bytes, moment.inputs.cursor_offset_in_excerpt
    region, context = moment.region, moment.context
    before, after = excerpt[region.start : cursor].decode(), excerpt[cursor : region.end].decode()
    above = excerpt[context.start : region.start].decode()
    below = excerpt[region.end : context.end].decode()
    return f"{above}{REGION_START}\n{before}{CURSOR_MARKER}{after}\n{REGION_END}{below}"


@lru_cache
def prompt_text(name: str) -> str:
    """A text beside this file with its ``{{places}}``, the rules that prompts share in theirs."""
    here = resources.files(__package__)
    rules = here.joinpath(RULES).read_text(encoding="utf-8").rstrip("\n")
    return here.joinpath(name).read_text(encoding="utf-8").replace("{{rules}}", rules)


def text_digest(name: str) -> str:
    """Another one whenever a word of the text changes: for the settings of stages that use it."""
    return hashlib.blake2b(prompt_text(name).encode(), digest_size=8).hexdigest()


def _filled(moment: Moment, settings: PromptSettings, parts: Mapping[str, str]) -> str:
    diagnostics = _diagnostics(moment, settings.diagnostics_tokens)
    fence = fence_around(*parts.values(), diagnostics)
    section = f"\n## Problems\n\n{fence}\n{diagnostics or '(none)'}\n{fence}\n" if settings.diagnostics_tokens else ""
    return fill(prompt_text(settings.text_name), {**parts, "diagnostics": section, "fence": fence})


def _jump_moment(inputs: PredictionInputs, settings: PromptSettings) -> Moment:
    shown = jump_inputs(without_clashing_context(inputs, FORBIDDEN), settings.related_budget_tokens)
    if shown is None:
        raise NotAskable("the example does not say at which row its excerpt starts, so no edit elsewhere can be named")
    everything = Span(0, len(inputs.excerpt_bytes))
    return Moment(shown, everything, everything, jumps=True)


def _events(example: Example, moment: Moment, settings: PromptSettings) -> str:
    """The newest few edits; as the example tells them where its inputs do not."""
    text = format_edit_history(moment.inputs.events, "", "", JUMPS_HISTORY_TOKENS).strip("\n")
    return text or history_text(example, settings.history_lines) or "(none)"


def _with_context(inputs: PredictionInputs, example: Example, name: str) -> PredictionInputs:
    if not name:
        return inputs
    found = (ours(example, "contexts") or {}).get(name)
    if found is None:
        raise NotAskable(f"the example has no context {name!r}: run `foretype context` with it first")
    return replace(
        inputs,
        related_files=tuple(map(RelatedFile.from_json, found.get("related_files") or ())),
        active_buffer_diagnostics=tuple(
            map(ActiveBufferDiagnostic.from_json, found.get("active_buffer_diagnostics") or ())
        ),
    )


def _ranges(inputs: PredictionInputs, stored: Mapping[str, Any] | None, settings: PromptSettings) -> tuple[Span, Span]:
    """Region and context; by lines alone where nobody knows the syntax and nobody computed them before."""
    budgets = settings.editable_tokens, settings.context_tokens
    ranges = ranges_of_inputs(inputs, *budgets)
    if ranges is None:
        ranges = editable_and_context_ranges(inputs.excerpt_bytes, inputs.cursor_offset_in_excerpt, (), *budgets)
    region, context = ranges
    if stored is not None:
        region = _stored_region(stored)
        context = Span(min(region.start, context.start), max(region.end, context.end))
    if not is_covered(inputs, region, context):
        raise NotAskable(f"the region {region.start} to {region.end} does not lie in the excerpt around the cursor")
    return region, context


def _stored_region(stored: Mapping[str, Any]) -> Span:
    start, end = stored.get("start"), stored.get("end")
    if not isinstance(start, int) or not isinstance(end, int):
        raise NotAskable("foretype.region must hold the whole numbers start and end")
    return Span(start, end)


def _related(moment: Moment, budget_tokens: int) -> str:
    inputs = moment.inputs
    files = inputs.related_files or ()
    if inputs.excerpt_start_row is not None:
        start = inputs.excerpt_start_row + inputs.excerpt_bytes[: moment.context.start].count(b"\n")
        rows = inputs.excerpt_bytes[moment.context.start : moment.context.end].count(b"\n")
        files = filter_redundant_excerpts(files, inputs.cursor_path, Span(start, start + rows + 1))
    return format_related_files(files, "==> ", budget_tokens).rstrip("\n")


def _diagnostics(moment: Moment, budget_tokens: int) -> str:
    inputs = moment.inputs
    row = None
    if inputs.excerpt_start_row is not None:
        row = inputs.excerpt_start_row + inputs.excerpt_bytes[: inputs.cursor_offset_in_excerpt].count(b"\n")
    _, _, text = format_diagnostics(inputs.active_buffer_diagnostics, "", row, budget_tokens).partition("\n")
    return text.rstrip("\n")
