"""`fim_*`: fill-in-the-middle models, which insert text at the cursor and change nothing else.

One row of ``FAMILIES`` per family: its layout, how it heads other files where its authors say how, its end
tokens. The region is the empty span at the cursor. A small model seldom stops by itself at a useful place, so
besides the family's tokens an answer ends at the line's end when text follows the cursor on its line, else at
the first blank line.

Prefix, suffix and related files have a share of counted tokens each and are cut between lines. Only families
with a header style get related files; without any they get the plain layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from capture.inputs import PredictionInputs, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import Answer, CountTokens, Delimiters, NewRegion, NoEdit, NoEditReason, Prompt, Refusal
from daemon.prompts.guards import is_covered, judge, no_edit_at_sight
from daemon.prompts.sections import contains_special_tokens
from daemon.prompts.sweep import QWEN_TOKENS
from daemon.prompts.whole_region import checked_target
from daemon.prompts.windows import cursor_row, excerpts_that_fit, first_lines_within, last_lines_within, screened


@dataclass(frozen=True, slots=True)
class Family:
    """How one family of models is asked.

    ``layout`` and ``layout_among_files`` have the fields prefix, suffix and path, the latter also files and
    repository; ``file`` (one other file) has path and text. ``ends`` are the tokens that end an answer, the
    one to train with first; ``tokens`` are its other control tokens.
    """

    name: str
    layout: str
    ends: tuple[str, ...]
    tokens: tuple[str, ...]
    layout_among_files: str = ""
    file: str = ""
    repository: str = ""

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """All strings that mean something to the model."""
        return (*self.ends, *self.tokens)


_BEGIN, _HOLE, _END = "<\uff5cfim\u2581begin\uff5c>", "<\uff5cfim\u2581hole\uff5c>", "<\uff5cfim\u2581end\uff5c>"
_PIPED = "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"
_PLAIN_TOKENS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>")

FAMILIES = (
    # Repository layout: Qwen2.5-Coder technical report.
    Family(
        name="fim_qwen",
        layout=_PIPED,
        layout_among_files="{repository}{files}<|file_sep|>{path}\n" + _PIPED,
        file="<|file_sep|>{path}\n{text}\n",
        repository="<|repo_name|>{name}\n",
        ends=("<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|im_end|>"),
        tokens=tuple(sorted(set(QWEN_TOKENS) - {"<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|im_end|>"})),
    ),
    # The path of the file to fill stands behind the prefix token: StarCoder2 paper, section 5.1.
    Family(
        name="fim_starcoder2",
        layout="<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>",
        layout_among_files="{repository}{files}<file_sep><fim_prefix>{path}\n{prefix}<fim_suffix>{suffix}<fim_middle>",
        file="<file_sep>{path}\n{text}",
        repository="<repo_name>{name}",
        ends=("<|endoftext|>", "<file_sep>"),
        tokens=(*_PLAIN_TOKENS, "<repo_name>"),
    ),
    # Tokens with U+FF5C and U+2581. Files are headed by a comment with their path, as in the model's README; the
    # hole is cut into the whole sequence of files, so they stand behind the begin token.
    Family(
        name="fim_deepseek",
        layout=f"{_BEGIN}{{prefix}}{_HOLE}{{suffix}}{_END}",
        layout_among_files=f"{_BEGIN}{{files}}#{{path}}\n{{prefix}}{_HOLE}{{suffix}}{_END}",
        file="#{path}\n{text}\n",
        ends=("<\uff5cend\u2581of\u2581sentence\uff5c>", "<|EOT|>"),
        tokens=(_BEGIN, _HOLE, _END, "<\uff5cbegin\u2581of\u2581sentence\uff5c>"),
    ),
    # Suffix first, and no token between prefix and answer.
    Family(
        name="fim_codestral",
        layout="[SUFFIX]{suffix}[PREFIX]{prefix}",
        layout_among_files="[SUFFIX]{suffix}[PREFIX]{files}+++++ {path}\n{prefix}",
        file="+++++ {path}\n{text}\n\n",
        ends=("</s>",),
        tokens=("[SUFFIX]", "[PREFIX]", "[MIDDLE]", "[INST]", "[/INST]"),
    ),
    # The spaces belong to the tokens, which are words of a SentencePiece vocabulary; so does the one before <EOT>.
    Family(
        name="fim_codellama",
        layout="<PRE> {prefix} <SUF>{suffix} <MID>",
        ends=(" <EOT>", "<EOT>", "</s>"),
        tokens=("<PRE>", "<SUF>", "<MID>"),
    ),
    # The path stands before the prefix token: CodeGemma report, figures 2 and 4.
    Family(
        name="fim_codegemma",
        layout=_PIPED,
        layout_among_files="{files}{path}\n" + _PIPED,
        file="{path}\n{text}<|file_separator|>",
        ends=("<|file_separator|>", "<eos>", "<end_of_turn>"),
        tokens=("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<bos>", "<start_of_turn>"),
    ),
    # Granite 4; the older Granite models have StarCoder's tokens.
    Family(
        name="fim_granite",
        layout=_PIPED,
        ends=("<|end_of_text|>", "<|fim_pad|>", "<|end_of_role|>"),
        tokens=("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|start_of_role|>"),
    ),
    Family(
        name="fim_seed_coder",
        layout="<[fim-suffix]>{suffix}<[fim-prefix]>{prefix}<[fim-middle]>",
        ends=("<[end\u2581of\u2581sentence]>",),
        tokens=("<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>", "<[begin\u2581of\u2581sentence]>"),
    ),
    # Suffix first, the path always before it: model card of Mellum-4b-base.
    Family(
        name="fim_mellum",
        layout="<filename>{path}\n<fim_suffix>{suffix}<fim_prefix>{prefix}<fim_middle>",
        layout_among_files="{files}<filename>{path}\n<fim_suffix>{suffix}<fim_prefix>{prefix}<fim_middle>",
        file="<filename>{path}\n{text}\n",
        ends=("<|endoftext|>", "<filename>"),
        tokens=(*_PLAIN_TOKENS, "<reponame>"),
    ),
    Family(
        name="fim_glm",
        layout="<|code_prefix|>{prefix}<|code_suffix|>{suffix}<|code_middle|>",
        ends=("<|endoftext|>", "<|user|>", "<|observation|>"),
        tokens=("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", "<|assistant|>", "<|system|>"),
    ),
)


@dataclass(frozen=True, slots=True)
class FillInMiddleSizes:
    """Shares in counted tokens; an answer that ends with its line may be shorter than one of several lines."""

    prefix_tokens: int = 2048
    suffix_tokens: int = 1024
    related_tokens: int = 1024
    line_answer_tokens: int = 64
    block_answer_tokens: int = 256


class FillInMiddle:
    """A ``PromptFormat`` for one family."""

    def __init__(self, family: Family, sizes: FillInMiddleSizes | None = None) -> None:
        self.family = family
        self._sizes = sizes or FillInMiddleSizes()

    @property
    def name(self) -> str:
        """The family's name, ``fim_*``."""
        return self.family.name

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """The family's."""
        return self.family.control_tokens

    @property
    def delimiters(self) -> Delimiters:
        """What stands around the text in the layout; a repository-level prompt may begin with a path."""
        opening = "" if self.family.layout_among_files else self.family.layout.partition("{")[0]
        return Delimiters(opening, self.family.layout.rpartition("}")[2])

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """The text before and after the cursor in the family's layout.

        Refused when that text or the path hold control tokens, and when the cursor's line is over its share.
        """
        cursor = inputs.cursor_offset_in_excerpt
        region = Span(cursor, cursor)
        if not is_covered(inputs, region, region):
            return Refusal.CURSOR_NOT_COVERED
        before, after = inputs.excerpt_bytes[:cursor].decode(), inputs.excerpt_bytes[cursor:].decode()
        prefix = last_lines_within(before, self._sizes.prefix_tokens, count_tokens)
        suffix = first_lines_within(after, self._sizes.suffix_tokens, count_tokens)
        if prefix is None or suffix is None:
            return Refusal.OVER_BUDGET
        tokens, path = self.family.control_tokens, inputs.cursor_path
        if contains_special_tokens(f"{path}\n{prefix}{suffix}", tokens) or "\n" in path:
            return Refusal.CONTROL_TOKENS
        row = cursor_row(inputs)
        rows = Span(row - prefix.count("\n"), row + suffix.count("\n") + 1)
        files = self._files(screened(inputs, tokens, rows), count_tokens)
        layout = self.family.layout_among_files if files else self.family.layout
        within_line = bool(after.partition("\n")[0].strip())
        return Prompt(
            text=layout.format(
                prefix=prefix, suffix=suffix, path=path, files=files, repository=self._repository(inputs.repo_url)
            ),
            stop=(*tokens, *_useful_ends(within_line=within_line, windows_line_ends="\r\n" in before + after)),
            region=region,
            region_text="",
            max_answer_tokens=self._sizes.line_answer_tokens if within_line else self._sizes.block_answer_tokens,
            answer_copies_region=False,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The answer is what is inserted; one that only repeats what follows the cursor is no edit. Never raises."""
        refused = no_edit_at_sight(answer, finished=finished)
        if refused is not None:
            return refused
        following = inputs.excerpt_bytes[prompt.region.end :].decode()
        if following.lstrip().startswith(answer.strip()):
            return NoEdit(NoEditReason.REPEATS)
        return judge("", NewRegion(answer), self.family.control_tokens)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The inserted text and the family's end token.

        Raises TargetError when ``parse`` would not give the text back: when it is blank, when it goes beyond
        the first stop string (see ``Prompt.stop``: a line's end or a blank line), when it only repeats what
        follows the cursor.
        """
        return checked_target(self, inputs, prompt, new_region, new_region.text + self.family.ends[0])

    def _files(self, inputs: PredictionInputs, count_tokens: CountTokens) -> str:
        """Related excerpts by importance, under the family's own headers; empty where it has none."""
        if not self.family.layout_among_files:
            return ""

        def written(file: RelatedFile, excerpts: list[RelatedExcerpt]) -> str:
            text = "\n".join(excerpt.text.removesuffix("\n") for excerpt in excerpts)
            return self.family.file.format(path=file.path, text=text)

        chosen = excerpts_that_fit(
            inputs.related_files or (),
            lambda file, excerpt: count_tokens(written(file, [excerpt])),
            self._sizes.related_tokens,
        )
        return "".join(written(file, excerpts) for file, excerpts in chosen)

    def _repository(self, url: str | None) -> str:
        """The header with the repository's name, empty where none is known."""
        parts = re.split(r"[/:]", (url or "").rstrip("/").removesuffix(".git"))
        name = parts[-1]
        known = name and "\n" not in name and not contains_special_tokens(name, self.family.control_tokens)
        return self.family.repository.format(name=name) if known else ""


FILL_IN_MIDDLE = tuple(FillInMiddle(family) for family in FAMILIES)


def _useful_ends(*, within_line: bool, windows_line_ends: bool) -> tuple[str, ...]:
    """Where an answer ends that its model does not end: at the line's end, or at the first blank line."""
    if within_line:
        return ("\r\n", "\n") if windows_line_ends else ("\n",)
    return ("\r\n\r\n", "\n\n") if windows_line_ends else ("\n\n",)
