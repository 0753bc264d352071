"""Files of examples become arrays: in order, whoever computes them, and whatever interrupted it before."""

from __future__ import annotations

import pytest

tokenizers = pytest.importorskip("tokenizers", reason="make test-train installs tokenizers")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from training_export.errors import TrainingRefused  # noqa: E402
from training_export.student.training import preparing  # noqa: E402
from training_export.student.training.arrays import ArraySet, ArrayWriter  # noqa: E402
from training_export.student.training.encoding import Encoded  # noqa: E402
from training_export.student.training.preparing import Encoding, make_tokenizer, prepare  # noqa: E402
from training_export.student.training.recipe import read_recipe  # noqa: E402

pytestmark = pytest.mark.train

ENCODED = st.builds(
    Encoded,
    task=st.sampled_from(["rename", "quiet", "repeat"]),
    tokens=st.lists(st.integers(0, 2**17), min_size=2, max_size=9),
    targets=st.just([]),
    roles=st.just([]),
    answer_start=st.just(1),
    rejected=st.lists(st.integers(0, 2**17), max_size=4),
    file=st.integers(0, 2**64 - 1),
    defeats_rule=st.booleans(),
)


@pytest.fixture
def encoding(tmp_path, write_examples, write_recipe):
    source = write_examples(tmp_path / "for_tokenizer.jsonl", range(30))
    make_tokenizer([source], read_recipe(write_recipe(tmp_path)), tmp_path / "tokenizer.json", seed=7)
    return Encoding("line_edits", tmp_path / "tokenizer.json", 700)


def content(examples: ArraySet):
    rows = [examples[index] for index in range(len(examples))]
    return [(row.tokens.tolist(), row.targets.tolist(), row.roles.tolist(), row.task, row.answer_start) for row in rows]


def complete(encoded: Encoded) -> Encoded:
    size = len(encoded.tokens)
    return Encoded(
        encoded.task, encoded.tokens, encoded.tokens[::-1], [index % 8 for index in range(size)], 1,
        encoded.rejected, encoded.file, encoded.defeats_rule,
    )  # fmt: skip


@given(st.lists(ENCODED.map(complete), min_size=1, max_size=12), st.data())
def test_what_is_written_is_read_even_where_the_writer_was_killed_between(tmp_path_factory, examples, data):
    folder = tmp_path_factory.mktemp("arrays")
    committed = data.draw(st.integers(0, len(examples)))
    lost = data.draw(st.integers(committed, len(examples)))
    with ArrayWriter(folder, "key") as writer:
        for number, encoded in enumerate(examples[:lost]):
            if number == committed:
                writer.commit(committed)
            writer.add(encoded)
        if committed == lost:
            writer.commit(committed)
    with ArrayWriter(folder, "key") as writer:
        assert (writer.lines_done, len(writer)) == (committed, committed)
        for encoded in examples[committed:]:
            writer.add(encoded)
        writer.commit(len(examples), is_finished=True)
    found = ArraySet(folder)
    assert len(found) == len(examples)
    for index, encoded in enumerate(examples):
        row = found[index]
        assert (row.tokens.tolist(), row.targets.tolist()) == (encoded.tokens, encoded.targets)
        assert (row.roles.tolist(), row.rejected.tolist()) == (encoded.roles, encoded.rejected)
        assert (row.task, int(found.rows["file"][index])) == (encoded.task, encoded.file)
        assert bool(found.rows["defeats_rule"][index]) == encoded.defeats_rule


def test_several_processes_come_to_what_one_comes_to(tmp_path, encoding, write_examples):
    source = write_examples(tmp_path / "moments.jsonl", range(100))
    alone = prepare([source], encoding, tmp_path / "alone", workers=1)
    together = prepare([source], encoding, tmp_path / "together", workers=2)
    assert len(alone) == 100
    assert content(alone) == content(together)


def test_an_interrupted_preparation_goes_on_behind_what_was_kept(tmp_path, encoding, write_examples, monkeypatch):
    source = write_examples(tmp_path / "moments.jsonl", range(150))
    whole = prepare([source], encoding, tmp_path / "whole", workers=1)
    monkeypatch.setattr(preparing, "COMMIT_LINES", 32)
    work, calls = preparing._outcomes, []

    def interrupted(encoder, chunk):
        calls.append(len(chunk))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return work(encoder, chunk)

    monkeypatch.setattr(preparing, "_outcomes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare([source], encoding, tmp_path / "broken", workers=1)
    calls.clear()
    monkeypatch.setattr(
        preparing, "_outcomes", lambda encoder, chunk: (calls.append(len(chunk)), work(encoder, chunk))[1]
    )
    resumed = prepare([source], encoding, tmp_path / "broken", workers=1)
    assert sum(calls) == 150 - 64, "two chunks were done"
    assert content(resumed) == content(whole)


def test_nothing_is_made_twice_and_changed_files_are_read_anew(tmp_path, encoding, write_examples, monkeypatch):
    source = write_examples(tmp_path / "moments.jsonl", range(20))
    first = content(prepare([source], encoding, tmp_path / "arrays", workers=1))
    work = preparing._outcomes
    monkeypatch.setattr(preparing, "_outcomes", lambda *_: pytest.fail("asked twice"))
    assert content(prepare([source], encoding, tmp_path / "arrays", workers=1)) == first
    monkeypatch.setattr(preparing, "_outcomes", work)
    write_examples(tmp_path / "moments.jsonl", range(40, 75))
    assert len(prepare([source], encoding, tmp_path / "arrays", workers=1)) == 35


def test_what_is_left_out_is_counted_by_its_reason(tmp_path, encoding, example):
    lines = [example(1).to_line(), "no example", example(2).with_fields(prompt_inputs=None).to_line()]
    source = tmp_path / "moments.jsonl"
    source.write_text("\n".join(lines) + "\n")
    found = prepare([str(source)], encoding, tmp_path / "arrays", workers=1)
    assert len(found) == 1
    assert found.left_out == {"lines that are no example": 1, "no prompt_inputs": 1}
    source.write_text("no example\n")
    with pytest.raises(TrainingRefused, match=r"can be learnt from \(1 lines that are no example\)"):
        prepare([str(source)], encoding, tmp_path / "arrays", workers=1)


def test_standard_input_is_refused_because_a_resumed_run_reads_again(encoding, tmp_path):
    with pytest.raises(TrainingRefused, match="give files, not -"):
        prepare(["-"], encoding, tmp_path / "arrays")
