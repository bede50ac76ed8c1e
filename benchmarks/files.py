"""Results as JSON, to keep and to compare with."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.results import Line, Measure, Result

SCHEMA = 1


class FileError(Exception):
    """A file does not hold results that can be read."""


def machine() -> dict[str, str | int | None]:
    """Say what the numbers were measured on."""
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "scaleaudit": version("scaleaudit"),
    }


def write(path: Path, results: Iterable[Result]) -> None:
    """Write every sample, with what the samples were taken on."""
    content = {
        "schema": SCHEMA,
        "machine": machine(),
        "sections": {result.section: [_spelt(line) for line in result.lines] for result in results},
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Result]:
    """Return the results that a file holds, by section.

    Raises:
        FileError: It holds none, or of another schema.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise FileError(f"{path} has schema {content['schema']}, not {SCHEMA}")
        return {
            section: Result(section, "", tuple(map(_line, lines)))
            for section, lines in content["sections"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f"{path} holds no results: {error}") from error


def _spelt(line: Line) -> dict[str, object]:
    samples = {measure.value: list(numbers) for measure, numbers in line.samples.items()}
    return {"name": line.name, "base": line.base, "failure": line.failure, "samples": samples}


def _line(spelt: Mapping[str, Any]) -> Line:
    taken = {
        Measure(name): tuple(map(float, numbers)) for name, numbers in spelt["samples"].items()
    }
    return Line(spelt["name"], spelt["base"], samples=taken, failure=spelt["failure"])


def _processor() -> str:
    """Return the name of the processor, which Linux's platform does not tell."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
