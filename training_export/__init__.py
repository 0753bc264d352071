"""From snapshots to training data and a better student."""
