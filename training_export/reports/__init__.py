"""What is shown of many examples: summaries, comparisons, pages with plots and diffs."""
