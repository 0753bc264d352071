"""Which words of a file stand for the same thing: those in «», and no other."""

from __future__ import annotations

import dis
import importlib
import inspect
import types
from collections.abc import Callable, Iterator
from random import Random
from types import SimpleNamespace

import pytest

from training_export.student.syntax.parsed import Binding, parse_text
from training_export.student.synthesis.edits import apply_edits
from training_export.student.synthesis.rename import changes_of, renamable

Check = Callable[[str, str], Binding]


def test_strings_comments_and_other_objects_are_left_alone(check: Check) -> None:
    assert check(
        "python",
        """
def f(«price», other):
    '''The price.'''
    other.price = «price»  # price
    return "price", f"{«price»}", other.prices
""",
    ).kind == "parameter"  # fmt: skip


def test_an_inner_function_shadows(check: Check) -> None:
    check(
        "python",
        """
def f(«n»):
    def g(n):
        return n
    def h():
        return «n»
    return [n for n in range(3)], «n», lambda n: n
""",
    )


def test_the_first_iterable_of_a_comprehension_belongs_to_the_scope_around_it(check: Check) -> None:
    check("python", "def f(«n»):\n    return [n for n in «n» for m in n]\n")


def test_global_and_nonlocal_names_are_those_of_the_other_scope(check: Check) -> None:
    check("python", "«count» = 0\ndef f():\n    global «count»\n    «count» += 1\ndef g():\n    count = 1\n")
    check("python", "def f():\n    «n» = 0\n    def g():\n        nonlocal «n»\n        «n» += 1\n    return «n»\n")


def test_defaults_and_annotations_are_evaluated_outside(check: Check) -> None:
    check("python", "«rate» = 1\ndef f(rate=«rate»):\n    return rate\n")
    check("python", "«Item» = int\ndef f(item: «Item») -> «Item»:\n    Item = item\n    return Item\n")


def test_an_argument_s_name_is_the_parameter_of_the_function_that_is_called(check: Check) -> None:
    check("python", "def f(«n»):\n    return «n»\nf(«n»=1)\ng(n=2)\n")
    binding = check("python", "class A:\n    def __init__(self, «n»):\n        self.n = «n»\nA(«n»=1)\n")
    assert binding.is_certain


def test_a_parameter_that_several_functions_may_have_is_not_certain(check: Check) -> None:
    text = "class A:\n    def f(self, «n»):\n        return «n»\nclass B:\n    def f(self, n):\n        return n\nx.f(n=1)\n"
    assert not check("python", text).is_certain


def test_members_go_by_their_class(check: Check) -> None:
    binding = check(
        "python",
        """
class A:
    «size» = 1
    def f(self):
        self.«size» += len(self.items.size)
class B:
    size = 2
    def g(self):
        return self.size
""",
    )
    assert (binding.kind, binding.owner, binding.is_certain) == ("field", "A", True)


def test_a_member_that_a_variable_may_have_is_not_certain(check: Check) -> None:
    assert not check("python", "class A:\n    def «f»(self): self.«f»()\ndef g(a): a.f()\n").is_certain


def test_a_class_and_the_one_it_extends_share_members(check: Check) -> None:
    check("python", "class A:\n    def «f»(self): pass\nclass B(A):\n    def g(self): self.«f»()\n")


def test_matched_names_are_bound_and_values_are_not(check: Check) -> None:
    check("python", "def f(x):\n    match x:\n        case [«a», *b] if «a»: return «a»\n        case A.a: return b\n")


def test_a_block_of_javascript_shadows_and_var_does_not(check: Check) -> None:
    check("javascript", "function f(n) { let «a» = n; { let a = 2; use(a); } return «a»; }\n")
    check("javascript", "function f() { if (x) { var «a» = 1; } return «a»; }\n")


def test_a_shorthand_is_a_field_and_a_variable_at_once(check: Check) -> None:
    binding = check("javascript", "const { «rows» } = read();\nsend({ «rows», name: «rows».name, rows: 1 });\n")
    assert [word.is_shorthand for word in binding.words] == [True, True, False]


def test_members_through_this(check: Check) -> None:
    binding = check(
        "typescript",
        "class A {\n  private «n»: number = 0;\n  f(n: number) { this.«n» = n; return this.rows.n; }\n}\n",
    )
    assert binding.is_certain
    assert check("javascript", "class A {\n  #«n» = 0;\n  f() { return this.#«n»; }\n}\n".replace("#«n»", "«#n»"))


def test_a_parameter_that_is_a_property_is_not_certain(check: Check) -> None:
    assert not check(
        "typescript", "class A { constructor(private «n»: number) { use(«n»); } f() { this.n; } }\n"
    ).is_certain


def test_types_and_elements(check: Check) -> None:
    check("typescriptreact", "interface «Row» { n: number }\nconst f = (r: «Row»[]): «Row» => r[0];\n")
    check("typescriptreact", "function «Price»() { return <b/>; }\nconst a = <«Price»>Price</«Price»>;\n")


def test_what_is_exported_by_name_is_not_certain(check: Check) -> None:
    assert not check("javascript", "const «f» = () => 1;\nexport { «f» as g };\n").is_certain


def test_a_declaration_of_go_counts_from_its_end(check: Check) -> None:
    check("go", "package a\nfunc f(«n» int) {\n\tif n := «n» + 1; n > 0 {\n\t\tuse(n)\n\t}\n\tuse(«n»)\n}\n")
    check("go", "package a\nfunc f() {\n\t«err» := g()\n\tx, «err» := h()\n\tuse(x, «err»)\n}\n")


def test_fields_of_go_through_the_receiver_and_in_literals(check: Check) -> None:
    binding = check(
        "go",
        "package a\ntype A struct{ «n» int }\nfunc (a *A) f(n int) { a.«n» = n }\n"
        "var x = &A{«n»: 1}\nvar y = map[string]int{n: 1}\nvar z = B{n: 1}\n",
    )
    assert (binding.kind, binding.owner) == ("field", "A")


def test_each_let_of_rust_is_a_variable_of_its_own(check: Check) -> None:
    check("rust", 'fn f() { let «n» = 1; let n = «n» + 1; println!("{n}"); }\n')
    check("rust", 'fn f() { let n = 1; let «n» = n + 1; println!("{«n»} {}", «n»); }\n')


def test_patterns_of_rust_bind_small_names_alone(check: Check) -> None:
    check("rust", "fn f(x: T) { match x { Some(«n») if «n» > 1 => «n», None => 0, n => n } }\n")
    check("rust", "fn f(n: T) { if let Some(«v») = n.v { use_it(«v») } }\n")


def test_a_shorthand_of_rust(check: Check) -> None:
    binding = check("rust", "fn f(«n»: u8) -> A { let b = B { n: 1 }; A { «n», m: b.n } }\n")
    assert binding.words[-1].is_shorthand


def test_members_of_rust(check: Check) -> None:
    binding = check(
        "rust",
        "struct A { «n»: u8 }\nimpl A {\n    fn f(&self, n: u8) -> u8 { self.«n» + n + self.b.n }\n"
        "    fn g() -> Self { Self { «n»: 1 } }\n}\nfn h() -> A { A { «n»: 2 } }\n",
    )
    assert (binding.kind, binding.owner, binding.is_certain) == ("field", "A", True)
    assert check("rust", "struct A;\nimpl A {\n    fn «go»() {}\n    fn f() { Self::«go»(); A::«go»(); B::go(); }\n}\n")


MODULES = ("textwrap", "shlex", "json.decoder", "argparse", "fractions", "heapq", "configparser", "csv", "zipfile")


@pytest.mark.parametrize("name", MODULES)
def test_python_compiles_to_the_same_code_once_a_variable_is_renamed(name: str) -> None:
    """The compiler knows what is bound where: a word too many, or too few, would load another name."""
    text = inspect.getsource(importlib.import_module(name))
    file = parse_text("python", "python", f"{name}.py", text)
    assert file is not None
    before = list(codes(compile(text, name, "exec")))
    found = [binding for binding in renamable(file) if binding.kind in ("local", "parameter")]
    for binding in Random(1).sample(found, min(8, len(found))):
        edits = [edit for change in changes_of(file, binding, "renamed_here") for edit in change.edits]
        after = list(codes(compile(apply_edits(text, edits), name, "exec")))
        assert len(before) == len(after)
        for old, new in zip(before, after, strict=True):
            assert instructions(old, binding.name) == instructions(new, binding.name), (name, binding.name)


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def instructions(code: types.CodeType, old: str) -> list[tuple[str, str]]:
    """What it does, a variable called ``old`` under its new name; where jumps lead may hang on a name's index."""
    found = []
    for step in dis.get_instructions(code):
        if step.opname in ("EXTENDED_ARG", "MAKE_CELL", "COPY_FREE_VARS", "CACHE"):
            continue
        value = step.argval
        is_variable = any(part in step.opname for part in ("FAST", "DEREF", "CLOSURE"))
        if isinstance(value, tuple):
            value = tuple("renamed_here" if part == old else part for part in value)
        elif value == old and (is_variable or step.opname == "LOAD_CONST"):
            value = "renamed_here"
        elif isinstance(value, types.CodeType | frozenset | int) or "JUMP" in step.opname:
            value = SimpleNamespace()
        found.append((step.opname, repr(value)))
    return found
