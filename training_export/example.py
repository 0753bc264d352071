"""Example: one editing moment, what should come of it, and what every stage of the pipeline found.

A typed view over the JSON object of Zed's Example files (`example_spec.rs` and `example.rs` at 09adbb01). The
object is the truth: keys nobody here knows, the order of keys, null instead of absent are all written back as
they were read, at the top and inside. Knows nothing of files, Markdown or stages.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from capture.inputs import PredictionInputs
from capture.metrics.prediction_score import PredictionScore
from training_export.example_format.cursor_position import CursorExcerpt, read_cursor_position
from training_export.example_format.json_line import parse_object, write_object
from training_export.example_format.positions import check_positions
from training_export.example_format.records import ExamplePrediction, Prompt, Rating, RecentFile, Telemetry, Verdict
from training_export.example_format.shape import check_shape

# In the order Zed writes them.
SPEC_KEYS: Final[tuple[str, ...]] = (
    "name", "repository_url", "revision", "tags", "reasoning", "uncommitted_diff", "recently_opened_files",
    "recently_viewed_files", "uncommitted_diff_contains_edit_history", "cursor_path", "cursor_position",
    "edit_history", "expected_patches", "rejected_patch", "telemetry", "human_feedback", "rating",
)  # fmt: skip
STAGE_KEYS: Final[tuple[str, ...]] = ("prompt_inputs", "prompt", "predictions", "score", "qa", "zed_version")
KEYS: Final[tuple[str, ...]] = SPEC_KEYS + STAGE_KEYS
# Zed writes these even where they are empty; every other known key is left out then.
ALWAYS_WRITTEN: Final[dict[str, Any]] = {
    "name": "", "repository_url": "", "revision": "", "uncommitted_diff": "", "cursor_path": "",
    "cursor_position": "", "edit_history": "", "expected_patches": [],
}  # fmt: skip


class Example:
    """One line of an examples file. Treat ``value`` as read-only and change with `with_fields`."""

    def __init__(self, value: dict[str, Any]) -> None:
        """Raises ExampleRejected, with path and reason, where ``value`` is no example or would poison training."""
        check_shape(value)
        check_positions(value)
        self.value = value

    def __eq__(self, other: object) -> bool:
        """Equal as JSON text: order of keys counts, and so does 1 against 1.0."""
        return isinstance(other, Example) and self.to_line() == other.to_line()

    def __hash__(self) -> int:
        return hash(self.to_line())

    def __repr__(self) -> str:
        return f"Example({self.name!r})"

    @classmethod
    def from_line(cls, line: str) -> Example:
        """Read one line; raises ExampleRejected where it is not what it should be or would not survive."""
        return cls(parse_object(line))

    def to_line(self) -> str:
        """The JSON object on one line, without its newline."""
        return write_object(self.value)

    @classmethod
    def new(cls, **fields: Any) -> Example:
        """A new example from JSON values by key, in Zed's order, empty optional ones left out."""
        return cls(_in_order({**ALWAYS_WRITTEN, **fields}))

    def with_fields(self, **fields: Any) -> Example:
        """The same example with some keys set to JSON values, everything else untouched and in its place.

        A key that is new goes where Zed writes it; one set to an empty value that Zed leaves out is taken out.
        Raises ExampleRejected where the result is no example.
        """
        value = dict(self.value)
        for key, part in fields.items():
            if _is_omitted(key, part):
                value.pop(key, None)
            elif key in value:
                value[key] = part
            else:
                value = _inserted(value, key, part)
        return Example(value)

    def spec_json(self) -> dict[str, Any]:
        """The part that says what the example is, as Zed would write it: known keys only, in Zed's order.

        Two examples that differ only in what stages added, in unknown keys or in order have the same one.
        """
        spec = {key: self.value[key] for key in SPEC_KEYS if key in self.value}
        for key in ("recently_opened_files", "recently_viewed_files"):
            spec[key] = [RecentFile.from_json(item).to_json() for item in self.value.get(key, ())]
        if self.telemetry is not None:
            spec["telemetry"] = self.telemetry.to_json()
        spec["human_feedback"] = [{"message": message} for message in self.human_feedback]
        return _in_order({**ALWAYS_WRITTEN, **spec})

    @property
    def name(self) -> str:
        """May be empty; reading a file fills it."""
        return str(self.value.get("name", ""))

    @property
    def repository_url(self) -> str:
        """Empty where the code is in no repository that others reach."""
        return str(self.value["repository_url"])

    @property
    def revision(self) -> str:
        """The commit the example starts from."""
        return str(self.value["revision"])

    @property
    def tags(self) -> tuple[str, ...]:
        """Free labels."""
        return tuple(self.value.get("tags", ()))

    @property
    def reasoning(self) -> str | None:
        """Why a writing model chose this example."""
        return self.value.get("reasoning")

    @property
    def uncommitted_diff(self) -> str:
        """What differs from ``revision`` before the edit history."""
        return str(self.value.get("uncommitted_diff", ""))

    @property
    def uncommitted_diff_contains_edit_history(self) -> bool:
        """Whether the history must be undone in ``uncommitted_diff`` first."""
        return bool(self.value.get("uncommitted_diff_contains_edit_history", False))

    @property
    def recently_opened_files(self) -> tuple[RecentFile, ...]:
        """Most recent first."""
        return tuple(map(RecentFile.from_json, self.value.get("recently_opened_files", ())))

    @property
    def recently_viewed_files(self) -> tuple[RecentFile, ...]:
        """Most recent first."""
        return tuple(map(RecentFile.from_json, self.value.get("recently_viewed_files", ())))

    @property
    def cursor_path(self) -> str:
        """The file with the cursor, relative to the repository."""
        return str(self.value["cursor_path"])

    @property
    def cursor_position(self) -> str:
        """The excerpt with the cursor marked in it, see `cursor_position`."""
        return str(self.value["cursor_position"])

    @cached_property
    def cursor_excerpt(self) -> CursorExcerpt:
        """The excerpt without the marker, and the cursor's byte offset in it."""
        return read_cursor_position(self.cursor_position)

    @property
    def edit_history(self) -> str:
        """Unified diffs, oldest first."""
        return str(self.value["edit_history"])

    @property
    def expected_patches(self) -> tuple[str, ...]:
        """Unified diffs any of which would be right, the cursor after the edit marked in them."""
        return tuple(self.value["expected_patches"])

    @property
    def rejected_patch(self) -> str | None:
        """A unified diff that would be wrong."""
        return self.value.get("rejected_patch")

    @property
    def telemetry(self) -> Telemetry | None:
        """Where it was pulled from."""
        found = self.value.get("telemetry")
        return None if found is None else Telemetry.from_json(found)

    @property
    def human_feedback(self) -> tuple[str, ...]:
        """The messages of those who rated it."""
        return tuple(item["message"] for item in self.value.get("human_feedback", ()))

    @property
    def rating(self) -> Rating | None:
        """The user's rating of the prediction."""
        return self.value.get("rating")

    @cached_property
    def prompt_inputs(self) -> PredictionInputs | None:
        """What a model may see of the moment; set once the project was loaded."""
        found = self.value.get("prompt_inputs")
        return None if found is None else PredictionInputs.from_json(found)

    @property
    def prompt(self) -> Prompt | None:
        """The rendered prompt and the wanted answer."""
        found = self.value.get("prompt")
        return None if found is None else Prompt.from_json(found)

    @property
    def predictions(self) -> tuple[ExamplePrediction, ...]:
        """What models answered."""
        return tuple(map(ExamplePrediction.from_json, self.value.get("predictions", ())))

    @property
    def score(self) -> tuple[PredictionScore, ...]:
        """Metrics, parallel to ``predictions``."""
        return tuple(map(PredictionScore.from_json, self.value.get("score", ())))

    @property
    def qa(self) -> tuple[Verdict | None, ...]:
        """Verdicts, parallel to ``predictions``."""
        return tuple(None if item is None else Verdict.from_json(item) for item in self.value.get("qa", ()))

    @property
    def zed_version(self) -> str | None:
        """The version of Zed it was captured in."""
        return self.value.get("zed_version")

    @property
    def original_text(self) -> str:
        """The text patches are applied to: the prompt's excerpt where there is one, else the cursor's."""
        return self.cursor_excerpt.text if self.prompt_inputs is None else self.prompt_inputs.cursor_excerpt


def _is_omitted(key: str, value: object) -> bool:
    """Lists, flags and optional values without content; an empty optional text is content."""
    return key in KEYS and key not in ALWAYS_WRITTEN and (value is None or value is False or value == [])


def _in_order(value: dict[str, Any]) -> dict[str, Any]:
    known = {key: value[key] for key in KEYS if key in value and not _is_omitted(key, value[key])}
    return {**known, **{key: part for key, part in value.items() if key not in KEYS}}


def _inserted(value: dict[str, Any], key: str, part: object) -> dict[str, Any]:
    """The new key behind the last known one that Zed writes before it; an unknown key at the end."""
    before = set(KEYS[: KEYS.index(key)]) if key in KEYS else set(value)
    keys = list(value)
    at = max((index + 1 for index, known in enumerate(keys) if known in before), default=0)
    ordered = [*keys[:at], key, *keys[at:]]
    return {name: part if name == key else value[name] for name in ordered}
