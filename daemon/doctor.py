"""``foretype doctor``'s questions: is everything there that a prediction needs, and if not, what to do about
it.

Each check is a function that returns findings; the table at the end is the order in which they are asked.
Nothing is changed, and a hub is asked but never started.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import socket
import stat
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture.upload.target import problem
from capture.upload.token import TokenUnavailable, token_of
from daemon import control, handshake, ownership, paths, registry, uploading
from daemon.engine.errors import EngineError
from daemon.errors import ForetypeError, PathRefused, SettingsError
from daemon.settings import Settings
from daemon.settings_store import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from daemon.engine.messages import ModelInfo


class Verdict(StrEnum):
    """How a check came out."""

    FINE = "ok"
    WARNING = "warning"  # works, but not as one would expect
    FAILED = "failed"  # no predictions until it is cured


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer; ``cure`` is empty where nothing is wrong."""

    subject: str
    verdict: Verdict
    text: str
    cure: str = ""

    def to_json(self) -> dict[str, str]:
        """The form of ``doctor --json``."""
        return {"subject": self.subject, "verdict": self.verdict.value, "text": self.text, "cure": self.cure}


def examine() -> list[Finding]:
    """All findings, in the order of the table."""
    return [finding for check in CHECKS for finding in check()]


def check_installation() -> Iterator[Finding]:
    """Version, Python, platform; and that no other distribution shares our packages."""
    ours = f"foretype {handshake.VERSION} in {Path(__file__).parent.parent}"
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("installation", Verdict.FINE, f"{ours}, {machine}")
    for clash in ownership.clashes():
        yield Finding(
            "packages",
            Verdict.FAILED,
            f"{clash.distribution} {clash.version} owns the import package `{clash.package}` too",
            f"install foretype by itself (uv tool install foretype), or: pip uninstall {clash.distribution}",
        )
    if not hasattr(socket, "AF_UNIX"):
        yield Finding(
            "platform",
            Verdict.WARNING,
            f"{sys.platform} has no unix sockets",
            "use `foretype lsp --standalone`",
        )


def check_settings() -> Iterator[Finding]:
    """The settings file, and what it switches off."""
    path = paths.settings_path()
    settings, problem = _settings()
    if problem is not None:
        yield Finding(
            "settings",
            Verdict.FAILED,
            f"{path}: {problem}",
            "mend that line; docs/settings.md lists the keys",
        )
        return
    yield Finding("settings", Verdict.FINE, f"{path}" + ("" if path.exists() else " (not there: the defaults hold)"))
    if not settings.enabled:
        yield Finding("settings", Verdict.WARNING, "`enabled` is false", f"set `enabled = true` in {path}")
    for key in ("disabled_languages", "disabled_folders", "exclude"):
        values = getattr(settings, key)
        if values:
            yield Finding("excluded", Verdict.FINE, f"{key}: {', '.join(values)}")


def check_runtime() -> Iterator[Finding]:
    """The private directory, its sockets and their modes."""
    directory = Path(paths.runtime_directory())
    if not directory.exists():
        yield Finding("runtime", Verdict.FINE, f"{directory} (made when the first hub starts)")
        return
    try:
        paths.make_runtime_directory()
    except PathRefused as error:
        yield Finding("runtime", Verdict.FAILED, str(error), f"remove {directory}, or: chmod 700 {directory}")
        return
    yield Finding("runtime", Verdict.FINE, f"{directory}, mode {_mode(directory)}")
    for path in map(Path, paths.hub_sockets()):
        mode = path.stat().st_mode
        open_to_others = stat.S_IMODE(mode) & 0o077
        yield Finding(
            "socket",
            Verdict.WARNING if open_to_others else Verdict.FINE,
            f"{path}, mode {_mode(path)}",
            f"chmod 700 {path}" if open_to_others else "",
        )


def check_hubs() -> Iterator[Finding]:
    """The running hubs, and what they say of themselves."""
    if not Path(paths.runtime_directory()).exists():
        yield Finding("hub", Verdict.FINE, "none is running; an editor starts it")
        return
    found = False
    for path in paths.hub_sockets():
        try:
            answer = control.ask(path, "status")
        except ForetypeError as error:
            yield Finding("hub", Verdict.FAILED, f"{path}: {error}", "foretype stop --force")
            continue
        if answer is None:
            yield Finding(
                "hub",
                Verdict.WARNING,
                f"{path} is left of a hub that was killed",
                "the next start removes it",
            )
            continue
        found = True
        yield from _about_hub(*answer)
    if not found:
        yield Finding("hub", Verdict.FINE, "none is running; an editor starts it")


def _about_hub(hub: control.RunningHub, status: dict[str, Any]) -> Iterator[Finding]:
    text = f"process {hub.pid}, version {hub.version}"
    if hub.version != handshake.VERSION:  # what else it says may have another form
        cure = "it leaves with its last window; restart those editors, or: foretype stop --all"
        yield Finding("hub", Verdict.WARNING, text, cure)
        return
    yield Finding("hub", Verdict.FINE, f"{text}, {status['state']}, {len(status['windows'])} windows")
    if status["paused"]:
        yield Finding("hub", Verdict.WARNING, "predictions are paused", "foretype resume")
    if status["settings"]["error"]:
        problem = f"goes on with its old settings: {status['settings']['error']}"
        yield Finding("hub", Verdict.WARNING, problem, "mend the settings file; docs/settings.md lists the keys")
    predictions = status["predictions"]
    if predictions["model"]["failure"]:
        failure = predictions["model"]["failure"]
        yield Finding("hub", Verdict.FAILED, failure, "choose a model: foretype model use NAME")
    trial = status["trial"]
    if trial is not None and trial["failure"]:
        problem = f"the candidate {trial['candidate']} of the trial cannot be used: {trial['failure']}"
        yield Finding("trial", Verdict.WARNING, problem, "foretype model try --stop")
    for session in predictions["sessions"].values():
        who = session["editor"] or "a window"
        if session["reason"]:
            where = f" ({session['file']})" if session["file"] else ""
            text = f"{who}, last without a prediction: {session['reason']}{where}"
            yield Finding("window", Verdict.FINE, text)
        if session["settings_problem"]:
            cure = "change the editor's settings; docs/settings.md says what an editor may set"
            yield Finding("window", Verdict.WARNING, f"{who}: {session['settings_problem']}", cure)


def check_model() -> Iterator[Finding]:
    """The chosen model: there, unchanged since it was pulled, and loadable; which backend runs it."""
    settings, _ = _settings()
    try:
        model = registry.resolve(settings.model)
        if model.manifest and model.path.stat().st_size != model.manifest.size_bytes:
            yield Finding(
                "model",
                Verdict.FAILED,
                f"{model.path} is not the file that was pulled: its size differs",
                f"foretype model pull {model.manifest.repository} --name {model.name}",
            )
            return
        info = asyncio.run(_load(model.path, settings))
    except (ForetypeError, EngineError) as error:
        yield Finding(
            "model",
            Verdict.FAILED,
            str(error),
            "choose another: foretype model list, foretype model use NAME",
        )
        return
    yield Finding(
        "model",
        Verdict.FINE,
        f"{settings.model}: {info.name}, {info.parameters / 1e6:.1f} M parameters,"
        f" prompt format {info.prompt_format}, {info.context_tokens} tokens of context",
    )
    yield Finding("backend", Verdict.FINE, f"{info.backend}, {info.gpu_layers} layers on a GPU")
    if settings.gpu_layers and not info.gpu_layers:
        yield Finding(
            "backend",
            Verdict.WARNING,
            f"gpu_layers is {settings.gpu_layers}, but this llama.cpp has no GPU backend",
            "reinstall llama-cpp-python built for your GPU, or set gpu_layers = 0",
        )


async def _load(path: Path, settings: Settings) -> ModelInfo:
    from daemon.engine.client import EngineClient  # noqa: PLC0415 (asyncio and the worker: only this check)
    from daemon.engine.messages import ModelSettings  # noqa: PLC0415
    from daemon.tuning.record import with_tuning  # noqa: PLC0415

    wanted = ModelSettings(str(path), settings.prompt_format, settings.gpu_layers, settings.threads)
    engine = EngineClient(wanted, log=logging.getLogger("daemon.worker"), prepare=with_tuning)
    try:
        return await engine.ready()
    finally:
        await engine.close()


def check_upload() -> Iterator[Finding]:
    """Where snapshots may go: whether that can be reached is not tried, whether it could be spoken to is."""
    settings, _ = _settings()
    target = uploading.target_of(settings.upload)
    if target is None:
        yield Finding("upload", Verdict.FINE, "no collector is named: nothing is sent")
        return
    wrong = problem(target)
    try:
        asyncio.run(token_of(target))
    except TokenUnavailable as error:
        wrong = wrong or str(error)
    cure = "mend [upload] in the settings, or what it names; docs/upload.md tells how" if wrong else ""
    verdict = Verdict.WARNING if wrong else Verdict.FINE
    yield Finding("upload", verdict, f"{target.address}: {wrong}" if wrong else f"to {target.address}", cure)


def check_logs() -> Iterator[Finding]:
    """Where the log is, and that it can be written."""
    path = paths.hub_log_path()
    nearest = next(parent for parent in path.parents if parent.exists())
    if os.access(path if path.exists() else nearest, os.W_OK):
        yield Finding("log", Verdict.FINE, f"{path}" + ("" if path.exists() else " (nothing logged yet)"))
    else:
        yield Finding("log", Verdict.FAILED, f"{path} cannot be written", f"make {nearest} writable for you")


def _settings() -> tuple[Settings, SettingsError | None]:
    """The settings that would hold for a hub started now, and what is wrong with the file."""
    try:
        return read_settings(paths.settings_path()), None
    except SettingsError as error:
        return Settings(), error


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


CHECKS: Iterable[Callable[[], Iterator[Finding]]] = (
    check_installation,
    check_settings,
    check_runtime,
    check_hubs,
    check_model,
    check_upload,
    check_logs,
)
