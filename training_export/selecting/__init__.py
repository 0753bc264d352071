"""Commands over whole lines that keep nothing between runs: which lines to keep and where, and what must not stay."""
