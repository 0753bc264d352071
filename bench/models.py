"""The models of the benchmark by name: the students, any GGUF by its path, and larger shapes of them.

``student@0.5b-q8_0`` is the student widened to that shape and quantised so (``widen.py``).
"""

from __future__ import annotations

from pathlib import Path

from bench.widen import QUANTISATIONS, SHAPES, widened_path
from daemon.registry import EMBEDDED_PATH

STUDENT, ZETA2_STUDENT = "student", "zeta2-student"
ZETA2_PATH = Path(__file__).parent / "models" / "zeta2_student.gguf"  # made by `make bench-student`
PATHS = {STUDENT: EMBEDDED_PATH, ZETA2_STUDENT: ZETA2_PATH}


def base_name(name: str) -> str:
    """The model that a widened one was made of; any other's own name."""
    return name.partition("@")[0]


def shape_name(name: str) -> str:
    """The shape of a widened model, empty for any other."""
    return name.partition("@")[2].partition("-")[0]


def check_model(name: str) -> None:
    """Raises ValueError for a name that means no model; nothing is widened."""
    base, _, widened = name.partition("@")
    shape, _, quantisation = widened.partition("-")
    if not _base_path(base).is_file():
        hint = "; `make bench-student` trains it" if base == ZETA2_STUDENT else ""
        raise ValueError(f"there is no model {base}{hint}; give {', '.join(PATHS)} or the path of a GGUF")
    if "@" in name and (shape not in SHAPES or quantisation not in QUANTISATIONS):
        known = f"{', '.join(SHAPES)} and {', '.join(QUANTISATIONS)}"
        raise ValueError(f"{name} cannot be made; behind the @ come a shape and a quantisation, of {known}")


def model_path(name: str) -> Path:
    """The GGUF that a model's name means, widened now if need be; raises CannotWiden, ValueError for no such model."""
    check_model(name)
    base, _, widened = name.partition("@")
    shape, _, quantisation = widened.partition("-")
    path = _base_path(base)
    return widened_path(path, shape, quantisation) if widened else path


def _base_path(base: str) -> Path:
    return PATHS.get(base) or Path(base).absolute()
