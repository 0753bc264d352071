"""What settled text says of an example: distances of samples to it, classes by band, and targets."""
