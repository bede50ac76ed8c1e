"""The memory limit of a child."""

from __future__ import annotations

import contextlib
import sys

if sys.platform != "win32":
    import resource


def restrict(memory: int) -> None:
    """Refuse allocations beyond so many bytes of private memory, and leave no core dumps."""
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # RLIMIT_DATA counts private writable memory; RLIMIT_AS would also count what GPU runtimes
        # reserve and never touch. A lower limit that the user set already stays.
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        ceilings = [memory, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (min(ceilings), hard))


def lift() -> None:
    """Allow what the system allows: to say that memory ran out takes some."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
