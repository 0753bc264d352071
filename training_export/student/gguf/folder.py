"""A fine-tuned model as transformers saves it: config, weights in safetensors, tokenizer. Reads nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from training_export.errors import ConversionRefused, ExtraMissing
from training_export.student.gguf.network import Network
from training_export.student.gguf.tensors import Floats, Weights
from training_export.student.gguf.vocabulary import SpecialTokens
from training_export.student.gguf.writing import Trained
from training_export.student.training.encoding import end_of_text_id
from training_export.student.training.run_files import MODEL_FOLDER, TOKENIZER_NAME

CONFIG, GENERATION, ADAPTER = "config.json", "generation_config.json", "adapter_config.json"
FORMAT_KEY: Final = "foretype_prompt_format"  # in the config of what was trained here
ONE_FILE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"


class FolderWeights:
    """`Weights` in one safetensors file or several."""

    def __init__(self, folder: Path) -> None:
        """Raises ConversionRefused where there are none, ExtraMissing without safetensors."""
        try:
            from safetensors import SafetensorError, safe_open  # noqa: PLC0415 (with transformers)
        except ImportError as error:
            raise ExtraMissing("reading trained weights", "safetensors", "train") from error
        names = [ONE_FILE]
        if (folder / INDEX).is_file():
            names = sorted(set(_json(folder / INDEX).get("weight_map", {}).values()))
        self._files: list[Any] = []
        for name in names:
            if not (folder / name).is_file():
                raise ConversionRefused(
                    f"{folder} has no {name}; save the model there with save_pretrained, which writes safetensors"
                )
            try:
                self._files.append(safe_open(folder / name, framework="pt"))
            except (SafetensorError, OSError) as error:
                raise ConversionRefused(f"{folder / name} cannot be read ({error}); save the model again") from error

    @cached_property
    def _file_of(self) -> dict[str, Any]:
        return {name: file for file in self._files for name in file.keys()}  # noqa: SIM118 (it is no mapping)

    def names(self) -> Collection[str]:
        """See `Weights`."""
        return self._file_of.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """See `Weights`."""
        return tuple(self._file_of[name].get_slice(name).get_shape())

    def array(self, name: str) -> Floats:
        """See `Weights`."""
        found: Floats = self._file_of[name].get_tensor(name).float().numpy()
        return found


@dataclass(frozen=True, slots=True)
class Found:
    """A model, and the prompt format it was taught; empty where the config does not say."""

    trained: Trained
    prompt_format: str


def read_folder(folder: Path) -> Found:
    """The model in ``folder``, or the one that a training run in it has come to.

    Raises ConversionRefused, naming the file and what to do.
    """
    if (folder / MODEL_FOLDER / CONFIG).is_file():
        folder = folder / MODEL_FOLDER
    if not (folder / CONFIG).is_file():
        cure = "merge the adapter into its model and save that" if (folder / ADAPTER).is_file() else "name its folder"
        raise ConversionRefused(f"{folder} holds no {CONFIG}, so no model that transformers saved; {cure}")
    if not (folder / TOKENIZER_NAME).is_file():
        raise ConversionRefused(f"{folder} has no {TOKENIZER_NAME}; save the tokenizer there with save_pretrained")
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_NAME))
    except Exception as error:  # tokenizers raises no narrower kind
        raise ConversionRefused(f"{folder / TOKENIZER_NAME} cannot be read ({error}); save it again") from error
    config = _json(folder / CONFIG)
    generation = _json(folder / GENERATION) if (folder / GENERATION).is_file() else {}
    trained = trained_model({**config, **_known(generation)}, FolderWeights(folder), tokenizer)
    return Found(trained, str(config.get(FORMAT_KEY, "")))


def trained_model(config: Mapping[str, Any], weights: Weights, tokenizer: Tokenizer) -> Trained:
    """Of a model's config (``config.to_dict()``), weights (``StateWeights(model.state_dict())``) and tokenizer.

    Raises ConversionRefused.
    """
    return Trained(Network.from_config(config), weights, tokenizer, special_tokens(config, tokenizer))


def special_tokens(config: Mapping[str, Any], tokenizer: Tokenizer) -> SpecialTokens:
    """What ends an answer in training, then what the config says; raises ConversionRefused where nothing does."""
    stated = config.get("eos_token_id")
    ends = list(stated) if isinstance(stated, list) else [] if stated is None else [stated]
    with suppress(KeyError):
        ends.insert(0, end_of_text_id(tokenizer))
    if not ends:
        raise ConversionRefused("the config has no eos_token_id, so no answer would ever end; set it and save it again")
    return SpecialTokens(tuple(dict.fromkeys(ends)), config.get("bos_token_id"), config.get("pad_token_id"))


def _known(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if value is not None}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConversionRefused(f"{path} cannot be read ({error}); save the model again") from error
    if not isinstance(found, dict):
        raise ConversionRefused(f"{path} is no JSON object; save the model again")
    return found
