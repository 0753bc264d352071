"""How the format of a model is found, and what a person reads when it is not."""

import pytest

from daemon.prompts.registry import FORMATS, UnknownModel, choose_format


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
    ],
)
def test_a_known_model_is_recognised_by_its_file_name(file_name, expected):
    assert choose_format("", {}, file_name).name == expected


def test_a_known_model_is_recognised_by_its_general_name():
    assert choose_format("", {"general.name": "Zeta 2.1"}, "model.gguf").name == "zeta2_1"


def test_the_metadata_key_outweighs_names():
    metadata = {"foretype.prompt_format": "line_edits", "general.name": "Zeta 2"}
    assert choose_format("", metadata, "zeta-2.1.gguf").name == "line_edits"


def test_the_setting_outweighs_everything():
    metadata = {"foretype.prompt_format": "line_edits"}
    assert choose_format("sweep", metadata, "zeta-2.1.gguf").name == "sweep"


@pytest.mark.parametrize(
    "file_name",
    [
        "qwen2.5-coder-1.5b.gguf",
        "zeta-q4.gguf",
        "zeta-2.5-Q4.gguf",
        "zeta-25.gguf",
        "beta2.gguf",
        "sweep-next-edit-v2-7B.gguf",
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
    assert {name: prompt_format.name for name, prompt_format in FORMATS.items()} == {
        name: name for name in ("line_edits", "zeta2_1", "zeta2", "sweep")
    }
