"""The shape of the house, read from the source: which way imports go, and which room may use what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("capture", "daemon", "training_export")
# A package may import those before it, and itself.
ORDER = {name: PACKAGES[: index + 1] for index, name in enumerate(PACKAGES)}
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAX_LINES = 500

# Foreign import -> the places that may hold it (a prefix of the path from the root).
ONLY_IN = {
    "sqlite3": ("capture/store/sqlite.py",),
    "grpc": ("capture/wire/", "capture/upload/", "capture/collector/"),
    "keyring": ("capture/upload/",),
    "psycopg": ("capture/collector/",),
    "psycopg_pool": ("capture/collector/",),
    "fsspec": ("capture/collector/",),
    "limits": ("capture/collector/",),
    "grpc_health": ("capture/collector/",),
    "prometheus_client": ("capture/collector/",),
    "llama_cpp": ("daemon/engine/", "training_export/student/"),
    "pygls": ("daemon/lsp/",),
    "starlette": ("daemon/http/", "daemon/hub.py"),
    "uvicorn": ("daemon/http/",),
    "torch": ("training_export/student/",),
    "anthropic": ("training_export/teachers/anthropic_service.py", "training_export/teachers/stand_in/"),
    "openai": ("training_export/teachers/openai_service.py", "training_export/teachers/stand_in/"),
    "pydantic": ("training_export/teachers/",),
    "tenacity": ("training_export/teachers/", "training_export/student/sources/"),
    "datasketch": ("training_export/selecting/",),
    "ray": ("training_export/running/",),
}
# Inside daemon/engine only what runs in the worker process may load llama.cpp.
HUB_SIDE_OF_THE_ENGINE = ("api.py", "client.py", "errors.py", "messages.py", "process.py", "restarts.py", "ways.py")


def imports_of(path: Path) -> Iterator[str]:
    """The dotted names a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute, so that one reads where a name comes from"
            yield node.module or ""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    roots = {name.split(".")[0] for name in imports_of(path)}
    assert roots & {*PACKAGES, "bench", "tests"} <= set(ORDER[package])


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_foreign_libraries_stay_in_their_room(path: Path) -> None:
    for name in imports_of(path):
        allowed = ONLY_IN.get(name.split(".")[0])
        assert allowed is None or relative(path).startswith(allowed), f"{name} belongs into {allowed}"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_parse_is_bounded(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "tree_sitter"
        for alias in node.names
    }
    assert "Parser" not in names or relative(path) == "capture/parsing.py", (
        "a few bytes keep some grammars busy for ever"
    )


@pytest.mark.parametrize("name", HUB_SIDE_OF_THE_ENGINE)
def test_the_hub_never_loads_llama_cpp(name: str) -> None:
    roots = {imported.split(".")[0] for imported in imports_of(ROOT / "daemon" / "engine" / name)}
    assert not roots & {"llama_cpp", "numpy"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_module_says_what_it_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module opens with what it does and what it knows nothing about"
    assert text.count("\n") <= MAX_LINES, f"over {MAX_LINES} lines: find the seam"


@pytest.mark.parametrize("room", ["editing", "metrics"])
def test_rooms_of_pure_functions_do_no_input_or_output(room: str) -> None:
    forbidden = {"os", "pathlib", "socket", "asyncio", "subprocess", "time", "logging"}
    for path in (ROOT / "capture" / room).rglob("*.py"):
        found = {name.split(".")[0] for name in imports_of(path)} & forbidden
        assert not found, f"{relative(path)} imports {found}"
