"""Prompts, their sections and their ranges are those that Zed's own code was recorded to make."""

from capture.editing.excerpt import editable_and_context_ranges, excerpt_ranges
from capture.inputs import ActiveBufferDiagnostic, EditEvent, PredictionInputs, RelatedFile, Span
from daemon.prompts.sections import (
    MAX_EDIT_EVENTS,
    clamp_text,
    filter_redundant_excerpts,
    format_diagnostics,
    format_edit_history,
    format_related_files,
    write_event,
)
from daemon.prompts.zed.format import parse_format_name
from daemon.prompts.zed.hash_regions import V0615_HASH_REGIONS, format_hash_regions_prompt
from daemon.prompts.zed.prompt import excerpt_clashes, format_prefill, format_zeta_prompt, zeta_ranges
from daemon.prompts.zed.table import ZETA_FORMATS
from daemon.prompts.zed.zeta1 import format_zeta1_prompt
from daemon.prompts.zed.zeta3 import Zeta3PromptInput, format_zeta3_prompt

FILE = "prompt.jsonl"


def row_of(given):
    return V0615_HASH_REGIONS if given["format"] == V0615_HASH_REGIONS.name else ZETA_FORMATS[given["format"]]


def prompt(given):
    inputs, zeta = PredictionInputs.from_json(given["prompt_input"]), row_of(given)
    common = {
        "stop_tokens": list(zeta.zed_stop_tokens),
        "contains_special_tokens": excerpt_clashes(inputs, zeta),
    }
    if zeta is V0615_HASH_REGIONS:
        return common | {"prompt": format_hash_regions_prompt(inputs, given.get("max_tokens"))}
    editable, context = zeta_ranges(inputs, zeta)
    prefill = {"prefill": format_prefill(inputs, zeta)} if given["format"] == "V0211Prefill" else {}
    return (
        common
        | prefill
        | {
            "prompt": format_zeta_prompt(inputs, zeta, given.get("max_tokens")),
            "editable_range_in_excerpt": editable.to_json(),
            "context_range_in_excerpt": context.to_json(),
            "cursor_offset_in_context": inputs.cursor_offset_in_excerpt - context.start,
        }
    )


def constants(given):
    zeta = row_of(given)
    return {
        "name": zeta.name,
        "editable_tokens": zeta.editable_tokens,
        "context_tokens": zeta.context_tokens,
        "special_tokens": list(zeta.clash_tokens),
        "stop_tokens": list(zeta.zed_stop_tokens),
        "output_end_marker": zeta.end_marker or None,
        "instruction_part": zeta.instruction_part,
        "response_part": zeta.response_part,
        "max_edit_events": MAX_EDIT_EVENTS,
    }


def zeta1_prompt(given):
    ranges = Span.from_json(given["editable_range"]), Span.from_json(given["context_range"])
    return {"prompt": format_zeta1_prompt(PredictionInputs.from_json(given["prompt_input"]), *ranges)}


def history(given):
    events = [EditEvent.from_json(event) for event in given["events"]]
    budget = (given["max_tokens"], given["max_events"])
    return {"text": format_edit_history(events, given["file_marker"], given["name"], *budget)}


def related(given):
    return tuple(RelatedFile.from_json(file) for file in given["related_files"])


def diagnostics(given):
    items = [ActiveBufferDiagnostic.from_json(item) for item in given["diagnostics"]]
    return {"text": format_diagnostics(items, "<filename>", given.get("cursor_row"), given["max_tokens"])}


def redundant(given):
    kept = filter_redundant_excerpts(related(given), given["cursor_path"], Span.from_json(given["cursor_row_range"]))
    return {"related_files": [file.to_json() for file in kept]}


def where(given):
    return given["text"], given["cursor_offset"], [Span.from_json(span) for span in given["syntax_ranges"]]


def ranges(given):
    editable, context = editable_and_context_ranges(*where(given), given["editable_tokens"], given["context_tokens"])
    return {"editable_range": editable.to_json(), "context_range": context.to_json()}


FUNCTIONS = {
    "format_prompt": prompt,
    "format_constants": constants,
    "format_zeta1_prompt": zeta1_prompt,
    "format_zeta3_prompt": lambda given: {
        "prompt": format_zeta3_prompt(Zeta3PromptInput.from_json(given["prompt_input"]), row_of(given))
    },
    "parse_format_name": lambda given: {"format": parse_format_name(given["name"])},
    "write_event": lambda given: {"text": write_event(EditEvent.from_json(given["event"]))},
    "format_edit_history": history,
    "format_related_files": lambda given: {
        "text": format_related_files(related(given), given["file_marker"], given["max_tokens"])
    },
    "format_diagnostics": diagnostics,
    "clamp_text": lambda given: {"text": clamp_text(given["text"], given["max_tokens"])},
    "filter_redundant_excerpts": redundant,
    "excerpt_ranges": lambda given: excerpt_ranges(*where(given)).to_json(),
    "editable_and_context_ranges": ranges,
}


def test_vector(vector, check):
    check(FUNCTIONS, vector)
