"""Find out what a model's forward is called with, and which argument makes it return a loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from scaleaudit.capture.discovery.bench import Bench, Outcome
from scaleaudit.capture.discovery.climbing import Call, Climb
from scaleaudit.capture.discovery.leaves import Fields, Floats, Ints, Leaf, Slot
from scaleaudit.capture.discovery.making import add_made
from scaleaudit.capture.discovery.measures import measures_of
from scaleaudit.capture.discovery.menus import menu
from scaleaudit.capture.discovery.signatures import Asked, asked
from scaleaudit.capture.discovery.watching import Watched
from scaleaudit.domain.plans import Plan

_TRIALS = 700


@dataclass(frozen=True, slots=True)
class Found:
    """A call that was found, or how far the best one came.

    Attributes:
        labels: The argument that is there for the loss, where one is.
    """

    plan: Plan
    outcome: Outcome
    labels: str = ""

    @property
    def has_loss(self) -> bool:
        """Whether the model returns a loss."""
        return self.outcome.seen is not None and self.outcome.seen.loss


def find_call(bench: Bench) -> Found:
    """Try arguments until the forward runs, then such that it returns a loss."""
    measures = measures_of(bench.model)
    parameters = asked(bench.model.forward)
    found = Found(bench.plan, Outcome(-1))
    for chosen in _choices(parameters):
        call = Call.of([], measures)
        slots = {parameter: Slot(menu(parameter, measures)) for parameter in chosen}
        add_made(bench.model, slots)
        for parameter, slot in slots.items():
            if parameter.by_keyword or (call.keywords and not parameter.variadic):
                call.keywords[parameter.name] = slot
            elif parameter.required or len(call.slots) == parameters.index(parameter):
                call.slots.append(slot)
            else:
                call.keywords[parameter.name] = slot
        found = _climbed(bench, call)
        if found.outcome.works:
            found = _settled(bench, call, found, chosen)
            return found if found.has_loss else _with_labels(bench, call, found, chosen)
    return found


def _choices(parameters: tuple[Asked, ...]) -> Iterator[list[Asked]]:
    """Yield which parameters are given: those required, then optional ones besides."""
    required = [p for p in parameters if p.required]
    others = [p for p in parameters if not p.required and p.default is None]
    if required or not others:
        yield required
    for count in range(1, min(len(others), 3) + 1):
        yield [p for p in parameters if p in required or p in others[:count]]


def _climbed(bench: Bench, call: Call) -> Found:
    budget = bench.budget.part(_TRIALS)

    def plan() -> Plan:
        return replace(bench.plan, args=call.texts, kwargs=call.named_texts)

    def attempt() -> Outcome:
        budget.spend()
        return bench.attempt(plan())

    outcome = Climb(call, attempt, lambda: bench.on_real_tensors(plan()), budget).run()
    return Found(plan(), outcome)


def _settled(bench: Bench, call: Call, found: Found, chosen: list[Asked]) -> Found:
    """Draw integers from all rows that they pick from."""
    seen = found.outcome.seen
    if seen is None:
        return found
    for name, slot in _named_slots(call, chosen):
        leaf = slot.leaf
        if isinstance(leaf, Ints) and name in seen.rows:
            slot.menu[slot.choice] = replace(leaf, high=seen.rows[name])
    return replace(found, plan=replace(bench.plan, args=call.texts, kwargs=call.named_texts))


def _named_slots(call: Call, chosen: list[Asked]) -> Iterator[tuple[str, Slot]]:
    """Yield the slots with the names that a recording gives their tensors."""
    positional = iter(call.slots)
    for parameter in chosen:
        slot = call.keywords.get(parameter.name) or next(positional)
        yield parameter.name, slot
        if isinstance(slot.leaf, Fields):
            for key, inner in slot.leaf.entries.items():
                yield f"{parameter.name}[{key!r}]", inner


def _with_labels(bench: Bench, call: Call, found: Found, chosen: list[Asked]) -> Found:
    """Look for an argument that makes the model return a loss, once it is given."""
    seen = found.outcome.seen
    if seen is None:
        return found
    for name, slots, key in _places_for_labels(bench, call, chosen):
        for leaf in dict.fromkeys([*labels_for(seen), *_inputs_again(seen, call)]):
            slots[key] = Slot([leaf])
            plan = replace(bench.plan, args=call.texts, kwargs=call.named_texts)
            outcome = bench.attempt(plan)
            if outcome.seen is not None and outcome.seen.loss:
                return Found(plan, outcome, name)
            del slots[key]
            if bench.budget.spent:
                return found
    return found


def _places_for_labels(
    bench: Bench, call: Call, chosen: list[Asked]
) -> Iterator[tuple[str, dict[str, Slot], str]]:
    given = {parameter.name for parameter in chosen}
    for parameter in asked(bench.model.forward):
        if parameter.name in given or parameter.required or parameter.variadic:
            continue
        if parameter.default is None:
            yield parameter.name, call.keywords, parameter.name
    for parameter in chosen:
        for slot in (*call.slots, *call.keywords.values()):
            if isinstance(slot.leaf, Fields) and set(parameter.keys) <= slot.leaf.entries.keys():
                for key in parameter.maybe:
                    if key not in slot.leaf.entries:
                        yield f"{parameter.name}[{key!r}]", slot.leaf.entries, key


def labels_for(seen: Watched) -> tuple[Leaf, ...]:
    """Return what outputs may be compared with: classes for each position, or their like."""
    return tuple(dict.fromkeys((*_classes(seen), *_likes(seen))))


def _classes(seen: Watched) -> Iterator[Ints]:
    for meta in seen.outputs:
        if meta.dtype.startswith(("float", "bfloat")) and len(meta.shape) > 1:
            yield Ints(meta.shape[:-1], high=meta.shape[-1])
            yield Ints((meta.shape[0], *meta.shape[2:]), high=meta.shape[1])
            yield Ints(meta.shape[:1], high=meta.shape[-1])


def _likes(seen: Watched) -> Iterator[Floats]:
    for meta in seen.outputs:
        if meta.dtype.startswith(("float", "bfloat")) and meta.shape:
            yield Floats(meta.shape)
            yield Floats(meta.shape, uniform=True)
            yield Floats(meta.shape[:1], uniform=True)


def _inputs_again(seen: Watched, call: Call) -> Iterator[Ints]:
    high = min((meta.shape[-1] for meta in seen.outputs if meta.shape), default=2)
    for slot in call.leaves():
        if isinstance(slot.leaf, Ints):
            yield replace(slot.leaf, high=max(high, 2))
