"""Chains of commands over examples: what a recipe says, how it is run, and the manifest that tells what came of it."""
