"""LoRA through peft: small matrices beside the network's own, which stay as they are until both are made one.

Knows nothing of training.
"""

from __future__ import annotations

import copy
import importlib
import warnings
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel

from training_export.errors import ExtraMissing


def with_adapters(model: PreTrainedModel, rank: int, added_tokens: Sequence[int]) -> Any:
    """The network with adapters at all of its blocks' matrices; only these are trained, and embeddings of added tokens.

    The network itself is changed: it computes with the adapters from now on. Raises ExtraMissing without peft.
    """
    try:
        peft = importlib.import_module("peft")
    except ImportError as error:
        raise ExtraMissing("--lora", "peft", "train") from error
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        trainable_token_indices={"embed_tokens": list(added_tokens)} if added_tokens else None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of names that transformers is about to drop
        return peft.get_peft_model(model, config)


def merged(adapted: Any) -> PreTrainedModel:
    """The network with the adapters worked in; what was given stays as it is."""
    found: PreTrainedModel = copy.deepcopy(adapted).merge_and_unload()
    return found
