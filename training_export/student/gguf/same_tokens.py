"""Whether llama.cpp makes the same tokens of a text as the tokenizer that a model was trained with."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from tokenizers import Tokenizer

from training_export.errors import ConversionRefused, ModelUnusable

# One for each rule by which ways to cut text differ: contractions, numbers, blanks, line ends, marks, other scripts.
DIFFICULT_TEXTS: Final = (
    "",
    " ",
    "   leading and trailing   ",
    "I'm he'll we've they'd IT'S DON'T can't'll",
    "1 12 123 1234 12345 0x1F 3.14159e-10 ²½Ⅷ٣",
    "\n\n\n\r\n \r\n\t\n  \n\n    return\n",
    "\tif (a&&b||!c) { return x?.y ?? z; } // a->b::c<d>\n",
    "snake_case camelCase SCREAMING_CASE __dunder__ kebab-case",
    "naïve café Åse 中文字符 日本語テキスト русский текст العربية हिन्दी עברית",
    "a\u00a0b\u2003c\u3000d\u0085e\u200bf\ufeffg",
    "🙂👩‍👩‍👧‍👦🏳️‍🌈 ——…«»“”",
    "\x00\x01\x1b[0m\x7f",
    "<|im_start|> <|endoftext|> <|end|> </s> <s> [INST]",
    "=====----####    ....\n////\n\\\\",
)


class Difference(NamedTuple):
    """A text of which other tokens are made; ids by the tokenizer, and by llama.cpp."""

    text: str
    trained: tuple[int, ...]
    found: tuple[int, ...]


def first_difference(path: Path, tokenizer: Tokenizer, texts: Iterable[str]) -> Difference | None:
    """The first text of which llama.cpp, with the vocabulary in ``path``, makes other tokens; None: there is none.

    Control tokens in a text are recognised by both. Raises ModelUnusable for a file that llama.cpp does not read.
    """
    from daemon.engine.llama import LlamaError, Log, Model  # noqa: PLC0415 (llama.cpp, where it is asked for)

    try:
        model = Model.load(str(path), Log(lambda _line: None), vocabulary_only=True)
    except LlamaError as error:
        raise ModelUnusable(f"llama.cpp does not read {path}: {error}") from error
    with closing(model):
        for text in texts:
            found = tuple(model.tokenize(text))
            trained = tuple(tokenizer.encode(text, add_special_tokens=False).ids)
            if found != trained:
                return Difference(text, trained, found)
    return None


def check_tokens(path: Path, tokenizer: Tokenizer) -> None:
    """Raises ConversionRefused where llama.cpp makes other tokens of one of the difficult texts."""
    found = first_difference(path, tokenizer, DIFFICULT_TEXTS)
    if found is not None:
        raise ConversionRefused(
            f"llama.cpp makes other tokens of {found.text!r} ({list(found.found)}) than the tokenizer"
            f" ({list(found.trained)}): the model would read what it was never taught"
        )
