"""The child's side of a job: take the limits on, run the function, leave the answer, end."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

from scaleaudit.errors import ScaleAuditError, described, ran_out_of_memory
from scaleaudit.isolation.jobs import (
    BROKEN,
    MAX_ANSWER_BYTES,
    Job,
    Trouble,
    TroubleKind,
    encode_trouble,
    encode_value,
    nonsense,
    out_of_memory,
    trouble_of,
)
from scaleaudit.isolation.lines import folder_of, innermost, is_users_fault
from scaleaudit.isolation.memory import lift, restrict
from scaleaudit.isolation.reads import watch_reads, with_seen
from scaleaudit.isolation.vitals import Vitals

# Bound now: the user's code may replace them, and what follows must hold all the same.
_exit, _getpid = os._exit, os.getpid
if sys.platform != "win32":
    _mask, _ALL_SIGNALS = signal.pthread_sigmask, signal.valid_signals()
# The stack is printed this long before the time limit, as a share of it.
_DUMP_AT = 0.95
# A traceback is for reading, and endless recursion makes an endless one.
_MOST_FRAMES = 30
_MOST_NAMES = 4


class Original:
    """This process, as opposed to the copies of it that a user's code may fork and let return."""

    def __init__(self) -> None:
        self._pid = _getpid()

    def end_copies(self) -> None:
        """End the process if it is a copy: what it has to say has been said, or will be."""
        if _getpid() != self._pid:
            _exit(0)


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Where a child writes: what the user's code prints, and where it was when it had to end."""

    output: int
    dump: int


def perform(
    job: Job, send: Callable[[bytes], None], descriptors: Descriptors, vitals: Vitals
) -> NoReturn:
    """Run a job and end the process; nothing the user's code does can return from here.

    Args:
        send: Takes the encoded answer.
        vitals: What the process relies on, as it was before the user's code came.
    """
    status = BROKEN
    try:
        _redirect(descriptors)
        # Where a hanging model hangs is seen in this dump, just before it is killed.
        faulthandler.dump_traceback_later(_DUMP_AT * job.limits.left, file=descriptors.dump)
        original = Original()
        restrict(job.limits.memory)
        seen = watch_reads() if job.watched else None
        answer = answer_of(job, vitals)
        if seen is not None:
            answer = with_seen(answer, seen())
        original.end_copies()
        send(answer)
        status = 0
    finally:
        # Buffered prints and the traceback of a failure here belong to the output.
        with contextlib.suppress(BaseException):
            if status:
                traceback.print_exc()
            _flush()
        _exit(status)


def answer_of(job: Job, vitals: Vitals) -> bytes:
    """Call the job's function; every way in which it can end becomes an answer."""
    folder = folder_of(job.arguments)
    try:
        function = _function(job.function)
    except Exception as error:  # noqa: BLE001  # a child has no one to raise to
        return encode_trouble(_bug(error))
    value, failure = _call(function, job.arguments)
    vital = vitals.changed()
    other = [] if failure is None else vitals.otherwise_changed()
    _calm()
    try:
        if vital or failure is not None:
            vitals.restore()
        if vital:
            return encode_trouble(_tampered(vital))
        if failure is None:
            return _encoded(value)
        trouble = _trouble(failure, folder)
        if trouble.kind is TroubleKind.BUG and other:
            trouble = _tampered(other, since=trouble.message)
        return encode_trouble(trouble)
    except BaseException as error:  # noqa: BLE001  # an error of the user's may be as odd as it likes
        vitals.restore()
        return encode_trouble(_bug(error))


def _call(
    function: Callable[..., object], arguments: tuple[str, ...]
) -> tuple[object, BaseException | None]:
    try:
        return function(*arguments), None
    except BaseException as error:  # noqa: BLE001  # every way to end is an answer
        return None, error


def _function(name: str) -> Callable[..., object]:
    module, _, attribute = name.partition(":")
    found: Callable[..., object] = getattr(importlib.import_module(module), attribute)
    return found


def _encoded(value: object) -> bytes:
    answer = encode_value(value)
    return (
        answer if len(answer) <= MAX_ANSWER_BYTES else encode_trouble(nonsense("it is too large"))
    )


def _calm() -> None:
    """Let nothing of the user's run any more, and have memory for an answer."""
    sys.settrace(None)
    sys.setprofile(None)
    if sys.platform != "win32":
        _mask(signal.SIG_BLOCK, _ALL_SIGNALS)
    lift()


def _tampered(changed: list[str], since: str = "") -> Trouble:
    more = f" and {len(changed) - _MOST_NAMES} more" if len(changed) > _MOST_NAMES else ""
    message = (
        f"its code changed {', '.join(changed[:_MOST_NAMES])}{more}, on which the audit relies"
    )
    return Trouble(
        TroubleKind.TARGET,
        f"{message} ({since})" if since else message,
        hint="Leave what belongs to Python and torch as it is, or put it back.",
    )


def _trouble(error: BaseException, folder: Path | None) -> Trouble:
    # isinstance() would ask the error for its class.
    if issubclass(type(error), ScaleAuditError):
        return trouble_of(cast("ScaleAuditError", error))
    frames = _frames(error)
    if ran_out_of_memory(error):
        return out_of_memory(innermost(frames, folder))
    if issubclass(type(error), Exception) and not is_users_fault(frames, folder):
        return _bug(error)
    hint = "Run the file by itself in Python to see the whole traceback."
    if issubclass(type(error), SystemExit):
        hint = 'Put what a script does under `if __name__ == "__main__":`.'
    message = f"its code raised {described(error)}"
    return Trouble(TroubleKind.TARGET, message, innermost(frames, folder), hint)


def _bug(error: BaseException) -> Trouble:
    details = "".join(traceback.format_exception(error, limit=-_MOST_FRAMES))
    return Trouble(TroubleKind.BUG, described(error), details=details)


def _frames(error: BaseException) -> list[tuple[str, int]]:
    """Return the files and lines that an error passed through, the innermost first."""
    walked = traceback.walk_tb(error.__traceback__)
    return [(frame.f_code.co_filename, line) for frame, line in walked][::-1]


def _redirect(descriptors: Descriptors) -> None:
    _flush()
    for standard in (1, 2):
        os.dup2(descriptors.output, standard)
    if descriptors.output not in {1, 2}:
        os.close(descriptors.output)
    # A segmentation fault prints the Python lines that led to it.
    faulthandler.enable(file=descriptors.dump)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # What the user put in their place may do anything.
        if type(stream) is io.TextIOWrapper:
            stream.flush()
