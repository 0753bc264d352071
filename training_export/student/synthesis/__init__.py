"""Editing moments made out of source files: what somebody had just done there, and what comes next."""
