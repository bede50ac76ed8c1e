"""The looped language models of arXiv 2606.24898, written anew: definitions and targets."""
