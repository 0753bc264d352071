"""Tokens: llama.cpp must make the same of every text as the tokenizer a model was trained with, or be refused."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("tokenizers", reason="make test-train installs tokenizers")
pytest.importorskip("torch", reason="make test-train installs torch")

from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

from training_export.errors import ConversionRefused
from training_export.student.gguf.same_tokens import first_difference
from training_export.student.gguf.vocabulary import SpecialTokens, as_llama_cpp_reads, vocabulary_of
from training_export.student.gguf.writing import About, write_gguf

pytestmark = pytest.mark.train

LINES = 20_000
ENDS = SpecialTokens((0,))

ROOT = Path(__file__).parents[4]
OWN_FILES = ("daemon/**/*.py", "docs/*.md", "*.toml", "editors/**/*.lua", "tests/daemon/*.py")

TEMPLATES = (
    # Go
    "func ({a} *{A}) {B}({b} []string, n int) (map[string]{A}, error) {{",
    '\tif err := {a}.{B}(ctx, {b}, {n}); err != nil {{ return nil, fmt.Errorf("{a}: %w", err) }}',
    "\tfor {a}, {b} := range {c} {{ {c}[{a}] = append({c}[{a}], {b}...) }}",
    'type {A} struct {{ {B} int `json:"{b},omitempty"` }} // {A} holds {b}',
    # Rust
    "pub fn {a}<'a, T: {A} + ?Sized>(&'a mut self, {b}: Option<Box<T>>) -> Result<Vec<{A}>, {B}Error> {{",
    "    let {a} = {b}.iter().filter_map(|{c}| {c}.{a}.as_ref()).map(|x| x * {n}_u64).collect::<Vec<_>>()?;",
    '    #[derive(Debug, Clone)] struct {A}; impl {B} for {A} {{}} println!("{{:?}} {n}", {a});',
    "        Some({A}::{B} {{ {a}, .. }}) if {a} >= {n} => self.{b}(&{a}[..{n}]),",
    # JavaScript
    "const {{ {a}, {b}: {c} = {n} }} = await {a}.{b}(`${{{c}}}/${{ {a} ?? '{b}' }}?q={n}`);",
    "  export default async function* {a}({b}, ...{c}) {{ yield* {b}?.{c}?.[{n}] ?? []; }}",
    "  {a}.addEventListener('{b}', ({{ target }}) => {{ this.#{c} = target.value.replace(/\\s+{a}\\b/giu, ''); }});",
    "  return {a} === {n} && !{b} || {c} !== undefined ? {a}++ : --{b};",
    # TypeScript, TSX
    "export type {A}<T extends keyof {B}> = {{ readonly [K in T]?: {B}[K] extends {n} ? never : K }};",
    "  private readonly {a}: Map<string, {A} | undefined> = new Map<string, {A}>(); // eslint-disable-line",
    '    <{A} key={{{a}.id}} {b}={{() => set{B}(({c}) => {c} + {n})}} className="{a}-{b}" />',
    "    {{{a} && <{B}.Provider value={{{{ {b}, {c} }}}}>{{children}}</{B}.Provider>}}",
    # Python
    "    def {a}(self, {b}: list[{A}], *, {c}: float = {n}e-3) -> dict[str, {B}]:",
    "        return {{{a}: {b}[{n}:] for {a}, {b} in self._{c}.items() if not isinstance({b}, {A})}}",
    '    async with {a}.{b}(f"{{{c}!r:>{n}}} {{x:{{y}}}}") as {b}:  # noqa: {A}{n}',
    "    @pytest.mark.parametrize(('{a}', '{b}'), [({n}, 0x{n}), (1_000_{n}, .5)])",
)  # fmt: skip
WORDS = [
    "count",
    "user",
    "total",
    "price",
    "index",
    "handler",
    "request",
    "state",
    "value",
    "width",
    "buffer",
    "cache",
    "node",
    "path",
    "item",
    "error",
    "max",
    "on",
]
BLANKS = (
    " ",
    "  ",
    "    ",
    "\t",
    "\t\t",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u200b",
    "\u2028",
    "\u0085",
    "\x0b",
    "\x0c",
    "\r",
)
LOOK_ALIKES = (
    "<|end_of_text|>", "<|endoftext|>", "<|im_start|>", "<|fim_prefix|>", "<|end|", "<|end|>", "|end|>", "<|>", "<||>",
    "<|here|>", "<|line_1|>", "<|line_12|>", "</s>", "[INST]", "<<<<<<< HEAD", "=======", ">>>>>>> x", "<|user_cursor|>",
)  # fmt: skip
CONTRACTIONS = ("don't", "I'M", "we'Ve", "'s", "'S", "it''s", "'re'll", "they'd've", "\u2019s", "'t'T", "'")
SCRIPTS = (
    (0x20, 0x7F), (0xA0, 0x180), (0x370, 0x400), (0x400, 0x500), (0x590, 0x700), (0x900, 0xD80), (0xE00, 0xE80),
    (0x2000, 0x2C00), (0x3000, 0x3100), (0x4E00, 0x9FFF), (0xAC00, 0xD7A4), (0xFF00, 0xFFF0), (0x1D400, 0x1D800),
    (0x1F300, 0x1FA70), (0x10000, 0x10400), (0x20000, 0x20400),
)  # fmt: skip


def mixed_lines(seed: int, count: int) -> list[str]:
    """``count`` lines, a fifth of them from files of this repository."""
    random = Random(seed)
    own = _own_lines()
    kinds: tuple[Callable[[Random], str], ...] = (
        lambda random: random.choice(own),
        _code, _code, _blanks, _unicode, _look_alike, _numbers, _prose,
    )  # fmt: skip
    # Whole texts have line ends in them, and what stands on both sides of one is cut together.
    lines = ("\n".join(kind(random) for _ in range(random.choice((1, 1, 1, 2, 3)))) for kind in itertools.cycle(kinds))
    return list(itertools.islice(lines, count))


def _own_lines() -> list[str]:
    files = sorted(path for pattern in OWN_FILES for path in ROOT.glob(pattern))
    return [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def _name(random: Random) -> str:
    parts = random.choices(WORDS, k=random.randint(1, 3))
    style = random.randrange(4)
    if style == 0:
        return "_".join(parts)
    if style == 1:
        return parts[0] + "".join(part.title() for part in parts[1:])
    return "_".join(parts).upper() if style == 2 else "".join(parts) + str(random.randrange(1000))


def _code(random: Random) -> str:
    names = {name: _name(random) for name in "abc"}
    types = {name.upper(): "".join(part.title() for part in _name(random).split("_")) for name in "ab"}
    indent = random.choice(("", "", "\t", "    ", "        "))
    return indent + random.choice(TEMPLATES).format(**names, **types, n=random.randrange(10 ** random.randint(1, 6)))


def _blanks(random: Random) -> str:
    return "".join(
        random.choice(BLANKS) * random.randint(1, 4) if random.random() < 0.6 else _name(random)
        for _ in range(random.randint(1, 9))
    )


def _unicode(random: Random) -> str:
    low, high = random.choice(SCRIPTS)
    letters = _assigned(random, low, high, random.randint(1, 12))
    return (
        random.choice(("", " ", "x = '", "1")) + "".join(letters) + random.choice(("", "'", "e\u0301", " ok", "\u200d"))
    )


def _assigned(random: Random, low: int, high: int, count: int) -> Iterator[str]:
    for _ in range(count):
        letter = chr(random.randrange(low, high))
        # What Unicode has not given out yet may be a letter in one library's tables and not in the other's.
        yield letter if unicodedata.category(letter) != "Cn" else "?"


def _look_alike(random: Random) -> str:
    return "".join(
        random.choice(LOOK_ALIKES) if random.random() < 0.5 else random.choice((" ", "", "\n", _name(random)))
        for _ in range(random.randint(1, 6))
    )


def _numbers(random: Random) -> str:
    return random.choice(("", " ", "-", "x")) + random.choice(("", ".", ",", " ", "_")).join(
        str(random.randrange(10 ** random.randint(1, 9))) for _ in range(random.randint(1, 5))
    )


def _prose(random: Random) -> str:
    words = (random.choice((*CONTRACTIONS, *WORDS)) for _ in range(random.randint(2, 9)))
    return random.choice(("# ", "// ", "/* ", "", "- ")) + random.choice((" ", "  ", ", ", "")).join(words)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return mixed_lines(5, LINES)


@pytest.mark.parametrize(
    ("cutting", "architecture"), [("gpt-2", "qwen2"), ("qwen2", "qwen2"), ("smollm", "llama"), ("llama-bpe", "llama")]
)
def test_llama_cpp_makes_the_same_tokens_of_20000_lines(
    cutting: str, architecture: str, lines: list[str], tokenizer_of: Any, small_model: Any, tmp_path: Path
) -> None:
    controls = ("<|end_of_text|>", "<|start|>", "<|here|>", "<|line_1|>", "<|line_12|>", "</s>")
    tokenizer = tokenizer_of(cutting, text="\n".join(lines[:4000]), size=1500, controls=controls)
    path = tmp_path / "model.gguf"
    write_gguf(small_model(architecture, tokenizer=tokenizer).trained, path, About("x"))
    assert len(lines) == LINES
    assert len(set(lines)) > 0.9 * LINES
    assert first_difference(path, tokenizer, lines) is None


def test_a_difference_is_found_where_there_is_one(tokenizer_of: Any, small_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(small_model("qwen2").trained, path, About("x"))
    other = tokenizer_of("qwen2")
    found = first_difference(path, other, ["plain", "x = 12345", "1"])
    assert found is not None
    assert found.text == "x = 12345"


def test_a_word_that_was_added_is_one_token_in_both(tokenizer_of: Any, small_model: Any, tmp_path: Path) -> None:
    tokenizer = tokenizer_of("gpt-2")
    tokenizer.add_tokens([AddedToken("==>", special=False, normalized=False)])
    path = tmp_path / "model.gguf"
    write_gguf(small_model("qwen2", tokenizer=tokenizer).trained, path, About("x"))
    assert first_difference(path, tokenizer, ["a ==> b", "a==>b", "==>==>", "==>=", "=="]) is None
    assert len(tokenizer.encode("a==>b").ids) == 3


def test_text_is_trained_on_as_llama_cpp_leaves_it(tokenizer_of: Any, small_model: Any, tmp_path: Path) -> None:
    """Qwen's tokenizers compose letters and marks first; llama.cpp does not."""
    tokenizer = tokenizer_of("qwen2")
    tokenizer.normalizer = normalizers.NFC()
    path = tmp_path / "model.gguf"
    write_gguf(small_model("qwen2", tokenizer=tokenizer).trained, path, About("x"))
    apart = ["cafe\u0301"]
    assert first_difference(path, tokenizer, apart) is not None
    assert first_difference(path, as_llama_cpp_reads(tokenizer), apart) is None


def changed(tokenizer: Tokenizer, **parts: Any) -> Tokenizer:
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    return tokenizer


def with_token(tokenizer: Tokenizer, *tokens: AddedToken) -> Tokenizer:
    tokenizer.add_tokens(list(tokens))
    return tokenizer


REFUSED: dict[str, tuple[Callable[[Any], Tokenizer], str]] = {
    "lower case": (lambda made: changed(made("gpt-2"), normalizer=normalizers.Lowercase()), "Lowercase"),
    "a space put first": (
        lambda made: changed(made("gpt-2"), pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)),
        "not known to cut text",
    ),
    "another regular expression": (
        lambda made: changed(
            made("gpt-2"),
            pre_tokenizer=pre_tokenizers.Sequence(
                [pre_tokenizers.Split(r"\d", "isolated"), pre_tokenizers.ByteLevel(use_regex=False)]
            ),
        ),
        "not known to cut text",
    ),
    "merges ignored": (
        lambda made: changed(made("llama-bpe"), pre_tokenizer=made("qwen2").pre_tokenizer),
        "ignore_merges is True",
    ),
    "tokens that overlap": (
        lambda made: with_token(made("gpt-2"), AddedToken("ab#"), AddedToken("#cd")),
        "can overlap",
    ),
    "a token that takes blanks along": (
        lambda made: with_token(made("gpt-2"), AddedToken("<x>", lstrip=True)),
        "takes blanks along",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_llama_cpp_would_tokenise_otherwise_is_refused(name: str, tokenizer_of: Any) -> None:
    make, said = REFUSED[name]
    with pytest.raises(ConversionRefused, match=said):
        vocabulary_of(make(tokenizer_of), 1000, ENDS)


def test_a_tokenizer_that_is_larger_than_the_embedding_does_not_fit(tokenizer_of: Any) -> None:
    tokenizer = tokenizer_of("gpt-2")
    size = tokenizer.get_vocab_size()
    assert vocabulary_of(tokenizer, size, ENDS).texts[-1] == tokenizer.id_to_token(size - 1)
    with pytest.raises(ConversionRefused, match=f"has the token {size - 1}, and the embedding has {size - 1} rows"):
        vocabulary_of(tokenizer, size - 1, ENDS)
