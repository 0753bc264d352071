"""Settings: one TOML file, read into an immutable value, replaced as a whole when the file changes.

A bad file never takes effect: the old settings stay and the error names key and line. An editor may say
otherwise for its own session (``with_editor_settings``); docs/settings.md states who wins. Knows nothing of
files: ``settings_store`` reads and watches them.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture.gate.exclude import PathGate
from daemon.errors import SettingsError
from daemon.language_settings import LanguageSettings, languages_of, languages_problem
from daemon.trial_settings import TrialSettings, trial_of, trial_problem
from daemon.upload_settings import UploadSettings, upload_of, upload_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LOG_LEVELS = ("debug", "info", "warning", "error")
EAGERNESS = ("quiet", "normal", "eager")  # what each lets through: daemon/suppress.py
WORK_AHEAD = ("off", "accepted", "keys")  # each does what the one before does, and more: daemon/lsp/work_ahead.py
SECRETS = ("drop", "mask")  # what becomes of a snapshot that holds one
MAX_SETTLE_SECONDS = 300  # a snapshot that is older is dropped: capture/settling/settling.py


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user can set; every field is a key of the TOML file of the same name."""

    enabled: bool = True
    model: str = "embedded"  # "embedded", a name from `foretype model list`, or a path to a GGUF
    prompt_format: str = ""  # overrides what the GGUF says of itself; empty: detect
    gpu_layers: int = 0  # layers offloaded where llama.cpp has a GPU backend; -1 means all
    threads: int = 0  # 0: half the cores, at least one
    deadline_ms: int = 2000  # a prediction slower than this is given up
    eagerness: str = "normal"  # one of EAGERNESS: how readily predictions are shown
    min_confidence: float = 0.0  # predictions below it are not shown, nor those below what the eagerness asks for
    ranking: bool = True  # the last substitution done once more is judged by the model beside its own answer
    work_ahead: str = "keys"  # one of WORK_AHEAD: what is computed before it is asked for, while the engine is idle
    disabled_languages: tuple[str, ...] = ()  # LSP language ids
    disabled_folders: tuple[str, ...] = ()  # absolute paths; everything under them
    exclude: tuple[str, ...] = ()  # gitignore-style globs, merged with the built-in secret globs
    symbol_index: bool = True  # definitions from an index of the workspace, in memory
    settle_seconds: float = 10.0  # without an edit in its region, until a snapshot is settled
    open_source_only: bool = False  # capture only where a licence at the root of the workspace is recognised
    secrets: str = "drop"  # one of SECRETS
    snapshots_max_mebibytes: int = 256  # on the disk; then the oldest go
    max_file_bytes: int = 2 * 1024 * 1024
    max_line_characters: int = 10_000
    unload_after_seconds: float = 600.0  # idle time before the model leaves memory
    exit_after_seconds: float = 1800.0  # idle time (no windows) before the hub exits
    http_port: int = 0  # of 127.0.0.1, for editors that ask over HTTP (Zed); 0: none
    log_level: str = "info"
    languages: Mapping[str, LanguageSettings] = field(default_factory=dict)  # by LSP language id
    upload: UploadSettings = field(default_factory=UploadSettings)  # where snapshots may go
    trial: TrialSettings = field(default_factory=TrialSettings)  # a candidate that some documents are served by


# What one window's editor may say for itself. Everything else is shared by all windows, so only the file sets
# it.
EDITOR_REPLACES = ("eagerness", "min_confidence", "deadline_ms", "max_file_bytes", "max_line_characters")
# A project's editor settings must not open what the user has closed: lists grow, and off stays off.
EDITOR_NARROWS = ("enabled", "disabled_languages", "disabled_folders", "exclude")
EDITOR_KEYS = (*EDITOR_REPLACES, *EDITOR_NARROWS)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a key takes: a type, the words for it, and the values that are allowed."""

    accepts: Callable[[Any], bool]
    wanted: str


def _whole(low: int, high: int) -> _Kind:
    # bool is an int to Python; `threads = true` is a mistake to a person.
    return _Kind(
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
        f"a whole number from {low} to {high}",
    )


def _number(low: float, high: float, unit: str) -> _Kind:
    return _Kind(
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high,
        f"a number{unit} from {low:g} to {high:g}",
    )


def _between(low: float, high: float, unit: str) -> _Kind:
    return _Kind(
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low < value < high,
        f"a number{unit} more than {low:g} and less than {high:g}",
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value)


def _is_folders(value: Any) -> bool:
    return _is_texts(value) and all(Path(item).is_absolute() or re.match(r"~(/|$)", item) for item in value)


def _is_globs(value: Any) -> bool:
    if not _is_texts(value):
        return False
    try:
        PathGate(value)
    except ValueError:
        return False
    return True


_TEXTS = _Kind(_is_texts, "a list of texts that are not empty")
_TRUTH = _Kind(lambda value: isinstance(value, bool), "true or false")
_WEEK_SECONDS = 7 * 24 * 3600

_PORT = _whole(1024, 65535)

KINDS: Mapping[str, _Kind] = {
    "enabled": _TRUTH,
    "model": _Kind(lambda value: isinstance(value, str) and value != "", "a text that is not empty"),
    "prompt_format": _Kind(lambda value: isinstance(value, str), "a text"),
    "gpu_layers": _whole(-1, 1000),
    "threads": _whole(0, 1024),
    "deadline_ms": _whole(10, 600_000),
    "eagerness": _Kind(lambda value: value in EAGERNESS, "one of " + ", ".join(EAGERNESS)),
    "work_ahead": _Kind(lambda value: value in WORK_AHEAD, "one of " + ", ".join(WORK_AHEAD)),
    "min_confidence": _number(0, 1, ""),
    "ranking": _TRUTH,
    "disabled_languages": _TEXTS,
    "disabled_folders": _Kind(_is_folders, "a list of absolute paths (a leading ~ is your home)"),
    "exclude": _Kind(_is_globs, "a list of valid gitignore-style globs"),
    "symbol_index": _TRUTH,
    "settle_seconds": _between(0, MAX_SETTLE_SECONDS, " of seconds"),
    "open_source_only": _TRUTH,
    "secrets": _Kind(lambda value: value in SECRETS, "one of " + ", ".join(SECRETS)),
    "snapshots_max_mebibytes": _whole(1, 1 << 20),
    "max_file_bytes": _whole(0, 1 << 30),
    "max_line_characters": _whole(1, 1 << 30),
    "unload_after_seconds": _number(0, _WEEK_SECONDS, " of seconds"),
    "exit_after_seconds": _number(0, _WEEK_SECONDS, " of seconds"),
    "http_port": _Kind(lambda value: value == 0 or _PORT.accepts(value), f"0 or {_PORT.wanted}"),
    "log_level": _Kind(lambda value: value in LOG_LEVELS, "one of " + ", ".join(LOG_LEVELS)),
    "languages": _Kind(lambda value: not languages_problem(value), "tables such as [languages.python]"),
    "upload": _Kind(lambda value: not upload_problem(value), "a table, [upload]"),
    "trial": _Kind(lambda value: not trial_problem(value), "a table, [trial]"),
}
# What is wrong with a table names the key in it.
_TABLE_PROBLEMS: Mapping[str, Callable[[Any], str]] = {
    "languages": languages_problem,
    "upload": upload_problem,
    "trial": trial_problem,
}


def parse_settings(text: str) -> Settings:
    """Read a settings file; raises SettingsError naming key and line of the first thing that is wrong."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        at_end = text.count("\n") + 1
        raise SettingsError(f"not valid TOML: {error}", line=int(line[1]) if line else at_end) from error
    for key, value in values.items():
        problem = problem_with(key, value)
        if problem:
            raise SettingsError(problem, key=key, line=_line_of_problem(text, key))
    return _with_values(Settings(), values)


def problem_with(key: str, value: Any) -> str:
    """Why ``key`` cannot have ``value``, or an empty string."""
    kind = KINDS.get(key)
    if kind is None:
        close = _closest(key)
        return f"unknown key `{key}`" + (f"; did you mean `{close}`?" if close else "; docs/settings.md lists the keys")
    if key in _TABLE_PROBLEMS:
        return _TABLE_PROBLEMS[key](value)
    return "" if kind.accepts(value) else f"`{key}` must be {kind.wanted}, not {_shown(value)}"


def with_editor_settings(settings: Settings, editor: Mapping[str, Any]) -> tuple[Settings, tuple[str, ...]]:
    """The settings of one session whose editor said ``editor``, and what was wrong with it (for status).

    A bad or unknown key is left out and named; the other keys count. See ``EDITOR_REPLACES`` and
    ``EDITOR_NARROWS``.
    """
    values: dict[str, Any] = {}
    problems = []
    for key, value in editor.items():
        problem = problem_with(key, value)
        if not problem and key not in EDITOR_KEYS:
            problem = f"`{key}` is shared by all windows and can only be set in the settings file"
        if problem:
            problems.append(f"editor settings: {problem}")
        elif key == "enabled":
            values[key] = settings.enabled and value
        elif key in EDITOR_NARROWS:
            values[key] = (*getattr(settings, key), *value)
        else:
            values[key] = value
    return _with_values(settings, values), tuple(problems)


def editor_settings(parameters: Any) -> Mapping[str, Any]:
    """Our part of ``workspace/didChangeConfiguration`` (or of ``initializationOptions``), whatever its
    wrapping.

    Takes ``{"settings": {"foretype": {...}}}`` and ``{"foretype": {...}}``; anything else holds nothing for
    us.
    """
    value = parameters
    for name in ("settings", "foretype"):
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif name == "foretype":
            return {}
    return value if isinstance(value, dict) else {}


def line_of_key(text: str, key: str) -> int:
    """The line (from 1) on which the statement that sets top-level ``key`` begins; 0 when nothing sets it."""
    for first_line, _, known in statements(text):
        if key in known:
            return first_line
    return 0


def statements(text: str) -> Iterator[tuple[int, int, frozenset[str]]]:
    """First and last line (from 1) of each statement of valid TOML, and the top-level keys that it is first
    to set: none for most of them in a table, and for what is no statement, a comment or an empty line.

    A statement may span lines, and what looks like a key may stand inside a text, so TOML's own parser
    decides: a statement is complete where the file up to that line parses.
    """
    lines = text.split("\n")
    known: frozenset[str] = frozenset()
    first = 1
    for last in range(1, len(lines) + 1):
        try:
            values = tomllib.loads("\n".join(lines[:last]).removesuffix("\r"))
        except tomllib.TOMLDecodeError:
            continue
        keys = frozenset(values)
        yield first, last, keys - known
        known = keys
        first = last + 1


def _line_of_problem(text: str, key: str) -> int:
    """The line (from 1) on which the statement begins that gives top-level ``key`` a value it cannot have.

    Several statements may build one value: those of a table.
    """
    lines = text.split("\n")
    for first_line, last_line, _ in statements(text):
        values = tomllib.loads("\n".join(lines[:last_line]).removesuffix("\r"))
        if key in values and problem_with(key, values[key]):
            return first_line
    return 0


def _with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """``settings`` with checked ``values``, each made into the field's own type."""
    if not values:  # most editors say nothing, and a keystroke asks often
        return settings
    typed: dict[str, Any] = {}
    for known in fields(Settings):
        if known.name not in values:
            continue
        value = values[known.name]
        if known.name == "languages":
            value = languages_of(value)
        elif known.name == "upload":
            value = upload_of(value)
        elif known.name == "trial":
            value = trial_of(value)
        elif isinstance(known.default, tuple):
            value = tuple(dict.fromkeys(value))
            if known.name == "disabled_folders":
                value = tuple(str(Path(item).expanduser()) for item in value)
        elif isinstance(known.default, float):
            value = float(value)
        typed[known.name] = value
    return replace(settings, **typed)


def _closest(key: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 (only a person's slip needs it)

    return next(iter(get_close_matches(key, KINDS, n=1, cutoff=0.7)), "")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
