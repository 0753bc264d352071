"""Every field of an example survives every command: what one does not set comes out as it went in, byte for byte."""

from __future__ import annotations

import copy
import dataclasses
import gzip
import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import zstandard
from typer.testing import CliRunner

from bench.uploading.samples import contents, snapshots
from capture.inputs import PredictionInputs, RelatedExcerpt, RelatedFile
from capture.metrics.location import LocationMatch
from capture.metrics.prediction_score import PredictionScore
from training_export.commands import COMMANDS
from training_export.example import KEYS, Example
from training_export.example_format.records import (
    ExamplePrediction,
    PredictedCursor,
    Prompt,
    RecentFile,
    Telemetry,
    Verdict,
)
from training_export.stage import FAILURES, OURS, STAGES
from training_export.stages.context import ContextStage
from training_export.stages.distill import Distill
from training_export.stages.formatting import FormatStage
from training_export.stages.judge import Judge
from training_export.stages.repair import Repair
from training_export.stages.score import ScoreStage
from training_export.stages.settle import WRITES as SETTLE_WRITES
from training_export.stages.targets import Targets
from training_export.teachers.stand_in.server import StandIn

BEFORE = """class Cart:
    def total(self):
        return sum(item.cents for item in self.items)

    def label(self):
        return f"{self.total()} cents"
"""
EXCERPT = BEFORE.replace("def total(", "def total_cents(")
SETTLED = EXCERPT.replace("self.total()", "self.total_cents()")
CURSOR = EXCERPT.index("(self)")
HISTORY = """--- a/cart.py
+++ b/cart.py
@@ -1,3 +1,3 @@
 class Cart:
-    def total(self):
+    def total_cents(self):
         return sum(item.cents for item in self.items)
"""
PATCH = """--- a/cart.py
+++ b/cart.py
@@ -5,2 +5,2 @@
     def label(self):
-        return f"{self.total()} cents"
+        return f"{self.total_cents()} cents"
"""
UNCOMMITTED = "--- a/notes.txt\n+++ b/notes.txt\n@@ -1,1 +1,1 @@\n-old\n+new\n"
WHOLE = {"start": 0, "end": len(EXCERPT)}
# What JSON can hold and careless programs change: 1 and 1.0, text that breaks lines, is escaped, or is not ASCII.
ODD = {
    "float": 1.0,
    "whole": 1,
    "negative_zero": -0.0,
    "small": 2.5e-05,
    "large": 18446744073709551615,
    "null": None,
    "empty": [{}, [], "", False],
    "text": 'é 🥐 \u2028 \x85 \x00 \x1b \x7f \\ / " \t \r\n',
    "zeta": {"omega": [1.0, 1, None], "alpha": {"": ""}},
}


def full(revision: str) -> dict[str, Any]:
    """An example with every key of Zed's, unknown ones beside each, and ours."""
    location = {
        f"{of}_{what}": value
        for of in ("lines", "files")
        for what, value in (("tp", 1), ("fp", 0), ("fn", 0), ("precision", 1.0), ("recall", 1), ("f1", 1.0))
    }
    score = {
        **{field.name: 1 for field in dataclasses.fields(PredictionScore)},
        "delta_chr_f": 99.5,
        "delta_chr_f_precision": 1.0,
        "has_isolated_whitespace_changes": False,
        "cursor_exact_match": None,
        "wrong_editable_region": None,
        "cursor_distance": None,
        "kept_rate": 1.0,
        "editable_context_coverage": {**location, "x": ODD},
        "jump_location": location,
        "x": ODD,
    }
    prediction = {
        "actual_patch": PATCH,
        "actual_output": "Rename it: \u2029",
        "actual_cursor": {"path": "cart.py", "row": 5, "column": 34, "offset": 150, "x": ODD},
        "error": None,
        "provider": "teacher:someone",
        "cumulative_logprob": -3,
        "avg_logprob": -1.0,
        "x": ODD,
    }
    prediction["actual_cursor"]["editable_region_offset"] = None
    event = {
        "event": "BufferChange",
        "path": "cart.py",
        "old_path": "cart.py",
        "diff": HISTORY.split("\n", 2)[2],
        "old_range": {"start": 16, "end": 21},
        "new_range": {"start": 16, "end": 27},
        "predicted": False,
        "in_open_source_repo": True,
        "x": ODD,
    }
    diagnostic = {
        "severity": None,
        "message": "Cart has no total",
        "snippet": "self.total()",
        "snippet_buffer_row_range": {"start": 5, "end": 5},
        "diagnostic_range_in_snippet": {"start": 5, "end": 10},
        "x": ODD,
    }
    related = {
        "path": "prices.py",
        "max_row": 1,
        "in_open_source_repo": False,
        "x": ODD,
        "excerpts": [
            {
                "row_range": {"start": 0, "end": 1},
                "text": "CENTS = 100\n",
                "order": 1,
                "context_source": "lsp",
                "x": ODD,
            }
        ],
    }
    return {
        "name": "rename é",
        "repository_url": "https://example.org/ada/shop.git",
        "revision": revision,
        "tags": ["rename", ""],
        "reasoning": "Somebody wrote it.",
        "uncommitted_diff": UNCOMMITTED,
        "recently_opened_files": [{"path": "prices.py", "cursor_position": 3, "x": ODD}, {"path": "notes.txt"}],
        "recently_viewed_files": [{"path": "notes.txt", "cursor_position": None}],
        "uncommitted_diff_contains_edit_history": False,
        "cursor_path": "cart.py",
        "cursor_position": f"{EXCERPT[:CURSOR]}<|user_cursor|>{EXCERPT[CURSOR:]}",
        "edit_history": HISTORY,
        "expected_patches": [PATCH],
        "rejected_patch": PATCH.replace("total_cents", "totals"),
        "telemetry": {
            "request_id": "r",
            "device_id": "d",
            "time": "2026-01-02T03:04:05Z",
            "rejection_reason": "",
            "was_shown": True,
            "x": ODD,
        },
        "human_feedback": [{"message": "good", "x": ODD}],
        "rating": "Positive",
        "prompt_inputs": {
            "cursor_path": "cart.py",
            "cursor_excerpt": EXCERPT,
            "cursor_offset_in_excerpt": CURSOR,
            "excerpt_start_row": 0,
            "events": [event],
            "related_files": [related],
            "active_buffer_diagnostics": [diagnostic],
            "excerpt_ranges": dict.fromkeys(RANGES, WHOLE) | {"of_tomorrow": None},
            "syntax_ranges": [WHOLE],
            "in_open_source_repo": True,
            "can_collect_data": True,
            "repo_url": None,
            "experiment": ODD,
        },
        "prompt": {
            "input": "p",
            "expected_output": "e",
            "rejected_output": None,
            "prefill": None,
            "provider": "zeta2:x",
            "x": ODD,
        },
        "predictions": [prediction],
        "score": [score],
        "qa": [
            {
                "reasoning": "no",
                "reverts_edits": True,
                "confidence": 1,
                "response": None,
                "error": None,
                "x": ODD,
            }
        ],
        "zed_version": "0.999",
        "of_tomorrow": ODD,
        OURS: {
            "of_mine": ODD,
            "region": WHOLE,
            "settled": SETTLED,
            "unsettled": EXCERPT,
            "snapshot": {"id": "1", "language_id": "python", "confidence": 1.0, "rating": None, "x": ODD},
            STAGES: {"export": "00"},
            FAILURES: {"export": "something it could not do"},
        },
    }


RANGES = (
    "editable_150", "editable_180", "editable_350", "editable_150_context_350", "editable_180_context_350",
    "editable_350_context_150",
)  # fmt: skip
REQUIRED = ("repository_url", "revision", "cursor_path", "cursor_position", "edit_history", "expected_patches")
NULLABLE = ("reasoning", "rejected_patch", "telemetry", "rating", "prompt_inputs", "prompt", "zed_version")


def backwards(value: Any) -> Any:
    """The same with the keys of all objects in the opposite order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


def variants(revision: str) -> dict[str, str]:
    """Lines by what is special about them."""
    whole = full(revision)
    bare = {"name": "bare", **{key: whole[key] for key in REQUIRED}}
    values = {
        "full": whole,
        "backwards": {**backwards(whole), "name": "backwards"},
        "null": {**bare, "name": "null", **dict.fromkeys(NULLABLE), OURS: {}},
        "bare": bare,
    }
    return {name: Example(value).to_line() for name, value in values.items()}


def members(line: str) -> dict[str, str]:
    """The members of a JSON object without white space, each as it is written."""
    read = json.JSONDecoder().raw_decode
    found: dict[str, str] = {}
    at = 1
    while line[at] != "}":
        at += line[at] == ","
        key, at = read(line, at)
        assert line[at] == ":"
        _, end = read(line, at + 1)
        found[key] = line[at + 1 : end]
        at = end
    return found


def untouched(line: str, writes: Sequence[str], ours_kept: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """What a stage that writes these parts must leave as it was, in order: at the top, and of ours."""
    top = members(line)
    ours = members(top.pop(OURS, "{}"))
    other = [part for part in ours if f"{OURS}.{part}" not in writes and part not in (STAGES, FAILURES)]
    kept = {name: members(ours.get(name, "{}")).get("export") for name in ours_kept}
    return [(key, top[key]) for key in top if key not in writes], [kept, *((part, ours[part]) for part in other)]


@dataclass(frozen=True)
class Place:
    """What the commands work with."""

    folder: Path
    repositories: Path
    revision: str
    url: str

    def teacher(self) -> list[str]:
        """The options of a command that asks one."""
        return ["--teacher", "sonnet46", "--base-url", self.url, "--cache", str(self.folder / "answers.sqlite3")]


@dataclass(frozen=True)
class Case:
    """A stage: its options, what it writes, and a part of the full example that it is to have set anew."""

    options: Callable[[Place], list[str]]
    writes: Sequence[str]
    sets: str


CASES = {
    "context": Case(lambda place: ["--repos", str(place.repositories)], ContextStage.writes, f"{OURS}.contexts"),
    "distill": Case(Place.teacher, Distill.writes, "predictions"),
    "judge": Case(Place.teacher, Judge.writes, "qa"),
    "repair": Case(Place.teacher, Repair.writes, "predictions"),
    "targets": Case(lambda _: [], Targets.writes, "predictions"),
    "settle": Case(lambda _: ["--samples", "3", "--workers", "1"], SETTLE_WRITES, f"{OURS}.settle"),
    "score": Case(lambda _: [], ScoreStage.writes, "score"),
    "format": Case(lambda _: ["--format", "zeta2", "--workers", "1"], FormatStage.writes, "prompt"),
    # It may write everything, and without a secret nothing.
    "redact": Case(lambda _: ["--workers", "1"], (), f"{OURS}.{STAGES}"),
}
SELECTIONS = {
    "import": ["-o", "OUT"],
    "filter": ["--has", "cursor_path", "-o", "OUT"],
    "sample": ["--count", "9", "-o", "OUT"],
    "dedup": ["-o", "OUT"],
    "split": ["-o", "OUT=rest"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A clone with the commit of the examples, and a service to ask."""
    folder = tmp_path_factory.mktemp("every-stage")
    clone = folder / "repositories" / "ada" / "shop"
    clone.mkdir(parents=True)
    for name, text in (("cart.py", BEFORE), ("notes.txt", "old\n"), ("prices.py", "CENTS = 100\n")):
        (clone / name).write_text(text)
    plain = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    names = {f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**plain, **names, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments):
        command = ["git", "-C", str(clone), *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet", "--template=")
    git("add", "--all")
    git("commit", "--quiet", "--message", "A shop")
    with StandIn() as server:
        yield Place(folder, folder / "repositories", git("rev-parse", "HEAD"), server.url)
        assert server.complaints == []


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a command in a folder of its own; gives what it printed."""
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-the-tests")
    monkeypatch.chdir(tmp_path)

    def call(name, *arguments, given=b""):
        module, _, attribute = COMMANDS[name].target.partition(":")
        application = getattr(import_module(module), attribute)
        done = CliRunner().invoke(application, list(arguments), input=given, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout_bytes

    return call


def write(path: str, lines: Sequence[str]) -> None:
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")


def read(path: str) -> list[str]:
    return Path(path).read_bytes().decode().split("\n")[:-1]


def test_the_full_example_has_every_field_that_zed_writes():
    value = full("0" * 40)
    named = {
        RecentFile: value["recently_opened_files"][0],
        Telemetry: value["telemetry"],
        Prompt: value["prompt"],
        ExamplePrediction: value["predictions"][0],
        PredictedCursor: value["predictions"][0]["actual_cursor"],
        PredictionScore: value["score"][0],
        LocationMatch: value["score"][0]["jump_location"],
        Verdict: value["qa"][0],
        RelatedFile: value["prompt_inputs"]["related_files"][0],
        RelatedExcerpt: value["prompt_inputs"]["related_files"][0]["excerpts"][0],
    }
    assert set(KEYS) <= set(value)
    for record, written in named.items():
        if record is not LocationMatch:
            assert {field.name for field in dataclasses.fields(record)} <= set(written), record
    assert set(PredictionInputs.from_json(value["prompt_inputs"]).to_json()) <= set(value["prompt_inputs"])


@pytest.mark.parametrize("name", CASES)
def test_a_stage_leaves_everything_else_as_it_was(name, run, place):
    case, given = CASES[name], variants(place.revision)
    write("in.jsonl", list(given.values()))

    run(name, "in.jsonl", "-o", "out.jsonl", *case.options(place))

    came = dict(zip(given, read("out.jsonl"), strict=True))
    for variant, line in given.items():
        earlier = (STAGES, FAILURES)
        assert untouched(came[variant], case.writes, earlier) == untouched(line, case.writes, earlier), variant
    now, before = (Example.from_line(line).value for line in (came["full"], given["full"]))
    assert set(now[OURS][FAILURES]) == {"export"}
    assert list(now[OURS][STAGES]) == ["export", name]
    key, _, member = case.sets.partition(".")
    assert (now[key].get(member) != before[key].get(member)) if member else (now.get(key) != before[key])


@pytest.mark.parametrize("name", [*CASES, *SELECTIONS])
def test_compressed_files_and_streams_come_to_the_same(name, run, place):
    given = [line for variant, line in variants(place.revision).items() if variant != "backwards"]
    write("in.jsonl", given)
    plain = Path("in.jsonl").read_bytes()
    Path("in.jsonl.gz").write_bytes(gzip.compress(plain))
    Path("in.jsonl.zst").write_bytes(zstandard.compress(plain))
    options = CASES[name].options(place) if name in CASES else []

    def written(source, output, content=b""):
        ending = ["-o", output, *options] if name in CASES else [x.replace("OUT", output) for x in SELECTIONS[name]]
        return run(name, source, *ending, given=content)

    written("in.jsonl", "out.jsonl")
    expected = Path("out.jsonl").read_bytes()
    assert expected.count(b"\n") == (1 if name == "dedup" else len(given))
    written("in.jsonl.gz", "out.jsonl.zst")
    assert zstandard.ZstdDecompressor().decompressobj().decompress(Path("out.jsonl.zst").read_bytes()) == expected
    written("in.jsonl.zst", "out.jsonl.gz")
    assert gzip.decompress(Path("out.jsonl.gz").read_bytes()) == expected
    if name == "split":
        written("-", "streamed.jsonl", plain)
        assert Path("streamed.jsonl").read_bytes() == expected
    else:
        assert written("-", "-", plain) == expected


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize("variant", ["full", "backwards", "null", "bare"])
def test_a_selection_passes_the_very_line_on(name, variant, run, place):
    line = variants(place.revision)[variant]
    # As another program may have written it.
    spelled = line.replace('":', '" :\t').replace("é", "\\u00E9").replace("2.5e-05", "2.50E-5")
    assert Example.from_line(spelled).to_line() == line
    for given in (line, spelled):
        write("in.jsonl", [given])
        run(name, "in.jsonl", *(option.replace("OUT", "out.jsonl") for option in SELECTIONS[name]), "--force")
        assert read("out.jsonl") == [given]


def test_repairing_keeps_the_prediction_that_it_repairs(run, place):
    line = variants(place.revision)["full"]
    write("in.jsonl", [line])
    run("repair", "in.jsonl", "-o", "out.jsonl", *place.teacher())
    came = members(read("out.jsonl")[0])
    assert came["predictions"].startswith(members(line)["predictions"].removesuffix("]") + ",")
    assert came["qa"] == members(line)["qa"].removesuffix("]") + ",null]"


def test_filling_in_context_keeps_what_else_the_inputs_say(run, place):
    line = variants(place.revision)["full"]
    write("in.jsonl", [line])
    run("context", "in.jsonl", "-o", "out.jsonl", *CASES["context"].options(place))
    before, now = (members(members(one)["prompt_inputs"]) for one in (line, read("out.jsonl")[0]))
    found = ("related_files", "active_buffer_diagnostics")
    assert [(key, now[key]) for key in now if key not in found] == [
        (key, before[key]) for key in before if key not in found
    ]


def test_masking_a_secret_touches_its_own_field_and_what_is_made_of_it(run, place):
    value = copy.deepcopy(full(place.revision))
    secret = "ghp_" + "a1B2c3D4e5F6" * 3
    value["reasoning"] = f"The token is {secret}."
    line = Example(value).to_line()
    write("in.jsonl", [line])
    run("redact", "in.jsonl", "-o", "out.jsonl", "--workers", "1")
    [came] = read("out.jsonl")
    assert secret not in came
    top, expected = members(came), members(line)
    ours, ours_expected = members(top.pop(OURS)), members(expected.pop(OURS))
    expected["reasoning"] = json.dumps(f"The token is {re.sub('[^_]', '*', secret)}.")
    assert list(top.items()) == list(expected.items())
    for member in (STAGES, FAILURES):
        assert {key: text for key, text in members(ours.pop(member)).items() if key != "redact"} == members(
            ours_expected.pop(member)
        )
    assert list(ours.items()) == list(ours_expected.items())


def test_what_export_writes_is_imported_as_it_is(run):
    made = [content.decode() for _, content in contents(snapshots(3, 4_000), 3)]
    write("snapshots.jsonl", made)
    run("export", "snapshots.jsonl", "-o", "exported.jsonl")
    assert len(read("exported.jsonl")) == 3
    run("import", "exported.jsonl", "-o", "imported.jsonl")
    assert Path("imported.jsonl").read_bytes() == Path("exported.jsonl").read_bytes()
