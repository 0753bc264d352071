"""Rows for trl out of formatted examples, and beside them what a trainer must know of the format.

``SFTTrainer`` reads prompt and completion and learns from the completion alone; ``DPOTrainer`` reads prompt, chosen and
rejected; plain text is for trainers that find the answer by its delimiters. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import orjson

from daemon.errors import BadArgument
from daemon.prompts.base import PromptFormat
from training_export.example_format.files import Loaded, suffix_of
from training_export.example_format.records import Prompt
from training_export.running.outputs import working_on, writing
from training_export.running.sources import opened
from training_export.stages.formatting import provider_of

Row = dict[str, str]
DESCRIPTION_SUFFIX = ".format.json"
DESCRIPTION_PART = "description.part"


class RowKind(Enum):
    """What reads the rows."""

    SFT = "sft"
    DPO = "dpo"
    TEXT = "text"


def check_rows_path(path: Path, *, force: bool) -> None:
    """Raises BadArgument where rows cannot be written there; rows of ours are replaced without ``force``."""
    if suffix_of(path.name) != ".jsonl":
        raise BadArgument(f"{path} must end in .jsonl, .jsonl.gz or .jsonl.zst")
    if not path.parent.is_dir():
        raise BadArgument(f"there is no folder {path.parent}")
    # The description is there before the rows are: who was killed between the two begins again.
    if path.exists() and not _description_beside(path).exists() and not force:
        raise BadArgument(f"{path} exists, and `format` has not made it; --force replaces it")


def write_rows(formatted: str, kind: RowKind, path: Path, prompt_format: PromptFormat) -> int:
    """Write a row for each example of a file that has what the kind needs; returns how many.

    Beside it stands ``PATH.format.json``: where an answer begins, what ends it, what must be a token of its own.
    Examples whose prompt is in another format are passed over. Raises ExamplesUnreadable, ExamplesUnwritable,
    OutputRefused.
    """
    provider = provider_of(prompt_format)
    with working_on(str(path), force=True) as work, writing(str(path), work) as (lines, _):
        for found in opened([formatted]):
            prompt = found.example.prompt if isinstance(found, Loaded) else None
            row = _ROWS[kind](prompt) if prompt is not None and prompt.provider == provider else None
            if row is not None:
                lines.write(orjson.dumps(row))
        described = {**describe(prompt_format), "rows": lines.count, "kind": kind.value}
        if work is not None:
            part = work.path / DESCRIPTION_PART
            part.write_bytes(orjson.dumps(described, option=orjson.OPT_INDENT_2) + b"\n")
            part.replace(_description_beside(work.target))
        return lines.count


def describe(prompt_format: PromptFormat) -> dict[str, Any]:
    """What a trainer must know: the two delimiters, and the texts that have to be one token each."""
    return {
        "format": prompt_format.name,
        "prompt_start": prompt_format.delimiters.prompt_start,
        "answer_start": prompt_format.delimiters.answer_start,
        "control_tokens": list(prompt_format.control_tokens),
    }


def _description_beside(path: Path) -> Path:
    return path.with_name(path.name + DESCRIPTION_SUFFIX)


def _completion(prompt: Prompt) -> Row | None:
    if prompt.expected_output is None:
        return None
    return {"prompt": prompt.input + (prompt.prefill or ""), "completion": prompt.expected_output}


def _pair(prompt: Prompt) -> Row | None:
    if prompt.expected_output is None or prompt.rejected_output is None:
        return None
    chosen, rejected = prompt.expected_output, prompt.rejected_output
    return {"prompt": prompt.input + (prompt.prefill or ""), "chosen": chosen, "rejected": rejected}


def _text(prompt: Prompt) -> Row | None:
    row = _completion(prompt)
    return None if row is None else {"text": row["prompt"] + row["completion"]}


_ROWS: Mapping[RowKind, Callable[[Prompt], Row | None]] = {
    RowKind.SFT: _completion,
    RowKind.DPO: _pair,
    RowKind.TEXT: _text,
}
