"""Figures come out: accuracy and cost of a detector."""
