"""What is measured: every section's rows, the ratios that are read off them, and their aims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from benchmarks.commands import (
    CACHED_CHECK,
    CHECK,
    HELP,
    IMPORT_TORCH,
    Row,
    Sample,
    measuring_itself,
    probed,
    timed,
    timed_and_weighed,
)
from benchmarks.depths import LAYERS
from benchmarks.results import Aim, Measure
from benchmarks.small_models import write_other_files, write_small_models

_TARGETS = "benchmarks/targets.py::"
_REFERENCE = "scaleaudit/reference/targets.py::per_loop_rmsnorm_"
_SEVENTY_BILLION = "tests/models/big_meta.py::big_meta"
_BLIND = "SCL101"
_TORCH = "import torch"
_DEPTHS = (4, 16, 64, 256)
_COUNTS = (1, 10, 100)
_JOBS = (1, 2)
_FEW = 10
_GIGABYTE = 1e9

_DEPTH_AIMS = {64: 1.4, 256: 2.5}
_MEMORY_AIMS = {
    "44m": Aim(Measure.LARGEST, 1.5),
    "129m": Aim(Measure.LARGEST, 1.5),
    "70 billion": Aim(Measure.LARGEST, _GIGABYTE, absolute=True),
}
_TARGETS_AIM = 6.0

# Makes the rows; may write what they need into the folder.
MakeRows: TypeAlias = Callable[[Path], tuple[Row, ...]]


@dataclass(frozen=True, slots=True)
class Section:
    """A group of rows that take turns.

    Attributes:
        explanation: What is measured, and what ratios are to.
        warm_up: How many of the first rows are run once before, unrecorded: they fill the file
            cache and write the byte code.
    """

    name: str
    explanation: str
    rows: MakeRows
    warm_up: int = 1


def _cold(_: Path) -> tuple[Row, ...]:
    check = timed((*CHECK, f"{_REFERENCE}129m"), _BLIND)
    return (
        Row(_TORCH, timed(IMPORT_TORCH)),
        Row("--help", timed(HELP), _TORCH, (Aim(Measure.CPU, 0.1),)),
        Row("check, 129m reference", check, _TORCH, (Aim(Measure.CPU, 2.0),)),
    )


def _capture(_: Path) -> tuple[Row, ...]:
    aim = Aim(Measure.CPU, 12.0, at_least=True, inverse=True)
    export = "torch.export.export"
    return (
        Row(export, probed("export", "129m_turns_4")),
        Row("our capture", probed("capture", "129m_turns_4"), export, (aim,)),
    )


def _depth(_: Path) -> tuple[Row, ...]:
    first, *deeper = _DEPTHS
    base = f"{first} turns"
    return (
        Row(base, _check(f"129m_turns_{first}")),
        *(
            Row(
                f"{turns} turns", _check(f"129m_turns_{turns}"), base, _aims(_DEPTH_AIMS.get(turns))
            )
            for turns in deeper
        ),
    )


def _layers(_: Path) -> tuple[Row, ...]:
    first, *more = LAYERS
    base = f"{first} layers"
    return (
        Row(base, _check(f"layers_{first}")),
        *(Row(f"{layers} layers", _check(f"layers_{layers}"), base) for layers in more),
    )


def _size(_: Path) -> tuple[Row, ...]:
    paths = {
        "44m": f"{_REFERENCE}44m",
        "129m": f"{_REFERENCE}129m",
        "70 billion": _SEVENTY_BILLION,
    }
    return (
        Row(_TORCH, timed_and_weighed(IMPORT_TORCH)),
        *(
            Row(name, timed_and_weighed((*CHECK, path), _BLIND), _TORCH, (_MEMORY_AIMS[name],))
            for name, path in paths.items()
        ),
    )


def _speed(_: Path) -> tuple[Row, ...]:
    base = "12 layers, 4 turns"
    return (
        Row(base, probed("analysis", "129m_turns_4")),
        Row("48 layers, 4 turns", probed("analysis", "layers_48"), base),
        Row("12 layers, 64 turns", probed("analysis", "129m_turns_64"), base),
    )


def _training(_: Path) -> tuple[Row, ...]:
    aim = Aim(Measure.PACE, 1.0, at_least=True)
    return tuple(
        Row(name, measuring_itself("benchmarks.training", loop), base, aims)
        for name, loop, base, aims in (
            ("a plain loop", "plain", "", ()),
            ("our training", "ours", "a plain loop", (aim,)),
        )
    )


def _small_targets(folder: Path) -> tuple[Row, ...]:
    paths = write_small_models(folder, max(_COUNTS))
    return tuple(
        Row(
            _counted(count, jobs),
            timed((*CHECK, "--jobs", str(jobs), *paths[:count]), _says(count)),
            "" if count == 1 else _counted(1, jobs),
            (Aim(Measure.WALL, _TARGETS_AIM),) if count == max(_COUNTS) else (),
        )
        for count in _COUNTS
        for jobs in _JOBS
    )


def _daily(folder: Path) -> tuple[Row, ...]:
    models = write_small_models(folder, _FEW)
    others = write_other_files(folder)
    cached = (*CACHED_CHECK, "--cache-dir", str(folder / "cache"))
    hook = (*cached, "--skip-non-models")
    one = "1 target, nothing kept"
    return (
        Row(_TORCH, timed(IMPORT_TORCH)),
        Row("unchanged target", timed((*cached, models[0]), _says(1)), _TORCH, _both(0.25)),
        Row("10 unchanged targets", timed((*cached, *models), _says(_FEW)), _TORCH),
        Row("file without a model", timed((*hook, others[0]), _says(0)), _TORCH, _both(0.15)),
        Row("commit without a model", timed((*hook, *others), _says(0)), _TORCH, _both(0.2)),
        Row(one, timed((*CHECK, models[0]), _says(1)), _TORCH),
        Row("10 targets, nothing kept", timed((*CHECK, *models), _says(_FEW)), one, _both(3.0)),
    )


def _pages(_: Path) -> tuple[Row, ...]:
    empty = "an empty page"
    probed_page = measuring_itself("benchmarks.pages")
    return (
        Row(empty, _page(0)),
        Row("1 target with a probe", probed_page, empty, (_absolute(Measure.PAGE, 0.4e6),)),
        Row(
            "200 targets",
            _page(200),
            empty,
            (_absolute(Measure.PAGE, 5e6), _absolute(Measure.MAIN_THREAD, 2.0)),
        ),
    )


def _page(targets: int) -> Sample:
    return measuring_itself("benchmarks.pages", str(targets))


def _absolute(measure: Measure, limit: float) -> Aim:
    return Aim(measure, limit, absolute=True)


def _both(limit: float) -> tuple[Aim, ...]:
    return Aim(Measure.CPU, limit), Aim(Measure.WALL, limit)


def _says(targets: int) -> str:
    """Return what a report says that is about so many targets."""
    return f"\n{_counted_targets(targets)}"


def _counted(count: int, jobs: int) -> str:
    return f"{_counted_targets(count)}, --jobs {jobs}"


def _counted_targets(count: int) -> str:
    return f"{count} target{'' if count == 1 else 's'}"


def _check(target: str) -> Sample:
    return timed((*CHECK, _TARGETS + target), _BLIND)


def _aims(limit: float | None) -> tuple[Aim, ...]:
    return () if limit is None else (Aim(Measure.CPU, limit),)


SECTIONS = (
    Section(
        "cold",
        "Whole commands in new processes, nothing kept between them; ratios to `import torch`.",
        _cold,
        warm_up=3,
    ),
    Section(
        "capture",
        "The call alone, 129m and 4 turns, forward and loss, everything loaded and warmed up;"
        " the aim is how many times faster ours is.",
        _capture,
        warm_up=2,
    ),
    Section(
        "depth",
        "A whole check of the 129m reference (12 layers); ratios to 4 turns.",
        _depth,
    ),
    Section(
        "layers",
        "A whole check of the 129m reference with other numbers of layers; ratios to 2 layers.",
        _layers,
    ),
    Section(
        "size",
        "A whole check, and its memory: of the largest process (resident), and of all together"
        " at the peak (pages that are shared counted once); ratios to `import torch`.",
        _size,
    ),
    Section(
        "speed",
        "Operators analysed in a second (loops and scale, the graph captured before);"
        " ratios to 12 layers and 4 turns.",
        _speed,
    ),
    Section(
        "training",
        "Tokens a second of training a reference model: tiny on a CPU, 44m on a CUDA device, with"
        " the share of what matrix products in bfloat16 reach there; ratios to a plain loop.",
        _training,
        warm_up=2,
    ),
    Section(
        "targets",
        "Files with one small model each, in one call; ratios to one file.",
        _small_targets,
    ),
    Section(
        "daily",
        "Calls as hooks and editors make them, the cache filled before; ratios to `import torch`,"
        " those of ten targets to one target.",
        _daily,
        warm_up=5,
    ),
    Section(
        "pages",
        "Reports opened in a browser: the time of the page's main thread until it is drawn, its"
        " bytes and its nodes; ratios to an empty page.",
        _pages,
    ),
)
