"""Errors that a user can act on.

ScaleAuditError
 x TargetError      a target cannot be found, imported or built
 x CaptureError     a model's forward or loss cannot be captured
 x ConfigError      the command line or the configuration is wrong
 x RuleError        a rule page cannot be loaded
"""

from __future__ import annotations


class ScaleAuditError(Exception):
    """Base of all errors meant for users.

    Args:
        message: What failed, in one sentence.
        where: The place, as "file:line", where there is one.
        hint: What to try next.
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint


class TargetError(ScaleAuditError):
    """A target cannot be found, imported, built or called."""


class CaptureError(ScaleAuditError):
    """A model's forward or loss cannot be captured."""


class ConfigError(ScaleAuditError):
    """The command line or the configuration is wrong."""


class RuleError(ScaleAuditError):
    """A rule page cannot be loaded."""
