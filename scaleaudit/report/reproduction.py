"""The table of the reference models: Markdown for people, JSON with every number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from scaleaudit.domain.diagnostics import SWEEP
from scaleaudit.domain.evaluation import DepthEvaluation, Evaluation, Lengths
from scaleaudit.domain.reproduction import (
    Claim,
    ConditionRuns,
    OverflowedRun,
    ReferenceRun,
    Reproduction,
    Spread,
    figure,
)
from scaleaudit.report.encoding import Json, json_text
from scaleaudit.report.markup import code_span, sentence
from scaleaudit.report.words import counted

SCHEMA_VERSION = 1
"""Counts changes of the JSON that its readers must know of."""

_HOLDS = {True: "reproduces", False: "does not reproduce", None: "cannot be told"}
_LENGTHS: dict[str, Callable[[Lengths], float]] = {
    "5 % are below": lambda of: of.p5,
    "half are below": lambda of: of.median,
    "mean": lambda of: of.mean,
    "95 % are below": lambda of: of.p95,
    "99 % are below": lambda of: of.p99,
    "longest": lambda of: of.largest,
}
_MEASURES: dict[str, Callable[[Evaluation], float]] = {
    "objective": lambda of: of.scaled[SWEEP.index(1.0)],
    "with states 100 times as long": lambda of: of.scaled[SWEEP.index(1e2)],
    "10,000 times": lambda of: of.scaled[SWEEP.index(1e4)],
    "perplexity": lambda of: of.trained.perplexity,
    "with no radial part in any turn": lambda of: of.clamped.perplexity,
    "turns with early exits": lambda of: of.early_exit.mean_turns,
    "perplexity with them over that after all turns": lambda of: (
        of.early_exit.perplexity / of.early_exit.full
    ),
}


def to_markdown(found: Reproduction) -> str:
    """Write the table as Markdown."""
    seeds = max((len(each.runs) for each in found.conditions), default=0)
    counts = f"{counted(len(found.conditions), 'condition')}, {counted(seeds, 'seed')}"
    lines = [
        f"# The reference models{f' at size {found.size}' if found.size else ''}",
        "",
        f"{counts}. Numbers are means over the seeds, with the least and the largest in brackets.",
        "",
        *_listed("Not done yet", found.missing),
        *_overflowed(found.overflowed),
        "## What the paper says, and what came out",
        "",
        *_claims(found.claims),
        "## What is asked of training however brief",
        "",
        *_claims(found.separation),
        *_conditions(found.conditions),
        *_tables(found.conditions),
        *_recipe(found.recipe),
    ]
    return "\n".join(lines) + "\n"


def to_json(found: Reproduction) -> str:
    """Write everything as JSON; what is no number is null."""
    return json_text(
        {
            "schema_version": SCHEMA_VERSION,
            "size": found.size,
            "recipe": dict(found.recipe),
            "claims": [_claim_document(claim) for claim in found.claims],
            "separation": [_claim_document(claim) for claim in found.separation],
            "missing": list(found.missing),
            "overflowed": [_overflow_document(run) for run in found.overflowed],
            "sweep": list(SWEEP),
            "conditions": [_condition_document(each) for each in found.conditions],
        }
    )


def _recipe(recipe: Sequence[tuple[str, str]]) -> Iterator[str]:
    if recipe:
        yield "## How"
        yield ""
    for name, value in recipe:
        yield f"- {name}: {sentence(value)}"


def _listed(title: str, items: Sequence[str]) -> Iterator[str]:
    if items:
        yield f"{title}: {', '.join(code_span(item) for item in items)}."
        yield ""


def _overflowed(runs: Sequence[OverflowedRun]) -> Iterator[str]:
    if not runs:
        return
    yield "## Runs that overflowed"
    yield ""
    yield "Their loss was no number any more, which ended them. They are in none of the means."
    yield ""
    heads = ("condition", "scale", "seed", "no number at step", "length before")
    rows = [
        (
            code_span(run.condition, cell=True),
            _scale(run),
            str(run.seed),
            f"{run.step:,}",
            run.before,
        )
        for run in runs
    ]
    yield from _table(heads, rows)


def _scale(of: ConditionRuns | OverflowedRun) -> str:
    return "blind" if of.blind else "controlled"


def _claims(claims: Iterable[Claim]) -> Iterator[str]:
    rows = [(sentence(each.said), sentence(each.found), _HOLDS[each.holds]) for each in claims]
    yield from _table(("said", "measured", ""), rows)


def _conditions(conditions: Sequence[ConditionRuns]) -> Iterator[str]:
    if not conditions:
        return
    rows = []
    for each in conditions:
        compared = each.perplexity
        rows.append(
            (
                code_span(each.condition, cell=True),
                _scale(each),
                each.length.said,
                each.length.found,
                _HOLDS[each.length.holds],
                "–" if compared is None else sentence(compared.found),
                "–" if compared is None else _HOLDS[compared.holds],
            )
        )
    heads = (
        "condition",
        "scale",
        "length, as the paper has it",
        "length after the last trained turn",
        "",
        "perplexity beside the blind condition of the same supervision",
        "lower after every turn in the loss, as the paper has it",
    )
    yield "## Condition by condition"
    yield ""
    yield from _table(heads, rows)


def _tables(conditions: Sequence[ConditionRuns]) -> Iterator[str]:
    if not conditions:
        return
    turns = conditions[0].turns
    trained = conditions[0].runs[0].evaluation.turns
    heads = ("condition", *(f"{k} turns" if k > 1 else "1 turn" for k in turns))
    beyond = f"{trained} turns are trained; with more of them the same weights run on."
    yield "## Mean length of the state, L2 over features, turn by turn"
    yield ""
    yield beyond
    yield ""
    yield from _table(heads, (_row(each, (each.lengths(k) for k in turns)) for each in conditions))
    yield "## Perplexity, turn by turn"
    yield ""
    yield from _table(
        heads, (_row(each, (each.perplexities(k) for k in turns)) for each in conditions)
    )
    yield "## Lengths of single tokens after the last trained turn"
    yield ""
    yield from _table(("condition", *_LENGTHS), (_row(each, _lengths(each)) for each in conditions))
    yield "## What the length does after the last trained turn"
    yield ""
    yield from _table(
        ("condition", *_MEASURES), (_row(each, _measures(each)) for each in conditions)
    )


def _lengths(condition: ConditionRuns) -> Iterator[Spread]:
    for read in _LENGTHS.values():
        yield condition.over_seeds(lambda found, read=read: read(found.trained.lengths))  # type: ignore[misc]


def _measures(condition: ConditionRuns) -> Iterator[Spread]:
    return (condition.over_seeds(read) for read in _MEASURES.values())


def _row(condition: ConditionRuns, values: Iterable[Spread]) -> tuple[str, ...]:
    return (code_span(condition.condition, cell=True), *map(_cell, values))


def _cell(value: Spread) -> str:
    return str(value) if value.low != value.high else figure(value.mean)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _claim_document(claim: Claim | None) -> Json:
    if claim is None:
        return None
    return {"said": claim.said, "found": claim.found, "holds": claim.holds}


def _condition_document(condition: ConditionRuns) -> Json:
    return {
        "condition": condition.condition,
        "blind": condition.blind,
        "per_loop": condition.per_loop,
        "length": _claim_document(condition.length),
        "perplexity": _claim_document(condition.perplexity),
        "depths": [
            {
                "turns": turns,
                "length": _spread_document(condition.lengths(turns)),
                "perplexity": _spread_document(condition.perplexities(turns)),
            }
            for turns in condition.turns
        ],
        "runs": [_run_document(run) for run in condition.runs],
    }


def _overflow_document(run: OverflowedRun) -> Json:
    return {
        "condition": run.condition,
        "blind": run.blind,
        "seed": run.seed,
        "step": run.step,
        "length": _number(run.length),
        "measured": run.measured,
    }


def _spread_document(value: Spread) -> Json:
    return {"mean": _number(value.mean), "low": _number(value.low), "high": _number(value.high)}


def _run_document(run: ReferenceRun) -> Json:
    return {
        "seed": run.seed,
        "step": run.step,
        "seen": run.seen,
        "recipe": dict(run.recipe),
        **_evaluation_document(run.evaluation),
    }


def _evaluation_document(found: Evaluation) -> dict[str, Json]:
    left = found.early_exit
    return {
        "turns": found.turns,
        "tokens": found.tokens,
        "depths": [_depth_document(depth) for depth in found.depths],
        "scaled": [_number(loss) for loss in found.scaled],
        "clamped": _depth_document(found.clamped),
        "early_exit": {
            "target": left.target,
            "threshold": _number(left.threshold),
            "mean_turns": _number(left.mean_turns),
            "perplexity": _number(left.perplexity),
            "full": _number(left.full),
        },
    }


def _depth_document(depth: DepthEvaluation) -> Json:
    lengths = depth.lengths
    return {
        "turns": depth.turns,
        "loss": _number(depth.loss),
        "perplexity": _number(depth.perplexity),
        "length": {
            "mean": _number(lengths.mean),
            "p5": _number(lengths.p5),
            "median": _number(lengths.median),
            "p95": _number(lengths.p95),
            "p99": _number(lengths.p99),
            "largest": _number(lengths.largest),
        },
    }


def _number(value: float | None) -> Json:
    return value if value is not None and math.isfinite(value) else None
