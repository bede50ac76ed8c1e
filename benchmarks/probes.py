"""Measurements from within a process: ``python -m benchmarks.probes capture 129m_turns_4``.

A probe prepares everything that is not to be measured, does the same once on a tiny model, so that
what is loaded or built at first use is there, and then lets the clock run for the call alone. It
prints one line of JSON, numbers by the names that ``Measure`` has for them.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import torch

from benchmarks.results import Measure
from scaleaudit.capture.capturing import Captured, capture
from scaleaudit.capture.targets import load_target
from scaleaudit.domain.graph import NodeKind, NoteKind
from scaleaudit.loops.finder import find_loops
from scaleaudit.scale.analysis import analyse

_TARGETS = Path(__file__).parent / "targets.py"
_WARM_UP = "tiny_turns_4"

Numbers: TypeAlias = dict[Measure, float]


def probe_capture(target: str) -> Numbers:
    """Measure our capture of a loaded target: forward and loss to the graph that is analysed."""
    loaded = load_target(_TARGETS, target)
    return _clocked(lambda: _first_way(capture(loaded)))


def probe_export(target: str) -> Numbers:
    """Measure ``torch.export.export`` of the same forward and loss on the same inputs."""
    loaded = load_target(_TARGETS, target).rebuild(fake=False)
    program = _WithLoss(loaded.model, loaded.loss)
    return _clocked(lambda: torch.export.export(program, loaded.loss_args))


def probe_analysis(target: str) -> Numbers:
    """Measure how many operators of a captured graph are analysed in a second."""
    graph = _captured(target).graph
    spent = _clocked(lambda: analyse(graph, find_loops(graph)))
    operators = sum(node.kind is NodeKind.CALL for node in graph.nodes)
    return {Measure.SPEED: operators / spent[Measure.CPU]}


PROBES: Mapping[str, Callable[[str], Numbers]] = {
    "capture": probe_capture,
    "export": probe_export,
    "analysis": probe_analysis,
}


class _WithLoss(torch.nn.Module):
    """A model whose forward is the whole call: export takes modules alone."""

    def __init__(self, model: torch.nn.Module, loss: Callable[..., torch.Tensor] | None) -> None:
        super().__init__()
        assert loss is not None
        self.model = model
        self._loss = loss

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss."""
        return self._loss(self.model, tokens, targets)


def _captured(target: str) -> Captured:
    return _first_way(capture(load_target(_TARGETS, target)))


def _first_way(captured: Captured) -> Captured:
    """Refuse what was not captured with fakes, at once: that is another program's cost."""
    fallbacks = [note.message for note in captured.graph.notes if note.kind is NoteKind.FALLBACK]
    if fallbacks:
        sys.exit(fallbacks[0])
    return captured


def _clocked(call: Callable[[], object]) -> Numbers:
    gc.collect()  # what preparing left behind is not the call's to clear away
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return {
        Measure.CPU: time.process_time() - cpu,
        Measure.WALL: time.perf_counter() - wall,
    }


def main() -> None:
    """Measure what the arguments ask for."""
    name, target = sys.argv[1:]
    torch.set_num_threads(1)
    probe = PROBES[name]
    probe(_WARM_UP)
    print(json.dumps({measure.value: number for measure, number in probe(target).items()}))


if __name__ == "__main__":
    main()
