"""A thin typed layer over llama.cpp's C API, as bound by llama-cpp-python: models, tokens, one context.

Logits are made only for the tokens that are asked about. Knows nothing of prompts, reuse or requests; the only
module that imports ``llama_cpp``, and only the worker process imports it.
"""

from __future__ import annotations

import ctypes
from collections import deque
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

import llama_cpp
import numpy as np
from llama_cpp._ggml import libggml
from numpy.typing import NDArray

from daemon.engine.placing import Placing
from daemon.engine.ways import FlashAttention, KvType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from daemon.engine.abort import AbortFlag

Logits = NDArray[np.float32]

LOG_WARNING, LOG_ERROR, LOG_CONTINUED = 3, 4, 5  # ggml_log_level in ggml.h
KEPT_ERRORS = 8  # lines of llama.cpp's log that explain a refusal
FLASH_ATTENTION = {
    FlashAttention.AUTO: llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO,
    FlashAttention.ON: llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    FlashAttention.OFF: llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
KV_TYPES = {KvType.F16: llama_cpp.GGML_TYPE_F16, KvType.Q8_0: llama_cpp.GGML_TYPE_Q8_0}
MIXED = -1  # in place of a sequence's number: the batch names several


class LlamaError(Exception):
    """llama.cpp refused; the message carries what its log said."""


class DecodeStatus(Enum):
    """How ``llama_decode`` ended; every other return code raises."""

    DONE = 0
    ABORTED = 2


class Log:
    """llama.cpp's log: warnings and errors go to ``write``, the last errors are kept to explain a failure."""

    _held_by_c: ClassVar[Any] = None  # llama.cpp calls it whenever it likes, so it must outlive this object

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._errors: deque[str] = deque(maxlen=KEPT_ERRORS)
        self._level = 0
        self._held: list[str] | None = None
        Log._held_by_c = llama_cpp.llama_log_callback(self._receive)
        llama_cpp.llama_log_set(Log._held_by_c, ctypes.c_void_p(None))

    def _receive(self, level: int, text: bytes, _user_data: Any) -> None:
        if level != LOG_CONTINUED:
            self._level = level
        if self._level not in (LOG_WARNING, LOG_ERROR):
            return
        line = text.decode(errors="replace")
        if self._held is None:
            self._write(line)
        else:
            self._held.append(line)
        if self._level == LOG_ERROR and "failed to load model" not in line:  # says no more than that
            self._errors.append(line.rpartition("error loading model: ")[2].strip())

    @contextmanager
    def holding(self) -> Iterator[list[str]]:
        """Keep lines back while the block runs; it may empty the list, the rest is written at its end."""
        held: list[str] = []
        self._held = held
        try:
            yield held
        finally:
            self._held = None
            for line in held:
                self._write(line)

    def take_errors(self) -> str:
        """The errors since the last call, in one line."""
        errors = "; ".join(filter(None, self._errors))
        self._errors.clear()
        return errors


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What llama.cpp says of a model."""

    metadata: dict[str, str]
    parameters: int
    size_bytes: int
    training_context_tokens: int
    vocabulary_tokens: int

    @property
    def architecture(self) -> str:
        """The model family in llama.cpp's words."""
        return self.metadata.get("general.architecture", "")


_STRIPS = llama_cpp.LLAMA_TOKEN_ATTR_LSTRIP | llama_cpp.LLAMA_TOKEN_ATTR_RSTRIP
_NEVER_SPLIT = (
    llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED | llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
)


class Model:
    """A GGUF in memory (or only its vocabulary and metadata)."""

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer
        self._vocabulary: Any = llama_cpp.llama_model_get_vocab(pointer)
        self._pieces: dict[int, bytes] = {}
        self._tokens = (llama_cpp.llama_token * 4096)()

    @classmethod
    def load(cls, path: str, log: Log, *, gpu_layers: int = 0, vocabulary_only: bool = False) -> Model:
        """Load ``path``; ``gpu_layers`` -1 offloads all. Raises LlamaError with llama.cpp's own words."""
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = gpu_layers
        parameters.vocab_only = vocabulary_only
        log.take_errors()
        pointer = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
        if not pointer:
            raise LlamaError(log.take_errors() or "llama.cpp gives no reason")
        return cls(pointer)

    def close(self) -> None:
        """Free the model; contexts made from it must be gone."""
        llama_cpp.llama_model_free(self.pointer)

    def facts(self) -> ModelFacts:
        """Metadata (scalars only, as llama.cpp prints them) and sizes."""
        metadata = {}
        for index in range(llama_cpp.llama_model_meta_count(self.pointer)):
            key = _meta_string(llama_cpp.llama_model_meta_key_by_index, self.pointer, index)
            metadata[key] = _meta_string(llama_cpp.llama_model_meta_val_str_by_index, self.pointer, index)
        return ModelFacts(
            metadata=metadata,
            parameters=llama_cpp.llama_model_n_params(self.pointer),
            size_bytes=llama_cpp.llama_model_size(self.pointer),
            # From the metadata: llama.cpp reports 0 while only the vocabulary is loaded.
            training_context_tokens=int(metadata.get(f"{metadata.get('general.architecture')}.context_length", "0")),
            vocabulary_tokens=llama_cpp.llama_vocab_n_tokens(self._vocabulary),
        )

    def tokenize(self, text: str, *, parse_special: bool = True, add_beginning: bool = False) -> list[int]:
        """Token ids of ``text``; with ``parse_special`` control tokens in it become one token each.

        ``add_beginning`` puts the beginning-of-sequence token first where the model's metadata asks for it.
        """
        encoded = text.encode()
        tokens = self._tokens
        count = llama_cpp.llama_tokenize(
            self._vocabulary, encoded, len(encoded), tokens, len(tokens), False, parse_special
        )
        if count < 0:  # the buffer was too small and the count says how large it must be
            self._tokens = tokens = (llama_cpp.llama_token * -count)()
            count = llama_cpp.llama_tokenize(
                self._vocabulary, encoded, len(encoded), tokens, len(tokens), False, parse_special
            )
        found: list[int] = tokens[:count]
        return self.with_beginning(found) if add_beginning else found

    def with_beginning(self, tokens: list[int]) -> list[int]:
        """``tokens`` behind the beginning-of-sequence token, where the metadata asks for it and it is not there."""
        if llama_cpp.llama_vocab_get_add_bos(self._vocabulary):
            beginning = int(llama_cpp.llama_vocab_bos(self._vocabulary))
            if tokens[:1] != [beginning]:
                return [beginning, *tokens]
        return tokens

    def cuts_behind(self, texts: Iterable[str]) -> list[str]:
        """Those of ``texts`` behind which any text may be cut: its parts have the tokens of the whole.

        That is so for control tokens that take no white space along and cannot be mistaken for a part of another, in
        vocabularies whose text between control tokens stands by itself.
        """
        if llama_cpp.llama_vocab_type(self._vocabulary) != llama_cpp.LLAMA_VOCAB_TYPE_BPE:
            return []
        never_split = set()  # what is found in a text before it is cut into words, the longest first
        for token in range(llama_cpp.llama_vocab_n_tokens(self._vocabulary)):
            attributes = llama_cpp.llama_vocab_get_attr(self._vocabulary, token)
            if attributes & _STRIPS:
                return []
            if attributes & _NEVER_SPLIT:
                never_split.add(self.piece(token).decode(errors="replace"))
        return [
            text for text in texts if text in never_split and not any(_takes_from(other, text) for other in never_split)
        ]

    def piece(self, token: int) -> bytes:
        """The bytes of one token, control tokens written out; a character may span several tokens."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._detokenize(token)
        return piece

    def _detokenize(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = llama_cpp.llama_token_to_piece(self._vocabulary, token, buffer, size, 0, True)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    @property
    def can_forget(self) -> bool:
        """Whether a part of what was read can be taken back: a recurrent state holds all of it or nothing."""
        return not (llama_cpp.llama_model_is_recurrent(self.pointer) or llama_cpp.llama_model_is_hybrid(self.pointer))

    def ends_generation(self, token: int) -> bool:
        """Whether the vocabulary marks ``token`` as an end (of sequence, of turn, ...)."""
        return bool(llama_cpp.llama_vocab_is_eog(self._vocabulary, token))

    def control_texts(self) -> list[str]:
        """The texts of the vocabulary's control tokens.

        Some converters mark control tokens as user-defined, like runs of spaces; ``<|...|>`` tells them
        apart.
        """
        texts = []
        for token in range(llama_cpp.llama_vocab_n_tokens(self._vocabulary)):
            attributes = llama_cpp.llama_vocab_get_attr(self._vocabulary, token)
            if attributes & llama_cpp.LLAMA_TOKEN_ATTR_CONTROL:
                texts.append(self.piece(token).decode(errors="replace"))
            elif attributes & llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED:
                piece = self.piece(token)
                if piece.startswith(b"<|") and piece.endswith(b"|>"):
                    texts.append(piece.decode(errors="replace"))
        return texts


def _takes_from(other: str, text: str) -> bool:
    """Whether ``other`` is looked for first and can stand where ``text`` does, or begin before its end."""
    if other == text or len(other) < len(text):
        return False
    return text in other or any(other.startswith(text[start:]) for start in range(1, len(text)))


def _meta_string(read: Callable[..., int], pointer: Any, index: int) -> str:
    size = 256
    while True:
        buffer = ctypes.create_string_buffer(size)
        length = read(pointer, index, buffer, size)  # of the whole string, wherever the buffer ends
        if length < size:
            return buffer.value.decode(errors="replace")
        size = length + 1


class Context:
    """A KV cache of one or several sequences and the buffers to evaluate tokens in it.

    ``context_tokens`` is the longest sequence, ``cells`` what all of them together may hold (tokens that
    sequences share count once) and ``batch_tokens`` the most one ``decode`` takes, logical and physical alike:
    one call is one forward pass, and an abort loses at most that many tokens.
    """

    def __init__(
        self,
        model: Model,
        log: Log,
        *,
        context_tokens: int,
        batch_tokens: int,
        threads: int,
        abort: AbortFlag | None = None,
        sequences: int = 1,
        cells: int = 0,
        flash_attention: FlashAttention = FlashAttention.AUTO,
        kv_type: KvType = KvType.F16,
    ) -> None:
        """``cells`` 0 means ``context_tokens``.

        Raises LlamaError when there is no memory for the context, or the model cannot run so.
        """
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = max(cells, context_tokens)
        parameters.n_batch = parameters.n_ubatch = batch_tokens
        parameters.n_seq_max = sequences
        parameters.kv_unified = True
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.no_perf = True
        parameters.flash_attn_type = FLASH_ATTENTION[flash_attention]
        parameters.type_k = parameters.type_v = KV_TYPES[kv_type]
        self._threads = threads
        self._placing = Placing()
        self._abort = abort
        if abort is not None:
            parameters.abort_callback = _ask_flag()
            parameters.abort_callback_data = abort.address()
        self._log = log
        log.take_errors()
        with log.holding() as held:
            self._pointer = llama_cpp.llama_init_from_model(model.pointer, parameters)
            if self._pointer and cells > context_tokens:
                held.clear()  # it warns of sequences longer than in training, which the cells of several are not
        if not self._pointer:
            raise LlamaError(log.take_errors() or "llama.cpp could not make a context")
        self._memory: Any = llama_cpp.llama_get_memory(self._pointer)
        self.cells: int = llama_cpp.llama_n_ctx(self._pointer)
        self.context_tokens = min(context_tokens, self.cells) if cells else self.cells
        self.batch_tokens = batch_tokens
        self.sequences = sequences
        self._vocabulary_tokens = model.facts().vocabulary_tokens
        self._batch = llama_cpp.llama_batch_init(batch_tokens, 0, 1)
        self._tokens = np.ctypeslib.as_array(self._batch.token, (batch_tokens,))
        self._positions = np.ctypeslib.as_array(self._batch.pos, (batch_tokens,))
        self._wanted = np.ctypeslib.as_array(self._batch.logits, (batch_tokens,))
        self._wanted[:] = 0
        self._sequence = 0  # the one the batch names, or MIXED
        for index in range(batch_tokens):
            self._batch.n_seq_id[index] = 1
            self._batch.seq_id[index][0] = self._sequence
        self._logits_address = 0
        self._logits: Logits = np.empty((0, 0), np.float32)
        self._rows = 0

    def close(self) -> None:
        """Free the context; its model must still be there."""
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._pointer)

    def decode(self, tokens: Sequence[int], start: int, *, logits: int, sequence: int = 0) -> DecodeStatus:
        """Evaluate at most ``batch_tokens`` tokens of ``sequence`` from position ``start``.

        ``logits`` is for how many of the last tokens there shall be logits. After ABORTED none of these tokens is
        in the cache. Raises LlamaError when llama.cpp cannot evaluate.
        """
        count = len(tokens)
        if sequence != self._sequence:
            for index in range(self.batch_tokens):
                self._batch.seq_id[index][0] = sequence
            self._sequence = sequence
        self._positions[:count] = np.arange(start, start + count)
        return self._decode(tokens, logits)

    def decode_side_by_side(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[int]
    ) -> DecodeStatus:
        """Evaluate one token of each of several sequences in one pass, with logits for all, in this order.

        ``positions`` are where they stand in their sequences. Else as ``decode``.
        """
        for index, sequence in enumerate(sequences):
            self._batch.seq_id[index][0] = sequence
        self._sequence = MIXED
        self._positions[: len(tokens)] = positions
        return self._decode(tokens, len(tokens))

    def _decode(self, tokens: Sequence[int], logits: int) -> DecodeStatus:
        """Evaluate ``tokens`` at the positions and in the sequences that the batch names."""
        count = len(tokens)
        self._batch.n_tokens = count
        self._tokens[:count] = tokens
        self._wanted[count - logits : count] = 1
        placed = self._placing.apart() if self._threads > 1 else nullcontext()
        with self._log.holding() as held, placed:
            code = llama_cpp.llama_decode(self._pointer, self._batch)
            if code == DecodeStatus.ABORTED.value:
                held.clear()  # what llama.cpp says of an abort is no news: there is one for most keystrokes
        self._wanted[count - logits : count] = 0
        self._rows = logits
        if code not in (DecodeStatus.DONE.value, DecodeStatus.ABORTED.value):
            raise LlamaError(f"llama.cpp could not evaluate {count} tokens at {self._positions[0]} (code {code})")
        return DecodeStatus(code)

    def logits(self) -> Logits:
        """A row for each token decoded with logits; a view, valid until the next ``decode``.

        Raises LlamaError for a model that has none.
        """
        pointer = llama_cpp.llama_get_logits(self._pointer)
        if not pointer:
            raise LlamaError("the model predicts no tokens (an embedding model?)")
        address = ctypes.addressof(pointer.contents)
        if address != self._logits_address:  # making the view costs more than reading through it
            self._logits_address = address
            # As many rows as there may ever be: the buffer holds no more than those that were asked for.
            self._logits = np.ctypeslib.as_array(pointer, (self.batch_tokens, self._vocabulary_tokens))
        return self._logits[: self._rows]

    def finish(self) -> None:
        """Wait until a device has computed what ``decode`` handed to it."""
        llama_cpp.llama_synchronize(self._pointer)

    def use_threads(self, count: int) -> None:
        """Compute with so many threads from the next ``decode`` on."""
        self._threads = count
        llama_cpp.llama_set_n_threads(self._pointer, count, count)

    @contextmanager
    def noting_checks(self, clock: Callable[[], float]) -> Iterator[list[float]]:
        """When llama.cpp looked at the abort flag while the block ran; it does so in the thread that decodes.

        The flag counts as always. Each look takes a microsecond or two longer, because Python is asked.
        """
        times: list[float] = []
        flag = self._abort

        def look(_data: Any) -> bool:
            times.append(clock())
            return flag is not None and bool(flag.cause)

        looking = llama_cpp.ggml_abort_callback(look)
        llama_cpp.llama_set_abort_callback(self._pointer, looking, None)
        try:
            yield times
        finally:
            usual = llama_cpp.ggml_abort_callback() if flag is None else _ask_flag()
            llama_cpp.llama_set_abort_callback(self._pointer, usual, None if flag is None else flag.address())

    def keep(self, count: int, sequence: int = 0) -> bool:
        """Remove all but the first ``count`` tokens of a sequence; False (nothing removed) where memory cannot."""
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, sequence, count, -1))

    def share(self, source: int, target: int, count: int) -> None:
        """Make the first ``count`` tokens of ``source`` the first ones of the empty ``target`` too; costs no cell."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, count)

    def clear(self) -> None:
        """Remove everything, from all sequences."""
        llama_cpp.llama_memory_clear(self._memory, False)

    def held_tokens(self, sequence: int = 0) -> int:
        """How many positions a sequence holds."""
        return int(llama_cpp.llama_memory_seq_pos_max(self._memory, sequence)) + 1


def _ask_flag() -> Any:
    """What llama.cpp asks, without Python: see ``abort.py``."""
    return ctypes.cast(ctypes.CDLL(None).strlen, llama_cpp.ggml_abort_callback)


def system_info(gpu_layers: int) -> str:
    """The devices and the instruction sets that this build uses on this machine, in llama.cpp's words."""
    words = llama_cpp.llama_print_system_info().decode(errors="replace")
    return f"{backend(gpu_layers)}; {words.strip(' |')}"


def backend(gpu_layers: int) -> str:
    """The devices this build of llama.cpp computes on, for ``gpu_layers`` layers offloaded."""
    if gpu_layers == 0 or not llama_cpp.llama_supports_gpu_offload():
        return "CPU"
    library = libggml
    library.ggml_backend_dev_get.restype = ctypes.c_void_p
    library.ggml_backend_dev_name.restype = ctypes.c_char_p
    library.ggml_backend_dev_name.argtypes = [ctypes.c_void_p]
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    devices = (library.ggml_backend_dev_get(index) for index in range(library.ggml_backend_dev_count()))
    return ", ".join(library.ggml_backend_dev_name(device).decode() for device in devices)
