"""The page that shows a keystroke run: markdown and pictures, from what was measured and nothing else.

Knows nothing of how cells are measured. A page that is wrong is mended here or by a new run, never by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import plots, report

PAGE, PICTURES = "keystrokes.md", "keystrokes"
COMMAND = "python -m bench.keystrokes --publish docs"
Cells = Sequence[Mapping[str, Any]]

SIMULATED = """\
The sessions are **simulated**: a seeded typist wrote them (`bench/typist.py`), with pauses, jumps, slips, undos,
renames and predictions taken, at 60 to 120 words a minute; they lie in `bench/sessions`. Each is typed in a project of
its own, a few files with a git history (`bench/sessions/workspaces`).
"""
EXPLANATION = """\
Each is typed at its own pace into a language server on standard input and output, whether or not the server keeps up.
All systems get the same GGUF, the same prompts and the same number of threads, and questions one at a time, the newest
first. What stands in the prompts beside the text and its history, all systems find with foretype's own code while the
session is typed: definitions from a symbol index of the project, files that change together, syntax errors. Peers run
with the best setting that a search on a short session found, foretype after `foretype model tune`.
Peers finish every answer that is still asked for; foretype also ends one that has come back to the text there was, and
one that has become too unsure to be shown.

**Wait** is the time from a key to the first answer for the text then on the screen, this key's or a later one's; all
keystrokes count. It says *never* where no answer came any more. **Model** is the time of answers that a model gave
before the next key. **Missed** keys were overtaken by the next key before their answer came; those within 100 and
300 ms are shares of all keys. **Reused** answers needed no model. **Taken** are the predictions that the session takes
and that were on the screen then. **Tokens** is the median that an answer of the model evaluated; **in vain** are those
of answers that came too late, **ahead** those of guesses that came to nothing. **Late** is how much later than due the
bench itself sent its keys. `name@0.5b-q8_0` is the model `name` widened with zeros to a larger model's shape and
quantised: the same answers at the larger model's price (`bench/widen.py`). Times are milliseconds.
"""
AGAIN = (
    "To measure it again on an idle machine: `make bench-student` trains the second student,"
    f" `make bench-keystrokes` measures, `{COMMAND}` writes this page."
)


def publish(cells: Cells, missing: Iterable[str], folder: Path) -> list[Path]:
    """Write the page and its pictures into ``folder``; returns what was written. Raises OSError.

    ``missing`` names what was planned and is not measured.
    """
    pictures_folder = folder / PICTURES
    pictures_folder.mkdir(parents=True, exist_ok=True)
    pictures = plots.draw(cells, pictures_folder)
    page = folder / PAGE
    page.write_text(_page(cells, list(missing), pictures), encoding="utf-8")
    return [page, *pictures.values()]


def _page(cells: Cells, missing: Sequence[str], pictures: Mapping[str, Path]) -> str:
    parts = [
        "# From a keystroke to its prediction",
        f"Written by `{COMMAND}` from what was measured; do not edit.",
        _origin(cells) + EXPLANATION.rstrip(),
        "## In short",
        _summary(cells),
        "## Machine and run",
        _table(("", ""), _environment(cells)),
        AGAIN,
    ]
    for model, of_model in report.by_model_name(cells):
        parts += _section(model, of_model, pictures.get(model))
    if missing:
        parts += ["## Not measured", "\n".join(f"- {name}" for name in missing)]
    return "\n\n".join(parts) + "\n"


def _origin(cells: Cells) -> str:
    """Who typed the sessions."""
    names = list(dict.fromkeys(name for cell in cells for name in cell["sessions"]))
    recorded = [name for name in names if any(name in cell["recorded"] for cell in cells)]
    by_people = f"These were recorded while a person typed: {', '.join(recorded)}.\n" if recorded else ""
    return by_people + (SIMULATED if len(recorded) < len(names) else "")


def _summary(cells: Cells) -> str:
    """What every model's goals came to, a line each."""
    judged = {
        model: {each.what: each for each in report.verdicts(of_model) if each.goal}
        for model, of_model in report.by_model_name(cells)
    }
    whats = list(dict.fromkeys(what for verdicts in judged.values() for what in verdicts))
    rows = [
        [
            Path(model).name,
            *(f"{verdicts[what].found}: {verdicts[what].verdict}" if what in verdicts else "-" for what in whats),
        ]
        for model, verdicts in judged.items()
    ]
    goals = {what: each.goal for verdicts in judged.values() for what, each in verdicts.items()}
    return _table(("", *(f"{what} (goal: {goals[what]})" for what in whats)), rows)


def _section(model: str, cells: Cells, picture: Path | None) -> list[str]:
    typed = _distinct(f"{cell['summary']['keystrokes']:,} keystrokes of {_listed(cell['sessions'])}" for cell in cells)
    parts = [f"## {Path(model).name}", f"{typed}."]
    parts.append(_table(("", *report.TITLES), [[cell["system"], *report.row(cell)] for cell in cells]))
    found = [[each.what, each.found, each.goal or "-", each.verdict or "-"] for each in report.verdicts(cells)]
    if found:
        parts.append(_table(("compared with foretype", "found", "goal", ""), found))
    notes = [f"{cell['system']} ran with {text}." for cell in cells if (text := report.ran_with(cell))]
    notes += [f"{doubt}." for doubt in report.doubts(cells)]
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes))
    if picture is not None:
        parts.append(f"![Waits of each system with {Path(model).name}]({PICTURES}/{picture.name})")
    return parts


def _environment(cells: Cells) -> list[list[str]]:
    """What the cells say of where and when they were measured; what differs between them is listed."""
    each = [cell["environment"] for cell in cells]
    dates = sorted(str(value["at"]) for value in each)
    loads = sorted(float(value["load_before"]) for value in each)
    return [
        ["measured", f"{dates[0]} to {dates[-1]}" if dates else "-"],
        ["commit", _distinct(f"`{value['commit']}`" for value in each)],
        ["machine", _distinct(value["machine"] for value in each)],
        ["processor", _distinct(value.get("processor", "-") for value in each)],
        ["threads of each system", _distinct(str(value["threads"]) for value in each)],
        ["llama-cpp-python", _distinct(value["llama_cpp_python"] for value in each)],
        ["load before a cell", f"{loads[0]} to {loads[-1]}" if loads else "-"],
    ]


def _distinct(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _listed(names: Sequence[str]) -> str:
    return f"{len(names)} sessions ({', '.join(names)})" if len(names) > 1 else names[0]


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines)
