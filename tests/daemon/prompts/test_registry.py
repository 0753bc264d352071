"""How the format of a model is found, and what a person reads when it is not."""

import re
from pathlib import Path

import pytest

from daemon.prompts.registry import FORMATS, UnknownModel, choose_format
from daemon.prompts.zed.format import ZETA_FORMAT_NAMES


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("zed-industries_zeta-2-Q4_K_M.gguf", "zeta2"),
        ("zeta-2.Q8_0.gguf", "zeta2"),
        ("zeta2-8B-q5.gguf", "zeta2"),
        ("zeta-2.1-Q8_0.gguf", "zeta2_1"),
        ("/models/Zeta_2.1.i1-Q4_K_M.gguf", "zeta2_1"),
        ("sweep-next-edit-0.5b.q8_0.gguf", "sweep"),
        ("sweep-next-edit-1.5b.q8_0.v2.gguf", "sweep"),
        ("sweep-next-edit-v2-7B-Q4_K_M.gguf", "sweep_v2"),
        ("zed-industries_zeta-Q4_K_M.gguf", "zeta1"),
        ("zeta-7b-q4_K_M.gguf", "zeta1"),
        ("instinct-Q4_K_M.gguf", "instinct"),
        ("Qwen2.5-Coder-7B-NEP.Q8_0.gguf", "next_edit_qwen"),
        ("qwen2.5-coder-1.5b-q8_0.gguf", "fim_qwen"),
        ("Qwen3-Coder-30B-A3B-Instruct.gguf", "fim_qwen"),
        ("starcoder2-3b.Q4_K_M.gguf", "fim_starcoder2"),
        ("deepseek-coder-6.7b-base.gguf", "fim_deepseek"),
        ("Codestral-22B-v0.1.gguf", "fim_codestral"),
        ("codellama-7b.Q4_0.gguf", "fim_codellama"),
        ("codegemma-2b.gguf", "fim_codegemma"),
        ("granite-4.1-3b.gguf", "fim_granite"),
        ("Seed-Coder-8B-Base.gguf", "fim_seed_coder"),
        ("mellum-4b-dpo-all.Q8_0.gguf", "fim_mellum"),
        ("GLM-4.5-Air.gguf", "fim_glm"),
    ],
)
def test_a_known_model_is_recognised_by_its_file_name(file_name, expected):
    assert choose_format("", {}, file_name).name == expected


def test_a_known_model_is_recognised_by_its_general_name():
    assert choose_format("", {"general.name": "Zeta 2.1"}, "model.gguf").name == "zeta2_1"


def test_a_fine_tuned_model_that_keeps_the_name_of_its_base_is_recognised_by_its_own():
    assert choose_format("", {"general.name": "Qwen2.5 Coder 0.5B"}, "sweep-next-edit-0.5b.gguf").name == "sweep"
    assert choose_format("", {"general.name": "Seed Coder 8B Base"}, "zeta-2.gguf").name == "zeta2"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("Zeta", "zeta1"),
        ("v0318seedmultiregions", "zeta2_1"),
        ("v0211SeedCoder", "zeta2"),
        ("V0317SEEDMULTIREGIONS", "V0317SeedMultiRegions"),
        ("hash_regions", "V0615HashRegions"),
    ],
)
def test_formats_are_known_by_the_names_zed_gives_them_whatever_the_case(setting, expected):
    assert choose_format(setting, {}, "model.gguf").name == expected


def test_the_metadata_key_outweighs_names():
    metadata = {"foretype.prompt_format": "line_edits", "general.name": "Zeta 2"}
    assert choose_format("", metadata, "zeta-2.1.gguf").name == "line_edits"


def test_the_setting_outweighs_everything():
    metadata = {"foretype.prompt_format": "line_edits"}
    assert choose_format("sweep", metadata, "zeta-2.1.gguf").name == "sweep"


@pytest.mark.parametrize(
    "file_name",
    [
        "qwen2.5-7b-instruct.gguf",
        "llama-3-8b-instruct.gguf",
        "starcoder-1b.gguf",
        "granite-3.3-8b.gguf",
        "seed-coder-8b-instruct.gguf",
        "codegemma-7b-it.gguf",
        "neptune-7b.gguf",
        "zeta-2.5-Q4.gguf",
        "zeta-25.gguf",
        "beta2.gguf",
        "sweep-next-edit-v3.gguf",
        "model.gguf",
        "",
    ],
)
def test_any_other_model_is_refused_with_the_formats_and_the_way_to_name_one(file_name):
    with pytest.raises(UnknownModel) as refusal:
        choose_format("", {}, file_name)
    message = str(refusal.value)
    assert all(name in message for name in ("line_edits", "zeta2", "zeta2_1", "sweep"))
    assert "prompt_format" in message
    assert "foretype.prompt_format" in message


def test_names_that_contradict_each_other_are_refused():
    with pytest.raises(UnknownModel, match="different formats"):
        choose_format("", {"general.name": "Zeta 2"}, "zeta-2.1.gguf")


@pytest.mark.parametrize(("setting", "metadata"), [("zeta9", {}), ("", {"foretype.prompt_format": "zeta9"})])
def test_an_unknown_format_is_named_and_never_replaced(setting, metadata):
    with pytest.raises(UnknownModel, match="zeta9"):
        choose_format(setting, metadata, "zeta-2.1.gguf")


def test_every_format_is_in_the_table_under_its_own_name():
    assert all(prompt_format.name == name for name, prompt_format in FORMATS.items())


def test_every_format_of_zed_can_be_named():
    for name in ZETA_FORMAT_NAMES:
        assert choose_format(name, {}, "model.gguf").name in {name, "zeta2", "zeta2_1"}


def test_the_documentation_has_a_row_for_every_format():
    documented = set(
        re.findall(
            r"`([A-Za-z0-9_]+)`", (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
        )
    )
    assert set(FORMATS) <= documented
