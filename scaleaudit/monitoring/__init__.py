"""Lengths of carried states in training of the user's own: what is captured once is run now and then."""
