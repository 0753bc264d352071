"""One file of orders in five languages: what a test asks about stands in each of them."""

from __future__ import annotations

PYTHON = '''\
"""Orders: what is bought, and what is said about it."""

import logging
from math import ceil, floor
from pathlib import Path

RATE = 0.19
KEYS = {
    "order_id": 1,
    "unit_price": 2,
    "tax_rate": 3,
    "plain": 4,
}
log = logging.getLogger(__name__)


class Order:
    def __init__(self, customer, lines, currency):
        self.customer = customer
        self.lines = lines
        self.currency = currency

    def describe(self, out):
        # out.write is called once for each part
        out.write("customer", self.customer)
        out.write("currency", self.currency)
        out.write("number of lines", self.lines)
        out.flush("do not write twice")
        return f"{self.customer} pays"

    def total(self):
        first = price_of(self.lines, 1)
        second = price_of(self.customer, 2)
        log.debug("price_of(self, 3) was asked")
        return first + second


def price_of(item, quantity):
    price = item.price * quantity
    if quantity > 10:
        price = price * 0.9
        log.info(f"many of {item}")
    return round(price, 2)


def state_name(state):
    if state == "open":
        return "is open"
    elif state == "paid":
        return "is paid"
    elif state == "sent":
        return "is sent"
    else:
        return None


async def load(folder, client):
    where = Path(folder)
    checked = where.resolve()
    answer = await client.fetch(checked)
    log.info(f"loaded {answer}")
    log.info(f"found {where}")
    return answer


def save(order):
    note = "kept"
    print(note)
    return floor(order.total())


def tidy(order):
    count = 0
    for line in order.lines:
        count = count + ceil(line)
    return count
'''
JAVASCRIPT = """\
// Orders: what is bought, and what is said about it.
import { ceil, floor } from "./numbers.js";
import { Path } from "./paths.js";

const RATE = 0.19;
const KEYS = {
  "order_id": 1,
  "unit_price": 2,
  "tax_rate": 3,
  "plain": 4,
};

class Order {
  constructor(customer, lines, currency) {
    this.customer = customer;
    this.lines = lines;
    this.currency = currency;
  }

  describe(out) {
    // out.write is called once for each part
    out.write("customer", this.customer);
    out.write("currency", this.currency);
    out.write("number of lines", this.lines);
    out.flush("do not write twice");
    return `${this.customer} pays`;
  }

  total() {
    const first = priceOf(this.lines, 1);
    const second = priceOf(this.customer, 2);
    console.log("priceOf(this, 3) was asked");
    return first + second;
  }
}

function priceOf(item, quantity) {
  let price = item.price * quantity;
  if (quantity > 10) {
    price = price * 0.9;
    console.log(`many of ${item}`);
  }
  return Math.round(price, 2);
}

function stateName(state) {
  if (state === "open") {
    return "is open";
  } else if (state === "paid") {
    return "is paid";
  } else if (state === "sent") {
    return "is sent";
  } else {
    return null;
  }
}

async function load(folder, client) {
  const where = new Path(folder);
  const checked = where.resolve();
  const answer = await client.fetch(checked);
  console.info(`loaded ${answer}`);
  console.info(`found ${where}`);
  return answer;
}

function save(order) {
  const note = "kept";
  console.log(note);
  return floor(order.total());
}

function tidy(order) {
  let count = 0;
  for (const line of order.lines) {
    count = count + ceil(line);
  }
  return count;
}
"""
TYPESCRIPT = """\
// Orders: what is bought, and what is said about it.
import { ceil, floor } from "./numbers";
import { Path } from "./paths";

const RATE = 0.19;
const KEYS = {
  "order_id": 1,
  "unit_price": 2,
  "tax_rate": 3,
  "plain": 4,
};

class Order {
  private customer: string;
  private lines: number[];
  private currency: string;

  constructor(customer: string, lines: number[], currency: string) {
    this.customer = customer;
    this.lines = lines;
    this.currency = currency;
  }

  describe(out: Writer): string {
    // out.write is called once for each part
    out.write("customer", this.customer);
    out.write("currency", this.currency);
    out.write("number of lines", this.lines);
    out.flush("do not write twice");
    return `${this.customer} pays`;
  }

  total(): number {
    const first = priceOf(this.lines, 1);
    const second = priceOf(this.customer, 2);
    console.log("priceOf(this, 3) was asked");
    return first + second;
  }
}

function priceOf(item: Item, quantity: number): number {
  let price = item.price * quantity;
  if (quantity > 10) {
    price = price * 0.9;
    console.log(`many of ${item}`);
  }
  return Math.round(price);
}

function stateName(state: string): string | null {
  switch (state) {
    case "open":
      return "is open";
    case "paid":
      return "is paid";
    case "sent":
      return "is sent";
    default:
      return null;
  }
}

async function load(folder: string, client: Client): Promise<Answer> {
  const where = new Path(folder);
  const checked = where.resolve();
  const answer = await client.fetch(checked);
  console.info(`loaded ${answer}`);
  console.info(`found ${where}`);
  return answer;
}

function save(order: Order): number {
  const note = "kept";
  console.log(note);
  return floor(order.total());
}

function tidy(order: Order): number {
  let count = 0;
  for (const line of order.lines) {
    count = count + ceil(line);
  }
  return count;
}
"""
GO = """\
// Package orders says what is bought.
package orders

import (
	"fmt"
	"math"
	"path/filepath"
)

const rate = 0.19

var keys = map[string]int{
	"order_id":   1,
	"unit_price": 2,
	"tax_rate":   3,
	"plain":      4,
}

type Order struct {
	customer string
	currency string
	lines    int
}

func newOrder(customer string, currency string) *Order {
	return &Order{
		customer: customer,
		currency: currency,
	}
}

func (o *Order) describe(out *Writer) string {
	// out.write is called once for each part
	out.write("customer", o.customer)
	out.write("currency", o.currency)
	out.write("number of lines", o.lines)
	out.flush("do not write twice")
	return fmt.Sprintf("customer %s", o.customer)
}

func (o *Order) total() float64 {
	first := priceOf(o.lines, 1)
	second := priceOf(o.customer, 2)
	out.log("priceOf(o, 3) was asked")
	return first + second
}

func priceOf(item int, quantity int) float64 {
	price := float64(item * quantity)
	if quantity > 10 {
		price = price * 0.9
		out.log("many of them")
	}
	return math.Round(price)
}

func stateName(state string) string {
	switch state {
	case "open":
		return "is open"
	case "paid":
		return "is paid"
	case "sent":
		return "is sent"
	default:
		return ""
	}
}

func load(folder string) (string, error) {
	where := filepath.Clean(folder)
	answer, err := fetch(where)
	if err != nil {
		return "", fmt.Errorf("nothing there")
	}
	if len(answer) == 0 {
		return "", fmt.Errorf("empty")
	}
	return answer, nil
}

func save(order *Order) float64 {
	note := "kept"
	print(note)
	return order.total()
}

func tidy(order *Order) int {
	count := 0
	for _, line := range order.all() {
		count = count + line
	}
	return count
}
"""
RUST = """\
//! Orders: what is bought, and what is said about it.
use crate::numbers::{ceil, floor};
use std::path::Path;

const RATE: f64 = 0.19;

pub struct Order {
    customer: String,
    currency: String,
    lines: u32,
}

impl Order {
    pub fn new(customer: String, currency: String, lines: u32) -> Self {
        Self {
            customer,
            currency,
            lines,
        }
    }

    pub fn describe(&self, out: &mut Writer) -> String {
        // out.write is called once for each part
        out.write("customer", &self.customer);
        out.write("currency", &self.currency);
        out.write("number of lines", &self.lines);
        out.flush("do not write twice");
        format!("{} pays", self.customer)
    }

    pub fn total(&self) -> f64 {
        let first = price_of(&self.lines, 1);
        let second = price_of(&self.customer, 2);
        out.log("price_of(self, 3) was asked");
        first + second
    }
}

fn price_of(item: &Item, quantity: u32) -> f64 {
    let mut price = item.price * quantity;
    if quantity > 10 {
        price = price * 0.9;
        println!("many of {}", item);
    }
    round(price, 2)
}

fn state_name(state: State) -> Option<&'static str> {
    match state {
        State::Open => Some("Open"),
        State::Paid => Some("Paid"),
        State::Sent => Some("Sent"),
        _ => None,
    }
}

async fn load(folder: &str, client: &Client) -> Answer {
    let place = Path::new(folder);
    let answer = client.fetch(place).await;
    println!("loaded {}", answer);
    println!("found {}", place);
    if answer.is_late() {
        return Answer::late("late");
    }
    if answer.is_empty() {
        return Answer::none("none");
    }
    answer
}

fn save(order: &Order) -> f64 {
    let note = "kept";
    show(note);
    floor(order.total())
}

fn tidy(order: &Order) -> u32 {
    let mut count = 0;
    for line in order.lines() {
        count = count + ceil(line);
    }
    count
}
"""
SOURCES = {
    "python": ("orders.py", PYTHON),
    "javascript": ("orders.js", JAVASCRIPT),
    "typescript": ("orders.ts", TYPESCRIPT),
    "go": ("orders.go", GO),
    "rust": ("orders.rs", RUST),
}
