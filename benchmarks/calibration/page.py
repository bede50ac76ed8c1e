"""The calibration as a page: error rates, thresholds, figures, and everything that went wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from benchmarks.calibration.cases import EXAMPLE, IDIOM, WIDTHS, Case, Part, families, wanted
from benchmarks.calibration.judging import (
    Bounds,
    Outcome,
    by_model,
    by_run,
    fitted,
    in_use,
    outcome_of,
    setting,
)
from benchmarks.calibration.records import Record

_HEAD = """\
# The calibration of the probe

The probe's own protocol, a target and its twin with a penalty trained from one seed on the same batches, was run
on models of which the truth is known: the eight conditions of the [reference models](reference-models.md), two of
them blind, at 32, 64 and 128 features, with embeddings drawn from N(0, 1) and from N(0, 0.02), on text (sources of
the standard library as bytes) and on a Markov chain of order 2 over 32 symbols; those of `44m` on a GPU; the
examples; and *idioms*, the small models of `tests/models`, each a way in which loops are written, on made-up data.
Runs on text with even seeds set thresholds; runs on the chain with odd seeds share neither data nor seeds with them.

An idiom is held against what the analysis says of it: blind where SCL101 is found. Where a loss sees nothing of a
state that the loop forgets bit by bit, or that it carries with no weight (SCL205, or no finding at all), training may
show either, and only an open verdict counts against it. Idioms of which the theory leaves the verdict open are left out.

```sh
python -m benchmarks.calibration --json runs.jsonl --jobs 8                  # goes on where it was stopped
python -m benchmarks.calibration --json large.jsonl --size 44m --device cuda --dtype bfloat16
python -m benchmarks.calibration --json runs.jsonl --also large.jsonl --no-sweep --page docs/calibration.md  # this page
```
"""
_RATES = """\
With the thresholds that the probe goes by. A model is what the command answers for: its runs of a part put together,
up to three, fewer where they are clear. A run has to do by itself.

One condition was added for a run of the judged part, `per_loop_rmsnorm/64/N(0, 1)/chain/1`: it ended at 27 times its
twin and was refuted, as four times the turns left its norm as it was. For that run the verdict is no test. What a turn
keeps and how far weights reach was asked because of two examples, `gru_refinement_blind` and `lstm_language_model`, and
their thresholds were set on those and on idioms: their verdicts are no test of these. So it is with the questions about
parts of a state and about rewards of length, which idioms that were refuted wrongly led to: `penalties-last_token`,
`penalties-subtracted`, `supervision-raw_first_token`, `habits-one_channel`, `memory_tokens-both_carried`, and of
`couplings-heavy_ball` with what is said of turns that cannot be added. What turns can be trained to keep, turn by turn
and token by token, was asked as seven idioms were refuted wrongly: `readouts-cosine_similarity`, `norms-at_the_end`,
`routing-sorted_normed` and of `parametrised` the models `spectral_alone`, `spectral_damped_in_eval`,
`gated_mix_with_spectral` and `norm_of_another`; that a state which the loss sees along few directions is not refuted while
it grows, and what a faint logarithm is, because of models that somebody wrote to mislead the probe. Where a run of the
same case was made again, the later one counts.
"""
_SET = """\
With thresholds set by the first part alone, which knows nothing of models whose blind states grow less than those of
the reference models do:
"""
_FIGURES = """\
From the smallest to the largest, over all initialisations, data and seeds. *Answer* is what the loss changes by as a
state is scaled from 1e2 to 1e4, *ratio* its norm over that of the twin, *deeper* the factor on the norm at four times
the turns, *kept* what a turn of the trained loop multiplies long states by, *attainable* what it can be trained to
multiply them by, asked where some of it is kept and not all, and *reach* what all weights of 1e4 times multiply the
length by over those of 1e2 times. The last three were not measured by all runs; those go by the others. Of a state that
the loss sees in part, all of it is said of the part that it does not see.
"""


def to_page(records: Mapping[Case, Record]) -> str:
    """Write the page."""
    bounds = fitted(setting(records))
    sections = (
        _HEAD,
        _runs(records),
        _left(records),
        "## How often it is right\n",
        _RATES,
        rates(records),
        _SET,
        _with(bounds, records),
        "## Thresholds\n",
        _thresholds(bounds),
        "## Figures\n",
        _FIGURES,
        _figures(records),
        "## What was not right\n",
        _amiss(records),
    )
    return "\n".join(sections)


def _runs(records: Mapping[Case, Record]) -> str:
    """Say how many runs there were, on what, and how long they took."""
    lines = ["| runs | steps | device | precision | seconds a run | together |", _rule(6)]
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records.values():
        recipe = dict(record.recipe)
        key = (str(record.steps), recipe.get("device", "none"), recipe.get("precision", "none"))
        groups.setdefault(key, []).append(record)
    for key, found in sorted(groups.items()):
        seconds = [record.seconds for record in found]
        minutes = f"{sum(seconds) / 60:.0f} min"
        lines.append(_row(len(found), *key, _range(seconds, 3), minutes))
    return "\n".join([*lines, ""])


def _left(records: Mapping[Case, Record]) -> str:
    """Say which runs were not made."""
    planned = wanted(families(WIDTHS), None) + wanted(families((EXAMPLE, IDIOM)), None)
    counts = Counter(case.part for case in planned if case not in records)
    if not counts:
        return "Every run that was planned was made.\n"
    left = ", ".join(f"{counts[part]} of {part.value}" for part in Part if counts[part])
    return f"Of {len(planned)} runs that are planned,\nthese were not made: {left}.\n"


def rates(records: Mapping[Case, Record]) -> str:
    """Tabulate what became of models and runs, part by part."""
    lines = [
        "| | | " + " | ".join(outcome.value for outcome in Outcome) + " |",
        _rule(2 + len(Outcome)),
    ]
    for what, counted in (("models", by_model(records)), ("runs", by_run(records))):
        for part in Part:
            if counts := counted.get(part):
                shares = (_share(counts, outcome) for outcome in Outcome)
                lines.append(_row(part.value, f"{counts.total()} {what}", *shares))
    return "\n".join([*lines, ""])


def _share(counts: Counter[Outcome], outcome: Outcome) -> str:
    return f"{counts[outcome]} ({counts[outcome] / counts.total():.1%})" if counts[outcome] else "0"


def _with(bounds: Bounds, records: Mapping[Case, Record]) -> str:
    with bounds.applied():
        return rates(records)


def _thresholds(bounds: Bounds) -> str:
    used = in_use()
    lines = ["| | in use | set by the first part |", _rule(3)]
    lines += [
        _row(f"`{name}`", f"{getattr(used, name):g}", f"{getattr(bounds, name):g}")
        for name in Bounds.__dataclass_fields__
    ]
    return "\n".join([*lines, ""])


def _figures(records: Mapping[Case, Record]) -> str:
    """Tabulate what every model showed, its runs by size taken together."""
    lines = [
        (
            "| model | size | truth | runs | confirmed or refuted rightly | answer | ratio | deeper "
            "| kept | attainable | reach |"
        ),
        _rule(11),
    ]
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records.values():
        family = record.case.family
        if family.size == IDIOM:
            continue  # too many to list
        groups.setdefault((family.model, family.size), []).append(record)
    for (model, size), found in sorted(groups.items(), key=lambda each: _place(*each[0])):
        states = [state for record in found for state in record.states]
        right = sum(outcome_of([record]) is Outcome.RIGHT for record in found)
        lines.append(
            _row(
                f"`{model}`",
                size,
                found[0].case.family.truth.value,
                len(found),
                right,
                _range((math.inf if s.response is None else s.response for s in states), 2),
                _range((state.ratio for state in states), 3),
                _range((s.deeper for s in states if s.deeper is not None), 3),
                _range((s.kept for s in states if s.kept is not None), 3),
                _range((s.attainable for s in states if s.attainable is not None), 3),
                _range((s.reach for s in states if s.reach is not None), 3),
            )
        )
    return "\n".join([*lines, ""])


def _place(model: str, size: str) -> tuple[bool, str, int]:
    return size == EXAMPLE, model, int(size) if size.isdigit() else 1000


def _amiss(records: Mapping[Case, Record]) -> str:
    """List every run that does not give the right verdict by itself."""
    found = [
        (case, record, outcome)
        for case, record in sorted(records.items())
        if (outcome := outcome_of([record])) is not Outcome.RIGHT
    ]
    if not found:
        return "Nothing: every run by itself gives the right verdict.\n"
    lines = [
        "| run | outcome | answer | ratio | deeper | kept | attainable | reach | loss fell by |",
        _rule(9),
    ]
    for case, record, outcome in found:
        if not record.states:
            lines.append(
                _row(f"`{case}`", f"{outcome.value}: {record.reason}", *["" for _ in range(7)])
            )
        for state in record.states:
            answer = math.inf if state.response is None else state.response
            others = (state.deeper, state.kept, state.attainable, state.reach, record.fall)
            figures = (
                "none" if each is None else f"{each:.3g}" for each in (answer, state.ratio, *others)
            )
            lines.append(_row(f"`{case}`", outcome.value, *figures))
    return "\n".join([*lines, ""])


def _range(values: Iterable[float], digits: int) -> str:
    found = sorted(value for value in values if not math.isnan(value))
    if not found:
        return "none"
    ends = [f"{value:.{digits}g}" for value in (found[0], found[-1])]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _rule(columns: int) -> str:
    return "|---" * columns + "|"
