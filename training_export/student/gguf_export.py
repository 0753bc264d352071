"""Write a trained student as GGUF: ``python -m training_export.student.gguf_export RUN OUT.gguf``.

Matrices as Q8_0 (blocks of 32), norms and biases as float32, under llama.cpp's ``qwen2`` architecture; the
output matrix is the embedding. The prompt format's name travels in the file, so the daemon never guesses.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer

from training_export.student.model import Student, StudentConfig
from training_export.student.recipe import RECIPES
from training_export.student.tokenizer import END_OF_TEXT, load_tokenizer, special_tokens, token_id

ARCHITECTURE = "qwen2"
STUDENT_NAME = "foretype student"
LICENCE = "apache-2.0"
MIN_CONFIDENCE_KEY = "foretype.min_confidence"

# Ours -> llama.cpp's; {} is the block number.
BLOCK_NAMES = {
    "attention_norm.weight": "attn_norm.weight",
    "attention.query.weight": "attn_q.weight",
    "attention.query.bias": "attn_q.bias",
    "attention.key.weight": "attn_k.weight",
    "attention.key.bias": "attn_k.bias",
    "attention.value.weight": "attn_v.weight",
    "attention.value.bias": "attn_v.bias",
    "attention.output.weight": "attn_output.weight",
    "feed_forward_norm.weight": "ffn_norm.weight",
    "gate.weight": "ffn_gate.weight",
    "up.weight": "ffn_up.weight",
    "down.weight": "ffn_down.weight",
}


def write_gguf(model: Student, tokenizer: Tokenizer, path: Path, *, prompt_format: str, version: str) -> None:
    """Write ``model`` and ``tokenizer`` to ``path``; raises OSError when it cannot be written."""
    writer = gguf.GGUFWriter(str(path), ARCHITECTURE)
    _write_metadata(writer, model.config, prompt_format, version)
    _write_tokenizer(writer, tokenizer)
    _write_tensors(writer, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_metadata(writer: gguf.GGUFWriter, config: StudentConfig, prompt_format: str, version: str) -> None:
    writer.add_name(STUDENT_NAME)
    writer.add_version(version)
    writer.add_license(LICENCE)
    writer.add_string("foretype.prompt_format", prompt_format)
    writer.add_float32(MIN_CONFIDENCE_KEY, 0.0)  # calibrate.py sets it
    writer.add_context_length(config.context_tokens)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.hidden)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.heads)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_rope_freq_base(config.rotary_base)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    size = tokenizer.get_vocab_size()
    tokens = [str(tokenizer.id_to_token(index)) for index in range(size)]
    special = special_tokens(tokenizer)
    kinds = [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_eos_token_id(token_id(tokenizer, END_OF_TEXT))
    writer.add_add_bos_token(False)


def _write_tensors(writer: gguf.GGUFWriter, model: Student) -> None:
    def add(name: str, tensor: torch.Tensor) -> None:
        array = tensor.detach().to(torch.float32).cpu().numpy()
        if array.ndim == 1:
            writer.add_tensor(name, array)
            return
        quantised = gguf.quants.quantize(array, gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, np.ascontiguousarray(quantised), raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    add("token_embd.weight", model.embedding.weight)
    for index, block in enumerate(model.blocks):
        state = block.state_dict()
        for ours, theirs in BLOCK_NAMES.items():
            add(f"blk.{index}.{theirs}", state[ours])
    add("output_norm.weight", model.norm.weight)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run has come to."""

    model: Student
    tokenizer: Tokenizer
    recipe: str
    step: int
    seconds: float


def load_checkpoint(run: Path) -> Trained:
    """The newest checkpoint of a training run; raises OSError when there is none."""
    state = torch.load(run / "checkpoint.pt", map_location="cpu")
    model = Student(StudentConfig(**state["config"]))
    model.load_state_dict(state["model"])
    return Trained(model, load_tokenizer(run / "tokenizer.json"), state["recipe"], state["step"], state["seconds"])


def main() -> None:
    """Parse arguments and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--version", default="2")
    options = parser.parse_args()
    trained = load_checkpoint(options.run)
    prompt_format = RECIPES[trained.recipe].prompt_format.name
    write_gguf(trained.model, trained.tokenizer, options.out, prompt_format=prompt_format, version=options.version)
    size = options.out.stat().st_size
    sys.stdout.write(json.dumps({"bytes": size, "step": trained.step, "seconds": trained.seconds}) + "\n")


if __name__ == "__main__":
    main()
