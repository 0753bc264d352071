"""The stubs that are checked in are those that the protocol generates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
GENERATED = ("snapshots_pb2.py", "snapshots_pb2.pyi", "snapshots_pb2_grpc.py")


def test_generated_anew_the_stubs_are_the_same_byte_by_byte(tmp_path):
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Icapture/wire=proto", *outputs]
    subprocess.run([*command, "capture/wire/snapshots.proto"], cwd=REPOSITORY, check=True)
    made = tmp_path / "capture" / "wire"
    assert {path.name for path in made.iterdir()} == set(GENERATED)
    for name in GENERATED:
        assert (made / name).read_bytes() == (REPOSITORY / "capture" / "wire" / name).read_bytes(), f"{name} is stale"
