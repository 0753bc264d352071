"""What counts as a definition in each language, and which rows belong to it."""

from __future__ import annotations

import textwrap

import pytest

from capture.context.index.languages import LANGUAGES, family_of, language_of
from capture.context.index.symbols import MAX_NAME_CHARACTERS, MAX_SYMBOLS, tagger_of
from capture.parsing import TakesTooLong

# file name, its text, and what it defines: name, kind, first row, row behind the last
SAMPLES = [
    (
        "shapes.py",
        """\
        LIMIT = 3

        def area(side):
            return side * side

        @dataclass
        class Shape:
            side: int

            @property
            def size(self):
                return area(self.side)

            def grow(self): pass

        type Sides = list[int]
        """,
        [
            ("LIMIT", "constant", 0, 1),
            ("area", "function", 2, 4),
            ("Shape", "class", 5, 14),
            ("size", "method", 9, 12),
            ("grow", "method", 13, 14),
            ("Sides", "type", 15, 16),
        ],
    ),
    (
        "shapes.js",
        """\
        export const LIMIT = 3;

        export function area(side) {
          return side * side;
        }

        class Shape {
          size() {
            return area(this.side);
          }
        }

        const scaled = (shape, factor) => {
          return shape.size() * factor;
        };
        """,
        [
            ("LIMIT", "constant", 0, 1),
            ("area", "function", 2, 5),
            ("Shape", "class", 6, 11),
            ("size", "method", 7, 10),
            ("scaled", "function", 12, 15),
        ],
    ),
    (
        "shapes.ts",
        """\
        export const LIMIT: number = 3;

        export interface Sized {
          size(): number;
        }

        @sealed
        export class Shape implements Sized {
          size(): number {
            return area(this.side);
          }
        }

        export type Sides = number[];

        export enum Kind {
          Round,
        }

        export function area(side: number): number {
          return side * side;
        }
        """,
        [
            ("LIMIT", "constant", 0, 1),
            ("Sized", "interface", 2, 5),
            ("size", "method", 3, 4),
            ("Shape", "class", 6, 12),
            ("size", "method", 8, 11),
            ("Sides", "type", 13, 14),
            ("Kind", "enum", 15, 18),
            ("area", "function", 19, 22),
        ],
    ),
    (
        "label.tsx",
        """\
        export function Label({ text }: { text: string }) {
          return <span>{text}</span>;
        }
        """,
        [("Label", "function", 0, 3)],
    ),
    (
        "shapes.go",
        """\
        package shapes

        const Limit = 3

        type Shape struct {
            Side int
        }

        func (shape Shape) Size() int {
            return Area(shape.Side)
        }

        func Area(side int) int {
            return side * side
        }

        var (
            small = Shape{1}
            large = Shape{9}
        )
        """,
        [
            ("Limit", "constant", 2, 3),
            ("Shape", "type", 4, 7),
            ("Size", "method", 8, 11),
            ("Area", "function", 12, 15),
            ("small", "variable", 17, 18),
            ("large", "variable", 18, 19),
        ],
    ),
    (
        "shapes.rs",
        """\
        pub const LIMIT: u32 = 3;

        pub struct Shape {
            side: u32,
        }

        impl Shape {
            pub fn size(&self) -> u32 {
                area(self.side)
            }
        }

        pub fn area(side: u32) -> u32 {
            side * side
        }

        pub trait Sized {
            fn measured(&self) -> u32;
        }
        """,
        [
            ("LIMIT", "constant", 0, 1),
            ("Shape", "class", 2, 5),
            ("size", "method", 7, 10),
            ("area", "function", 12, 15),
            ("Sized", "interface", 16, 19),
            ("measured", "method", 17, 18),
        ],
    ),
    (
        "shapes.c",
        """\
        #define LIMIT 3

        typedef struct shape {
          int side;
        } shape;

        struct point {
          int x;
        };

        enum color { RED, GREEN };

        static int *
        area(int side)
        {
          struct point here;
          int around(int);
          return 0;
        }

        int counter = 0;
        """,
        [
            ("LIMIT", "macro", 0, 1),
            ("shape", "class", 2, 5),
            ("point", "class", 6, 9),
            ("color", "type", 10, 11),
            ("RED", "constant", 10, 11),
            ("GREEN", "constant", 10, 11),
            ("area", "function", 12, 19),
            ("counter", "variable", 20, 21),
        ],
    ),
    (
        "shapes.hpp",
        """\
        #pragma once

        template <typename Value>
        class Shape {
         public:
          int size() const;
          Value side() { return side_; }
        };

        class Forward;

        namespace shapes {
        constexpr int kLimit = 3;

        const Shape<int>& area(int side) {
          return side * side;
        }
        }

        int Shape::size() const {
          return shapes::area(2);
        }

        using Sides = std::vector<int>;
        """,
        [
            ("Shape", "class", 2, 8),
            ("size", "function", 5, 6),
            ("side", "function", 6, 7),
            ("kLimit", "variable", 12, 13),
            ("area", "function", 14, 17),
            ("size", "method", 19, 22),
            ("Sides", "type", 23, 24),
        ],
    ),
    (
        "Shape.java",
        """\
        package shapes;

        public class Shape implements Sized {
          public static final int LIMIT = 3;

          @Override
          public int size() {
            return 1;
          }
        }

        interface Sized {
          int size();
        }

        enum Kind { ROUND }

        record Point(int x, int y) {}
        """,
        [
            ("Shape", "class", 2, 10),
            ("LIMIT", "constant", 3, 4),
            ("size", "method", 5, 9),
            ("Sized", "interface", 11, 14),
            ("size", "method", 12, 13),
            ("Kind", "enum", 15, 16),
            ("ROUND", "constant", 15, 16),
            ("Point", "class", 17, 18),
        ],
    ),
    (
        "shapes.rb",
        """\
        module Shapes
          LIMIT = 3

          class Shape
            def size
              1
            end

            def self.area(side)
              side * side
            end
          end
        end
        """,
        [
            ("Shapes", "module", 0, 13),
            ("LIMIT", "constant", 1, 2),
            ("Shape", "class", 3, 12),
            ("size", "method", 4, 7),
            ("area", "method", 8, 11),
        ],
    ),
    (
        "shapes.sh",
        """\
        LIMIT=3
        readonly PLACE=here

        area() {
          local side=$1
          echo $((side * side))
        }

        function size {
          area 3
        }
        """,
        [
            ("LIMIT", "variable", 0, 1),
            ("PLACE", "variable", 1, 2),
            ("area", "function", 3, 7),
            ("size", "function", 8, 11),
        ],
    ),
    (
        "shapes.php",
        """\
        <?php
        const LIMIT = 3;

        function area(int $side): int {
            return $side * $side;
        }

        interface Sized {
            public function measured(): int;
        }

        class Shape implements Sized {
            private int $side = 1;

            public function measured(): int {
                return area($this->side);
            }
        }

        enum Kind { case Round; }
        trait Named {}
        """,
        [
            ("LIMIT", "constant", 1, 2),
            ("area", "function", 3, 6),
            ("Sized", "interface", 7, 10),
            ("measured", "method", 8, 9),
            ("Shape", "class", 11, 18),
            ("measured", "method", 14, 17),
            ("Kind", "enum", 19, 20),
            ("Named", "interface", 20, 21),
        ],
    ),
    (
        "Shapes.cs",
        """\
        namespace Shapes;

        public class Shape : ISized {
            public const int Limit = 3;
            private int side = 1;

            public int Size() {
                return Area(side);
            }

            public static int Area(int side) => side * side;
        }

        public interface ISized {
            int Size();
        }

        public record Point(int X, int Y);
        public enum Kind { Round }
        public struct Pair { }
        """,
        [
            ("Shape", "class", 2, 12),
            ("Limit", "constant", 3, 4),
            ("Size", "method", 6, 9),
            ("Area", "method", 10, 11),
            ("ISized", "interface", 13, 16),
            ("Size", "method", 14, 15),
            ("Point", "class", 17, 18),
            ("Kind", "enum", 18, 19),
            ("Pair", "class", 19, 20),
        ],
    ),
]


def symbols_of(name: str, text: str | bytes):
    language = language_of(name)
    assert language is not None
    return tagger_of(language).symbols(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize(("name", "text", "expected"), SAMPLES, ids=[sample[0] for sample in SAMPLES])
def test_each_language_gives_its_definitions_with_their_rows(name, text, expected):
    found = [(item.name, item.kind, item.start_row, item.end_row) for item in symbols_of(name, textwrap.dedent(text))]
    assert found == expected


@pytest.mark.parametrize(("name", "text", "expected"), SAMPLES, ids=[sample[0] for sample in SAMPLES])
def test_the_bytes_of_a_symbol_are_its_whole_rows(name, text, expected):
    for ends in ("\n", "\r\n"):
        source = textwrap.dedent(text).replace("\n", ends).encode()
        rows = source.splitlines(keepends=True)
        for item in symbols_of(name, source):
            assert source[item.start_byte : item.end_byte] == b"".join(rows[item.start_row : item.end_row])


def test_every_language_has_a_sample_and_there_are_twelve_of_them_at_least():
    sampled = {language_of(name) for name, _, _ in SAMPLES}
    assert sampled == set(LANGUAGES)
    assert len({language.name.removesuffix("react") for language in LANGUAGES}) >= 12


def test_an_item_without_a_final_line_end_goes_to_the_end_of_the_file():
    (item,) = symbols_of("a.py", "def last():\n    return 1")
    assert (item.end_row, item.end_byte) == (2, 24)


def test_broken_code_still_gives_what_is_whole():
    names = [
        item.name for item in symbols_of("a.py", "def first():\n    return 1\n\n\ndef second():\n    return (1,\n")
    ]
    assert "first" in names


def test_text_that_is_nothing_but_broken_pieces_is_given_up():
    with pytest.raises(TakesTooLong):
        symbols_of("a.py", "(" * 100_000)
    assert symbols_of("a.py", "") == ()


def test_only_what_is_in_capitals_is_a_constant_of_a_java_class():
    text = "class A {\n  int MAX_2 = 1, other = 2, Mixed = 3;\n}\n"
    assert [item.name for item in symbols_of("A.java", text)] == ["A", "MAX_2"]


def test_a_generated_file_gives_its_first_symbols():
    found = symbols_of("a.c", "".join(f"int value_{number} = 0;\n" for number in range(MAX_SYMBOLS + 10)))
    assert [item.name for item in found] == [f"value_{number}" for number in range(MAX_SYMBOLS)]


def test_names_in_other_scripts_keep_their_spelling_and_endless_ones_are_left_out():
    assert [item.name for item in symbols_of("a.py", "größe = 1\n名 = 2\n")] == ["größe", "名"]
    assert not symbols_of("a.py", "x" * (MAX_NAME_CHARACTERS + 1) + " = 1\n")


def test_files_of_a_name_without_a_known_suffix_have_no_language():
    assert language_of("/p/Makefile") is None
    assert language_of("/p/a.py/notes") is None
    assert family_of("/p/notes.md") == ""
    assert family_of("/p/a.tsx") == family_of("/p/a.mjs")
