"""Training a student: examples become tokens on the disk, tokens become weights."""
