"""All of Zed's region formats by Zed's names. A new one is a row in its family's file and a line here.

``ZETA_FORMATS`` are Zed's own, ``ZETA_PROMPTS`` what the daemon speaks and training data is written in.
"""

from __future__ import annotations

from daemon.prompts.zed.format import ZetaFormat
from daemon.prompts.zed.hashline import V0226_HASHLINE
from daemon.prompts.zed.merge_markers import (
    V0120_GIT_MERGE_MARKERS,
    V0131_GIT_MERGE_MARKERS_PREFIX,
    V0211_PREFILL,
    V0211_SEED_CODER,
    V0304_PROMPTS,
    V0304_SEED_NO_EDITS,
    V0331_SEED_CODER_MODEL_PY,
    ZETA2,
)
from daemon.prompts.zed.numbered_blocks import (
    V0306_PROMPTS,
    V0306_SEED_MULTI_REGIONS,
    V0316_SEED_MULTI_REGIONS,
    V0317_SEED_MULTI_REGIONS,
    V0318_SEED_MULTI_REGIONS,
    V0327_SINGLE_FILE,
    V0420_DIAGNOSTICS,
    V0608_QWEN_MULTI_REGIONS,
    ZETA2_1,
)
from daemon.prompts.zed.safe import ZetaPrompts, stop_strings
from daemon.prompts.zed.variable_edit import V0304_VARIABLE_EDIT
from daemon.prompts.zed.whole_region import V0112_MIDDLE_AT_END, V0113_ORDERED, V0114180_EDITABLE_REGION

ZETA_FORMATS: dict[str, ZetaFormat] = {
    zeta.name: zeta
    for zeta in (
        V0112_MIDDLE_AT_END,
        V0113_ORDERED,
        V0114180_EDITABLE_REGION,
        V0120_GIT_MERGE_MARKERS,
        V0131_GIT_MERGE_MARKERS_PREFIX,
        V0211_PREFILL,
        V0211_SEED_CODER,
        V0331_SEED_CODER_MODEL_PY,
        V0226_HASHLINE,
        V0304_VARIABLE_EDIT,
        V0304_SEED_NO_EDITS,
        V0306_SEED_MULTI_REGIONS,
        V0316_SEED_MULTI_REGIONS,
        V0317_SEED_MULTI_REGIONS,
        V0318_SEED_MULTI_REGIONS,
        V0327_SINGLE_FILE,
        V0420_DIAGNOSTICS,
        V0608_QWEN_MULTI_REGIONS,
    )
}

# Formats that are taught or named otherwise than by their row alone.
_OWN_PROMPTS = {prompts.zeta.name: prompts for prompts in (ZETA2, ZETA2_1, V0304_PROMPTS, V0306_PROMPTS)}

ZETA_PROMPTS: dict[str, ZetaPrompts] = {
    prompts.name: prompts
    for zeta in ZETA_FORMATS.values()
    for prompts in (_OWN_PROMPTS.get(zeta.name) or ZetaPrompts(zeta.name, zeta, stop_strings(zeta)),)
}
