"""Families of random looped models that carry several states, or states of an unusual kind."""
