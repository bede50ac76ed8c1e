"""What the paper says of its conditions, held against runs.

References:
    Sharma and Vu, arXiv 2606.24898: blind conditions end with lengths in the thousands to tens of
    thousands, controlled ones in the tens, and controlled ones have the lower perplexity at matched
    depth of inference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scaleaudit.domain.reproduction import (
    Claim,
    ConditionRuns,
    OverflowedRun,
    ReferenceRun,
    figure,
    spread,
)

# What counts as thousands to tens of thousands, and as tens.
_THOUSANDS, _TENS = (1e3, 1e5), 100.0
# How far apart blind and controlled conditions must be, and the two that differ by a norm alone.
_APART, _NORMED_APART = 5.0, 10.0
_NONE = "none is there"
_NORMED, _RAW = "per_loop_rmsnorm", "per_loop_raw"


def side_by_side(
    runs: Iterable[ReferenceRun], order: Iterable[str], overflowed: Sequence[OverflowedRun] = ()
) -> tuple[ConditionRuns, ...]:
    """Put the runs of every condition together, in order of conditions and seeds."""
    held = sorted(runs, key=lambda run: run.seed)
    by_name = {name: tuple(run for run in held if run.condition == name) for name in order}
    found = {name: each for name, each in by_name.items() if each}
    return tuple(
        _condition(
            each,
            _blind_beside(each[0], found.values()),
            sum(run.condition == each[0].condition for run in overflowed),
        )
        for each in found.values()
    )


def claims(
    conditions: Sequence[ConditionRuns], overflowed: Sequence[OverflowedRun] = ()
) -> tuple[Claim, ...]:
    """Hold all conditions against what the paper says of them together.

    Runs that overflowed end in no length, so that no claim about those of their kind holds.
    """
    blind, controlled = _ends(conditions, blind=True), _ends(conditions, blind=False)
    lost = {kind: sum(run.blind == kind for run in overflowed) for kind in (True, False)}
    compared = [each.perplexity for each in conditions if each.perplexity is not None]
    lower = sum(claim.holds is True for claim in compared)
    return (
        Claim(
            "Blind conditions end with lengths in the thousands to tens of thousands.",
            _ranged(blind, lost[True]),
            _holds(map(_in_thousands, blind), blind, lost[True]),
        ),
        Claim(
            "Controlled conditions end with lengths in the tens, or below.",
            _ranged(controlled, lost[False]),
            _holds((end < _TENS for end in controlled), controlled, lost[False]),
        ),
        Claim(
            "Controlled conditions have the lower perplexity at matched depth.",
            f"after every turn in the loss in {lower} of {len(compared)} conditions"
            if compared
            else _NONE,
            lower == len(compared) if compared else None,
        ),
    )


def separation(
    conditions: Sequence[ConditionRuns], overflowed: Sequence[OverflowedRun] = ()
) -> tuple[Claim, ...]:
    """Ask how far apart blind and controlled conditions are.

    A blind run that overflowed has no length to compare; a controlled one was not held.
    """
    blind, controlled = _ends(conditions, blind=True), _ends(conditions, blind=False)
    gap = min(blind) / max(controlled) if blind and controlled else None
    pairs = _ratios(conditions)
    return (
        _ratio(
            f"Every blind length is at least {_APART:g} times every controlled one.",
            gap,
            _APART,
            overflowed,
        ),
        _ratio(
            f"In every seed `{_NORMED}` ends at least {_NORMED_APART:g} times as long as `{_RAW}`.",
            min(pairs) if pairs else None,
            _NORMED_APART,
            [run for run in overflowed if run.condition in (_NORMED, _RAW)],
        ),
    )


def _condition(
    runs: tuple[ReferenceRun, ...], beside: tuple[ReferenceRun, ...] | None, lost: int
) -> ConditionRuns:
    first = runs[0]
    ends = spread(run.evaluation.trained.lengths.mean for run in runs)
    said = "thousands to tens of thousands" if first.blind else "tens"
    fits = _in_thousands(ends.mean) if first.blind else ends.mean < _TENS
    length = Claim(said, f"{ends}{_lost(lost)}", fits and not lost)
    perplexity = None if beside is None else _against(runs, beside)
    return ConditionRuns(first.condition, first.per_loop, first.blind, runs, length, perplexity)


def _blind_beside(
    run: ReferenceRun, every: Iterable[tuple[ReferenceRun, ...]]
) -> tuple[ReferenceRun, ...] | None:
    """Return the blind runs of the same supervision; None for a blind run or where there are none."""
    fitting = (each for each in every if each[0].blind and each[0].per_loop == run.per_loop)
    return None if run.blind else next(fitting, None)


def _against(runs: tuple[ReferenceRun, ...], blind: tuple[ReferenceRun, ...]) -> Claim:
    """Compare perplexities after every turn that is in the loss, as means over shared seeds."""
    seeds = {run.seed for run in runs} & {run.seed for run in blind}
    first, last = runs[0], runs[0].evaluation.turns
    said = f"lower than `{blind[0].condition}` after every turn in the loss"
    if not seeds:
        return Claim(said, "no seed in common", None)
    depths = range(1, last + 1) if first.per_loop else (last,)
    mine, theirs = ([_perplexity(of, seeds, turns) for turns in depths] for of in (runs, blind))
    lower = [turns for turns, x, y in zip(depths, mine, theirs, strict=True) if x < y]
    found = f"{figure(mine[-1])} against {figure(theirs[-1])} after {last} turns"
    if first.per_loop:
        found += f"; lower after {', '.join(map(str, lower)) or 'none'} of {last}"
    return Claim(said, found, len(lower) == len(depths))


def _perplexity(runs: Iterable[ReferenceRun], seeds: set[int], turns: int) -> float:
    return spread(r.evaluation.at(turns).perplexity for r in runs if r.seed in seeds).mean


def _ends(conditions: Sequence[ConditionRuns], *, blind: bool) -> list[float]:
    """Return the lengths after the last trained turn, of every run."""
    return [
        run.evaluation.trained.lengths.mean
        for condition in conditions
        if condition.blind == blind
        for run in condition.runs
    ]


def _ratios(conditions: Sequence[ConditionRuns]) -> list[float]:
    """Return how many times longer the normed condition ends than the raw one, seed by seed."""
    ends = {
        (run.condition, run.seed): run.evaluation.trained.lengths.mean
        for condition in conditions
        for run in condition.runs
    }
    return [
        end / ends[_RAW, seed]
        for (condition, seed), end in ends.items()
        if condition == _NORMED and (_RAW, seed) in ends
    ]


def _ratio(
    said: str, times: float | None, least: float, overflowed: Sequence[OverflowedRun]
) -> Claim:
    lost = _lost(len(overflowed))
    found = "not both are there" if times is None else f"at least {figure(times)} times"
    if any(not run.blind for run in overflowed):
        return Claim(said, f"{found}{lost}", holds=False)
    return Claim(said, f"{found}{lost}", None if times is None else times >= least)


def _ranged(ends: list[float], lost: int) -> str:
    range_ = f"{figure(min(ends))} to {figure(max(ends))}" if ends else _NONE
    return f"{range_}{_lost(lost)}"


def _lost(count: int) -> str:
    return f"; {count} overflowed" if count else ""


def _holds(fits: Iterable[bool], ends: list[float], lost: int) -> bool | None:
    return all(fits) and not lost if ends or lost else None


def _in_thousands(end: float) -> bool:
    least, most = _THOUSANDS
    return least <= end < most
