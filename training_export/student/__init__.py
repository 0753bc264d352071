"""The embedded student: synthetic edits, tokenizer, training, GGUF."""
