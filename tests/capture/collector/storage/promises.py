"""What a storing child was promised before it was killed, and whether that holds."""

from __future__ import annotations

import json
import subprocess


class Promises:
    """What the children were told, and what they had asked for when they died."""

    def __init__(self):
        self.accepted, self.deleting, self.deleted = set(), set(), set()

    def hear(self, lines):
        for line in lines:
            if line.endswith(b"\n"):  # the last may be cut off
                said = json.loads(line)
                self.accepted.update(said.get("accepted", ()))
                self.deleting.update(said.get("deleting", ()))
                self.deleted.update(said.get("deleted", ()))

    def check(self, contents, samples):
        there = {json.loads(content)["id"]: content for content in contents}
        assert there.keys() >= self.accepted - self.deleting
        assert not there.keys() & self.deleted
        for snapshot_id, content in there.items():
            assert content == samples.arrival_of(int(snapshot_id, 16)).content


def lines_before_kill(process, moment, numbers):
    """All that it said; it is killed after ``moment`` lines, or by the clock."""
    if moment is None:
        try:
            process.wait(numbers.uniform(0.05, 0.8))
        except subprocess.TimeoutExpired:
            process.kill()
        lines = []
    else:
        lines = [process.stdout.readline() for _ in range(moment)]
        assert lines[0], process.stderr.read().decode()
        process.kill()
    lines += process.stdout.readlines()
    process.wait()
    assert process.stderr.read() == b""
    return lines
