"""Which teacher, and how it is asked: read from what was typed, carried by stages. Opens nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from daemon import registry
from daemon.errors import BadArgument, ModelNotFound
from training_export.teachers.api import Identity
from training_export.teachers.cache import default_path
from training_export.teachers.money import PRICES, Price
from training_export.teachers.pacing import PacingLimits

Service = Literal["anthropic", "openai", "compatible", "gguf"]

# As Zed calls them. claude-sonnet-4-5 is served until 30 November 2026.
ALIASES: Final[Mapping[str, tuple[Service, str]]] = {
    "sonnet45": ("anthropic", "claude-sonnet-4-5"),
    "sonnet46": ("anthropic", "claude-sonnet-4-6"),
    "gpt52": ("openai", "gpt-5.2"),
    "gpt54": ("openai", "gpt-5.4"),
    "gpt55": ("openai", "gpt-5.5"),
}
DEFAULT_TEACHER: Final = "sonnet46"
BASE_URL_VARIABLES: Final = {"anthropic": "ANTHROPIC_BASE_URL", "openai": "OPENAI_BASE_URL"}
TIMEOUT_SECONDS: Final = 600.0  # 16,384 tokens come in a few minutes


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """One teacher. ``identity`` is what shapes its answers; the rest says how it is asked.

    ``endpoint`` is the service's address where it is not the usual one. Of a GGUF ``model`` is the path, and
    ``checksum`` what it is known by. With ``only_found`` nobody is asked: answers come from the cache, where a batch
    has put them.
    """

    service: Service
    model: str
    endpoint: str = ""
    checksum: str = ""
    cache: Path = field(default_factory=lambda: default_path(Path()))
    price: Price | None = None
    budget_dollars: float | None = None
    timeout_seconds: float = TIMEOUT_SECONDS
    pacing: PacingLimits = field(default_factory=PacingLimits)
    only_found: bool = False

    def __post_init__(self) -> None:
        if self.budget_dollars is not None and self.known_price is None:
            raise BadArgument(
                f"--budget needs a price, and none is known of {self.model}; give it like --price in=3,out=15"
            )

    @property
    def name(self) -> str:
        """The provider of its predictions: Zed's name where it has one."""
        if self.service == "gguf":
            return f"gguf:{Path(self.model).stem}"
        aliases = {target: alias for alias, target in ALIASES.items()}
        return f"teacher:{aliases.get((self.service, self.model), self.model)}"

    @property
    def identity(self) -> Identity:
        """Who answers."""
        return Identity(self.service, self.checksum or self.model, self.endpoint)

    @property
    def known_price(self) -> Price | None:
        """What was given, else what the table has; local models cost nothing, and nor do servers of one's own."""
        if self.price is not None:
            return self.price
        return Price(0.0, 0.0) if self.service in ("compatible", "gguf") else PRICES.get(self.model)


def read_teacher(name: str, *, base_url: str = "", environment: Mapping[str, str] = os.environ) -> TeacherSettings:
    """From ``sonnet46``, ``anthropic:MODEL``, ``compatible:MODEL@URL``, ``gguf:PATH``, ... as it is typed.

    The address is taken from ``base_url``, else from the variable of the service's SDK. Raises BadArgument, and
    ModelNotFound for a GGUF that is not there.
    """
    if name in ALIASES:
        service, model = ALIASES[name]
    else:
        kind, _, model = name.partition(":")
        service = _service(kind, name)
    if service == "compatible":
        model, _, url = model.rpartition("@")
        base_url = base_url or url
    if not model:
        raise BadArgument(f"{name!r} names no model; {EXPECTED}")
    if service == "gguf":
        return _local(model)
    endpoint = (base_url or environment.get(BASE_URL_VARIABLES.get(service, ""), "")).rstrip("/")
    if service == "compatible" and not endpoint.startswith(("http://", "https://")):
        raise BadArgument(f"{name!r} does not say where the server is; give compatible:MODEL@http://HOST:PORT/v1")
    return TeacherSettings(service, model, endpoint)


def _local(model: str) -> TeacherSettings:
    path = registry.resolve(model, relative_to=Path.cwd()).path
    try:
        return TeacherSettings("gguf", str(path), checksum=registry.checksum(path))
    except OSError as error:
        raise ModelNotFound(f"{path} cannot be read: {error.strerror}") from error


EXPECTED: Final = (
    f"a teacher is one of {', '.join(ALIASES)}, or anthropic:MODEL, openai:MODEL, compatible:MODEL@URL, gguf:PATH"
)


def _service(kind: str, name: str) -> Service:
    match kind:
        case "anthropic" | "openai" | "compatible" | "gguf":
            return kind
        case _:
            raise BadArgument(f"no teacher is called {name!r}; {EXPECTED}")
