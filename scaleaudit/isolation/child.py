"""The child's side of a job: take the limits on, run the function, write the answer, end."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import NoReturn

from scaleaudit.errors import ScaleAuditError
from scaleaudit.isolation.jobs import (
    Job,
    Trouble,
    TroubleKind,
    encode_trouble,
    encode_value,
    trouble_of,
)

# EX_SOFTWARE of sysexits.h: the child itself failed, not the job.
_BROKEN = 70
# How torch words an allocation that the system refused, in its allocators' RuntimeErrors.
_TORCH_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory")


def perform(job: Job, answer: int, output: int) -> NoReturn:
    """Run a job and end the process; nothing the user's code does can return from here.

    Args:
        answer: Descriptor that takes the encoded answer.
        output: Descriptor that takes what the user's code prints.
    """
    status = _BROKEN
    try:
        _redirect(output)
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
        return encode_trouble(_trouble(error, job))


def _trouble(error: BaseException, job: Job) -> Trouble:
    where = error.where if isinstance(error, ScaleAuditError) else ""
    if _ran_out_of_memory(error):
        limit = f"{job.limits.memory / 2**30:g} GiB"
        return Trouble(
            TroubleKind.LIMIT,
            f"it asked for more memory than the limit of {limit} leaves",
            where,
            "Build the model on the meta device or smaller, or raise the limit "
            "with --memory-limit.",
        )
    if isinstance(error, ScaleAuditError):
        return trouble_of(error)
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


def _ran_out_of_memory(error: BaseException) -> bool:
    return any(
        isinstance(cause, MemoryError)
        or (
            isinstance(cause, RuntimeError)
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
