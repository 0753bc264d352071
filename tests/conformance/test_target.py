"""What a model is trained to answer is what Zed's own code was recorded to write, harm included (see README)."""

from capture.inputs import PredictionInputs
from daemon.prompts.zed.answer import expected_output
from daemon.prompts.zed.hash_regions import V0615_HASH_REGIONS, hash_regions_target
from daemon.prompts.zed.hashed_markers import encode_hashed
from daemon.prompts.zed.hashline import hashline_target
from daemon.prompts.zed.marker_spans import encode_numbered, encode_on_own_lines, encode_relative
from daemon.prompts.zed.markers import V0316_LIMITS, V0318_LIMITS
from daemon.prompts.zed.table import ZETA_FORMATS
from daemon.prompts.zed.variable_edit import variable_edit_target

FILE = "target.jsonl"


def target(given):
    inputs = PredictionInputs.from_json(given["prompt_input"])
    patch = (given["patch"], given.get("cursor_offset"))
    if given["format"] == V0615_HASH_REGIONS.name:
        return {"output": hash_regions_target(inputs, *patch)}
    return {"output": expected_output(inputs, ZETA_FORMATS[given["format"]], *patch)}


def encode(given):
    old, new = given["old"].encode(), given["new"].encode()
    cursor, end = given.get("cursor_offset_in_new"), given["end_marker"].encode()
    encoders = {
        "v0306": lambda: encode_on_own_lines(old, new, cursor, end),
        "v0316": lambda: encode_numbered(old, new, cursor, end, V0316_LIMITS),
        "v0317": lambda: encode_relative(old, new, cursor, end),
        "v0318": lambda: encode_numbered(old, new, cursor, end, V0318_LIMITS),
        "v0615": lambda: encode_hashed(old, new, cursor),
    }
    return {"output": encoders[given["variant"]]().decode()}


def text_target(implementation):
    return lambda given: {"output": implementation(given["old_text"], given["patch"], given.get("cursor_offset"))}


FUNCTIONS = {
    "format_expected_output": target,
    "encode_markers": encode,
    "hashline_target": text_target(hashline_target),
    "variable_edit_target": text_target(variable_edit_target),
}


def test_vector(vector, check):
    check(FUNCTIONS, vector)
