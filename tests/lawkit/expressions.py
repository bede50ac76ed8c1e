"""Random expressions over a carried state, built from every operator with a law."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cache

import torch

from lawkit.agreement import Judgement, judge_value
from lawkit.inferring import infer
from lawkit.operations import operations
from lawkit.programs import BASE_SHAPE, Program, Samples
from lawkit.table import Operation, fit
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import Scale
from scaleaudit.scale import judge
from scaleaudit.scale.interpreter import ScaleTable, View

# Values with more elements make no better test; few elements are not in general position.
MOST_ELEMENTS = 600
FEWEST_ELEMENTS = 8


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of an expression: which, on which of the values before it."""

    operation: int
    first: int
    second: int
    recorded: bool


@dataclass
class Tally:
    """What the random draws met, over a whole run."""

    met: Counter[str] = field(default_factory=Counter)
    discarded: Counter[str] = field(default_factory=Counter)
    draws: int = 0

    def count(self, scale: Scale, discarded: str) -> None:
        """Count the outcome of one draw."""
        self.draws += 1
        if discarded:
            self.discarded[discarded] += 1
        else:
            self.met[_described(scale)] += 1

    def lines(self) -> list[str]:
        """Return the mix of classes met, most frequent first."""
        lost = sum(self.discarded.values())
        head = f"{self.draws} draws, {lost} of them discarded: {dict(self.discarded)}"
        return [head, *(f"{count:6d}  {kind}" for kind, count in self.met.most_common())]


TALLY = Tally()


def _described(scale: Scale) -> str:
    if not scale.depends:
        return "independent"
    power = scale.growth.hi.power
    if power in (math.inf, -math.inf):
        degree = "beyond powers"
    elif scale.growth.hi.log and not power:
        degree = "logarithmic"
    else:
        degree = "degree 0" if power == 0 else "positive degree" if power > 0 else "negative degree"
    return f"{judge.visibility(scale).value}, {degree}"


@cache
def common_operations() -> tuple[Operation, ...]:
    """Return the operations that random expressions draw from, all of them first to last."""
    return tuple(operation for operation in operations() if operation.common)


def build(seed: int, steps: list[Step]) -> tuple[Program, list[Ref]]:
    """Build an expression; returns the program and the value of every step."""
    program = Program(seed)
    pool = [
        program.parameter(*BASE_SHAPE),
        program.constant(program.normal(*BASE_SHAPE)),
        program.state(*BASE_SHAPE),
        program.state(*BASE_SHAPE),
    ]
    results: list[Ref] = []
    for step in steps:
        operation = common_operations()[step.operation % len(common_operations())]
        operands = [_pick(pool, step.first)]
        if operation.arity > 1:
            other = _pick(pool, step.second)
            operands.append(fit(program, other, *program.shape(operands[0])))
        program.grad = step.recorded
        result = operation.apply(program, *operands)
        program.grad = True
        if program.dtype(result) != "float64":
            result = program("aten._to_copy.default", result, dtype=torch.float64)
        results.append(result)
        if FEWEST_ELEMENTS <= math.prod(program.shape(result)) <= MOST_ELEMENTS:
            pool.append(result)
    return program, results


def _pick(pool: list[Ref], choice: int) -> Ref:
    """Pick a value, the newest ones first."""
    return pool[-1 - choice % min(len(pool), 4)]


def judge_expression(program: Program, results: list[Ref]) -> list[tuple[Ref, Judgement]]:
    """Hold every value that a step yields against numbers, and the last one's gradient."""
    table = infer(program)
    samples = program.samples()
    judged = [(ref, _judge(table, samples, ref)) for ref in results]
    last = results[-1]
    if not judged[-1][1].discarded:
        judged.append((last, Judgement(tuple(judge_gradient(program, last, table)))))
    return judged


def _judge(table: ScaleTable, samples: dict[Ref, Samples], ref: Ref) -> Judgement:
    return judge_value(table[ref], samples[ref])


def judge_gradient(program: Program, ref: Ref, table: ScaleTable) -> list[str]:
    """Compare the gradient view, and the positions read, with autograd."""
    path = infer(program, View.GRADIENT)
    return compare_gradients(table[ref], path[ref], gradients(program, ref))


def compare_gradients(value: Scale, path: Scale, found: list[torch.Tensor | None]) -> list[str]:
    """Compare what is said of a value and of its gradient path with the gradients themselves."""
    complaints = []
    if path.depends and not any(g is not None for g in found):
        complaints.append("autograd finds no gradient path, though one was inferred")
    if not path.depends and any(g is not None and bool((g != 0).any()) for g in found):
        complaints.append("has a gradient, though none was inferred")
    return [*complaints, *_reads_beyond(value, found)]


def gradients(program: Program, ref: Ref) -> list[torch.Tensor | None]:
    """Return the gradient of a value, its elements weighted, by each state."""
    rows = program.run(1.0, grad=True)
    value = rows[ref.node][ref.output]
    states = [rows[state.node][0] for state in program.states]
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        return [None for _ in states]
    value = torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(value.shape, generator=generator, dtype=value.dtype)
    total = (value * weights).sum()
    try:
        found = torch.autograd.grad(total, states, allow_unused=True)
    except RuntimeError as error:
        if "not implemented" in str(error):
            return [None for _ in states]
        raise
    # What is left of gradients that cancel is rounding.
    return [
        None if g is None else torch.where(g.abs() > 1e-12 * _size(rows), g, 0.0) for g in found
    ]


def _size(rows: list[tuple[object, ...]]) -> float:
    """Return the largest number of a program's values."""
    sizes = [
        float(v.detach().abs().max())
        for row in rows
        for v in row
        if isinstance(v, torch.Tensor) and v.is_floating_point() and v.numel()
    ]
    return max([s for s in sizes if math.isfinite(s)], default=1.0)


def _reads_beyond(scale: Scale, gradients: list[torch.Tensor | None]) -> list[str]:
    """What has a gradient is among the positions said to be read."""
    support = scale.support
    for gradient in gradients:
        if gradient is None or not gradient.isfinite().all() or not (gradient != 0).any():
            continue
        if support is None:
            return ["reads the state, though no position is said to be read"]
        for axis, mask in enumerate(support.reads):
            others = [d for d in range(gradient.dim()) if d != axis]
            read = (
                (gradient != 0).any(dim=others[0])
                if len(others) == 1
                else ((gradient != 0).flatten() if not others else _any(gradient != 0, others))
            )
            beyond = [i for i, flag in enumerate(read.tolist()) if flag and not mask >> i & 1]
            if beyond and support.exact:
                return [f"reads index {beyond[0]} of axis {axis}, which is said not to be read"]
    return []


def _any(flags: torch.Tensor, dims: list[int]) -> torch.Tensor:
    for d in sorted(dims, reverse=True):
        flags = flags.any(dim=d)
    return flags
