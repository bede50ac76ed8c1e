"""Which turn a picture shows: of those that are judged alike one that runs most."""

from __future__ import annotations

from collections import Counter

from scaleaudit.domain.graph import OpGraph, Ref
from scaleaudit.domain.judged import JudgedState, Scales
from scaleaudit.domain.loops import CarriedState
from scaleaudit.domain.scale import Scale
from scaleaudit.picturing.flows import Flow
from scaleaudit.picturing.marks import identity_of
from scaleaudit.picturing.roles import role_of


def turn_to_show(
    graph: OpGraph, state: CarriedState, judged: JudgedState, crossings: dict[Ref, int]
) -> tuple[Ref, bool]:
    """Return the value at which the turn to show ends, and whether turns like it run more or less.

    A nest of loops hands its state on inside as well as outside, so that the last turn may end in
    the middle of what the others run. What comes once where other turns are equal is no pattern.
    """
    if not judged.cut:
        return judged.end, False
    table = judged.moving
    told = _told(table.inflow[judged.end])
    alike = [ref for ref in state.boundary[1:] if _told(table.inflow[ref]) == told]
    runs = {ref: _runs(graph, table, ref, crossings) for ref in (*alike, judged.end)}
    often = Counter(runs.values())
    most = max(often, key=lambda count: (often[count] > 1, count))
    shown = judged.end if runs[judged.end] == most else max(runs, key=lambda ref: runs[ref] == most)
    return shown, len(often) > 1


def _told(scale: Scale) -> object:
    """What a turn is judged by: what comes around of the length, and by which factor."""
    factors = sorted(tuple(sorted(poly.terms.values())) for _, poly in identity_of(scale))
    grown = scale.growth
    return role_of(scale), scale.opaque, factors, grown.lo, grown.hi, grown.precision, grown.normed


def _runs(graph: OpGraph, table: Scales, end: Ref, crossings: dict[Ref, int]) -> int:
    """Count the operators between a boundary and the ones before it."""
    flow = Flow(graph, crossings)
    flow.trace(table, end, cut=True)
    return len(flow.arrows)
