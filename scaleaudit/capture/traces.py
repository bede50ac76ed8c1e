"""Which frames ran the operators of an exported program, as far as its notes tell.

Export notes for every operator the lines that led to it and the modules whose call it ran in, each
with the number of the call. Two operators ran in one running frame if they came one after the other
by the same lines and in the same calls. Where in its code a frame stood is told by the line, and on a
line by the order in which things ran first.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from torch import fx

from scaleaudit.capture.places import PLUMBING, is_user_file
from scaleaudit.domain.graph import ModuleCall

_LINE = re.compile(r'File "(?P<path>[^"<]+)", line (?P<line>\d+), in (?P<function>\S+)')
# torch and the standard library, wherever a program was exported.
_LIBRARY = re.compile(
    r"[\\/](site|dist)-packages[\\/]torch[\\/]|"
    r"[\\/]lib[\\/]python3\.\d+[\\/](?!(site|dist)-packages)"
)

# Events on a line up to which repetitions are looked for, which takes the square of their number.
_MOST_EVENTS = 2000

# The file and the function of a frame.
_Code: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """A user's frame on the way to an operator, as a trace has it."""

    path: str
    line: int
    function: str

    @property
    def code(self) -> _Code:
        """What it ran."""
        return self.path, self.function


@dataclass(frozen=True, slots=True)
class Ran:
    """Where an operator of an exported program ran.

    Attributes:
        steps: The user's frames, outermost first.
        running: For every step the identity of the running frame and where in its code it stood.
        inside: Where in the code of the innermost module's call it ran.
    """

    steps: tuple[Step, ...]
    modules: tuple[ModuleCall, ...]
    running: tuple[tuple[int, int], ...] = ()
    inside: tuple[int, ...] = ()


def steps_of(node: fx.Node) -> tuple[Step, ...]:
    """Read the user's frames from a node's trace."""
    trace = str(node.meta.get("stack_trace") or "")
    return tuple(
        Step(found["path"], int(found["line"]), found["function"])
        for found in _LINE.finditer(trace)
        if is_user_file(found["path"]) and _LIBRARY.search(found["path"]) is None
    )


def missing_files(program: fx.GraphModule) -> set[str]:
    """Return the user's files of a program's traces that are not where they were."""
    found = {step.path for node in nodes_of(program) for step in steps_of(node)}
    return {path for path in found if not Path(path).is_file()}


def nodes_of(program: fx.GraphModule) -> Iterator[fx.Node]:
    """Iterate over the operators of a program, those of its parts where they are named."""
    for node in program.graph.nodes:
        if node.op == "get_attr":
            part = getattr(program, str(node.target), None)
            if isinstance(part, fx.GraphModule):
                yield from nodes_of(part)
        elif node.op == "call_function":
            yield node


@dataclass
class Traces:
    """The places of all operators of a program.

    Args:
        program: What was exported.
        inside: The path of the model in what was exported, if that was something around it.
    """

    program: fx.GraphModule
    inside: str = ""
    _identities: dict[str, int] = field(default_factory=dict)
    _frameless: set[str] = field(default_factory=set)

    @cached_property
    def ran(self) -> dict[fx.Node, Ran]:
        """Where every operator ran."""
        plain = {node: Ran(steps_of(node), self._calls(node)) for node in nodes_of(self.program)}
        return _Frames(plain, self._frameless).run()

    def _calls(self, node: fx.Node) -> tuple[ModuleCall, ...]:
        calls = []
        for key, (path, kind) in (node.meta.get("nn_module_stack") or {}).items():
            name, call = path.partition("@")[0], key.partition("@")[2]  # of its second call: 1
            if self.inside:
                if not path:
                    continue  # what is around the model
                name = name.removeprefix(self.inside).removeprefix(".")
            identity = self._identities.setdefault(name, len(self._identities) + 1)
            calls.append(ModuleCall(name, identity, int(call or 0)))
            package = (kind if isinstance(kind, str) else kind.__module__).partition(".")[0]
            if package == "torch" or package in PLUMBING:
                self._frameless.add(name)
        return tuple(calls)


class _Frames:
    """Tells the running frames of operators apart, and where in their code they stood.

    Args:
        plain: Where every operator ran, in the order in which they ran.
        frameless: The paths of modules whose code traces leave out.
    """

    def __init__(self, plain: dict[fx.Node, Ran], frameless: set[str]) -> None:
        self._plain = plain
        self._depths = _depths(plain, frameless)
        self._serials = dict(self._running())
        self._visits = self._visited()

    def run(self) -> dict[fx.Node, Ran]:
        """Add to every operator the running frames, and its place in the innermost module."""
        instructions = {node: tuple(self._instructions(node)) for node in self._plain}
        seen = dict.fromkeys(each for found in instructions.values() for each in found)
        ordered = sorted(seen, key=lambda instruction: instruction[1])
        orders = {instruction: number for number, instruction in enumerate(ordered)}
        found: dict[fx.Node, Ran] = {}
        ordinals: Counter[object] = Counter()
        for node, ran in self._plain.items():
            places = tuple(orders[each] for each in instructions[node])
            inner = ran.modules[-1] if ran.modules else None
            inside = places[max(self._depths[inner.path] - 1, 0) :] if inner else places
            if inner and not self._depths[inner.path]:
                key = (inner, node.target)
                inside = (-1 - ordinals[key],)
                ordinals[key] += 1
            running = tuple(zip(self._serials[node], places, strict=True))
            found[node] = Ran(ran.steps, ran.modules, running, inside)
        return found

    def _running(self) -> Iterator[tuple[fx.Node, tuple[int, ...]]]:
        """Number the running frames of every operator."""
        numbers = itertools.count(1)
        current: list[tuple[object, int]] = []
        for node, ran in self._plain.items():
            keys = [self._key(ran, depth) for depth in range(len(ran.steps))]
            pairs = zip(keys, current, strict=False)
            same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1][0], pairs))
            if keys:  # export's own operators have no trace, and interrupt nothing
                current = [*current[:same], *((key, next(numbers)) for key in keys[same:])]
            yield node, tuple(serial for _, serial in current[: len(keys)])

    def _key(self, ran: Ran, depth: int) -> object:
        """What a running frame is told by, given those around it."""
        line = ran.steps[depth - 1].line if depth else 0
        calls = tuple((m.path, m.call) for m in ran.modules if self._depths[m.path] == depth + 1)
        return line, ran.steps[depth].code, calls

    def _event(self, node: fx.Node, depth: int) -> tuple[object, object]:
        """What a frame ran, as this one run of it, and as the same in every turn."""
        ran = self._plain[node]
        if depth + 1 < len(ran.steps):
            paths = tuple(m.path for m in ran.modules if self._depths[m.path] == depth + 2)
            return self._serials[node][depth + 1], (ran.steps[depth + 1].code, paths)
        backwards = reversed(ran.modules)
        inner = list(itertools.takewhile(lambda m: not self._depths[m.path], backwards))
        return (inner[-1], inner[-1].path) if inner else (node, str(node.target))

    def _visited(self) -> dict[tuple[fx.Node, int], tuple[int, _Visit]]:
        """For every step of every operator the visit of the line, and its number in that visit."""
        found: dict[tuple[fx.Node, int], tuple[int, _Visit]] = {}
        open_visits: dict[int, _Visit] = {}
        for node, ran in self._plain.items():
            for depth, step in enumerate(ran.steps):
                serial = self._serials[node][depth]
                visit = open_visits.get(serial)
                if visit is None or visit.step != step:
                    visit = open_visits[serial] = _Visit(step)
                once, always = self._event(node, depth)
                if once != visit.last:
                    visit.last = once
                    visit.events.append(always)
                found[node, depth] = (len(visit.events) - 1, visit)
        return found

    @cached_property
    def _numbers(self) -> dict[Step, list[int]]:
        """Number what happens on a line, as it is alike in every turn; none where turns differ."""
        visits: dict[Step, list[list[object]]] = {}
        for visit in {id(visit): visit for _, visit in self._visits.values()}.values():
            visits.setdefault(visit.step, []).append(visit.events)
        return {
            step: numbered(found[0], recurs=len(found) > 1)
            for step, found in visits.items()
            if all(events == found[0] for events in found)
        }

    def _instructions(self, node: fx.Node) -> Iterator[tuple[_Code, tuple[int, int], object]]:
        """Name the instruction that each frame of an operator stood at: line, number, what."""
        for depth, step in enumerate(self._plain[node].steps):
            number, visit = self._visits[node, depth]
            numbers = self._numbers.get(step)
            place = numbers[number] if numbers else 0
            yield step.code, (step.line, place), visit.events[number]


@dataclass
class _Visit:
    """What a running frame did on a line before it went to another.

    Attributes:
        last: The event that came last, as the one run of it.
    """

    step: Step
    events: list[object] = field(default_factory=list)
    last: object = None


def numbered(events: list[object], *, recurs: bool) -> list[int]:
    """Number the events of a row so that those of a part that is repeated in it are alike.

    Args:
        events: What happened, one after the other.
        recurs: Whether the whole row is a part that is repeated. What is in none has the number 0:
            nobody knows whether it is the same place when it comes again.
    """
    plain = list(range(1, len(events) + 1)) if recurs else [0] * len(events)
    found = _repetition(events, 2 if recurs else 1)  # x + y + z adds twice a turn
    if found is None:
        return plain
    start, length, times = found
    inner = numbered(events[start : start + length], recurs=True)
    part = [start + number for number in inner] * times
    return [*plain[:start], *part, *plain[start + len(part) :]]


def _repetition(events: list[object], least: int) -> tuple[int, int, int] | None:
    """Return start, length and times of the part that is repeated over most of a row."""
    best: tuple[int, int, int] | None = None
    if len(events) > _MOST_EVENTS:
        return None
    for length in range(least, len(events) // 2 + 1):
        start = 0
        for place in range(len(events) - length + 1):
            ends = place + length == len(events) or events[place] != events[place + length]
            times = (place - start) // length + 1
            whole = (place - start) % length == 0
            if ends and times > 1 and whole and times * length > (best[1] * best[2] if best else 0):
                best = start, length, times
            start = place + 1 if ends else start
    return best


def _depths(plain: dict[fx.Node, Ran], frameless: set[str]) -> dict[str, int]:
    """For every module how deep the frame of its forward is, from 1; 0 where traces show none."""
    least = dict.fromkeys((m.path for ran in plain.values() for m in ran.modules), 0)
    traced = [ran for ran in plain.values() if ran.steps]
    for ran in traced:
        for module in ran.modules:
            depth = len(ran.steps) if module.path not in frameless else 0
            least[module.path] = min(depth, least[module.path] or depth)
    found = dict(least)
    for ran in traced:
        within = len(ran.steps) + 1
        for module in reversed(ran.modules):
            if least[module.path]:
                within = min(within - 1, least[module.path])
                found[module.path] = max(min(found[module.path], within), 1)
    return found
