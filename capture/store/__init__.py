"""Snapshots on disk: one SQLite file, one writer, nothing announced before it is durable."""
