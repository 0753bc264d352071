"""What a GGUF says of itself and what it is made of, for its card. Knows nothing of how good it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_export.student.evaluation.gate import opened_gguf


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Empty texts and zeros where the file does not say; ``number_types`` with their shares of all numbers."""

    name: str
    version: str
    licence: str
    architecture: str
    prompt_format: str
    parameters: int
    layers: int
    width: int
    heads: int
    vocabulary_tokens: int
    context_tokens: int
    number_types: tuple[tuple[str, float], ...]
    size_bytes: int


def read_model(path: Path) -> ModelFacts:
    """Raises ModelUnusable, ExtraMissing."""
    reader = opened_gguf(path, "r")

    def value(key: str, default: Any) -> Any:
        field = reader.fields.get(key)
        return default if field is None else field.contents()

    architecture = str(value("general.architecture", ""))
    numbers: Counter[str] = Counter()
    for tensor in reader.tensors:
        numbers[tensor.tensor_type.name] += int(tensor.n_elements)
    whole = numbers.total()
    return ModelFacts(
        name=str(value("general.name", path.stem)),
        version=str(value("general.version", "")),
        licence=str(value("general.license", "")),
        architecture=architecture,
        prompt_format=str(value("foretype.prompt_format", "")),
        parameters=whole,
        layers=int(value(f"{architecture}.block_count", 0)),
        width=int(value(f"{architecture}.embedding_length", 0)),
        heads=int(value(f"{architecture}.attention.head_count", 0)),
        vocabulary_tokens=len(value("tokenizer.ggml.tokens", ())),
        context_tokens=int(value(f"{architecture}.context_length", 0)),
        number_types=tuple((kind, count / whole) for kind, count in numbers.most_common()),
        size_bytes=path.stat().st_size,
    )
