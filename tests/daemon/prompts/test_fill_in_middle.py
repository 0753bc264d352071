"""How each fill-in-the-middle family is asked, where its answers end, and what of them is inserted."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.inputs import EditEvent, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, Prompt, Refusal, TargetError
from daemon.prompts.fill_in_middle import FILL_IN_MIDDLE, FillInMiddle, FillInMiddleSizes

FORMATS = {item.name: item for item in FILL_IN_MIDDLE}
QWEN = FORMATS["fim_qwen"]
each_format = pytest.mark.parametrize("prompt_format", FILL_IN_MIDDLE, ids=lambda item: item.name)

PIPED = "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"
ALONE = {
    "fim_qwen": PIPED,
    "fim_starcoder2": "<fim_prefix>P<fim_suffix>S<fim_middle>",
    "fim_deepseek": "<\uff5cfim\u2581begin\uff5c>P<\uff5cfim\u2581hole\uff5c>S<\uff5cfim\u2581end\uff5c>",
    "fim_codestral": "[SUFFIX]S[PREFIX]P",
    "fim_codellama": "<PRE> P <SUF>S <MID>",
    "fim_codegemma": PIPED,
    "fim_granite": PIPED,
    "fim_seed_coder": "<[fim-suffix]>S<[fim-prefix]>P<[fim-middle]>",
    "fim_mellum": "<filename>src/a.py\n<fim_suffix>S<fim_prefix>P<fim_middle>",
    "fim_glm": "<|code_prefix|>P<|code_suffix|>S<|code_middle|>",
}
AMONG_FILES = {
    "fim_qwen": "<|repo_name|>tool\n<|file_sep|>b.py\nb = 1\n<|file_sep|>c.py\nc = 2\n<|file_sep|>src/a.py\n" + PIPED,
    "fim_starcoder2": "<repo_name>tool<file_sep>b.py\nb = 1<file_sep>c.py\nc = 2"
    "<file_sep><fim_prefix>src/a.py\nP<fim_suffix>S<fim_middle>",
    "fim_deepseek": "<\uff5cfim\u2581begin\uff5c>#b.py\nb = 1\n#c.py\nc = 2\n#src/a.py\nP<\uff5cfim\u2581hole\uff5c>S<\uff5cfim\u2581end\uff5c>",
    "fim_codestral": "[SUFFIX]S[PREFIX]+++++ b.py\nb = 1\n\n+++++ c.py\nc = 2\n\n+++++ src/a.py\nP",
    "fim_codegemma": "b.py\nb = 1<|file_separator|>c.py\nc = 2<|file_separator|>src/a.py\n" + PIPED,
    "fim_mellum": "<filename>b.py\nb = 1\n<filename>c.py\nc = 2\n"
    "<filename>src/a.py\n<fim_suffix>S<fim_prefix>P<fim_middle>",
}
FILES = (
    RelatedFile("b.py", 9, (RelatedExcerpt(Span(0, 1), "b = 1"),)),
    RelatedFile("c.py", 9, (RelatedExcerpt(Span(0, 1), "c = 2\n"),)),
)
TEXT = st.text(alphabet="ab é𝔘\t\r\n(}<|>\x1c\u2028", max_size=60)


def words(text: str) -> int:
    return len(text.split())


@each_format
def test_each_family_is_asked_in_its_own_layout(moment, prompt_format):
    prompt = prompt_format.render(moment("P¦S"), words)
    assert prompt.text == ALONE[prompt_format.name]
    assert prompt.region == Span(1, 1)
    assert prompt.region_text == ""
    assert not prompt.answer_copies_region


@each_format
def test_related_files_stand_under_the_familys_own_headers_or_are_left_out(moment, prompt_format):
    inputs = moment("P¦S", related_files=FILES, repo_url="https://git.example/ada/tool.git")
    expected = AMONG_FILES.get(prompt_format.name, ALONE[prompt_format.name])
    assert prompt_format.render(inputs, words).text == expected


def test_a_repository_without_a_usable_name_has_no_header(moment):
    for url in (None, "", "git@host:ada/<|endoftext|>.git"):
        prompt = QWEN.render(moment("P¦S", related_files=FILES, repo_url=url), words)
        assert prompt.text.startswith("<|file_sep|>b.py\n")
    ssh = QWEN.render(moment("P¦S", related_files=FILES, repo_url="git@host:tool.git"), words)
    assert ssh.text.startswith("<|repo_name|>tool\n")


def test_braces_in_the_text_are_text(moment):
    prompt = QWEN.render(moment("f({prefix})¦{suffix}{0}"), words)
    assert prompt.text == "<|fim_prefix|>f({prefix})<|fim_suffix|>{suffix}{0}<|fim_middle|>"


@pytest.mark.parametrize(
    ("marked", "stop", "answer_tokens"),
    [
        ("f(¦)\n", "\n", 64),
        ("f(¦\ng()", "\n\n", 256),
        ("f(¦  \ng()", "\n\n", 256),
        ("¦", "\n\n", 256),
        ("f(¦)\r\ng()", "\r\n", 64),
        ("f(¦\r\ng()", "\r\n\r\n", 256),
    ],
)
def test_an_answer_ends_with_its_line_when_text_follows_the_cursor_else_at_a_blank_line(
    moment, marked, stop, answer_tokens
):
    prompt = QWEN.render(moment(marked), words)
    useful = [text for text in prompt.stop if not text.strip()]
    assert useful[0] == stop
    assert prompt.max_answer_tokens == answer_tokens
    assert "<|endoftext|>" in prompt.stop


def test_the_end_token_of_codellama_takes_its_space_along(moment, engine_cut):
    prompt = FORMATS["fim_codellama"].render(moment("x = ¦"), words)
    assert engine_cut("1 <EOT>", prompt.stop) == "1"


def test_prefix_and_suffix_are_cut_between_lines_to_their_shares(moment):
    sizes = FillInMiddleSizes(prefix_tokens=5, suffix_tokens=4)
    prompt = FillInMiddle(QWEN.family, sizes).render(moment("one\ntwo two\nthree three\nx ¦y\nfour four\nfive"), words)
    assert prompt.text == "<|fim_prefix|>two two\nthree three\nx <|fim_suffix|>y\nfour four\nfive<|fim_middle|>"
    shorter = FillInMiddle(QWEN.family, FillInMiddleSizes(prefix_tokens=1, suffix_tokens=2))
    assert shorter.render(moment("a\nx ¦y\nb b\nc"), words).text == "<|fim_prefix|>x <|fim_suffix|>y\n<|fim_middle|>"
    assert shorter.render(moment("x y¦"), words) is Refusal.OVER_BUDGET
    assert shorter.render(moment("¦x y z"), words) is Refusal.OVER_BUDGET


def test_related_files_stay_in_their_share_by_importance_and_never_repeat_the_text_shown(moment):
    files = tuple(
        RelatedFile(f"f{order}.py", 9, (RelatedExcerpt(Span(0, 1), "word " * 400, order),)) for order in (2, 0, 1)
    )
    prompt = QWEN.render(moment("x¦", related_files=files), words)
    assert [f"f{order}.py" in prompt.text for order in range(3)] == [True, True, False]
    own = RelatedFile("src/a.py", 9, (RelatedExcerpt(Span(5, 6), "x"), RelatedExcerpt(Span(90, 91), "far")))
    prompt = QWEN.render(moment("w\nx¦\ny", related_files=(own,), excerpt_start_row=4), words)
    assert prompt.text.startswith("<|file_sep|>src/a.py\nfar\n<|file_sep|>src/a.py\n<|fim_prefix|>w\nx")


def test_a_large_file_costs_few_calls_of_the_tokenizer(moment):
    calls = 0

    def counted(text: str) -> int:
        nonlocal calls
        calls += 1
        return words(text)

    prompt = QWEN.render(moment("a b c d\n" * 4000 + "x¦\n" + "e f g h\n" * 4000), counted)
    assert calls < 40
    assert 3060 <= words(prompt.text) <= 3072


@each_format
def test_control_tokens_around_the_cursor_are_refused_and_elsewhere_left_out(moment, prompt_format):
    for token in prompt_format.family.control_tokens:
        assert prompt_format.render(moment(f"x = '{token}'¦"), words) is Refusal.CONTROL_TOKENS
        assert prompt_format.render(moment(f"¦x = '{token}'"), words) is Refusal.CONTROL_TOKENS
        clean = moment("x¦")
        crowded = replace(
            clean,
            events=(EditEvent("b.py", "b.py", f"@@ -1,1 +1,1 @@\n-a\n+{token}\n"),),
            related_files=(
                RelatedFile("c.py", 9, (RelatedExcerpt(Span(0, 1), token),)),
                RelatedFile("odd\nname.py", 9, (RelatedExcerpt(Span(0, 1), "d"),)),
            ),
        )
        assert prompt_format.render(crowded, words) == prompt_format.render(clean, words)


def test_a_control_token_split_by_the_cursor_is_refused_too(moment):
    assert QWEN.render(moment("'<|fim_¦prefix|>'"), words) is Refusal.CONTROL_TOKENS


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", NoEditReason.EMPTY),
        (" \n", NoEditReason.EMPTY),
        ("NO_EDITS", NoEditReason.SAID_SO),
        ("a, b)", NoEditReason.REPEATS),
        (" a", NoEditReason.REPEATS),
        ("x<|fim_middle|>", NoEditReason.CONTROL_TOKENS),
        ("\ud800", NoEditReason.MALFORMED),
    ],
)
def test_an_answer_that_is_no_edit_says_why(moment, answer, reason):
    inputs = moment("f(¦a, b)\n\nprint(1)")
    prompt = QWEN.render(inputs, words)
    assert QWEN.parse(inputs, prompt, answer, finished=True) == NoEdit(reason)


def test_a_repetition_of_the_next_line_is_no_edit_but_its_continuation_is(moment):
    inputs = moment("if x:\n    ¦\n    return total")
    prompt = QWEN.render(inputs, words)
    assert QWEN.parse(inputs, prompt, "return total", finished=True) == NoEdit(NoEditReason.REPEATS)
    assert QWEN.parse(inputs, prompt, "total += 1", finished=True) == NewRegion("total += 1")


@each_format
def test_an_unfinished_answer_is_never_an_edit(moment, prompt_format):
    inputs = moment("x = ¦")
    prompt = prompt_format.render(inputs, words)
    assert prompt_format.parse(inputs, prompt, "1", finished=False) == NoEdit(NoEditReason.UNFINISHED)


@each_format
@settings(max_examples=100, deadline=None)
@given(before=TEXT, after=TEXT, inserted=TEXT)
def test_what_a_model_is_trained_to_answer_is_what_is_inserted(
    moment, engine_cut, prompt_format, before, after, inserted
):
    inputs = moment(f"{before}¦{after}")
    prompt = prompt_format.render(inputs, words)
    assert isinstance(prompt, Prompt)
    assert prompt.region == Span(len(before.encode()), len(before.encode()))
    assert before in prompt.text
    assert after in prompt.text
    repeats = after.lstrip().startswith(inserted.strip())
    try:
        target = prompt_format.training_target(inputs, prompt, NewRegion(inserted))
    except TargetError:
        assert repeats or engine_cut(inserted, prompt.stop) != inserted
        return
    parsed = prompt_format.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert isinstance(parsed, NoEdit) if not inserted else parsed == NewRegion(inserted)


@pytest.mark.parametrize("inserted", ["1\n\n2", " ", "y", "<|endoftext|>"])
def test_an_insertion_that_would_be_read_as_another_is_not_taught(moment, inserted):
    inputs = moment("x = ¦\ny = 2")
    with pytest.raises(TargetError):
        QWEN.training_target(inputs, QWEN.render(inputs, words), NewRegion(inserted))


@each_format
@settings(max_examples=100, deadline=None)
@given(answer=TEXT | st.sampled_from([text for item in FILL_IN_MIDDLE for text in item.family.control_tokens]))
def test_no_answer_raises_or_brings_control_text_into_the_buffer(moment, prompt_format, answer):
    inputs = moment("x = ¦\n")
    prompt = prompt_format.render(inputs, words)
    parsed = prompt_format.parse(inputs, prompt, answer, finished=True)
    if isinstance(parsed, NewRegion):
        assert not any(token in parsed.text for token in prompt_format.family.control_tokens)
