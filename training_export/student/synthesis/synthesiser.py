"""Files in, moments out: quotas by task and language, no moment twice, the same for the same seed however many work.

Files are visited in rounds; before each the quotas that are left decide what is asked of which file, so nothing depends
on who is fast. A file's moments stand together. Knows nothing of where files come from or lines go to.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from random import Random
from typing import Final

from training_export.errors import StageBroken
from training_export.running.processes import core_count, end_when_told, worker_processes
from training_export.student.sources.source_file import SourceFile
from training_export.student.synthesis.making import Job, JobDone, Made, Names, names_of, work
from training_export.student.synthesis.mixture import LANGUAGE_WEIGHTS, TASK_WEIGHTS, family_of
from training_export.student.synthesis.moment import Task

ROUND_FILES: Final = 64
MAX_TURNS: Final = 12  # visits of a file
FILES_FOR_NAMES: Final = 400  # of a family
MAX_SIBLINGS: Final = 2
LINES_PER_SLOT: Final = 8
MAX_SLOTS: Final = 24  # of one visit
_IMPORT_LINE: Final = re.compile(r"^\s*(?:import\b|from\b|use\b|export\b.*\bfrom\b|.*\brequire\().*$", re.MULTILINE)
_WORD: Final = re.compile(r"\w+")

_names: Names | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How many moments, and of what; weights need not add up to one."""

    count: int
    seed: int = 7
    tasks: Mapping[Task, float] = field(default_factory=lambda: dict(TASK_WEIGHTS))
    languages: Mapping[str, float] = field(default_factory=lambda: dict(LANGUAGE_WEIGHTS))
    workers: int = 1


@dataclass(slots=True)
class Tally:
    """What came of it. ``made`` and ``against_rule`` by family and task, ``kinds`` by task and kind."""

    wanted: int = 0
    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    against_rule: Counter[tuple[str, str]] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    files: int = 0
    unparsed: int = 0
    visits: int = 0

    @property
    def total(self) -> int:
        """All moments."""
        return self.made.total()

    @property
    def quiet_share(self) -> float:
        """Of all moments."""
        return sum(count for (_, task), count in self.made.items() if task == Task.QUIET) / max(1, self.total)

    def share_against_rule(self, *tasks: Task) -> float:
        """Of the moments of these tasks."""
        names = {task.value for task in tasks}
        of_tasks = sum(count for (_, task), count in self.made.items() if task in names)
        return sum(count for (_, task), count in self.against_rule.items() if task in names) / max(1, of_tasks)

    def flat(self) -> dict[str, float]:
        """Numbers by name, for programs: moments by language and task, shares, what was left out."""
        found: dict[str, float] = {f"{family} {task}": count for (family, task), count in sorted(self.made.items())}
        for task in sorted({task for _, task in self.made}):
            found[f"rule fails: {task}"] = round(self.share_against_rule(Task(task)), 4)
        return {
            **found,
            "quiet share": round(self.quiet_share, 4),
            "duplicates": self.duplicates,
            "files": self.files,
            "files with wrong syntax": self.unparsed,
        }

    def add(self, made: Made) -> None:
        """One more."""
        self.made[made.family, made.task.value] += 1
        self.kinds[made.task.value, made.kind] += 1
        if not made.rule_is_right:
            self.against_rule[made.family, made.task.value] += 1


def synthesised(files: Sequence[SourceFile], settings: Settings, tally: Tally) -> Iterator[bytes]:
    """The lines of the examples; ``tally`` is filled while they come. Raises StageBroken where a worker dies."""
    quotas = quotas_of(files, settings)
    tally.wanted, tally.files = sum(quotas.values()), len(files)
    rounds = _Rounds(files, settings, quotas)
    seen: set[str] = set()
    with _workers(settings.workers, _names_of(files)) as run:
        while jobs := rounds.next():
            fresh = 0
            for job, done in zip(jobs, run(jobs), strict=True):
                tally.visits += 1
                tally.unparsed += not done.is_parsed and job.turn == 0
                tally.reasons.update(done.reasons)
                for made in done.made:
                    if made.fingerprint in seen:
                        tally.duplicates += 1
                    elif quotas[made.family, made.task] > 0:
                        seen.add(made.fingerprint)
                        quotas[made.family, made.task] -= 1
                        tally.add(made)
                        fresh += 1
                        yield made.line
                if not done.is_parsed:
                    rounds.leave_out(job.file)
            rounds.came_to(jobs, fresh)


def worker_count(asked: int) -> int:
    """How many work side by side; 0 asks for as many as there are processors for us."""
    return asked or core_count()


def quotas_of(files: Sequence[SourceFile], settings: Settings) -> dict[tuple[str, Task], int]:
    """How many moments of which family and task; they add up to the count, rounded up for each."""
    present = {family_of(file.language) for file in files}
    languages = {name: weight for name, weight in settings.languages.items() if name in present and weight > 0}
    whole = sum(languages.values()) * sum(settings.tasks.values())
    found: dict[tuple[str, Task], int] = {}
    given, so_far = 0, 0.0
    for language, weight in languages.items():
        for task, share in settings.tasks.items():
            so_far += settings.count * weight * share / whole
            found[language, task] = round(so_far) - given
            given += found[language, task]
    return found


class _Rounds:
    """Which files are visited next, and for what."""

    def __init__(self, files: Sequence[SourceFile], settings: Settings, quotas: dict[tuple[str, Task], int]) -> None:
        self._settings = settings
        self._quotas = quotas
        self._files: defaultdict[str, list[SourceFile]] = defaultdict(list)
        for file in sorted(files, key=lambda file: (file.project, file.path)):
            self._files[family_of(file.language)].append(file)
        for family, found in self._files.items():
            Random(f"{settings.seed} {family}").shuffle(found)
        self._at: Counter[str] = Counter()
        self._turn: Counter[str] = Counter()
        self._came: Counter[str] = Counter()  # of this turn
        self._left_out: set[tuple[str, str]] = set()
        self._siblings = _Siblings(files)

    def next(self) -> list[Job]:
        """The jobs of the next round, none where nothing is left to do."""
        needs = {family: self._need(family) for family in self._files}
        needs = {family: need for family, need in needs.items() if need}
        whole = sum(needs.values())
        jobs = []
        for family, need in needs.items():
            share = max(1, round(ROUND_FILES * need / whole))
            jobs += [job for _ in range(share) if (job := self._job(family)) is not None]
        return jobs

    def leave_out(self, file: SourceFile) -> None:
        """It cannot be parsed."""
        self._left_out.add((file.project, file.path))

    def came_to(self, jobs: Sequence[Job], fresh: int) -> None:
        """A round gave so many new moments: where a whole turn gives none, a family is done with."""
        for family in {family_of(job.file.language) for job in jobs}:
            self._came[family] += fresh

    def _need(self, family: str) -> int:
        if self._turn[family] >= MAX_TURNS or not self._files[family]:
            return 0
        return sum(max(0, left) for (of, _), left in self._quotas.items() if of == family)

    def _job(self, family: str) -> Job | None:
        files = self._files[family]
        for _ in range(len(files)):
            if self._at[family] == len(files):
                self._at[family] = 0
                self._turn[family] = MAX_TURNS if not self._came[family] else self._turn[family] + 1
                self._came[family] = 0
                if self._turn[family] >= MAX_TURNS:
                    return None
            file = files[self._at[family]]
            self._at[family] += 1
            if (file.project, file.path) not in self._left_out:
                return self._job_of(family, file)
        return None

    def _job_of(self, family: str, file: SourceFile) -> Job | None:
        left = {task: count for (of, task), count in self._quotas.items() if of == family and count > 0}
        if not left:
            return None
        turn = self._turn[family]
        random = Random(f"{self._settings.seed} {turn} {file.project} {file.path}")
        most = min(MAX_SLOTS, 1 + file.text.count("\n") // LINES_PER_SLOT)
        slots = max(1, min(most, 1 + round(1.5 * sum(left.values()) / len(self._files[family]))))
        tasks = tuple(random.choices(list(left), list(left.values()), k=slots))
        return Job(file, self._siblings.of(file, random), tasks, self._settings.seed, turn)


class _Siblings:
    """Files that one imports from, or beside which it stands: the others of its project that may be open, too."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self._by_stem: defaultdict[tuple[str, str, str], list[SourceFile]] = defaultdict(list)
        self._by_folder: defaultdict[tuple[str, str, str], list[SourceFile]] = defaultdict(list)
        for file in sorted(files, key=lambda file: (file.project, file.path)):
            folder, _, name = file.path.rpartition("/")
            family = family_of(file.language)
            self._by_stem[file.project, family, name.partition(".")[0]].append(file)
            self._by_folder[file.project, family, folder].append(file)

    def of(self, file: SourceFile, random: Random) -> tuple[SourceFile, ...]:
        """At most `MAX_SIBLINGS`, of the same language."""
        family = family_of(file.language)
        stems = {word for line in _IMPORT_LINE.findall(file.text) for word in _WORD.findall(line)}
        found = [
            other
            for stem in sorted(stems)
            for other in self._by_stem.get((file.project, family, stem), ())
            if other is not file and other.language == file.language
        ]
        if not found:
            beside = self._by_folder[file.project, family, file.path.rpartition("/")[0]]
            found = [other for other in beside if other is not file and other.language == file.language]
        return tuple(random.sample(found, min(MAX_SIBLINGS, len(found))))


def _names_of(files: Sequence[SourceFile]) -> Names:
    by_family: defaultdict[str, list[SourceFile]] = defaultdict(list)
    for file in sorted(files, key=lambda file: (file.project, file.path)):
        by_family[family_of(file.language)].append(file)
    found = {
        family: names_of([file.text for file in Random(family).sample(of, min(FILES_FOR_NAMES, len(of)))])
        for family, of in by_family.items()
    }
    return Names({key: names for key, (names, _) in found.items()}, {key: types for key, (_, types) in found.items()})


Run = Callable[[Sequence[Job]], Iterable[JobDone]]


@contextmanager
def _workers(count: int, names: Names) -> Iterator[Run]:
    """Whoever works on jobs: this process, or several others that end with it."""
    if count <= 1:
        yield lambda jobs: (work(job, names) for job in jobs)
        return
    with worker_processes(count, _begin, (names,), preload=__name__) as executor:

        def run(jobs: Sequence[Job]) -> Iterator[JobDone]:
            try:
                yield from executor.map(_work, jobs)
            except BrokenProcessPool as error:
                raise StageBroken(
                    "a process that makes moments was killed, perhaps for lack of memory; run it with fewer --workers"
                ) from error

        yield run


def _begin(names: Names, stop: Connection) -> None:
    """Called once in each process."""
    global _names  # noqa: PLW0603 (a pool gives its initializer and its functions nothing else in common)
    _names = names
    end_when_told(stop)


def _work(job: Job) -> JobDone:
    if _names is None:
        raise RuntimeError("_begin() comes first")
    return work(job, _names)
