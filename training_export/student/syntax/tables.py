"""What the five languages call their nodes: names, scopes, what binds a name, what is somebody's attribute.

Node and field names are those of the official tree-sitter grammars. A pair ``(type, field)`` is a node's child under
that field, None a child without one. Knows nothing of trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

Place = tuple[str, str | None]


class NameKind(StrEnum):
    """What a name stands for."""

    LOCAL = "local"
    CONSTANT = "constant"  # a variable of the whole file
    PARAMETER = "parameter"
    FUNCTION = "function"
    METHOD = "method"
    FIELD = "field"
    TYPE = "type"
    IMPORT = "import"
    UNKNOWN = "unknown"  # bound in another file, or built in


class ScopeKind(StrEnum):
    """Whether names bound in it belong to it alone, to the function around it, or to a class."""

    FILE = "file"
    FUNCTION = "function"
    CLASS = "class"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Syntax:
    """One language. ``names`` and ``types`` are leaves; ``attributes`` are leaves that are always somebody's member.

    A pattern may hold several names to bind: ``patterns`` says through which fields of a node it goes on. ``outside``
    are parts of a scope's node that belong to the scope around it, ``inert`` places whose names stand for nothing in
    this file. In an ``ordered`` language a name counts from its declaration on; where declarations are ``separate``,
    one more of the same name is another variable.
    """

    names: frozenset[str]
    types: frozenset[str]
    attributes: frozenset[str]
    fixed: frozenset[str]  # named leaves that are keywords all the same
    strings: frozenset[str]
    comments: frozenset[str]
    numbers: frozenset[str]
    interpolations: frozenset[str]
    scopes: Mapping[str, ScopeKind]
    binds: Mapping[Place, NameKind]
    patterns: Mapping[str, frozenset[str | None]]
    imports: Mapping[str, frozenset[str | None]]  # the patterns of what is imported
    members: Mapping[Place, NameKind]  # places that name a member of the class around them
    accesses: Mapping[Place, str]  # an attribute's place -> what its receiver is: "before" it in the node
    shorthands: frozenset[str]  # nodes or leaves in which one name is a field's and a variable's
    own: frozenset[str]  # the receivers that are the object itself
    bodies: frozenset[str]  # nodes that hold a block's statements or members
    classes: Mapping[str, str]  # a class scope's node -> the field with its name
    outside: frozenset[Place] = frozenset()
    outside_first: frozenset[Place] = frozenset()  # the first of them in a scope alone
    inert: frozenset[Place] = frozenset()
    inert_types: frozenset[str] = frozenset()
    hoisting: frozenset[str] = frozenset()  # declarations that bind in the function around them
    heritage: frozenset[Place] = frozenset()  # where a class names those that it extends
    ordered: bool = False
    separate: bool = False
    has_braces: bool = True
    binds_upper_case: bool = True  # whether a capital in a pattern is a new name
    bound_from: Mapping[str, str] = field(default_factory=dict)  # declaration -> "end", or the field it counts from


_ALL: Final = frozenset({None})
_F, _C, _B = ScopeKind.FUNCTION, ScopeKind.CLASS, ScopeKind.BLOCK
_LOCAL, _PARAMETER, _FUNCTION = NameKind.LOCAL, NameKind.PARAMETER, NameKind.FUNCTION
_TYPE, _IMPORT, _FIELD, _METHOD = NameKind.TYPE, NameKind.IMPORT, NameKind.FIELD, NameKind.METHOD


def _each(kind: ScopeKind, nodes: str) -> dict[str, ScopeKind]:
    """The same for several nodes."""
    return dict.fromkeys(nodes.split(), kind)


_PYTHON: Final = Syntax(
    names=frozenset({"identifier"}),
    types=frozenset(),
    attributes=frozenset(),
    fixed=frozenset({"true", "false", "none", "ellipsis"}),
    strings=frozenset({"string"}),
    comments=frozenset({"comment"}),
    numbers=frozenset({"integer", "float"}),
    interpolations=frozenset({"interpolation"}),
    scopes={
        "function_definition": _F,
        "lambda": _F,
        "list_comprehension": _F,
        "set_comprehension": _F,
        "dictionary_comprehension": _F,
        "generator_expression": _F,
        "class_definition": _C,
    },
    binds={
        ("assignment", "left"): _LOCAL,
        ("augmented_assignment", "left"): _LOCAL,
        ("named_expression", "name"): _LOCAL,
        ("for_statement", "left"): _LOCAL,
        ("for_in_clause", "left"): _LOCAL,
        ("as_pattern", "alias"): _LOCAL,
        ("case_pattern", None): _LOCAL,
        ("type_alias_statement", "left"): _TYPE,
        ("function_definition", "name"): _FUNCTION,
        ("class_definition", "name"): _TYPE,
        ("parameters", None): _PARAMETER,
        ("lambda_parameters", None): _PARAMETER,
        ("import_statement", "name"): _IMPORT,
        ("import_from_statement", "name"): _IMPORT,
        ("aliased_import", "alias"): _IMPORT,
    },
    patterns={
        "pattern_list": _ALL,
        "tuple_pattern": _ALL,
        "list_pattern": _ALL,
        "list_splat_pattern": _ALL,
        "dictionary_splat_pattern": _ALL,
        "splat_pattern": _ALL,
        "as_pattern_target": _ALL,
        "default_parameter": frozenset({"name"}),
        "typed_parameter": _ALL,
        "typed_default_parameter": frozenset({"name"}),
        "dotted_name": _ALL,
        "case_pattern": _ALL,
        "type": _ALL,
    },
    imports={"dotted_name": _ALL},
    members={},
    accesses={("attribute", "attribute"): "before", ("dotted_name", None): "before"},
    shorthands=frozenset(),
    own=frozenset({"self", "cls"}),
    bodies=frozenset({"block"}),
    classes={"class_definition": "name"},
    outside=frozenset(
        {
            ("function_definition", "name"),
            ("function_definition", "return_type"),
            ("class_definition", "name"),
            ("class_definition", "superclasses"),
            ("default_parameter", "value"),
            ("typed_default_parameter", "value"),
            ("typed_default_parameter", "type"),
            ("typed_parameter", "type"),
        }
    ),
    outside_first=frozenset({("for_in_clause", "right")}),
    inert=frozenset({("import_from_statement", "module_name"), ("keyword_pattern", None), ("aliased_import", "name")}),
    heritage=frozenset({("class_definition", "superclasses")}),
    has_braces=False,
)
_JAVASCRIPT: Final = Syntax(
    names=frozenset({"identifier", "shorthand_property_identifier", "shorthand_property_identifier_pattern"}),
    types=frozenset({"type_identifier"}),
    attributes=frozenset({"property_identifier", "private_property_identifier"}),
    fixed=frozenset({"this", "super", "true", "false", "null", "undefined"}),
    strings=frozenset({"string", "template_string", "regex", "jsx_text", "template_literal_type"}),
    comments=frozenset({"comment", "html_comment"}),
    numbers=frozenset({"number"}),
    interpolations=frozenset({"template_substitution", "template_type"}),
    scopes={
        **_each(
            _F,
            "function_declaration generator_function_declaration function_expression generator_function "
            "arrow_function method_definition function_signature method_signature abstract_method_signature "
            "call_signature construct_signature function_type constructor_type",
        ),
        **_each(
            _C,
            "class_declaration abstract_class_declaration class interface_declaration enum_declaration",
        ),
        **_each(
            _B,
            "type_alias_declaration statement_block for_statement for_in_statement catch_clause switch_body",
        ),
    },
    binds={
        ("variable_declarator", "name"): _LOCAL,
        ("for_in_statement", "left"): _LOCAL,
        ("catch_clause", "parameter"): _LOCAL,
        ("function_declaration", "name"): _FUNCTION,
        ("generator_function_declaration", "name"): _FUNCTION,
        ("function_signature", "name"): _FUNCTION,
        ("function_expression", "name"): _FUNCTION,
        ("class_declaration", "name"): _TYPE,
        ("abstract_class_declaration", "name"): _TYPE,
        ("class", "name"): _TYPE,
        ("interface_declaration", "name"): _TYPE,
        ("type_alias_declaration", "name"): _TYPE,
        ("enum_declaration", "name"): _TYPE,
        ("type_parameter", "name"): _TYPE,
        ("formal_parameters", None): _PARAMETER,
        ("arrow_function", "parameter"): _PARAMETER,
        ("required_parameter", "pattern"): _PARAMETER,
        ("optional_parameter", "pattern"): _PARAMETER,
        ("import_clause", None): _IMPORT,
        ("namespace_import", None): _IMPORT,
        ("import_specifier", "alias"): _IMPORT,
        ("import_specifier", "name"): _IMPORT,
    },
    patterns={
        "array_pattern": _ALL,
        "object_pattern": _ALL,
        "rest_pattern": _ALL,
        "pair_pattern": frozenset({"value"}),
        "assignment_pattern": frozenset({"left"}),
        "object_assignment_pattern": frozenset({"left"}),
    },
    imports={},
    members={
        ("method_definition", "name"): _METHOD,
        ("method_signature", "name"): _METHOD,
        ("abstract_method_signature", "name"): _METHOD,
        ("field_definition", "property"): _FIELD,
        ("public_field_definition", "name"): _FIELD,
        ("property_signature", "name"): _FIELD,
        ("enum_body", "name"): _FIELD,
        ("enum_assignment", "name"): _FIELD,
    },
    accesses={("member_expression", "property"): "before", ("nested_type_identifier", "name"): "before"},
    shorthands=frozenset({"shorthand_property_identifier", "shorthand_property_identifier_pattern"}),
    own=frozenset({"this"}),
    bodies=frozenset({"statement_block", "class_body", "interface_body", "enum_body", "switch_body"}),
    classes={
        "class_declaration": "name",
        "abstract_class_declaration": "name",
        "class": "name",
        "interface_declaration": "name",
        "enum_declaration": "name",
    },
    outside=frozenset(
        {
            ("function_declaration", "name"),
            ("generator_function_declaration", "name"),
            ("function_signature", "name"),
            ("class_declaration", "name"),
            ("abstract_class_declaration", "name"),
            ("interface_declaration", "name"),
            ("enum_declaration", "name"),
            ("type_alias_declaration", "name"),
        }
    ),
    inert_types=frozenset({"statement_identifier"}),
    hoisting=frozenset({"variable_declaration"}),
    heritage=frozenset({("extends_clause", "value"), ("class_heritage", None), ("extends_type_clause", "type")}),
)
_GO: Final = Syntax(
    names=frozenset({"identifier", "package_identifier"}),
    types=frozenset({"type_identifier"}),
    attributes=frozenset({"field_identifier"}),
    fixed=frozenset({"true", "false", "nil", "iota", "blank_identifier", "dot"}),
    strings=frozenset({"interpreted_string_literal", "raw_string_literal", "rune_literal"}),
    comments=frozenset({"comment"}),
    numbers=frozenset({"int_literal", "float_literal", "imaginary_literal"}),
    interpolations=frozenset(),
    scopes={
        "function_declaration": _F,
        "method_declaration": _F,
        "func_literal": _F,
        "method_elem": _F,
        "function_type": _F,
        "type_spec": _C,
        "block": _B,
        "if_statement": _B,
        "for_statement": _B,
        "expression_switch_statement": _B,
        "type_switch_statement": _B,
        "expression_case": _B,
        "default_case": _B,
        "type_case": _B,
        "communication_case": _B,
    },
    binds={
        ("short_var_declaration", "left"): _LOCAL,
        ("var_spec", "name"): _LOCAL,
        ("const_spec", "name"): _LOCAL,
        ("range_clause", "left"): _LOCAL,
        ("receive_statement", "left"): _LOCAL,
        ("type_switch_statement", "alias"): _LOCAL,
        ("parameter_declaration", "name"): _PARAMETER,
        ("variadic_parameter_declaration", "name"): _PARAMETER,
        ("type_parameter_declaration", "name"): _TYPE,
        ("function_declaration", "name"): _FUNCTION,
        ("type_spec", "name"): _TYPE,
        ("type_alias", "name"): _TYPE,
        ("import_spec", "name"): _IMPORT,
    },
    patterns={"expression_list": _ALL},
    imports={},
    members={
        ("method_declaration", "name"): _METHOD,
        ("method_elem", "name"): _METHOD,
        ("field_declaration", "name"): _FIELD,
    },
    accesses={
        ("selector_expression", "field"): "before",
        ("qualified_type", "name"): "before",
        ("keyed_element", "key"): "literal",
    },
    shorthands=frozenset(),
    own=frozenset(),
    bodies=frozenset({"block", "field_declaration_list", "literal_value", "interface_type"}),
    classes={"type_spec": "name"},
    outside=frozenset({("function_declaration", "name"), ("type_spec", "name")}),
    inert=frozenset({("package_clause", None)}),
    inert_types=frozenset({"label_name"}),
    ordered=True,
    bound_from=dict.fromkeys(
        ("short_var_declaration", "var_spec", "const_spec", "range_clause", "receive_statement"), "end"
    ),
)
_RUST: Final = Syntax(
    names=frozenset({"identifier", "shorthand_field_identifier"}),
    types=frozenset({"type_identifier"}),
    attributes=frozenset({"field_identifier"}),
    fixed=frozenset(
        {"self", "super", "crate", "mutable_specifier", "boolean_literal", "true", "false", "metavariable"}
    ),
    strings=frozenset({"string_literal", "raw_string_literal", "char_literal"}),
    comments=frozenset({"line_comment", "block_comment"}),
    numbers=frozenset({"integer_literal", "float_literal"}),
    interpolations=frozenset(),
    scopes={
        "function_item": _F,
        "function_signature_item": _F,
        "closure_expression": _F,
        "impl_item": _C,
        "trait_item": _C,
        "struct_item": _C,
        "union_item": _C,
        "enum_item": _C,
        "mod_item": _B,
        "block": _B,
        "match_arm": _B,
        "for_expression": _B,
        "while_expression": _B,
        "if_expression": _B,
    },
    binds={
        ("let_declaration", "pattern"): _LOCAL,
        ("let_condition", "pattern"): _LOCAL,
        ("for_expression", "pattern"): _LOCAL,
        ("match_pattern", None): _LOCAL,
        ("parameter", "pattern"): _PARAMETER,
        ("closure_parameters", None): _PARAMETER,
        ("function_item", "name"): _FUNCTION,
        ("function_signature_item", "name"): _FUNCTION,
        ("macro_definition", "name"): _FUNCTION,
        ("struct_item", "name"): _TYPE,
        ("union_item", "name"): _TYPE,
        ("enum_item", "name"): _TYPE,
        ("trait_item", "name"): _TYPE,
        ("type_item", "name"): _TYPE,
        ("type_parameter", "name"): _TYPE,
        ("const_parameter", "name"): _TYPE,
        ("associated_type", "name"): _TYPE,
        ("const_item", "name"): NameKind.CONSTANT,
        ("static_item", "name"): NameKind.CONSTANT,
        ("mod_item", "name"): _IMPORT,
        ("use_declaration", "argument"): _IMPORT,
        ("use_list", None): _IMPORT,
        ("scoped_use_list", "list"): _IMPORT,
        ("use_as_clause", "alias"): _IMPORT,
    },
    patterns={
        "tuple_pattern": _ALL,
        "ref_pattern": _ALL,
        "mut_pattern": _ALL,
        "slice_pattern": _ALL,
        "reference_pattern": _ALL,
        "tuple_struct_pattern": _ALL,
        "struct_pattern": _ALL,
        "field_pattern": frozenset({"pattern", "name"}),
        "or_pattern": _ALL,
        "captured_pattern": _ALL,
    },
    imports={"scoped_identifier": frozenset({"name"})},
    members={("field_declaration", "name"): _FIELD, ("enum_variant", "name"): _FIELD},
    accesses={
        ("field_expression", "field"): "before",
        ("scoped_identifier", "name"): "before",
        ("scoped_type_identifier", "name"): "before",
        ("field_initializer", "field"): "literal",
        ("field_pattern", "name"): "literal",
    },
    shorthands=frozenset({"shorthand_field_initializer", "shorthand_field_identifier"}),
    own=frozenset({"self", "Self"}),
    bodies=frozenset(
        {
            "block",
            "declaration_list",
            "field_declaration_list",
            "enum_variant_list",
            "match_block",
            "field_initializer_list",
        }
    ),
    classes={
        "impl_item": "type",
        "trait_item": "name",
        "struct_item": "name",
        "union_item": "name",
        "enum_item": "name",
    },
    outside=frozenset(
        {
            ("function_item", "name"),
            ("function_signature_item", "name"),
            ("struct_item", "name"),
            ("union_item", "name"),
            ("enum_item", "name"),
            ("trait_item", "name"),
            ("mod_item", "name"),
        }
    ),
    inert=frozenset({("macro_definition", None), ("attribute_item", None), ("inner_attribute_item", None)}),
    inert_types=frozenset({"lifetime", "label"}),
    ordered=True,
    separate=True,
    binds_upper_case=False,
    bound_from={"let_declaration": "end", "let_condition": "end", "for_expression": "body"},
)
SYNTAXES: Final[Mapping[str, Syntax]] = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "javascriptreact": _JAVASCRIPT,
    "typescript": replace(_JAVASCRIPT, fixed=_JAVASCRIPT.fixed | {"predefined_type"}),
    "typescriptreact": replace(_JAVASCRIPT, fixed=_JAVASCRIPT.fixed | {"predefined_type"}),
    "go": _GO,
    "rust": _RUST,
}
# Leaves that name a type of the language itself.
BUILT_IN_TYPES: Final = frozenset({"primitive_type", "predefined_type"})
# A JSX element of this form is one of HTML's own.
JSX_NAMES: Final = frozenset({"jsx_opening_element", "jsx_closing_element", "jsx_self_closing_element"})
