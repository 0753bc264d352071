"""``foretype status``: what the hub says of itself, for people or as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from daemon import control, paths

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the hub, its windows, the model, and why there is no prediction."""
    answer = control.ask(paths.socket_path(), "status")
    others = [hub for hub in control.running_hubs() if hub.socket_path != paths.socket_path()]
    if as_json:
        value = {
            "hub": None if answer is None else answer[1],
            "other_hubs": [{"pid": hub.pid, "version": hub.version} for hub in others],
        }
        typer.echo(json.dumps(value, indent=2))
        return
    for hub in others:
        typer.echo(f"another hub, version {hub.version}, process {hub.pid}, leaves with its last window")
    if answer is None:
        typer.echo("no hub is running; an editor starts it with its first window")
        return
    for line in describe(answer[1]):
        typer.echo(line)


def describe(value: dict[str, Any]) -> list[str]:
    """The hub's status as lines for a person."""
    predictions, settings = value["predictions"], value["settings"]
    counts, latency = predictions["counts"], predictions["latency_ms"]
    lines = [
        (
            f"hub        process {value['pid']}, version {value['version']}, {value['state']},"
            f" up {_duration(value['uptime_seconds'])}, {value['memory_bytes'] / 1e6:.0f} MB"
        ),
        f"model      {_model(predictions['model'])}",
        *_tuning(predictions["model"]),
        *_trial(value["trial"]),
        f"settings   {settings['path']}",
    ]
    if settings["error"]:
        lines.append(f"           not in force: {settings['error']}")
    if value["paused"]:
        lines.append("paused     predictions are off; `foretype resume` turns them on")
    elif not settings["enabled"]:
        lines.append("off        `enabled` is false in the settings")
    if value["recording"]:
        lines.append(f"recording  {value['recording']}; Ctrl-C where `foretype record` runs ends it")
    lines.append("counts     " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))
    if latency:
        lines.append("latency    " + ", ".join(f"{name} {value:g} ms" for name, value in latency.items()))
    lines += _http(value["http"])
    lines.append(f"windows    {len(value['windows'])}")
    for session in predictions["sessions"].values():
        why = f"no prediction: {session['reason']}" if session["reason"] else "predicting"
        about = f" ({session['file']})" if session["reason"] and session["file"] else ""
        lines.append(f"           {session['editor'] or 'an editor'}: {why}{about}")
        if session["settings_problem"]:
            lines.append(f"           its settings: {session['settings_problem']}")
        lines += [f"           {_companion(companion)}" for companion in session["companions"]]
    lines += [_index(index) for index in value["indexes"]]
    open_snapshots = sum(session["open_snapshots"] for session in predictions["sessions"].values())
    return [*lines, *_capture(value["capture"], open_snapshots), *_upload(value["upload"])]


def _http(http: dict[str, Any] | None) -> list[str]:
    """Whether editors may ask over HTTP."""
    return [] if http is None else [f"http       {http['problem'] or http['url']}"]


def _companion(companion: dict[str, Any]) -> str:
    why = f": {companion['reason']}" if companion["reason"] else ""
    return f"{companion['program']} for {companion['language']}: {companion['state']}{why}"


def _index(index: dict[str, Any]) -> str:
    """One symbol index."""
    what = index["failure"] or f"{index['state']}, {index['files']} files, {index['symbols']} names"
    return f"index      {index['folder']}: {what}" + "".join(f"; {note}" for note in index["notes"])


def _capture(capture: dict[str, Any], open_snapshots: int) -> list[str]:
    """What is remembered, what is not, and why."""
    if capture["off"]:
        return [f"capture    off: {capture['off']}"]
    counts = dict(capture["counts"])
    stored = counts.pop("stored", 0)
    if not stored and not counts and not open_snapshots:
        return ["capture    nothing so far; only where `foretype consent show` says so"]
    kept = f"capture    {stored} snapshots stored, {open_snapshots} open"
    left_out = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in sorted(counts.items()))
    return [kept, *([f"           not kept: {left_out}; the latest: {capture['latest']}"] if left_out else [])]


def _upload(upload: dict[str, Any]) -> list[str]:
    """What waits to be sent, what was, and what is in the way."""
    if upload["state"] == "off":
        return [f"upload     off: {upload['reason']}"]
    backlog = upload["backlog"]
    size = f" ({backlog['waiting_bytes'] / 1e6:.1f} MB)" if backlog["waiting"] else ""
    last = backlog["last_uploaded_at"]
    when = f"last {datetime.fromtimestamp(last, UTC).astimezone():%Y-%m-%d %H:%M}" if last else "none yet"
    state = upload["state"].replace("_", " ")
    waiting = f"{backlog['waiting']} wait{size}, {backlog['uploaded']} of those here are sent; {when}"
    lines = [f"upload     {upload['target']}: {state}, {waiting}"]
    reasons = [upload["reason"]] if upload["reason"] else []
    reasons += [upload["last_error"]] if upload["last_error"] not in ("", upload["reason"]) else []
    if backlog["held_back"]:
        reasons.append(f"{backlog['held_back']} stay here: older than the consent to upload")
    stay = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in sorted(backlog["parked"].items()))
    reasons += [f"stay here: {stay}"] if stay else []
    if upload["deletions"]:
        reasons.append(f"{upload['deletions']} deletions are still to be asked for")
    if upload["deletions_elsewhere"]:
        reasons.append(f"{upload['deletions_elsewhere']} deletions wait for a collector that is not named now")
    return [*lines, *(f"           {reason}" for reason in reasons)]


def _model(model: dict[str, Any]) -> str:
    loaded = model.get("model") or {}
    what: str = model["state"]
    if loaded:
        what += f", {loaded['name']} ({loaded['prompt_format']}, {loaded['backend']})"
    return what + (f": {model['failure']}" if model["failure"] else "")


def _tuning(model: dict[str, Any]) -> list[str]:
    """How the loaded model runs, and whether that was measured."""
    loaded = model.get("model") or {}
    if not loaded.get("tuning"):
        return []
    return [f"           {loaded['threads']} threads ({loaded['sources']['threads']}); {loaded['tuning']}"]


def _trial(trial: dict[str, Any] | None) -> list[str]:
    """The candidate, how it does, and how often the model in use had to answer for it."""
    if trial is None:
        return []
    loaded = trial["model"] or {}
    name = f", {loaded['name']}@{loaded['fingerprint'][:8]} ({loaded['prompt_format']})" if loaded else ""
    lines = [f"trial      {trial['candidate']} in {trial['share']:.0%} of the documents: {trial['state']}{name}"]
    if trial["failure"]:
        lines.append(f"           it cannot be used: {trial['failure']}")
    lines.append(f"           {trial['answered']} questions answered by it; `foretype stats` compares")
    if trial["fell_back"]:
        why = "" if trial["last_failure"] == trial["failure"] else f"; the last time: {trial['last_failure']}"
        lines.append(f"           {trial['fell_back']} answered by the model in use instead, because it failed{why}")
    return lines


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
