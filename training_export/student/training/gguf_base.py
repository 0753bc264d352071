"""A GGUF as what a training starts from: its weights made full numbers again, and its tokenizer.

So the student that is shipped can be trained on where nothing else of it is at hand. Weights are read by transformers;
the tokenizer is rebuilt here, because it splits text as llama.cpp does.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Final

import torch
from gguf import GGUFReader, TokenType
from tokenizers import AddedToken, Tokenizer, models
from transformers import AutoModelForCausalLM, PreTrainedModel

from training_export.errors import TrainingRefused
from training_export.student.tokenizer import with_runtime_split
from training_export.student.training.network import ARCHITECTURES, Base

OUR_SPLIT: Final = "gpt-2"  # how llama.cpp splits for the tokenizers we make


def from_gguf(path: Path) -> Base:
    """Raises TrainingRefused for an unreadable file, another architecture, or a tokenizer that is not ours."""
    try:
        fields = GGUFReader(path).fields
    except (OSError, ValueError, IndexError) as error:
        raise TrainingRefused(f"{path} cannot be read as GGUF: {error}") from error
    architecture = _text(fields, "general.architecture")
    if architecture not in ARCHITECTURES:
        raise TrainingRefused(
            f"{path} is of the architecture {architecture}; foretype trains {' and '.join(ARCHITECTURES)}"
        )
    if (_text(fields, "tokenizer.ggml.model"), _text(fields, "tokenizer.ggml.pre")) != ("gpt2", OUR_SPLIT):
        raise TrainingRefused(
            f"{path} has another kind of tokenizer than foretype makes; give its folder in Hugging Face's form"
        )
    model = _weights(path)
    return Base(model, _tokenizer(fields), _text(fields, "foretype.prompt_format"))


def _weights(path: Path) -> PreTrainedModel:
    try:
        loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise TrainingRefused(f"the weights in {path} cannot be loaded: {error}") from error
    return _plain(loaded)


def _plain(loaded: PreTrainedModel) -> PreTrainedModel:
    """A network of the same weights that transformers saves; it saves none it read from a GGUF, full numbers or not."""
    config = copy.deepcopy(loaded.config)
    del config.quantization_config
    config.use_cache = False
    model = type(loaded)(config)
    model.load_state_dict(loaded.state_dict())
    return model


def _tokenizer(fields: dict[str, Any]) -> Tokenizer:
    tokens = _texts(fields, "tokenizer.ggml.tokens")
    pairs = (merge.partition(" ") for merge in _texts(fields, "tokenizer.ggml.merges"))
    merges = [(first, second) for first, _, second in pairs]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    made = with_runtime_split(Tokenizer(models.BPE(vocab=vocabulary, merges=merges)))
    kinds = fields["tokenizer.ggml.token_type"]
    control = [
        token for token, part in zip(tokens, kinds.data, strict=True) if int(kinds.parts[part][0]) == TokenType.CONTROL
    ]
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return made


def _text(fields: dict[str, Any], key: str) -> str:
    found = fields.get(key)
    return "" if found is None else bytes(found.parts[found.data[0]]).decode()


def _texts(fields: dict[str, Any], key: str) -> list[str]:
    found = fields[key]
    return [bytes(found.parts[part]).decode() for part in found.data]
