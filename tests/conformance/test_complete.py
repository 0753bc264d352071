"""No recorded vector is lost: the files hold what their README counts, and every function is replayed."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COUNTED = dict(
    re.findall(r"^\| `(\w+\.jsonl)` \| (\d+) \|", (HERE / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
)


def vectors(file_name):
    lines = (HERE / file_name).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


@pytest.mark.parametrize("file_name", sorted(COUNTED))
def test_a_file_holds_as_many_vectors_as_its_readme_says(file_name):
    assert len(vectors(file_name)) == int(COUNTED[file_name])
    assert len({vector["id"] for vector in vectors(file_name)}) == int(COUNTED[file_name])


@pytest.mark.parametrize("file_name", sorted(COUNTED))
def test_every_function_of_a_file_is_replayed(file_name):
    path = HERE / f"test_{file_name.removesuffix('.jsonl')}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert {vector["function"] for vector in vectors(file_name)} <= set(module.FUNCTIONS)


def test_the_readme_counts_every_file():
    assert {path.name for path in HERE.glob("*.jsonl")} == set(COUNTED)
