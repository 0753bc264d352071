"""Processor time of a keystroke besides decoding, stage by stage: ``python -m bench.keystroke_path [SESSION ...]``.

Types sessions into a real window of the daemon, message by message, with the embedded student in the same process and
thread. Between keys it rests as a person does, so caches are as cold as in life. Pipes and their processes are left
out; their messages are encoded and decoded all the same. With ``--capture`` there is consent: every prediction opens a
snapshot, which settles into a store in a temporary folder as it would in the user's. Prints median and 99th percentile
of each stage over the keys that the model answered, and one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bench.session import Session as TypingSession
from bench.session import read_sessions
from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.editing.positions import Position
from capture.inputs import PredictionInputs
from capture.store.store import Store
from daemon.engine.abort import AbortFlag
from daemon.engine.api import EngineState
from daemon.engine.decoder import Decoded, DecodeRequest
from daemon.engine.llama import Log
from daemon.engine.loaded import LoadedModel
from daemon.engine.messages import Completion, EngineAnswer, ModelSettings
from daemon.lsp.framing import FrameParser, encode_message
from daemon.lsp.outgoing import Outgoing, OutgoingState
from daemon.lsp.session import Session
from daemon.lsp.wire import range_json
from daemon.prompts.registry import choose_format
from daemon.registry import EMBEDDED_PATH
from daemon.scheduler import Scheduler
from daemon.services import Services
from daemon.settings import Settings
from daemon.settings_store import SettingsStore
from daemon.snapshot_keeper import SnapshotKeeper
from daemon.status import StatusBoard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.session import Keystroke
    from capture.editing.positions import ContentChange
    from daemon.engine.messages import ModelInfo
    from daemon.prompts.base import Answer, CountTokens, NewRegion, Prompt, PromptFormat, Refusal
    from daemon.prompts.raw_prompt import RawPrompt

IDLE_SECONDS = 0.1  # between keys
TURNS_OF_A_PIPE = 8  # of the event loop, which others have while a message is on its way
STAGES = {
    "change": "the change taken in, and what was said earlier held against it",
    "ask": "from there to the engine: the inputs",
    "to worker": "the inputs as a message and back",
    "worker": "the worker besides decoding: the prompt, its tokens, what the answer means",
    "render": "of that the prompt",
    "to hub": "the answer as a message and back",
    "response": "from the answer to the response: judging it",
    "sum": "all of that",
}
SUM = "sum"
INSIDE_OTHERS = {"render"}  # not added up


@dataclass(slots=True)
class Clock:
    """Processor time of this thread, charged to one stage after the other."""

    stage: str = ""
    _since: float = 0.0
    spent_ms: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def enter(self, stage: str) -> None:
        """What follows belongs to ``stage``; an empty one is not counted."""
        now = time.thread_time()
        if self.stage:
            self.spent_ms[self.stage] += 1000 * (now - self._since)
        self.stage, self._since = stage, now


class TimedFormat:
    """A prompt format whose rendering is timed."""

    def __init__(self, prompt_format: PromptFormat, clock: Clock) -> None:
        self._format = prompt_format
        self._clock = clock
        self.name = prompt_format.name
        self.control_tokens = prompt_format.control_tokens
        self.delimiters = prompt_format.delimiters

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """As the format does."""
        started = time.thread_time()
        try:
            return self._format.render(inputs, count_tokens)
        finally:
            self._clock.spent_ms["render"] += 1000 * (time.thread_time() - started)

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """As the format does."""
        return self._format.parse(inputs, prompt, answer, finished=finished)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """As the format does."""
        return self._format.training_target(inputs, prompt, new_region)


class NearEngine:
    """The daemon's engine with the model in this process; nothing else goes on while it predicts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.state = EngineState.READY
        self.failure = ""
        self.tokens_evaluated = 0
        self.predictions = 0

        def choose(setting: str, metadata: Mapping[str, str], file_name: str) -> PromptFormat:
            return TimedFormat(choose_format(setting, metadata, file_name), clock)

        settings = ModelSettings(path=str(EMBEDDED_PATH), threads=1)
        self._loaded = LoadedModel.load(settings, choose, Log(warn), AbortFlag.create())
        self.model: ModelInfo | None = self._loaded.info
        decoder = self._loaded._decoder  # noqa: SLF001  decoding is what is not measured here
        decode = decoder.decode

        def decode_off_the_clock(request: DecodeRequest) -> Decoded:
            stage = clock.stage
            clock.enter("")
            try:
                return decode(request)
            finally:
                clock.enter(stage)

        decoder.decode = decode_off_the_clock  # type: ignore[method-assign]  # see above

    async def complete(self, prompt: RawPrompt, *, deadline_seconds: float) -> Completion:
        """The model's answer; off the clock, as no key asks this."""
        return self._loaded.complete(0, prompt, deadline_seconds)

    async def predict(
        self, inputs: PredictionInputs, *, deadline_seconds: float, least_confidence: float = 0.0
    ) -> EngineAnswer:
        """The model's answer; what comes after a response is not on the clock."""
        stage = self._clock.stage
        self._enter("to worker")
        message = orjson.dumps({"op": "predict", "inputs": inputs.to_json(), "least_confidence": least_confidence})
        self._clock.enter(stage)
        for _ in range(TURNS_OF_A_PIPE):
            await asyncio.sleep(0)
        self._enter("to worker")
        received = PredictionInputs.from_json(orjson.loads(message)["inputs"])
        self._enter("worker")
        self.predictions += 1
        answer = self._loaded.predict(self.predictions, received, deadline_seconds, least_confidence=least_confidence)
        self._enter("to hub")
        answer = EngineAnswer.from_json(orjson.loads(orjson.dumps(answer.to_json())))
        self.tokens_evaluated += answer.counters.tokens_evaluated
        self._enter("response")
        return answer

    def _enter(self, stage: str) -> None:
        """Unless the key has its response."""
        if self._clock.stage:
            self._clock.enter(stage)

    async def unload(self) -> None:
        """Nothing to do: the process ends."""

    async def close(self) -> None:
        """Nothing to do: the process ends."""


class Sent(Outgoing):
    """Where a session's messages end."""

    def __init__(self) -> None:
        self.state = OutgoingState.OPEN
        self._wanted = b""
        self._seen = asyncio.Event()

    def send(self, data: bytes) -> None:
        """Look whether it is what is waited for."""
        if self._wanted and self._wanted in data:
            self._seen.set()

    def expect(self, request_id: int) -> asyncio.Event:
        """Set once the response to this request is sent."""
        self._wanted, self._seen = b'"id":%d,' % request_id, asyncio.Event()
        return self._seen


class Window:
    """One window of the daemon without its pipes."""

    def __init__(
        self, engine: NearEngine, clock: Clock, session: TypingSession, root: Path, keeper: SnapshotKeeper | None
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._typed = session
        self._sent = Sent()
        self._frames = FrameParser()
        self._scheduler = Scheduler(engine, status=(status := StatusBoard()))
        settings = SettingsStore(Path("settings.toml"))  # never read: the defaults
        self._session = Session(Services(self._scheduler, settings, status, keeper=keeper), self._sent)
        self._root_uri = root.as_uri()
        self._uri = f"{self._root_uri}/{session.header.path}"
        self._version = 1
        self._last_id = 0

    async def open(self) -> None:
        """Open the document and ask once, so that the daemon expects questions."""
        header = self._typed.header
        folders = [{"uri": self._root_uri, "name": "project"}]
        await self._ask("initialize", {"processId": None, "capabilities": {}, "workspaceFolders": folders})
        item = {"uri": self._uri, "languageId": header.language_id, "version": 1, "text": header.text}
        self._receive({"method": "textDocument/didOpen", "params": {"textDocument": item}})
        await self._ask(*self._question(Position(0, 0)))

    async def press(self, keystroke: Keystroke) -> dict[str, float] | None:
        """Milliseconds of each stage; None where the model was not asked about this key."""
        await asyncio.sleep(IDLE_SECONDS)
        asked_before = self._engine.predictions
        self._clock.spent_ms.clear()
        self._clock.enter("change")
        if keystroke.change is not None:
            self._change(keystroke.change)
        self._clock.enter("ask")
        await self._ask(*self._question(keystroke.cursor))
        self._clock.enter("")
        return dict(self._clock.spent_ms) if self._engine.predictions > asked_before else None

    async def close(self) -> None:
        """Give up what is under way."""
        await self._session.close()
        await self._scheduler.close()

    def _receive(self, message: dict[str, Any]) -> None:
        for frame in self._frames.feed(encode_message({"jsonrpc": "2.0", **message})):
            self._session.protocol.receive(frame)

    async def _ask(self, method: str, params: dict[str, Any]) -> None:
        """Returns once the response is sent."""
        self._last_id += 1
        answered = self._sent.expect(self._last_id)
        self._receive({"id": self._last_id, "method": method, "params": params})
        await answered.wait()

    def _change(self, change: ContentChange) -> None:
        self._version += 1
        identifier = {"uri": self._uri, "version": self._version}
        where = None if change.range is None else range_json(change.range)
        changes = [{"range": where, "text": change.text}]
        self._receive(
            {"method": "textDocument/didChange", "params": {"textDocument": identifier, "contentChanges": changes}}
        )

    def _question(self, cursor: Position) -> tuple[str, dict[str, Any]]:
        identifier = {"uri": self._uri, "version": self._version}
        position = {"line": cursor.line, "character": cursor.character_utf16}
        return "textDocument/copilotInlineEdit", {"textDocument": identifier, "position": position}


async def measure(sessions: Sequence[TypingSession], root: Path, *, capture: bool) -> list[dict[str, float]]:
    """The stages of every key the model answered; ``root`` is an empty folder."""
    clock = Clock()
    keeper = keeper_in(root) if capture else None
    engine = NearEngine(clock)
    keys: list[dict[str, float]] = []
    for session in sessions:
        window = Window(engine, clock, session, root / "project", keeper)
        await window.open()
        for keystroke in session.keystrokes:
            spent_ms = await window.press(keystroke)
            if spent_ms is not None:
                keys.append(spent_ms)
        await window.close()
    if keeper is not None:
        await keeper.close()
        print(f"snapshots: {orjson.dumps(keeper.status()['counts']).decode()}")
    return keys


def keeper_in(root: Path) -> SnapshotKeeper:
    """One that has consent for the project in ``root`` and a store beside it."""
    (root / "project").mkdir()
    book = ConsentBook(root / "consent.json", PolicyFile(root / "policy.toml"))
    book.grant(str(root / "project"), "local")
    return SnapshotKeeper(Store(root / "snapshots.sqlite3"), book, Settings)


def warn(line: str) -> None:
    """What llama.cpp says, to whatever standard error is when it says it."""
    sys.stderr.write(line)


def main() -> None:
    """Type and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="*", default=["python_basket"], help="names; python_basket unless given")
    parser.add_argument("--keys", type=int, help="of each session, all of them unless given")
    parser.add_argument("--capture", action="store_true", help="with consent, so that snapshots are made")
    options = parser.parse_args()
    sessions = [session.first(options.keys) if options.keys else session for session in read_sessions(options.sessions)]
    with tempfile.TemporaryDirectory() as folder:
        keys = asyncio.run(measure(sessions, Path(folder), capture=options.capture))
    result: dict[str, Any] = {
        "bench": "keystroke_path",
        "keys": len(keys),
        "capture": options.capture,
        "idle_seconds": IDLE_SECONDS,
    }
    for stage, meaning in STAGES.items():
        spent = [key.get(stage, 0.0) for key in keys]
        if stage == SUM:
            spent = [sum(ms for name, ms in key.items() if name not in INSIDE_OTHERS) for key in keys]
        result[f"{stage}_ms"] = {
            "median": round(statistics.median(spent), 3),
            "p99": round(statistics.quantiles(spent, n=100, method="inclusive")[-1], 3),
        }
        figures = result[f"{stage}_ms"]
        print(f"{stage:10} median {figures['median']:7.3f} ms   p99 {figures['p99']:7.3f} ms   {meaning}")
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    main()
