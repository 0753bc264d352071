"""What a small next-edit model needs from the first step: copying, and naming a line. Set by hand, then pinned.

Copying takes two attention layers that find each other only after millions of tokens (docs/LOG.md); naming the
line that changes takes a head that carries a line's number from where the line stands to the answer. Both are
written into the fresh weights here:

- The residual stream is divided: line numbers, the previous token, the one before it, the token itself.
- Block 0, heads 0 and 1 look one and two tokens back (constant queries and keys, fast rotary dimensions) and
  write a random projection of what they see.
- Block 1, heads 1 to 3 look for the place where the same two tokens stood before (slow rotary dimensions, so
  that distance does not matter) and copy the token that followed, a slice of its embedding each.
- Line numbers have a channel of their own: dimensions that only a line token's embedding and the values copied by
  attention heads from block 2 on write to. Any head that learns to look at the right line also says its number.
  (Without the channel, heads looked at the right line within 200 steps and its number still drowned: docs/LOG.md.)

``pins`` keeps these weights still until training releases them; the rest of the network learns around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training_export.student.model import Attention, Student

PREVIOUS_FREQUENCIES = 12  # fast rotary pairs that make a head look at one distance
PREVIOUS_SHARPNESS = 7.0
SLOW_PAIRS_FROM = 13  # of 32, at a rotary base of 1e7: less than one radian over a thousand tokens
LOOK_BACK_GAIN = 0.06  # what is written is as large as the token itself
MATCH_GAIN = 3.0
COPY_GAIN = 5.0
OUTPUT_SCALE = 0.8  # of the final norm: a copy is a guess, not a certainty
EMBEDDING_SCALE = 0.06
LINE_SCALE = 2.0
LINE_COPY_GAIN = 1.5
COPY_FROM_BLOCK = 2


@dataclass(frozen=True, slots=True)
class Pin:
    """Entries of a parameter (where ``mask`` is true) that keep their ``values``."""

    parameter: Tensor
    mask: Tensor
    values: Tensor

    def hold(self) -> None:
        """Put the values back."""
        with torch.no_grad():
            self.parameter.copy_(torch.where(self.mask, self.values, self.parameter))


class _Layout:
    """Which residual dimensions hold what."""

    def __init__(self, width: int, lines: int, slow: int) -> None:
        self.line = range(lines)
        self.previous = range(lines, lines + slow)
        self.before_previous = range(lines + slow, lines + 2 * slow)
        self.content = range(lines + 2 * slow, width)


def install(model: Student, line_tokens: Sequence[int], seed: int = 0) -> list[Pin]:
    """Write the circuits into ``model`` and return what to pin; ``line_tokens`` are the line tokens' ids."""
    generator = torch.Generator().manual_seed(seed)
    size = model.config.head_size
    half = size // 2
    slow = [*range(SLOW_PAIRS_FROM, half), *range(half + SLOW_PAIRS_FROM, size)]
    layout = _Layout(model.config.width, len(line_tokens), len(slow))
    pins = _set_embeddings(model, layout, line_tokens, generator)
    projection = _orthonormal(len(slow), len(layout.content), generator)
    mixing = _orthonormal(len(slow), len(slow), generator)
    first: Attention = model.blocks[0].get_submodule("attention")  # type: ignore[assignment]  # nn.Module to ours
    for head, (distance, target) in enumerate(((1, layout.previous), (2, layout.before_previous))):
        pins += _look_back(first, model, head, distance, projection, layout.content, target)
    second: Attention = model.blocks[1].get_submodule("attention")  # type: ignore[assignment]
    slices = torch.arange(len(layout.content)).chunk(3)
    for head, dimensions in zip((1, 2, 3), slices, strict=True):
        pins += _match_and_copy(second, size, head, slow, projection, mixing, layout, dimensions)
    for index, block in enumerate(model.blocks):
        attention: Attention = block.get_submodule("attention")  # type: ignore[assignment]
        down = block.get_submodule("down")
        pins += _open_line_channel(attention, down, len(line_tokens), copies=index >= COPY_FROM_BLOCK)
    return pins


def _set_embeddings(
    model: Student, layout: _Layout, line_tokens: Sequence[int], generator: torch.Generator
) -> list[Pin]:
    weight = model.embedding.weight
    with torch.no_grad():
        weight.zero_()
        content = torch.randn(weight.shape[0], len(layout.content), generator=generator)
        weight[:, layout.content[0] :] = EMBEDDING_SCALE * content
        for index, token in enumerate(line_tokens):
            weight[token, index] = LINE_SCALE
        model.norm.weight.fill_(OUTPUT_SCALE)
    mask = torch.zeros_like(weight, dtype=torch.bool)
    mask[:, : layout.content[0]] = True
    return [Pin(weight, mask, weight.detach().clone())]


def _look_back(
    attention: Attention,
    model: Student,
    head: int,
    distance: int,
    projection: Tensor,
    content: range,
    target: range,
) -> list[Pin]:
    """A head that attends ``distance`` tokens back and writes the projected token to ``target``."""
    size = model.config.head_size
    half = size // 2
    rows = slice(head * size, (head + 1) * size)
    frequencies = model.config.rotary_base ** (-torch.arange(half, dtype=torch.float32) / half)
    chosen = torch.arange(half) < PREVIOUS_FREQUENCIES
    amplitude = torch.where(chosen, PREVIOUS_SHARPNESS, 0.0)
    # A key points along the first axis of each pair; a query is turned back by ``distance`` steps.
    key = torch.cat([amplitude, torch.zeros(half)])
    angle = -distance * frequencies
    query = torch.cat([amplitude * angle.cos(), amplitude * angle.sin()])
    value = torch.zeros(size, model.config.width)
    value[: projection.shape[0], content[0] :] = projection
    output = torch.zeros(model.config.width, size)
    output[target[0] : target[-1] + 1, : projection.shape[0]] = LOOK_BACK_GAIN * torch.eye(projection.shape[0])
    return [
        *_set(attention.query, rows, torch.zeros(size, model.config.width), query),
        *_set(attention.key, rows, torch.zeros(size, model.config.width), key),
        *_set(attention.value, rows, value, torch.zeros(size)),
        *_set_columns(attention.output, rows, output),
    ]


def _match_and_copy(
    attention: Attention,
    size: int,
    head: int,
    slow: list[int],
    projection: Tensor,
    mixing: Tensor,
    layout: _Layout,
    dimensions: Tensor,
) -> list[Pin]:
    """A head that attends behind the same two tokens and copies a slice of what stands there."""
    width = attention.output.weight.shape[0]
    rows = slice(head * size, (head + 1) * size)
    query, key = torch.zeros(size, width), torch.zeros(size, width)
    query[slow, layout.content[0] :] = MATCH_GAIN * projection
    query[slow, layout.previous[0] : layout.previous[-1] + 1] = MATCH_GAIN * mixing
    key[slow, layout.previous[0] : layout.previous[-1] + 1] = MATCH_GAIN * torch.eye(len(slow))
    key[slow, layout.before_previous[0] : layout.before_previous[-1] + 1] = MATCH_GAIN * mixing
    value, output = torch.zeros(size, width), torch.zeros(width, size)
    for row, dimension in enumerate(dimensions.tolist()):
        value[row, layout.content[0] + dimension] = 1.0
        output[layout.content[0] + dimension, row] = COPY_GAIN * EMBEDDING_SCALE
    zero = torch.zeros(size)
    return [
        *_set(attention.query, rows, query, zero),
        *_set(attention.key, rows, key, zero),
        *_set(attention.value, rows, value, zero),
        *_set_columns(attention.output, rows, output),
    ]


def _open_line_channel(attention: Attention, down: torch.nn.Module, lines: int, *, copies: bool) -> list[Pin]:
    """Keep the feed-forward layer out of the line dimensions; let every head copy them if ``copies``."""
    weight = down.get_parameter("weight")
    output = attention.output.weight
    mask = torch.zeros_like(weight, dtype=torch.bool)
    mask[:lines] = True
    with torch.no_grad():
        weight[:lines] = 0
        output[:lines] = 0
    pins = [Pin(weight, mask, weight.detach().clone())]
    if not copies:
        output_mask = torch.zeros_like(output, dtype=torch.bool)
        output_mask[:lines] = True
        return [*pins, Pin(output, output_mask, output.detach().clone())]
    size = output.shape[0] // attention.heads
    diagonal = torch.arange(lines)
    with torch.no_grad():
        for head in range(attention.heads):
            attention.value.weight[head * size + diagonal, diagonal] += 1
            output[diagonal, head * size + diagonal] = LINE_COPY_GAIN
    return pins


def _set(linear: torch.nn.Linear, rows: slice, weight: Tensor, bias: Tensor) -> list[Pin]:
    with torch.no_grad():
        linear.weight[rows] = weight
        linear.bias[rows] = bias
    weight_mask = torch.zeros_like(linear.weight, dtype=torch.bool)
    weight_mask[rows] = True
    bias_mask = torch.zeros_like(linear.bias, dtype=torch.bool)
    bias_mask[rows] = True
    return [
        Pin(linear.weight, weight_mask, linear.weight.detach().clone()),
        Pin(linear.bias, bias_mask, linear.bias.detach().clone()),
    ]


def _set_columns(linear: torch.nn.Linear, columns: slice, weight: Tensor) -> list[Pin]:
    with torch.no_grad():
        linear.weight[:, columns] = weight
    mask = torch.zeros_like(linear.weight, dtype=torch.bool)
    mask[:, columns] = True
    return [Pin(linear.weight, mask, linear.weight.detach().clone())]


def _orthonormal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """``rows`` orthonormal rows of ``columns`` dimensions."""
    basis, _ = torch.linalg.qr(torch.randn(columns, rows, generator=generator))
    orthonormal: Tensor = basis.T.contiguous()
    return orthonormal
