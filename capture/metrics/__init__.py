"""Scores of a prediction against what was wanted, equal to Zed's own. Pure: no I/O."""
