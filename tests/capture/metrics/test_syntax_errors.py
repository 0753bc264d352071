"""Errors that a prediction brings in or takes away are counted in real code."""

from hypothesis import given
from hypothesis import strategies as st

from capture.metrics.syntax_errors import DiagnosticCounts, diagnostic_change, syntax_errors

WHOLE = "def f(a):\n    return [a, a + 1]\n\n\nclass A:\n    x = f(1)\n"


def test_a_bracket_that_is_not_closed_is_an_error():
    errors = syntax_errors("python", WHOLE, WHOLE.replace("f(1)", "f(1"))
    assert errors.before == 0
    assert errors.added == errors.after > 0


def test_repairing_a_line_takes_errors_away():
    broken = WHOLE.replace("f(1)", "f(1")
    assert syntax_errors("python", broken, WHOLE).added < 0


def test_each_broken_function_adds_its_errors():
    broken = "def f(:\n    return 1\n\n\ndef g(a):\n    return a\n\n\n"
    one, two = (syntax_errors("python", WHOLE, text).after for text in (broken, broken * 2))
    assert two >= one + 1


def test_a_region_cut_from_its_function_is_compared_with_itself():
    region = "        return value\n\n    def g(self):\n        pass\n"
    assert syntax_errors("python", region, region.replace("pass", "return 1")).added == 0


def test_a_language_without_a_grammar_is_not_judged():
    assert syntax_errors("no-such-language", "x", "y") is None


@given(st.text())
def test_any_text_can_be_parsed(text):
    assert syntax_errors("python", text, text).added == 0


def test_diagnostics_are_counted_by_severity():
    change = diagnostic_change(before=[1, 2, 2, None], after=[4, 3, 1])
    assert change.before == DiagnosticCounts(errors=2, warnings=2)
    assert change.after == DiagnosticCounts(errors=1, information=1, hints=1)
