"""Which prompt format a model speaks: the table of formats, and the choice for a given model.

The choice is never a guess: the setting decides, else the model file's own metadata, else a name that one
format claims; any other model is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

from daemon.prompts.base import PromptFormat
from daemon.prompts.line_edits import LineEdits
from daemon.prompts.sweep import Sweep
from daemon.prompts.zed.merge_markers import ZETA2
from daemon.prompts.zed.numbered_blocks import ZETA2_1

FORMATS: dict[str, PromptFormat] = {
    prompt_format.name: prompt_format for prompt_format in (LineEdits(), ZETA2_1, ZETA2, Sweep())
}

METADATA_KEY = "foretype.prompt_format"
NAME_KEY = "general.name"

# How models are named (see docs/formats.md). "zeta-2.5" is no zeta-2, though "zeta-2-8B" is; the v2 models of
# Sweep speak another dialect, but "sweep-next-edit-1.5b.q8_0.v2" is a second file of a v1 model.
NAME_PATTERNS: dict[str, re.Pattern[str]] = {
    ZETA2_1.name: re.compile(r"(?<![a-z])zeta[-_ ]?2[-._]1(?!\d)", re.IGNORECASE),
    ZETA2.name: re.compile(r"(?<![a-z])zeta[-_ ]?2(?!\d)(?![-._]\d+(?!\d*\.?\d*b))", re.IGNORECASE),
    Sweep.name: re.compile(r"(?<![a-z])sweep[-_ ]next[-_ ]edit(?![-_ ]?v\d)", re.IGNORECASE),
}


class UnknownModel(ValueError):
    """No format is known for a model; the message lists the formats and says how to name one."""


def choose_format(setting: str, gguf_metadata: Mapping[str, object], file_name: str) -> PromptFormat:
    """The format of a model.

    ``setting`` is the user's ``prompt_format`` (empty: not set), ``gguf_metadata`` the model file's keys,
    ``file_name`` its name or path. Raises UnknownModel when the format named is not in the table, when
    nothing names one, or when the names in the file contradict each other.
    """
    if setting.strip():
        return _named(setting.strip(), "the setting prompt_format")
    stated = gguf_metadata.get(METADATA_KEY)
    if stated is not None:
        return _named(str(stated), f"the model's metadata key {METADATA_KEY}")
    names = [str(gguf_metadata.get(NAME_KEY, "")), PurePath(file_name).name]
    claimed = {name for name, pattern in NAME_PATTERNS.items() if any(pattern.search(text) for text in names)}
    if len(claimed) == 1:
        return FORMATS[claimed.pop()]
    shown = " and ".join(repr(text) for text in names if text)
    problem = (
        f"the names {shown} point to different formats ({', '.join(sorted(claimed))})"
        if claimed
        else f"the name {shown or 'of the model'} tells no prompt format"
    )
    raise UnknownModel(f"{problem}. {_advice()}")


def _named(name: str, source: str) -> PromptFormat:
    prompt_format = FORMATS.get(name)
    if prompt_format is None:
        raise UnknownModel(f"{source} names the unknown format {name!r}. {_advice()}")
    return prompt_format


def _advice() -> str:
    return (
        f"Known formats: {', '.join(FORMATS)}. Name one with the setting prompt_format, "
        f"with --prompt-format, or in the model file under the metadata key {METADATA_KEY}."
    )
