"""Planted secrets are found, ordinary source is not, nothing reaches a disk or a network, and time is limited."""

import os
import random
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.gate import provider_keys
from capture.gate.provider_keys import CANARY, Line, ProviderKeys, ScannerBroken
from capture.gate.redaction import (
    BUDGET_SECONDS,
    CHARACTERS_PER_SECOND,
    MAX_VERDICTS,
    MIN_REPEATED_CHARACTERS,
    SecretScanner,
    Verdict,
)

SEEDS_PER_KIND = int(os.environ.get("SECRETS_PER_KIND", "10"))
LIBRARY_FILES = int(os.environ.get("LIBRARY_FILES", "300"))  # of the standard library; 0 for all of them
MIN_RECALL, MAX_FALSE_ALARMS = 0.95, 0.001
UNLIMITED_SECONDS = 3600.0
# Its tests hold keys and passwords on purpose; what is installed beside the library is not of it.
NOT_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "_bundled", "__pycache__"}


class Clock:
    """Processor time that passes only when told to, or by ``step`` with each look."""

    def __init__(self, step=0.0):
        self.now = 0.0
        self.step = step

    def __call__(self):
        self.now += self.step
        return self.now


@pytest.fixture(scope="module")
def unlimited():
    return SecretScanner(budget_seconds=UNLIMITED_SECONDS)


def one(text):
    return {"": text}


# --- what is found ---


def test_planted_secrets_are_found_and_the_kinds_that_are_missed_are_printed(unlimited, planted_secrets, capsys):
    assert len(planted_secrets.KINDS) >= 30
    missed = {}
    for kind in planted_secrets.KINDS:
        lost = [
            seed
            for seed in range(SEEDS_PER_KIND)
            if unlimited.verdict(one(planted_secrets.planted(kind, seed))).is_clean
        ]
        if lost:
            missed[kind] = len(lost)
    total = SEEDS_PER_KIND * len(planted_secrets.KINDS)
    recall = 1 - sum(missed.values()) / total
    with capsys.disabled():
        print(f"\nplanted secrets: {total} of {len(planted_secrets.KINDS)} kinds, recall {recall:.2%}, missed {missed}")
    assert recall >= MIN_RECALL


def test_what_surrounds_the_planted_secrets_is_clean(unlimited, planted_secrets):
    assert unlimited.verdict(one(planted_secrets.BEFORE + planted_secrets.AFTER)) == Verdict()


def library_files():
    top = Path(sysconfig.get_path("stdlib"))
    found = sorted(path for path in top.rglob("*.py") if not NOT_LIBRARY & set(path.relative_to(top).parts))
    return random.Random(1).sample(found, LIBRARY_FILES) if 0 < LIBRARY_FILES < len(found) else found


def test_the_standard_library_raises_hardly_any_alarm(unlimited, capsys):
    files = library_files()
    alarms = []
    for path in files:
        verdict = unlimited.verdict(one(path.read_bytes().decode("utf-8", "replace")))
        if not verdict.is_clean:
            alarms.append((path.name, verdict.found))
    with capsys.disabled():
        print(f"\nfalse alarms: {len(alarms)} of {len(files)} files of the standard library {alarms or ''}")
    assert len(alarms) <= MAX_FALSE_ALARMS * len(files)


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['PASSWORD']",
        'password = getpass.getpass("Password: ")',
        'parser.add_argument("--password", default="changeme")',
        'token = "your-token-here-0000"',
        "secret = <YOUR_SECRET_1>",
        'api_key = "${API_KEY_2}"',
        "postgresql://user:password@localhost/db",
        "postgresql://{user}:{password}@{host}/db",
        'sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
        '"integrity": "sha512-Kx8Jv2vU0Tq7h5o9y0mJ0m5t0Yy6zv9b0oH1w2q3E4r5T6y7U8i9O0pAsDfGhJkLzXcVbNmQ=="',
        'NAMESPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")',
        "def test_that_a_very_long_name_2_of_a_function_is_no_secret():",
        "class AbstractSingletonProxyFactoryBeanV2Configuration:",
        'ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"',
        "https://github.com/example/project/blob/main/src/index.js",
        "commit 83db48f9a1bb6d3e2c4f5a6b7c8d9e0f1a2b3c4d",
        "tokens_per_second = prompt_tokens / elapsed_seconds_2",
        'key = "x86_64-unknown-linux-gnu"',
    ],
)
def test_what_only_looks_like_a_secret_is_none(unlimited, text):
    assert unlimited.verdict(one(text)) == Verdict()


def test_a_line_that_its_repository_allows_counts_all_the_same(unlimited):
    text = 'key = "AKIA' + "Z7QX2M4KD9RT5WPL" + '"  # pragma: allowlist secret'
    assert not unlimited.verdict(one(text)).is_clean


def test_a_secret_is_found_wherever_it_stands_in_a_very_long_line(unlimited):
    key = "ghp_" + "x7Kd92LmQpZt4RvB8nWc3YhJ6sGf1AaTeUiO"
    for place in (0, 950, 5000, 19_990):
        line = "a=b;" * (place // 4) + f' "{key}" ' + "c=d;" * 5000
        assert not unlimited.verdict(one(line)).is_clean, place


def test_texts_of_any_language_and_with_broken_characters_are_looked_at(unlimited):
    assert not unlimited.verdict(one('passwort_ä = 1\npassword = "pä1sswört\ud800x"\n')).is_clean
    assert unlimited.verdict(one("grüße = '\U0001f600 \ud800'\r\n")) == Verdict()


def test_every_part_is_looked_at_and_all_kinds_are_named_in_order(unlimited):
    parts = {"a": "x = 1", "b": "postgres://app:k3Xw9Qz@db/x", "c": 'password = "Tr0ub4dor&3x"'}
    assert unlimited.verdict(parts) == Verdict(("assigned secret", "password in an address"))
    assert unlimited.verdict({}) == Verdict()


# --- time ---


def test_what_could_not_be_looked_at_in_time_is_not_clean():
    clock = Clock()
    scanner = SecretScanner(processor_seconds=clock)
    assert scanner.verdict({"a": "x = 1", "b": "y = 1"}) == Verdict()
    clock.step = 0.015
    assert scanner.verdict({"c": "z = 1", "d": "w = 1"}) == Verdict(exceeded=True)
    clock.step = 0.0
    assert scanner.verdict({"c": "z = 1", "d": "w = 1"}) == Verdict()


def test_the_search_in_one_long_text_is_given_up_too():
    scanner = SecretScanner(processor_seconds=Clock(step=0.001))
    many = "\n".join(f"name_of_something_{number} = 1" for number in range(1000))
    assert scanner.verdict(one(many)) == Verdict(exceeded=True)


def test_a_text_that_is_too_long_for_the_time_is_not_begun():
    scanner = SecretScanner(processor_seconds=Clock())
    longest = int(BUDGET_SECONDS * CHARACTERS_PER_SECOND)
    assert scanner.verdict(one("x" * longest)) == Verdict()
    assert scanner.verdict(one("x" * (longest + 1))) == Verdict(exceeded=True)
    assert scanner.redacted(one("x" * (longest + 1)))[1] == Verdict(exceeded=True)


def test_a_known_text_takes_no_time():
    clock = Clock()
    scanner = SecretScanner(processor_seconds=clock)
    clean, found = "x = 1", 'password = "Tr0ub4dor&3x"'
    before = scanner.verdict({"a": clean}), scanner.verdict({"a": found})
    clock.step = 1.0
    assert (scanner.verdict({"b": clean}), scanner.verdict({"b": found})) == before


def test_only_so_many_verdicts_are_kept():
    scanner = SecretScanner(budget_seconds=UNLIMITED_SECONDS)
    for number in range(MAX_VERDICTS + 10):
        scanner.verdict(one(f"x = {number}"))
    assert len(scanner._known) == MAX_VERDICTS


# --- redaction ---


def test_what_is_redacted_holds_no_secret_any_more_and_keeps_its_form(unlimited, planted_secrets):
    for kind in planted_secrets.KINDS:
        for seed in range(3):
            text = planted_secrets.planted(kind, seed)
            if unlimited.verdict(one(text)).is_clean:
                continue
            parts, verdict = unlimited.redacted(one(text))
            masked = parts[""]
            assert verdict == Verdict(), (kind, masked)
            assert len(masked) == len(text)
            for before, after in zip(text, masked, strict=True):
                assert after == before or (after == "*" and before.isalnum())


def test_a_secret_found_in_one_part_is_masked_in_all(unlimited):
    parts = {"a": 'password = "Tr0ub4dor&3x"', "b": 'log("Tr0ub4dor&3x")'}
    masked, verdict = unlimited.redacted(parts)
    assert masked == {
        "a": 'password = "*********&**"'.replace("*********&**", "*********&**"),
        "b": 'log("*********&**")',
    }
    assert verdict == Verdict()


def test_what_was_typed_of_a_secret_so_far_is_masked_with_it(unlimited):
    secret = "Tr0ub4dor&3x"
    parts = {str(length): f"-x\n+y {secret[:length]}" for length in range(MIN_REPEATED_CHARACTERS, len(secret))}
    masked, verdict = unlimited.redacted({"settled": f'password = "{secret}"', **parts})
    assert masked["settled"] == 'password = "*********&**"'
    assert {place: masked[place] for place in parts} == {
        length: f"-x\n+y {'*********&**'[: int(length)]}" for length in parts
    }
    assert verdict == Verdict()


def test_without_a_secret_nothing_is_changed(unlimited):
    assert unlimited.redacted({"a": "x = 1\r\n", "b": ""}) == ({"a": "x = 1\r\n", "b": ""}, Verdict())


def test_redaction_that_takes_too_long_is_not_clean():
    scanner = SecretScanner(processor_seconds=Clock(step=0.015))
    assert scanner.redacted({"a": "x = 1", "b": "y = 1"})[1] == Verdict(exceeded=True)


@given(st.text(max_size=400))
def test_any_text_can_be_looked_at_and_redacted(unlimited, text):
    masked, _ = unlimited.redacted(one(text))
    assert len(masked[""]) == len(text)
    assert unlimited.verdict(one(text)).exceeded is False


# --- detect-secrets ---


def test_both_ways_to_ask_detect_secrets_find_the_same(planted_secrets):
    ProviderKeys()
    for kind in planted_secrets.KINDS:
        lines = [CANARY, *planted_secrets.planted(kind, 0).splitlines()]
        assert sorted(provider_keys.search_file(lines)) == sorted(provider_keys.search_lines(lines)), kind


def test_where_no_file_in_memory_is_to_be_had_lines_are_searched_and_nothing_is_written(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    key = "AKIA" + "Z7QX2M4KD9RT5WPL"
    assert [found.start for found in ProviderKeys().findings([Line(7, key)])] == [7]


def test_a_scanner_that_finds_nothing_in_silence_is_known_by_it(monkeypatch):
    keys = ProviderKeys()
    monkeypatch.setattr(keys, "_search", lambda _lines: [])
    with pytest.raises(ScannerBroken):
        keys.findings([Line(0, "x")])


def test_neither_a_file_nor_a_connection_is_opened(planted_secrets, tmp_path):
    """Every file and socket that a process opens while it searches, seen by Python's own audit."""
    texts = tmp_path / "texts"
    texts.write_text("\0".join(planted_secrets.planted(kind, 0) for kind in planted_secrets.KINDS))
    script = (
        "import sys\n"
        "from capture.gate.redaction import SecretScanner\n"
        "texts = open(sys.argv[1]).read().split('\\0')\n"
        "scanner = SecretScanner(budget_seconds=3600)\n"
        "seen = []\n"
        "def look(event, arguments):\n"
        "    if event in ('open', 'socket.connect', 'socket.getaddrinfo', 'subprocess.Popen'):\n"
        "        is_memory = isinstance(arguments[0], int) or str(arguments[0]).startswith('/proc/self/fd/')\n"
        "        if not is_memory:\n"
        "            seen.append((event, arguments[0]))\n"
        "sys.addaudithook(look)\n"
        "found = [scanner.verdict({'': text}).is_clean for text in texts]\n"
        "masked = [scanner.redacted({'': text}) for text in texts]\n"
        "print(found.count(False), *seen, sep='\\n')\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, texts], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    found, *seen = answer.stdout.splitlines()
    assert int(found) > 30
    assert seen == []
    assert answer.stderr == ""
