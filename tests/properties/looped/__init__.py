"""Random small looped models, and the numbers that the audit's answers are held against."""
