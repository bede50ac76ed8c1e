"""What to tell a user whose model could not be built or called: what was tried, what to declare."""

from __future__ import annotations

from scaleaudit.capture.discovery.calling import Found
from scaleaudit.capture.discovery.classes import FileIndex
from scaleaudit.capture.discovery.signatures import Asked, asked
from scaleaudit.capture.loading import innermost_line, reason
from scaleaudit.domain.plans import Plan, declaration
from scaleaudit.errors import TargetError


def advice(
    index: FileIndex, name: str, best: Found | None, error: BaseException | None
) -> TargetError:
    """Say why a class is no target, and how to declare it."""
    path = str(index.path)
    if best is not None:
        last = best.outcome.error
        given = ", ".join(best.plan.args or ()) or "no arguments"
        message = (
            f"{name} can be built as {best.plan.model}, but no arguments were found that its "
            f"forward runs with; the best were ({given})"
        )
    else:
        last = error
        message = f"{name} cannot be built: nothing in the file says what it is built of"
    if last is not None:
        message += f"; the last error was {reason(last)}"
    where = path if last is None else innermost_line(last, path)
    return TargetError(message, where=where, hint=_hint(index, name, best))


def _hint(index: FileIndex, name: str, best: Found | None) -> str:
    cls = getattr(index.module, name)
    model = best.plan.model if best else f"{name}({_written(asked(cls))})"
    args = tuple(f"<{p.name}>" for p in asked(cls.forward)[1:] if p.required)
    snippet = declaration(Plan(str(index.path), name, model, args))
    return "declare what to audit, in the same file:\n\n" + snippet


def _written(parameters: tuple[Asked, ...]) -> str:
    return ", ".join(f"{p.name}=..." for p in parameters if p.required)
