"""A seeded typist: turns the scripts in ``bench/sessions`` (TOML) into sessions (JSONL), the same bytes every time.

    python -m bench.typist [--check]

A script says what is done to a file; the typist adds what a person adds: uneven intervals, slips that are corrected,
time to look before a jump and before taking what is predicted. Every session is cut to 200 keystrokes. ``--check``
writes nothing and fails where a file differs. Nobody ever typed these sessions: they are simulated, and their headers
say so.

Actions of a script, one table each: ``at`` (go behind a text, its ``occurrence``-th from 1), ``erase`` (characters
before the cursor), ``type``, ``accept`` (a text taken as a whole at the cursor), ``undo`` (what was typed since the
last jump or acceptance, in one piece), ``pause`` (seconds), ``replace`` (``[old, new]``: go to the first ``old``, erase
it, type ``new``) with ``everywhere`` (each further ``old`` is then accepted, nearest first).
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path
from random import Random
from typing import Any

from bench.session import CHARACTERS_PER_WORD, FOLDER, Header, Keystroke, Kind, Session, sha256
from capture.editing.positions import ContentChange, Position, Range
from daemon.prediction import MAX_ROWS_BETWEEN_HUNKS

KEYSTROKES = 200
SIMULATED = "simulated by python -m bench.typist: nobody typed this"
INTERVAL_SPREAD = 0.35  # of the logarithm of the time between two keys
SLIP_PROBABILITY = 0.015
WORD_START_FACTOR, LINE_START_FACTOR = 1.3, 2.2  # a new word and a new line take longer than the next letter
REPEATED_KEY_MS = 75.0
SECONDS_BEFORE_JUMP = (0.5, 1.1)
SECONDS_BEFORE_ACCEPT = (0.35, 0.8)  # long enough to see a prediction and judge it
SECONDS_BEFORE_UNDO = (0.3, 0.6)
ROWS_IN_SIGHT = 10  # what is further away is jumped to before it is changed
NEIGHBOURS = {"a": "s", "e": "r", "i": "o", "n": "m", "o": "p", "r": "t", "s": "d", "t": "y", "u": "i", "l": "k"}


class Typist:
    """One text, one cursor (a character offset) and the keys pressed so far."""

    def __init__(self, text: str, *, seed: int, words_per_minute: int) -> None:
        self.text = text
        self.keystrokes: list[Keystroke] = []
        self._random = Random(seed)
        self._interval_ms = 60_000 / (words_per_minute * CHARACTERS_PER_WORD)
        self._at = 0
        self._clock_ms = 0.0
        self._run_text = text  # the text when this run of typing began

    @property
    def finished(self) -> bool:
        """Whether the session is as long as it should be."""
        return len(self.keystrokes) >= KEYSTROKES

    def do(self, action: dict[str, Any]) -> None:
        """Carry out one table of a script; raises ValueError for a text or an action that is not there."""
        unknown = set(action) - {
            "at",
            "occurrence",
            "erase",
            "type",
            "accept",
            "undo",
            "pause",
            "replace",
            "everywhere",
        }
        if unknown:
            raise ValueError(f"unknown in an action: {', '.join(sorted(unknown))}")
        self._wait(action.get("pause", 0.0))
        if "at" in action:
            self._jump(self._behind(action["at"], action.get("occurrence", 1)))
        if "replace" in action:
            self._replace(*action["replace"], everywhere=action.get("everywhere", False))
        self._erase(action.get("erase", 0))
        self._type(action.get("type", ""))
        if "accept" in action:
            self._accept(self._at, self._at, action["accept"])
        if action.get("undo"):
            self._undo()

    # What a person does

    def _jump(self, offset: int) -> None:
        self._pause(SECONDS_BEFORE_JUMP)
        self._run_text = self.text
        self._press("move", offset, offset, "")

    def _type(self, text: str) -> None:
        # Enter brings the indentation along, as editors do.
        for key in re.findall(r"\n[ \t]*|[^\n]", text):
            neighbour = NEIGHBOURS.get(key)
            if neighbour and self._random.random() < SLIP_PROBABILITY:
                self._press_letter(neighbour)
                self._erase(1)
            self._press_letter(key)

    def _press_letter(self, key: str) -> None:
        before = self.text[self._at - 1 : self._at]
        factor = LINE_START_FACTOR if before == "\n" else WORD_START_FACTOR if before in " ([{.,:=" else 1.0
        self._wait(factor * self._interval_ms * self._random.lognormvariate(0, INTERVAL_SPREAD) / 1000)
        self._press("type", self._at, self._at, key)

    def _erase(self, count: int) -> None:
        for index in range(min(count, self._at)):
            first = self._interval_ms * self._random.lognormvariate(0, INTERVAL_SPREAD)
            self._wait((REPEATED_KEY_MS if index else first) / 1000)
            self._press("erase", self._at - 1, self._at, "")

    def _replace(self, old: str, new: str, *, everywhere: bool) -> None:
        if not self._places(old):
            raise ValueError(f"{old!r} is not in the text")
        if everywhere and _word(old).search(new):
            raise ValueError(f"{new!r} holds {old!r} again: this would never end")
        self._jump(self._places(old)[0].end())
        self._erase(len(old))
        self._type(new)
        while everywhere and self._places(old) and not self.finished:
            start, end = self._nearest_group(old)
            if abs(self._row(start) - self._row(self._at)) > ROWS_IN_SIGHT:
                self._jump(start)
            self._accept(start, end, _word(old).sub(lambda _: new, self.text[start:end]))

    def _accept(self, start: int, end: int, text: str) -> None:
        self._pause(SECONDS_BEFORE_ACCEPT)
        self._press("accept", start, end, text)
        self._run_text = self.text

    def _undo(self) -> None:
        """Take the run of typing back in one piece, as editors group it."""
        self._pause(SECONDS_BEFORE_UNDO)
        old, new = self.text, self._run_text
        start = _common(old, new)
        tail = min(_common(old[::-1], new[::-1]), len(old) - start, len(new) - start)
        if old == new:
            raise ValueError("there is nothing to undo")
        self._press("undo", start, len(old) - tail, new[start : len(new) - tail])

    # The text

    def _behind(self, text: str, occurrence: int) -> int:
        places = list(re.finditer(re.escape(text), self.text))
        if len(places) < occurrence:
            raise ValueError(f"{text!r} stands {len(places)} times in the text, not {occurrence}")
        return places[occurrence - 1].end()

    def _places(self, word: str) -> list[re.Match[str]]:
        return list(_word(word).finditer(self.text))

    def _nearest_group(self, word: str) -> tuple[int, int]:
        """The occurrences that a prediction would show as one edit, nearest to the cursor."""
        groups: list[tuple[int, int]] = []
        for place in self._places(word):
            near = groups and self._row(place.start()) - self._row(groups[-1][1]) <= MAX_ROWS_BETWEEN_HUNKS + 1
            start = groups.pop()[0] if near else place.start()
            groups.append((start, place.end()))
        return min(groups, key=lambda group: max(group[0] - self._at, self._at - group[1], 0))

    def _row(self, offset: int) -> int:
        return self.text.count("\n", 0, offset)

    def _position(self, offset: int) -> Position:
        line_start = self.text.rfind("\n", 0, offset) + 1
        return Position(self._row(offset), len(self.text[line_start:offset].encode("utf-16-le")) // 2)

    def _press(self, kind: Kind, start: int, end: int, text: str) -> None:
        if self.finished:
            return
        change = None if kind == "move" else ContentChange(Range(self._position(start), self._position(end)), text)
        self.text = self.text[:start] + text + self.text[end:]
        self._at = start + len(text)
        self.keystrokes.append(Keystroke(round(self._clock_ms), kind, change, self._position(self._at)))

    # The clock

    def _wait(self, seconds: float) -> None:
        self._clock_ms += 1000 * seconds

    def _pause(self, seconds: tuple[float, float]) -> None:
        self._wait(self._random.uniform(*seconds))


def make_session(name: str, script: dict[str, Any]) -> Session:
    """The session of one script; raises ValueError when the script is wrong or too short."""
    typist = Typist(script["text"], seed=script["seed"], words_per_minute=script["words_per_minute"])
    for number, action in enumerate(script["do"], start=1):
        if typist.finished:
            break
        try:
            typist.do(action)
        except (ValueError, IndexError) as error:
            raise ValueError(f"{name}, action {number} ({action}): {error}") from error
    if not typist.finished:
        raise ValueError(f"{name} has {len(typist.keystrokes)} keystrokes; a session has {KEYSTROKES}")
    header = Header(
        session=name,
        simulated=SIMULATED,
        seed=script["seed"],
        words_per_minute=script["words_per_minute"],
        language_id=script["language_id"],
        path=script["path"],
        keystrokes=KEYSTROKES,
        final_text_sha256=sha256(typist.text),
        text=script["text"],
    )
    return Session(header, tuple(typist.keystrokes))


def make_all(folder: Path = FOLDER) -> dict[str, Session]:
    """Every script's session by name."""
    scripts = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.toml"))}
    return {name: make_session(name, script) for name, script in scripts.items()}


def _word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")


def _common(left: str, right: str) -> int:
    shorter = min(len(left), len(right))
    return next((index for index in range(shorter) if left[index] != right[index]), shorter)


def main() -> int:
    """Write the sessions, or only compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    different = 0
    for name, session in make_all().items():
        path = FOLDER / f"{name}.jsonl"
        same = path.exists() and path.read_bytes() == session.to_bytes()
        different += not same
        if not check:
            path.write_bytes(session.to_bytes())
        kinds = [keystroke.kind for keystroke in session.keystrokes]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        print(f"{name:20} {session.seconds:5.1f} s  {'same   ' if same else 'changed'}  {counts}")
    return int(check and different > 0)


if __name__ == "__main__":
    sys.exit(main())
