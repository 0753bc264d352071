"""A document keeps its side, and the candidate gets the share of them that was asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.trying.sides import is_candidates

shares = st.floats(0, 1)
documents = st.text()


@given(documents, st.text(), shares, shares)
def test_a_document_of_the_candidate_stays_one_however_much_the_share_is_raised(document, salt, share, other):
    low, high = sorted((share, other))
    if is_candidates(document, salt=salt, share=low):
        assert is_candidates(document, salt=salt, share=high)


@given(documents, st.text())
def test_no_share_has_none_of_the_documents_and_the_whole_all(document, salt):
    assert not is_candidates(document, salt=salt, share=0.0)
    assert is_candidates(document, salt=salt, share=1.0)


@given(st.integers(0, 10**9), st.sampled_from([0.05, 0.15, 0.5, 0.9]))
def test_the_share_of_many_documents_is_the_one_asked_for(salt, share):
    count = 2000
    found = sum(is_candidates(f"file:///project/{number}.py", salt=str(salt), share=share) for number in range(count))
    # Five standard deviations: exceeded once in 1.7 million draws.
    assert abs(found - share * count) <= 5 * (count * share * (1 - share)) ** 0.5


def test_another_trial_takes_other_documents():
    names = [f"file:///project/{number}.py" for number in range(1000)]
    first, second = ({one for one in names if is_candidates(one, salt=salt, share=0.3)} for salt in ("a", "b"))
    assert 0.2 < len(first & second) / len(first) < 0.4


def test_a_document_is_the_same_however_the_editor_escapes_its_name():
    names = [f"file:///a%20b/{number}.py" for number in range(100)]
    sides = [is_candidates(name, salt="x", share=0.5) for name in names]
    assert [is_candidates(name.replace("%20", " "), salt="x", share=0.5) for name in names] == sides
    assert len(set(sides)) == 2
