"""Prompt formats: one file per model family, registered in registry.py."""
