"""Takes architecture after architecture through building, running and auditing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from benchmarks.zoo.architectures import Architecture, Mapped
from benchmarks.zoo.auditing import Built, audit_targets
from benchmarks.zoo.building import Outcome
from benchmarks.zoo.records import Record

# Audited in one call, whose start they share.
_TOGETHER = 6
_PREPARER = (sys.executable, "-m", "benchmarks.zoo.preparing")
_MAPPINGS = (sys.executable, "-m", "benchmarks.zoo.architectures")

# Answers a line of JSON with a line of JSON.
Ask = Callable[[str], str]
# What architectures need, by class.
Hints = Mapping[str, Any]


def mappings() -> dict[str, Mapped]:
    """Read the mappings of transformers in a process of their own, which loads it."""
    found = subprocess.run(_MAPPINGS, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(found.stdout))


def sweep(
    architectures: Sequence[Architecture], folder: Path, hints: Hints, jobs: int
) -> Iterator[Record]:
    """Yield the record of every architecture; the next ones are built while some are audited.

    Args:
        folder: Where the target files are written.
        hints: What configurations and calls need, by class.
        jobs: How many processes work at a time, the one that builds included.
    """
    with _preparer() as ask, _thread() as ahead:

        def build(architecture: Architecture) -> Built:
            return _built(ask, architecture, folder, hints.get(architecture.class_name, {}))

        pending = [ahead.submit(build, architecture) for architecture in architectures]
        for first in range(0, len(pending), _TOGETHER):
            batch = [future.result() for future in pending[first : first + _TOGETHER]]
            yield from audit_targets(batch, max(1, jobs - 1))


def _built(ask: Ask, architecture: Architecture, folder: Path, hints: Mapping[str, Any]) -> Built:
    target = folder / f"{architecture.class_name}.py"
    question = {"architecture": asdict(architecture), "target": str(target), "hints": hints}
    return Built(architecture, target, Outcome(**json.loads(ask(json.dumps(question)))))


@contextmanager
def _thread() -> Iterator[ThreadPoolExecutor]:
    """Open a thread that drops what it has not begun on the way out."""
    thread = ThreadPoolExecutor(1)
    try:
        yield thread
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _preparer() -> Iterator[Ask]:
    """Start the process that loads transformers once and builds in forks of itself."""
    pipe = subprocess.PIPE
    with subprocess.Popen(_PREPARER, stdin=pipe, stdout=pipe, text=True) as process:
        questions, answers = process.stdin, process.stdout
        assert questions is not None
        assert answers is not None
        try:
            yield lambda question: _asked(questions, answers, question)
        finally:
            process.terminate()


def _asked(questions: IO[str], answers: IO[str], question: str) -> str:
    questions.write(question + "\n")
    questions.flush()
    answer = answers.readline()
    if not answer:
        raise RuntimeError("the process that builds architectures ended")
    return answer
