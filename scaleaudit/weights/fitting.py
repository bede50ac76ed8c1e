"""Weights given to a model by name, whatever they were saved inside of or wrapped in.

A checkpoint may hold the weights beside other things, under the prefix of a wrapper, or without
that of a module around the model. What fits most names of the model is taken.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from scaleaudit.errors import WeightsError
from scaleaudit.weights.reading import read_weights

# What torch itself puts into names around a model: data-parallel, compiled, sharded, checkpointed.
_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
# How deep weights may lie in a checkpoint, and how many names a prefix may have.
_DEPTH = 3
_LISTED = 3


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of a model, from a file.

    Attributes:
        values: Every parameter and kept buffer by the model's names, tied ones by all of theirs.
        source: The file, and where in it they lay, in words.
    """

    values: dict[str, Tensor]
    source: str


def load_weights(path: Path, model: nn.Module) -> Weights:
    """Read a checkpoint and fit it to a model, which stays as it is.

    Raises:
        WeightsError: It cannot be read, or does not fit.
    """
    held = read_weights(path)
    candidates = [*_sets(held)]
    if not candidates:
        raise WeightsError(
            f"{path} holds no tensors by name",
            hint="A checkpoint is what model.state_dict() returns, or a dict with that in it.",
        )
    names = _Names(model)
    place, found = max(candidates, key=lambda each: names.fit(each[1])[0])  # the first of equals
    values = names.filled(found, path)
    return Weights(values, f"{path} (its {place})" if place else str(path))


def _sets(held: object, place: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield every mapping with tensors by name in a checkpoint, with where it lies."""
    if not isinstance(held, Mapping) or len(place) > _DEPTH:
        return
    tensors = {
        key: value
        for key, value in held.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    if tensors:
        yield ".".join(place), tensors
    for key, value in held.items():
        if isinstance(key, str):
            yield from _sets(value, (*place, key))


class _Names:
    """The names of a model's weights, and how those of a checkpoint are brought to them."""

    def __init__(self, model: nn.Module) -> None:
        self._wanted: dict[str, Tensor] = {
            name: value
            for name, value in model.state_dict(keep_vars=True).items()
            if isinstance(value, Tensor)
        }
        every = (*model.named_parameters(remove_duplicate=False), *model.named_buffers())
        self._spare = {name for name, _ in every if name not in self._wanted}
        self._plain = {_unwrapped(name): name for name in self._wanted}

    def fit(self, found: Mapping[str, Tensor]) -> tuple[tuple[int, int], dict[str, str]]:
        """Return how many names and shapes fit, and for each name of the checkpoint the model's.

        Of ways that fit equally well the one that changes least comes first.
        """
        best = (-1, -1), dict[str, str]()
        for renamed in self._ways(found):
            names = {name: renamed(name) for name in found}
            fitting = [name for name, ours in names.items() if ours in self._wanted]
            alike = [n for n in fitting if self._wanted[names[n]].shape == found[n].shape]
            score = len(fitting), len(alike)
            if score > best[0] and len(set(names.values())) == len(names):
                best = score, names
        return best

    def _ways(self, found: Mapping[str, Tensor]) -> Iterator[Callable[[str], str]]:
        """Yield ways to rename: as it is, without wrappers, a prefix cut off, a prefix put on."""
        yield str
        yield self._ours
        for prefix in _prefixes(found):
            yield partial(self._cut, prefix)
        for prefix in _prefixes(self._wanted):
            yield partial(self._put, prefix)

    def _cut(self, prefix: str, name: str) -> str:
        return self._ours(name.removeprefix(prefix))

    def _put(self, prefix: str, name: str) -> str:
        return self._ours(prefix + name)

    def _ours(self, name: str) -> str:
        return name if name in self._wanted else self._plain.get(_unwrapped(name), name)

    def filled(self, found: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
        """Return values for all of the model's names.

        Raises:
            WeightsError: Names are missing or left over, or shapes or dtypes differ.
        """
        _, names = self.fit(found)
        given = {ours: found[name] for name, ours in names.items()}
        self._refuse_other_shapes(given, path)
        values = self._with_tied(given, path)
        missing = [name for name in self._wanted if name not in values]
        unexpected = [
            name
            for name, ours in names.items()
            if ours not in self._wanted and ours not in self._spare
        ]
        if missing or unexpected:
            raise _names_differ(path, missing, unexpected)
        return values

    def _refuse_other_shapes(self, given: Mapping[str, Tensor], path: Path) -> None:
        other = [
            f"{name} is {_kind(value)} in the file and {_kind(wanted)} in the model"
            for name, value in given.items()
            if (wanted := self._wanted.get(name)) is not None
            and (wanted.shape != value.shape or _number(wanted) != _number(value))
        ]
        if other:
            raise WeightsError(
                f"{path} is of another model: {_listed(other, '; ')}",
                hint="Build the target with the sizes that the checkpoint was trained with.",
            )

    def _with_tied(self, given: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
        """Give a weight that has several names its value under each of them."""
        first: dict[int, str] = {}
        for name, wanted in self._wanted.items():
            if name in given:
                other = first.setdefault(id(wanted), name)
                if other != name and not torch.equal(given[other], given[name]):
                    raise WeightsError(
                        f"{path} has different values for {other} and {name}, "
                        "which are one weight in the model",
                        hint="Untie them in the target, or save the checkpoint of the tied model.",
                    )
        return {
            name: given[first[id(wanted)]].to(wanted.dtype)
            for name, wanted in self._wanted.items()
            if id(wanted) in first
        }


def _prefixes(names: Mapping[str, Tensor]) -> list[str]:
    """Every prefix of whole words that a name starts with, shorter ones first."""
    found = {
        ".".join(words[:count]) + "."
        for name in names
        for words in [name.split(".")]
        for count in range(1, min(_DEPTH, len(words) - 1) + 1)
    }
    return sorted(found, key=lambda prefix: (prefix.count("."), prefix))


def _unwrapped(name: str) -> str:
    return ".".join(word for word in name.split(".") if word not in _WRAPPERS)


def _number(value: Tensor) -> str:
    """What kind of numbers a tensor holds: of one kind, widths may differ."""
    if value.is_complex():
        return "complex"
    return "real" if value.is_floating_point() else "whole"


def _kind(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"


def _names_differ(path: Path, missing: list[str], unexpected: list[str]) -> WeightsError:
    parts = []
    if missing:
        told = [_with_nearest(name, unexpected) for name in missing]
        parts.append(f"it has no {_listed(told, ', ')}")
    if unexpected:
        parts.append(f"the model has no {_listed(unexpected, ', ')}")
    return WeightsError(
        f"{path} does not fit the model: {'; '.join(parts)}",
        hint="Build the target as the model was built that the checkpoint is of.",
    )


def _with_nearest(name: str, others: list[str]) -> str:
    near = difflib.get_close_matches(name, others, n=1)
    return f"{name} (nearest: {near[0]})" if near else name


def _listed(items: list[str], between: str) -> str:
    more = len(items) - _LISTED
    shown = between.join(items[:_LISTED])
    return f"{shown}{between}and {more} more" if more > 0 else shown
