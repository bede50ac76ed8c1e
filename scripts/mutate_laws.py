"""Break every law of an operator, one at a time, and see that a test of the laws notices.

A mutant that changes what is inferred in some case, and is held against the numbers of every case
without a complaint, survives; then the script fails. Run it as ``python scripts/mutate_laws.py``,
with names of operators to look at their laws alone.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from lawkit.cases import Case, cases_of, operations_of  # noqa: E402
from lawkit.inferring import infer  # noqa: E402
from lawkit.operations import ELSEWHERE  # noqa: E402

from scaleaudit.domain.scale import (  # noqa: E402
    CONSTANT,
    Degree,
    Growth,
    Interval,
    Precision,
    Scale,
)
from scaleaudit.scale import algebra  # noqa: E402
from scaleaudit.scale.laws import all_laws  # noqa: E402
from scaleaudit.scale.laws.table import Law  # noqa: E402

# How many cases of one operation a mutant gets at most before it counts as a survivor.
CASES = 24


@dataclass(frozen=True, slots=True)
class Mutation:
    """A way to break a law: its name, and what it makes of the law's function."""

    name: str
    broken: Callable[[Callable[..., Any]], Callable[..., Any]]


def on_result(name: str, change: Callable[[Scale], Scale]) -> Mutation:
    """Break what a law returns."""

    def broken(function: Callable[..., Any]) -> Callable[..., Any]:
        def law(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if isinstance(result, tuple):
                return tuple(change(scale) for scale in result)
            return change(result)

        return law

    return Mutation(name, broken)


def on_operand(position: int) -> Mutation:
    """Let a law ignore that an operand depends on the states."""

    def broken(function: Callable[..., Any]) -> Callable[..., Any]:
        def law(*args: Any, **kwargs: Any) -> Any:
            return function(*_ignoring(args, position), **kwargs)

        return law

    return Mutation(f"operand {position + 1} ignored", broken)


def _ignoring(args: tuple[Any, ...], position: int) -> tuple[Any, ...]:
    """Return the arguments, the nth value among them (lists opened) made a constant."""
    seen = -1

    def visit(argument: Any) -> Any:
        nonlocal seen
        if isinstance(argument, tuple):
            return tuple(visit(item) for item in argument)
        if isinstance(argument, Scale):
            seen += 1
            if seen == position:
                return replace(algebra.independent(argument.span), shape=argument.shape)
        return argument

    return tuple(visit(argument) for argument in args)


def _with_growth(scale: Scale, **changes: Any) -> Scale:
    return replace(scale, growth=replace(scale.growth, **changes), given=None)


def _shifted(by: int) -> Callable[[Scale], Scale]:
    def change(scale: Scale) -> Scale:
        g = scale.growth
        if not g.depends:
            return scale
        up = [Degree(end.power + by, end.log) for end in (g.lo, g.hi)]
        return _with_growth(scale, lo=up[0], hi=up[1])

    return change


def _exact(scale: Scale) -> Scale:
    return _with_growth(scale, precision=Precision.EXACT) if scale.depends else scale


def _flipped(scale: Scale) -> Scale:
    return _with_growth(scale, attained=not scale.growth.attained) if scale.depends else scale


def _narrowed(scale: Scale) -> Scale:
    span = scale.span
    middle = 0.0
    if span.is_finite:
        middle = (span.low + span.high) / 2
    low = (middle + span.low) / 2 if span.low > -float("inf") else -1e-3
    high = (middle + span.high) / 2 if span.high < float("inf") else 1e-3
    if span.is_point:
        low = high = span.low + 1.0
    return replace(scale, span=Interval(min(low, high), max(low, high)), given=None)


def _independent(scale: Scale) -> Scale:
    return replace(scale, growth=CONSTANT, given=None) if scale.depends else scale


def _dependent(scale: Scale) -> Scale:
    return scale if scale.depends else replace(scale, growth=Growth(), given=None)


MUTATIONS = (
    on_result("degree + 1", _shifted(1)),
    on_result("degree - 1", _shifted(-1)),
    on_result("called exact", _exact),
    on_result("attained flipped", _flipped),
    on_result("range narrowed", _narrowed),
    on_result("independence claimed", _independent),
    on_operand(0),
    on_operand(1),
)


def functions() -> dict[Callable[..., Any], list[str]]:
    """Return every law's function and the operators that it is filed under."""
    found: dict[Callable[..., Any], list[str]] = {}
    for name, law in all_laws().items():
        found.setdefault(law.apply, []).append(name)
    return found


def mutated(function: Callable[..., Any], mutation: Mutation) -> dict[str, Law]:
    """Return all laws, one of them broken."""
    broken = mutation.broken(function)
    return {
        name: replace(law, apply=broken) if law.apply is function else law
        for name, law in all_laws().items()
    }


def cases(names: Iterable[str]) -> list[Case]:
    """Return the cases of the operators, one operation after the other, judged as they stand."""
    streams: list[Iterator[Case]] = [
        cases_of(operation)
        for name in names
        if name not in ELSEWHERE
        for operation in operations_of(name)
    ]
    found = [case for stream in streams for case in stream]
    return [case for case in found if not case.judge().discarded]


def outcome(function: Callable[..., Any], mutation: Mutation, tried: list[Case]) -> str:
    """Return "killed", "survived", or "-" where the mutant never differs from the law."""
    laws = mutated(function, mutation)
    differs = False
    for case in tried:
        changed = _differs(case, laws)
        if changed and (case.judge(laws).complaints or _reads_less(case, laws)):
            return "killed"
        differs = differs or changed
    return "survived" if differs else "-"


def _differs(case: Case, laws: Mapping[str, Law]) -> bool:
    before, after = case.scale(), infer(case.program, laws=laws)[case.result]
    if after.opaque != before.opaque:
        return True
    a, b = before.growth, after.growth
    if before.is_zero and after.is_zero:
        return False
    known = (a.lo, a.hi, a.attained, a.precision, a.depends, bool(a.sparse), before.span)
    return known != (b.lo, b.hi, b.attained, b.precision, b.depends, bool(b.sparse), after.span)


def _reads_less(case: Case, laws: Mapping[str, Law]) -> bool:
    """Whether what is said to be read misses what autograd reads."""
    return case.operation.differentiable and bool(case.gradient_complaints(laws))


def examined(number: int) -> tuple[dict[str, str], int]:
    """Try all mutants of the nth law's function; return what came of them, and of how many cases."""
    function, operators = list(functions().items())[number]
    tried = cases(operators)
    return {m.name: outcome(function, m, tried) for m in MUTATIONS}, len(tried)


def start() -> None:
    """Make a process ready: one thread, and no word of what numbers overflow."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")


def main(names: list[str]) -> int:
    """Print a table of laws and mutants; return 1 where a mutant survives."""
    begun = time.monotonic()
    survivors = mutants = 0
    laws = list(functions().items())
    meant = [n for n, (_, operators) in enumerate(laws) if not names or set(names) & set(operators)]
    with multiprocessing.Pool(os.cpu_count(), start) as pool:
        for number, (results, tried) in zip(meant, pool.imap(examined, meant), strict=True):
            function = laws[number][0]
            mutants += sum(result != "-" for result in results.values())
            lost = [name for name, result in results.items() if result == "survived"]
            survivors += len(lost)
            marks = "".join({"killed": "x", "survived": "!", "-": "-"}[r] for r in results.values())
            where = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
            print(f"{marks}  {where:32s} {tried:4d} cases  {', '.join(lost)}", flush=True)
    columns = ", ".join(mutation.name for mutation in MUTATIONS)
    print(f"columns: {columns}; x killed, ! survived, - never differs")
    print(f"{mutants} mutants, {survivors} survived, {time.monotonic() - begun:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
