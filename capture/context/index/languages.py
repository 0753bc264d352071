"""The languages the symbol index reads: by which names of files, with which grammar, and what counts as a definition.

A grammar's own wheel says what a definition is (``queries/tags.scm`` inside it); ``more_tags`` adds what that leaves
out, or stands alone where the wheel has none. Knows nothing of files' contents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_ITEMS_OF_SCRIPTS: Final = """
(function_declaration name: (identifier) @name) @definition.function
(generator_function_declaration name: (identifier) @name) @definition.function
(class_declaration name: (_) @name) @definition.class
(method_definition name: (property_identifier) @name) @definition.method
(variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression)]) @definition.function
(program (lexical_declaration (variable_declarator name: (identifier) @name) @definition.constant))
(program (export_statement (lexical_declaration (variable_declarator name: (identifier) @name) @definition.constant)))
"""
_ITEMS_OF_TYPESCRIPT: Final = (
    _ITEMS_OF_SCRIPTS
    + """
(type_alias_declaration name: (type_identifier) @name) @definition.type
(enum_declaration name: (identifier) @name) @definition.enum
"""
)
_ITEMS_OF_C: Final = """
(preproc_def name: (identifier) @name) @definition.macro
(preproc_function_def name: (identifier) @name) @definition.macro
(union_specifier name: (type_identifier) @name body: (_)) @definition.class
(enumerator name: (identifier) @name) @definition.constant
(translation_unit (declaration declarator: (init_declarator declarator: (identifier) @name)) @definition.variable)
"""
_AROUND_SCRIPTS: Final = frozenset({"export_statement", "lexical_declaration", "variable_declaration"})
_AROUND_C: Final = frozenset(
    {
        "declaration",
        "field_declaration",
        "function_definition",
        "init_declarator",
        "pointer_declarator",
        "type_definition",
    }
)
_BLOCKS_OF_C: Final = frozenset({"compound_statement"})


@dataclass(frozen=True, slots=True, eq=False)
class IndexedLanguage:
    """One language; ``name`` is its LSP language id.

    Names are looked up among the languages of one ``family``, which call each other's code. An item is widened to its
    parents of a type in ``around``: decorators and the like belong to it. What stands directly in a node of a type in
    ``blocks`` is local to it and not listed.
    """

    name: str
    family: str
    suffixes: tuple[str, ...]
    module: str
    function: str = "language"
    more_tags: str = ""
    around: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()


LANGUAGES: Final = (
    IndexedLanguage(
        "python",
        "python",
        (".py", ".pyi"),
        "tree_sitter_python",
        more_tags="""
(class_definition body: (block (function_definition name: (identifier) @name) @definition.method))
(class_definition
  body: (block (decorated_definition definition: (function_definition name: (identifier) @name) @definition.method)))
(module (type_alias_statement left: (type (identifier) @name)) @definition.type)
""",
        around=frozenset({"decorated_definition"}),
    ),
    IndexedLanguage(
        "javascript",
        "javascript",
        (".js", ".jsx", ".mjs", ".cjs"),
        "tree_sitter_javascript",
        more_tags=_ITEMS_OF_SCRIPTS,
        around=_AROUND_SCRIPTS,
    ),
    IndexedLanguage(
        "typescript",
        "javascript",
        (".ts", ".mts", ".cts"),
        "tree_sitter_typescript",
        "language_typescript",
        more_tags=_ITEMS_OF_TYPESCRIPT,
        around=_AROUND_SCRIPTS,
    ),
    IndexedLanguage(
        "typescriptreact",
        "javascript",
        (".tsx",),
        "tree_sitter_typescript",
        "language_tsx",
        more_tags=_ITEMS_OF_TYPESCRIPT,
        around=_AROUND_SCRIPTS,
    ),
    IndexedLanguage(
        "go",
        "go",
        (".go",),
        "tree_sitter_go",
        more_tags="""
(type_alias name: (type_identifier) @name) @definition.type
(source_file (const_declaration (const_spec name: (identifier) @name) @definition.constant))
(source_file (var_declaration (var_spec name: (identifier) @name) @definition.variable))
(source_file (var_declaration (var_spec_list (var_spec name: (identifier) @name) @definition.variable)))
""",
    ),
    IndexedLanguage(
        "rust",
        "rust",
        (".rs",),
        "tree_sitter_rust",
        more_tags="""
(const_item name: (identifier) @name) @definition.constant
(static_item name: (identifier) @name) @definition.constant
(function_signature_item name: (identifier) @name) @definition.method
(declaration_list (function_item name: (identifier) @name) @definition.method)
""",
    ),
    IndexedLanguage("c", "c", (".c",), "tree_sitter_c", more_tags=_ITEMS_OF_C, around=_AROUND_C, blocks=_BLOCKS_OF_C),
    IndexedLanguage(
        "cpp",
        "c",
        # C++ reads C's headers, and C does not read C++'s.
        (".cc", ".cpp", ".cxx", ".c++", ".h", ".hh", ".hpp", ".hxx", ".h++", ".inl"),
        "tree_sitter_cpp",
        more_tags=_ITEMS_OF_C
        + """
(alias_declaration name: (type_identifier) @name) @definition.type
(concept_definition name: (identifier) @name) @definition.type
(function_declarator
  declarator: (qualified_identifier name: (qualified_identifier name: (identifier) @name))) @definition.method
(namespace_definition
  body: (declaration_list
    (declaration declarator: (init_declarator declarator: (identifier) @name)) @definition.variable))
""",
        around=_AROUND_C | {"reference_declarator", "template_declaration"},
        blocks=_BLOCKS_OF_C,
    ),
    IndexedLanguage(
        "java",
        "java",
        (".java",),
        "tree_sitter_java",
        more_tags="""
(interface_declaration name: (identifier) @name) @definition.interface
(enum_declaration name: (identifier) @name) @definition.enum
(record_declaration name: (identifier) @name) @definition.class
(annotation_type_declaration name: (identifier) @name) @definition.interface
(enum_constant name: (identifier) @name) @definition.constant
(constant_declaration declarator: (variable_declarator name: (identifier) @name)) @definition.constant
(field_declaration declarator: (variable_declarator name: (identifier) @constant_name)) @definition.constant
""",
    ),
    IndexedLanguage(
        "ruby",
        "ruby",
        (".rb", ".rake", ".gemspec"),
        "tree_sitter_ruby",
        more_tags="(assignment left: (constant) @name) @definition.constant",
    ),
    IndexedLanguage(
        "shellscript",
        "shellscript",
        (".sh", ".bash"),
        "tree_sitter_bash",
        more_tags="""
(function_definition name: (word) @name) @definition.function
(program (variable_assignment name: (variable_name) @name) @definition.variable)
(program (declaration_command (variable_assignment name: (variable_name) @name)) @definition.variable)
""",
    ),
    IndexedLanguage(
        "php",
        "php",
        (".php",),
        "tree_sitter_php",
        "language_php",
        more_tags="""
(interface_declaration name: (name) @name) @definition.interface
(trait_declaration name: (name) @name) @definition.interface
(enum_declaration name: (name) @name) @definition.enum
(method_declaration name: (name) @name) @definition.method
(const_declaration (const_element (name) @name)) @definition.constant
""",
    ),
    IndexedLanguage(
        "csharp",
        "csharp",
        (".cs",),
        "tree_sitter_c_sharp",
        more_tags="""
(class_declaration name: (identifier) @name) @definition.class
(interface_declaration name: (identifier) @name) @definition.interface
(struct_declaration name: (identifier) @name) @definition.class
(record_declaration name: (identifier) @name) @definition.class
(enum_declaration name: (identifier) @name) @definition.enum
(delegate_declaration name: (identifier) @name) @definition.type
(method_declaration name: (identifier) @name) @definition.method
(field_declaration
  (modifier "const") (variable_declaration (variable_declarator name: (identifier) @name))) @definition.constant
""",
    ),
)
_BY_SUFFIX: Final = {suffix: language for language in LANGUAGES for suffix in language.suffixes}


def language_of(path: str) -> IndexedLanguage | None:
    """The language of the file at ``path``, by its suffix; None where the index reads no such files."""
    dot = path.rfind(".")
    return _BY_SUFFIX.get(path[dot:]) if dot >= 0 else None


def family_of(path: str) -> str:
    """The family of the language of the file at ``path``, empty where it is not known."""
    language = language_of(path)
    return language.family if language is not None else ""
