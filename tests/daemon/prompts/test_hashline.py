"""Commands on numbered and hashed lines: what Zed would do wrong with them is refused, and targets are right."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.editing.unified_diff import with_file_headers, write_hunks
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, TargetError
from daemon.prompts.zed.answer import expected_output
from daemon.prompts.zed.hashline import V0226_HASHLINE, apply_hashline_commands, hash_line
from daemon.prompts.zed.table import ZETA_PROMPTS

HASHLINE = ZETA_PROMPTS["v0226Hashline"]
TEXT = "\n".join(f"value_{row} = {row}" for row in range(12))


def at(row: int, text: str = TEXT) -> str:
    return f"{row}:{hash_line(text.split(chr(10))[row].encode())}"


@pytest.fixture
def rendered(moment):
    def render(text=TEXT):
        inputs = moment("¦" + text)
        return inputs, HASHLINE.render(inputs, len)

    return render


@pytest.fixture
def read(rendered):
    """What the daemon makes of an answer about TEXT."""
    inputs, prompt = rendered()
    return lambda answer: HASHLINE.parse(inputs, prompt, answer, finished=True)


def test_the_prompt_numbers_and_hashes_the_lines(rendered):
    _, prompt = rendered("hello world\naaa")
    assert "<|fim_middle|>current\n0:5c|hello world\n1:23|aaa\n<|fim_suffix|>\n<|fim_middle|>updated\n" in prompt.text


def test_commands_replace_and_insert_lines(read):
    answer = f"<|insert|>\ntop\n<|set|>{at(0)}\nzero\n<|insert|>{at(2)}\nnew\n<|set|>{at(10)}-{at(11)}\nlast"
    lines = TEXT.split("\n")
    expected = ["top", "zero", *lines[1:3], "new", *lines[3:10], "last"]
    assert read(answer) == NewRegion("\n".join(expected))


@pytest.mark.parametrize(
    "answer",
    [
        "value_0 = 1",  # no command: Zed takes it for the whole new region
        f"<|set|>0:zz\nx\n<|set|>{at(1)}\ny",
        "<|set|>0:00\nx",  # another hash
        f"<|set|>99:aa\nx\n<|insert|>{at(1)}\ny",
        "<|insert|>1:nothex\nx",  # Zed would put it before the first line
        f"<|insert|>{at(1)}-{at(2)}\nx",
        f"<|set|>{at(3)}-{at(1)}\nx",
        f"<|set|>{at(1)}-{at(3)}\nx\n<|set|>{at(3)}-{at(4)}\ny",  # they overlap: Zed drops one
        f"<|set|>{at(1)}\nx\n<|set|>{at(1)}\ny",
        f"<|set|>{at(1)}-{at(3)}\nx\n<|insert|>{at(2)}\ny",  # the insert would be lost
        f"<|insert|>{at(2)}\nx\n<|insert|>{at(2)}\ny",
        f"<|insert|>{at(2)}",
        f"<|set|>{at(1)}-{at(9)}",  # cut off behind the command: Zed deletes the lines
        f"<|set|>{at(1)}-{at(9)}\nvalue_1 = 1\nvalue_2 = 2",  # cut off further on
        f"here it is:\n<|set|>{at(1)}\nx",
        f"<|set|>{at(1)}\nx\n<|no_edits|>",
        f"<|no_edits|>\n<|set|>{at(1)}\nx",
    ],
)
def test_a_command_that_does_not_do_what_it_says_spoils_the_answer(read, answer):
    assert read(answer) == NoEdit(NoEditReason.MALFORMED)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("<|no_edits|>", NoEditReason.SAID_SO),
        ("<|no_edits|>\n", NoEditReason.SAID_SO),
        ("", NoEditReason.EMPTY),  # what is left of it where a server cuts its stop strings off
        ("NO_EDITS", NoEditReason.SAID_SO),
        (f"<|set|>{at(0)}\nvalue_0 = 0", NoEditReason.UNCHANGED),
        (f"<|set|>{at(0)}\n<|user_cursor|>x<|user_cursor|>", NoEditReason.CONTROL_TOKENS),
        (f"<|set|>{at(0)}\nx <|set|>{at(1)}", NoEditReason.CONTROL_TOKENS),
    ],
)
def test_no_edit_is_understood_and_no_control_text_gets_through(read, answer, reason):
    assert read(answer) == NoEdit(reason)


def test_zed_reads_an_unreadable_insert_as_one_at_the_top():
    assert apply_hashline_commands("a\nb\n", "<|insert|>1:nothex\nx") == ("x\na\nb\n", True)


def test_zed_writes_wrong_lines_for_a_patch_that_does_not_start_with_the_region(moment):
    """And the daemon's target does not."""
    inputs = moment(TEXT + "¦")
    new_text = TEXT.replace("value_7 = 7", "value_7 = 70")
    patch = with_file_headers(write_hunks(TEXT + "\n", new_text + "\n"), "src/a.py")
    assert expected_output(inputs, V0226_HASHLINE, patch, None).startswith(f"<|set|>{at(3)}\n")
    prompt = HASHLINE.render(inputs, len)
    assert HASHLINE.training_target(inputs, prompt, NewRegion(new_text)) == f"<|set|>{at(7)}\nvalue_7 = 70"


@pytest.mark.parametrize("row", range(12))
def test_the_cursor_can_be_taught_wherever_it_is(rendered, row):
    inputs, prompt = rendered()
    lines = TEXT.replace("value_3 = 3", "größe = 3").split("\n")
    cursor = len("\n".join([*lines[:row], lines[row][:4]]).encode())
    new = NewRegion("\n".join(lines), cursor)
    target = HASHLINE.training_target(inputs, prompt, new)
    assert HASHLINE.parse(inputs, prompt, target, finished=True) == new


@pytest.mark.parametrize(
    ("removed", "sayable"),
    [(range(1), True), (range(5, 6), True), (range(2, 9), True), (range(10, 12), True), (range(6, 12), False)],
)
def test_deleted_lines_are_taught_with_a_line_that_stays_but_not_the_end_of_the_region(rendered, removed, sayable):
    inputs, prompt = rendered()
    new = NewRegion("\n".join(line for row, line in enumerate(TEXT.split("\n")) if row not in removed))
    if not sayable:
        with pytest.raises(TargetError):
            HASHLINE.training_target(inputs, prompt, new)
        return
    target = HASHLINE.training_target(inputs, prompt, new)
    assert HASHLINE.parse(inputs, prompt, target, finished=True) == new


def test_nothing_to_change_is_taught_as_the_command_for_it(rendered):
    inputs, prompt = rendered()
    assert HASHLINE.training_target(inputs, prompt, NewRegion(TEXT, 3)) == "<|no_edits|>"


lines = st.lists(st.text(alphabet="ab é|:", max_size=4), min_size=1, max_size=12)


@settings(deadline=None)
@given(old=lines, new=lines, cursor=st.integers(0, 60))
def test_several_changes_and_the_cursor_are_read_back(moment, old, new, cursor):
    inputs = moment("¦" + "\n".join(old))
    prompt = HASHLINE.render(inputs, len)
    text = "\n".join(new)
    wanted = NewRegion(text, len(text[:cursor].encode()) if cursor < len(text) else None)
    try:
        target = HASHLINE.training_target(inputs, prompt, wanted)
    except TargetError:
        return
    parsed = HASHLINE.parse(inputs, prompt, target, finished=True)
    assert parsed == wanted or (text == prompt.region_text and isinstance(parsed, NoEdit))


@given(answer=st.lists(st.sampled_from(["<|set|>", "<|insert|>", "<|no_edits|>", "0:23", "1:62", "-", "\n", "aaa"])))
def test_zed_reading_never_fails(answer):
    text, has_commands = apply_hashline_commands("aaa\nb\n", "".join(answer))
    assert text == "aaa\nb\n" or has_commands
