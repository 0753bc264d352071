"""The vocabulary of a GGUF: tokens, merges, and how text is cut into words before them.

Only byte-level BPE is written, and only where llama.cpp cuts text as the tokenizer does: the rule is recognised by its
regular expression, never by a model's name. Knows nothing of files or networks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import gguf
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from training_export.errors import ConversionRefused

_CONTRACTIONS: Final = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_BEHIND_NUMBERS: Final = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_BY_DIGIT: Final = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _BEHIND_NUMBERS
_BY_THREE_DIGITS: Final = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _BEHIND_NUMBERS
_MAX_END_TOKENS: Final = 3


class Cutting(NamedTuple):
    """llama.cpp's name for a way to cut text, and whether a word that is a token as a whole is never merged."""

    name: str
    ignores_merges: bool = False


# Steps of a pre-tokenizer -> what llama.cpp calls them (src/llama-vocab.cpp).
_CUTTINGS: Final[dict[tuple[tuple[Any, ...], ...], Cutting]] = {
    (("bytes", True),): Cutting("gpt-2"),
    (("digits", True), ("bytes", True)): Cutting("smollm"),
    (("split", _BY_DIGIT), ("bytes", False)): Cutting("qwen2"),
    (("split", _BY_THREE_DIGITS), ("bytes", False)): Cutting("llama-bpe", ignores_merges=True),
}


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Ids with a meaning: ``ends`` finish an answer, the first is the end of a sequence."""

    ends: tuple[int, ...]
    beginning: int | None = None
    padding: int | None = None


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What is written; ``texts`` and ``kinds`` by token id."""

    texts: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    cutting: str
    adds_beginning: bool


def as_llama_cpp_reads(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer that a GGUF made of this one has, to train with: a copy that does not normalise text to NFC.

    llama.cpp leaves text as it is. Raises ConversionRefused for any other normaliser.
    """
    state = json.loads(tokenizer.to_str())
    if not _is_composing(state["normalizer"]):
        raise ConversionRefused(
            f"the tokenizer normalises text ({_kind(state['normalizer'])}), which llama.cpp does not; train without it"
        )
    state["normalizer"] = state["truncation"] = state["padding"] = None
    for added in state["added_tokens"]:
        added["normalized"] = False  # nothing is normalised any more, so this says the same
    return Tokenizer.from_str(json.dumps(state))


def vocabulary_of(tokenizer: Tokenizer, size: int, special: SpecialTokens) -> Vocabulary:
    """The vocabulary, padded with unused tokens to ``size``, the rows of the embedding.

    Raises ConversionRefused where llama.cpp would tokenise otherwise, or the tokenizer does not fit the network.
    """
    state = json.loads(tokenizer.to_str())
    model = state["model"]
    _check_model(model)
    if not _is_composing(state["normalizer"]):
        raise ConversionRefused(f"the tokenizer normalises text ({_kind(state['normalizer'])}); llama.cpp does not")
    cutting = _cutting(state["pre_tokenizer"])
    if bool(model.get("ignore_merges")) != cutting.ignores_merges:
        raise ConversionRefused(
            f"ignore_merges is {bool(model.get('ignore_merges'))}, and llama.cpp has it"
            f" {cutting.ignores_merges} for text that is cut as in {cutting.name}"
        )
    added = {token["id"]: token for token in state["added_tokens"]}
    _check_added([token["content"] for token in added.values()], added.values())
    texts = {index: text for text, index in model["vocab"].items()}
    texts |= {index: token["content"] for index, token in added.items()}
    highest = max(texts)
    if highest >= size:
        raise ConversionRefused(
            f"the tokenizer does not fit the model: it has the token {highest}, and the embedding has {size} rows"
        )
    for index in (*special.ends, special.beginning, special.padding):
        if index is not None and index not in texts:
            raise ConversionRefused(f"the special token {index} is not in the tokenizer's vocabulary")
    return Vocabulary(
        texts=tuple(texts.get(index, f"[PAD{index}]") for index in range(size)),
        kinds=tuple(int(_token_kind(index, texts, added)) for index in range(size)),
        merges=tuple(merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]),
        cutting=cutting.name,
        adds_beginning=special.beginning is not None and tokenizer.encode("a").ids[:1] == [special.beginning],
    )


def write_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary, special: SpecialTokens) -> None:
    """Put everything a tokenizer needs into the metadata; raises ConversionRefused for too many ends."""
    if not 1 <= len(special.ends) <= _MAX_END_TOKENS:
        raise ConversionRefused(f"{len(special.ends)} tokens end an answer; a GGUF names one to {_MAX_END_TOKENS}")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.cutting)
    writer.add_token_list(vocabulary.texts)
    writer.add_token_types(vocabulary.kinds)
    writer.add_token_merges(vocabulary.merges)
    adders = (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id)
    for add, token in zip(adders, special.ends, strict=False):
        add(token)
    if special.beginning is not None:
        writer.add_bos_token_id(special.beginning)
    if special.padding is not None:
        writer.add_pad_token_id(special.padding)
    writer.add_add_bos_token(vocabulary.adds_beginning)


def _check_model(model: Mapping[str, Any]) -> None:
    if model["type"] != "BPE":
        raise ConversionRefused(f"the tokenizer is {model['type']}; only byte-level BPE can be written")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(key):
            raise ConversionRefused(f"the tokenizer has {key} = {model[key]!r}, which llama.cpp has not")
    missing = [letter for letter in ByteLevel.alphabet() if letter not in model["vocab"]]
    if missing:
        raise ConversionRefused(f"{len(missing)} of the 256 bytes are no tokens; train with ByteLevel.alphabet()")


def _cutting(pre_tokenizer: Mapping[str, Any] | None) -> Cutting:
    steps = tuple(_steps(pre_tokenizer))
    found = _CUTTINGS.get(steps)
    if found is None:
        known = ", ".join(cutting.name for cutting in _CUTTINGS.values())
        raise ConversionRefused(
            f"llama.cpp is not known to cut text as this tokenizer does ({json.dumps(pre_tokenizer)}); known: {known}"
        )
    return found


def _steps(pre_tokenizer: Mapping[str, Any] | None) -> Iterator[tuple[Any, ...]]:
    """What a pre-tokenizer does, in a form that can be looked up; what is unknown is found nowhere."""
    kind = _kind(pre_tokenizer)
    if pre_tokenizer is None:
        return
    if kind == "Sequence":
        for part in pre_tokenizer["pretokenizers"]:
            yield from _steps(part)
    elif kind == "ByteLevel" and not pre_tokenizer["add_prefix_space"]:
        yield "bytes", pre_tokenizer.get("use_regex", True)
    elif kind == "Digits":
        yield "digits", pre_tokenizer["individual_digits"]
    elif kind == "Split" and pre_tokenizer["behavior"] == "Isolated" and not pre_tokenizer["invert"]:
        yield "split", pre_tokenizer["pattern"].get("Regex")
    else:
        yield (json.dumps(pre_tokenizer),)


def _is_composing(normalizer: Mapping[str, Any] | None) -> bool:
    """Whether it does nothing, or nothing but NFC: what people type nearly always is NFC already."""
    kind = _kind(normalizer)
    if normalizer is not None and kind == "Sequence":
        return all(map(_is_composing, normalizer["normalizers"]))
    return kind in ("none", "NFC")


def _check_added(contents: Sequence[str], added: Any) -> None:
    """llama.cpp looks for the longest of these first, wherever it stands, and takes no blanks along."""
    for token in added:
        if token["lstrip"] or token["rstrip"] or token["single_word"]:
            raise ConversionRefused(
                f"the token {token['content']!r} takes blanks along or must be a word; train it with plain AddedToken"
            )
        if not token["content"]:
            raise ConversionRefused("the tokenizer has an added token without text")
    beginnings = defaultdict(set)
    for content in contents:
        for end in range(1, len(content)):
            beginnings[content[:end]].add(content)
    for content in contents:
        for start in range(1, len(content)):
            for other in sorted(beginnings[content[start:]] - {content}):
                raise ConversionRefused(
                    f"the tokens {content!r} and {other!r} can overlap in a text ({content[start:]!r}), where llama.cpp"
                    " takes the longer one and the tokenizer the first one; rename one of them"
                )


def _token_kind(index: int, texts: Mapping[int, str], added: Mapping[int, Mapping[str, Any]]) -> gguf.TokenType:
    if index in added:
        return gguf.TokenType.CONTROL if added[index]["special"] else gguf.TokenType.USER_DEFINED
    return gguf.TokenType.NORMAL if index in texts else gguf.TokenType.UNUSED


def _kind(part: Mapping[str, Any] | None) -> str:
    return "none" if part is None else str(part["type"])
