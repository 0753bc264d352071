"""The student's byte-level BPE tokenizer.

llama.cpp applies its ``gpt-2`` pre-tokenisation, which glues a space to the word behind it. Merges are learned on
a finer split, in which a word never carries a space or an underscore, so a name has the same tokens wherever
it stands: copying and matching names is what the student does. A merge that was never learned cannot apply,
so the finer split holds at run time too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers
from tokenizers.decoders import ByteLevel as ByteLevelDecoder

END_OF_TEXT = "<|end_of_text|>"
FINE_SPLIT = Regex(r" ?[^\s\p{L}\p{N}_]+|_+|\p{L}+|\p{N}|\s+(?!\S)|\s+")


def train_tokenizer(texts: Iterable[str], vocabulary_size: int, control_tokens: Sequence[str]) -> Tokenizer:
    """Learn merges from ``texts``; ``vocabulary_size`` includes the control tokens and the 256 bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(FINE_SPLIT, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in (END_OF_TEXT, *control_tokens)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return with_runtime_split(tokenizer)


def with_runtime_split(tokenizer: Tokenizer) -> Tokenizer:
    """The same merges behind llama.cpp's ``gpt-2`` pre-tokenisation."""
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = ByteLevelDecoder()
    return tokenizer


def special_tokens(tokenizer: Tokenizer) -> set[str]:
    """The control tokens of a tokenizer made by ``train_tokenizer``, the end of text included."""
    return {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of ``token``; raises KeyError when the vocabulary does not hold it."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise KeyError(token)
    return int(found)


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer written by ``Tokenizer.save``."""
    return Tokenizer.from_file(str(path))
