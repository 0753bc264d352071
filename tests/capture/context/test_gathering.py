"""A session's context: gathered in the background, never waited for, and steady under the fingers."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.context.asking import ASK_AGAIN_SECONDS
from capture.context.cochange import CoChange, Neighbour
from capture.context.definitions import Definition
from capture.context.gathering import Context
from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from capture.inputs import RelatedExcerpt, RelatedFile, Span

PATIENCE_SECONDS = 5.0
MAIN, OTHER = "file:///w/main.py", "file:///w/other.py"


def definition(name, path="/w/lib.py", row=0, text=None):
    return Definition(name, path, row, text or f"def {name}(): ...\n")


def everything(path):
    return True


class Source:
    """Knows what it is told; ``hold`` makes it wait for ``release``."""

    def __init__(self, *known):
        self.known = {each.name: [each] for each in known}
        self.asked = []
        self.cancelled = 0
        self.at_once = 0
        self.most_at_once = 0
        self.news = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()

    def hold(self):
        self._free.clear()

    def release(self):
        self._free.set()

    async def definitions(self, path, identifiers):
        self.asked.append((path, [identifier.name for identifier in identifiers]))
        self.news.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self._free.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1
        names = [identifier.name for identifier in identifiers]
        return {name: self.known[name] for name in names if name in self.known}


class Window:
    """A session that types."""

    def __init__(self, *sources, predicted_in=everything, shown_elsewhere=everything, co_change=None):
        self.seconds = 0.0
        self.problems = {}
        self._changed = asyncio.Event()
        self.changes = 0
        self.context = Context(
            sources,
            predicted_in=predicted_in,
            shown_elsewhere=shown_elsewhere,
            displayed=lambda path: path.removeprefix("/w/"),
            co_change=co_change,
            on_change=self._note,
            on_problems=self._note_problems,
            pause_seconds=0,
            quiet_seconds=0,
            clock=lambda: self.seconds,
        )
        self.documents = {}

    def _note(self, uri):
        assert uri in self.documents
        self.changes += 1
        self._changed.set()

    def _note_problems(self, uri, version, problems):
        self.problems[uri] = (version, problems)
        self._changed.set()

    def open(self, text, uri=MAIN, language_id="python"):
        self.documents[uri] = Document(text, version=1)
        self.context.opened(uri, uri.removeprefix("file://"), language_id, self.documents[uri])

    def type(self, text, line, character, uri=MAIN):
        here = Position(line, character)
        document = self.documents[uri]
        document.change(None, [ContentChange(Range(here, here), text)])
        start = document.offset_bytes(here)
        self.context.edited(uri, document.position_at(start + len(text.encode())))

    def look(self, line, character=0, uri=MAIN):
        self.context.viewed(uri, Position(line, character))

    def shown(self, uri=MAIN):
        """Paths and texts, by importance."""
        excerpts = [(item.order, file.path, item.text) for file in self.context.related(uri) for item in file.excerpts]
        return [(path, text) for _, path, text in sorted(excerpts)]

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def gathered(self, uri=MAIN):
        """The text as it is was looked at."""
        await self.until(lambda: uri in self.problems and self.problems[uri][0] == self.documents[uri].version)

    async def asked(self, source, count):
        """The source was asked so often."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(source.asked) < count:
                source.news.clear()
                await source.news.wait()


@pytest.fixture
async def window():
    opened = []

    def make(*sources, **options):
        opened.append(Window(*sources, **options))
        return opened[-1]

    yield make
    for each in opened:
        await each.context.close()


async def test_definitions_of_the_names_near_the_cursor_are_shown(window):
    at = window(Source(definition("price"), definition("far")))
    at.open("total = price\n" + "\n" * 9 + "far\n")
    assert at.shown() == [], "nothing is known yet, and nothing is waited for"
    at.look(0)
    await at.until(lambda: at.shown() == [("lib.py", "def price(): ...\n")])


async def test_it_has_the_form_that_models_get(window):
    at = window(Source(definition("price", row=7)))
    at.open("price\n")
    at.look(0)
    await at.until(lambda: at.context.related(MAIN))
    excerpt = RelatedExcerpt(Span(7, 8), "def price(): ...\n", 0, "lsp")
    [file] = at.context.related(MAIN)
    assert file == RelatedFile("lib.py", file.max_row, (excerpt,))


async def test_of_two_sources_that_know_a_name_the_first_counts(window):
    best = Source(definition("price", "/w/best.py"))
    least = Source(definition("price", "/w/least.py"), definition("count", "/w/least.py", 5))
    at = window(best, least)
    at.open("price, count\n")
    at.look(0)
    await at.until(lambda: len(at.shown()) == 2)
    assert [path for path, _ in at.shown()] == ["best.py", "least.py"]


async def test_a_slow_source_holds_up_no_other(window):
    slow = Source(definition("price", "/w/slow.py"))
    slow.hold()
    at = window(slow, Source(definition("price", "/w/quick.py")))
    at.open("price\n")
    at.look(0)
    await at.until(lambda: at.shown() == [("quick.py", "def price(): ...\n")])


async def test_what_a_prediction_had_stays_when_a_better_source_answers_later(window):
    slow = Source(definition("price", "/w/better.py"), definition("count", "/w/better.py", 3))
    slow.hold()
    at = window(slow, Source(definition("price", "/w/quick.py")))
    at.open("price, count\n")
    at.look(0)
    await at.until(at.shown)
    before = at.context.related(MAIN)
    slow.release()
    await at.until(lambda: len(at.shown()) == 3)
    assert at.context.related(MAIN)[: len(before)] == before


async def test_as_long_as_no_prediction_had_it_the_better_answer_takes_its_place(window):
    slow = Source(definition("price", "/w/better.py"))
    slow.hold()
    at = window(slow, Source(definition("price", "/w/quick.py")))
    at.open("price\n")
    at.look(0)
    await at.until(lambda: at.changes == 1)
    slow.release()
    await at.until(lambda: at.changes == 2)
    assert at.shown() == [("better.py", "def price(): ...\n")]


async def test_while_somebody_types_what_is_shown_only_grows(window):
    at = window(Source(*(definition(name, f"/w/{name}.py") for name in "abcdef")))
    at.open("c + b\n\n")
    at.look(1)
    await at.until(lambda: len(at.shown()) == 2)
    seen = [at.context.related(MAIN)]
    for character, name in enumerate("afde"):
        at.type(f"{name} ", 1, 2 * character)
        count = len(seen)
        await at.until(lambda count=count: len(at.shown()) == 2 + count)
        seen.append(at.context.related(MAIN))
    for before, after in pairwise(seen):
        assert after[: len(before)] == before


async def test_where_the_cursor_leaves_its_rows_the_nearest_comes_first_again(window):
    at = window(Source(*(definition(name, f"/w/{name}.py") for name in "abc")))
    at.open("a\n\n\n\n\nb\nc\n\n\n")
    at.look(0)
    await at.until(lambda: at.shown() == [("a.py", "def a(): ...\n")])
    at.look(7)
    await at.until(lambda: [path for path, _ in at.shown()] == ["c.py", "b.py"])


async def test_until_something_is_known_of_a_new_place_the_old_context_is_given(window):
    source = Source(definition("a", "/w/a.py"), definition("b", "/w/b.py"))
    at = window(source)
    at.open("a\n" + "\n" * 9 + "b\n")
    at.look(0)
    await at.until(at.shown)
    source.hold()
    at.look(10)
    await at.asked(source, 2)
    assert at.shown() == [("a.py", "def a(): ...\n")]
    source.release()
    await at.until(lambda: at.shown() == [("b.py", "def b(): ...\n")])


async def test_a_name_is_asked_once_a_place(window):
    source = Source(definition("a"))
    at = window(source)
    at.open("a\n\n")
    at.look(0)
    await at.asked(source, 1)
    at.type("b ", 1, 0)
    await at.asked(source, 2)
    assert source.asked == [("/w/main.py", ["a"]), ("/w/main.py", ["b"])]


async def test_a_name_that_nothing_was_said_of_is_asked_again_but_not_at_once(window):
    source = Source()
    at = window(source)
    at.open("a\n\n")
    at.look(0)
    await at.asked(source, 1)
    at.type(" ", 1, 0)
    await at.gathered()
    assert len(source.asked) == 1
    at.seconds += ASK_AGAIN_SECONDS
    at.type(" ", 1, 0)
    await at.asked(source, 2)
    assert source.asked[1] == ("/w/main.py", ["a"])


async def test_what_a_source_saw_in_an_older_text_of_an_open_file_is_not_shown_and_asked_again(window):
    source = Source(definition("price", "/w/other.py", 29))
    at = window(source)
    at.open("\n" * 30 + "def price(): ...\n", OTHER)
    at.open("price\n\n")
    at.look(0)
    await at.asked(source, 1)
    at.type(" ", 1, 0)
    await at.gathered()
    assert at.shown() == []
    assert len(source.asked) == 1
    source.known = {"price": [definition("price", "/w/other.py", 30)]}
    at.seconds += ASK_AGAIN_SECONDS
    at.type(" ", 1, 0)
    await at.until(lambda: at.shown() == [("other.py", "def price(): ...\n")])


async def test_a_source_is_asked_one_question_at_a_time_and_the_newest_next(window):
    source = Source(definition("a"), definition("d"))
    source.hold()
    at = window(source)
    at.open("a\n\n")
    at.look(0)
    await at.asked(source, 1)
    for character, name in enumerate("bcd"):
        at.type(f"{name} ", 1, 2 * character)
        await at.gathered()
    source.release()
    await at.asked(source, 2)
    assert sorted(source.asked[1][1]) == ["b", "c", "d"]
    assert source.most_at_once == 1
    assert source.cancelled == 0


async def test_a_question_about_another_place_ends_the_one_under_way(window):
    source = Source(definition("a", "/w/a.py"), definition("b", "/w/b.py"))
    source.hold()
    at = window(source)
    at.open("a\n" + "\n" * 9 + "b\n")
    at.look(0)
    await at.asked(source, 1)
    at.look(10)
    await at.asked(source, 2)
    source.release()
    await at.until(lambda: at.shown() == [("b.py", "def b(): ...\n")])
    assert (source.cancelled, source.most_at_once) == (1, 1)


async def test_a_source_that_knows_more_is_asked_again(window):
    source = Source()
    at = window(source)
    at.open("a\n")
    at.look(0)
    await at.asked(source, 1)
    source.known = {"a": [definition("a")]}
    at.context.knows_more(source, MAIN)
    await at.until(at.shown)


async def test_of_the_cursors_own_file_only_rows_out_of_sight_are_shown_and_only_where_they_still_stand(window):
    near, far = definition("near", "/w/main.py", 0), definition("far", "/w/main.py", 9002)
    at = window(Source(near, far))
    at.open(near.text + "near, far\n" + "x\n" * 9000 + far.text)
    at.look(1)
    await at.until(lambda: at.shown() == [("main.py", far.text)])
    at.type("\n", 1, 0)
    assert at.shown() == [], "it stands one row lower now"


async def test_an_excerpt_that_an_open_file_no_longer_says_is_left_out_at_once(window):
    at = window(Source(definition("price", "/w/other.py", 0, "def price(): ...\n")))
    at.open("def price(): ...\n", OTHER)
    at.open("price\n")
    at.look(0)
    await at.until(lambda: at.shown() == [("other.py", "def price(): ...\n")])
    document = at.documents[OTHER]
    document.change(None, [ContentChange(Range(Position(0, 4), Position(0, 9)), "cost")])
    assert at.shown() == []


async def test_every_file_passes_the_gate_each_time(window):
    forbidden = set()
    source = Source(definition("a", "/w/secret.py"), definition("b", "/w/b.py"))
    at = window(source, predicted_in=lambda path: path not in forbidden)
    at.open("a, b\n")
    at.look(0)
    await at.until(lambda: len(at.shown()) == 2)
    forbidden.add("/w/secret.py")
    assert [path for path, _ in at.shown()] == ["b.py"]


async def test_a_file_that_may_not_be_shown_elsewhere_is_not_and_has_context_itself(window):
    source = Source(definition("a", "/w/ignored.py"), definition("b", "/w/b.py"))
    at = window(source, shown_elsewhere=lambda path: path not in {"/w/ignored.py", "/w/main.py"})
    at.open("a, b\n")
    at.look(0)
    await at.until(at.shown)
    assert [path for path, _ in at.shown()] == ["b.py"]


async def test_about_a_file_that_nothing_is_predicted_in_nothing_is_asked(window):
    source = Source(definition("a"))
    at = window(source, predicted_in=lambda path: path != "/w/main.py")
    at.open("a\n")
    at.look(0)
    for _ in range(5):  # the gathering that comes of it
        await asyncio.sleep(0)
    at.open("a\n", OTHER)
    at.look(0, uri=OTHER)
    await at.asked(source, 1)
    assert source.asked == [("/w/other.py", ["a"])]


async def test_recent_files_follow_the_definitions(window):
    at = window(Source(definition("price")))
    at.open("edited here\n", OTHER)
    at.type("x", 0, 0, OTHER)
    at.open("price\n")
    at.look(0)
    await at.until(lambda: len(at.shown()) == 2)
    assert at.shown() == [("lib.py", "def price(): ...\n"), ("other.py", "xedited here\n")]
    sources = {file.path: file.excerpts[0].context_source for file in at.context.related(MAIN)}
    assert sources == {"lib.py": "lsp", "other.py": "edit_history"}


async def test_without_any_source_recent_files_are_shown(window):
    at = window()
    at.open("edited here\n", OTHER)
    at.open("price\n")
    at.look(0)
    await at.until(lambda: at.shown() == [("other.py", "edited here\n")])


async def test_syntax_errors_are_told_with_their_version(window):
    at = window()
    at.open("a = = 1\n\n\n")
    at.look(2)
    await at.until(lambda: MAIN in at.problems)
    version, [problem] = at.problems[MAIN]
    assert version == 1
    assert problem.range.start.line == 0


async def test_an_error_in_the_row_that_somebody_left_is_told_then(window):
    at = window()
    at.open("a = = 1\n\n\n")
    at.look(0)
    await at.until(lambda: at.problems.get(MAIN) == (1, ()))
    at.look(2)
    await at.until(lambda: at.problems[MAIN] != (1, ()))


async def test_a_document_that_was_closed_has_no_context_and_its_answers_come_to_nothing(window):
    source = Source(definition("a"))
    source.hold()
    at = window(source)
    at.open("a\n")
    at.look(0)
    await at.asked(source, 1)
    at.context.closed(MAIN)
    source.release()
    at.open("\n", OTHER)
    at.look(0, uri=OTHER)
    await at.until(lambda: OTHER in at.problems)
    assert at.shown() == []


async def test_closing_ends_what_is_under_way(window):
    source = Source()
    source.hold()
    at = window(source)
    at.open("a\n")
    at.look(0)
    await at.asked(source, 1)
    await at.context.close()
    assert source.cancelled == 1


async def test_files_that_are_committed_together_come_last(window, tmp_path):
    (tmp_path / "lib.py").write_text("def lib(): ...\n")

    class Together(CoChange):
        async def neighbours(self, path):
            assert path == "/w/main.py"
            real = str(tmp_path.resolve() / "lib.py")
            return (Neighbour("/w/gone.py", "/no/such/file"), Neighbour("/w/together.py", real))

    at = window(Source(definition("price")), co_change=Together())
    at.open("price\n")
    at.look(0)
    await at.until(lambda: len(at.shown()) == 2)
    assert at.shown()[-1] == ("together.py", "def lib(): ...\n")
    assert at.context.related(MAIN)[-1].excerpts[0].context_source == "git_log"


NAMES = ["alpha", "beta", "gamma", "delta"]


@given(st.permutations(NAMES), st.integers(1, 4))
def test_in_whatever_order_answers_come_the_same_is_shown_in_the_end(order, batches):
    """As long as no prediction was made in between."""

    class InOrder:
        """Knows the names in ``order``, some more with each question."""

        def __init__(self):
            self.known = []

        async def definitions(self, path, identifiers):
            assert path == "/w/main.py"
            names = [each.name for each in identifiers if each.name in self.known]
            return {name: [definition(name, f"/w/{name}.py")] for name in names}

    async def shown_in_the_end():
        source = InOrder()
        at = Window(source)
        at.open(", ".join(NAMES) + "\n")
        at.look(0)
        step = -(-len(order) // batches)
        for end in range(step, len(order) + step, step):
            source.known = order[:end]
            changes = at.changes
            at.context.knows_more(source, MAIN)
            await at.until(lambda changes=changes: at.changes > changes)
        shown = at.shown()
        await at.context.close()
        return shown

    assert asyncio.run(shown_in_the_end()) == [(f"{name}.py", f"def {name}(): ...\n") for name in NAMES]
