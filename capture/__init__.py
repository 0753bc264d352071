"""What the programmer sees: inputs, editing state, context; with consent, snapshots."""
