"""Training data: the target's own batches, else made-up ones with something in them to learn."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from scaleaudit.errors import ProbeError, described
from scaleaudit.probe import signals, text
from scaleaudit.probe.roles import Kind, Role

Feed = Mapping[str, Tensor]

# Sequences a batch where the target shows fewer, as in the runs that thresholds come from.
BATCH = 8
# Bytes of the target's own batches that are held, so that every run is given the same.
_MOST_HELD = 256 << 20
# Batches of other shapes than the first that are passed over in a row.
_MOST_PASSED = 64
# What a seed is moved by where the batches of a target start over.
_NEXT_ROUND = 1_000_003


class Stream(Protocol):
    """Where batches come from."""

    def batches(self, seed: int) -> Iterator[Feed]:
        """Return batches without end, the same ones whenever the seed is the same."""

    @property
    def source(self) -> str:
        """What they are, in words."""


class Own:
    """The target's own batches.

    Args:
        start: Makes an iterable of batches.
        named: Turns a batch into tensors by the names of the program's inputs.
    """

    source = "the target's own batches"

    def __init__(
        self, start: Callable[[], Iterable[Any]], named: Callable[[Any], Feed], first: Feed
    ) -> None:
        self._start, self._named = start, named
        self._shapes = {name: (value.shape, value.dtype) for name, value in first.items()}
        self._held: dict[int, list[Feed]] = {}
        self._whole: set[int] = set()

    def batches(self, seed: int) -> Iterator[Feed]:
        """Yield batches, drawn anew for every seed; what was drawn for one is used again."""
        held = self._held.setdefault(seed, [])
        yield from list(held)
        if seed not in self._whole:
            for batch in self._drawn(seed, skip=len(held)):
                held.append(batch)
                yield batch
                if sum(map(_size, held)) > _MOST_HELD:
                    break
            self._whole.add(seed)
        while True:
            yield from held

    def _drawn(self, seed: int, skip: int) -> Iterator[Feed]:
        """Go through the iterable again and again."""
        count = 0
        drawn = _apart(guarded(self._start), seed)
        while True:
            fitting = 0
            for passed, batch in enumerate(drawn):
                named = self._named(batch)
                if self._fits(named):
                    fitting, count = fitting + 1, count + 1
                    if count > skip:
                        yield named
                elif not fitting and passed >= _MOST_PASSED:
                    break
            if not fitting:
                raise ProbeError("the target's batches have no shape in common", hint=_SHAPES)
            seed += _NEXT_ROUND
            drawn = _apart(guarded(self._start), seed)

    def _fits(self, batch: Feed) -> bool:
        return {name: (value.shape, value.dtype) for name, value in batch.items()} == self._shapes


def guarded(start: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """Go through a user's batches; what goes wrong there is said in a sentence.

    Raises:
        ProbeError: They cannot be made.
    """
    try:
        yield from iter(start())
    except GeneratorExit:
        raise
    except Exception as error:
        raise ProbeError(f"the target's batches failed: {described(error)}", hint=_FORMS) from error


def _apart(values: Iterator[Any], seed: int) -> Iterator[Any]:
    """Draw values by random numbers of their own, whatever else is drawn in between."""
    state: Tensor | None = None
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed % 2**32)
    while True:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed) if state is None else torch.set_rng_state(state)
            try:
                value = next(values)
            except StopIteration:
                return
            state = torch.get_rng_state()
        yield value


class Made:
    """Made-up batches: text, smooth signals of low rank, images of blobs, and answers to learn."""

    def __init__(self, roles: Sequence[Role]) -> None:
        """Prepare data for the arguments of a program.

        Raises:
            ProbeError: There is nothing that could be made up.
        """
        self._roles = roles
        self._inputs = [role for role in roles if role.is_input and role.kind is not Kind.KEPT]
        if not self._inputs:
            raise ProbeError("no training data can be made up for these arguments", hint=_FORMS)
        limits = {role.limit for role in roles if role.kind is Kind.TOKENS}
        self._texts = {limit: text.tokens(limit) for limit in limits}

    @property
    def source(self) -> str:
        """Say what was made up."""
        said = {Kind.TOKENS: "text", Kind.FLOATS: "smooth signals", Kind.IMAGES: "images of blobs"}
        found = dict.fromkeys(said[role.kind] for role in self._inputs if role.kind in said)
        return f"made-up data ({', '.join(found)})"

    def batches(self, seed: int) -> Iterator[Feed]:
        """Yield batches that a seed determines."""
        source = torch.Generator().manual_seed(seed)
        while True:
            batch = _Batch(self._inputs, self._texts, source)
            for role in self._roles:
                batch.add(role)
            yield batch.made


class _Batch:
    """One batch in the making: what several of its arguments have in common is drawn once.

    Attributes:
        made: The arguments so far.
    """

    def __init__(
        self, inputs: Sequence[Role], texts: Mapping[int, Tensor], source: torch.Generator
    ) -> None:
        self.made: dict[str, Tensor] = {}
        self._inputs, self._texts, self._source = inputs, texts, source
        self._windows: dict[str, Tensor] = {}
        self._causes: dict[int, Tensor] = {}

    def add(self, role: Role) -> None:
        """Make one argument; what is a copy of another in the target is one here."""
        copied = next((each for each in self._inputs if _alike(each, role)), None)
        if copied is not None and copied.name in self.made:
            self.made[role.name] = self.made[copied.name]
        else:
            self.made[role.name] = self._value(role).to(role.given.dtype)

    def _value(self, role: Role) -> Tensor:
        given = role.given
        match role.kind:
            case Kind.KEPT:
                found = given
            case Kind.TOKENS:
                before = next((each for each in self._inputs if _follows(role, each)), None)
                found = self._window(before)[..., 1:] if before else self._window(role)[..., :-1]
            case Kind.CLASSES:
                # Negative numbers are no classes, and stay where the target has them.
                found = torch.where(given < 0, given, self._classes(role).to(given.dtype))
            case Kind.FLOATS:
                found = signals.waves(given, self._hidden(given))
            case Kind.IMAGES:
                found = signals.blobs(given, self._hidden(given))
            case Kind.RESPONSES:
                found = signals.answers(given.shape, self._shown(given))
            case Kind.SWITCHES:
                found = signals.answers(given.shape, self._shown(given)) > 0
        return found

    def _window(self, role: Role) -> Tensor:
        """Cut a piece of text that is one token longer than an argument."""
        key = role.name
        if key not in self._windows:
            words, length = self._texts[role.limit], role.given.shape[-1] + 1
            rows = (*role.given.shape[:-1], 1)
            starts = torch.randint(len(words) - length, rows, generator=self._source)
            self._windows[key] = words[starts + torch.arange(length)]
        return self._windows[key]

    def _classes(self, role: Role) -> Tensor:
        """What comes next in a text; else a function of what the inputs show."""
        shape = role.given.shape
        for each in self._inputs:
            if each.kind is Kind.TOKENS and each.given.shape == shape and shape[-1] > 1:
                return self._window(each)[..., 1:] % role.limit
        return signals.answers((*shape, role.limit), self._shown(role.given)).argmax(-1)

    def _shown(self, given: Tensor) -> Tensor:
        """Return (batch, causes): what answers are a function of, which the inputs show."""
        for each in self._inputs:
            if each.kind is Kind.TOKENS and each.given.shape[:1] == given.shape[:1]:
                return signals.summary(self.made[each.name])
        return self._hidden(given)

    def _hidden(self, given: Tensor) -> Tensor:
        """Draw the hidden causes of a batch once, (batch, causes)."""
        count = given.shape[0]
        if count not in self._causes:
            self._causes[count] = signals.causes(count, self._source)
        return self._causes[count]


def _alike(one: Role, other: Role) -> bool:
    """Whether another argument has the values of one in the target."""
    if one.name == other.name or one.given.dtype != other.given.dtype:
        return False
    return one.given.shape == other.given.shape and torch.equal(one.given, other.given)


def _follows(one: Role, other: Role) -> bool:
    """Whether a sequence of tokens is another one token later."""
    x, y = one.given, other.given
    if one.name == other.name or other.kind is not Kind.TOKENS or x.shape != y.shape:
        return False
    return x.shape[-1] > 1 and torch.equal(x[..., :-1], y[..., 1:])


def widened(given: Feed, batch: int = BATCH) -> Feed:
    """Return arguments with at least so many examples, where all of them have as many."""
    sizes = {value.shape[0] for value in given.values() if value.dim()}
    if len(sizes) != 1 or not 0 < (size := sizes.pop()) < batch:
        return given
    rows = torch.arange(batch) % size
    return {name: value[rows] if value.dim() else value for name, value in given.items()}


def _size(batch: Feed) -> int:
    return sum(value.numel() * value.element_size() for value in batch.values())


_FORMS = (
    'Give "batches" in scaleaudit_target(): a function that returns an iterable of batches, each a '
    "tuple of what the loss is called with after the model, or a dict of it by name."
)
_SHAPES = "The captured program takes one shape: make batches of equal size, padded where need be."
