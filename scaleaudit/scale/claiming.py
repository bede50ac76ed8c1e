"""From the passes over a loop to claims on single values, for certification."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from scaleaudit.domain.claims import LoopClaims, PassClaims, TermClaim, TurnClaim
from scaleaudit.domain.facts import Penalty
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.loops import Loop
from scaleaudit.domain.scale import Mixing, Scale
from scaleaudit.scale import forms, judge
from scaleaudit.scale.interpreter import ScaleTable, View

if TYPE_CHECKING:
    from scaleaudit.scale.analysis import LoopPasses
    from scaleaudit.scale.states import StateJudge


def loop_claims(loop: Loop, passes: LoopPasses, judges: Sequence[StateJudge]) -> LoopClaims:
    """Return what the passes over a loop claim: all states together, and each by itself."""
    tables: dict[int, ScaleTable] = {}
    turns: dict[int, list[TurnClaim]] = {}
    terms: dict[int, list[TermClaim]] = {}
    heard: dict[int, tuple[Ref, ...]] = {}
    for index, each in enumerate(judges):
        moving = passes.transitions_of(index)
        tables.setdefault(id(moving), moving)
        turns.setdefault(id(moving), []).extend(_turns(loop, passes, index))
        alone = passes.alone(index, View.VALUE)
        tables.setdefault(id(alone), alone)
        terms.setdefault(id(alone), []).extend(_terms(each))
        gradient = passes.alone(index, View.GRADIENT)
        heard[id(alone)] = _free(gradient)
    tables.setdefault(id(passes.joint), passes.joint)
    return LoopClaims(
        loop.name,
        tuple(
            PassClaims(
                scaled=_free(table),
                held=tuple(ref for ref in table.seeds if not table.seeds[ref].depends),
                heard=heard.get(key, ()),
                values=_values(table),
                inflow=dict(table.inflow),
                turns=tuple(turns.get(key, ())),
                terms=tuple(terms.get(key, ())),
                complete=key in heard and not _hidden(table),
            )
            for key, table in tables.items()
        ),
    )


def _free(table: ScaleTable) -> tuple[Ref, ...]:
    return tuple(ref for ref, scale in table.seeds.items() if scale.depends)


def _values(table: ScaleTable) -> dict[Ref, Scale]:
    return {
        Ref(node, output): scale
        for node, row in table.rows.items()
        for output, scale in enumerate(row)
        if Ref(node, output) not in table.seeds
    }


def _hidden(table: ScaleTable) -> bool:
    """Whether an operator that is not understood may hide a way into the loss."""
    return any(scale.opaque for row in table.rows.values() for scale in row)


def _turns(loop: Loop, passes: LoopPasses, index: int) -> list[TurnClaim]:
    table, cycle = passes.transitions_of(index), passes.cycle_of(index)
    state, found = loop.states[index], []
    for entered, made in pairwise(state.boundary):
        scale = table.inflow[made]
        if scale.opaque or not table.depends(entered):
            continue
        handed = [atom for atom in scale.form.parts if atom.state is not None]
        alone = all(passes.boundary_of(atom) == entered for atom in handed)
        # The gain of a cycle is that of a whole period; a turn by itself has its own.
        mixings = forms.mixings_of(scale.form.parts[atom] for atom in handed)
        turn = judge.judge_turn(scale, index, None if alone else cycle)
        found.append(
            TurnClaim(
                state=state.name,
                entered=entered,
                made=made,
                transition=turn.transition,
                gain=turn.gain if handed and alone else None,
                branch=turn.branch,
                floored=alone and not mixings and not any(atom.layout for atom in handed),
                largest=Mixing.LARGEST in mixings,
                others=not alone,
            )
        )
    return found


def _terms(each: StateJudge) -> list[TermClaim]:
    found = []
    for term, judged in each.judged_terms:
        value = each.value[term.value]
        found.append(
            TermClaim(
                state=each.state.name,
                name=judged.name,
                value=term.value,
                visibility=None if isinstance(judged, Penalty) else judged.visibility,
                flaw=judged.flaw if isinstance(judged, Penalty) else None,
                degree=None if value.opaque else value.growth.hi,
                heard=each.gradient[term.value].depends and term.stopped is None,
            )
        )
    return found
