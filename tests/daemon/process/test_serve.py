"""``foretype serve`` as a person runs it: a real hub, a real model, and Zed's own prompts."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import httpx2
import pytest

from daemon.prompts.raw_prompt import shown_region

CONFORMANCE = Path(__file__).parents[2] / "conformance"


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def served(world, port):
    """``served(prompt, **more)``: the reply to a request as Zed sends it."""
    made = world.foretype("serve", "--port", port, "--json")
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)["http"]
    token_file = Path(told["token_file"])
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600

    def ask(prompt, **more):
        return httpx2.post(
            told["url"],
            json={"model": "foretype", "prompt": prompt, "max_tokens": 256, "stop": [], **more},
            headers={"Authorization": f"Bearer {token_file.read_text().strip()}"},
            timeout=20,
        )

    return ask


def zeds_prompts(name, count):
    """Prompts that Zed's own code rendered."""
    found = []
    for line in (CONFORMANCE / "prompt.jsonl").read_text().splitlines():
        vector = json.loads(line)
        output = vector["output"]
        if vector["function"] == "format_prompt" and vector["input"]["format"] == name and output.get("prompt"):
            found.append(output["prompt"])
    assert len(found) >= count
    return sorted(found, key=len)[-count:]


def test_zeds_own_prompts_never_lose_the_rest_of_their_region(served):
    """The embedded model knows nothing of Zed's format and seldom ends: then nothing must change."""
    unchanged = 0
    for prompt in zeds_prompts("V0211SeedCoder", 4):
        answer = served(prompt, max_tokens=24)
        region = shown_region(prompt)
        if answer.status_code == 503:
            assert region.no_edit is None
            continue
        choice = answer.json()["choices"][0]
        if choice["finish_reason"] == "length":
            assert choice["text"] == region.no_edit
            unchanged += 1
    assert unchanged


def test_a_prompt_asked_again_is_read_from_the_cache(served, world):
    prompt = "<fim_prefix>def total(items):\n    return <fim_suffix>\n<fim_middle>" + "# note\n" * 40
    first = served(prompt, max_tokens=4).json()
    before = world.status()["predictions"]["work"]
    assert served(prompt, max_tokens=4).json()["choices"] == first["choices"]
    after = world.status()["predictions"]["work"]
    assert first["usage"]["prompt_tokens"] > 60
    key = "tokens_evaluated"
    assert after[key] - before[key] < first["usage"]["prompt_tokens"] / 4


def test_serving_keeps_the_hub_and_ends_when_told(served, world, port):
    assert served("a").status_code == 200
    assert f"127.0.0.1:{port}" in world.foretype("status").stdout
    world.write_settings(world.settings_path.read_text() + "exit_after_seconds = 0\n")
    assert served("a").status_code == 200
    assert "off" in world.foretype("serve", "--off").stdout


def test_a_port_that_is_taken_is_named_with_the_cure(world):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made = world.foretype("serve", "--port", str(taken.getsockname()[1]))
    assert made.returncode == 1
    assert "choose another `http_port`" in made.stderr
