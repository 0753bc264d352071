"""What the extra `train` brings, looked for before a command that needs it does anything."""

from __future__ import annotations

from importlib.util import find_spec

from training_export.errors import ExtraMissing


def check_gguf_is_there(command: str) -> None:
    """Raises ExtraMissing, which says what to install."""
    for library in ("gguf", "tokenizers"):
        if find_spec(library) is None:
            raise ExtraMissing(f"`{command}`", library, "train")
