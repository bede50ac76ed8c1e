"""The monitor: measures the carried states of a model while its owner trains it."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, distributed

from scaleaudit.domain.finding import Severity
from scaleaudit.domain.probing import TrainingRun
from scaleaudit.domain.report import Report, TargetReport
from scaleaudit.errors import ScaleAuditError, ScaleWarning, described, full_sentence
from scaleaudit.live import audit
from scaleaudit.monitoring.calls import Call
from scaleaudit.monitoring.gauges import MOST_FORMS, Gauges, Measured, device_of
from scaleaudit.monitoring.given import check_model, check_options, kept_loss
from scaleaudit.monitoring.journal import Journal
from scaleaudit.monitoring.readings import Measurement, Reading
from scaleaudit.monitoring.signs import Sign, SignKind, lookouts
from scaleaudit.probe.program import Crossing

# Steps between two measurements: each costs about a forward, a third of a step of training.
EVERY = 20


def monitor(
    model: torch.nn.Module,
    *args: Any,  # noqa: ANN401 - whatever the model takes
    loss: Callable[..., Any] | None = None,
    loss_args: tuple[Any, ...] | None = None,
    out: str | os.PathLike[str] | None = None,
    every: int = EVERY,
    start: int = 0,
    autocast: torch.dtype | None = None,
    **kwargs: Any,  # noqa: ANN401 - the same
) -> Watch:
    """Audit a model, and watch the lengths of its carried states while it is trained.

    The program that the audit captured is run now and then with the weights that the model has by
    then. Nothing is hooked into the model, and training goes on as it would without a watch.

    Args:
        model: As for ``scaleaudit.audit``, and so are args, loss, loss_args and kwargs.
        out: The file for the traces, JSON lines as ``scaleaudit probe --save`` writes them.
        every: Measure at the first step and at every so manyth from there.
        start: The number of the first step. Where it is not 0, as after a restart, what the file
            holds is kept, and what is new comes after it.
        autocast: The type that matrix products are computed in, where training does that in an
            autocast outside of the loss.

    Returns:
        A watch: call its ``step`` once for every step of training, and ``close`` it at the end,
        or use it in a ``with`` statement.

    Raises:
        ConfigError: An argument cannot be meant, or the file cannot be written.
        CaptureError: The model cannot be captured.
        ProbeError: It has no loop, or does what a graph cannot repeat.
    """
    check_options(every, start, autocast)
    check_model(model)
    report = audit(model, *args, loss=loss, loss_args=loss_args, certify="never", **kwargs)
    (target,) = report.targets
    call = Call(model, args, kwargs, loss, loss_args, Path(target.path))
    return Watch(
        report,
        call,
        out=None if out is None else Path(out),
        every=every,
        start=start,
        autocast=autocast,
    )


class Watch:
    """Measures, remembers, writes and warns; made by ``monitor``.

    Of several processes that train together, the first alone measures, on its share of the batch;
    they exchange nothing for that.

    Attributes:
        report: What the audit says of the model as it was when the watch began.
        latest: The last measurement; None before the first.
    """

    def __init__(
        self,
        report: Report,
        call: Call,
        *,
        out: Path | None,
        every: int,
        start: int,
        autocast: torch.dtype | None,
    ) -> None:
        self.report = report
        self.latest: Measurement | None = None
        self._every, self._start, self._next = every, start, start
        self._call, self._autocast = call, autocast
        self._pending: list[Tensor | float | None] = []
        self._troubles: set[str] = set()
        (target,) = report.targets
        self._measures = _is_first()
        if not self._measures:
            self._journal = Journal(target, (), None, start, torch.initial_seed())
            return
        self._gauges = Gauges(call)
        nest = self._gauges.nest
        facts = target.facts.loops if target.facts is not None else ()
        self._lookouts = lookouts(facts, nest)
        names = [(loop.name, state.name) for loop in nest.loops for state in loop.states]
        self._journal = Journal(target, names, out, start, torch.initial_seed())
        for sign in _audited(target, start):
            self._tell(sign)

    def step(
        self,
        loss: Tensor | float | None = None,
        /,
        *batch: Any,  # noqa: ANN401 - what the model or the loss takes
        **named: Any,  # noqa: ANN401 - the same
    ) -> Measurement | None:
        """Tell of a step of training, best between ``backward`` and the optimizer's step.

        Args:
            loss: The loss of the step. It is kept, and read when something is measured, so that
                no step waits for the device.
            *batch: What the step was made on, as the loss takes it after the model; without a
                loss as the model takes it. Left out, what ``monitor`` was given is measured on.
            **named: The same.

        Returns:
            What was measured; None at the steps between.

        Raises:
            ConfigError: The loss is no number; the step is not counted then.
        """
        kept = kept_loss(loss)
        step, self._next = self._next, self._next + 1
        if not self._measures:
            return None
        self._pending.append(kept)
        if (step - self._start) % self._every:
            return None
        self._read_losses(step)
        measured = self._measured(step, batch, named)
        if measured is None:
            return None
        self.latest = self._noted(step, measured)
        self._write(step)
        return self.latest

    def close(self) -> None:
        """Write what is not yet written; what comes after that starts where this ended."""
        if self._measures:
            self._read_losses(self._next - 1)
            self._write(self._next, now=True)

    @property
    def run(self) -> TrainingRun:
        """Everything that was measured so far, as a run of a probe holds it."""
        return self._journal.run

    @property
    def signs(self) -> tuple[Sign, ...]:
        """The early signs so far."""
        return self._journal.signs

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _measured(
        self, step: int, batch: tuple[Any, ...], named: Mapping[str, Any]
    ) -> Measured | None:
        """Measure; training outranks, so that what keeps it from being done is told, not raised."""
        device, dtype = device_of(self._call.model).type, self._autocast
        cast = nullcontext() if dtype is None else torch.autocast(device, dtype)
        try:
            with cast:
                found = self._gauges.read(batch, named)
        except ScaleAuditError as error:
            self._trouble(step, f"a batch cannot be measured on: {full_sentence(error)}")
        except (RuntimeError, NotImplementedError, TypeError, IndexError, ValueError) as error:
            self._trouble(step, f"a batch cannot be measured on: {described(error)}")
        else:
            if not found.own:
                self._trouble(step, _TOO_MANY)
            if found.looks:
                return found
            self._trouble(step, "a batch is empty, and its states have no lengths")
        return None

    def _noted(self, step: int, measured: Measured) -> Measurement:
        readings, signs = [], list[Sign]()
        for i, loop in enumerate(self._gauges.nest.loops):
            for j, state in enumerate(loop.states):
                mine = {at.turn: look for at, look in measured.looks.items() if _is(at, i, j)}
                looks = [mine[turn] for turn in sorted(mine)]
                readings.append(Reading(loop.name, state.name, tuple(each.turn for each in looks)))
                signs.extend(self._lookouts[i, j].look(step, looks))
        found = Measurement(step, tuple(readings), tuple(signs))
        self._journal.note(found)
        for sign in signs:
            self._tell(sign)
        return found

    def _read_losses(self, step: int) -> None:
        """Read the losses since the last time from the device, all at once."""
        pending, self._pending = self._pending, []
        tensors = [each for each in pending if isinstance(each, Tensor)]
        together = [each.to(tensors[0].device) for each in tensors]
        read = iter(torch.stack(together).tolist() if together else ())
        losses = [next(read) if isinstance(each, Tensor) else each for each in pending]
        self._journal.lose([math.nan if loss is None else loss for loss in losses])
        for at, loss in enumerate(losses, step + 1 - len(losses)):
            if loss is not None and not math.isfinite(loss) and self.run.overflowed is None:
                self._journal.overflow(at)
                self._tell(Sign(SignKind.NOT_FINITE, at, "the loss is NaN or infinite"))

    def _trouble(self, step: int, what: str) -> None:
        """Tell once of what keeps a measurement from being made."""
        if what not in self._troubles:
            self._troubles.add(what)
            self._tell(Sign(SignKind.UNMEASURED, step, what))

    def _tell(self, sign: Sign) -> None:
        self._journal.sign(sign)
        text = f"step {sign.step}: {sign.message}"
        warnings.warn(text, ScaleWarning, stacklevel=_level())

    def _write(self, step: int, *, now: bool = False) -> None:
        try:
            self._journal.write() if now else self._journal.write_now_and_then()
        except OSError as error:
            self._trouble(step, f"the traces cannot be written: {described(error)}")


def _is_first() -> bool:
    """Tell whether this is the first of the processes that train together."""
    joined = distributed.is_available() and distributed.is_initialized()
    return not joined or distributed.get_rank() == 0


def _is(crossing: Crossing, loop: int, state: int) -> bool:
    return (crossing.loop, crossing.state) == (loop, state)


def _audited(target: TargetReport, step: int) -> Iterator[Sign]:
    """Say what the audit holds against the model, before a step is made."""
    for finding in target.findings:
        if finding.severity is Severity.ERROR:
            where = f" ({finding.location})" if finding.location else ""
            yield Sign(SignKind.AUDIT, step, f"{finding.code}: {finding.message}{where}")


def _level() -> int:
    """Return how many frames below the caller the first one is that is not ours."""
    frame, level = sys._getframe(1), 1  # noqa: SLF001 - warnings cannot skip files in Python 3.11
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OWN):
        frame, level = frame.f_back, level + 1
    return level


_OWN = str(Path(__file__).parents[1])
_TOO_MANY = (
    f"batches, or attributes of the model, come in more than {MOST_FORMS} forms, or their loops "
    "have other states; those that are left are measured on the first batch, or as the model was"
)
