"""The table says what a plain dictionary would, ranks by nearness, and stays within its memory."""

from __future__ import annotations

import gc
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from capture.context.index.symbols import Symbol
from capture.context.index.table import MAX_FILES_OF_NAME, MAX_FOUND, SymbolTable


def symbol(name: str, row: int = 0) -> Symbol:
    return Symbol(name, "function", row, row + 1, row * 10, row * 10 + 10)


PLENTY = 1 << 30
PATHS = st.sampled_from(
    [f"/w/{folder}/{name}.{suffix}" for folder in ("a", "a/b", "c") for name in "xyz" for suffix in ("py", "go")]
)
NAMES = st.sampled_from(["alpha", "beta", "gamma", "δέλτα"])
SYMBOLS = st.lists(st.builds(symbol, NAMES, st.integers(0, 5)), max_size=4, unique=True)


def paths_of(table: SymbolTable, name: str, asking: str) -> list[str]:
    return [found.path for found in table.find(name, asking)]


def test_what_is_near_comes_first_and_the_own_file_before_all():
    table = SymbolTable(PLENTY)
    for path in ("/w/z/far.py", "/w/a/other/in.py", "/w/a/up.py", "/w/a/b/beside.py", "/w/a/b/asking.py"):
        table.replace(path, [symbol("area")], may_evict=True)
    expected = ["/w/a/b/asking.py", "/w/a/b/beside.py", "/w/a/up.py", "/w/a/other/in.py"]
    assert paths_of(table, "area", "/w/a/b/asking.py") == expected
    assert len(expected) == MAX_FOUND


def test_equally_near_files_are_in_the_order_of_their_paths_however_they_came():
    for order in (("/w/a.py", "/w/b.py"), ("/w/b.py", "/w/a.py")):
        table = SymbolTable(PLENTY)
        for path in order:
            table.replace(path, [symbol("area", 3), symbol("area", 1)], may_evict=True)
        found = [(hit.path, hit.symbol.start_row) for hit in table.find("area", "/w/asking.py")]
        assert found == [("/w/a.py", 1), ("/w/a.py", 3), ("/w/b.py", 1), ("/w/b.py", 3)]


def test_languages_that_do_not_call_each_other_are_kept_apart():
    table = SymbolTable(PLENTY)
    for path in ("/w/a.py", "/w/a.go", "/w/a.js", "/w/a.ts"):
        table.replace(path, [symbol("area")], may_evict=True)
    assert paths_of(table, "area", "/w/x.py") == ["/w/a.py"]
    assert paths_of(table, "area", "/w/x.tsx") == ["/w/a.js", "/w/a.ts"]
    assert len(paths_of(table, "area", "/w/notes.md")) == 4


def test_a_name_that_everybody_defines_means_nothing_outside_the_own_file():
    table = SymbolTable(PLENTY)
    for number in range(MAX_FILES_OF_NAME):
        table.replace(f"/w/{number}.py", [symbol("main")], may_evict=True)
    assert len(paths_of(table, "main", "/w/asking.py")) == MAX_FOUND
    table.replace("/w/one_more.py", [symbol("main")], may_evict=True)
    assert paths_of(table, "main", "/w/asking.py") == []
    assert paths_of(table, "main", "/w/one_more.py") == ["/w/one_more.py"]


def test_what_is_walked_stays_out_of_a_full_table_and_what_is_touched_pushes_out_the_longest_unused():
    table = SymbolTable(PLENTY)
    table.replace("/w/a.py", [symbol("a")], may_evict=False)
    room_for_three = SymbolTable(3 * table.memory_bytes)
    for name in "abc":
        assert room_for_three.replace(f"/w/{name}.py", [symbol(name)], may_evict=False)
    assert not room_for_three.replace("/w/d.py", [symbol("d")], may_evict=False)
    room_for_three.find("a", "/w/x.py")  # used: now b is the longest unused
    assert room_for_three.replace("/w/d.py", [symbol("d")], may_evict=True)
    assert sorted(room_for_three.paths) == ["/w/a.py", "/w/c.py", "/w/d.py"]
    assert room_for_three.find("b", "/w/x.py") == ()


def test_a_file_that_is_too_much_alone_pushes_nothing_out_and_leaves_nothing_of_its_past():
    table = SymbolTable(10_000)
    table.replace("/w/a.py", [symbol("a")], may_evict=True)
    table.replace("/w/b.py", [symbol("b")], may_evict=True)
    assert not table.replace("/w/b.py", [symbol(f"b{row}", row) for row in range(100)], may_evict=True)
    assert table.paths == ("/w/a.py",)
    assert table.find("b", "/w/b.py") == ()


class TableAndDictionary(RuleBasedStateMachine):
    """The table against a dictionary of everything, most recent last."""

    files = Bundle("files")

    def __init__(self) -> None:
        super().__init__()
        self.table = SymbolTable(PLENTY)
        self.model: dict[str, list[Symbol]] = {}

    @rule(target=files, path=PATHS, symbols=SYMBOLS, may_evict=st.booleans())
    def replace(self, path, symbols, may_evict):
        assert self.table.replace(path, symbols, may_evict=may_evict)
        self.model.pop(path, None)
        self.model[path] = symbols
        return path

    @rule(path=consumes(files))
    def remove(self, path):
        self.table.remove(path)
        self.model.pop(path, None)

    @rule(name=NAMES, asking=PATHS)
    def find(self, name, asking):
        found = self.table.find(name, asking)
        defined = {
            (path, item)
            for path, symbols in self.model.items()
            for item in symbols
            if item.name == name and path[-3:] == asking[-3:]
        }
        assert len(found) == min(len(defined), MAX_FOUND)
        assert {(hit.path, hit.symbol) for hit in found} <= defined
        if any(path == asking for path, _ in defined):
            assert found[0].path == asking
        for path in dict.fromkeys(hit.path for hit in found):
            self.model[path] = self.model.pop(path)

    @invariant()
    def they_agree(self):
        assert self.table.paths == tuple(self.model)
        assert self.table.symbol_count == sum(map(len, self.model.values()))
        names = {item.name for symbols in self.model.values() for item in symbols}
        assert (self.table.memory_bytes == 0) == (not self.model)
        assert self.table.memory_bytes >= 256 * self.table.symbol_count + 360 * len(names)


TestTableAndDictionary = TableAndDictionary.TestCase


@given(st.lists(st.tuples(PATHS, SYMBOLS, st.booleans()), max_size=40), st.integers(2_000, 8_000))
def test_whatever_comes_the_table_keeps_within_its_limit(steps, limit_bytes):
    table = SymbolTable(limit_bytes)
    for path, symbols, may_evict in steps:
        kept = table.replace(path, symbols, may_evict=may_evict)
        assert kept == (path in table.paths)
        assert table.memory_bytes <= limit_bytes
    for path in table.paths:
        table.remove(path)
    assert table.memory_bytes == 0


def test_the_memory_that_is_counted_covers_what_is_allocated():
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    table = SymbolTable(PLENTY)
    for file in range(300):
        items = [
            Symbol(f"name_{file % 100}_{number}", "function", number * 7 + 300, number * 7 + 305, number * 300 + 300, number * 300 + 500)
            for number in range(40)
        ]  # fmt: skip
        table.replace(f"/home/somebody/workspace/package/folder/file_{file}.py", items, may_evict=True)
    gc.collect()
    allocated = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert allocated <= table.memory_bytes <= 2.5 * allocated
