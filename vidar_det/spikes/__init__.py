"""What comes in: recordings, counts per bin, the camera and the scenes it looks at (NumPy only)."""
