"""A recipe comes in, weights go out: windows made on the fly, losses and the training loop."""
