"""The workspace symbol index: what is defined where, found with tree-sitter in a process of its own.

In memory only: nothing is written to disk, nothing is fetched. The way in is ``client.SymbolIndex``; the rest runs in
the child process (``worker``). Knows nothing of cursors, prompts or editors.
"""
