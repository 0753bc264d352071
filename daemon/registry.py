"""Which models there are and where: the one shipped in the package, those pulled, and any GGUF by its path.

A pulled model is two files in the data directory: ``NAME.gguf`` and ``NAME.json``, its manifest (where it
came from and its checksum). Knows nothing of what is inside a GGUF: the engine judges that.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from daemon import paths
from daemon.errors import ModelNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

EMBEDDED = "embedded"
EMBEDDED_PATH = Path(__file__).parent / "models" / "student.gguf"
FINGERPRINT_BLOCKS, FINGERPRINT_BLOCK_BYTES = 64, 1 << 16
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Source(NamedTuple):
    """Where a model can be pulled from; an empty ``file`` means that there are several to choose from."""

    repository: str
    file: str
    about: str


# Models whose prompt formats we speak, by the short name `foretype model pull` takes.
KNOWN_SOURCES = {
    "sweep-0.5b": Source(
        "sweepai/sweep-next-edit-0.5B", "sweep-next-edit-0.5b.q8_0.gguf", "0.5 B, prompt format sweep"
    ),
    "sweep-1.5b": Source(
        "sweepai/sweep-next-edit-1.5B", "sweep-next-edit-1.5b.q8_0.v2.gguf", "1.5 B, prompt format sweep"
    ),
    "zeta-2": Source("bartowski/zed-industries_zeta-2-GGUF", "", "8 B, prompt format zeta2; choose a quantisation"),
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a pulled model came from; ``sha256`` was compared with the file when it was pulled."""

    name: str
    repository: str
    file: str
    revision: str
    sha256: str
    size_bytes: int

    def to_json(self) -> dict[str, object]:
        """The form in which it is stored."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model on this machine; ``manifest`` is None for the embedded one and for plain paths."""

    name: str
    path: Path
    manifest: Manifest | None = None


def resolve(name: str, relative_to: Path | None = None) -> KnownModel:
    """The model that ``name`` (a setting or an argument) means; raises ModelNotFound, naming what there is.

    What ends in ``.gguf`` or holds a slash is a path; it must be absolute unless ``relative_to`` says where
    it starts. That a path exists is not checked here.
    """
    if name == EMBEDDED:
        return KnownModel(EMBEDDED, EMBEDDED_PATH)
    if "/" in name or name.startswith("~") or name.endswith(".gguf"):
        path = Path(name).expanduser()
        if not path.is_absolute() and relative_to is None:
            raise ModelNotFound(f"the model path {name} must be absolute: the hub has no folder of its own")
        return KnownModel(path.stem, (relative_to or Path()) / path)
    for model in pulled():
        if model.name == name:
            return model
    if name in KNOWN_SOURCES:
        raise ModelNotFound(f"the model {name} is not on this machine; run: foretype model pull {name}")
    names = ", ".join([EMBEDDED, *(model.name for model in pulled())])
    raise ModelNotFound(
        f"no model is called {name!r}; there are: {names}; "
        "give one of these, the path of a GGUF file, or pull one with `foretype model pull`"
    )


def pulled() -> Iterator[KnownModel]:
    """The pulled models by name; a manifest without its file, or one nobody can read, is passed over."""
    directory = paths.models_directory()
    for path in sorted(directory.glob("*.json")):
        gguf = path.with_suffix(".gguf")
        manifest = read_manifest(path)
        if manifest is not None and gguf.is_file():
            yield KnownModel(manifest.name, gguf, manifest)


def read_manifest(path: Path) -> Manifest | None:
    """The manifest in ``path``, or None when it is not one."""
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def available() -> list[KnownModel]:
    """Every model that has a name, the embedded one first."""
    return [KnownModel(EMBEDDED, EMBEDDED_PATH), *pulled()]


def fingerprint(path: Path) -> str:
    """What tells a model's file from others, in hexadecimal: SHA-256 of its length and of blocks spread over it.

    The same on every machine, and quick for any size: a file up to 4 MiB is read whole, of a larger one 64 blocks of
    64 KiB, which two models that were trained differently do not have in common. Raises OSError.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        length_bytes = os.fstat(file.fileno()).st_size
        digest.update(b"%d\n" % length_bytes)
        for block in range(FINGERPRINT_BLOCKS):
            if length_bytes > FINGERPRINT_BLOCKS * FINGERPRINT_BLOCK_BYTES:
                file.seek((length_bytes - FINGERPRINT_BLOCK_BYTES) * block // (FINGERPRINT_BLOCKS - 1))
            digest.update(file.read(FINGERPRINT_BLOCK_BYTES))
    return digest.hexdigest()


def checksum(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
