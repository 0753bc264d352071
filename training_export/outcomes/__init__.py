"""What became of predictions: how many were accepted and kept, how sure that is, which of two models does better."""
