"""What comes out: boxes with scores and classes (NumPy only)."""
