"""Checkpoints: weights read from files without running code, and fitted to a model by name."""
