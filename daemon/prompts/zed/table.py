"""All of Zed's region formats by Zed's names. A new one is a row in its family's file and a line here."""

from __future__ import annotations

from daemon.prompts.zed.format import ZetaFormat
from daemon.prompts.zed.merge_markers import V0211_SEED_CODER
from daemon.prompts.zed.numbered_blocks import V0318_SEED_MULTI_REGIONS

ZETA_FORMATS: dict[str, ZetaFormat] = {zeta.name: zeta for zeta in (V0211_SEED_CODER, V0318_SEED_MULTI_REGIONS)}
