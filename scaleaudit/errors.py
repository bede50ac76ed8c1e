"""Errors that a user can act on.

ScaleAuditError
 x TargetError      a target cannot be found, imported or built
    x NoModelError  a file holds nothing to audit
 x CaptureError     a model's forward or loss cannot be captured
 x ConfigError      the command line or the configuration is wrong
    x WeightsError  a checkpoint cannot be read, or is of another model
 x RuleError        a rule page cannot be loaded
 x ProbeError       a target cannot be trained or measured
"""

from __future__ import annotations

from collections.abc import Iterator


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


class NoModelError(TargetError):
    """A file declares no target and defines no model."""


class CaptureError(ScaleAuditError):
    """A model's forward or loss cannot be captured."""


class ConfigError(ScaleAuditError):
    """The command line or the configuration is wrong."""


class RuleError(ScaleAuditError):
    """A rule page cannot be loaded."""


class ProbeError(ScaleAuditError):
    """A target cannot be trained or measured."""


class WeightsError(ConfigError):
    """A checkpoint cannot be read, or is of another model."""


class ScaleWarning(UserWarning):
    """A model that is monitored in training shows an early sign that its states come loose."""


def full_sentence(error: ScaleAuditError) -> str:
    """Return in one line what failed, where, and what to do."""
    where = f" ({error.where})" if error.where else ""
    hint = f". {error.hint}" if error.hint else ""
    return f"{error.message}{where}{hint}"


# A message is a sentence; user code may raise megabytes.
_LONGEST = 500
_NAME = type.__dict__["__name__"].__get__


def class_name(value: object) -> str:
    """Return the name of a value's class as Python knows it, whatever its metaclass says."""
    return str(_NAME(type(value)))


def described(error: BaseException) -> str:
    """Say in one line what an exception says, whatever its class makes of that."""
    kind = class_name(error)
    message = _first_line(error)
    if not message:
        return kind
    if len(message) > _LONGEST:
        message = f"{message[:_LONGEST]}..."
    return f"{kind}: {message}".encode(errors="backslashreplace").decode()


def _first_line(error: BaseException) -> str:
    try:
        text = str(error).strip()
    except BaseException:  # noqa: BLE001  # it is the user's own, and may do anything
        return "(its message cannot be shown)"
    return text.splitlines()[0] if text else ""


# How torch words an allocation that the system refused, in its allocators' RuntimeErrors.
_TORCH_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory")


def ran_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error, or one that it came from, is a refused allocation."""
    return any(
        issubclass(type(cause), MemoryError)
        or (
            issubclass(type(cause), RuntimeError)
            and any(words in str(cause) for words in _TORCH_OUT_OF_MEMORY)
        )
        for cause in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
