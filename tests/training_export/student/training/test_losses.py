"""What is made smaller: the same however rows are put together, and for preferences the same as trl's."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what they import
    trl = pytest.importorskip("trl", reason="make test-train installs trl")
    datasets = pytest.importorskip("datasets", reason="make test-train installs datasets")
    tokenizers = pytest.importorskip("tokenizers", reason="make test-train installs tokenizers")
    transformers = pytest.importorskip("transformers", reason="make test-train installs transformers")

from training_export.student.training.arrays import Row  # noqa: E402
from training_export.student.training.batches import Weighing, packed, padded  # noqa: E402
from training_export.student.training.device import Device  # noqa: E402
from training_export.student.training.encoding import Role, weight_table  # noqa: E402
from training_export.student.training.losses import (  # noqa: E402
    answer_alone,
    answer_log_probabilities,
    preference_loss,
    weighted_loss,
    with_rejected_answer,
)
from training_export.student.training.objectives import Preference, Supervised  # noqa: E402
from training_export.student.training.recipe import Weights  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

DEVICE = Device(torch.device("cpu"), torch.float32, 1e9, "CPU")
WEIGHING = Weighing(weight_table(Weights(prompt=0.3, answer=2.0)), prompt_part=1)


@pytest.fixture(scope="module")
def rows(write_arrays, tmp_path_factory):
    examples = write_arrays(tmp_path_factory.mktemp("arrays"), [5, 31, 12, 18], rejected_tokens=6)
    return [examples[index] for index in range(4)]


def gradients(model, objective, step):
    model.zero_grad()
    loss, _ = objective.backward(model, step, number=0)
    return loss, torch.cat([value.grad.flatten() for value in model.parameters() if value.grad is not None])


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
@pytest.mark.parametrize("gap_tokens", [0, 40])
def test_packed_rows_have_the_loss_that_each_has_alone(tiny_network, rows, architecture, gap_tokens):
    model = tiny_network(architecture=architecture)
    rows = [replace(row, gap_tokens=gap_tokens) for row in rows]
    alone = [weighted_loss(model, padded([row], WEIGHING)) for row in rows]
    wanted = sum(loss.item() for loss, _ in alone)
    for batch in (packed(rows, WEIGHING), padded(rows, WEIGHING)):
        loss, weight = weighted_loss(model, batch)
        assert loss.item() == pytest.approx(wanted, rel=1e-5)
        assert weight.item() == pytest.approx(sum(weight.item() for _, weight in alone), rel=1e-6)
    assert packed(rows, WEIGHING).tokens.shape == (1, 66)


def test_a_row_in_a_pack_cannot_see_its_neighbours(tiny_network, rows):
    """The test that could fail: without the mask the loss of what is packed is another one."""
    model = tiny_network()
    right = packed(rows, WEIGHING)
    seeing = replace(right, mask=torch.ones_like(right.mask).tril())
    assert weighted_loss(model, right)[0].item() != pytest.approx(weighted_loss(model, seeing)[0].item(), rel=1e-4)


def test_a_gap_moves_the_answer(tiny_network, rows):
    model = tiny_network()
    near = weighted_loss(model, padded(rows, WEIGHING))[0].item()
    far = weighted_loss(model, padded([replace(row, gap_tokens=100) for row in rows], WEIGHING))[0].item()
    assert near != pytest.approx(far, rel=1e-4)


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_step_in_parts_has_the_gradient_of_the_whole(tiny_network, rows, is_packed):
    model = tiny_network()
    objective = Supervised(WEIGHING, DEVICE, is_packed=is_packed)
    loss, gradient = gradients(model, objective, [rows])
    parts_loss, parts_gradient = gradients(model, objective, [rows[:1], rows[1:3], rows[3:]])
    assert parts_loss == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(parts_gradient, gradient, rtol=1e-4, atol=1e-6)


def test_of_the_prompt_other_positions_are_learnt_each_time_and_all_in_the_end():
    weighing = Weighing(weight_table(Weights(prompt=0.5)), prompt_part=4)
    roles = np.array([Role.PROMPT] * 40 + [Role.ANSWER] * 3, np.uint8)
    seen = [np.flatnonzero(weighing.weights(roles, salt)[:40]).tolist() for salt in range(4)]
    assert all(len(positions) == 10 for positions in seen)
    assert sorted(position for positions in seen for position in positions) == list(range(40))
    assert (weighing.weights(roles, 1)[40:] == 1.0).all()


@pytest.fixture
def trl_trainer(tiny_network, tmp_path):
    """trl's own, with two pairs whose tokens are words, before its first step."""
    words = {f"w{number}": number for number in range(59)} | {"<end>": 59}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>", pad_token="<end>")
    rows = [
        {"prompt": "w5 w9 w12 w3", "chosen": " w4 w8", "rejected": " w7 w7 w30"},
        {"prompt": "w1 w2", "chosen": " w50 w51 w52 w53", "rejected": " w20"},
    ]
    settings = trl.DPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=2, use_cpu=True, report_to=[], beta=0.3, bf16=False,
        disable_tqdm=True, gradient_checkpointing=False, max_length=64,
    )  # fmt: skip
    return trl.DPOTrainer(
        tiny_network(seed=1),
        ref_model=tiny_network(seed=2),
        args=settings,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer,
    )


@pytest.mark.filterwarnings("ignore")  # of what these libraries say to each other
def test_the_preference_loss_is_that_of_trl_on_the_same_batch(trl_trainer):
    batch = next(iter(trl_trainer.get_train_dataloader()))
    theirs = trl_trainer.compute_loss(trl_trainer.model, batch).item()
    both = [
        trl_row(tokens[seen.bool()], answer[seen.bool()])
        for tokens, seen, answer in zip(
            batch["input_ids"], batch["attention_mask"], batch["completion_mask"], strict=True
        )
    ]
    cpu, pairs = torch.device("cpu"), len(both) // 2
    now, then = (answer_log_probabilities(one, both, cpu) for one in (trl_trainer.model, trl_trainer.ref_model))
    ours = preference_loss(now[:pairs], now[pairs:], then[:pairs], then[pairs:], beta=0.3).mean().item()
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert abs(ours - np.log(2)) > 0.01, "the two networks differ, so it is not what it is at the start"


def trl_row(tokens, answer):
    ids = tokens.numpy().astype(np.uint32)
    start = int(answer.argmax())
    blank = np.zeros(len(ids), np.uint8)
    return answer_alone(Row(ids, ids, blank, np.zeros(0, np.uint32), start, "pair"))


def test_preferring_makes_worse_answers_less_likely_and_the_right_ones_no_less(tiny_network, rows):
    model, before = tiny_network(), tiny_network()
    objective = Preference(before, DEVICE, beta=0.3, supervised_part=0.2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.003)
    worse = [with_rejected_answer(row) for row in rows]
    right = [answer_alone(row) for row in rows]
    cpu = torch.device("cpu")
    at_start = (answer_log_probabilities(model, worse, cpu), answer_log_probabilities(model, right, cpu))
    first, _ = objective.backward(model, [rows[:2], rows[2:]], 0)
    for number in range(12):
        model.zero_grad()
        last, _ = objective.backward(model, [rows[:2], rows[2:]], number)
        optimiser.step()
    assert last < first
    assert (answer_log_probabilities(model, worse, cpu) < at_start[0]).all()
    assert (answer_log_probabilities(model, right, cpu) >= at_start[1]).all()
