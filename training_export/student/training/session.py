"""A training, from what the person asked for to the network: arrays, a network to begin with, the run, what is left.

Everything a run holds stands in one folder (`run_files`); the same options on the same folder go on where it stopped.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from capture.file_lock import FileLock
from capture.whole_file import write_whole
from training_export.errors import OutputRefused, RunInterrupted, TrainingRefused
from training_export.running.sources import opened
from training_export.student.training import adapters, network
from training_export.student.training.arrays import ArraySet
from training_export.student.training.batches import Weighing
from training_export.student.training.copies import RandomCopies
from training_export.student.training.curves import can_draw, draw
from training_export.student.training.device import Device, chosen_device
from training_export.student.training.encoding import weight_table
from training_export.student.training.gguf_base import from_gguf
from training_export.student.training.held_out import choose, is_held_out
from training_export.student.training.log import read_log
from training_export.student.training.objectives import Objective, Preference, Supervised
from training_export.student.training.optimisers import optimisers
from training_export.student.training.order import Order, Place, Shape, Source
from training_export.student.training.preparing import Encoding, make_tokenizer, prepare, told
from training_export.student.training.recipe import Recipe, Stage, read_recipe
from training_export.student.training.run import NEW, STANDARD, Ending, HeldOut, Run, Stopping
from training_export.student.training.run_files import (
    DATA_FOLDER,
    LOCK_NAME,
    MODEL_FOLDER,
    PLOT_NAME,
    SETTINGS_NAME,
    TOKENIZER_NAME,
    writing,
)
from training_export.student.training.view import View

CPU_MICRO_TOKENS, GPU_MICRO_TOKENS = 3072, 32_768
FEWEST_STEPS: Final = 60  # where epochs decide: fewer teach nothing at a low rate
DEFAULT_RECIPE, CONTINUING_RECIPE = "line_edits", "continue"


@dataclass(frozen=True, slots=True)
class Options:
    """What the person asked for. Empty and zero are "as is usual"; ``None`` is "decide by what there is"."""

    sources: tuple[str, ...]
    out: Path
    recipe: str = ""
    base: Path | None = None
    tokenizer: Path | None = None
    adds_tokens: bool = False
    lora_rank: int = 0
    validation: tuple[str, ...] = ()
    held_out_share: float | None = None
    replay: tuple[str, ...] = ()
    replay_share: float = 0.5
    prefers: bool = False  # DPO
    beta: float = 0.1
    supervised_part: float = 0.2
    steps: int = 0
    minutes: float = 0.0
    rate: float = 1.0
    patience: int | None = None
    seed: int = 7
    threads: int = 0
    device: str = "auto"
    is_packed: bool | None = None
    micro_tokens: int = 0
    compiles: bool = False
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training has come to; ``model`` is a folder in Hugging Face's form."""

    ending: Ending
    model: Path
    steps: int
    tokens: int
    seconds: float
    best_step: int | None
    looks: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return asdict(self) | {"ending": self.ending.name.lower(), "model": str(self.model)}


def train(options: Options, view: View) -> Outcome:
    """Train, or go on with the run in ``options.out``.

    Raises TrainingRefused, RecipeRefused, ExamplesUnreadable, OutputRefused, TrainingDiverged, RunUnwritable,
    RunInterrupted, ExtraMissing.
    """
    began = time.monotonic()
    with writing(options.out):
        options.out.mkdir(parents=True, exist_ok=True)
    with _held(options.out), _quiet_libraries():
        if options.threads:
            torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        material = _material(options, view)
        run = _run(options, material, view)
        if run.restore():
            view.note(f"goes on at step {run.progress.step} of {material.recipe.steps}")
        until = began + 60 * options.minutes if options.minutes else None
        ending = run.go_on(until=until)
        if ending is Ending.INTERRUPTED:
            raise RunInterrupted(
                f"interrupted at step {run.progress.step} of {run.recipe.steps}; a checkpoint is in {options.out}: "
                "run the same command again to go on"
            )
        return _finished(options, material, run, ending, view)


@dataclass(frozen=True, slots=True)
class _Material:
    """What a run is made of. ``new`` and ``replay`` hold a set for each size of window."""

    recipe: Recipe
    device: Device
    model: PreTrainedModel
    adapted: Any  # peft's, where there are adapters
    tokenizer: Tokenizer
    new: Mapping[int, ArraySet]
    replay: Mapping[int, ArraySet]
    validation: ArraySet | None
    held_out_share: float
    settings: Mapping[str, Any]


def _material(options: Options, view: View) -> _Material:
    recipe, base = _recipe_and_base(options)
    tokenizer_path = options.out / TOKENIZER_NAME
    added: tuple[int, ...] = ()
    if base is None:
        _fresh_tokenizer(options, recipe, tokenizer_path)
        tokenizer = Tokenizer.from_file(str(tokenizer_path))
        _check_control_tokens(tokenizer, recipe)
    else:
        added = network.fit_tokenizer(base, recipe, adds_tokens=options.adds_tokens)
        tokenizer = base.tokenizer
        with writing(tokenizer_path):
            tokenizer.save(str(tokenizer_path))
    earlier = _settings_there(options.out)
    device = chosen_device(options.device, str(earlier.get("number_type", "")))
    new, replay, validation, keys = _sets(options, recipe, tokenizer_path, view)
    recipe = _with_wanted_steps(options, recipe, new)
    share = options.held_out_share
    share = (0.05 if base is None else 0.2) if share is None else share
    model = network.fresh(recipe.sizes, tokenizer) if base is None else base.model
    adapted = adapters.with_adapters(model, options.lora_rank, added) if options.lora_rank else None
    settings = _settings(options, recipe, device, keys, share)
    _check_settings(options, earlier, settings)
    with writing(options.out / SETTINGS_NAME):
        write_whole(options.out / SETTINGS_NAME, json.dumps(settings, indent=1) + "\n")
    model.to(device.torch_device)  # type: ignore[arg-type]  # transformers wraps it in a way mypy cannot read
    model.train()
    return _Material(
        recipe,
        device,
        model,
        adapted,
        tokenizer,
        new,
        replay,
        validation,
        share if validation is None else 0.0,
        settings,
    )


def _recipe_and_base(options: Options) -> tuple[Recipe, network.Base | None]:
    recipe = read_recipe(options.recipe or (DEFAULT_RECIPE if options.base is None else CONTINUING_RECIPE))
    if options.rate != 1.0:
        rates = recipe.optimiser
        faster = replace(rates, matrix_rate=rates.matrix_rate * options.rate, adam_rate=rates.adam_rate * options.rate)
        recipe = replace(recipe, optimiser=faster)
    if options.base is None:
        if options.lora_rank:
            raise TrainingRefused("--lora trains adapters of a network that is there: name it with --base")
        return recipe, None
    base = network.from_folder(options.base) if options.base.is_dir() else from_gguf(options.base)
    if base.prompt_format:
        recipe = replace(recipe, prompt_format_name=base.prompt_format)
    context = int(base.model.config.max_position_embeddings)
    stages = tuple(replace(stage, max_tokens=min(stage.max_tokens, context)) for stage in recipe.stages)
    return replace(recipe, stages=stages), base


def _fresh_tokenizer(options: Options, recipe: Recipe, path: Path) -> None:
    """The one that is given, or one learnt from the examples."""
    if options.tokenizer is None:
        make_tokenizer([*options.sources, *options.replay], recipe, path, options.seed)
        return
    try:
        given = Tokenizer.from_file(str(options.tokenizer))
    except Exception as error:  # tokenizers raises nothing more exact
        raise TrainingRefused(f"{options.tokenizer} is no tokenizer.json: {error}") from error
    with writing(path):
        given.save(str(path))


def _check_control_tokens(tokenizer: Tokenizer, recipe: Recipe) -> None:
    missing = [token for token in recipe.control_tokens if tokenizer.token_to_id(token) is None]
    if missing:
        raise TrainingRefused(
            f"the tokenizer has no {missing[0]}, which {recipe.prompt_format_name} needs as a single token: "
            "make one for this format by leaving --tokenizer out"
        )


def _sets(
    options: Options, recipe: Recipe, tokenizer_path: Path, view: View
) -> tuple[dict[int, ArraySet], dict[int, ArraySet], ArraySet | None, dict[str, str]]:
    """Arrays for every window that a stage asks for; and what each set is made of."""
    windows = sorted({stage.window_lines for stage in recipe.stages if not stage.random_copies})
    keys: dict[str, str] = {}

    def made(name: str, sources: Sequence[str], window: int) -> ArraySet:
        encoding = Encoding(recipe.prompt_format_name, tokenizer_path, recipe.max_tokens, window)
        folder = options.out / DATA_FOLDER / (f"{name}-{window}" if window else name)
        keys[folder.name] = encoding.key(opened(sources))
        found = prepare(sources, encoding, folder, workers=options.workers)
        left_out = f"; left out: {told(found.left_out)}" if found.left_out else ""
        view.note(f"{folder.name}: {len(found):,} examples, {found.token_count:,} tokens{left_out}")
        return found

    new = {window: made("new", options.sources, window) for window in windows}
    replay = {window: made("replay", options.replay, window) for window in windows} if options.replay else {}
    last = recipe.stages[-1].window_lines
    validation = made("validation", options.validation, last) if options.validation else None
    return new, replay, validation, keys


def _with_wanted_steps(options: Options, recipe: Recipe, new: Mapping[int, ArraySet]) -> Recipe:
    if options.steps:
        return recipe.with_steps(options.steps)
    if not recipe.epochs:
        return recipe
    share = 1 - options.replay_share if options.replay else 1.0
    tokens = new[recipe.stages[-1].window_lines].token_count
    steps = math.ceil(recipe.epochs * tokens / share / recipe.stages[-1].batch_tokens)
    return recipe.with_steps(max(FEWEST_STEPS, steps))


def _run(options: Options, material: _Material, view: View) -> Run:
    recipe, device = material.recipe, material.device
    files = None if material.validation is None else np.unique(material.validation.rows["file"])
    learnt = {
        name: {window: _rows(found, material.held_out_share, files, options.prefers) for window, found in sets.items()}
        for name, sets in (("new", material.new), ("replay", material.replay))
    }
    for window, rows in learnt["new"].items():
        if not len(rows):
            what = "with a rejected answer " if options.prefers else ""
            seen = f"in windows of {window} lines " if window else ""
            raise TrainingRefused(
                f"no example {what}{seen}is left to learn from: give more, or hold fewer files back with --held-out"
            )
    is_packed = device.is_gpu if options.is_packed is None else options.is_packed
    micro = options.micro_tokens or (GPU_MICRO_TOKENS if device.is_gpu else CPU_MICRO_TOKENS)
    shape = Shape(micro, is_packed=is_packed and not options.prefers)
    copies = (
        RandomCopies(recipe.prompt_format, material.tokenizer) if any(s.random_copies for s in recipe.stages) else None
    )

    def make_order(stage: Stage, index: int, place: Place | None) -> Order:
        sources = []
        if not stage.random_copies:
            share = options.replay_share if material.replay else 0.0
            window = stage.window_lines
            sources.append(Source(material.new[window], learnt["new"][window], 1 - share))
            if material.replay:
                sources.append(Source(material.replay[window], learnt["replay"][window], share))
        return Order(sources, stage, shape, options.seed * 1000 + index, copies, place)

    held_out = _held_out(options, material)
    has_cases = bool(held_out[NEW].indices)
    if not has_cases:
        view.note("no example is held out, so nothing tells how good it becomes: give --validation FILE")
    keeps_best = options.base is not None and has_cases
    patience = (6 if keeps_best else 0) if options.patience is None else options.patience
    if patience and not has_cases:
        raise TrainingRefused("--patience needs held-out examples: give --validation FILE or a larger --held-out")
    if options.compiles:
        if not device.is_gpu:
            raise TrainingRefused("--compile is for a GPU: on a CPU it takes minutes to compile and gains nothing")
        material.model.model.compile(dynamic=True)
    return Run(
        folder=options.out,
        recipe=recipe,
        model=material.model,
        optimisers=optimisers(material.model, recipe.optimiser, has_adapters=material.adapted is not None),
        objective=_objective(options, material, shape),
        device=device,
        make_order=make_order,
        held_out=held_out,
        stopping=Stopping(patience, keeps_best=keeps_best),
        settings=material.settings,
        view=view,
    )


def _objective(options: Options, material: _Material, shape: Shape) -> Objective:
    if options.prefers:
        before = copy.deepcopy(material.model)
        return Preference(before, material.device, options.beta, options.supervised_part)
    weights = material.recipe.weights
    weighing = Weighing(weight_table(weights), weights.prompt_part)
    return Supervised(weighing, material.device, is_packed=shape.is_packed)


def _rows(
    examples: ArraySet, held_out_share: float, kept_back: NDArray[np.uint64] | None, prefers: bool
) -> NDArray[np.int64]:
    """Those to learn from: of files that are not looked at, and with a worse answer where that is needed."""
    files = examples.rows["file"]
    is_learnt = ~is_held_out(files, held_out_share) if kept_back is None else ~np.isin(files, kept_back)
    if prefers:
        is_learnt &= examples.rows["rejected_length"] > 0
    return np.flatnonzero(is_learnt)


def _held_out(options: Options, material: _Material) -> dict[str, HeldOut]:
    window = material.recipe.stages[-1].window_lines
    per_task = material.recipe.held_out_per_task
    found: dict[str, HeldOut] = {}
    if material.validation is not None:
        everything = np.arange(len(material.validation))
        found[NEW] = HeldOut(material.validation, choose(material.validation, everything, per_task, options.seed))
    sets = {NEW: material.new, STANDARD: material.replay}
    for name, chosen in sets.items():
        if name in found or window not in chosen:
            continue
        examples = chosen[window]
        # Examples for replay are many: with --validation of the new ones, some of them are held out all the same.
        share = material.held_out_share or (0.05 if name == STANDARD else 0.0)
        rows = np.flatnonzero(is_held_out(examples.rows["file"], share))
        found[name] = HeldOut(examples, choose(examples, rows, per_task, options.seed))
    return found


def _finished(options: Options, material: _Material, run: Run, ending: Ending, view: View) -> Outcome:
    """Write the network, draw the curves."""
    run.take_best()
    model = adapters.merged(material.adapted) if material.adapted is not None else material.model
    folder = options.out / MODEL_FOLDER
    network.save(model, material.tokenizer, material.recipe.prompt_format_name, folder)
    lines = read_log(options.out)
    if ending is Ending.TIME:
        view.note(f"the curves so far: foretype train --plot {options.out}")
    elif can_draw():
        draw(lines, options.out / PLOT_NAME)
    else:
        view.note("the curves are not drawn: matplotlib is not there (pip install 'foretype[report]')")
    looks = {name: next((line[name] for line in reversed(lines) if name in line), None) for name in (NEW, STANDARD)}
    return Outcome(
        ending=ending,
        model=folder,
        steps=run.progress.step,
        tokens=run.progress.tokens,
        seconds=round(run.progress.seconds, 1),
        best_step=run.progress.best_step if run.stopping.keeps_best else None,
        looks={name: found for name, found in looks.items() if found is not None},
    )


def _settings(
    options: Options, recipe: Recipe, device: Device, keys: Mapping[str, str], held_out_share: float
) -> dict[str, Any]:
    """What a resumed run must have in common with its beginning."""
    told_recipe = asdict(recipe)
    return {
        "recipe": json.loads(json.dumps(told_recipe)),
        "seed": options.seed,
        "base": None if options.base is None else str(options.base.resolve()),
        "lora_rank": options.lora_rank,
        "prefers": options.prefers,
        "beta": options.beta if options.prefers else None,
        "sources": list(options.sources),
        "replay": list(options.replay),
        "replay_share": options.replay_share if options.replay else 0.0,
        "held_out_share": held_out_share,
        "examples": dict(keys),
        "number_type": str(device.number_type).removeprefix("torch."),
    }


def _settings_there(out: Path) -> dict[str, Any]:
    path = out / SETTINGS_NAME
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _check_settings(options: Options, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises TrainingRefused where a checkpoint is there that was made otherwise."""
    if not any((options.out / "checkpoints").glob("step-*.pt")):
        return
    for key, value in now.items():
        if earlier.get(key) != value:
            shown = "the files of examples have changed since" if key == "examples" else f"{key} was another"
            raise TrainingRefused(
                f"{options.out} holds a training that began otherwise ({shown}): choose another folder with --out"
            )


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """The folder is this process's; raises OutputRefused where another trains in it."""
    lock = FileLock(out / LOCK_NAME)
    try:
        if not lock.take():
            raise OutputRefused(f"another training writes {out}; wait for it, or choose another folder with --out")
        yield
    finally:
        lock.close()


def _quiet_libraries() -> AbstractContextManager[None]:
    """Transformers' own bars and advice would tear the view apart."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers does not type it
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return nullcontext()
