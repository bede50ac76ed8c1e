"""The command line: reads what the user wants, calls the audit, writes, and chooses the exit code."""

from scaleaudit.cli.entry import main

__all__ = ["main"]
