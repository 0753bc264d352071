"""Encoded examples on the disk: flat arrays mapped into memory, written in order and gone on with after a kill.

A set is a folder. ``tokens``, ``targets`` and ``roles`` of all examples stand one after the other, ``rejected``
likewise, and ``rows`` says where each example lies. `state.json` names how much of each file counts; what stands
behind it was not finished. Knows nothing of formats and of torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from capture.whole_file import write_whole
from training_export.student.training.encoding import Encoded
from training_export.student.training.run_files import writing

STATE_NAME: Final = "state.json"
TOKEN_TYPE, ROLE_TYPE = np.dtype("<u4"), np.dtype("u1")
ROW_TYPE: Final = np.dtype(
    [
        ("start", "<i8"),  # first token
        ("length", "<i4"),
        ("answer_start", "<i4"),  # index among the example's own tokens
        ("rejected_start", "<i8"),
        ("rejected_length", "<i4"),
        ("task", "<i2"),  # index into the set's tasks
        ("defeats_rule", "u1"),
        ("file", "<u8"),
    ]
)
FILES: Final[dict[str, np.dtype[Any]]] = {
    "tokens": TOKEN_TYPE,
    "targets": TOKEN_TYPE,
    "roles": ROLE_TYPE,
    "rejected": TOKEN_TYPE,
    "rows": ROW_TYPE,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One example as arrays: tokens and targets uint32, roles uint8, all (tokens)."""

    tokens: NDArray[np.uint32]
    targets: NDArray[np.uint32]
    roles: NDArray[np.uint8]
    rejected: NDArray[np.uint32]
    answer_start: int
    task: str
    gap_tokens: int = 0


class ArraySet:
    """A finished set; nothing is read before it is asked for."""

    def __init__(self, folder: Path) -> None:
        state = json.loads((folder / STATE_NAME).read_text(encoding="utf-8"))
        self.tasks: tuple[str, ...] = tuple(state["tasks"])
        self.left_out: dict[str, int] = state["left_out"]
        self.rows = _mapped(folder / "rows", ROW_TYPE, state["sizes"]["rows"])
        self._tokens = _mapped(folder / "tokens", TOKEN_TYPE, state["sizes"]["tokens"])
        self._targets = _mapped(folder / "targets", TOKEN_TYPE, state["sizes"]["targets"])
        self._roles = _mapped(folder / "roles", ROLE_TYPE, state["sizes"]["roles"])
        self._rejected = _mapped(folder / "rejected", TOKEN_TYPE, state["sizes"]["rejected"])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        row = self.rows[index]
        whole = slice(int(row["start"]), int(row["start"]) + int(row["length"]))
        worse = slice(int(row["rejected_start"]), int(row["rejected_start"]) + int(row["rejected_length"]))
        return Row(
            tokens=self._tokens[whole],
            targets=self._targets[whole],
            roles=self._roles[whole],
            rejected=self._rejected[worse],
            answer_start=int(row["answer_start"]),
            task=self.tasks[int(row["task"])],
        )

    @property
    def token_count(self) -> int:
        """Of all examples, rejected answers not counted."""
        return len(self._tokens)


class ArrayWriter:
    """Writes a set, from where an earlier writer of the same ``key`` stopped; another key begins anew."""

    def __init__(self, folder: Path, key: str) -> None:
        """Raises RunUnwritable."""
        self._folder = folder
        self._key = key
        folder.mkdir(parents=True, exist_ok=True)
        state = _state(folder, key)
        self.lines_done: int = state["lines_done"]
        self.is_finished: bool = state["is_finished"]
        self.left_out: dict[str, int] = state["left_out"]
        self._tasks: list[str] = state["tasks"]
        self._sizes: dict[str, int] = state["sizes"]
        self._files = {name: (folder / name).open("ab") for name in FILES}
        for name, kind in FILES.items():
            self._files[name].truncate(self._sizes[name] * kind.itemsize)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def __len__(self) -> int:
        return self._sizes["rows"]

    def add(self, encoded: Encoded) -> None:
        """One more example; raises RunUnwritable."""
        if encoded.task not in self._tasks:
            self._tasks.append(encoded.task)
        row = (
            self._sizes["tokens"],
            len(encoded.tokens),
            encoded.answer_start,
            self._sizes["rejected"],
            len(encoded.rejected),
            self._tasks.index(encoded.task),
            encoded.defeats_rule,
            encoded.file,
        )
        self._append("tokens", encoded.tokens)
        self._append("targets", encoded.targets)
        self._append("roles", encoded.roles)
        self._append("rejected", encoded.rejected)
        self._append("rows", [row])

    def leave_out(self, reason: str) -> None:
        """Count an example that is not in the set."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    def commit(self, lines_done: int, *, is_finished: bool = False) -> None:
        """All lines of the input up to there are behind us, whatever happens now; raises RunUnwritable."""
        self.lines_done, self.is_finished = lines_done, is_finished
        with writing(self._folder):
            for file in self._files.values():
                file.flush()
            state = {
                "key": self._key,
                "lines_done": lines_done,
                "is_finished": is_finished,
                "tasks": self._tasks,
                "left_out": self.left_out,
                "sizes": self._sizes,
            }
            write_whole(self._folder / STATE_NAME, json.dumps(state, indent=1) + "\n", durably=is_finished)

    def _append(self, name: str, values: Sequence[Any]) -> None:
        with writing(self._folder):
            self._files[name].write(np.array(values, FILES[name]).tobytes())
        self._sizes[name] += len(values)


def _state(folder: Path, key: str) -> dict[str, Any]:
    fresh: dict[str, Any] = {
        "lines_done": 0,
        "is_finished": False,
        "tasks": [],
        "left_out": {},
        "sizes": dict.fromkeys(FILES, 0),
    }
    path = folder / STATE_NAME
    if not path.exists():
        return fresh
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found if found["key"] == key else fresh


def _mapped(path: Path, kind: np.dtype[Any], count: int) -> NDArray[Any]:
    if not count:
        return np.zeros(0, kind)  # nothing cannot be mapped
    return np.memmap(path, kind, "r", shape=(count,))
