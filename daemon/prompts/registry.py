"""Which prompt format a model speaks: the table of formats, and the choice for a given model.

The choice is never a guess: the setting decides, else the model file's own metadata, else a name that one
format claims; any other model is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

from daemon.prompts.base import PromptFormat
from daemon.prompts.fill_in_middle import FILL_IN_MIDDLE
from daemon.prompts.instinct import Instinct
from daemon.prompts.line_edits import LineEdits
from daemon.prompts.mercury import Mercury
from daemon.prompts.next_edit_qwen import NextEditQwen
from daemon.prompts.sweep import Sweep
from daemon.prompts.sweep_v2 import SweepV2
from daemon.prompts.zed.hash_region_prompts import HASH_REGIONS
from daemon.prompts.zed.table import ZETA_PROMPTS
from daemon.prompts.zed.zeta1 import ZETA1

_ALL: tuple[PromptFormat, ...] = (
    LineEdits(),
    ZETA1,
    *ZETA_PROMPTS.values(),
    HASH_REGIONS,
    Sweep(),
    SweepV2(),
    Instinct(),
    Mercury(),
    NextEditQwen(),
    *FILL_IN_MIDDLE,
)
FORMATS: dict[str, PromptFormat] = {prompt_format.name: prompt_format for prompt_format in _ALL}

# Other names people know a format by. Names are compared without regard to case.
ALIASES = {
    "zeta": "zeta1",
    "V0211SeedCoder": "zeta2",
    "V0318SeedMultiRegions": "zeta2_1",
    "hash_regions": "V0615HashRegions",
}

METADATA_KEY = "foretype.prompt_format"
NAME_KEY = "general.name"

# How models are named (docs/formats.md). "zeta-2.5" is no zeta-2, though "zeta-2-8B" is, and "zeta-7b" is the
# first; "sweep-next-edit-1.5b.q8_0.v2" is a second file of a v1 model; an "instruct" is no "instinct".
NEXT_EDIT_NAMES = {
    "zeta1": r"(?<![a-z])zeta(?![a-z])(?:[-_ :]?1(?![\d.])|[-_ :](?=\d+(?:\.\d+)?b)|(?![-_. ]?\d))",
    "zeta2": r"(?<![a-z])zeta[-_ ]?2(?!\d)(?![-._]\d+(?!\d*\.?\d*b))",
    "zeta2_1": r"(?<![a-z])zeta[-_ ]?2[-._]1(?!\d)",
    "sweep": r"(?<![a-z])sweep[-_ ]next[-_ ]edit(?![-_ ]?v\d)",
    "sweep_v2": r"(?<![a-z])sweep[-_ ]next[-_ ]edit[-_ ]?v2(?!\d)",
    "instinct": r"(?<![a-z])instinct(?![a-z])",
    "next_edit_qwen": r"(?<![a-z])NEP(?![a-z])",
}

# Asked only when no next-edit format claims a name: a fine-tuned model often keeps the name of its base.
BASE_MODEL_NAMES = {
    "fim_qwen": r"(?<![a-z])qwen[-_ ]?(?:2[._]5|3)[-_ ]coder",
    "fim_starcoder2": r"(?<![a-z])starcoder[-_ ]?2(?!\d)",
    "fim_deepseek": r"(?<![a-z])deepseek[-_ ]coder",
    "fim_codestral": r"(?<![a-z])(?<!mamba[-_ ])codestral(?![a-z])",
    "fim_codellama": r"(?<![a-z])code[-_ ]?llama(?![-_ ]?(?:34|70)b|[-_ ]\d+b[-_ ]python)",
    "fim_codegemma": r"(?<![a-z])code[-_ ]?gemma(?!.*[-_ ]it(?![a-z]))",
    "fim_granite": r"(?<![a-z])granite[-_ ]4",
    "fim_seed_coder": r"(?<![a-z])seed[-_ ]coder(?!.*(?:instruct|reasoning))",
    "fim_mellum": r"(?<![a-z])mellum(?![-_ ]?2|[a-z])",
    "fim_glm": r"(?<![a-z])glm[-_ ]?4[._][5-9](?!\d)",
}

_BY_LOWER_NAME = {name.lower(): FORMATS[name] for name in FORMATS} | {
    alias.lower(): FORMATS[name] for alias, name in ALIASES.items()
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
    claimed = _claimed(names, NEXT_EDIT_NAMES) or _claimed(names, BASE_MODEL_NAMES)
    if len(claimed) == 1:
        return FORMATS[claimed.pop()]
    shown = " and ".join(repr(text) for text in names if text)
    problem = (
        f"the names {shown} point to different formats ({', '.join(sorted(claimed))})"
        if claimed
        else f"the name {shown or 'of the model'} tells no prompt format"
    )
    raise UnknownModel(f"{problem}. {_advice()}")


def _claimed(names: list[str], patterns: Mapping[str, str]) -> set[str]:
    return {
        prompt_format
        for prompt_format, pattern in patterns.items()
        if any(re.search(pattern, name, re.IGNORECASE) for name in names)
    }


def _named(name: str, source: str) -> PromptFormat:
    prompt_format = _BY_LOWER_NAME.get(name.lower())
    if prompt_format is None:
        raise UnknownModel(f"{source} names the unknown format {name!r}. {_advice()}")
    return prompt_format


def _advice() -> str:
    return (
        f"Known formats: {', '.join(FORMATS)}. Name one with the setting prompt_format, "
        f"with --prompt-format, or in the model file under the metadata key {METADATA_KEY}."
    )
