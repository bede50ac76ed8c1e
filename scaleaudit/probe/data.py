"""Training data: the target's own batches, else made-up ones with something in them to learn."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from scaleaudit.errors import ProbeError, described
from scaleaudit.probe import text
from scaleaudit.probe.roles import Kind, Role

Feed = Mapping[str, Tensor]

# Sequences a batch where the target shows fewer, as in the runs that thresholds come from.
BATCH = 8
# Hidden causes of made-up floats.
_RANK = 4
# Bytes of the target's own batches that are held, so that every run is given the same.
_MOST_HELD = 256 << 20
# Batches of other shapes than the first that are passed over in a row.
_MOST_PASSED = 64
# What a seed is moved by where the batches of a target start over.
_NEXT_ROUND = 1_000_003
# Seed of what stays the same whatever the seed: the laws that made-up data follow.
_LAWS = 20_250_607


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
        if not any(role.is_input and role.kind is not Kind.KEPT for role in roles):
            raise ProbeError("no training data can be made up for these arguments", hint=_FORMS)
        self._texts = {
            role.limit: text.tokens(role.limit) for role in roles if role.kind is Kind.TOKENS
        }
        self._inputs = [role for role in roles if role.is_input]
        self._first = {role.name: _alike(role, self._inputs) for role in roles}

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
            yield self.batch(source)

    def batch(self, source: torch.Generator) -> Feed:
        """Make one batch."""
        made: dict[str, Tensor] = {}
        windows: dict[tuple[int, ...], Tensor] = {}
        hidden: dict[int, Tensor] = {}
        for role in self._roles:
            made[role.name] = self._value(role, made, windows, hidden, source)
        return made

    def _value(
        self,
        role: Role,
        made: Mapping[str, Tensor],
        windows: dict[tuple[int, ...], Tensor],
        hidden: dict[int, Tensor],
        source: torch.Generator,
    ) -> Tensor:
        other = self._first[role.name]
        if other is not None and other in made:
            return made[other]
        shape, count = role.given.shape, role.given.shape[0] if role.given.dim() else 0
        match role.kind:
            case Kind.KEPT:
                return role.given
            case Kind.TOKENS:
                return self._window(role, windows, source)[..., : shape[-1]].to(role.given.dtype)
            case Kind.CLASSES:
                return self._classes(role, made, windows, hidden, source)
            case Kind.FLOATS:
                return _floats(role.given, _causes(count, hidden, source))
            case Kind.IMAGES:
                return _blobs(role.given, _causes(count, hidden, source))
            case Kind.RESPONSES:
                return _answers(role.given, self._known(made, count, hidden, source))
            case Kind.SWITCHES:
                found = _answers(role.given, self._known(made, count, hidden, source))
                return (found > 0).to(role.given.dtype)

    def _window(
        self, role: Role, windows: dict[tuple[int, ...], Tensor], source: torch.Generator
    ) -> Tensor:
        """Cut a piece of text that is one token longer than an argument."""
        key = (role.limit, *role.given.shape)
        if key not in windows:
            words, length = self._texts[role.limit], role.given.shape[-1] + 1
            rows = role.given.shape[:-1]
            starts = torch.randint(len(words) - length, (*rows, 1), generator=source)
            windows[key] = words[starts + torch.arange(length)]
        return windows[key]

    def _classes(
        self,
        role: Role,
        made: Mapping[str, Tensor],
        windows: dict[tuple[int, ...], Tensor],
        hidden: dict[int, Tensor],
        source: torch.Generator,
    ) -> Tensor:
        """What comes next in a text; else a function of the inputs."""
        shape = role.given.shape
        for each in self._inputs:
            if each.kind is Kind.TOKENS and each.given.shape == shape and shape[-1] > 1:
                following = self._window(each, windows, source)[..., 1:]
                return self._with_gaps(role, following % role.limit)
        known = self._known(made, shape[0], hidden, source)
        scores = _answers(torch.empty(*shape, role.limit), known)
        return self._with_gaps(role, scores.argmax(-1))

    def _with_gaps(self, role: Role, values: Tensor) -> Tensor:
        """Keep negative numbers where the target has them: they are no classes."""
        return torch.where(role.given < 0, role.given, values.to(role.given.dtype))

    def _known(
        self,
        made: Mapping[str, Tensor],
        count: int,
        hidden: dict[int, Tensor],
        source: torch.Generator,
    ) -> Tensor:
        """Return (batch, causes): what the answers are a function of, which the inputs show."""
        for each in self._inputs:
            if each.kind is Kind.TOKENS and each.given.dim() and each.given.shape[0] == count:
                words = made[each.name].reshape(count, -1)
                return (
                    torch.stack(
                        [(words % 2**i >= 2**i / 2).float().mean(1) for i in range(1, _RANK + 1)], 1
                    )
                    * 4
                    - 2
                )
        return _causes(count, hidden, source)


def widened(given: Feed, batch: int = BATCH) -> Feed:
    """Return arguments with at least so many examples, where all of them have as many."""
    sizes = {value.shape[0] for value in given.values() if value.dim()}
    if len(sizes) != 1 or not 0 < (size := sizes.pop()) < batch:
        return given
    rows = torch.arange(batch) % size
    return {name: value[rows] if value.dim() else value for name, value in given.items()}


def _alike(role: Role, inputs: Sequence[Role]) -> str | None:
    """Return the input whose values an argument has in the target, if any: a copy of it."""
    for other in inputs:
        if other.name != role.name and other.kind is not Kind.KEPT:
            same = other.given.shape == role.given.shape and other.given.dtype == role.given.dtype
            if same and torch.equal(other.given, role.given):
                earlier = not role.is_input or inputs.index(other) < inputs.index(role)
                return other.name if earlier else None
    return None


def _causes(count: int, hidden: dict[int, Tensor], source: torch.Generator) -> Tensor:
    """Draw the hidden causes of a batch once, (batch, causes)."""
    if count not in hidden:
        hidden[count] = torch.randn(count, _RANK, generator=source)
    return hidden[count]


def _law(rows: int, columns: int, turn: int) -> Tensor:
    """Return a fixed matrix of a law that data follow."""
    source = torch.Generator().manual_seed(_LAWS + turn)
    return torch.randn(rows, columns, generator=source) / rows**0.5


def _floats(given: Tensor, causes: Tensor) -> Tensor:
    """Signals of low rank that run on smoothly along the dims between, scaled as given."""
    count, *between, width = given.shape if given.dim() > 1 else (*given.shape, 1)
    length = 1
    for size in between:
        length *= size
    time = torch.linspace(0, 3, length).view(1, -1, 1)  # about half a period from end to end
    waves = torch.sin(causes[:, None, :] + time * _law(1, _RANK, 0).view(1, 1, -1))
    found = (waves @ _law(_RANK, width, 1)).reshape(given.shape)
    mean, spread = given.float().mean(), given.float().std(correction=0)
    found = (found - found.mean()) / (found.std(correction=0) + 1e-6)
    return (found * spread + mean).to(given.dtype)


def _answers(given: Tensor, causes: Tensor) -> Tensor:
    """A smooth function of the causes for every element that comes with an example."""
    size = given[0].numel() if given.dim() else 1
    made = torch.tanh(causes @ _law(_RANK, 2 * _RANK, 2)) @ _law(2 * _RANK, size, 3)
    return made.reshape(given.shape).to(given.dtype)


def _blobs(given: Tensor, causes: Tensor) -> Tensor:
    """Images of a blob whose place, size and colour the causes tell, (batch, channels, height, ...)."""
    count, channels, *sides = given.shape
    places = torch.tanh(causes / 2)
    distance = torch.zeros(count, 1, *sides)
    for axis, side in enumerate(sides):
        at = torch.linspace(-1, 1, side).view(
            1, 1, *(-1 if i == axis else 1 for i in range(len(sides)))
        )
        centre = places[:, axis % _RANK].view(-1, 1, *(1,) * len(sides))
        distance = distance + (at - centre).square()
    width = 0.1 + 0.1 * torch.sigmoid(causes[:, -1]).view(-1, 1, *(1,) * len(sides))
    colour = (1 + causes @ _law(_RANK, channels, 4) / 2).view(count, channels, *(1,) * len(sides))
    found = colour * torch.exp(-distance / width)
    mean, spread = given.float().mean(), given.float().std(correction=0)
    found = (found - found.mean()) / (found.std(correction=0) + 1e-6)
    return (found * spread + mean).to(given.dtype)


def _size(batch: Feed) -> int:
    return sum(value.numel() * value.element_size() for value in batch.values())


_FORMS = (
    'Give "batches" in scaleaudit_target(): a function that returns an iterable of batches, each a '
    "tuple of what the loss is called with after the model, or a dict of it by name."
)
_SHAPES = "The captured program takes one shape: make batches of equal size, padded where need be."
