"""Weights come out: spike datasets, losses and the training loop."""
