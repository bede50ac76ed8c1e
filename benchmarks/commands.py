"""The commands that are measured, each in new processes, and what to measure of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.accounting import CommandError, Usage, account
from benchmarks.results import Aim, Measure

PYTHON = sys.executable
IMPORT_TORCH = (PYTHON, "-c", "import torch")
HELP = (PYTHON, "-m", "scaleaudit", "--help")
CACHED_CHECK = (PYTHON, "-m", "scaleaudit", "check")
CHECK = (*CACHED_CHECK, "--no-cache")
# 1 says that an audited model is at fault, as all those are that are audited here.
_DONE = (0, 1)
# How many lines of a command that failed are worth showing.
_LAST_WORDS = 3

# Takes one sample of every measure.
Sample = Callable[[], Mapping[Measure, float]]


@dataclass(frozen=True, slots=True)
class Row:
    """A line to be measured: what its name will be, and how to take a sample."""

    name: str
    sample: Sample
    base: str = ""
    aims: tuple[Aim, ...] = ()


def timed(command: Sequence[str], says: str = "") -> Sample:
    """Measure the time that a command takes.

    Args:
        says: A text that it must print, else it did not do its work.
    """

    def sample() -> Mapping[Measure, float]:
        usage = account(command)
        _require(usage, says)
        return {Measure.CPU: usage.cpu, Measure.WALL: usage.wall}

    return sample


def timed_and_weighed(command: Sequence[str], says: str = "") -> Sample:
    """Measure the time of one run, and the memory of another, which looking disturbs."""

    def sample() -> Mapping[Measure, float]:
        times = timed(command, says)()
        usage = account(command, weigh=True)
        _require(usage, says)
        return {
            **times,
            Measure.LARGEST: usage.largest,
            Measure.TOGETHER: usage.together,
        }

    return sample


def probed(probe: str, target: str) -> Sample:
    """Have one of ``benchmarks.probes`` measure itself on a target, in a new process."""
    return measuring_itself("benchmarks.probes", probe, target)


def measuring_itself(module: str, *arguments: str) -> Sample:
    """Have a module measure itself in a new process, and print numbers by their names."""

    def sample() -> Mapping[Measure, float]:
        usage = account((PYTHON, "-m", module, *arguments))
        _require(usage, "{")
        numbers = json.loads(usage.output.splitlines()[-1])
        return {Measure(name): number for name, number in numbers.items()}

    return sample


def _require(usage: Usage, says: str) -> None:
    if usage.code in _DONE and says in usage.output:
        return
    last = " | ".join(usage.output.strip().splitlines()[-_LAST_WORDS:])
    raise CommandError(f"exit code {usage.code}: {last}")
