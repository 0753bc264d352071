"""Errors of the engine.

EngineError
├── ModelRefused      the file is no model we can run; the message names the reason and the cure
├── WorkerDied        the worker process ended while it owed an answer
├── StillLoading      the model was not loaded within the prediction's deadline; loading goes on
└── DeadlineExceeded  the worker did not answer in time and was ended
"""

from __future__ import annotations


class EngineError(Exception):
    """Something the engine could not do; the message is fit for status and doctor."""


class ModelRefused(EngineError):
    """The file is no model we can run."""


class WorkerDied(EngineError):
    """The worker process ended while it owed an answer."""


class StillLoading(EngineError):
    """The model was not loaded within the prediction's deadline; loading goes on."""


class DeadlineExceeded(EngineError):
    """The worker did not answer in time and was ended."""
