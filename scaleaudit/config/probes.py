"""How a project has its models probed: the table ``[tool.scaleaudit.probe]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from scaleaudit.config.places import Place
from scaleaudit.config.values import Reader, number, word
from scaleaudit.config.words import did_you_mean
from scaleaudit.domain.probing import Batches, ProbeRequest

# Larger numbers are slips.
MOST_STEPS, MOST_SEEDS, MOST_SECONDS = 1_000_000, 100, 604_800
# What stands for any number above 0.
_ABOVE_ZERO = 1e-12


class Precision(Enum):
    """What matrix products are computed in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What a project settles of its probes, key by key as the flags have it; None for the rest."""

    device: str | None = None
    steps: int | None = None
    seeds: int | None = None
    lr: float | None = None
    batches: Batches | None = None
    dtype: Precision | None = None
    budget: float | None = None

    @property
    def given(self) -> dict[str, object]:
        """What is settled, by its key."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def asked(self, flags: Mapping[str, object]) -> ProbeRequest:
        """Return what is to be done: by the flags that were given, then by this, then as ever."""
        chosen: dict[str, Any] = {**self.given, **flags}
        dtype = chosen.get("dtype")
        if isinstance(dtype, Precision):
            chosen["dtype"] = dtype.value
        return ProbeRequest(**chosen)


def _device(value: object, place: Place) -> str:
    if not isinstance(value, str) or not value:
        raise place.error(f"must be auto, cpu, cuda or mps, not {value!r}")
    return value


_READERS: dict[str, Reader[object]] = {
    "device": _device,
    "steps": number(1, MOST_STEPS, whole=True),
    "seeds": number(1, MOST_SEEDS, whole=True),
    "lr": number(_ABOVE_ZERO, 1e6),
    "batches": word(Batches),
    "dtype": word(Precision),
    "budget": number(_ABOVE_ZERO, MOST_SECONDS),
}
_HINT = f"Keys of this table: {', '.join(_READERS)}, as {{steps = 200, seeds = 5}}."


def read_probe(value: object, place: Place) -> ProbeSettings:
    """Turn the table into data.

    Raises:
        ConfigError: It has an unknown key, or a value that a key may not have.
    """
    place = place.explained(_HINT)
    if not isinstance(value, dict):
        raise place.error(f"must be a table, not {value!r}")
    found: dict[str, Any] = {}
    for key, each in value.items():
        if key not in _READERS:
            meant = did_you_mean(str(key), _READERS)
            raise place.error(f"has the unknown key {key!r}{meant}")
        found[key] = _READERS[key](each, place.at(key))
    return ProbeSettings(**found)
