"""Runs a stage on Ray Data: the same work by the same code, on the processes of one machine or of a cluster.

Files are read where Ray schedules that, so their paths or URLs must mean the same on every node; findings come back to
this process, which keeps and writes them as for a local run. Findings of an earlier run are looked up by workers on the
machine where the work file is; elsewhere they are found again. Knows nothing of outputs.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import BadArgument
from training_export.errors import ExtraMissing, StageBroken
from training_export.example_format.files import STANDARD_INPUT, Raw, Rejected
from training_export.running.process_worker import Broken, Job, attempt, opened, sharing
from training_export.running.sources import Sources
from training_export.running.work import Chunk, ChunkDone, Keep, Worker
from training_export.stage import Concurrency, Work

# Nobody is told that Ray runs here, and its own words do not mix with ours; set before it is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
try:
    import pyarrow as pa
    import ray
    import ray.data
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask
    from ray.exceptions import RayError
except ImportError as missing:
    raise ExtraMissing("--engine ray", "Ray Data", "cluster") from missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

ADDRESS_VARIABLE: Final = "RAY_ADDRESS"
CHUNK_LINES: Final = 4  # what is lost of an expensive stage where a node is
COLUMN: Final = "pickled"


def run_ray(job: Job, inputs: Sources, workers: int, limit: int, keep: Keep) -> Generator[ChunkDone]:
    """What comes of the lines, in their order; see `local.run_local`.

    Ray at RAY_ADDRESS is used, else one is started here for the run. Raises what the stage raises, StageBroken, and
    BadArgument for standard input, which other processes cannot read.
    """
    if STANDARD_INPUT in inputs.names:
        raise BadArgument("--engine ray reads files, not standard input; write it to a file first")
    with _ray(workers):
        is_waiting = job.stage.concurrency is Concurrency.THREADS
        done = ray.data.read_datasource(_Lines(inputs, limit)).map_batches(
            _Actor,
            fn_constructor_args=(job, workers, socket.gethostname()),
            batch_size=2 * workers if is_waiting else 1,
            batch_format="numpy",
            concurrency=1 if is_waiting else workers,
            num_cpus=1,
        )
        for found in _results(done):
            if isinstance(found, Broken):
                raise found.error()
            keep(found.findings)
            yield found


def _results(done: ray.data.Dataset) -> Iterator[ChunkDone | Broken]:
    try:
        for row in done.iter_rows():
            yield pickle.loads(row[COLUMN])  # noqa: S301 (our own workers wrote it)
    except RayError as error:
        raise StageBroken(
            f"Ray ended the run, perhaps because a worker was killed: {type(error).__name__}; what was finished is"
            " kept: run the same command again, with fewer --workers if it was memory"
        ) from error


class _Lines(Datasource):
    """The inputs in chunks: a task for each file, or one for all where only the first lines are wanted."""

    def __init__(self, inputs: Sources, limit: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray's own is not annotated
        self._inputs = inputs
        self._limit = limit

    def estimate_inmemory_data_size(self) -> int | None:
        return self._inputs.total_bytes

    def get_read_tasks(self, *_settings: Any, **_more: Any) -> list[ReadTask]:
        groups = [self._inputs.names] if self._limit else [(name,) for name in self._inputs.names]
        return [self._task(Sources(names, max_line_bytes=self._inputs.max_line_bytes)) for names in groups]

    def _task(self, sources: Sources) -> ReadTask:
        limit = self._limit
        return ReadTask(
            lambda: _blocks(sources, limit),
            BlockMetadata(None, sources.total_bytes, None, input_files=sources.names),
        )


def _blocks(sources: Sources, limit: int) -> Iterator[pa.Table]:
    lines: Iterable[Raw | Rejected] = sources.raw()
    rest = islice(lines, limit) if limit else iter(lines)
    while chunk := tuple(islice(rest, CHUNK_LINES)):
        yield pa.table({COLUMN: pa.array([pickle.dumps(Chunk(chunk))], pa.large_binary())})


class _Actor:
    """One worker of Ray's. A stage that waits for others is opened once and used by several threads of it."""

    def __init__(self, job: Job, workers: int, home: str) -> None:
        """Raises StageBroken for a worker that takes the place of one that died on this machine.

        Ray would go on for ever with a line that kills its worker. On other machines it may: nodes do come and go.
        """
        is_home = socket.gethostname() == home
        self._stack = ExitStack()
        if is_home and ray.get_runtime_context().was_current_actor_reconstructed:
            raise StageBroken("a worker was killed")
        has_results = is_home and job.results_path is not None and job.results_path.exists()
        self._job = job if has_results else replace(job, results_path=None)
        self._threads: ThreadPoolExecutor | None = None
        if job.stage.concurrency is Concurrency.THREADS:
            self._threads = self._stack.enter_context(ThreadPoolExecutor(workers))
        self._lock = threading.Lock()
        self._find: Work | None = None
        self._of_thread = threading.local()

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, list[bytes]]:
        each = map if self._threads is None else self._threads.map
        return {COLUMN: list(each(self._one, batch[COLUMN]))}

    def __del__(self) -> None:
        self._stack.close()

    def _one(self, pickled: bytes) -> bytes:
        chunk: Chunk = pickle.loads(pickled)  # noqa: S301 (this program wrote it)
        return pickle.dumps(attempt(lambda lines: self._worker().work(lines), chunk))

    def _worker(self) -> Worker:
        worker: Worker | None = getattr(self._of_thread, "worker", None)
        if worker is None:
            with self._lock:
                if self._threads is None:
                    worker = self._stack.enter_context(opened(self._job))
                else:
                    self._find = self._find or self._stack.enter_context(self._job.stage.opened())
                    worker = self._stack.enter_context(sharing(self._job, self._find))
            self._of_thread.worker = worker
        return worker


@contextmanager
def _ray(workers: int) -> Iterator[None]:
    """Ray, started or joined for as long as the block runs, unless the caller has done that."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    is_ours = not ray.is_initialized()
    if is_ours:
        before = signal.getsignal(signal.SIGTERM)
        address = os.environ.get(ADDRESS_VARIABLE)
        if address:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            ray.init(
                address="local",
                num_cpus=workers + 1,  # one reads
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray puts a handler of its own there
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    try:
        yield
    finally:
        if is_ours:
            ray.shutdown()
