"""Audit looped language models for recurrent states whose scale no loss polices."""

from scaleaudit.domain.laws import law

__all__ = ["law"]

__version__ = "0.1.0"
