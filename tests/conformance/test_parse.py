"""Answers of models are read as Zed's own code was recorded to read them, harm included (see README)."""

from dataclasses import asdict

from capture.inputs import PredictionInputs, Span
from daemon.prompts.zed.answer import ParsedOutput, cursor_position, parse_output, region_to_patch, take_cursor
from daemon.prompts.zed.hash_regions import V0615_HASH_REGIONS, parse_hash_regions
from daemon.prompts.zed.hashline import apply_hashline_commands, strip_hashline_prefixes
from daemon.prompts.zed.table import ZETA_FORMATS
from daemon.prompts.zed.variable_edit import apply_variable_edit
from daemon.prompts.zed.zeta1 import clean_zeta1_output
from daemon.prompts.zed.zeta3 import Zeta3PromptInput, parse_zeta3_output

FILE = "parse.jsonl"


def row_of(given):
    return V0615_HASH_REGIONS if given["format"] == V0615_HASH_REGIONS.name else ZETA_FORMATS[given["format"]]


def parsed(given):
    inputs = PredictionInputs.from_json(given["prompt_input"])
    if given["format"] == V0615_HASH_REGIONS.name:
        return {"patch": parse_hash_regions(inputs, given["output"])}
    output = parse_output(inputs, ZETA_FORMATS[given["format"]], given["output"])
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


def hashline(given):
    text, has_commands = apply_hashline_commands(given["editable_region"], given["output"])
    return {"text": text, "has_commands": has_commands}


def variable_edit(given):
    span, text = apply_variable_edit(given["context"], given["output"])
    return {"range": span.to_json(), "text": text}


FUNCTIONS = {
    "parse_output": parsed,
    "parsed_region_to_patch": region_patch,
    "parse_zeta3_output": lambda given: {
        "patch": parse_zeta3_output(Zeta3PromptInput.from_json(given["prompt_input"]), given["output"], row_of(given))
    },
    "clean_zeta1_output": lambda given: {"text": clean_zeta1_output(given["output"])},
    "apply_hashline_commands": hashline,
    "strip_hashline_prefixes": lambda given: {"text": strip_hashline_prefixes(given["text"])},
    "apply_variable_edit": variable_edit,
}


def test_vector(vector, check):
    check(FUNCTIONS, vector)
