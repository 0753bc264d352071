"""Real GGUF files with random weights, written with the `gguf` package and run by the real llama.cpp.

The architecture is qwen2 in F32, the tokenizer a byte-level BPE with a few merges and `<|...|>` control tokens
that the model never predicts unless a test makes it.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
import pytest

from capture.inputs import ExcerptRanges, PredictionInputs
from daemon.engine.abort import AbortFlag
from daemon.engine.client import EngineClient
from daemon.engine.decoder import Decoder
from daemon.engine.llama import Context, Log, Model
from daemon.engine.messages import ModelSettings
from daemon.engine.pace import FixedCosts, PassCosts

CONTROL_TOKENS = ("<|endoftext|>", "<|end|>", "<|line_0|>", "<|line_1|>")
MERGED_PAIRS = ("Ġ Ġ", "ĠĠ ĠĠ", "d e", "de f", "s e", "se l", "sel f", "r e", "re t", "Ġ =", "i n", "o r")
HEAD_WIDTH = 32
PLAIN_WORKER = (sys.executable, "-m", "tests.daemon.engine.plain_worker")


@dataclass(frozen=True)
class TinyModel:
    """The shape of a model to write.

    ``end_token`` is the id of the token that ends a sequence; wherever the model would predict the token
    ``line_token_instead_of`` it predicts ``<|line_0|>``, and a newline for ``newline_instead_of``. Without ``certainty`` near ties are common.
    """

    width: int = 64
    layers: int = 2
    context_tokens: int = 1024
    prompt_format: str = "plain"
    architecture: str = "qwen2"
    end_token: int | None = None
    line_token_instead_of: int | None = None
    newline_instead_of: int | None = None
    seed: int = 1
    certainty: float = 1.0  # times what it prefers one token to another
    text: bool = True  # predicts printable ASCII only, else any byte: mostly no UTF-8
    broken: bool = False  # its output is not a number
    min_confidence: float | None = None  # what the file says of itself


def vocabulary() -> tuple[list[str], list[int]]:
    """Token texts (each byte as GPT-2's printable stand-in) and their GGUF token types."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_in = {byte: chr(byte) for byte in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    tokens = [stand_in[byte] for byte in range(256)] + [pair.replace(" ", "") for pair in MERGED_PAIRS]
    types = [gguf.TokenType.NORMAL] * len(tokens) + [gguf.TokenType.CONTROL] * len(CONTROL_TOKENS)
    return tokens + list(CONTROL_TOKENS), [int(kind) for kind in types]


def output_weights(output: np.ndarray, tokens: list[str], model: TinyModel) -> np.ndarray:
    """The rows that make logits, from random ones: what the model shall never write or write instead is seen to."""
    output[-len(CONTROL_TOKENS) :] = 0  # logit 0: never the best
    output *= model.certainty
    if model.text:
        output[:0x20] = output[0x7F:0x100] = 0
    if model.line_token_instead_of is not None:
        output[tokens.index("<|line_0|>")] = output[model.line_token_instead_of] * 1.01
    if model.newline_instead_of is not None:
        output[tokens.index("Ċ")] = output[model.newline_instead_of] * 1.01
    if model.broken:
        output[7] = np.nan
    return output


def write_model(path: Path, model: TinyModel) -> Path:
    tokens, types = vocabulary()
    weights = random_weights(model.seed)
    width, inner = model.width, 2 * model.width

    writer = gguf.GGUFWriter(str(path), model.architecture)
    writer.add_name("tiny")
    writer.add_string("foretype.prompt_format", model.prompt_format)
    if model.min_confidence is not None:
        writer.add_float32("foretype.min_confidence", model.min_confidence)
    writer.add_context_length(model.context_tokens)
    writer.add_embedding_length(width)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(width // HEAD_WIDTH)
    writer.add_head_count_kv(width // HEAD_WIDTH)
    writer.add_layer_norm_rms_eps(1e-6)
    add_tokenizer(writer, tokens, types, tokens.index("<|endoftext|>") if model.end_token is None else model.end_token)

    output = output_weights(weights(len(tokens), width), tokens, model)
    writer.add_tensor("token_embd.weight", weights(len(tokens), width) * 4)
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for layer in range(model.layers):
        for part in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{part}.weight", np.ones(width, np.float32))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{part}.weight", weights(width, width))
        for part in ("attn_q", "attn_k", "attn_v"):
            writer.add_tensor(f"blk.{layer}.{part}.bias", np.zeros(width, np.float32))
        writer.add_tensor(f"blk.{layer}.ffn_gate.weight", weights(inner, width))
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", weights(inner, width))
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", weights(width, inner))
    return finished(writer, path)


def write_recurrent_model(path: Path, width: int = 64, layers: int = 2) -> Path:
    """A mamba: its memory is one state for each sequence, not cells."""
    tokens, types = vocabulary()
    weights = random_weights(seed=1)
    inner, state, rank, convolution = 2 * width, 16, 4, 4
    writer = gguf.GGUFWriter(str(path), "mamba")
    writer.add_string("foretype.prompt_format", "plain")
    writer.add_context_length(1024)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_ssm_conv_kernel(convolution)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    add_tokenizer(writer, tokens, types, tokens.index("<|endoftext|>"))
    writer.add_tensor("token_embd.weight", weights(len(tokens), width) * 4)
    writer.add_tensor("output.weight", output_weights(weights(len(tokens), width), tokens, TinyModel()))
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for layer in range(layers):
        tensors = {
            "attn_norm.weight": np.ones(width, np.float32),
            "ssm_in.weight": weights(2 * inner, width),
            "ssm_conv1d.weight": weights(inner, convolution),
            "ssm_conv1d.bias": np.zeros(inner, np.float32),
            "ssm_x.weight": weights(rank + 2 * state, inner),
            "ssm_dt.weight": weights(inner, rank),
            "ssm_dt.bias": np.zeros(inner, np.float32),
            "ssm_a": -np.tile(np.arange(1, state + 1, dtype=np.float32), (inner, 1)),
            "ssm_d": np.ones(inner, np.float32),
            "ssm_out.weight": weights(width, inner),
        }
        for name, tensor in tensors.items():
            writer.add_tensor(f"blk.{layer}.{name}", tensor)
    return finished(writer, path)


def random_weights(seed: int) -> Callable[[int, int], np.ndarray]:
    """A function that makes one matrix after the other."""
    random = np.random.default_rng(seed)
    return lambda rows, columns: (random.standard_normal((rows, columns)) * 2 / np.sqrt(columns)).astype(np.float32)


def add_tokenizer(writer: gguf.GGUFWriter, tokens: list[str], types: list[int], end_token: int) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(list(MERGED_PAIRS))
    writer.add_eos_token_id(end_token)
    writer.add_add_bos_token(False)


def finished(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def build_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``build_model(**changes)``: the path of a model, ``TinyModel`` with the named changes, built once."""
    folder = tmp_path_factory.mktemp("models")
    built: dict[TinyModel, Path] = {}

    def build(**changes: object) -> Path:
        model = replace(TinyModel(), **changes)
        if model not in built:
            built[model] = write_model(folder / f"tiny{len(built)}.gguf", model)
        return built[model]

    return build


@pytest.fixture(scope="session")
def tiny_model(build_model: Callable[..., Path]) -> Path:
    """A model whose context takes 1,024 tokens."""
    return build_model()


@pytest.fixture(scope="session")
def slow_model(build_model: Callable[..., Path]) -> Path:
    """A model large enough that a long prompt or answer takes seconds."""
    return build_model(width=256, layers=6, context_tokens=8192)


@pytest.fixture(scope="session")
def recurrent_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose memory is a state: part of what it read cannot be taken back."""
    return write_recurrent_model(tmp_path_factory.mktemp("recurrent") / "mamba.gguf")


@pytest.fixture(scope="session")
def llama_log() -> Log:
    """llama.cpp's log of the test process."""
    return Log(lambda _line: None)


class Bench:
    """One loaded model with a decoder, in this process; a drafted token costs a fifth of a pass unless said otherwise."""

    def __init__(
        self,
        path: Path,
        log: Log,
        clock: Callable[[], float],
        batch_tokens: int,
        *,
        sequences: int = 1,
        cells: int = 0,
        costs: PassCosts | None = None,
        read_batch_tokens: int | None = None,
    ) -> None:
        self.flag = AbortFlag.create()
        self.model = Model.load(str(path), log)
        self.context = Context(
            self.model,
            log,
            context_tokens=self.model.facts().training_context_tokens,
            batch_tokens=batch_tokens,
            threads=1,
            abort=self.flag,
            sequences=sequences,
            cells=cells,
        )
        self.decoder = Decoder(
            self.model,
            self.context,
            self.flag,
            clock,
            costs or FixedCosts(1.0, 0.2),
            batch_tokens if read_batch_tokens is None else read_batch_tokens,
        )

    def close(self) -> None:
        self.context.close()
        self.model.close()
        self.flag.close()


@pytest.fixture
def open_bench(llama_log: Log) -> Iterator[Callable[..., Bench]]:
    """``open_bench(path, clock=..., batch_tokens=..., ...)``: a decoder in this process, closed after the test."""
    benches: list[Bench] = []

    def open_(path: Path, clock: Callable[[], float] = lambda: 0.0, batch_tokens: int = 16, **options: object) -> Bench:
        benches.append(Bench(path, llama_log, clock, batch_tokens, **options))
        return benches[-1]

    yield open_
    for bench in benches:
        bench.close()


class PlainLoop:
    """Greedy decoding as plainly as can be: llama.cpp alone, everything evaluated anew for every token."""

    def __init__(self, path: Path) -> None:
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx, parameters.n_threads, parameters.n_threads_batch = 512, 1, 1
        parameters.n_ubatch = 32  # larger passes round coarsely
        self._context = llama_cpp.llama_init_from_model(self._model, parameters)
        vocabulary_pointer = llama_cpp.llama_model_get_vocab(self._model)
        self._size = llama_cpp.llama_vocab_n_tokens(vocabulary_pointer)

    def answer(self, prompt: Sequence[int], count: int) -> tuple[list[int], float, float]:
        """``count`` greedy tokens, the sum of their log-probabilities, and the smallest lead of a best token."""
        tokens = list(prompt)
        log_probability, smallest_lead = 0.0, float("inf")
        for _ in range(count):
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
            array = (llama_cpp.llama_token * len(tokens))(*tokens)  # kept: the batch only points to it
            batch = llama_cpp.llama_batch_get_one(array, len(tokens))
            assert llama_cpp.llama_decode(self._context, batch) == 0
            pointer = llama_cpp.llama_get_logits_ith(self._context, -1)
            logits = np.ctypeslib.as_array(pointer, (self._size,)).astype(np.float64)
            second, best = np.sort(logits)[-2:]
            smallest_lead = min(smallest_lead, float(best - second))
            log_probability -= float(np.log(np.exp(logits - best).sum()))
            tokens.append(int(logits.argmax()))
        return tokens[len(prompt) :], log_probability, smallest_lead

    def close(self) -> None:
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)


@pytest.fixture(scope="session")
def plain_loop(tiny_model: Path, llama_log: Log) -> Iterator[PlainLoop]:
    """The reference for the tiny model's answers."""
    loop = PlainLoop(tiny_model)
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def moment() -> Callable[..., PredictionInputs]:
    """``moment(text, budget=..., stop=[...])``: inputs whose prompt is ``text`` for the plain worker."""

    def make(text: str, **options: object) -> PredictionInputs:
        return PredictionInputs(
            cursor_path="a.py",
            cursor_excerpt=text,
            cursor_offset_in_excerpt=0,
            excerpt_ranges=ExcerptRanges({}),
            repo_url=json.dumps(options),
        )

    return make


@pytest.fixture
async def open_client(tiny_model: Path):
    """``open_client(path, **options)``: a client of the plain worker, closed after the test."""
    clients: list[EngineClient] = []

    def open_(path: Path = tiny_model, **options: object) -> EngineClient:
        log = options.pop("log", None) or logging.getLogger("tests.worker")
        settings = ModelSettings(str(path), threads=1)
        options.setdefault("command", PLAIN_WORKER)
        clients.append(EngineClient(settings, log=log, **options))
        return clients[-1]

    yield open_
    for client in clients:
        await client.close()


@pytest.fixture(scope="session")
def plain_worker_command() -> tuple[str, ...]:
    """The command of a worker with the plain format."""
    return PLAIN_WORKER


@pytest.fixture(scope="session")
def surprise() -> Callable[[Sequence[int], np.ndarray], float]:
    """``surprise(tokens, probabilities)``: how far counts are from what is expected.

    Chi-square in standard deviations, rare tokens taken together.
    """

    def measure(tokens: Sequence[int], probabilities: np.ndarray) -> float:
        counts = np.bincount(tokens, minlength=len(probabilities))
        expected = probabilities * len(tokens)
        often = expected >= 5
        observed = [*counts[often], counts[~often].sum()]
        wanted = [*expected[often], max(expected[~often].sum(), 1.0)]
        chi_square = sum((one - other) ** 2 / other for one, other in zip(observed, wanted, strict=True))
        return (chi_square - len(wanted)) / math.sqrt(2 * len(wanted))

    return measure
