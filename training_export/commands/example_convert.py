"""What ``foretype example convert`` does: read everything, write one file or a folder, name what was left out.

Examples go to the output, sentences about them to standard error.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from daemon.errors import BadArgument
from training_export.commands.late_progress import late_progress
from training_export.errors import ExampleRejected
from training_export.example import Example
from training_export.example_format.files import (
    Loaded,
    Rejected,
    markdown_name,
    read_examples,
    replacing,
    write_examples,
)
from training_export.example_format.markdown import losses, to_markdown, with_final_newlines, without_losses

STANDARD_OUTPUT: Final = "-"


@dataclass(frozen=True, slots=True)
class Options:
    """The command's options."""

    output: str
    force: bool = False
    drop_fields: bool = False
    add_newlines: bool = False


class Conversion:
    """One run of the command; ``bad_count`` says how many examples are not in the output."""

    def __init__(self, options: Options) -> None:
        """Raises BadArgument where the output is in the way."""
        self.bad_count = 0
        self._options = options
        self._output = Path(options.output)
        self._written: dict[str, str] = {}  # file name without case -> the example it is from
        self._kind = _kind_of(options.output)
        if self._kind == "folder" and self._output.exists() and not self._output.is_dir():
            raise BadArgument(f"{options.output} is a file; give a folder, or a name ending in .jsonl, .json or .md")
        if self._kind != "folder" and options.output != STANDARD_OUTPUT:
            if self._output.is_dir():
                raise BadArgument(f"{options.output} is a folder")
            if self._output.exists() and not options.force:
                raise BadArgument(f"{options.output} exists; --force replaces it")
            if not self._output.parent.is_dir():
                raise BadArgument(f"there is no folder {self._output.parent}")

    def run(self, sources: list[str]) -> None:
        """Read the sources in order and write; raises ExamplesUnreadable, and leaves no half-written file."""
        with late_progress("converting") as done:
            found = self._good(sources, done_so_far=done)
            count = self._write_folder(found) if self._kind == "folder" else self._write_file(found)
        if self._options.output != STANDARD_OUTPUT:
            left_out = f", {self.bad_count} left out" if self.bad_count else ""
            typer.echo(
                f"{count} example{'' if count == 1 else 's'} written to {self._options.output}{left_out}", err=True
            )

    def _good(self, sources: list[str], done_so_far: Callable[[int], None]) -> Iterator[Loaded]:
        count = 0
        for source in sources:
            for found in read_examples(source):
                if isinstance(found, Rejected):
                    self._leave_out(str(found))
                    continue
                count += 1
                done_so_far(count)
                for part in found.ignored:
                    _say(f"{found.source}: not carried over: {part}")
                yield found

    def _write_file(self, found: Iterator[Loaded]) -> int:
        if self._options.output == STANDARD_OUTPUT:
            count = 0
            stream = typer.get_binary_stream("stdout")
            for loaded in found:
                stream.write(f"{loaded.example.to_line()}\n".encode())
                count += 1
            stream.flush()
            return count
        first = next(found, None)
        if first is None and (self.bad_count or self._kind != "jsonl"):
            return 0
        everything = itertools.chain([first] if first else [], found)
        if self._kind == "jsonl":
            return write_examples(self._output, (loaded.example for loaded in everything))
        only, *others = everything
        if others:
            raise BadArgument(
                f"{self._options.output} can hold one example and there are more; give a folder or .jsonl"
            )
        document = self._markdown(only) if self._kind == "md" else f"{only.example.to_line()}\n"
        return self._put(self._output, document)

    def _write_folder(self, found: Iterator[Loaded]) -> int:
        try:
            self._output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadArgument(f"cannot make the folder {self._output}: {error.strerror}") from error
        return sum(self._put(self._path_for(loaded), self._markdown(loaded)) for loaded in found)

    def _path_for(self, loaded: Loaded) -> Path | None:
        """Where the example goes, or None where another one of this run went or a file is in the way."""
        name, place = markdown_name(loaded.example), f"{loaded.source}:{loaded.line}"
        other = self._written.get(name.casefold())
        if other is not None:
            self._leave_out(f"{place}: {name} is already written, from {other}: their names must differ")
        elif (self._output / name).exists() and not self._options.force:
            self._leave_out(f"{place}: {self._output / name} exists; --force replaces it")
        else:
            self._written[name.casefold()] = place
            return self._output / name
        return None

    def _put(self, path: Path | None, document: str | None) -> int:
        if path is None or document is None:
            return 0
        with replacing(path) as file:
            file.write(document.encode())
        return 1

    def _markdown(self, loaded: Loaded) -> str | None:
        """The document, or None where the example was left out; what was changed on the way is said."""
        place = f"{loaded.source}:{loaded.line}"
        try:
            document, changes = _to_document(loaded.example, self._options)
        except ExampleRejected as error:
            self._leave_out(f"{place}: {error}")
            return None
        for change in changes:
            _say(f"{place}: {change}")
        return document

    def _leave_out(self, reason: str) -> None:
        self.bad_count += 1
        _say(f"{reason} (left out)")


def _to_document(example: Example, options: Options) -> tuple[str, list[str]]:
    changes: list[str] = []
    if options.add_newlines:
        example, ended = with_final_newlines(example)
        changes += [f"added a newline to the end of {path}" for path in ended]
    lost = losses(example)
    if lost and not options.drop_fields:
        raise ExampleRejected("", f"Markdown has no place for {', '.join(lost)}; --drop-fields leaves them out")
    try:
        if not lost:
            return to_markdown(example), changes
        changes.append(f"dropped {', '.join(lost)}")
        try:
            return to_markdown(without_losses(example, keep_reasoning=True)), changes
        except ExampleRejected:
            return to_markdown(without_losses(example, keep_reasoning=False)), changes
    except ExampleRejected as error:
        cure = "; --add-newlines adds it" if "no newline at its end" in error.reason else ""
        raise ExampleRejected(error.field, f"{error.reason}{cure}") from error


def _kind_of(output: str) -> str:
    if output == STANDARD_OUTPUT:
        return "jsonl"
    suffix = Path(output).suffix
    return suffix[1:] if suffix in {".jsonl", ".json", ".md"} and not output.endswith("/") else "folder"


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
