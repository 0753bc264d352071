"""Snapshots become examples: read wherever they are kept, chosen, put in order, each said as an example."""
