"""trl's own trainers read the rows, and learn from the answer alone: a tiny model, the student's tokenizer, two steps."""

from __future__ import annotations

import copy
import json
import warnings

import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what they import
    trl = pytest.importorskip("trl", reason="make test-train installs trl")
    datasets = pytest.importorskip("datasets", reason="make test-train installs datasets")
    transformers = pytest.importorskip("transformers", reason="make test-train installs transformers")

import tokenizers  # noqa: E402
from gguf import GGUFReader  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from capture.inputs import Span  # noqa: E402
from daemon.prompts.base import NewRegion  # noqa: E402
from daemon.registry import EMBEDDED_PATH  # noqa: E402
from training_export.commands.format_ import application  # noqa: E402
from training_export.patches import patch_of_region  # noqa: E402
from training_export.stages.formatting import counting_tokens  # noqa: E402
from training_export.student.tokenizer import with_runtime_split  # noqa: E402

# What these libraries warn of among themselves is not ours to change.
pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore")]

STEPS, ROWS = 2, 4
MASKED = -100


@pytest.fixture(scope="module")
def tokenizer():
    """The student's, out of its GGUF."""
    fields = GGUFReader(EMBEDDED_PATH).fields

    def texts(key):
        return [bytes(fields[key].parts[part]).decode() for part in fields[key].data]

    tokens = texts("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in texts("tokenizer.ggml.merges")]
    model = tokenizers.models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges)
    made = with_runtime_split(tokenizers.Tokenizer(model))
    kinds = [
        int(fields["tokenizer.ggml.token_type"].parts[part][0]) for part in fields["tokenizer.ggml.token_type"].data
    ]
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == 3]
    made.add_special_tokens([tokenizers.AddedToken(token, special=True, normalized=False) for token in control])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|end_of_text|>", pad_token="<|end_of_text|>"
    )


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), **sizes, max_position_embeddings=2048,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


@pytest.fixture
def rows(tmp_path, formatted_example, moment):
    text = moment().cursor_excerpt
    whole = Span(0, len(text.encode()))
    worse = patch_of_region(moment(), whole, NewRegion(text.replace("total()\n", "sum()\n")))
    example = formatted_example([text.replace("total()\n", "total_cents()\n")], rejected_patch=worse)
    (tmp_path / "in.jsonl").write_text(f"{example.to_line()}\n" * ROWS)
    options = ["--trl-sft", str(tmp_path / "sft.jsonl"), "--trl-dpo", str(tmp_path / "dpo.jsonl"), "--workers", "1"]
    result = CliRunner().invoke(application, [str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.jsonl"), *options])
    assert result.exit_code == 0, result.output
    return tmp_path


def loaded(path, cache):
    return datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(cache))


def settings(tmp_path):
    return {
        "output_dir": str(tmp_path / "run"), "max_steps": STEPS, "per_device_train_batch_size": 2, "use_cpu": True,
        "report_to": [], "save_strategy": "no", "logging_steps": 1, "max_length": 1024, "bf16": False,
        "disable_tqdm": True, "gradient_checkpointing": False,
    }  # fmt: skip


def test_sft_trainer_learns_the_answer_and_nothing_of_the_prompt(rows, tokenizer, model):
    written = json.loads((rows / "sft.jsonl").read_text().splitlines()[0])
    trainer = trl.SFTTrainer(
        model,
        args=trl.SFTConfig(**settings(rows)),
        train_dataset=loaded(rows / "sft.jsonl", rows / "cache"),
        processing_class=tokenizer,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    prompt = tokenizer(written["prompt"])["input_ids"]
    answer = tokenizer(written["completion"])["input_ids"]
    tokens, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
    with counting_tokens(EMBEDDED_PATH) as count:  # as the daemon does
        assert (count(written["prompt"]), count(written["completion"])) == (len(prompt), len(answer))
    assert tokens == [*prompt, *answer, tokenizer.eos_token_id]
    assert labels == [MASKED] * len(prompt) + [*answer, tokenizer.eos_token_id]
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == STEPS
    assert all(0 < loss < 100 for loss in losses)


def test_dpo_trainer_reads_the_pairs(rows, tokenizer, model):
    written = json.loads((rows / "dpo.jsonl").read_text().splitlines()[0])
    trainer = trl.DPOTrainer(
        model,
        ref_model=copy.deepcopy(model),
        args=trl.DPOConfig(**settings(rows)),
        train_dataset=loaded(rows / "dpo.jsonl", rows / "cache"),
        processing_class=tokenizer,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    prompt = tokenizer(written["prompt"])["input_ids"]
    for row, answer in ((0, written["chosen"]), (-1, written["rejected"])):
        tokens = [
            token for token, seen in zip(batch["input_ids"][row], batch["attention_mask"][row], strict=True) if seen
        ]
        assert [int(token) for token in tokens] == [*prompt, *tokenizer(answer)["input_ids"], tokenizer.eos_token_id]
        learnt = [
            int(token)
            for token, kept in zip(batch["input_ids"][row], batch["completion_mask"][row], strict=True)
            if kept
        ]
        assert learnt == [*tokenizer(answer)["input_ids"], tokenizer.eos_token_id]
    trainer.train()
    assert len([entry for entry in trainer.state.log_history if "loss" in entry]) == STEPS
