r"""Idioms that programmers convert line by line: a pattern of one line's code, and what it becomes.

Each entry works in one direction; both directions of a conversion are two entries. ``\w`` and the like stand for one
word, so that what is converted is simple enough to be right. Knows nothing of files.
"""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_TEXT: Final = r"[^\"'`{}%\\$]*"

Conversion = tuple[re.Pattern[str], str]


def _all(*pairs: tuple[str, str]) -> tuple[Conversion, ...]:
    return tuple((re.compile(pattern.replace("NAME", _NAME).replace("TEXT", _TEXT)), new) for pattern, new in pairs)


_PYTHON: Final = _all(
    (r'\bf"(TEXT)\{(NAME)\}(TEXT)"', r'"\1{}\3".format(\2)'),
    (r'\bf"(TEXT)\{(NAME)\}(TEXT)"', r'"\1%s\3" % \2'),
    (r'\bf"(TEXT)\{(NAME)\}(TEXT)\{(NAME)\}(TEXT)"', r'"\1{}\3{}\5".format(\2, \4)'),
    (r'\bf"(TEXT)\{(NAME)\}"', r'"\1" + str(\2)'),
    (r'"(TEXT)\{\}(TEXT)"\.format\((NAME)\)', r'f"\1{\3}\2"'),
    (r'"(TEXT)\{\}(TEXT)\{\}(TEXT)"\.format\((NAME), (NAME)\)', r'f"\1{\4}\2{\5}\3"'),
    (r'"(TEXT)%s(TEXT)" % (NAME)\b(?![.(\[])', r'f"\1{\3}\2"'),
    (r'"(TEXT)%[sd](TEXT)%[sd](TEXT)" % \((NAME), (NAME)\)', r'f"\1{\4}\2{\5}\3"'),
    (r"'(TEXT)%s(TEXT)' % (NAME)\b(?![.(\[])", r"f'\1{\3}\2'"),
    (r"'(TEXT)\{\}(TEXT)'\.format\((NAME)\)", r"f'\1{\3}\2'"),
    (r"\bOptional\[([\w.]+)\]", r"\1 | None"),
    (r"([:>] )([\w.]+) \| None\b", r"\1Optional[\2]"),
    (r"\bList\[", "list["),
    (r"\bDict\[", "dict["),
    (r"\bUnion\[([\w.]+), ([\w.]+)\]", r"\1 | \2"),
    (r"\bself\.assertEqual\((NAME(?:\([^()]*\))?), (NAME|\d+|\"[^\"]*\"|'[^']*')\)", r"assert \1 == \2"),
    (r"\bself\.assertTrue\((NAME(?:\([^()]*\))?)\)", r"assert \1"),
    (r"\bself\.assertIsNone\((NAME(?:\([^()]*\))?)\)", r"assert \1 is None"),
    (r"\bself\.assertIn\((NAME|\"[^\"]*\"), (NAME)\)", r"assert \1 in \2"),
    (r"\bassert (NAME(?:\([^()]*\))?) == (NAME|\d+|\"[^\"]*\")$", r"self.assertEqual(\1, \2)"),
    (r"\b(NAME)\[(\"\w+\"|'\w+')\](?! *[=\[.:+-])", r"\1.get(\2)"),
    (r"\b(NAME)\.get\((\"\w+\"|'\w+')\)", r"\1[\2]"),
    (r"\bos\.path\.join\((NAME), (NAME|\"[^\"]*\"|'[^']*')\)", r"Path(\1) / \2"),
    (r"\blen\((NAME)\) == 0\b", r"not \1"),
    (r"\blen\((NAME)\) > 0\b", r"\1"),
    (r"\bsuper\(\w+, self\)", "super()"),
    (r"\bisinstance\((NAME), (\w+)\)", r"type(\1) is \2"),
    (r"\bgetattr\((NAME), \"(\w+)\"\)", r"\1.\2"),
)
_JAVASCRIPT: Final = _all(
    (r"`(TEXT)\$\{(NAME)\}`", r'"\1" + \2'),
    (r"`(TEXT)\$\{(NAME)\}(TEXT)`", r'"\1" + \2 + "\3"'),
    (r'"(TEXT)" \+ (NAME)\b(?! *[+.(\[])', r"`\1${\2}`"),
    (r"'(TEXT)' \+ (NAME)\b(?! *[+.(\[])", r"`\1${\2}`"),
    (r"'(TEXT)' \+ (NAME) \+ '(TEXT)'(?! *\+)", r"`\1${\2}\3`"),
    (r'"(TEXT)" \+ (NAME) \+ "(TEXT)"(?! *\+)', r"`\1${\2}\3`"),
    (r"\bfunction ?\((\w*(?:, \w+)*)\) \{", r"(\1) => {"),
    (r"(?<=[(,] )\((\w*(?:, \w+)*)\) => \{|(?<=\()\((\w+(?:, \w+)*)\) => \{", r"function (\1\2) {"),
    (r"\b(\w+) => (?=\w)", r"(\1) => "),
    (r"(?<=[(\s])\((\w+)\) => ", r"\1 => "),
    (r"\b(NAME)\.indexOf\((NAME|'[^']*'|\"[^\"]*\")\) !== -1", r"\1.includes(\2)"),
    (r"\b(NAME)\.indexOf\((NAME|'[^']*'|\"[^\"]*\")\) === -1", r"!\1.includes(\2)"),
    (r"\bconst (\w+) = require\(('[^']*'|\"[^\"]*\")\)", r"import \1 from \2"),
    (r"\b(\w+)\.(\w+) = function ?\((\w*(?:, \w+)*)\) \{", r"\1.\2 = (\3) => {"),
    (r" == null\b", " === null"),
    (r"\btypeof (NAME) === ('undefined'|\"undefined\")", r"\1 === undefined"),
    (r"\b(NAME) && \1\.(\w+)\b(?![.(])", r"\1?.\2"),
    (r"\bObject\.assign\(\{\}, (NAME)\)", r"{ ...\1 }"),
    (r"\bexpect\((NAME(?:\([^()]*\))?)\)\.toBe\(true\)", r"expect(\1).toBeTruthy()"),
    (r"\bexpect\((NAME(?:\([^()]*\))?)\)\.toEqual\(", r"expect(\1).toStrictEqual("),
    (r"\bthis\.(\w+)\.bind\(this\)", r"(...args) => this.\1(...args)"),
)
_TYPESCRIPT: Final = (
    *_JAVASCRIPT,
    *_all(
        (r"\bArray<(\w+)>", r"\1[]"),
        (r"(?<=: )(\w+)\[\]", r"Array<\1>"),
        (r"\breadonly (\w+)\[\]", r"ReadonlyArray<\1>"),
        (r"(\w)\?: (\w+)(?=[;,)]|$)", r"\1: \2 | undefined"),
        (r"(\w): (\w+) \| undefined(?=[;,)]|$)", r"\1?: \2"),
        (r"(\w)\(\w+: (\w+)\): void(?=;|,|$)", r"\1: (value: \2) => void"),
    ),
)
_GO: Final = _all(
    (r"\binterface\{\}", "any"),
    (r"\bany\b(?=[,)\s]|$)", "interface{}"),
    (r"\bfmt\.Sprintf\(\"(TEXT)%s\", (NAME)\)", r'"\1" + \2'),
    (r'"(TEXT)" \+ (NAME)\b(?! *[+.(\[])', r'fmt.Sprintf("\1%s", \2)'),
    (r"\bfmt\.Errorf\(\"(TEXT)\"\)", r'errors.New("\1")'),
    (r"\berrors\.New\(\"(TEXT)\"\)", r'fmt.Errorf("\1")'),
    (r"\bt\.Errorf\(", "t.Fatalf("),
    (r"\bassert\.(\w+)\(t, ", r"require.\1(t, "),
    (r"\brequire\.(\w+)\(t, ", r"assert.\1(t, "),
    (r"\bassert\.Equal\(t, nil, (NAME)\)", r"assert.Nil(t, \1)"),
    (r"\blen\((NAME)\) == 0\b", r"\1 == nil"),
    (r"\bif (NAME) != nil \{", r"if nil != \1 {"),
    (r"\bvar (\w+) = (?=\w)", r"\1 := "),
    (r"\bioutil\.(ReadFile|WriteFile)\(", r"os.\1("),
    (r"\[\]byte\((NAME|\"[^\"]*\")\)", r"bytesOf(\1)"),
    (r"\bmap\[string\](\w+)\{\}", r"make(map[string]\1)"),
    (r"\bmake\(map\[string\](\w+)\)", r"map[string]\1{}"),
    (r"\bstrings\.Index\((NAME), (NAME|\"[^\"]*\")\) >= 0", r"strings.Contains(\1, \2)"),
    (r"\b(\w+) == \"\"", r"len(\1) == 0"),
)
_RUST: Final = _all(
    (r"(\"[^\"\\]*\")\.to_string\(\)", r"String::from(\1)"),
    (r"(\"[^\"\\]*\")\.to_owned\(\)", r"\1.to_string()"),
    (r"(\"[^\"\\]*\")\.into\(\)", r"\1.to_string()"),
    (r"\bString::from\((\"[^\"\\]*\")\)", r"\1.to_string()"),
    (r"\"(TEXT)\{\}(TEXT)\", (\w+)\)", r'"\1{\3}\2")'),
    (r"\"(TEXT)\{(\w+)\}(TEXT)\"\)", r'"\1{}\3", \2)'),
    (r"\"(TEXT)\{:\?\}(TEXT)\", (\w+)\)", r'"\1{\3:?}\2")'),
    (r"\"(TEXT)\{\}(TEXT)\{\}(TEXT)\", (\w+), (\w+)\)", r'"\1{\4}\2{\5}\3")'),
    (r"\.unwrap\(\)(?=[;.])", "?"),
    (r"\?;$", ".unwrap();"),
    (r"\.unwrap\(\);$", r'.expect("it is there");'),
    (r"\b(\w+)\.len\(\) == 0\b", r"\1.is_empty()"),
    (r"\b(\w+)\.len\(\) > 0\b", r"!\1.is_empty()"),
    (r"\b(\w+)\.is_empty\(\)", r"\1.len() == 0"),
    (r"\bassert!\((\w+(?:\.\w+)*(?:\(\))?) == (\w+)\)", r"assert_eq!(\1, \2)"),
    (r"\bassert_eq!\((.+), true\);$", r"assert!(\1);"),
    (r"\bassert_eq!\((\w+(?:\.\w+)*(?:\(\))?), (\w+)\);$", r"assert!(\1 == \2);"),
    (r"(?<=[:(] )&Vec<(\w+)>", r"&[\1]"),
    (r"(?<=[:(] )&String\b", "&str"),
    (r": Option<(\w+)>(?=,)", r": Result<\1, Error>"),
    (r"\bvec!\[\]", "Vec::new()"),
    (r"\bVec::new\(\)", "vec![]"),
    (r"\.iter\(\)\.cloned\(\)", ".iter().copied()"),
    (r"\.map\(\|(\w+)\| (\w+)\(\1\)\)", r".map(\2)"),
    (r"\bBox<dyn Error>", "anyhow::Error"),
    (r"\bself\.(\w+)\.clone\(\)", r"self.\1.to_owned()"),
    (r"\bstd::fmt::", "fmt::"),
)
CONVERSIONS: Final = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "javascriptreact": _JAVASCRIPT,
    "typescript": _TYPESCRIPT,
    "typescriptreact": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "go": _GO,
    "rust": _RUST,
}
