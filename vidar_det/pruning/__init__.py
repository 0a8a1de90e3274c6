"""Smaller networks come out: pruning by dendritic spines."""
