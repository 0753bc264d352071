"""Errors of the pipeline; each message names the cause and the cure and is printed without a traceback.

ForetypeError
├── ExampleRejected      one example that would not survive, or would poison training; field and reason
├── ExamplesUnreadable   a whole file that cannot be read (exit code 2)
├── ExamplesUnwritable   a file that cannot be written; nothing of it was
├── OutputRefused        an output that may not be replaced, or that another run is writing (exit code 2)
├── StoppedAtBadLine     the first line that is no example, where --strict was asked for
├── StageBroken          the stage, or a process it ran in, broke; what was finished is kept
├── RunInterrupted       Ctrl-C or a request to end; what was finished is kept (exit code 130)
├── RepositoryUnreadable a repository, or a commit in it, that git does not hand out (exit code 2)
├── ArchiveRefused       an archive that is none, or is larger than what is read (exit code 2)
├── TeacherRefused       a service that answers nobody: no key, no such model, no money
├── BudgetReached        the next answer could cost more than is left of --budget
├── AnswersUnusable      the cache of teachers' answers cannot be used
├── AnswersUnderway      answers will come in a batch; to be called again (exit code 75)
├── RecipeRefused        a recipe that cannot be run as it stands (exit code 2)
├── ModelUnusable        a model of ours that cannot be loaded, or whose process keeps dying
├── ConversionRefused    a network or a tokenizer that llama.cpp would run otherwise than it was trained (exit code 2)
├── ModelUnwritable      a model's file that cannot be written; nothing of it was
├── TrainingRefused      a training whose data, tokenizer, model or checkpoint do not fit each other (exit code 2)
├── TrainingDiverged     a loss that is no number; the last good checkpoint is kept
├── RunUnwritable        a file of a training run that cannot be written; the last good checkpoint is kept
├── SourcesRefused       source code that cannot be learnt from: no folder, nothing usable (exit code 2)
├── SourcesUnavailable   an archive of the corpus that cannot be fetched, or is not the one that is named
├── ExtraMissing         a library that is installed with an extra of ours only (exit code 2)
├── NothingToEvaluate    no prediction that can be scored, or two runs without an example in common
└── InputsChanged        the inputs were changed while they were read
"""

from __future__ import annotations

from daemon.errors import ForetypeError


class ExampleRejected(ForetypeError):
    """One example cannot be taken. ``field`` is its path (``predictions[0].provider``), empty for the whole."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}" if field else reason)


class ExamplesUnreadable(ForetypeError):
    """The file is not there, is of no known kind, or the system refuses it."""

    exit_code = 2


class ExamplesUnwritable(ForetypeError):
    """The system refuses the file; what was there before is still there."""


class OutputRefused(ForetypeError):
    """The output may not be replaced, or another run is writing it; nothing was done."""

    exit_code = 2


class StoppedAtBadLine(ForetypeError):
    """A line is no example, and the run was asked to stop at the first; the output is as it was."""


class StageBroken(ForetypeError):
    """The stage, or a process it ran in, broke; what was finished is kept for the next run."""


class RunInterrupted(ForetypeError):
    """Somebody asked the run to end; what was finished is kept for the next run."""

    exit_code = 130


class RepositoryUnreadable(ForetypeError):
    """Git does not hand out the repository, or a commit in it; the message has what git said."""

    exit_code = 2


class ArchiveRefused(ForetypeError):
    """An archive that is none, or is larger unpacked than what is read."""

    exit_code = 2


class TeacherRefused(ForetypeError):
    """The service will answer no request at all as it is asked: no key, no such model, no money."""


class BudgetReached(ForetypeError):
    """The next answer could cost more than what is left."""


class AnswersUnusable(ForetypeError):
    """The file with the teachers' answers cannot be used."""


class RecipeRefused(ForetypeError):
    """A recipe that cannot be run as it stands; the message names the file and the step."""

    exit_code = 2


class SourcesRefused(ForetypeError):
    """Source code that cannot be learnt from as it was named: no such folder, nothing usable, a wrong manifest."""

    exit_code = 2


class SourcesUnavailable(ForetypeError):
    """An archive of the corpus cannot be fetched, or is not the one that is named; what was fetched is kept."""


class ExtraMissing(ForetypeError):
    """What was asked for needs a library that is not there; ``extra`` is what brings it."""

    exit_code = 2

    def __init__(self, purpose: str, library: str, extra: str) -> None:
        super().__init__(f"{purpose} needs {library}, which is not installed; run: pip install 'foretype[{extra}]'")


class ModelUnusable(ForetypeError):
    """The model cannot be loaded, or the process that runs it keeps dying."""


class ConversionRefused(ForetypeError):
    """llama.cpp would run this network or tokenizer otherwise than it was trained, or not at all."""

    exit_code = 2


class ModelUnwritable(ForetypeError):
    """The system refuses a model's file; what was there before is still there."""


class TrainingRefused(ForetypeError):
    """The training cannot begin as it was asked for: data, tokenizer, model or checkpoint do not fit each other."""

    exit_code = 2


class TrainingDiverged(ForetypeError):
    """The loss is no number any more; the last good checkpoint is kept."""


class RunUnwritable(ForetypeError):
    """The system refuses a file of a training run; what was finished before is kept."""


class NothingToEvaluate(ForetypeError):
    """No prediction can be scored, or two runs have no example in common."""


class InputsChanged(ForetypeError):
    """A file that is read twice held something else the second time."""

    def __init__(self) -> None:
        super().__init__("the inputs changed while they were read; run it again once nothing writes to them")


class AnswersUnderway(ForetypeError):
    """The service has the questions and takes its time; the same command goes on later."""

    exit_code = 75  # sysexits.h: temporary failure
