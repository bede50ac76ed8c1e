"""What an argument may be: tensors of symbolic shape, plain values, and structures of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

# Symbols in shapes; what they stand for is one of the coordinates of the search.
BATCH, LENGTH, SIDE = "B", "T", "H"
Dim: TypeAlias = int | str
# The value of every symbol.
Sizes: TypeAlias = Mapping[str, int]

# Integers below which random ones are drawn while nothing is known about what they index.
FEW = 2


@dataclass(frozen=True, slots=True)
class Ints:
    """A tensor of integers from 0 up to ``high``."""

    shape: tuple[Dim, ...]
    high: int = FEW

    def text(self, sizes: Sizes) -> str:
        """Write it as source."""
        return f"torch.randint(0, {self.high}, {_shape(self.shape, sizes)})"


@dataclass(frozen=True, slots=True)
class Floats:
    """A tensor of normal numbers, or of uniform ones from 0 to 1."""

    shape: tuple[Dim, ...]
    uniform: bool = False

    def text(self, sizes: Sizes) -> str:
        """Write it as source."""
        draw = "rand" if self.uniform else "randn"
        return f"torch.{draw}({_shape(self.shape, sizes)})"


@dataclass(frozen=True, slots=True)
class Ones:
    """A mask that hides nothing."""

    shape: tuple[Dim, ...]
    dtype: str = "bool"

    def text(self, sizes: Sizes) -> str:
        """Write it as source."""
        return f"torch.ones({_shape(self.shape, sizes)}, dtype=torch.{self.dtype})"


@dataclass(frozen=True, slots=True)
class Plain:
    """An expression as it stands."""

    source: str

    def text(self, sizes: Sizes) -> str:  # noqa: ARG002 - as the others
        """Write it as source."""
        return self.source


@dataclass(slots=True)
class Fields:
    """A dict, or an object with attributes, whose entries are arguments themselves.

    Attributes:
        opening: What the entries are given to: ``dict`` or the like.
    """

    entries: dict[str, Slot]
    opening: str = "{"

    def text(self, sizes: Sizes) -> str:
        """Write it as source."""
        texts = {key: slot.text(sizes) for key, slot in self.entries.items()}
        if self.opening == "{":
            return "{" + ", ".join(f"{key!r}: {text}" for key, text in texts.items()) + "}"
        return f"{self.opening}({', '.join(f'{key}={text}' for key, text in texts.items())})"


@dataclass(frozen=True, slots=True)
class Sequence:
    """A tuple or list of arguments."""

    items: tuple[Leaf, ...]
    brackets: str = "()"

    def text(self, sizes: Sizes) -> str:
        """Write it as source."""
        inner = ", ".join(item.text(sizes) for item in self.items)
        comma = "," if self.brackets == "()" and len(self.items) == 1 else ""
        return self.brackets[0] + inner + comma + self.brackets[1]


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What a method of the model makes, of another argument, a batch size, or nothing."""

    method: str
    source: Slot | str = ""

    def text(self, sizes: Sizes) -> str:
        """Write it as source."""
        return f"model.{self.method}({self._given(sizes)})"

    def _given(self, sizes: Sizes) -> str:
        if isinstance(self.source, str):
            return self.source
        # Two that are made of each other would never end.
        return "2" if isinstance(self.source.leaf, Made) else self.source.text(sizes)


Leaf: TypeAlias = Ints | Floats | Ones | Plain | Fields | Sequence | Made


@dataclass(slots=True)
class Slot:
    """A place to fill: a menu of what may go there, and the choice made for now."""

    menu: list[Leaf] = field(default_factory=list)
    choice: int = 0

    @property
    def leaf(self) -> Leaf:
        """What is chosen."""
        return self.menu[self.choice]

    @property
    def count(self) -> int:
        """How many choices there are."""
        return len(self.menu)

    def text(self, sizes: Sizes) -> str:
        """Write the choice as source."""
        return self.leaf.text(sizes)

    def inner(self) -> Iterator[Slot]:
        """Yield this slot and those of the entries of its choice."""
        yield self
        if isinstance(self.leaf, Fields):
            for slot in self.leaf.entries.values():
                yield from slot.inner()


def _shape(shape: tuple[Dim, ...], sizes: Sizes) -> str:
    numbers = [str(sizes[dim] if isinstance(dim, str) else dim) for dim in shape]
    return f"({', '.join(numbers)}{',' if len(numbers) == 1 else ''})"
