"""Documents, positions, edit history, unified diffs and excerpts. Pure: no I/O."""
