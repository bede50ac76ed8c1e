"""Laws that users declare, held against the operators themselves.

Each operator runs on random numbers, apart from the program, with the arguments that its law
speaks of scaled by 1, 1e2 and 1e4. What contradicts a declaration is told of at its own line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from scaleaudit.domain.executable import Executable
from scaleaudit.domain.facts import Disagreement
from scaleaudit.domain.graph import Argument, Location, Node, OpGraph, Ref
from scaleaudit.domain.laws import DeclaredLaw

FACTORS = (1.0, 1e2, 1e4)
# A small one too, where a law is a range alone: what is flat down there was never bent.
_SMALL = 1e-2
# How far a measured degree may lie from the declared one; in the limit there is more left of eps.
_EXACT, _LIMIT = 0.02, 0.05


def contradicted(program: Executable, seed: int = 0) -> tuple[tuple[Disagreement, ...], list[str]]:
    """Hold every declared law that the program met against numbers.

    Returns:
        What the numbers contradict, and which laws could not be measured, with the reason.
    """
    found: list[Disagreement] = []
    reasons: list[str] = []
    for law, node in _met(program.graph):
        trial = _Trial(program, law, node, seed)
        try:
            measured = trial.contradiction()
        except Exception as error:  # noqa: BLE001 - whatever an operator raises on numbers of ours
            first = (str(error).splitlines() or [type(error).__name__])[0]
            reasons.append(f"{law.operator}, whose law is declared, could not be run: {first}")
            continue
        if measured:
            place = Location(law.path, law.line) if law.path else node.location
            claim = f"the law declared in {law.where} says {law}"
            found.append(Disagreement(law.operator, place, claim, measured))
    return tuple(found), reasons


def _met(graph: OpGraph) -> Iterator[tuple[DeclaredLaw, Node]]:
    """Yield each law with the first call that it is of; of functions the content is certified."""
    laws = {law.operator: law for law in graph.declared if not law.like}
    for node in graph.nodes:
        name = node.op if node.op in laws else node.base_op
        if name in laws and not name.startswith("scaleaudit."):
            yield laws.pop(name), node


class _Trial:
    """Runs of one operator."""

    def __init__(self, program: Executable, law: DeclaredLaw, node: Node, seed: int) -> None:
        self._graph, self._law, self._node = program.graph, law, node
        self._target: Any = program.node_of[node.id].target
        self._seed = seed

    def contradiction(self) -> str:
        """Say what the operator does that its law does not allow, '' where all is as declared."""
        for names, degree in self._speaks_of():
            values = [self._run(names, factor) for factor in FACTORS]
            wrong = self._outside(values)
            if not wrong and degree is None:
                wrong = _never_bent([self._run(names, _SMALL), *values])
            if not wrong and degree is not None:
                wrong = self._other_degree([float(value.norm()) for value in values], degree)
            if wrong:
                return f"with {' and '.join(sorted(names))} scaled, {wrong}"
        return ""

    def _speaks_of(self) -> list[tuple[frozenset[str], float | None]]:
        """Return which arguments to scale together, and the degree that is declared of them."""
        given = dict(self._node.arguments)
        if self._law.degrees:
            return [(frozenset({n}), d) for n, d in self._law.degrees if n in given]
        moving = frozenset(
            name
            for name, argument in given.items()
            if any(ref.node in self._graph.reads_inputs for ref in _refs(argument))
        )
        return [(moving, self._law.degree)]

    def _run(self, names: frozenset[str], factor: float) -> Tensor:
        generator = torch.Generator().manual_seed(self._seed)

        def value(argument: Argument, scale: float) -> Any:  # noqa: ANN401 - as schemas have it
            if isinstance(argument, tuple):
                return [value(each, scale) for each in argument]
            if not isinstance(argument, Ref):
                return argument
            meta = self._graph.meta(argument)
            dtype: torch.dtype = getattr(torch, meta.dtype)
            if not dtype.is_floating_point:
                return torch.zeros(meta.shape, dtype=dtype)
            drawn = torch.randn(meta.shape, generator=generator, dtype=torch.float64)
            return drawn * scale

        given = {
            name: value(argument, factor if name in names else 1.0)
            for name, argument in self._node.arguments
        }
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(self._seed)
            out = self._target(**given)
        first: Tensor = out[0] if isinstance(out, (tuple, list)) else out
        return first.to(torch.float64)

    def _outside(self, values: list[Tensor]) -> str:
        if not self._law.bounded:
            return ""
        low, high = self._law.bounded
        least = min(float(value.min()) for value in values)
        most = max(float(value.max()) for value in values)
        room = 1e-9 * max(abs(low), abs(high), 1.0)
        if least >= low - room and most <= high + room:
            return ""
        return f"the result reaches from {least:.3g} to {most:.3g}"

    def _other_degree(self, norms: list[float], expected: float) -> str:
        if not all(math.isfinite(norm) and norm > 0 for norm in norms):
            return ""
        first, last = (
            math.log(after / before) / math.log(FACTORS[1]) for before, after in pairwise(norms)
        )
        grows = f"the result grows like a^{first:.2f} up to 1e2 and like a^{last:.2f} from there"
        if abs(last - expected) > (_LIMIT if self._law.limit else _EXACT):
            return f"{grows}, not like a^{expected:g}"
        if not self._law.limit and abs(first - expected) > _EXACT:
            return f"{grows}: declare limit = true"
        return ""


def _never_bent(values: list[Tensor]) -> str:
    flat = all(torch.allclose(value, values[0], rtol=1e-3) for value in values)
    return "the result does not change with the length at all: declare degree = 0" if flat else ""


def _refs(argument: Argument) -> Iterator[Ref]:
    if isinstance(argument, Ref):
        yield argument
    elif isinstance(argument, tuple):
        for each in argument:
            yield from _refs(each)
