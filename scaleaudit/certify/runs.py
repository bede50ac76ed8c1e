"""One pass, run: the states cut and scaled by every factor, side by side, node by node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from scaleaudit.certify import answers
from scaleaudit.certify.answers import Slopes
from scaleaudit.certify.program import Env, Jitter, Machine, Unmeasured, Value, elements
from scaleaudit.certify.thresholds import FACTORS, NOISE
from scaleaudit.certify.values import Judgement, Samples, judge_value
from scaleaudit.domain.claims import PassClaims, TermClaim
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import Scale

Key = tuple[str, Ref]


@dataclass(slots=True)
class Findings:
    """What a run says of a pass.

    Attributes:
        complaints: What disagrees, by kind and value: the claim and the numbers.
        compared: What told something.
        untold: What told nothing.
        unmeasured: Why values could not be computed.
    """

    complaints: dict[Key, tuple[str, str]] = field(default_factory=dict)
    compared: set[Key] = field(default_factory=set)
    untold: set[Key] = field(default_factory=set)
    unmeasured: dict[str, None] = field(default_factory=dict)


class _Layer(dict[fx.Node, Value]):
    """The values of one factor over those that no state reaches."""

    def __init__(self, base: Env) -> None:
        super().__init__()
        self._base = base

    def __missing__(self, node: fx.Node) -> Value:
        return self._base[node]


class Scaled:
    """A run of a pass."""

    def __init__(
        self,
        machine: Machine,
        base: Env,
        claims: PassClaims,
        states: dict[Ref, Tensor],
        on_node: Callable[[], None],
    ) -> None:
        self._machine, self._base, self._claims = machine, base, claims
        self._states, self._on_node = states, on_node
        self._cut = {node: ref for ref in states for node in machine.holders(ref)}
        self._lower = all(_is_scalable(states[ref]) for ref in claims.scaled)
        self._loss = machine.program.graph.loss
        self._listens = bool(claims.terms) and self._loss is not None
        self.found = Findings()

    def examine(self, *, noisy: bool) -> Findings:
        """Run and compare.

        Args:
            noisy: Whether to measure what rounding does, at twice the cost.
        """
        layers = [self._layer(factor) for factor in FACTORS]
        jitter = Jitter(1) if noisy else None
        shadows = [self._layer(factor) for factor in FACTORS] if noisy else []
        order, last_use = self._dirty()
        claims = self._claims_by_node()
        with torch.set_grad_enabled(self._listens):
            for node in order:
                self._on_node()
                values = [self._machine.run(node, layer) for layer in layers]
                with torch.no_grad():
                    twins = [self._machine.run(node, shadow, jitter) for shadow in shadows]
                for ref, scale in claims.get(node, ()):
                    self._compare(ref, node, scale, values, twins)
                if node not in self._cut:
                    for layer, value in zip((*layers, *shadows), (*values, *twins), strict=True):
                        layer[node] = value
                else:
                    self._turns(self._cut[node], layers, values)
                for done in last_use.get(node, ()):
                    for layer in (*layers, *shadows):
                        layer.pop(done, None)
            if self._listens:
                self._terms(layers)
        return self.found

    def _layer(self, factor: float) -> _Layer:
        layer = _Layer(self._base)
        scaled, heard = set(self._claims.scaled), set(self._claims.heard)
        for node, ref in self._cut.items():
            state = self._states[ref]
            if ref in scaled and _is_scalable(state):
                state = (
                    state * factor
                    if state.is_floating_point() or state.is_complex()
                    else state * int(factor)
                )
            if self._listens and ref in heard and state.is_floating_point():
                state = state.detach().requires_grad_()
            layer[node] = state
        return layer

    def _dirty(self) -> tuple[list[fx.Node], dict[fx.Node, list[fx.Node]]]:
        """The nodes that states reach, in order, and after which of them a value is used no more."""
        reached = set(self._cut)
        order: list[fx.Node] = []
        for node in self._machine.order:
            if not reached.isdisjoint(node.all_input_nodes):
                reached.add(node)
                order.append(node)
        last: dict[fx.Node, fx.Node] = {}
        for node in order:
            for operand in node.all_input_nodes:
                last[operand] = node
        kept = {*self._cut, *map(self._machine.node, (c.value for c in self._claims.terms))}
        if self._loss is not None:
            kept.add(self._machine.node(self._loss))
        uses: dict[fx.Node, list[fx.Node]] = {}
        for operand, node in last.items():
            if operand in reached and operand not in kept:
                uses.setdefault(node, []).append(operand)
        return order, uses

    def _claims_by_node(self) -> dict[fx.Node, list[tuple[Ref, Scale]]]:
        found: dict[fx.Node, list[tuple[Ref, Scale]]] = {}
        for table in (self._claims.values, self._claims.inflow):
            for ref, scale in table.items():
                node = self._machine.holder(ref)
                if node is not None and not scale.opaque:
                    found.setdefault(node, []).append((ref, scale))
        return found

    def _compare(
        self, ref: Ref, node: fx.Node, scale: Scale, values: list[Value], twins: list[Value]
    ) -> None:
        key = ("value", ref)
        missing = next((v for v in values if type(v) is Unmeasured), None)
        if missing is not None:
            self.found.unmeasured[missing.reason] = None
            return
        rows = [elements(value) for value in values]
        sampled = _stacked(rows)
        if sampled is None:
            self.found.untold.add(key)
            return
        noise = self._noise(sampled, twins)
        rough = node in self._machine.rough
        judged = judge_value(scale, Samples(sampled, noise, rough=rough, lower=self._lower))
        self._note(key, judged, "")

    @staticmethod
    def _noise(sampled: Tensor, twins: list[Value]) -> Tensor | None:
        if not twins:
            return None
        shaken = _stacked([elements(twin) for twin in twins])
        if shaken is None or shaken.shape != sampled.shape:
            return None
        return NOISE * (sampled - shaken).abs().nan_to_num(nan=0.0, posinf=0.0)

    def _note(self, key: Key, judged: Judgement, claim: str) -> None:
        if not judged.telling:
            self.found.untold.add(key)
            return
        self.found.compared.add(key)
        if judged.complaint:
            self.found.complaints[key] = (claim, judged.complaint)

    def _turns(self, made: Ref, layers: list[_Layer], values: list[Value]) -> None:
        for turn in self._claims.turns:
            if turn.made != made or not all(isinstance(value, Tensor) for value in values):
                continue
            node = self._machine.node(turn.entered)
            entered = [answers.length(layer[node]) for layer in layers]
            complaint = answers.judge_turn(turn, entered, [answers.length(v) for v in values])
            self._note(("turn", made), Judgement(complaint), answers.claimed_turn(turn))

    # Along gradients.

    def _terms(self, layers: list[_Layer]) -> None:
        assert self._loss is not None
        nodes = [self._machine.node(claim.value) for claim in self._claims.terms]
        end = self._machine.node(self._loss)
        missing = [v for node in (end, *nodes) if type(v := layers[0][node]) is Unmeasured]
        if missing:
            self.found.unmeasured[missing[0].reason] = None
            return
        rows = [self._slopes(layer, end, nodes) for layer in layers]
        total = _transposed([row[0] for row in rows])
        parts = [_transposed([row[i + 1] for row in rows]) for i in range(len(nodes))]
        for claim, slopes in zip(self._claims.terms, parts, strict=True):
            self._judge_term(claim, slopes)
        if self._claims.complete and all(each.finite for each in (total, *parts)):
            told = answers.total_is_told(total, parts)
            complaint = "" if told else f"the terms found make up {parts}, the loss {total}"
            self._note(
                ("loss", self._loss), Judgement(complaint), "these are all terms of the loss"
            )

    def _judge_term(self, claim: TermClaim, slopes: Slopes) -> None:
        told = slopes.finite and any(slopes.sizes)
        complaint = answers.judge_term(claim, slopes) if told and self._lower else ""
        judged = Judgement(complaint) if told else Judgement(telling=False)
        self._note(("term", claim.value), judged, answers.claimed(claim))

    def _slopes(
        self, layer: _Layer, end: fx.Node, nodes: list[fx.Node]
    ) -> list[tuple[float, float]]:
        """Slope and size of the loss, then of every term as it weighs in the loss."""
        loss = layer[end]
        cut: list[Tensor] = [layer[node] for node in self._cut]
        seeds = [seed for seed in cut if seed.requires_grad]
        terms = [layer[node] for node in nodes]
        found = [(_along(loss, None, seeds), float(loss.detach().abs().sum()))]
        for term in terms:
            weight = _weight(loss, term)
            slope = 0.0 if weight is None else _along(term, weight, seeds)
            size = term if weight is None else weight * term
            found.append((slope, float(size.detach().abs().sum())))
        return found


def _stacked(rows: list[Tensor | None]) -> Tensor | None:
    """One row a factor; None where the values have no elements, or not as many at each."""
    known = [row for row in rows if row is not None]
    same = len({row.shape for row in known}) == 1
    return torch.stack(known) if same and len(known) == len(rows) else None


def _weight(loss: Tensor, term: Value) -> Tensor | None:
    """The derivative of the loss by a term; None where it has none."""
    if term is loss:
        return torch.ones_like(loss)
    if not (isinstance(term, Tensor) and term.requires_grad and loss.requires_grad):
        return None
    (weight,) = torch.autograd.grad(loss, term, retain_graph=True, allow_unused=True)
    return weight


def _along(end: Tensor, weight: Tensor | None, seeds: list[Tensor]) -> float:
    """Derivative by the logarithm of the factor that all seeds have in common."""
    if not (end.requires_grad and seeds):
        return 0.0
    found = torch.autograd.grad(
        end, seeds, grad_outputs=weight, retain_graph=True, allow_unused=True
    )
    pairs = zip(seeds, found, strict=True)
    return float(sum((s.detach() * g).sum() for s, g in pairs if g is not None))


def _transposed(rows: list[tuple[float, float]]) -> Slopes:
    slopes, sizes = zip(*rows, strict=True)
    return Slopes(slopes, sizes)


def _is_scalable(state: Tensor) -> bool:
    return state.dtype is not torch.bool
