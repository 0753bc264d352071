"""What the tasks know of each language: the names of its syntax nodes, and words that programmers exchange or add.

One table, so that a task asks for "a call" or "a return" and not for a language. Node names are those of the official
tree-sitter grammars. Knows nothing of files or moments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from training_export.student.synthesis.names import Style


@dataclass(frozen=True, slots=True)
class Grammar:
    """One language's nodes and words; an empty entry means that the language has none of it."""

    comment: str  # starts a comment that ends with the line
    braces: bool  # blocks end with a closing brace
    compound: Style  # how a lower-case name of several parts is written
    calls: frozenset[str]
    functions: frozenset[str]  # definitions with a name, parameters and a body
    parameter_names: tuple[str, ...]  # fields of a parameter's node under which its name stands
    returns: frozenset[str]
    imports: frozenset[str]  # each brings names of one thing
    statements: frozenset[str]  # nodes whose named children are statements, one below the other
    plain_statements: frozenset[str]  # those that do something and are nothing to the others
    lists: frozenset[str]  # nodes that hold elements between commas, any number of them
    siblings: frozenset[str]  # nodes that stand beside others of their kind: members, cases, fields
    exchanges: tuple[tuple[str, ...], ...]  # words and operators that are exchanged for one another
    modifiers: tuple[tuple[str, frozenset[str]], ...]  # added at a line's start, before one of these words
    before_names: tuple[str, ...]  # added before a name or a call
    after_names: tuple[str, ...]  # added behind a name or a call
    values: tuple[str, ...]  # passed as a further argument, besides names
    wrappers: tuple[str, ...]  # functions that a value is passed through
    parameter: tuple[str, ...]  # how a further parameter is written; "{}" stands for its name
    headers: tuple[str, ...]  # of a block put around statements; "{}" stands for a name
    returned: tuple[str, ...]  # what a returned value is changed to; "{}" stands for it
    quotes: tuple[tuple[str, str], ...] = ()  # that one may write for the others
    import_calls: frozenset[str] = frozenset()  # declarations that are imports where they call for a module
    import_keywords: tuple[str, ...] = ()  # how a line of imports begins
    endings: tuple[str, ...] = ()  # what a line cannot do without at its end
    mutable: tuple[tuple[str, str], ...] = ()  # how a variable is declared that changes, and one that does not
    optional_semicolons: bool = False
    optional_commas: bool = True  # behind the last element


_COMPARISONS: Final = (("==", "!="), ("<", "<=", ">", ">="), ("+=", "-="), ("+", "-"))
_C_LOGIC: Final = (("&&", "||"), ("true", "false"))

_PYTHON: Final = Grammar(
    comment="#",
    braces=False,
    compound=Style.SNAKE,
    calls=frozenset({"call"}),
    functions=frozenset({"function_definition"}),
    parameter_names=("name",),
    returns=frozenset({"return_statement"}),
    imports=frozenset({"import_statement", "import_from_statement"}),
    statements=frozenset({"module", "block"}),
    plain_statements=frozenset({"expression_statement", "assert_statement", "for_statement", "if_statement"}),
    lists=frozenset({"list", "set", "tuple", "dictionary"}),
    siblings=frozenset({"function_definition", "case_clause", "elif_clause", "if_statement", "expression_statement"}),
    exchanges=(
        *_COMPARISONS,
        ("and", "or"),
        ("is", "=="),
        ("True", "False", "None"),
        ("list", "tuple", "set", "frozenset"),
        ("int", "float", "str", "bool"),
        ("min", "max"),
        ("any", "all"),
    ),
    modifiers=(("async ", frozenset({"def"})),),
    before_names=("await ", "not ", "-"),
    after_names=(".strip()", ".lower()", ".copy()", "[0]", ".name", ".items()", ".value"),
    values=("None", "True", "False", "0", "1", '"utf-8"', "timeout=10", "strict=True", "default=None"),
    wrappers=("str", "int", "list", "len", "repr", "sorted", "Path", "bool", "tuple"),
    parameter=("{}", "{}", "{}: str", "{}: int", "{}: bool"),
    headers=("if {}:", "with {}:", "for item in {}:", "while {}:", "if not {}:", "with suppress({}):"),
    returned=("int({})", "list({})", "str({})", "({}, None)", "Result({})", "await {}"),
    quotes=(("'", '"'), ('"', "'")),
    import_keywords=("import ", "from "),
    endings=(":",),
)
_JAVASCRIPT: Final = Grammar(
    comment="//",
    braces=True,
    compound=Style.CAMEL,
    calls=frozenset({"call_expression", "new_expression"}),
    functions=frozenset({"function_declaration", "method_definition", "generator_function_declaration"}),
    parameter_names=("pattern", "left", "name"),
    returns=frozenset({"return_statement"}),
    imports=frozenset({"import_statement"}),
    statements=frozenset({"program", "statement_block"}),
    plain_statements=frozenset({"expression_statement", "lexical_declaration", "if_statement", "for_in_statement"}),
    lists=frozenset({"array", "object", "export_clause"}),
    siblings=frozenset(
        {"method_definition", "switch_case", "pair", "expression_statement", "if_statement", "field_definition"}
    ),
    exchanges=(
        *_COMPARISONS,
        *_C_LOGIC,
        ("===", "!==", "==", "!="),
        ("const", "let", "var"),
        ("null", "undefined"),
        ("&&", "||", "??"),
    ),
    modifiers=(
        ("export ", frozenset({"function", "class", "async"})),
        ("async ", frozenset({"function"})),
        ("static ", frozenset({"async", "get", "set"})),
    ),
    before_names=("await ", "!", "-"),
    after_names=(".trim()", ".toString()", ".length", ".value", ".slice()", "?.id", ".data"),
    values=("null", "true", "false", "0", "1", "{}", "[]", "undefined", "{ strict: true }"),
    wrappers=("String", "Number", "Boolean", "normalize", "JSON.stringify", "encodeURIComponent", "Array.from"),
    parameter=("{}",),
    headers=("if ({}) {{", "for (const item of {}) {{", "while ({}) {{", "if (!{}) {{"),
    returned=("Promise.resolve({})", "await {}", "Object.freeze({})", "wrap({})", "String({})"),
    quotes=(("'", '"'), ('"', "'"), ("'", "`"), ('"', "`")),
    import_calls=frozenset({"lexical_declaration", "variable_declaration"}),
    import_keywords=("import ", "const ", "var "),
    endings=("{",),
    mutable=(("let", "const"),),
    optional_semicolons=True,
)
_TYPESCRIPT: Final = replace(
    _JAVASCRIPT,
    functions=_JAVASCRIPT.functions | {"method_signature"},
    siblings=_JAVASCRIPT.siblings | {"public_field_definition", "property_signature", "method_signature"},
    exchanges=(
        *_JAVASCRIPT.exchanges,
        ("private", "protected", "public"),
        ("string", "number", "boolean", "unknown", "any"),
        ("interface", "class"),
    ),
    modifiers=(
        ("export ", frozenset({"function", "class", "async", "interface", "type", "enum"})),
        ("private ", frozenset({"readonly", "static", "async"})),
        *_JAVASCRIPT.modifiers[1:],
    ),
    after_names=(*_JAVASCRIPT.after_names, "!"),
    parameter=("{}: string", "{}: number", "{}: boolean", "{}?: string"),
)
_GO: Final = Grammar(
    comment="//",
    braces=True,
    compound=Style.CAMEL,
    calls=frozenset({"call_expression"}),
    functions=frozenset({"function_declaration", "method_declaration"}),
    parameter_names=("name",),
    returns=frozenset({"return_statement"}),
    imports=frozenset({"import_spec"}),
    statements=frozenset({"source_file", "statement_list"}),
    plain_statements=frozenset(
        {"expression_statement", "assignment_statement", "short_var_declaration", "if_statement", "defer_statement"}
    ),
    lists=frozenset({"literal_value"}),
    siblings=frozenset(
        {
            "method_declaration",
            "function_declaration",
            "expression_case",
            "type_case",
            "field_declaration",
            "keyed_element",
            "literal_element",
            "if_statement",
            "expression_statement",
            "const_spec",
        }
    ),
    exchanges=(
        *_COMPARISONS,
        *_C_LOGIC,
        (":=", "="),
        ("int", "int64", "uint64", "int32", "uint32"),
        ("string", "[]byte"),
        ("float64", "float32"),
    ),
    modifiers=(),
    before_names=("&", "*", "!"),
    after_names=(".String()", ".Name", ".ID", ".Value", "[0]", "[:]"),
    values=("nil", "true", "false", "0", "1", '""', "ctx"),
    wrappers=("string", "len", "int64", "float64", "strings.TrimSpace", "fmt.Sprint", "filepath.Clean"),
    parameter=("{} string", "{} int", "{} bool", "{} []byte", "{} error"),
    headers=("if {} {{", "for _, item := range {} {{", "if !{} {{", "for {} {{"),
    returned=("{}, nil", "&{}", "string({})", "wrap({})"),
    quotes=(('"', "`"), ("`", '"')),
    import_keywords=('"',),
    endings=("{", ","),
    optional_commas=False,
)
_RUST: Final = Grammar(
    comment="//",
    braces=True,
    compound=Style.SNAKE,
    calls=frozenset({"call_expression"}),
    functions=frozenset({"function_item", "function_signature_item"}),
    parameter_names=("pattern",),
    returns=frozenset({"return_expression"}),
    imports=frozenset({"use_declaration"}),
    statements=frozenset({"source_file", "block", "declaration_list"}),
    plain_statements=frozenset({"expression_statement", "let_declaration", "macro_invocation"}),
    lists=frozenset({"array_expression", "tuple_expression", "field_initializer_list"}),
    siblings=frozenset(
        {
            "function_item",
            "match_arm",
            "field_declaration",
            "enum_variant",
            "field_initializer",
            "expression_statement",
            "let_declaration",
            "const_item",
        }
    ),
    exchanges=(
        *_COMPARISONS,
        *_C_LOGIC,
        ("u8", "u16", "u32", "u64", "usize"),
        ("i32", "i64", "isize"),
        ("f32", "f64"),
        ("String", "&str"),
        ("Vec", "VecDeque", "HashSet", "BTreeSet"),
        ("const", "static"),
    ),
    modifiers=(
        ("pub ", frozenset({"fn", "struct", "enum", "const", "type", "mod", "trait", "use"})),
        ("const ", frozenset({"fn"})),
        ("async ", frozenset({"fn"})),
    ),
    before_names=("&", "*", "!", "&mut "),
    after_names=(".clone()", "?", ".unwrap()", ".to_string()", ".await", ".into()", ".iter()", ".as_ref()", ".len()"),
    values=("None", "true", "false", "0", "1", "&self", "Default::default()", "Vec::new()"),
    wrappers=("Some", "Box::new", "String::from", "Ok", "Rc::new", "Arc::new", "u64::from", "black_box"),
    parameter=("{}: &str", "{}: usize", "{}: bool", "{}: u32", "{}: String"),
    headers=("if {} {{", "for item in {} {{", "while {} {{", "if !{} {{"),
    returned=("Some({})", "Ok({})", "Err({})", "Box::new({})"),
    import_keywords=("use ",),
    endings=(";", "{"),
    mutable=(("mut", ""),),
)
GRAMMARS: Final = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "javascriptreact": _JAVASCRIPT,
    "typescript": _TYPESCRIPT,
    "typescriptreact": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "go": _GO,
    "rust": _RUST,
}
