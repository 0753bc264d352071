"""Options that several commands share, written once: a dataclass of options in the place of many parameters.

A command that takes ``run: Running`` is, on the command line, one that takes each field of `Running`. Knows nothing of
what options mean.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints


def flattened(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each parameter that is a dataclass replaced by its fields, which all need a default.

    typer reads a function's signature, so the signature is what is made here.
    """
    signature = inspect.signature(command, eval_str=True)
    bundles: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if is_dataclass(parameter.annotation)
    }
    flat: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        flat += _parameters(bundles[name]) if name in bundles else [parameter]

    @functools.wraps(command)
    def called(**given: Any) -> None:
        for name, bundle in bundles.items():
            given[name] = bundle(**{field.name: given.pop(field.name) for field in fields(bundle)})
        command(**given)

    called.__signature__ = signature.replace(  # type: ignore[attr-defined]  # what inspect looks for
        parameters=[parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in flat]
    )
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return called


def _parameters(bundle: type) -> list[inspect.Parameter]:
    hints = get_type_hints(bundle, include_extras=True)
    found = []
    for field in fields(bundle):
        if field.default is MISSING:
            raise TypeError(f"{bundle.__name__}.{field.name} needs a default: an option may be left out")
        found.append(
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
        )
    return found
