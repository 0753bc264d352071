"""What runs stages over files of examples: reading, workers, resuming, writing, progress."""
