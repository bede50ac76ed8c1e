"""Audit looped language models for recurrent states whose scale no loss polices."""

__version__ = "0.1.0"
