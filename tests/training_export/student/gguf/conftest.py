"""Models small enough to make in a test, of the kinds that are written: their modules, tokenizers and files."""

# ruff: noqa: PLC0415  torch and transformers are loaded where a test asks for a model
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

WORDS = "def return for in self if not value count total price name index import class None True print range len"
TEXT = "".join(
    f"    {word}_{other} = {word}({other}, {len(word)})\n" for word in WORDS.split() for other in WORDS.split()
)
CONTROLS = ("<|end_of_text|>", "<|start|>")
SIZES = {
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-6,
}
UNUSED_ROWS = 5  # of the embedding, beyond the tokenizer's tokens


@dataclass
class Small:
    """A transformers model with random weights, and what is written of it."""

    module: Any
    trained: Any

    def logits(self, tokens: list[int]) -> Any:
        """torch's, (tokens, vocabulary)."""
        import torch

        with torch.no_grad():
            return self.module(torch.tensor([tokens])).logits[0].numpy()


@pytest.fixture(scope="session")
def tokenizer_of() -> Callable[..., Any]:
    """Makes a byte-level BPE tokenizer that cuts text in one of the ways llama.cpp knows."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers

    split = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )

    def bytes_(*, use_regex: bool) -> Any:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)

    def by(pattern: str) -> Any:
        parts = [pre_tokenizers.Split(Regex(split % pattern), "isolated"), bytes_(use_regex=False)]
        return pre_tokenizers.Sequence(parts)

    cuttings = {
        "gpt-2": lambda: bytes_(use_regex=True),
        "smollm": lambda: pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), bytes_(use_regex=True)]
        ),
        "qwen2": lambda: by(r"\p{N}"),
        "llama-bpe": lambda: by(r"\p{N}{1,3}"),
    }

    def make(cutting: str, text: str = TEXT, size: int = 600, controls: tuple[str, ...] = CONTROLS) -> Any:
        tokenizer = Tokenizer(models.BPE(ignore_merges=cutting == "llama-bpe"))
        tokenizer.pre_tokenizer = cuttings[cutting]()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[AddedToken(control, special=True, normalized=False) for control in controls],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator([text], trainer)
        return tokenizer

    return make


@pytest.fixture(scope="session")
def small_model(tokenizer_of: Callable[..., Any]) -> Callable[..., Small]:
    """Makes a model of an architecture with random weights, none of them zero; options are those of its config."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    from training_export.student.gguf.network import Network
    from training_export.student.gguf.tensors import StateWeights
    from training_export.student.gguf.vocabulary import SpecialTokens
    from training_export.student.gguf.writing import Trained

    families = {"qwen2": (Qwen2ForCausalLM, Qwen2Config), "llama": (LlamaForCausalLM, LlamaConfig)}

    def make(architecture: str, cutting: str = "gpt-2", tokenizer: Any = None, **options: Any) -> Small:
        tokenizer = tokenizer or tokenizer_of(cutting)
        model_class, config_class = families[architecture]
        sizes = {**SIZES, "vocab_size": tokenizer.get_vocab_size() + UNUSED_ROWS, **options}
        torch.manual_seed(1)
        module = model_class(config_class(eos_token_id=0, bos_token_id=None, pad_token_id=None, **sizes)).eval()
        with torch.no_grad():
            for name, value in module.named_parameters():
                value.copy_(torch.randn_like(value) * (0.3 if value.ndim > 1 else 0.5) + float("norm" in name))
        module.tie_weights()
        network = Network.from_config(module.config.to_dict())
        return Small(module, Trained(network, StateWeights(module.state_dict()), tokenizer, SpecialTokens((0,))))

    return make


@pytest.fixture(scope="session")
def whole_gguf(small_model: Callable[..., Small], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 GGUF."""
    from training_export.student.gguf.writing import About, write_gguf

    path = tmp_path_factory.mktemp("whole") / "whole.gguf"
    about = About("small one", "7", "line_edits", "Apache-2.0", 0.25)
    write_gguf(small_model("qwen2", tie_word_embeddings=True).trained, path, about)
    return path
