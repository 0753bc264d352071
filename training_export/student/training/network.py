"""The network: made from nothing, or taken from a run or a folder of Hugging Face's; checked against its tokenizer.

All are causal models of transformers (Qwen2 and Llama), measured no slower than our own module was. Knows nothing of
data and of how they are trained.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from tokenizers import AddedToken, Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from training_export.errors import TrainingRefused
from training_export.student.tokenizer import token_id
from training_export.student.training.batches import Batch
from training_export.student.training.looking_back import look_back
from training_export.student.training.recipe import Recipe, Sizes
from training_export.student.training.run_files import MODEL_FOLDER, TOKENIZER_NAME, writing

INITIAL_SCALE: Final = 0.02  # standard deviation of fresh weights
ARCHITECTURES: Final = ("qwen2", "llama")
FORMAT_KEY: Final = "foretype_prompt_format"  # in config.json


@dataclass(frozen=True, slots=True)
class Base:
    """What a training starts from. ``prompt_format`` is empty where nothing says which one it speaks."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    prompt_format: str = ""


def fresh(sizes: Sizes, tokenizer: Tokenizer) -> PreTrainedModel:
    """A network of random weights, by torch's generator."""
    shared: dict[str, Any] = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": sizes.width,
        "intermediate_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.key_value_heads,
        "max_position_embeddings": sizes.context_tokens,
        "rms_norm_eps": sizes.norm_epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": sizes.rotary_base},
        "tie_word_embeddings": sizes.is_tied,
        "initializer_range": INITIAL_SCALE,
        "bos_token_id": None,
        "eos_token_id": None,
        "use_cache": False,
        "attn_implementation": "sdpa",
    }
    if sizes.architecture == "llama":
        model: PreTrainedModel = LlamaForCausalLM(LlamaConfig(**shared))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**shared))
    with torch.no_grad():
        _embeddings(model).mul_(sizes.embedding_scale / INITIAL_SCALE)
        for name, value in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.normal_(value, std=INITIAL_SCALE / (2 * sizes.layers) ** 0.5)
    if sizes.looks_back and isinstance(model, Qwen2ForCausalLM):
        look_back(model)
    return model


def from_folder(folder: Path) -> Base:
    """A model in Hugging Face's form, or the one a run has come to. Raises TrainingRefused."""
    if (folder / MODEL_FOLDER / "config.json").exists():
        folder = folder / MODEL_FOLDER
    for name in ("config.json", TOKENIZER_NAME):
        if not (folder / name).exists():
            raise TrainingRefused(
                f"{folder} holds no {name}: --base takes a GGUF, a run's folder, or a folder in Hugging Face's form"
            )
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = config.get("model_type")
        if kind not in ARCHITECTURES:
            raise TrainingRefused(
                f"{folder} is of the architecture {kind}; foretype trains {' and '.join(ARCHITECTURES)}"
            )
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
        )
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_NAME))
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise TrainingRefused(f"the model in {folder} cannot be loaded: {reason}; fetch or save it anew") from error
    model.config.use_cache = False
    return Base(model, tokenizer, str(config.get(FORMAT_KEY, "")))


def fit_tokenizer(base: Base, recipe: Recipe, *, adds_tokens: bool) -> tuple[int, ...]:
    """Make sure that the tokenizer fits network and format; returns the ids of tokens that were added.

    Raises TrainingRefused for one with more tokens than the network has embeddings, and where control tokens of the
    format are missing that were not asked to be added.
    """
    rows = _embeddings(base.model).shape[0]
    size = base.tokenizer.get_vocab_size()
    if size > rows:
        raise TrainingRefused(
            f"the tokenizer has {size:,} tokens and the network embeddings for {rows:,}: they were not made for each "
            "other; give the tokenizer that came with the network"
        )
    missing = [token for token in recipe.control_tokens if base.tokenizer.token_to_id(token) is None]
    if not missing:
        return ()
    if not adds_tokens:
        shown = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
        raise TrainingRefused(
            f"the tokenizer has no {shown}, which {recipe.prompt_format_name} needs as single tokens; "
            "--add-tokens adds them, with new embeddings"
        )
    base.tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in missing])
    size = base.tokenizer.get_vocab_size()
    if size > rows:
        base.model.resize_token_embeddings(size, mean_resizing=True)
    return tuple(token_id(base.tokenizer, token) for token in missing)


def save(model: PreTrainedModel, tokenizer: Tokenizer, prompt_format: str, folder: Path) -> None:
    """Write network and tokenizer in Hugging Face's form; the folder appears whole, or the old one stays.

    Raises RunUnwritable.
    """
    part = folder.with_name(f".{folder.name}.part")
    with writing(folder):
        shutil.rmtree(part, ignore_errors=True)
        setattr(model.config, FORMAT_KEY, prompt_format)
        try:
            model.save_pretrained(part)
            (part / TOKENIZER_NAME).write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
        except SafetensorError as error:  # its own kind for a full disk
            shutil.rmtree(part, ignore_errors=True)
            raise OSError(0, str(error)) from error
        except OSError:
            shutil.rmtree(part, ignore_errors=True)
            raise
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def hidden_states(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Final hidden states (rows, tokens, width), behind the last norm."""
    mask: Any = batch.mask
    if mask is None and batch.positions is not None:
        # Gaps would be taken for the borders of packed rows where no mask is given.
        size = batch.tokens.shape[1]
        mask = torch.ones(size, size, dtype=torch.bool, device=batch.tokens.device).tril()[None, None]
    found: Tensor = model.model(
        input_ids=batch.tokens, attention_mask=mask, position_ids=batch.positions, use_cache=False
    ).last_hidden_state
    return found


def logits(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Hidden states (..., width) to logits (..., vocabulary)."""
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # transformers does not type it
    found: Tensor = head(hidden)
    return found


def block_matrices(model: PreTrainedModel) -> Sequence[nn.Parameter]:
    """The matrices within the blocks that are trained."""
    return [value for value in model.model.layers.parameters() if value.ndim == 2 and value.requires_grad]


def _embeddings(model: PreTrainedModel) -> Tensor:
    """(vocabulary, width)."""
    found: Any = model.get_input_embeddings()
    weight: Tensor = found.weight
    return weight
