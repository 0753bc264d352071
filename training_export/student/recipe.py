"""What a student is taught to speak: the prompt format, the sizes that go with it, and the stages of its training.

``line_edits`` is the embedded student. ``zeta2`` rewrites the whole region; it is for the benchmark alone, because
drafting and stopping early are judged on answers that copy. Copying is learnt first, on short examples in which nothing
else helps: among long ones of real code it does not form in the time this student has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.prompts.base import PromptFormat
from daemon.prompts.line_edits import LineEdits
from daemon.prompts.registry import FORMATS
from training_export.student.model import StudentConfig
from training_export.student.synthesis import COPY_MIXTURE, JUST_OPENED, MIXTURE


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a training.

    ``batch_tokens`` are those of a step, ``bucket_examples`` are sorted by length together, so that batches hold little
    padding. ``max_tokens`` is of one example, prompt and answer; ``max_window_lines`` of the text around the cursor;
    ``max_earlier_edits`` of the history before a case's own steps. An answer stands up to ``max_gap_tokens`` further
    from its prompt than there are tokens. ``random_copies`` are made of random tokens instead of code.
    """

    steps: int
    max_tokens: int
    batch_tokens: int
    max_window_lines: int = 0
    max_earlier_edits: int = 0
    max_gap_tokens: int = 0
    random_copies: bool = False
    bucket_examples: int = 96
    tasks: Mapping[str, float] = field(default_factory=lambda: MIXTURE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is taught, to which network, how.

    ``decay_part`` of all steps have a falling rate; ``learns_prompts``: their text, too, not the answers alone;
    ``looks_back``: the network starts with heads that do (``copying.py``).
    """

    prompt_format: PromptFormat
    config: StudentConfig
    stages: tuple[Stage, ...]
    decay_part: float
    learns_prompts: bool
    validation_cases_per_task: int
    looks_back: bool = False

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Tokens of the format that the vocabulary holds whole; markers that are lines of text stay text."""
        return tuple(token for token in self.prompt_format.control_tokens if "\n" not in token)

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)


RECIPES = {
    "line_edits": Recipe(
        LineEdits(),
        StudentConfig(context_tokens=1152),
        (Stage(steps=900, max_tokens=640, batch_tokens=6144, max_window_lines=24),),
        decay_part=0.8,
        learns_prompts=True,
        validation_cases_per_task=40,
    ),
    # Prompts of the typing sessions and their answers take up to 2,410 tokens.
    "zeta2": Recipe(
        FORMATS["zeta2"],
        StudentConfig(layers=4, hidden=512, context_tokens=2560, rotary_base=1e6, embedding_scale=0.06),
        (
            Stage(400, 192, 3072, max_gap_tokens=400, random_copies=True, bucket_examples=512),
            Stage(300, 384, 3072, max_window_lines=16, max_gap_tokens=300, tasks=JUST_OPENED),
            Stage(500, 1024, 4096, max_window_lines=40, max_gap_tokens=200, tasks=JUST_OPENED),
            Stage(300, 1152, 4608, max_window_lines=32, max_earlier_edits=3, tasks=COPY_MIXTURE),
            Stage(700, 2432, 6144, max_window_lines=64, max_earlier_edits=6, tasks=COPY_MIXTURE),
        ),
        decay_part=0.75,
        learns_prompts=False,
        validation_cases_per_task=10,
        looks_back=True,
    ),
}
