"""The engine worker: a child process that owns llama.cpp (``python -m daemon.engine.worker``).

Requests come as JSON lines on standard input, replies go out on what was standard output; everything else
that prints, libraries included, lands on standard error. When standard input ends the process ends at once,
even inside a forward pass: a worker never outlives its hub. Writes nothing to disk and no text of the
user's anywhere but into replies.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import traceback
from dataclasses import asdict
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from capture.inputs import PredictionInputs
from daemon.engine.abort import AbortFlag
from daemon.engine.errors import EngineError, ModelRefused
from daemon.engine.messages import ModelSettings, ReplyKind, SampleRequest
from daemon.engine.ways import MeasureRequest
from daemon.prompts.raw_prompt import RawPrompt

if TYPE_CHECKING:
    from daemon.engine.llama import Log
    from daemon.engine.loaded import ChooseFormat, LoadedModel
    from daemon.engine.tuning import Tuner


def take_standard_output() -> BinaryIO:
    """The pipe to the hub; from now on descriptor 1, where C libraries print, is standard error."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def read_requests(requests: BinaryIO, queue: SimpleQueue[bytes]) -> None:
    """Hand on every line; at the end of the input end the process (it owns nothing that needs a farewell)."""
    for line in requests:
        queue.put(line)
    os._exit(0)


class Worker:
    """Answers one request after the other."""

    def __init__(self, choose_format: ChooseFormat, refusals: tuple[type[Exception], ...], flag: AbortFlag) -> None:
        self._choose_format = choose_format
        self._refusals = refusals
        self._flag = flag
        self._log: Log | None = None
        self._loaded: LoadedModel | None = None
        self._tuner: Tuner | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request."""
        value: Any
        try:
            kind, value = self._serve(request)
        except ModelRefused as refusal:
            kind, value = ReplyKind.REFUSED, str(refusal)
        except EngineError as error:
            kind, value = ReplyKind.FAILED, str(error)
        except Exception as error:  # noqa: BLE001  the boundary: a fault costs one request, no more
            report_fault(error)
            kind = ReplyKind.FAILED
            value = f"a fault in the engine ({type(error).__name__}); see the worker's log"
        return {"id": request["id"], "kind": kind, "value": value}

    def _serve(self, request: dict[str, Any]) -> tuple[ReplyKind, Any]:
        if request["op"] == "load":
            return ReplyKind.MODEL, self._load(ModelSettings.from_json(request["settings"]))
        if request["op"] == "open":
            return ReplyKind.OPENED, self._open(ModelSettings.from_json(request["settings"]))
        if request["op"] == "measure" and self._tuner is not None:
            measured = self._tuner.measure(MeasureRequest.from_json(request["what"]))
            return ReplyKind.MEASURED, [of_one_way.to_json() for of_one_way in measured]
        if self._loaded is None:
            return ReplyKind.FAILED, "no model is loaded"
        deadline_seconds = request["deadline_seconds"]
        if request["op"] == "complete":
            prompt = RawPrompt(**{**request["prompt"], "stop": tuple(request["prompt"]["stop"])})
            return ReplyKind.COMPLETION, self._loaded.complete(request["id"], prompt, deadline_seconds).to_json()
        inputs = PredictionInputs.from_json(request["inputs"])
        if request["op"] == "sample":
            wanted = SampleRequest(**request["request"])
            samples = self._loaded.sample(request["id"], inputs, wanted, deadline_seconds)
            return ReplyKind.SAMPLES, samples.to_json()
        answer = self._loaded.predict(
            request["id"],
            inputs,
            deadline_seconds,
            can_be_superseded=request.get("can_be_superseded", True),
            least_confidence=request.get("least_confidence", 0.0),
        )
        return ReplyKind.ANSWER, answer.to_json()

    def _load(self, settings: ModelSettings) -> dict[str, Any]:
        # llama.cpp may print when it is imported: not before descriptor 1 is safe.
        from daemon.engine.llama import Log  # noqa: PLC0415  see above
        from daemon.engine.loaded import LoadedModel  # noqa: PLC0415  see above

        self._log = self._log or Log(sys.stderr.write)
        try:
            self._loaded = LoadedModel.load(settings, self._choose_format, self._log, self._flag)
        except self._refusals as refusal:
            raise ModelRefused(f"{settings.path} is refused: {refusal}") from None
        return self._loaded.info.to_json()

    def _open(self, settings: ModelSettings) -> dict[str, Any]:
        from daemon.engine.llama import Log  # noqa: PLC0415  as in _load
        from daemon.engine.tuning import Tuner  # noqa: PLC0415  the same

        self._log = self._log or Log(sys.stderr.write)
        try:
            self._tuner = Tuner.open(settings, self._choose_format, self._log, self._flag)
        except self._refusals as refusal:
            raise ModelRefused(f"{settings.path} is refused: {refusal}") from None
        return asdict(self._tuner.opened)


def report_fault(error: BaseException) -> None:
    """Where and of which type, without the message: messages may quote the user's text."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    sys.stderr.write(f"{type(error).__name__} in the engine worker\n{frames}")


def serve(choose_format: ChooseFormat, refusals: tuple[type[Exception], ...] = ()) -> None:
    """Serve until standard input ends; ``sys.argv[1]`` is the descriptor of the abort flag.

    ``choose_format(setting, metadata, file_name)`` picks the prompt format; what it raises of ``refusals``
    means that the model is refused.
    """
    replies = take_standard_output()
    os.environ["GGML_NO_BACKTRACE"] = "1"  # else ggml starts a debugger when it aborts
    faulthandler.enable()
    flag = AbortFlag.open(int(sys.argv[1]))
    queue: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=read_requests, args=(sys.stdin.buffer, queue), daemon=True).start()
    worker = Worker(choose_format, refusals, flag)
    while True:
        reply = worker.answer(orjson.loads(queue.get()))
        replies.write(orjson.dumps(reply) + b"\n")
        replies.flush()


def main() -> None:
    """Serve with foretype's own prompt formats."""
    from daemon.prompts.registry import UnknownModel, choose_format  # noqa: PLC0415  tests serve with others

    serve(choose_format, (UnknownModel,))


if __name__ == "__main__":
    main()
