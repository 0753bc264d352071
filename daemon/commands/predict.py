"""``foretype predict``: one prediction at one place of a file, by an engine of its own; no hub, no editor."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, content_of, utf16_length
from capture.editing.unified_diff import with_file_headers, write_hunks
from capture.gate.exclude import PathGate, text_reason
from daemon import paths, registry
from daemon.commands.progress import working
from daemon.engine.client import EngineClient
from daemon.engine.messages import EngineAnswer, ModelInfo, ModelSettings
from daemon.errors import BadArgument
from daemon.prediction import Nothing, Prediction, to_prediction
from daemon.replay import Replay
from daemon.settings import Settings
from daemon.settings_store import read_settings
from daemon.suppress import min_confidence
from daemon.tuning.record import with_tuning

application = typer.Typer(add_completion=False, rich_markup_mode=None)

PATIENCE_SECONDS = 120.0  # somebody asked once and waits; `deadline_ms` is for typing

# Language ids as editors give them, for the languages whose syntax can be read.
LANGUAGE_IDS = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".jsx": "javascriptreact",
    ".ts": "typescript", ".tsx": "typescriptreact", ".go": "go", ".rs": "rust", ".c": "c", ".h": "c",
    ".cc": "cpp", ".cpp": "cpp", ".hpp": "cpp", ".java": "java", ".rb": "ruby", ".sh": "shellscript",
    ".json": "json", ".html": "html", ".css": "css",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A file and a position in it (0-based row, UTF-16 column)."""

    path: Path
    position: Position
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; ``model`` is None where the file was not shown to one."""

    found: Prediction | Nothing
    model: ModelInfo | None = None
    answer: EngineAnswer | None = None
    latency_ms: float = 0.0


@application.command()
def predict(
    place: Annotated[str, typer.Argument(metavar="FILE:LINE:COL", help="LINE and COL from 1, COL in UTF-16 units.")],
    history: Annotated[
        Path | None,
        typer.Option(help="The edits that led to FILE as it is, oldest first, as a unified diff."),
    ] = None,
    model: Annotated[str, typer.Option(help="A name from `foretype model list`, or a GGUF's path.")] = "",
    prompt_format: Annotated[str, typer.Option(help="Instead of the one the model asks for.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a unified diff.")] = False,
) -> None:
    """Predict the next edit at one place of a file and print it as a unified diff. FILE is not changed.

    Without an edit nothing is printed, the reason goes to standard error, and the exit code is 0 all the
    same.
    """
    where = read_place(place)
    settings = read_settings(paths.settings_path())
    document = Document(where.text)
    refusal = _refusal(where, document, settings)
    if refusal:
        outcome = Outcome(Nothing(refusal))
    else:
        patch = "" if history is None else _read(history)
        suffix = where.path.suffix.lower()
        replay = Replay(where.path.as_uri(), _shown(where.path), where.text, patch, LANGUAGE_IDS.get(suffix, ""))
        chosen = registry.resolve(model or settings.model, relative_to=Path.cwd())
        wanted = ModelSettings(
            str(chosen.path),
            prompt_format or settings.prompt_format,
            settings.gpu_layers,
            settings.threads,
            ranking=settings.ranking,
        )
        with working(f"asking {chosen.name}"):
            outcome = asyncio.run(_ask(where, replay, wanted, settings))
    text_after = _text_after(where.text, outcome.found)
    if as_json:
        typer.echo(json.dumps(_to_json(outcome, text_after), indent=2))
    elif isinstance(outcome.found, Prediction):
        diff = write_hunks(where.text, text_after)
        typer.echo(with_file_headers(diff, _shown(where.path)), nl=False)
    if isinstance(outcome.found, Nothing):
        typer.echo(f"no edit: {outcome.found.reason}", err=True)


def read_place(place: str) -> Place:
    """Read the file and check the position; raises BadArgument, saying what is there instead."""
    name, line, column = (["", "", "", *place.rsplit(":", 2)])[-3:]
    if not (name and line.isdecimal() and column.isdecimal() and int(line) and int(column)):
        raise BadArgument(f"{place!r} is not FILE:LINE:COL with LINE and COL from 1")
    path = Path(name).absolute()
    text = _read(path)
    document = Document(text)
    row, character = int(line) - 1, int(column) - 1
    if row >= document.row_count:
        raise BadArgument(f"{name} has {document.row_count} lines, there is no line {line}")
    length = utf16_length(content_of(document.line(row)))
    if character > length:
        raise BadArgument(f"line {line} of {name} ends at column {length + 1}, there is no column {column}")
    return Place(path, Position(row, character), text)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise BadArgument(f"{path} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise BadArgument(f"cannot read {path}: {error.strerror}") from error


def _refusal(where: Place, document: Document, settings: Settings) -> str:
    """Asked by hand, the model predicts even where it is switched off, but never in an excluded file."""
    return (
        PathGate(settings.exclude).reason(str(where.path), str(Path.cwd()))
        or text_reason(
            document, max_file_bytes=settings.max_file_bytes, max_line_characters=settings.max_line_characters
        )
        or ""
    )


async def _ask(where: Place, replay: Replay, wanted: ModelSettings, settings: Settings) -> Outcome:
    inputs = replay.inputs(where.position)
    engine = EngineClient(wanted, log=logging.getLogger("daemon.worker"), prepare=with_tuning)
    try:
        model = await engine.ready()
        started = time.perf_counter()
        answer = await engine.predict(inputs, deadline_seconds=PATIENCE_SECONDS)
        latency_ms = (time.perf_counter() - started) * 1000
    finally:
        await engine.close()
    uri = where.path.as_uri()
    found = to_prediction(inputs, answer, uri, replay.document, min_confidence=min_confidence(settings))
    return Outcome(found, model, answer, latency_ms)


def _text_after(text: str, found: Prediction | Nothing) -> str:
    if isinstance(found, Nothing):
        return text
    document = Document(text)
    for edit in sorted(found.edits, key=lambda edit: edit.range.start, reverse=True):
        document.apply(ContentChange(edit.range, edit.text))
    return document.text


def _to_json(outcome: Outcome, text_after: str) -> dict[str, Any]:
    """``edits`` are LSP text edits (0-based, UTF-16); ``confidence`` is null where no model was asked.

    ``origin`` says who wrote the edit (`daemon.engine.messages.Origin`), null without one.
    """
    found, answer = outcome.found, outcome.answer
    edits = found.edits if isinstance(found, Prediction) else ()
    return {
        "edits": [{"range": _range(edit.range.start, edit.range.end), "newText": edit.text} for edit in edits],
        "text_after": text_after,
        "counters": None if answer is None else asdict(answer.counters),
        "latency_ms": round(outcome.latency_ms, 2),
        "model": None if outcome.model is None else outcome.model.to_json(),
        "confidence": None if answer is None else answer.confidence,
        "origin": found.origin.value if isinstance(found, Prediction) else None,
        "reason": found.reason if isinstance(found, Nothing) else "",
    }


def _range(start: Position, end: Position) -> dict[str, dict[str, int]]:
    return {
        "start": {"line": start.line, "character": start.character_utf16},
        "end": {"line": end.line, "character": end.character_utf16},
    }


def _shown(path: Path) -> str:
    """Relative to where we are, as an editor shows a file of its workspace."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix().lstrip("/")
