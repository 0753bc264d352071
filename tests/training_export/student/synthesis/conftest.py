"""What the tests of synthesis share: a small project in each language, parsed and as sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest

from training_export.student.sources.source_file import SourceFile
from training_export.student.syntax.parsed import ParsedFile, parse
from training_export.student.synthesis.moment import Moment, Surroundings

NAMES = ("amount", "basket_size", "entry", "logger", "price_range", "window", "offset", "limit", "target_name")
TYPE_NAMES = ("Amount", "Window", "OrderEntry", "PriceRange")

PYTHON_PRICES = '''\
"""Prices: what an item costs, and what a basket does."""

import logging

RATE = 0.19
log = logging.getLogger(__name__)


def net_price(item, quantity):
    """The price of an item before tax; quantity must be positive."""
    if quantity <= 0:
        return 0.0
    price = item.price * quantity
    if item.fragile:
        price = price + 2 * quantity
    return round(price, 2)


def gross_price(item, quantity):
    price = net_price(item, quantity)
    price = price * (1 + RATE)
    return round(price, 2)


class Basket:
    def __init__(self, customer):
        self.customer = customer
        self.lines = []

    def add(self, item, quantity=1):
        self.lines.append((item, quantity))

    def total(self):
        total = 0.0
        for item, quantity in self.lines:
            total += gross_price(item, quantity)
        return total

    def describe(self, out):
        out.info("customer", self.customer)
        out.info("lines", len(self.lines))
        out.info("total", self.total())
        return f"{self.customer}: {self.total()}"
'''
PYTHON_REPORT = '''\
"""Reports about baskets."""

from shop.prices import Basket, gross_price, net_price


def report(baskets, out):
    for basket in baskets:
        out.write(basket.customer)
        for item, quantity in basket.lines:
            net = net_price(item, quantity)
            gross = gross_price(item, quantity)
            out.write(f"{item.name} {net} {gross}")
        out.write(str(basket.total()))


def cheapest(items):
    items = sorted(items, key=lambda item: net_price(item, 1))
    return items[0]


def dearest(items):
    items = sorted(items, key=lambda item: -net_price(item, 1))
    return items[0]


def empty_basket(customer):
    basket = Basket(customer)
    basket.lines.clear()
    return basket
'''
JAVASCRIPT = """\
import { read } from "./files.js";

const rate = 0.19;
const limit = 100;

export function netPrice(item, quantity) {
  if (quantity <= 0) {
    return 0;
  }
  let price = item.price * quantity;
  if (item.fragile) {
    price = price + 2 * quantity;
  }
  return price;
}

export class Basket {
  constructor(customer) {
    this.customer = customer;
    this.lines = [];
  }

  add(item, quantity = 1) {
    this.lines.push({ item, quantity });
  }

  total() {
    let total = 0;
    for (const { item, quantity } of this.lines) {
      total += netPrice(item, quantity) * (1 + rate);
    }
    return total > limit ? total * 0.9 : total;
  }
}

export async function load(path) {
  const rows = await read(path);
  const basket = new Basket(rows.customer);
  rows.items.forEach((row) => basket.add(row));
  return basket;
}
"""
TYPESCRIPT = """\
interface Item {
  name: string;
  price: number;
}

type Line = { item: Item; quantity: number };

const RATE = 0.19;

export function netPrice(item: Item, quantity: number): number {
  if (quantity <= 0) {
    return 0;
  }
  const price = item.price * quantity;
  return Math.round(price);
}

export class Basket {
  private lines: Line[] = [];

  constructor(readonly customer: string) {}

  add(item: Item, quantity: number): void {
    this.lines.push({ item, quantity });
  }

  total(): number {
    let total = 0;
    for (const line of this.lines) {
      total += netPrice(line.item, line.quantity) * (1 + RATE);
    }
    return total;
  }

  describe(): string[] {
    return this.lines.map((line) => `${line.item.name}: ${line.quantity}`);
  }
}
"""
GO = """\
package shop

import (
	"errors"
	"fmt"
)

const rate = 0.19

var errEmpty = errors.New("empty")

type Item struct {
	Name  string
	Price float64
}

type Basket struct {
	customer string
	items    []Item
}

func netPrice(item Item, quantity int) (float64, error) {
	if quantity <= 0 {
		return 0, errEmpty
	}
	price := item.Price * float64(quantity)
	return price, nil
}

func (b *Basket) Add(item Item) {
	b.items = append(b.items, item)
}

func (b *Basket) Total() (float64, error) {
	total := 0.0
	for _, item := range b.items {
		price, err := netPrice(item, 1)
		if err != nil {
			return 0, fmt.Errorf("item %s: %w", item.Name, err)
		}
		total += price * (1 + rate)
	}
	return total, nil
}
"""
RUST = """\
use std::fmt;

const RATE: f64 = 0.19;

/// One thing that can be bought.
pub struct Item {
    pub name: String,
    pub price: f64,
}

pub struct Basket {
    customer: String,
    items: Vec<Item>,
}

pub fn net_price(item: &Item, quantity: u32) -> Option<f64> {
    if quantity == 0 {
        return None;
    }
    let price = item.price * f64::from(quantity);
    Some(price)
}

impl Basket {
    pub fn new(customer: String) -> Self {
        Self { customer, items: Vec::new() }
    }

    pub fn add(&mut self, item: Item) {
        self.items.push(item);
    }

    pub fn total(&self) -> f64 {
        let mut total = 0.0;
        for item in &self.items {
            if let Some(price) = net_price(item, 1) {
                total += price * (1.0 + RATE);
            }
        }
        println!("{}: {total}", self.customer);
        total
    }
}

impl fmt::Display for Item {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.name, self.price)
    }
}
"""
SOURCES = (
    SourceFile("python", "shop", "shop/prices.py", PYTHON_PRICES),
    SourceFile("python", "shop", "shop/report.py", PYTHON_REPORT),
    SourceFile("javascript", "shop-js", "src/basket.js", JAVASCRIPT),
    SourceFile("typescript", "shop-ts", "src/basket.ts", TYPESCRIPT),
    SourceFile("go", "shop-go", "basket.go", GO),
    SourceFile("rust", "shop-rs", "src/basket.rs", RUST),
)
LANGUAGES = tuple(dict.fromkeys(source.language for source in SOURCES))

Maker = Callable[[ParsedFile, Random, Surroundings], Moment | None]
Moments = Callable[..., list[Moment]]


def parsed(source: SourceFile) -> ParsedFile:
    file = parse(source)
    assert file is not None
    return file


@pytest.fixture(scope="session")
def sources() -> tuple[SourceFile, ...]:
    """The files of the projects."""
    return SOURCES


@pytest.fixture(scope="session")
def files() -> dict[str, ParsedFile]:
    """The first file in each language."""
    return {source.language: parsed(source) for source in reversed(SOURCES)}


@pytest.fixture(scope="session")
def surroundings() -> Surroundings:
    """Names to use, and the other file of the Python project."""
    return Surroundings(NAMES, TYPE_NAMES, (parsed(SOURCES[1]),))


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    """Each language in turn."""
    return str(request.param)


@pytest.fixture
def moments(files: dict[str, ParsedFile], surroundings: Surroundings) -> Moments:
    """So many moments of one maker in one language, from one seed on; some there must be."""

    def make(
        maker: Maker, language: str = "python", count: int = 25, seed: int = 1, *, may_be_none: bool = False
    ) -> list[Moment]:
        def drawn() -> Iterator[Moment]:
            random = Random(seed)
            for _ in range(20 * count):
                moment = maker(files[language], random, surroundings)
                if moment is not None:
                    yield moment

        found = [moment for moment, _ in zip(drawn(), range(count), strict=False)]
        assert found or may_be_none, f"the file in {language} gives no such moment"
        return found

    return make
