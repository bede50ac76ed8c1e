"""Several jobs at a time, all ended at once when the user stops the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from scaleaudit.isolation.runner import Runner

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Pool:
    """Threads that wait for children; the work itself is in the children."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads

    def map(self, function: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
        """Yield the results in the order of the items, as they become ready."""
        return self._threads.map(function, items)


@contextmanager
def open_pool(runner: Runner, jobs: int, *, keep: bool = False) -> Iterator[Pool]:
    """Wait for up to so many jobs at a time; on any way out the runner is closed first.

    Threads wait for their children, so children must end before threads can be joined.

    Args:
        keep: Whether the runner stays open where all went well, so that no child is left.
    """
    threads = ThreadPoolExecutor(max_workers=jobs)
    try:
        yield Pool(threads)
    except BaseException:
        runner.close()
        raise
    finally:
        if not keep:
            runner.close()
        threads.shutdown(cancel_futures=True)
