"""What the tests of syntax share: texts with marked words, and a small file in each language."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from training_export.student.syntax.parsed import Binding, ParsedFile, parse_text

ENDINGS = {
    "python": "py", "javascript": "js", "typescript": "ts", "typescriptreact": "tsx", "go": "go", "rust": "rs"
}  # fmt: skip
MARK = re.compile("«(.*?)»")

FILES = {
    "python": '''\
import json
from pathlib import Path

RATE = 0.19  # Müller's rate


class Basket:
    """Holds items; the price is theirs."""

    def __init__(self, items, rate=RATE):
        self.items = items
        self.rate = rate

    def total(self, *, discount=0):
        total = sum(item.price for item in self.items)
        if total > 100:
            total -= discount
        return f"{total:>8} {self.rate!r}"


def load(path: Path):
    with path.open() as file:
        return Basket([Item(**row) for row in json.load(file)])
''',
    "javascript": """\
import { read } from "./files.js";

const rate = 0.19;

export class Basket {
  #items = [];
  total(discount) {
    let total = 0;
    for (const item of this.#items) {
      total += item.price;
    }
    return `${total - discount} é ${rate}`;
  }
}

export const load = async (path) => {
  const { rows, name: title } = await read(path);
  return rows.map((row) => ({ row, title }));
};
""",
    "typescriptreact": """\
interface Row {
  price: number;
}

export function Basket({ rows, title }: { rows: Row[]; title: string }) {
  const total = rows.reduce((sum, row) => sum + row.price, 0);
  return (
    <section title={title}>
      Total: {total}
      <Price value={total} />
    </section>
  );
}
""",
    "go": """\
package shop

import "fmt"

type Basket struct {
	items []Item
	rate  float64
}

func (b *Basket) Total(discount float64) (string, error) {
	total := 0.0
	for i, item := range b.items {
		if price, err := item.Price(); err == nil {
			total += price * float64(i)
		} else {
			return "", fmt.Errorf("item %d: %w", i, err)
		}
	}
	return fmt.Sprint(total - discount), nil
}
""",
    "rust": """\
use std::fmt;

/// What was bought.
pub struct Basket {
    items: Vec<Item>,
    rate: f64,
}

impl Basket {
    pub fn total(&self, discount: f64) -> Option<f64> {
        let mut total = 0.0;
        for (index, item) in self.items.iter().enumerate() {
            if let Some(price) = item.price {
                total += price * index as f64;
            }
        }
        println!("total {total} of {}", self.rate);
        Some(total - discount)
    }
}
""",
}
FILES["typescript"] = (
    FILES["typescriptreact"].split("export function")[0] + "export const half = (row: Row) => row.price;\n"
)


@pytest.fixture
def parsed() -> Callable[[str, str], ParsedFile]:
    """Parses a text, which must be right."""

    def parse(language: str, text: str) -> ParsedFile:
        file = parse_text(language, "shop", f"shop/basket.{ENDINGS[language]}", text)
        assert file is not None, "the text of the test has wrong syntax"
        return file

    return parse


@pytest.fixture(params=FILES)
def some_file(request: pytest.FixtureRequest, parsed: Callable[[str, str], ParsedFile]) -> ParsedFile:
    """A file in each of the languages."""
    return parsed(request.param, FILES[request.param])


@pytest.fixture
def check(parsed: Callable[[str, str], ParsedFile]) -> Callable[[str, str], Binding]:
    """Whether the words in «» are all those that stand for the same as the first of them, and no other."""

    def checked(language: str, marked: str) -> Binding:
        file = parsed(language, MARK.sub(r"\1", marked))
        wanted = []
        for row, line in enumerate(marked.split("\n")):
            wanted += [(row, found.start() - 2 * count) for count, found in enumerate(MARK.finditer(line))]
        words = {(word.row, word.start): word for row in file.words.values() for word in row}
        binding = file.binding(words[wanted[0]])
        assert binding is not None
        assert [(word.row, word.start) for word in binding.words] == wanted
        assert file.references(words[wanted[-1]]) == binding.words
        return binding

    return checked
