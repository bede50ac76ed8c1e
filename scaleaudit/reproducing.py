"""Reference models trained, evaluated and put side by side: here, and in a child for every run.

A run that is done is kept, one that was cut off goes on, so that the same request can be made again.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import msgspec

from scaleaudit.domain.reproduction import (
    Reproduction,
    RunAnswer,
    RunRequest,
)
from scaleaudit.errors import ConfigError, ScaleAuditError, full_sentence
from scaleaudit.isolation.jobs import Job, Limits, Trouble, TroubleKind
from scaleaudit.isolation.pool import open_pool
from scaleaudit.isolation.runner import OnDemand, run, start_runner
from scaleaudit.reference.claims import claims, separation, side_by_side
from scaleaudit.reference.config import CONDITIONS

_ATTEMPT = "scaleaudit.reference.attempt:attempt_run"
# What children have loaded when they start.
_PRELOAD = ("scaleaudit.reference.attempt",)
# A training ends by itself; this only ends what hangs.
_A_FORTNIGHT = 14 * 86_400.0
# Bytes that a run may take: what runs on an accelerator is mapped as private memory as well.
_ROOM = 256 << 30
# Seconds between two looks at how far the children are.
_GLANCE = 0.5

# Seconds that children are given to keep what they have.
_GRACE = 60.0

# Called with how many are done, of how many, and what is at work.
Watch = Callable[[int, int, str], None]
# Told of every run that ends.
Hear = Callable[[RunRequest, RunAnswer, float], None]


def reproduced(
    requests: Sequence[RunRequest],
    jobs: int,
    watch: Watch,
    hear: Hear,
    minutes: float | None = None,
) -> Reproduction:
    """Train and evaluate, so many runs at a time, and put side by side what is done.

    Args:
        minutes: How long it may take; no run is started after that, and those at work are stopped so
            that they can go on.

    Raises:
        ConfigError: No run can be made as it is asked for, or their models are of different sizes.
    """
    until = None if minutes is None else time.monotonic() + 60 * minutes
    runner = OnDemand(partial(start_runner, _PRELOAD))
    with _Board(len(requests), watch) as board, open_pool(runner, jobs) as pool:
        answers = []
        try:
            made = pool.map(partial(_answered, runner, board, until), requests)
            for request, (answer, seconds) in zip(requests, made, strict=True):
                hear(request, answer, seconds)
                answers.append(answer)
        except BaseException:
            board.stop()
            raise
    return _table(requests, answers)


def _table(requests: Sequence[RunRequest], answers: Sequence[RunAnswer]) -> Reproduction:
    runs = [answer.run for answer in answers if answer.run is not None]
    overflowed = tuple(each.overflowed for each in answers if each.overflowed is not None)
    sizes = sorted({run.size for run in runs} | {run.size for run in overflowed})
    if len(sizes) > 1:
        raise ConfigError(
            f"the runs are of different sizes: {', '.join(sizes)}",
            hint="A table is of one size; name the runs of one.",
        )
    order = dict.fromkeys((*CONDITIONS, *(run.condition for run in runs)))
    found = side_by_side(runs, order, overflowed)
    return Reproduction(
        size=sizes[0] if sizes else "",
        recipe=_joined([run.recipe for run in runs]),
        conditions=found,
        claims=claims(found, overflowed),
        separation=separation(found, overflowed),
        missing=tuple(
            f"{request.name}: {answer.why}"
            for request, answer in zip(requests, answers, strict=True)
            if answer.run is None and answer.overflowed is None
        ),
        overflowed=overflowed,
    )


def _joined(recipes: Sequence[Sequence[tuple[str, str]]]) -> tuple[tuple[str, str], ...]:
    """Put what is said of several runs together; what differs is said side by side."""
    found: dict[str, dict[str, None]] = {}
    for recipe in recipes:
        for name, value in recipe:
            found.setdefault(name, {})[value] = None
    return tuple((name, "; ".join(values)) for name, values in found.items())


def _answered(
    runner: OnDemand, board: _Board, until: float | None, request: RunRequest
) -> tuple[RunAnswer, float]:
    """Have a child see to one run."""
    if board.stopping:
        return RunAnswer(None, "it was stopped"), 0.0
    if request.training is not None and until is not None:
        left = (until - time.monotonic()) / 60
        if left <= 0:
            return RunAnswer(None, "there was no time left"), 0.0
        request = replace(request, training=replace(request.training, minutes=left))
    with board.at_work(request.name) as file:
        asked = msgspec.json.encode(request).decode()
        arguments = (request.place, asked, str(file), str(board.stopper))
        job = Job(_ATTEMPT, arguments, Limits(seconds=_A_FORTNIGHT, memory=_ROOM))
        outcome = run(runner, job, RunAnswer)
    return outcome.value or _failed(outcome.trouble), outcome.seconds


def _failed(trouble: Trouble | None) -> RunAnswer:
    """Say why one run came to nothing; what is wrong with all of them ends the command."""
    assert trouble is not None
    if trouble.kind is TroubleKind.CONFIG:
        raise ConfigError(trouble.message, where=trouble.where, hint=trouble.hint)
    error = ScaleAuditError(trouble.message, where=trouble.where, hint=trouble.hint)
    if trouble.kind is TroubleKind.MEMORY:
        error = ScaleAuditError(
            "it takes more memory than there is",
            hint="Make fewer runs at a time with --jobs, or steps smaller with --batch or "
            "--accumulate.",
        )
    return RunAnswer(None, full_sentence(error))


class _Board:
    """Where children write how far they are; one line is told of all of them."""

    def __init__(self, total: int, watch: Watch) -> None:
        self._total, self._watch, self._done = total, watch, 0
        self._folder = tempfile.TemporaryDirectory(prefix="scaleaudit-")
        self._files: dict[str, Path] = {}
        self._changing = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._folder.cleanup()

    @contextmanager
    def at_work(self, name: str) -> Iterator[Path]:
        """Lend a file to a child as long as it is at work."""
        with self._changing:
            file = self._files[name] = Path(self._folder.name) / str(self._done + len(self._files))
        try:
            yield file
        finally:
            with self._changing:
                del self._files[name]
                self._done += 1
                self._changing.notify_all()

    @property
    def stopper(self) -> Path:
        """The file that tells children, once it is there, to come to an end."""
        return Path(self._folder.name) / "stop"

    @property
    def stopping(self) -> bool:
        """Whether they were told."""
        return self.stopper.exists()

    def stop(self) -> None:
        """Have the children keep what they have; wait for that a while."""
        self.stopper.touch()
        with self._changing:
            self._changing.wait_for(lambda: not self._files, _GRACE)

    def _follow(self) -> None:
        while not self._over.wait(_GLANCE):
            with self._changing:
                files, done = dict(self._files), self._done
            said = (f"{name}: {_read(file)}" for name, file in files.items())
            self._watch(done, self._total, "; ".join(said))


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else "starting"
