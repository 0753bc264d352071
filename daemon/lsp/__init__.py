"""Language Server Protocol sessions: one file per surface; nothing here computes a prediction."""
