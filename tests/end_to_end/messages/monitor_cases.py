"""Errors of those who watch their own training."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from cases import Case

import scaleaudit
from scaleaudit.domain.report import TargetReport, Verdict
from scaleaudit.monitoring.calls import Call
from scaleaudit.monitoring.given import kept_loss
from scaleaudit.monitoring.journal import Journal


def _apart() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2, device="meta"))
    scaleaudit.monitor(model, torch.zeros(1, 2))


def _sharded() -> None:
    model = torch.nn.Linear(2, 2)
    model.weight.full_tensor = model.weight.clone
    scaleaudit.monitor(model, torch.zeros(1, 2))


def _journal(start: int) -> None:
    target = TargetReport("m.py", "M", Verdict.PASS, None, ())
    Journal(target, (), Path("traces.jsonl" if start else "gone/traces.jsonl"), start, 0)


def _loss(model: torch.nn.Module, x: torch.Tensor, *, turns: int = 2) -> torch.Tensor:
    return model(x).sum() * turns


def _named(**named: int) -> None:
    x = torch.zeros(1, 2)
    Call(torch.nn.Linear(2, 2), (), {}, _loss, (x,), Path("m.py")).on((x,), named)


def cases() -> Iterator[Case]:
    """Return every case."""
    model = torch.nn.Linear(2, 2)
    yield Case("monitor_every", partial(scaleaudit.monitor, model, torch.zeros(1, 2), every=0))
    yield Case("monitor_autocast", partial(scaleaudit.monitor, model, autocast="bf16"))
    yield Case("monitor_loss_no_number", partial(kept_loss, "abc"))
    yield Case("monitor_loss_without_the_name", partial(_named, depth=3))
    yield Case("monitor_loss_by_name_alone", partial(_named, turns=3))
    yield Case("monitor_on_two_devices", _apart)
    yield Case("monitor_of_shards", _sharded)
    yield Case("monitor_without_a_loop", partial(scaleaudit.monitor, model, torch.zeros(1, 2)))
    yield Case("monitor_without_a_folder", partial(_journal, 0))
    yield Case("monitor_of_no_text", partial(_journal, 3), {"traces.jsonl": b"\xff"})
