"""The facts of one carried state: its transition, its readouts, its penalties."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING

from scaleaudit.domain.facts import (
    Gain,
    Opaque,
    Penalty,
    PenaltyFlaw,
    ProofStep,
    Readout,
    StateFacts,
    Transition,
    Visibility,
)
from scaleaudit.domain.graph import Location, OpGraph, Ref
from scaleaudit.domain.judged import JudgedState, JudgedTerm
from scaleaudit.domain.loops import Loop
from scaleaudit.domain.scale import ZERO, Form, Interval, Poly, Precision, Scale
from scaleaudit.scale import intervals, judge
from scaleaudit.scale.bypass import bypassed_norm
from scaleaudit.scale.coverage import Axes, Reads, judged_where_least
from scaleaudit.scale.interpreter import ScaleTable, View
from scaleaudit.scale.laws import with_declared
from scaleaudit.scale.measures import Reader, Reading, weight_of
from scaleaudit.scale.parts import part_of
from scaleaudit.scale.paths import path_to, steps
from scaleaudit.scale.precision import carried_dtype
from scaleaudit.scale.programmed import leaves_out
from scaleaudit.scale.terms import Term, terms_of

if TYPE_CHECKING:
    from scaleaudit.scale.analysis import LoopPasses


@dataclass(frozen=True, slots=True)
class Readings:
    """What reads a state: readouts with the positions that they read, and penalties."""

    readouts: tuple[tuple[Readout, Reads], ...]
    penalties: tuple[tuple[Penalty, Reads], ...]


class StateJudge:
    """Judges one state of a loop."""

    def __init__(self, graph: OpGraph, loop: Loop, passes: LoopPasses, index: int) -> None:
        self.graph = graph
        self.loop = loop
        self.passes = passes
        self.index = index
        self.state = loop.states[index]
        self.value = passes.alone(index, View.VALUE)
        self.gradient = passes.alone(index, View.GRADIENT)
        self._laws = with_declared(graph.declared)
        self._reader = Reader(graph, self.value)
        convolved = any(graph[n].base_op == "aten.convolution" for n in loop.body)
        self.axes = Axes.of(len(self.state_shape), convolved=convolved)

    # What the loss sees.

    def readings(self) -> Readings:
        """Judge every loss term, and every projection that reaches no loss."""
        readouts: list[tuple[Readout, Reads]] = []
        penalties: list[tuple[Penalty, Reads]] = []
        for term, judged in self.judged_terms:
            if isinstance(judged, Penalty):
                penalties.append((judged, self._policed(term)))
            else:
                readouts.extend(self._apart(term, judged))
        readouts.extend((readout, reads) for _, readout, reads in self._unsupervised)
        return Readings(_merged(readouts), _merged_penalties(penalties))

    @cached_property
    def judged_terms(self) -> tuple[tuple[Term, Readout | Penalty], ...]:
        """The terms of the loss that read the state, each as a readout or as a penalty."""
        found = []
        for term in self._terms():
            judged = self._read(term) if self.value[term.value].depends else None
            if judged is not None:
                found.append((term, judged))
        return tuple(found)

    def _parts(self, term: Term) -> list[tuple[Scale, Scale]]:
        """The parts that a term is made of, as values and in gradients: itself where it is one."""
        value, gradient = self.value[term.value], self.gradient[term.value]
        if not gradient.depends:
            return [(value, value)]
        values = self.value.parts_of(term.value)
        gradients = self.gradient.parts_of(term.value)
        if not gradients:
            return [(value, gradient)]
        return [
            (part_of(value, values, label), part)
            for label, part in gradients.items()
            if part.depends
        ]

    def _apart(self, term: Term, readout: Readout) -> list[tuple[Readout, Reads]]:
        """A readout for every part that a term is made of, with what gradients reach of it."""
        parts = self._parts(term)
        if len(parts) == 1:
            return [(readout, Reads.of(parts[0][1]))]
        found = []
        for value, gradient in parts:
            reads = Reads.of(gradient)
            seen = replace(
                readout,
                visibility=self._seen(value, gradient),
                degree=None if value.opaque else judge.as_float(value.growth.hi),
                coverage=reads.share(self.axes, self.state_shape),
                up_to_eps=value.growth.precision is Precision.EPS,
            )
            found.append((seen, reads))
        return found

    def _policed(self, term: Term) -> Reads:
        """What a penalty reads, those of its parts left out that are scale-free."""
        parts = self._parts(term)
        raw = [g for _, g in parts if judge.visibility(g) is not Visibility.INVARIANT]
        reads = [Reads.of(gradient) for gradient in raw or [parts[0][1]]]
        return reduce(Reads.union, reads)

    def _terms(self) -> tuple[Term, ...]:
        """The loss's terms; without a loss every output counts as supervised (SCL903)."""
        if self.graph.loss is not None:
            return terms_of(self.graph, self.graph.loss, self.value.reached, self._factor)
        one = intervals.point(1.0)
        outputs = dict.fromkeys(ref for _, ref in self.graph.outputs)
        return tuple(Term(ref, one) for ref in outputs if self.value.depends(ref))

    def _factor(self, ref: Ref) -> Interval | None:
        """Range of a factor of a loss term.

        A tensor of data is no factor but part of the term; so is one that leaves places out.
        """
        several = math.prod(self.graph.meta(ref).shape) > 1
        is_data = ref.node in self.graph.reads_inputs
        if several and (is_data or leaves_out(self.graph, ref, self.value.__getitem__)):
            return None
        return self.value[ref].span

    def _read(self, term: Term) -> Readout | Penalty | None:
        reading = self._reader.read_back(term.value)
        value, gradient = self.value[term.value], self.gradient[term.value]
        heard = gradient.depends and term.stopped is None
        if self._is_penalty(reading, value, heard=heard):
            flaw = self._flaw(term, reading, value, gradient)
            return self._penalty(term, value, flaw, value.opaque or gradient.opaque)
        if heard and not (term.weight.is_point and term.weight.low == 0):
            seen = self._seen(value, gradient)
            return self._readout(term.value, reading, seen, supervised=True)
        if reading.decodes and self.graph.loss is not None:
            seen = judge.visibility(value)
            return self._readout(term.value, reading, seen, supervised=False)
        return None

    def _seen(self, value: Scale, gradient: Scale) -> Visibility:
        """What a term shows; one that dies as the state grows stops asking for anything."""
        seen = judge.least(judge.visibility(value), judge.visibility(gradient))
        dies = self.graph.loss is not None and value.growth.hi < ZERO
        return Visibility.ASYMPTOTIC if dies and seen is Visibility.VISIBLE else seen

    def _is_penalty(self, reading: Reading, value: Scale, *, heard: bool) -> bool:
        """Whether a term measures the state: real penalties, and attempts at one.

        A scale-free term that compares two computed values (consistency) attempts nothing.
        """
        if reading.decodes or self.graph.loss is None:
            return False
        scale_free = judge.visibility(value) in (Visibility.INVARIANT, Visibility.ASYMPTOTIC)
        attempt = not reading.differs
        return attempt or (not scale_free and heard)

    def _flaw(
        self, term: Term, reading: Reading, value: Scale, gradient: Scale
    ) -> PenaltyFlaw | None:
        """Why a norm term restrains nothing, or None where it does."""
        if term.weight.is_point and term.weight.low == 0:
            return PenaltyFlaw.ZERO_WEIGHT
        if term.stopped or not (value.opaque or gradient.opaque or gradient.depends):
            inside = PenaltyFlaw.NO_GRAD if reading.stopped else PenaltyFlaw.DETACHED
            return term.stopped or inside
        match judge.least(judge.visibility(value), judge.visibility(gradient)):
            case Visibility.INVARIANT | Visibility.ASYMPTOTIC:
                return PenaltyFlaw.SCALE_FREE
            case Visibility.SATURATING:
                return PenaltyFlaw.SATURATING
            case Visibility.UNKNOWN:
                return PenaltyFlaw.UNKNOWN
            case Visibility.VISIBLE:
                return _sign_flaw(value, term.weight)

    def _penalty(
        self, term: Term, value: Scale, flaw: PenaltyFlaw | None, opaque: tuple[Opaque, ...]
    ) -> Penalty:
        path = path_to(self.graph, self.value, term.value)
        node = self.graph[term.value.node]
        degree = None if value.opaque else judge.as_float(value.growth.hi)
        return Penalty(
            name=node.names[0][1] if node.names else _short(node.op),
            degree=degree,
            location=node.location,
            flaw=flaw,
            proof=steps(self.graph, self.value, path, self._laws),
            opaque=opaque,
        )

    def _readout(
        self, end: Ref, reading: Reading, seen: Visibility, *, supervised: bool
    ) -> Readout:
        value = self.value[end]
        path = path_to(self.graph, self.value, end)
        head = reading.head if reading.head is not None else end.node
        node = self.graph[head]
        proof = steps(self.graph, self.value, path, self._laws)
        if supervised and self.graph.loss is not None:
            proof = (*proof, self._into_loss(value))
        return Readout(
            name=_readout_name(self.graph, head),
            visibility=seen,
            degree=None if value.opaque else judge.as_float(value.growth.hi),
            supervised=supervised,
            turns=self._turns(reading),
            location=node.location,
            proof=proof,
            opaque=value.opaque or self.gradient[end].opaque,
            coverage=Reads.of(value).share(self.axes, self.state_shape),
            up_to_eps=value.growth.precision is Precision.EPS,
        )

    def _into_loss(self, value: Scale) -> ProofStep:
        assert self.graph.loss is not None
        node = self.graph[self.graph.loss.node]
        degree = None if value.opaque else judge.as_float(value.growth.hi)
        return ProofStep(node.location, node.op, degree, "this is how the state reaches the loss")

    def _turns(self, reading: Reading) -> tuple[int, ...]:
        read = (turns for ref, turns in self._crossings.items() if ref in reading.boundaries)
        return tuple(sorted(turn for turns in read for turn in turns))

    @cached_property
    def _crossings(self) -> dict[Ref, tuple[int, ...]]:
        """For every value at a boundary the turns that it was made in, from 1."""
        boundary = self.state.boundary
        numbers = self.graph.numbers([ref.node for ref in boundary])
        first = self.loop.turns - sum(map(len, numbers)) + 1
        return {
            ref: tuple(first + number for number in turns)
            for ref, turns in zip(boundary, numbers, strict=True)
        }

    @property
    def state_shape(self) -> tuple[int, ...]:
        """Shape of the state at the boundary."""
        return self.graph.meta(self.state.boundary[-1]).shape

    @cached_property
    def _unsupervised(self) -> list[tuple[Ref, Readout, Reads]]:
        """Projections of the state that reach no loss: exits, gates, probes."""
        found: list[tuple[Ref, Readout, Reads]] = []
        if self.graph.loss is None:
            return found
        reaches = self.graph.reaches_loss
        for n, row in self.value.rows.items():
            if n in reaches or n in self.loop.body or not row or not row[0].depends:
                continue
            if any(user in self.loop.body for user in self.graph.users[n]):
                continue
            end = Ref(n)
            reading = self._reader.read_back(end)
            if reading.projection != n:
                continue
            seen = judge.visibility(row[0])
            readout = self._readout(end, reading, seen, supervised=False)
            found.append((end, readout, Reads.of(row[0])))
        return found

    # What a turn does.

    @cached_property
    def judged_turn(self) -> tuple[judge.Turn, Ref, Ref | None]:
        """What a turn does, the value at a boundary that tells, and the sum of all, if any is kept."""
        turn, end = self._transition()
        if turn.transition in _FORGETFUL:
            found = self._pile(self.passes.transitions_of(self.index))
            if found is not None:
                return found[1], end, found[0]
        return turn, end, None

    def judged(self) -> JudgedState:
        """Hand out what the facts were read from."""
        _, end, pile = self.judged_turn
        read = [(term.value, judged) for term, judged in self.judged_terms]
        read.extend((value, readout) for value, readout, _ in self._unsupervised)
        heads = (self._reader.read_back(value).head for value, _ in read)
        return JudgedState(
            moving=self.passes.transitions_of(self.index),
            end=pile or end,
            cut=pile is None,
            alone=self.value,
            heard=self.gradient,
            terms=tuple(JudgedTerm(v, head, j) for (v, j), head in zip(read, heads, strict=True)),
        )

    def facts(self, own: list[Readings], index: int) -> StateFacts:
        """Put everything that is known of the state together."""
        turn, end, pile = self.judged_turn
        table = self.passes.transitions_of(index)
        mine = own[index]
        through, answers = self._through(own)
        readouts = [(r, reads) for r, reads in mine.readouts if r.supervised]
        seen = judged_where_least(
            [(r.visibility, reads) for r, reads in readouts], answers, self.axes
        )
        penalties = self._covering(mine)
        inflow = table.inflow[end]
        path = path_to(self.graph, table, pile or end, inflow=pile is None)
        gain = judge.as_gain(turn)
        return StateFacts(
            name=self.state.name,
            shape=self.state_shape,
            dtype=self.graph.meta(end).dtype,
            location=self.graph[pile.node].location if pile else self.state.location,
            transition=turn.transition,
            visibility=seen,
            readouts=tuple(r for r, _ in mine.readouts),
            penalties=penalties,
            gain=_located(gain, self.state.location),
            branch_degree=None if inflow.opaque else judge.as_float(turn.branch),
            branch_location=self._branch_location(table, end),
            writes_bounded=turn.writes_bounded,
            bypassed_norm=bypassed_norm(self.graph, table, end, self.index),
            transition_proof=steps(self.graph, table, path, self._laws, inflow=pile is None),
            opaque=inflow.opaque or self._hidden_in_cycle(end),
            seen_through=tuple(through) if not readouts else (),
            weighted_cycle=self._has_weights_in_cycle(end, turn),
            carried_dtype=carried_dtype(self.graph, table, self.state.boundary, end),
            period=turn.period,
        )

    def _transition(self) -> tuple[judge.Turn, Ref]:
        table = self.passes.transitions_of(self.index)
        ends = self.state.boundary[1:] or self.state.boundary
        cycle = self.passes.cycle_of(self.index)
        turns = [judge.judge_turn(table.inflow[ref], self.index, cycle) for ref in ends]
        if self._hidden_in_cycle(ends[-1]):
            turns = [judge.Turn(Transition.UNKNOWN)]
            ends = ends[-1:]
        turn = judge.steady(turns)
        typical = next(
            ref for ref, t in zip(reversed(ends), reversed(turns), strict=True) if t == turn
        )
        return turn, typical

    def _pile(self, table: ScaleTable) -> tuple[Ref, judge.Turn] | None:
        """The sum, if any, of what all turns made that the last turn reads, and what it does.

        A list of what blocks returned, added up anew in every turn, is a residual stream: it keeps
        all of them, though each by itself forgets.
        """
        *earlier, last = self.state.boundary
        if len(earlier) < _PILED:
            return None
        for n in range(earlier[-1].node + 1, last.node):
            row = table.rows.get(n) if n in self.loop.body else None
            if row and not row[0].opaque:
                found = judge.judge_pile(self._coefficients(row[0].form, earlier))
                if found is not None:
                    return Ref(n), found
        return None

    def _coefficients(self, form: Form, values: list[Ref]) -> list[Poly]:
        """The factors of what earlier turns made in a sum; none where it leaves any out."""
        factors = {
            self.passes.boundary_of(atom): poly
            for atom, poly in form.parts.items()
            if atom.state == self.index
        }
        return [factors[ref] for ref in values] if factors.keys() >= set(values) else []

    def _hidden_in_cycle(self, end: Ref) -> tuple[Opaque, ...]:
        """The operators of states in between, where a state comes back through others alone."""
        scale = self.passes.transitions_of(self.index).inflow[end]
        others = {a.state for a in scale.form.parts if a.state is not None} - {self.index}
        alone = len(others) > 0 and all(a.state != self.index for a in scale.form.parts)
        if scale.opaque or not alone or not self.passes.feeds_itself_through_others(self.index):
            return ()
        return tuple(reason for other in sorted(others) for reason in self.passes.opaque_in(other))

    def _through(self, own: list[Readings]) -> tuple[list[str], list[Visibility]]:
        """What the loss sees of this state through other states, at least as they are seen."""
        names: list[str] = []
        answers: list[Visibility] = []
        reached = self._reached()
        for other, answer in reached.items():
            supervised = [r.visibility for r, _ in own[other].readouts if r.supervised]
            policed = any(p.effective for p, _ in own[other].penalties)
            theirs = Visibility.VISIBLE if policed else judge.most(supervised)
            if supervised or policed:
                names.append(self.loop.states[other].name)
                answers.append(judge.least(answer, theirs))
        return names, answers

    def _reached(self) -> dict[int, Visibility]:
        """How the next values of the other states answer to this one, over any number of turns."""
        found: dict[int, Visibility] = {}
        for other, state in enumerate(self.loop.states):
            if other == self.index:
                continue
            ends = [ref for ref in state.boundary if self.gradient.inflow[ref].depends]
            answers = [judge.visibility(self.gradient.inflow[ref]) for ref in ends]
            if answers:
                found[other] = judge.most(answers)
        return found

    def _covering(self, mine: Readings) -> tuple[Penalty, ...]:
        """Penalties, those marked that leave most of what is read blindly unpoliced."""
        blind = [reads for r, reads in mine.readouts if r.supervised]
        effective = [reads for penalty, reads in mine.penalties if penalty.effective]
        told = [reads for reads in effective if reads.masks is not None]
        if not effective or (told and not reduce(Reads.union, told).leaves_out(blind, self.axes)):
            return tuple(penalty for penalty, _ in mine.penalties)
        marked = []
        for penalty, reads in mine.penalties:
            flaw = PenaltyFlaw.PARTIAL if reads.masks is not None else PenaltyFlaw.UNKNOWN
            partial = penalty.effective and reads.leaves_out(blind, self.axes)
            marked.append(replace(penalty, flaw=flaw) if partial else penalty)
        return tuple(marked)

    def _branch_location(self, table: ScaleTable, end: Ref) -> Location | None:
        """The line of the operand beside the identity path that grows most."""
        node = self.graph[end.node]
        operands = [r for r in node.refs() if table.depends(r) and r not in table.seeds]
        if not operands:
            return node.location
        return self.graph[max(operands, key=lambda r: table[r].growth.hi).node].location

    def _has_weights_in_cycle(self, end: Ref, turn: judge.Turn) -> bool:
        """Whether weights act on this state on its way around the loop.

        A decayed sum over time (linear attention, a state-space scan, a halting probability
        that adds up) writes what it is given: no weight of the loop ever multiplies it, but for
        a factor below 1.
        """
        if not self.loop.weights:
            return False
        if self.passes.feeds_itself_through_others(self.index):
            return True
        inflow = self.gradient.inflow[end]
        if not inflow.depends:
            inflow = self.value.inflow[end]
        if inflow.opaque or not inflow.depends:
            return True
        form = inflow.form
        gates = [atom for poly in form.parts.values() for atom in poly.atoms()]
        return (
            any(atom.state is None for atom in form.parts)
            or any(atom.mixes and atom.learned for atom in gates)
            or any(atom.growth.depends for atom in (*form.rest.atoms(), *gates))
            or (turn.transition is not Transition.DAMPED and any(atom.learned for atom in gates))
            or self._writes_detached(end)
        )

    def _writes_detached(self, end: Ref) -> bool:
        """Whether weights write what they read in the state without a gradient: they learn too."""
        form = self.value.inflow[end].form
        return any(
            atom.learned and atom.growth.depends and atom.state is None
            for atom in (*form.parts, *form.rest.atoms())
        )


_FORGETFUL = (Transition.REMOVED, Transition.BOUNDED)
# What adds up so many turns, and all that were made, drops none.
_PILED = 3


def _sign_flaw(value: Scale, weight: Interval) -> PenaltyFlaw | None:
    """Whether a visible term rewards length instead of restraining it."""
    rises = _rises(value)
    if rises is None or weight.low < 0 < weight.high:
        return PenaltyFlaw.UNKNOWN
    if rises != (weight.high <= 0):
        return None
    return PenaltyFlaw.NEGATIVE_WEIGHT if rises else PenaltyFlaw.REWARDING


def _rises(value: Scale) -> bool | None:
    """Whether a term grows as the state does; None where its sign is not known."""
    g = value.growth
    if value.span.low >= 0:
        return g.hi > ZERO
    if value.span.high <= 0:
        return g.hi < ZERO
    if g.hi.power == 0 and g.hi.log != 0 and g.slope is not None:
        return g.slope > 0
    return None


def _located(gain: Gain | None, location: Location | None) -> Gain | None:
    return None if gain is None else replace(gain, location=location)


def _short(op: str) -> str:
    return op.split(".")[1] if "." in op else op


def _readout_name(graph: OpGraph, n: int) -> str:
    """The module that decodes, as the model names it, else its weight or the operator."""
    node = graph[n]
    if len(node.modules) > 1:
        return node.modules[-1].path
    leaves = [leaf for ref in node.refs() if (leaf := weight_of(graph, ref)) is not None]
    if leaves:
        largest = max(leaves, key=lambda leaf: math.prod(leaf.outputs[0].shape))
        return largest.op.removesuffix(".weight")
    return node.names[0][1] if node.names else _short(node.op)


def _merged(
    readouts: list[tuple[Readout, Reads]],
) -> tuple[tuple[Readout, Reads], ...]:
    """One entry for the same readout at every turn."""
    merged: dict[object, tuple[Readout, Reads]] = {}
    for readout, reads in readouts:
        key = (
            readout.name,
            readout.location,
            readout.visibility,
            readout.supervised,
            readout.degree,
        )
        if key in merged:
            first, first_reads = merged[key]
            turns = tuple(sorted({*first.turns, *readout.turns}))
            merged[key] = (replace(readout, turns=turns), first_reads.union(reads))
        else:
            merged[key] = (readout, reads)
    return tuple(merged.values())


def _merged_penalties(
    penalties: list[tuple[Penalty, Reads]],
) -> tuple[tuple[Penalty, Reads], ...]:
    merged: dict[object, tuple[Penalty, Reads]] = {}
    for penalty, reads in penalties:
        key = (penalty.name, penalty.location, penalty.flaw)
        known = merged.get(key)
        merged[key] = (penalty, reads.union(known[1]) if known else reads)
    return tuple(merged.values())
