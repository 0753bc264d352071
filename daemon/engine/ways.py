"""Ways to run a model: what there is to choose, what was measured of each, and which one is in use.

Values that the hub and the worker exchange; no choosing here (``daemon/tuning``) and no llama.cpp.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

LARGEST_READ_BATCH_TOKENS = 512


class FlashAttention(StrEnum):
    """Which attention kernels; ``AUTO`` leaves it to llama.cpp, which looks at the device and the model."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class KvType(StrEnum):
    """How keys and values are kept in the cache. ``Q8_0`` takes about half the memory and changes answers."""

    F16 = "f16"
    Q8_0 = "q8_0"

    @property
    def bytes_per_value(self) -> float:
        """Q8_0 keeps 32 values in 34 bytes."""
        return 2.0 if self is KvType.F16 else 34 / 32


@dataclass(frozen=True, slots=True)
class Way:
    """One way to evaluate tokens."""

    threads: int
    flash_attention: FlashAttention = FlashAttention.AUTO
    kv_type: KvType = KvType.F16

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Way:
        """Read what ``dataclasses.asdict`` wrote; raises KeyError, TypeError or ValueError."""
        return cls(value["threads"], FlashAttention(value["flash_attention"]), KvType(value["kv_type"]))


@dataclass(frozen=True, slots=True)
class Measured:
    """What passes cost in one way: medians in seconds, by tokens of the pass.

    They are seconds of the processor with one thread, and real ones otherwise (see ``tuning.py:_Bench``).

    ``keystroke_seconds`` is what the passes of a typical keystroke take together after a pause, as there is one before
    a key is pressed (0.0: not measured). The others follow at once, with warm caches and threads awake:
    ``pass_seconds`` are of passes with logits for every token, ``read_seconds`` of passes that read a prompt and need
    none, ``gap_seconds`` the longest stretch of such a pass in which llama.cpp does not look at the abort flag.
    ``rounds`` is how often everything was measured; 0 means that time ran out before, and some of it is missing.
    ``refused`` is why llama.cpp cannot run the model so, else empty. ``processor_share`` is how much of the time the
    measuring thread had a core: well below 1, something else was using it.
    """

    way: Way
    rounds: int = 0
    depth_tokens: int = 0  # how many tokens the cache held
    keystroke_seconds: float = 0.0
    pass_seconds: dict[int, float] = field(default_factory=dict)
    read_seconds: dict[int, float] = field(default_factory=dict)
    gap_seconds: dict[int, float] = field(default_factory=dict)
    processor_share: float = 1.0
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        value = asdict(self)
        for name in ("pass_seconds", "read_seconds", "gap_seconds"):
            value[name] = {str(tokens): seconds for tokens, seconds in value[name].items()}
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Measured:
        """Read the wire form; raises KeyError, TypeError or ValueError when it is none."""
        fields = {**value, "way": Way.from_json(value["way"])}
        for name in ("pass_seconds", "read_seconds", "gap_seconds"):
            fields[name] = {int(tokens): float(seconds) for tokens, seconds in value[name].items()}
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that is ready to be measured; ``fitting`` are the KV types for which there is memory, the best first."""

    system_info: str
    fitting: tuple[KvType, ...]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Opened:
        """Read what ``dataclasses.asdict`` wrote; raises KeyError, TypeError or ValueError."""
        return cls(value["system_info"], tuple(KvType(kv_type) for kv_type in value["fitting"]))


@dataclass(frozen=True, slots=True)
class MeasureRequest:
    """What to measure of each of ``ways``, in turn: passes of so many tokens, as ``Measured`` has them.

    ``keystroke_tokens`` are those of the passes of one keystroke, in order. After ``seconds``, or after enough rounds,
    there is an end.
    """

    ways: tuple[Way, ...]
    seconds: float
    pass_tokens: tuple[int, ...] = ()
    read_tokens: tuple[int, ...] = ()
    gap_tokens: tuple[int, ...] = ()
    keystroke_tokens: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> MeasureRequest:
        """Read what ``dataclasses.asdict`` wrote; raises KeyError, TypeError or ValueError."""
        names = ("pass_tokens", "read_tokens", "gap_tokens", "keystroke_tokens")
        lists = {name: tuple(value[name]) for name in names}
        return cls(tuple(Way.from_json(way) for way in value["ways"]), value["seconds"], **lists)


@dataclass(frozen=True, slots=True)
class Tuning:
    """The way chosen for one model on one machine.

    ``system_info`` is what llama.cpp said of itself and the machine (``llama.system_info``); where it says something
    else, this does not hold. ``measured_at`` is a date and time in UTC, ISO 8601. ``threads_were_set`` says that the
    number of threads was not chosen: the settings named it, and the rest was measured with it.
    """

    threads: int
    flash_attention: FlashAttention
    kv_type: KvType
    read_batch_tokens: int  # 0: not measured, the engine chooses while it loads
    measured_at: str
    system_info: str
    threads_were_set: bool = False

    @classmethod
    def from_json(cls, value: Any) -> Tuning:
        """Read what ``dataclasses.asdict`` wrote; raises ValueError, saying what is wrong, for anything else."""
        if not isinstance(value, dict) or value.keys() != set(cls.__slots__):
            raise ValueError(f"it must hold {', '.join(cls.__slots__)}")
        for name, largest in (("threads", 1024), ("read_batch_tokens", LARGEST_READ_BATCH_TOKENS)):
            number = value[name]
            least = int(name == "threads")
            if type(number) is not int or not least <= number <= largest:
                raise ValueError(f"{name} must be a whole number from {least} to {largest}")
        if not (isinstance(value["measured_at"], str) and isinstance(value["system_info"], str)):
            raise ValueError("measured_at and system_info must be texts")  # noqa: TRY004  what was read is wrong
        if type(value["threads_were_set"]) is not bool:
            raise ValueError("threads_were_set must be true or false")
        flash_attention, kv_type = FlashAttention(value["flash_attention"]), KvType(value["kv_type"])
        if kv_type is KvType.Q8_0 and flash_attention is FlashAttention.OFF:
            raise ValueError("a q8_0 cache needs flash attention")
        return cls(**{**value, "flash_attention": flash_attention, "kv_type": kv_type})


class Source(StrEnum):
    """Where a value in use comes from."""

    SETTING = "setting"
    MEASURED = "measured"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class InUse:
    """The way a model runs, and where each part comes from; ``tuning`` says it in a sentence."""

    way: Way
    read_batch_tokens: int  # 0: chosen while loading
    sources: dict[str, str]
    tuning: str


def in_use(threads_setting: int, tuning: Tuning | None, why_untuned: str, system_info: str) -> InUse:
    """A setting counts before what was measured, and that before the defaults.

    ``why_untuned`` is the sentence for the case that there is no ``tuning``. Measurements of another llama.cpp or
    processor than ``system_info`` describes do not count.
    """
    if tuning is not None and tuning.system_info != system_info:
        why_untuned = (
            f"not tuned: what was measured {_minute(tuning.measured_at)} is of another build of llama.cpp or another"
            " processor; run: foretype model tune"
        )
        tuning = None
    source = Source.DEFAULT if tuning is None else Source.MEASURED
    sources = dict.fromkeys(("threads", "flash_attention", "kv_type", "read_batch_tokens"), source.value)
    if threads_setting:
        sources["threads"] = Source.SETTING.value
    elif tuning is not None and tuning.threads_were_set:
        sources["threads"] = Source.DEFAULT.value
    if tuning is None:
        return InUse(Way(threads_setting or default_threads()), 0, sources, why_untuned)
    if not tuning.read_batch_tokens:
        sources["read_batch_tokens"] = Source.DEFAULT.value
    threads = threads_setting or (default_threads() if tuning.threads_were_set else tuning.threads)
    way = Way(threads, tuning.flash_attention, tuning.kv_type)
    said = f"measured {_minute(tuning.measured_at)}"
    if tuning.threads_were_set:
        said += f" with `threads = {tuning.threads}` in the settings"
    return InUse(way, tuning.read_batch_tokens, sources, said)


def default_threads() -> int:
    """Half the cores: the programmer's editor and compiler want the others."""
    return max(1, (os.cpu_count() or 2) // 2)


def _minute(measured_at: str) -> str:
    return f"{measured_at[:16].replace('T', ' ')} UTC"
