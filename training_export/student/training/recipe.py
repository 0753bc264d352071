"""What a student is taught to speak, how large it is and how it learns: a file of TOML, read strictly.

The recipes that come with foretype stand in ``student/recipes``; any other is named by its path. Knows nothing of
torch.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

from daemon.prompts.base import PromptFormat
from daemon.prompts.registry import FORMATS
from training_export.errors import RecipeRefused

RECIPES_FOLDER: Final = Path(__file__).resolve().parents[1] / "recipes"
SUFFIX: Final = ".toml"

_Table = TypeVar("_Table")


class Schedule(StrEnum):
    """How the rate runs behind the warm-up."""

    WSD = "wsd"  # constant, then a straight line down to ``final_part``
    COSINE = "cosine"


class OptimiserKind(StrEnum):
    """What updates the matrices of the blocks; all else is AdamW's."""

    MUON = "muon"
    ADAMW = "adamw"


@dataclass(frozen=True, slots=True)
class Sizes:
    """A network that starts from nothing. ``heads`` divides ``width``; ``embedding_scale``: of a fresh embedding.

    ``looks_back``: it begins with heads that look a few tokens back (`looking_back`); needs biases, so Qwen2.
    """

    architecture: str = "qwen2"
    vocabulary_size: int = 4096
    width: int = 256
    layers: int = 6
    heads: int = 4
    key_value_heads: int = 4
    hidden: int = 768
    context_tokens: int = 1152
    rotary_base: float = 10_000.0
    norm_epsilon: float = 1e-6
    is_tied: bool = True
    embedding_scale: float = 0.02
    looks_back: bool = False


@dataclass(frozen=True, slots=True)
class Optimiser:
    """Rates are per step; ``adam_rate`` is that of what Muon does not update, and of everything without Muon.

    ``decay_part`` of the steps have a falling rate (WSD), which ends at ``final_part`` of the full one.
    """

    kind: OptimiserKind = OptimiserKind.MUON
    matrix_rate: float = 0.015
    adam_rate: float = 1e-3
    weight_decay: float = 0.01
    schedule: Schedule = Schedule.WSD
    warm_up_steps: int = 30
    decay_part: float = 0.8
    final_part: float = 0.0
    clip_norm: float = 1.0


@dataclass(frozen=True, slots=True)
class Weights:
    """How much a position counts in the loss, by its role (`roles.Role`).

    Only one of ``prompt_part`` prompt positions is learnt at a time: logits are the dearest part of a small network.
    """

    prompt: float = 0.0
    prompt_part: int = 4
    line_same: float = 0.3
    line_edited: float = 2.0
    answer: float = 1.0
    answer_line: float = 1.0
    copied: float = 1.0
    changed: float = 1.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a training.

    ``batch_tokens`` are those of a step. ``max_tokens`` is of one example, prompt and answer; longer ones are left out.
    ``window_lines``: so many lines around the cursor are shown instead of the whole excerpt (0: all of it).
    ``tasks``: how often each is drawn against the others; empty: as they come. An answer stands up to
    ``max_gap_tokens`` further from its prompt than there are tokens. ``random_copies``: random tokens, no examples.
    """

    steps: int
    batch_tokens: int
    max_tokens: int
    window_lines: int = 0
    max_gap_tokens: int = 0
    random_copies: bool = False
    tasks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything but the data. ``held_out_per_task`` cases are looked at every ``look_steps``.

    ``epochs``: so many rounds through the new examples instead of the stages' steps (0: the stages').
    """

    name: str
    prompt_format_name: str
    stages: tuple[Stage, ...]
    sizes: Sizes = Sizes()
    optimiser: Optimiser = Optimiser()
    weights: Weights = Weights()
    held_out_per_task: int = 40
    look_steps: int = 200
    epochs: float = 0.0

    @property
    def prompt_format(self) -> PromptFormat:
        """The daemon's own."""
        return FORMATS[self.prompt_format_name]

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Tokens of the format that the vocabulary holds whole; markers that are lines of text stay text."""
        return tuple(token for token in self.prompt_format.control_tokens if "\n" not in token)

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def max_tokens(self) -> int:
        """Of the longest example that any stage takes."""
        return max(stage.max_tokens for stage in self.stages)

    def with_steps(self, steps: int) -> Recipe:
        """The same with so many steps in all, shared among the stages as before; each has one at least."""
        shares = [stage.steps / self.steps for stage in self.stages]
        counts = [max(1, round(steps * share)) for share in shares[:-1]]
        last = max(1, steps - sum(counts))
        stages = zip(self.stages, [*counts, last], strict=True)
        return replace(self, stages=tuple(replace(stage, steps=count) for stage, count in stages))


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with foretype."""
    return tuple(sorted(path.stem for path in RECIPES_FOLDER.glob(f"*{SUFFIX}")))


def read_recipe(name: str) -> Recipe:
    """A shipped recipe by its name, or the file at a path. Raises RecipeRefused."""
    path = Path(name) if name.endswith(SUFFIX) else RECIPES_FOLDER / f"{name}{SUFFIX}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        known = ", ".join(shipped_recipes())
        raise RecipeRefused(f"there is no recipe {name!r}; known: {known}, or a path that ends in {SUFFIX}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeRefused(f"cannot read the recipe {path}: {error}") from error
    try:
        return recipe_of(path.stem, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeRefused(f"{path} is not TOML: {error}") from error
    except RecipeRefused as error:
        raise RecipeRefused(f"{path}: {error}") from error


def recipe_of(name: str, table: Mapping[str, Any]) -> Recipe:
    """The recipe in a table; raises RecipeRefused, naming the key, for what is unknown, missing or of another type."""
    stages = table.get("stages")
    if not isinstance(stages, list) or not stages:
        raise RecipeRefused("stages: one [[stages]] table at least is needed")
    given = {key: value for key, value in table.items() if key not in ("stages", "sizes", "optimiser", "weights")}
    prompt_format_name = given.pop("prompt_format", None)
    if prompt_format_name not in FORMATS:
        raise RecipeRefused(f"prompt_format: {prompt_format_name!r} is none of {', '.join(FORMATS)}")
    _refuse_unknown(given, {"held_out_per_task", "look_steps", "epochs"}, "")
    recipe = Recipe(
        name=name,
        prompt_format_name=str(prompt_format_name),
        stages=tuple(_read(Stage, stage, f"stages[{index}]") for index, stage in enumerate(stages)),
        sizes=_read(Sizes, table.get("sizes", {}), "sizes"),
        optimiser=_read(Optimiser, table.get("optimiser", {}), "optimiser"),
        weights=_read(Weights, table.get("weights", {}), "weights"),
        held_out_per_task=_value(int, given.get("held_out_per_task", 40), "held_out_per_task"),
        look_steps=_value(int, given.get("look_steps", 200), "look_steps"),
        epochs=_value(float, given.get("epochs", 0.0), "epochs"),
    )
    _check(recipe)
    return recipe


def _check(recipe: Recipe) -> None:
    sizes = recipe.sizes
    if sizes.architecture not in ("qwen2", "llama"):
        raise RecipeRefused(f"sizes.architecture: {sizes.architecture!r} is neither qwen2 nor llama")
    if sizes.width % (2 * sizes.heads) or sizes.heads % sizes.key_value_heads:
        raise RecipeRefused("sizes: heads must divide width into even sizes, and key_value_heads must divide heads")
    if sizes.looks_back and sizes.architecture != "qwen2":
        raise RecipeRefused("sizes.looks_back: needs architecture qwen2, whose queries and keys have biases")
    for index, stage in enumerate(recipe.stages):
        if min(stage.steps, stage.batch_tokens, stage.max_tokens) < 1 or stage.batch_tokens < stage.max_tokens:
            raise RecipeRefused(f"stages[{index}]: steps is 1 at least, and batch_tokens no less than max_tokens")
        if stage.max_tokens + stage.max_gap_tokens > sizes.context_tokens:
            raise RecipeRefused(f"stages[{index}]: max_tokens and max_gap_tokens do not fit sizes.context_tokens")
    if not 0 <= recipe.optimiser.decay_part <= 1 or recipe.weights.prompt_part < 1 or recipe.look_steps < 1:
        raise RecipeRefused("optimiser.decay_part runs from 0 to 1; weights.prompt_part and look_steps are 1 at least")


def _read(kind: type[_Table], table: Any, where: str) -> _Table:
    if not isinstance(table, dict):
        raise RecipeRefused(f"{where}: must be a table")
    known = {found.name: found for found in fields(kind)}  # type: ignore[arg-type]  # every kind is a dataclass
    _refuse_unknown(table, set(known), f"{where}.")
    hints = get_type_hints(kind)
    missing = [
        name
        for name, found in known.items()
        if name not in table and found.default is MISSING and found.default_factory is MISSING
    ]
    if missing:
        raise RecipeRefused(f"{where}.{missing[0]}: is missing")
    return kind(**{name: _value(hints[name], value, f"{where}.{name}") for name, value in table.items()})


def _value(wanted: Any, value: Any, where: str) -> Any:
    """``value`` if it is what is wanted; a whole number will do for a fraction."""
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        if value not in list(wanted):
            raise RecipeRefused(f"{where}: {value!r} is none of {', '.join(wanted)}")
        return wanted(value)
    if wanted is float and type(value) in (int, float):
        return float(value)
    if wanted in (int, bool, str):
        if type(value) is not wanted:
            raise RecipeRefused(f"{where}: {value!r} is no {wanted.__name__}")
        return value
    if isinstance(value, dict) and all(type(share) in (int, float) and share > 0 for share in value.values()):
        return {str(task): float(share) for task, share in value.items()}
    raise RecipeRefused(f"{where}: {value!r} cannot be taken")


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise RecipeRefused(f"{where}{unknown[0]}: is not known; known: {', '.join(sorted(known))}")
