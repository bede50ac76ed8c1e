"""Small configurations of transformers' model classes, as the arguments that change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from benchmarks.zoo.shrinking import Scheme, scheme_of, shrink

# The arguments of a configuration that differ from its defaults.
Changes = dict[str, Any]
# Chooses by what the numbers of a part are divided.
_Choice = Callable[[Any], Scheme]
_PLAIN = (bool, int, float, str)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Changes that may make a configuration small.

    Attributes:
        is_narrow: Whether widths change too, so that the model is small for certain.
    """

    changes: Changes
    is_narrow: bool


def small_configurations(config_class: type, hints: Mapping[str, Any]) -> Iterator[Candidate]:
    """Yield ever more cautious changes that make a configuration small.

    First all parts by the factors of the main one, with as many layers for each as it has in
    proportion, then with the same number for all, then each part by its own factors. Then widths
    stay, and at last only what the hints say changes.
    """
    whole = config_class(**hints)
    main = _scheme(max((whole, *_parts(whole).values()), key=_layers_of_words))
    choices: tuple[tuple[_Choice, bool], ...] = (
        (lambda part: replace(main, depth=_scheme(part).depth), True),
        (lambda _: replace(main, is_even=True), True),
        (_scheme, True),
        (lambda part: replace(_scheme(part), narrows=False), False),
    )
    tried = []
    for choose, is_narrow in choices:
        changes = _merged(_changes(whole, choose), hints)
        if changes not in tried:
            tried.append(changes)
            yield Candidate(changes, is_narrow)
    yield Candidate(dict(hints), is_narrow=False)


def _scheme(part: Any) -> Scheme:
    return scheme_of(_given(part))


def _layers_of_words(part: Any) -> int:
    """Rank parts: the main one is the deepest of those that know a vocabulary."""
    return _scheme(part).depth if "vocab_size" in _given(part) else 0


def _changes(config: Any, choose: _Choice) -> Changes:
    changes = shrink(_given(config), choose(config))
    parts = {name: _own(part) | _changes(part, choose) for name, part in _parts(config).items()}
    return changes | parts


def _merged(changes: Changes, hints: Mapping[str, Any]) -> Changes:
    merged = dict(changes)
    for name, value in hints.items():
        below = merged.get(name)
        is_part = isinstance(below, dict) and isinstance(value, dict)
        merged[name] = _merged(below, value) if is_part else value
    return merged


def _given(config: Any) -> Changes:
    """Return the fields that a configuration is given, not those that it derives from others."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value, default in _values(config)
        if default is not None
    }


def _own(part: Any) -> Changes:
    """Return what a part is given that is not its class's default, which its whole chose."""
    kind = {"model_type": part.model_type} if part.model_type else {}
    return kind | {
        name: value
        for name, value, default in _values(part)
        if default is not None and value != default and (value is None or type(value) in _PLAIN)
    }


def _values(config: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, value and default of every field that is the class's own.

    Values are looked up where they are stored: some configurations refuse the plain access to
    what may differ from layer to layer.
    """
    from transformers import PreTrainedConfig

    common = {field.name for field in fields(PreTrainedConfig)}
    for field in fields(config):
        if field.init and field.name not in common:
            default = field.default
            if default is MISSING:
                default = None if field.default_factory is MISSING else field.default_factory()
            yield field.name, vars(config).get(field.name, default), default


def _parts(config: Any) -> dict[str, Any]:
    from transformers import PreTrainedConfig

    found = {name: vars(config).get(name) for name in type(config).sub_configs}
    return {name: part for name, part in found.items() if isinstance(part, PreTrainedConfig)}
