"""What became of a prediction: open snapshots follow their region until it was quiet long enough.

No input, no output, no clock of its own.
"""
