"""Counts the work of an audit: what is run, kept and judged, whatever the machine is doing.

Classes are wrapped from outside while an audit runs; the package has no counters of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from scaleaudit.api import audit_facts
from scaleaudit.capture.engines import FakeEngine
from scaleaudit.scale.interpreter import Interpreter

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).parent / "work.json"
_DECODERS, _ZOO = "benchmarks/targets.py", "tests/models/"

SIZES = ("tiny", "44m", "129m")
GUARDED = (
    *(f"{_DECODERS}::{size}_turns_{turns}" for size in SIZES for turns in (4, 64)),
    f"{_ZOO}attentions.py::real_rotary",
    f"{_ZOO}two_states.py::fast_and_slow",
    f"{_ZOO}nests.py::hierarchy",
    f"{_ZOO}halting.py::by_torch",
)

_ALLOCATIONS = (torch.ops.aten.empty, torch.ops.aten.empty_strided, torch.ops.aten.empty_like)


@dataclass(frozen=True, slots=True)
class Work:
    """What an audit did.

    Attributes:
        operators: Operators that the engine ran on fake tensors, building and recording, but for
            those that only ask for memory: a call that is not run again returns new tensors.
        nodes: Nodes of the graph handed to the scale analysis.
        applications: Nodes that the interpreter judged, over all of its passes.
        laws: Calls of laws.
    """

    operators: int
    nodes: int
    applications: int
    laws: int


def decoder(size: str, turns: int, *, layers: str = "") -> str:
    """Name the reference decoder of a size in a depth."""
    return f"{_DECODERS}::{layers}{size}_turns_{turns}"


def count_work(target: str) -> Work:
    """Audit a target, ``file.py::name``, in this process and count."""
    path, _, name = target.partition("::")
    with _counting() as counted:
        audit_facts(str(ROOT / path), name)
    return Work(**counted)


def read_work() -> dict[str, Work]:
    """Return the counts that are checked in."""
    return {name: Work(**counts) for name, counts in json.loads(FILE.read_text()).items()}


def write_work(counts: Mapping[str, Work]) -> None:
    """Check in other counts."""
    spelt = {name: asdict(work) for name, work in counts.items()}
    FILE.write_text(json.dumps(spelt, indent=2) + "\n")


@contextmanager
def _counting() -> Iterator[dict[str, int]]:
    counted = {"operators": 0, "nodes": 0, "applications": 0, "laws": 0}

    def counts(
        name: str, function: Callable[..., Any], *, which: Callable[..., bool] = _every
    ) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            counted[name] += which(*args)
            return function(*args, **kwargs)

        return call

    begin = Interpreter.__init__

    def begin_counted(self: Interpreter, graph: Any, laws: Mapping[str, Any]) -> None:
        counted["nodes"] += len(graph.nodes)
        # Operators that share a law share what is known of it.
        made = {id(law): replace(law, apply=counts("laws", law.apply)) for law in laws.values()}
        begin(self, graph, {op: made[id(law)] for op, law in laws.items()})

    with (
        patch.object(FakeEngine, "run", counts("operators", FakeEngine.run, which=_computes)),
        patch.object(Interpreter, "apply", counts("applications", Interpreter.apply)),
        patch.object(Interpreter, "__init__", begin_counted),
    ):
        yield counted


def _every(*_: Any) -> bool:
    return True


def _computes(_: FakeEngine, op: Any, *__: Any) -> bool:
    """Tell whether an operator does more than ask for memory."""
    return op.overloadpacket not in _ALLOCATIONS
