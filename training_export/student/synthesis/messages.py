"""What language servers say of a mistake, in our own words for the kinds that they report most.

Knows nothing of files; ``{name}`` and the like are filled in by who reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_PYTHON: Final = {
    "undefined": ('"{name}" is not defined', "Undefined name `{name}`"),
    "attribute": ('Cannot access attribute "{name}" for class "{owner}*": attribute is unknown',),
    "unused": ('Variable "{name}" is not accessed', "Local variable `{name}` is assigned to but never used"),
    "unused_import": ('Import "{name}" is not accessed', "`{name}` imported but unused"),
    "too_many": ("Expected {count} positional arguments",),
    "await": ('Result of async call is not used; use "await"', '"{name}" is a coroutine that is never awaited'),
    "unclosed": ('"{opened}" was not closed', "Expected `{closed}`"),
    "missing": ('Expected "{missing}"',),
}
_JAVASCRIPT: Final = {
    "undefined": ("Cannot find name '{name}'.", "'{name}' is not defined."),
    "attribute": ("Property '{name}' does not exist on type '{owner}'.",),
    "unused": ("'{name}' is declared but its value is never read.",),
    "unused_import": ("'{name}' is declared but its value is never read.",),
    "too_many": ("Expected {count} arguments, but got {given}.",),
    "await": ("'await' has no effect here, or a Promise is used without it.", "Promise of '{name}' is not awaited."),
    "constant": ("Cannot assign to '{name}' because it is a constant.",),
    "unclosed": ("'{closed}' expected.",),
    "missing": ("'{missing}' expected.",),
}
_GO: Final = {
    "undefined": ("undefined: {name}",),
    "attribute": ("{name} undefined: type {owner} has no such field or method",),
    "unused": ("declared and not used: {name}",),
    "unused_import": ('"{name}" imported and not used',),
    "too_many": ("too many arguments in call to {name}",),
    "unclosed": ("syntax error: unexpected newline, expected {closed}",),
    "missing": ("syntax error: expected {missing}",),
}
_RUST: Final = {
    "undefined": ("cannot find value `{name}` in this scope",),
    "attribute": ("no field or method `{name}` on type `{owner}`",),
    "unused": ("unused variable: `{name}`",),
    "unused_import": ("unused import: `{name}`",),
    "too_many": ("this function takes {count} arguments but {given} were supplied",),
    "await": ("expected a value, found a future: consider `.await`", "unused future of `{name}` that must be awaited"),
    "constant": ("cannot assign to or borrow `{name}` as mutable: it is not declared as mutable",),
    "unclosed": ("this file contains an unclosed delimiter", "expected `{closed}`"),
    "missing": ("Syntax Error: expected `{missing}`",),
}
MESSAGES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "javascriptreact": _JAVASCRIPT,
    "typescript": _JAVASCRIPT,
    "typescriptreact": _JAVASCRIPT,
    "tsx": _JAVASCRIPT,
    "go": _GO,
    "rust": _RUST,
}
