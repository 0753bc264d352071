"""The kept rate says how much of an edit was wanted, and how much of what was wanted it covers."""

from hypothesis import given
from hypothesis import strategies as st

from capture.metrics.kept_rate import kept_rate

CODE = st.lists(st.sampled_from(["foo", "Bar", "é", " ", "\n", "==", "(", "1"]), max_size=20).map("".join)


def test_a_renamed_identifier_counts_whole():
    result = kept_rate("total = a\n", "totalSum = a\n", "totalCount = a\n")
    assert (result.candidate_new, result.reference_new) == (len("totalSum"), len("totalCount"))
    assert (result.kept, result.correctly_deleted, result.discarded) == (0, len("total"), len("totalSum"))
    assert result.kept_rate == 5 / 13
    assert result.recall_rate == 5 / 15


def test_the_tokens_of_the_candidate_say_what_became_of_them():
    result = kept_rate("a", "a + fooBar", "a + c")
    assert result.candidate_tokens() == [
        ("a", "context"),
        (" ", "kept"),
        ("+", "kept"),
        (" ", "kept"),
        ("foo", "discarded"),
        ("Bar", "discarded"),
    ]


def test_an_empty_edit_is_right_only_where_nothing_was_wanted():
    assert kept_rate("a", "a", "a").kept_rate == 1.0
    assert kept_rate("a", "a", "b").kept_rate == 0.0
    assert kept_rate("a", "b", "a").recall_rate == 0.0


def test_edits_of_very_different_size_are_not_compared():
    long = "x" * 513
    result = kept_rate("", "", long)
    assert (result.kept_rate, result.recall_rate, result.reference_new) == (0.0, 0.0, 513)
    assert kept_rate("y", "y", "y" + long).candidate_tokens() == [("y", "discarded")]
    assert kept_rate("", long, long).kept_rate == 1.0
    assert kept_rate("", "", "x" * 512).reference_deleted == 0
    assert kept_rate("y", "y", "y " + "x" * 511).candidate_tokens() == [("y", "context")]


def test_sizes_are_bytes():
    assert kept_rate("", "é", "").candidate_new == 2


@given(CODE, CODE)
def test_the_wanted_edit_itself_is_kept_and_covers_all(base, wanted):
    result = kept_rate(base, wanted, wanted)
    assert (result.kept_rate, result.recall_rate, result.discarded) == (1.0, 1.0, 0)


@given(CODE, CODE, CODE)
def test_the_counts_add_up(base, candidate, reference):
    result = kept_rate(base, candidate, reference)
    assert result.kept + result.discarded == result.candidate_new
    assert result.context + result.candidate_new == len(candidate.encode())
    assert 0 <= result.correctly_deleted <= min(result.candidate_deleted, result.reference_deleted)
    assert 0 <= result.kept_rate <= 1
    assert 0 <= result.recall_rate <= 1
    assert "".join(token for token, _ in result.candidate_tokens()) == candidate


@given(CODE, CODE, CODE)
def test_kept_rate_and_recall_change_places_with_the_sides(base, candidate, reference):
    there, back = kept_rate(base, candidate, reference), kept_rate(base, reference, candidate)
    assert there.candidate_new == back.reference_new
    assert there.candidate_deleted == back.reference_deleted
    assert there.correctly_deleted == back.correctly_deleted


@given(st.text(), st.text(), st.text())
def test_any_text_can_be_compared(base, candidate, reference):
    assert 0 <= kept_rate(base, candidate, reference).kept_rate <= 1
