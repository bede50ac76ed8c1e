"""Draws up, in a few boxes, what a turn does to a state and what the loss reads of it."""
