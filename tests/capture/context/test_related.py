"""What is shown depends on what is known, not on when it came; and what was shown stays where it is."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from capture.context.definitions import Definition
from capture.context.related import (
    BUDGET_BYTES,
    MAX_DEFINITION_BYTES,
    ORDERS_PER_GROUP,
    Candidate,
    Group,
    choose,
    definition_candidates,
    first_rows_within,
)
from capture.inputs import RelatedExcerpt, RelatedFile, Span


def everything(path):
    return True


def rows(start_row, count):
    """Rows that say where they stand."""
    return "".join(f"row {row}\n" for row in range(start_row, start_row + count))


def candidate(path, start_row, count=2, rank=0, group=Group.DEFINITION):
    return Candidate(group, rank, path, start_row, rows(start_row, count), "lsp")


CANDIDATES = st.builds(
    candidate,
    st.sampled_from(["/w/a.py", "/w/b.py", "/w/c.py"]),
    st.integers(0, 30),
    st.integers(1, 400),
    st.integers(0, 8),
    st.sampled_from(Group),
)
SOME = st.lists(CANDIDATES, max_size=12)
PERHAPS_VISIBLE = st.none() | st.tuples(st.just("/w/a.py"), st.builds(Span, st.integers(0, 20), st.integers(20, 60)))


def excerpts_of(files):
    return [(file.path, excerpt) for file in files for excerpt in file.excerpts]


@given(SOME.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))), PERHAPS_VISIBLE)
def test_the_order_in_which_candidates_came_does_not_matter(orders, visible):
    first, second = orders
    assert choose(first, allowed=everything, visible=visible) == choose(second, allowed=everything, visible=visible)


@given(st.lists(SOME, max_size=4), PERHAPS_VISIBLE)
def test_what_was_shown_stays_a_prefix_whatever_comes(batches, visible):
    known, shown = [], ()
    for batch in batches:
        known += batch
        grown = choose(known, allowed=everything, kept=shown, visible=visible)
        assert grown[: len(shown)] == shown
        for group in Group:
            before = [item.order for _, item in excerpts_of(shown) if item.order // ORDERS_PER_GROUP == group]
            added = [
                item.order for _, item in excerpts_of(grown[len(shown) :]) if item.order // ORDERS_PER_GROUP == group
            ]
            assert not before or all(order > max(before) for order in added)
        shown = grown


@given(SOME, PERHAPS_VISIBLE)
def test_to_choose_again_changes_nothing(candidates, visible):
    chosen = choose(candidates, allowed=everything, visible=visible)
    assert choose(candidates, allowed=everything, kept=chosen, visible=visible) == chosen


@given(st.lists(SOME, max_size=3), PERHAPS_VISIBLE)
def test_no_row_is_shown_twice_nor_one_that_is_visible_and_each_as_it_is(batches, visible):
    known, shown = [], ()
    for batch in batches:
        known += batch
        shown = choose(known, allowed=everything, kept=shown, visible=visible)
    seen = Counter()
    for path, excerpt in excerpts_of(shown):
        assert excerpt.text == rows(excerpt.row_range.start, len(excerpt.row_range))
        seen.update((path, row) for row in range(excerpt.row_range.start, excerpt.row_range.end))
    assert all(count == 1 for count in seen.values())
    if visible is not None:
        assert not any((visible[0], row) in seen for row in range(visible[1].start, visible[1].end))
    orders = [excerpt.order for _, excerpt in excerpts_of(shown)]
    assert len(set(orders)) == len(orders)


@given(SOME)
def test_no_group_is_over_its_budget(candidates):
    spent = Counter()
    for _, excerpt in excerpts_of(choose(candidates, allowed=everything)):
        spent[Group(excerpt.order // ORDERS_PER_GROUP)] += len(excerpt.text.encode())
    assert all(spent[group] <= budget for group, budget in BUDGET_BYTES.items())


def test_excerpts_that_touch_become_one_as_important_as_the_more_important():
    chosen = choose([candidate("/w/a.py", 4, rank=1), candidate("/w/a.py", 6, rank=0)], allowed=everything)
    assert chosen == (RelatedFile("/w/a.py", 9, (RelatedExcerpt(Span(4, 8), rows(4, 4), 0, "lsp"),)),)


def test_files_stand_by_their_most_important_excerpt_and_excerpts_from_the_top_down():
    chosen = choose(
        [candidate("/w/a.py", 20, rank=0), candidate("/w/b.py", 0, rank=1), candidate("/w/a.py", 3, rank=2)],
        allowed=everything,
    )
    assert [file.path for file in chosen] == ["/w/a.py", "/w/b.py"]
    assert [(item.row_range.start, item.order) for item in chosen[0].excerpts] == [(3, 2), (20, 0)]


def test_a_file_that_may_not_be_seen_is_not_seen():
    assert choose([candidate("/w/.env", 0)], allowed=lambda path: not path.endswith(".env")) == ()


def test_the_length_of_a_file_is_what_is_known_of_it():
    known = candidate("/w/a.py", 4)._replace(max_row=5)
    [file] = choose([known], allowed=everything)
    assert file.max_row == 5
    [file] = choose([candidate("/w/a.py", 4)], allowed=everything)
    assert file.max_row > file.excerpts[-1].row_range.end, "it goes on, as far as anybody knows"


def test_definitions_rank_by_the_names_that_ask_for_them_and_the_likeliest_of_each_first():
    found = {
        "near": [Definition("near", "/w/a.py", 1, "near\n"), Definition("near", "/w/b.py", 2, "near too\n")],
        "far": [Definition("far", "/w/c.py", 3, "far\n")],
        "nowhere": [],
    }
    candidates = sorted(definition_candidates(["near", "nowhere", "far"], found))
    assert [each.path for each in candidates] == ["/w/a.py", "/w/b.py", "/w/c.py"]


def test_a_name_with_many_definitions_shows_two():
    found = {"run": [Definition("run", f"/w/{index}.py", 1, "run\n") for index in range(9)]}
    assert len(list(definition_candidates(["run"], found))) == 2


def test_of_a_long_definition_the_first_rows_are_shown():
    found = {"long": [Definition("long", "/w/a.py", 7, rows(7, 500))]}
    [only] = definition_candidates(["long"], found)
    assert only.text == first_rows_within(rows(7, 500), MAX_DEFINITION_BYTES)
    assert only.text.endswith("\n")
    assert MAX_DEFINITION_BYTES - 10 < len(only.text) <= MAX_DEFINITION_BYTES


def test_rows_are_never_cut():
    assert first_rows_within("größe\n" * 3, 15) == "größe\n"
    assert first_rows_within("one row", 100) == "one row\n"
    assert first_rows_within("one row", 3) == ""
