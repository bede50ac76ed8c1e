"""What an ended child means: its answer as a value, or its trouble in words for the user."""

from __future__ import annotations

import re
import signal
import sys
from typing import TypeVar

import msgspec

from scaleaudit.isolation.jobs import (
    BROKEN,
    End,
    How,
    Job,
    Limits,
    Outcome,
    RawOutcome,
    Trouble,
    TroubleKind,
    decode_answer,
    nonsense,
    out_of_memory,
)
from scaleaudit.isolation.lines import folder_of, innermost
from scaleaudit.isolation.reads import split_seen

Value = TypeVar("Value")


def judge(raw: RawOutcome, job: Job, expected: type[Value]) -> Outcome[Value]:
    """Read what a child left behind; whatever it is, the result is a value or a trouble."""
    output = raw.output + raw.dump
    if raw.end != End(How.EXITED, 0) or not raw.answer:
        return Outcome(None, _cut_short(raw, job), output, raw.seconds)
    try:
        seen, answer = split_seen(raw.answer)
        value, trouble = decode_answer(answer, expected)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Outcome(None, nonsense(str(error)), output, raw.seconds)
    return Outcome(value, trouble, output, raw.seconds, seen)


# A frame as faulthandler prints it, the innermost first.
_FRAME = re.compile(r'^  File "([^<].*)", line (\d+) in ', re.MULTILINE)
# The last words of a program that C++ ends for want of memory.
_CPP_OUT_OF_MEMORY = "std::bad_alloc"


def _cut_short(raw: RawOutcome, job: Job) -> Trouble:
    """Say what ended a job before it had answered, and where that was if it left a dump."""
    stack = ((path, int(line)) for path, line in _FRAME.findall(raw.dump or raw.output))
    where = innermost(stack, folder_of(job.arguments))
    number = raw.end.number
    match raw.end.how:
        case How.EXITED:
            return _left(number, where)
        case How.KILLED if number == signal.SIGABRT and _CPP_OUT_OF_MEMORY in raw.output:
            return out_of_memory(where)
        case How.KILLED:
            return _killed(number, where)
        case How.STOPPED:
            message = f"its process was stopped by {_signal_name(number)}"
            return Trouble(TroubleKind.CRASH, message, where, _LOOK)
        case How.TIMED_OUT:
            return _timed_out(job.limits, where)
        case How.UNWATCHED | How.ABANDONED:
            return _ended_others(raw.end.how, where)


_LOOK = "See what it printed with --show-output."


def _left(code: int, where: str) -> Trouble:
    message = f"its code ended the process with exit code {code} before the audit was done"
    if code == BROKEN:
        message = "its code left the process in a state in which it could not answer"
    return Trouble(TroubleKind.CRASH, message, where, _LOOK)


# What the system sends to code that touches wrong memory or fails a check of its own.
_FAULTS = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL})
if sys.platform != "win32":
    _FAULTS |= {signal.SIGBUS}
_KILL = 9  # signal.SIGKILL, which not every system has


def _killed(number: int, where: str) -> Trouble:
    kind = TroubleKind.FAULT if number in _FAULTS else TroubleKind.CRASH
    hint = _LOOK
    if number == _KILL:
        hint = (
            "Unless its own code did that, the machine ran out of memory: make its inputs smaller."
        )
    return Trouble(kind, f"its process was killed by {_signal_name(number)}", where, hint)


def _signal_name(number: int) -> str:
    try:
        found = signal.Signals(number)
    except ValueError:
        return f"signal {number}"
    return f"{found.name} ({signal.strsignal(number)})"


def _timed_out(limits: Limits, where: str) -> Trouble:
    return Trouble(
        TroubleKind.TIME,
        f"it was still running after {limits.seconds:g} seconds and was stopped",
        where,
        "Give the target smaller inputs or fewer loops, or raise the limit with --timeout.",
    )


def _ended_others(how: How, where: str) -> Trouble:
    message = "the process that watches over it was ended"
    if how is How.ABANDONED:
        message = "the process that starts its processes was ended, and ended again"
    hint = "Code that sends signals to processes that it did not start does this."
    return Trouble(TroubleKind.CRASH, message, where, hint)
