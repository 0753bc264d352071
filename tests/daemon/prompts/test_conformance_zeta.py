"""Prompts, answers and targets of V0211SeedCoder and V0318SeedMultiRegions, byte for byte those of Zed.

Left to the issues that bring the other formats: ``format_prompt``, ``format_constants``, ``parse_output`` and
``format_expected_output`` of the other 17 formats, and the functions of Zeta1 (``format_zeta1_prompt``,
``clean_zeta1_output``), Zeta3 (``format_zeta3_prompt``, ``parse_zeta3_output``), hashline
(``apply_hashline_commands``, ``strip_hashline_prefixes``, ``hashline_target``) and variable edits
(``apply_variable_edit``, ``variable_edit_target``). Excerpts are tested with ``capture.editing``.
"""

from dataclasses import asdict

import pytest

from capture.editing.unified_diff import PatchError
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
from daemon.prompts.zed.answer import (
    ParsedOutput,
    cursor_position,
    expected_output,
    parse_output,
    region_to_patch,
    take_cursor,
)
from daemon.prompts.zed.format import parse_format_name
from daemon.prompts.zed.marker_spans import MarkerError
from daemon.prompts.zed.merge_markers import V0211_SEED_CODER
from daemon.prompts.zed.numbered_blocks import V0318_SEED_MULTI_REGIONS
from daemon.prompts.zed.prompt import excerpt_clashes, format_zeta_prompt, zeta_ranges

FORMATS = {zeta.name: zeta for zeta in (V0211_SEED_CODER, V0318_SEED_MULTI_REGIONS)}


def ours(given):
    return given["format"] in FORMATS


def related(given):
    return tuple(RelatedFile.from_json(file) for file in given["related_files"])


def constants(given):
    zeta = FORMATS[given["format"]]
    return {
        "name": zeta.name,
        "editable_tokens": zeta.editable_tokens,
        "context_tokens": zeta.context_tokens,
        "special_tokens": list(zeta.clash_tokens),
        "stop_tokens": list(zeta.zed_stop_tokens),
        "output_end_marker": zeta.end_marker,
        "instruction_part": zeta.instruction_part,
        "response_part": zeta.response_part,
        "max_edit_events": MAX_EDIT_EVENTS,
    }


def prompt(given):
    inputs, zeta = PredictionInputs.from_json(given["prompt_input"]), FORMATS[given["format"]]
    editable, context = zeta_ranges(inputs, zeta)
    return {
        "prompt": format_zeta_prompt(inputs, zeta, given.get("max_tokens")),
        "stop_tokens": list(zeta.zed_stop_tokens),
        "contains_special_tokens": excerpt_clashes(inputs, zeta),
        "editable_range_in_excerpt": editable.to_json(),
        "context_range_in_excerpt": context.to_json(),
        "cursor_offset_in_context": inputs.cursor_offset_in_excerpt - context.start,
    }


def parsed(given):
    inputs = PredictionInputs.from_json(given["prompt_input"])
    output = parse_output(inputs, FORMATS[given["format"]], given["output"])
    cursor = cursor_position(inputs, output)
    return {
        "new_editable_region": output.new_editable_region,
        "range_in_excerpt": output.range_in_excerpt.to_json(),
        "cursor_offset_in_new_editable_region": output.cursor_offset,
        "cursor_position": cursor and {**asdict(cursor), "path": inputs.cursor_path},
        "patch": region_to_patch(inputs, output),
    }


def region_patch(given):
    text, cursor = take_cursor(given["new_editable_region"])
    output = ParsedOutput(text, Span.from_json(given["range_in_excerpt"]), cursor)
    return {"patch": region_to_patch(PredictionInputs.from_json(given["prompt_input"]), output)}


def target(given):
    inputs = PredictionInputs.from_json(given["prompt_input"])
    zeta = FORMATS[given["format"]]
    return {"output": expected_output(inputs, zeta, given["patch"], given["cursor_offset"])}


def history(given):
    events = [EditEvent.from_json(event) for event in given["events"]]
    return {
        "text": format_edit_history(
            events, given["file_marker"], given["name"], given["max_tokens"], given["max_events"]
        )
    }


def diagnostics(given):
    items = [ActiveBufferDiagnostic.from_json(item) for item in given["diagnostics"]]
    marker = given.get("file_marker", "<filename>")
    return {"text": format_diagnostics(items, marker, given["cursor_row"], given["max_tokens"])}


def redundant(given):
    kept = filter_redundant_excerpts(related(given), given["cursor_path"], Span.from_json(given["cursor_row_range"]))
    return {"related_files": [file.to_json() for file in kept]}


SECTION_FUNCTIONS = {
    "write_event": (3, lambda given: {"text": write_event(EditEvent.from_json(given["event"]))}),
    "format_edit_history": (11, history),
    "format_related_files": (
        5,
        lambda given: {"text": format_related_files(related(given), given["file_marker"], given["max_tokens"])},
    ),
    "format_diagnostics": (6, diagnostics),
    "clamp_text": (2, lambda given: {"text": clamp_text(given["text"], given["max_tokens"])}),
    "filter_redundant_excerpts": (2, redundant),
}


@pytest.mark.parametrize("function", SECTION_FUNCTIONS)
def test_shared_sections_agree_with_zed(replay, function):
    expected, implementation = SECTION_FUNCTIONS[function]
    assert replay("prompt.jsonl", function, implementation) == expected


def test_format_names_are_read_as_zed_reads_them(replay):
    def named(given):
        return {"format": parse_format_name(given["name"])}

    assert replay("prompt.jsonl", "parse_format_name", named, errors=ValueError) == 10


def test_constants_of_both_formats_are_those_of_zed(replay):
    assert replay("prompt.jsonl", "format_constants", constants, only=ours) == 2


def test_prompts_of_both_formats_are_those_of_zed(replay):
    assert replay("prompt.jsonl", "format_prompt", prompt, only=ours) == 13


def test_answers_of_both_formats_are_read_as_zed_reads_them(replay):
    assert replay("parse.jsonl", "parse_output", parsed, errors=MarkerError, only=ours) == 22


def test_regions_become_patches_as_in_zed(replay):
    assert replay("parse.jsonl", "parsed_region_to_patch", region_patch) == 3


def test_training_targets_of_both_formats_are_those_of_zed(replay):
    assert replay("target.jsonl", "format_expected_output", target, errors=PatchError, only=ours) == 16
