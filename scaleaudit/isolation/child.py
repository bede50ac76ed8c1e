"""The child's side of a job: take the limits on, run the function, write the answer, end."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import sys
import traceback
from typing import NoReturn

from scaleaudit.errors import ScaleAuditError
from scaleaudit.isolation.jobs import (
    Job,
    Trouble,
    TroubleKind,
    encode_trouble,
    encode_value,
    out_of_memory,
    ran_out_of_memory,
    trouble_of,
)

# EX_SOFTWARE of sysexits.h: the child itself failed, not the job.
_BROKEN = 70
# The stack is printed this long before the time limit, as a share of it.
_DUMP_AT = 0.95


def perform(job: Job, answer: int, output: int) -> NoReturn:
    """Run a job and end the process; nothing the user's code does can return from here.

    Args:
        answer: Descriptor that takes the encoded answer.
        output: Descriptor that takes what the user's code prints.
    """
    status = _BROKEN
    try:
        _redirect(output)
        # Where a hanging model hangs is seen in this dump, just before it is killed.
        faulthandler.dump_traceback_later(_DUMP_AT * job.limits.left)
        _restrict(job.limits.memory)
        _write(answer, answer_of(job))
        status = 0
    finally:
        # Buffered prints and the traceback of a failure here belong to the output.
        with contextlib.suppress(Exception):
            if status:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def answer_of(job: Job) -> bytes:
    """Call the job's function; every way in which it can end becomes an answer."""
    try:
        module, _, name = job.function.partition(":")
        function = getattr(importlib.import_module(module), name)
        return encode_value(function(*job.arguments))
    except BaseException as error:  # noqa: BLE001  # a child has no one to raise to
        return encode_trouble(_trouble(error))


def _trouble(error: BaseException) -> Trouble:
    if isinstance(error, ScaleAuditError):
        return trouble_of(error)
    if ran_out_of_memory(error):
        return out_of_memory()
    if isinstance(error, SystemExit):
        return Trouble(
            TroubleKind.TARGET,
            f"its code called sys.exit({error.code!r})",
            hint='Put what a script does under `if __name__ == "__main__":`.',
        )
    return Trouble(
        TroubleKind.BUG,
        f"{type(error).__name__}: {error}",
        details="".join(traceback.format_exception(error)),
    )


def _redirect(output: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    for standard in (1, 2):
        os.dup2(output, standard)
    # A segmentation fault prints the Python lines that led to it.
    faulthandler.enable(file=2)


def _restrict(memory: int) -> None:
    try:
        import resource  # noqa: PLC0415  # not on every system
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # RLIMIT_DATA counts private writable memory; RLIMIT_AS would also count what GPU runtimes
    # reserve and never touch. A lower limit that the user set already stays.
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    ceilings = [memory, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (min(ceilings), hard))


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
