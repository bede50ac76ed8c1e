"""Traces of training read back from the lines that they were kept as."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from scaleaudit.domain.probing import TrainingRun
from scaleaudit.domain.traced import Traced
from scaleaudit.errors import ConfigError
from scaleaudit.report.probe_reading import ReadRun
from scaleaudit.wire import read_json

_RUN = "run"
_HINT = "Name a file that `scaleaudit probe --save DIR` or `scaleaudit train` left."


def from_json_lines(text: str, name: str) -> tuple[Traced, ...]:
    """Read what `probe --save` or any training of ours left, a line a run.

    Args:
        text: The lines; those that are no runs, as the outcome of a probe, are passed over.
        name: What they were read from, for messages.

    Raises:
        ConfigError: A line is none of these, or there is no run.
    """
    runs: dict[tuple[str, str], list[TrainingRun]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            head = read_json(line, _Head)
            if head.kind == _RUN:
                run = read_json(line, ReadRun).run()
                runs.setdefault((head.path, head.target), []).append(run)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise ConfigError(
                f"line {number} of {name} is no trace of training: {error}",
                hint=_HINT,
            ) from error
    if not runs:
        raise ConfigError(
            f"{name} holds no run of training",
            hint=_HINT,
        )
    return tuple(Traced(*of, tuple(found)) for of, found in runs.items())


@dataclass(frozen=True, slots=True)
class _Head:
    path: str
    target: str
    kind: str
