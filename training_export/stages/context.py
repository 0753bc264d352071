"""``context``: what a model may see beside the cursor's file, found anew in a checkout, by several settings.

The daemon's own code looks around in the repository as it was at the example's moment. Each setting's findings are kept
side by side in ``foretype.contexts``; one of them becomes what ``prompt_inputs`` says, which is made where there is
none. Knows nothing of how checkouts come about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from capture.context.index.languages import language_of
from capture.editing.state import EditingState
from capture.inputs import PredictionInputs
from capture.snapshot.parts import path_problem
from training_export.checkout.failure import ContextNotFound
from training_export.checkout.moment import Moment, rebuild
from training_export.checkout.settings import DAEMON, ContextSetting
from training_export.stage import Concurrency, Findings, Work, ours

if TYPE_CHECKING:
    from training_export.checkout.places import Places
    from training_export.checkout.surroundings import Context, Scene
    from training_export.example import Example
    from training_export.example_format.records import RecentFile


@dataclass(frozen=True, slots=True)
class ContextStage:
    """``use`` names the setting that goes into ``prompt_inputs``, or is ``recorded``: they stay as they are.

    Either ``checkout`` is a folder that is as the repository was at every example's commit (``fingerprint`` then tells
    one state of it from another), or ``repositories`` holds clones, from which checkouts are made. ``servers`` are
    language ids and the command lines of their language servers, for settings that ask for these.
    """

    chosen: tuple[ContextSetting, ...] = (DAEMON,)
    use: str = DAEMON.name
    checkout: str = ""
    fingerprint: str = ""
    repositories: str = ""
    fetch: bool = False
    servers: tuple[tuple[str, tuple[str, ...]], ...] = ()

    name: ClassVar[str] = "context"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (
        "repository_url",
        "revision",
        "uncommitted_diff",
        "uncommitted_diff_contains_edit_history",
        "recently_opened_files",
        "recently_viewed_files",
        "cursor_path",
        "cursor_position",
        "edit_history",
        "prompt_inputs",
        "foretype.snapshot",
    )
    writes: ClassVar[tuple[str, ...]] = ("prompt_inputs", "prompt", "foretype.contexts")
    # Examples of one commit share its checkout and its index, and whoever is interrupted has to remove them.
    concurrency: ClassVar[Concurrency] = Concurrency.ALONE

    def settings(self) -> Mapping[str, Any]:
        """What the contexts depend on beside the example; from which clone a commit is changes nothing."""
        return {
            "settings": {each.name: each.to_json() for each in self.chosen},
            "use": self.use,
            "fingerprint": self.fingerprint,
            "servers": dict(self.servers),
        }

    @contextmanager
    def opened(self) -> Iterator[Work]:
        """Checkouts are made as examples ask for them, and removed when the block ends."""
        from training_export.checkout.places import Places  # noqa: PLC0415 (when it is run)

        with Places(self.checkout, self.repositories, fetch=self.fetch, servers=dict(self.servers)) as places:
            yield partial(_found, self, places)


def _found(stage: ContextStage, places: Places, example: Example) -> Findings:
    try:
        return _Finding(stage, places, example).findings()
    except ContextNotFound as reason:
        return Findings(failure=str(reason), is_final=reason.is_final)


class _Finding:
    """One example in its checkout."""

    def __init__(self, stage: ContextStage, places: Places, example: Example) -> None:
        """Raises ContextNotFound."""
        from training_export.checkout.surroundings import read_text  # noqa: PLC0415 (when it is run)

        self._stage = stage
        self._example = example
        self._snapshot: Mapping[str, Any] = ours(example, "snapshot") or {}
        self._prefix = _prefix(self._snapshot)
        self._root = places.checkout(example.repository_url, example.revision)
        self._read = partial(read_text, self._root)
        self._moment = rebuild(example, self._read)
        self._workspace = places.workspace(self._root / self._prefix)

    def findings(self) -> Findings:
        """Raises ContextNotFound."""
        scene = self._scene(self._moment)
        contexts = self._workspace.contexts(scene, self._stage.chosen)
        recorded = self._example.prompt_inputs
        inputs = self._made(scene) if recorded is None else recorded
        shown = [_shown_below(inputs.cursor_path, scene.path, context) for context in contexts]
        by_name = {setting.name: _to_json(context) for setting, context in zip(self._stage.chosen, shown, strict=True)}
        before = self._example.value.get("prompt_inputs")
        now = {**(inputs.to_json() if before is None else before), **by_name.get(self._stage.use, {})}
        if not now.get("active_buffer_diagnostics"):
            now.pop("active_buffer_diagnostics", None)  # as Zed writes it
        fields: dict[str, Any] = {} if now == before else {"prompt_inputs": now, "prompt": None}
        tallies = {"files_not_rebuilt": float(self._moment.files_not_rebuilt)} if self._moment.files_not_rebuilt else {}
        return Findings(fields=fields, ours={"contexts": by_name}, tallies=tallies)

    def _scene(self, moment: Moment) -> Scene:
        """The moment as the window saw it whose folder the workspace is. Raises ContextNotFound."""
        from training_export.checkout.surroundings import Scene  # noqa: PLC0415 (when it is run)

        if not moment.path.startswith(self._prefix):
            raise ContextNotFound(f"{moment.path} is not in the workspace's folder, {self._prefix}")
        recent = [*reversed(self._example.recently_opened_files), *reversed(self._example.recently_viewed_files)]
        looked_at = chain(
            ((file.path, self._row(file), False) for file in recent), ((path, row, True) for path, row in moment.edits)
        )
        language = language_of(moment.path)
        return Scene(
            path=moment.path.removeprefix(self._prefix),
            language_id=self._snapshot.get("language_id") or ("" if language is None else language.name),
            cursor=moment.cursor,
            texts={
                path.removeprefix(self._prefix): text
                for path, text in moment.texts.items()
                if path.startswith(self._prefix)
            },
            looked_at=[
                (path.removeprefix(self._prefix), row, is_edit)
                for path, row, is_edit in looked_at
                if path.startswith(self._prefix)
            ],
        )

    def _row(self, file: RecentFile) -> int:
        text = self._moment.texts.get(file.path) or self._read(file.path) or ""
        return text.encode().count(b"\n", 0, file.cursor_position or 0)

    def _made(self, scene: Scene) -> PredictionInputs:
        """The inputs that an editor would have asked with."""
        editing = EditingState(lambda: 0.0)
        editing.open("example", self._moment.text, path=scene.path, language_id=scene.language_id)
        events = tuple(
            replace(
                event,
                path=event.path.removeprefix(self._prefix),
                old_path=event.old_path.removeprefix(self._prefix),
            )
            for event in self._moment.events
        )
        return replace(editing.inputs("example", scene.cursor), events=events)


def _prefix(snapshot: Mapping[str, Any]) -> str:
    """The workspace's folder in the repository, ended with a slash where it is not the root. Raises ContextNotFound."""
    prefix = snapshot.get("repository_prefix") or ""
    if prefix and (not isinstance(prefix, str) or path_problem(prefix) or not prefix.endswith("/")):
        raise ContextNotFound(f"foretype.snapshot.repository_prefix is no folder inside the repository: {prefix!r}")
    return str(prefix)


def _shown_below(shown_path: str, path: str, context: Context) -> Context:
    """Files named as the cursor's is shown: Zed puts the worktree's name before each."""
    if not shown_path.endswith(f"/{path}"):
        return context
    folder = shown_path.removesuffix(path)
    named = tuple(replace(file, path=folder + file.path) for file in context.related_files)
    return replace(context, related_files=named)


def _to_json(context: Context) -> dict[str, Any]:
    return {
        "related_files": [file.to_json() for file in context.related_files],
        "active_buffer_diagnostics": [item.to_json() for item in context.diagnostics],
    }
