"""One source file as tree-sitter reads it: words, scopes and what each name stands for, in five languages."""
