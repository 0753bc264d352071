"""What a training begins with: a network and a tokenizer that fit each other, or a refusal that says what does not."""

from __future__ import annotations

import json
import resource

import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")
transformers = pytest.importorskip("transformers", reason="make test-train installs transformers")

import numpy as np  # noqa: E402

from daemon.prompts.line_region import CONTROL_TOKENS  # noqa: E402
from daemon.registry import EMBEDDED_PATH  # noqa: E402
from training_export.errors import RunUnwritable, TrainingRefused  # noqa: E402
from training_export.student.tokenizer import special_tokens, train_tokenizer  # noqa: E402
from training_export.student.training import adapters, network  # noqa: E402
from training_export.student.training.gguf_base import from_gguf  # noqa: E402
from training_export.student.training.looking_back import LOOKS  # noqa: E402
from training_export.student.training.network import Base, fit_tokenizer, fresh, from_folder, save  # noqa: E402
from training_export.student.training.optimisers import optimisers  # noqa: E402
from training_export.student.training.recipe import OptimiserKind, read_recipe  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

TEXT = "def work(total):\n    return total + price\n"


def tokenizer_of(size=400, control=CONTROL_TOKENS):
    return train_tokenizer([TEXT], size, control)


@pytest.fixture
def recipe():
    return read_recipe("continue")


@pytest.fixture
def base(write_recipe, tmp_path):
    tokenizer = tokenizer_of()
    return Base(fresh(read_recipe(write_recipe(tmp_path)).sizes, tokenizer), tokenizer, "line_edits")


def saved(base, folder):
    save(base.model, base.tokenizer, base.prompt_format, folder)
    return folder


def test_what_is_saved_is_what_is_loaded(base, tmp_path):
    folder = saved(base, tmp_path / "model")
    loaded = from_folder(folder)
    assert loaded.prompt_format == "line_edits"
    assert loaded.tokenizer.to_str() == base.tokenizer.to_str()
    for name, value in base.model.state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[name])
    saved(base, folder)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["model"], "nothing is left beside it"


def test_a_folder_that_cannot_be_written_keeps_the_model_that_was_there(base, tmp_path):
    folder = saved(base, tmp_path / "model")
    before = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(RunUnwritable, match="cannot write"):
            saved(base, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted((path.name, path.read_bytes()) for path in folder.iterdir()) == before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_folder_without_a_part_of_the_model_is_refused(base, tmp_path, name):
    folder = saved(base, tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(TrainingRefused, match=f"holds no {name}"):
        from_folder(folder)


def test_weights_of_another_shape_are_refused(base, tmp_path):
    folder = saved(base, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 64}))
    with pytest.raises(TrainingRefused, match="cannot be loaded"):
        from_folder(folder)
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(TrainingRefused, match="architecture gpt2; foretype trains qwen2 and llama"):
        from_folder(folder)


def test_a_tokenizer_with_more_tokens_than_the_network_is_refused(base, recipe):
    larger = Base(base.model, train_tokenizer([TEXT * 3, "other words " * 9], 430, CONTROL_TOKENS))
    assert larger.tokenizer.get_vocab_size() > base.tokenizer.get_vocab_size()
    with pytest.raises(TrainingRefused, match=r"has \d+ tokens and the network embeddings for \d+"):
        fit_tokenizer(larger, recipe, adds_tokens=True)


def test_missing_control_tokens_are_refused_or_added_with_embeddings_of_their_own(write_recipe, tmp_path, recipe):
    tokenizer = tokenizer_of(control=CONTROL_TOKENS[:-3])
    plain = Base(fresh(read_recipe(write_recipe(tmp_path)).sizes, tokenizer), tokenizer)
    rows = tokenizer.get_vocab_size()
    with pytest.raises(TrainingRefused, match=r"has no <\|line_21\|>, .*needs as single tokens; --add-tokens"):
        fit_tokenizer(plain, recipe, adds_tokens=False)
    added = fit_tokenizer(plain, recipe, adds_tokens=True)
    assert added == (rows, rows + 1, rows + 2)
    assert plain.model.get_input_embeddings().weight.shape[0] == rows + 3
    assert tokenizer.encode("a<|line_23|>b").tokens[1] == "<|line_23|>"
    assert fit_tokenizer(plain, recipe, adds_tokens=False) == ()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of peft
def test_adapters_alone_are_trained_and_are_worked_in_at_the_end(tiny_network, recipe):
    pytest.importorskip("peft", reason="make test-train installs peft")
    model = tiny_network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    adapted = adapters.with_adapters(model, rank=4, added_tokens=())
    trained = optimisers(model, recipe.optimiser, has_adapters=True)
    assert recipe.optimiser.kind is OptimiserKind.MUON
    assert sum(value.numel() for value in trained.parameters) < 0.3 * sum(value.numel() for value in before.values())
    tokens = torch.arange(20)[None]
    for _ in range(3):
        model(tokens, labels=tokens).loss.backward()
        trained.step(1.0, clip_norm=1.0)
    changed = model(tokens).logits
    merged = adapters.merged(adapted)
    torch.testing.assert_close(merged(tokens).logits, changed, rtol=1e-4, atol=1e-4)
    after = merged.state_dict()
    assert after.keys() == before.keys(), "a plain network again"
    assert torch.equal(after["model.embed_tokens.weight"], before["model.embed_tokens.weight"])
    assert not torch.equal(
        after["model.layers.0.self_attn.q_proj.weight"], before["model.layers.0.self_attn.q_proj.weight"]
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of gguf and numpy
def test_the_embedded_student_can_be_gone_on_with_and_predicts_what_llama_cpp_predicts():
    base = from_gguf(EMBEDDED_PATH)
    assert base.prompt_format == "line_edits"
    assert set(CONTROL_TOKENS) <= special_tokens(base.tokenizer)
    text = "<|file|>a.py\n<|region|>\ntotal = 1<|here|>print(total)<|line_1|><|history|>\n<|here|>total = 1<|answer|>"
    ids = base.tokenizer.encode(text).ids
    with torch.no_grad():
        ours = base.model(torch.tensor([ids])).logits[0].numpy()
    theirs = llama_logits(EMBEDDED_PATH, text, ids)
    assert (ours.argmax(-1) == theirs.argmax(-1)).mean() > 0.9
    assert np.abs(ours - theirs).max() < 0.5, "eight bits of weight and of activation against full numbers"


def llama_logits(path, text, ids):
    llama_cpp = pytest.importorskip("llama_cpp")
    loaded = llama_cpp.Llama(str(path), n_ctx=512, logits_all=True, verbose=False)
    assert loaded.tokenize(text.encode(), add_bos=False, special=True) == ids
    loaded.eval(ids)
    found = np.array(loaded.scores[: len(ids)])
    loaded.close()
    return found


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no model at all" * 100])
def test_what_is_no_gguf_is_refused(tmp_path, content):
    path = tmp_path / "student.gguf"
    path.write_bytes(content)
    with pytest.raises(TrainingRefused, match="cannot be read as GGUF"):
        from_gguf(path)


def test_the_heads_of_a_student_that_is_to_copy_look_back_as_far_as_they_are_set_to():
    sizes = read_recipe("zeta2").sizes
    torch.manual_seed(0)
    model = fresh(sizes, tokenizer_of())
    model.set_attn_implementation("eager")
    tokens = torch.randint(0, model.config.vocab_size, (1, 64))
    with torch.no_grad():
        weights = model.model(tokens, output_attentions=True).attentions[0][0, :, -1].flip(-1)  # by distance
    for head, look in enumerate(LOOKS[0][:3]):
        assert weights[head, look.distance_tokens] > 0.9
    blurred = weights[3, 4:13]
    assert blurred.sum() > 0.4
    assert blurred.max() < 0.2


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_a_fresh_network_is_the_same_for_the_same_seed(write_recipe, tmp_path, architecture):
    sizes = read_recipe(write_recipe(tmp_path, architecture=architecture)).sizes
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(fresh(sizes, tokenizer_of()).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not all(torch.equal(made[0][name], made[2][name]) for name in made[0])
    assert network.ARCHITECTURES == ("qwen2", "llama")
