"""The real worker with a prompt format that tests can steer: ``python -m tests.daemon.engine.plain_worker FD``.

The prompt is the excerpt, the new region is the answer; budget, stop markers and faults come as JSON in the
inputs' ``repo_url``. While it loads, it prints to standard output in every way a library could; asked for the format
``endless`` it never ends loading.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
from typing import TYPE_CHECKING

from capture.inputs import PredictionInputs, Span
from daemon.engine.worker import serve
from daemon.prompts.base import Answer, CountTokens, NewRegion, NoEdit, NoEditReason, Prompt, PromptFormat

if TYPE_CHECKING:
    from collections.abc import Mapping


class UnknownFormat(ValueError):
    """The model names a format that is not ``plain``."""


# ruff: noqa: ARG002  the interface hands over more than a plain format needs
class PlainFormat:
    name = "plain"
    control_tokens: tuple[str, ...] = ()

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt:
        options = json.loads(inputs.repo_url or "{}")
        if options.get("fault"):
            raise ValueError(inputs.cursor_excerpt)
        return Prompt(
            text=inputs.cursor_excerpt,
            stop=tuple(options.get("stop", ())),
            region=Span(0, len(inputs.excerpt_bytes)),
            region_text=inputs.cursor_excerpt,
            max_answer_tokens=options.get("budget", 8),
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        return NewRegion(answer) if finished else NoEdit(NoEditReason.UNFINISHED)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        return new_region.text


def choose_format(setting: str, metadata: Mapping[str, str], file_name: str) -> PromptFormat:
    assert file_name.endswith(".gguf")
    os.write(1, b"noise from a write\n")
    ctypes.CDLL(None).puts(b"noise from C")
    ctypes.CDLL(None).fflush(None)
    print("noise from Python", flush=True)
    if setting == "endless":
        threading.Event().wait()
    name = setting or metadata.get("foretype.prompt_format", "")
    if name != "plain":
        raise UnknownFormat(f"unknown prompt format {name!r}; known formats: plain")
    return PlainFormat()


if __name__ == "__main__":
    serve(choose_format, (UnknownFormat,))
