"""The student network: a small Llama-family decoder, laid out as llama.cpp's ``qwen2`` architecture computes it.

Pre-norm blocks of grouped rotary attention (the head split in two halves, as in llama.cpp's NEOX rotation) and
SwiGLU; embeddings tied to the output. Knows nothing of data or optimisers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

INITIAL_SCALE = 0.02  # standard deviation of fresh weights


@dataclass(frozen=True, slots=True)
class StudentConfig:
    """Sizes; ``width`` is a multiple of 32 (Q8_0 blocks) and of the head size (at most 64)."""

    vocabulary_size: int = 4096
    width: int = 256
    layers: int = 6
    heads: int = 4
    hidden: int = 768
    context_tokens: int = 1024
    rotary_base: float = 10_000.0
    norm_epsilon: float = 1e-6
    embedding_scale: float = INITIAL_SCALE  # standard deviation of a fresh embedding

    @property
    def head_size(self) -> int:
        """Dimensions of one attention head."""
        return self.width // self.heads


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.output = nn.Linear(config.width, config.width, bias=False)

    def forward(self, hidden: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        batch, tokens, width = hidden.shape
        shape = (batch, tokens, self.heads, width // self.heads)
        query = rotate(self.query(hidden).view(shape).transpose(1, 2), cosine, sine)
        key = rotate(self.key(hidden).view(shape).transpose(1, 2), cosine, sine)
        value = self.value(hidden).view(shape).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        attended: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return attended


class Block(nn.Module):
    """Attention and a gated feed-forward layer, each behind an RMS norm."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width, eps=config.norm_epsilon)
        self.attention = Attention(config)
        self.feed_forward_norm = nn.RMSNorm(config.width, eps=config.norm_epsilon)
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, hidden: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        hidden = hidden + self.attention(self.attention_norm(hidden), cosine, sine)
        normed = self.feed_forward_norm(hidden)
        fed: Tensor = self.down(functional.silu(self.gate(normed)) * self.up(normed))
        return hidden + fed


class Student(nn.Module):
    """Token ids to logits."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=config.norm_epsilon)
        half = config.head_size // 2
        frequencies = config.rotary_base ** (-torch.arange(half, dtype=torch.float32) / half)
        angles = torch.outer(torch.arange(config.context_tokens, dtype=torch.float32), frequencies)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        self.apply(self._initialise)
        with torch.no_grad():
            self.embedding.weight.mul_(config.embedding_scale / INITIAL_SCALE)
        for block in self.blocks:
            for name in ("attention.output", "down"):
                nn.init.normal_(
                    block.get_submodule(name).get_parameter("weight"), std=INITIAL_SCALE / (2 * config.layers) ** 0.5
                )

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=INITIAL_SCALE)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Token ids (batch, tokens) to final hidden states (batch, tokens, width).

        ``positions`` (batch, tokens) are where the tokens stand, one behind the other where none are given.
        """
        where = torch.arange(tokens.shape[1], device=tokens.device) if positions is None else positions.unsqueeze(1)
        cosine, sine = self.get_buffer("cosine")[where], self.get_buffer("sine")[where]
        hidden = self.embedding(tokens)
        for block in self.blocks:
            hidden = block(hidden, cosine, sine)
        normed: Tensor = self.norm(hidden)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., width) to logits (..., vocabulary), through the tied embedding."""
        return functional.linear(hidden, self.embedding.weight)


def rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions on (batch, heads, tokens, size): dimension i is paired with i + size / 2."""
    cosine, sine = cosine.to(heads.dtype), sine.to(heads.dtype)
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
