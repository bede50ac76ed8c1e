"""Targets that cannot be probed, and probes that are asked for in ways that do not go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from cases import Case, commands

from scaleaudit.bench import built, probe_target
from scaleaudit.devices import chosen
from scaleaudit.domain.probing import ProbeRequest
from scaleaudit.isolation.jobs import Trouble, TroubleKind
from scaleaudit.probe import text
from scaleaudit.probing import _failed

_TINY = (Path(__file__).parents[2] / "unit" / "probe" / "tiny_targets.py").read_text()
_FEW = ProbeRequest(steps=3, seeds=1, device="cpu")
_ODD_BATCHES = """
def scaleaudit_target_empty():
    return target(Tiny(), batches=list)


def scaleaudit_target_shapeless():
    sizes = iter([2, *range(3, 999)])
    return target(Tiny(), batches=lambda: [batch(next(sizes))])


def scaleaudit_target_masked():
    def masked(model, mask):
        return model(mask.long().argmax(-1)).square().mean()

    return {"model": Tiny(), "loss": masked, "loss_args": (torch.ones(2, 3, 4),)}
"""
_ANSWERED = (
    "frozen", "deaf", "constant", "lossless", "flipped", "misfits", "failing", "empty",
    "shapeless", "masked", "numberless", "half",
)  # fmt: skip


def cases() -> Iterator[Case]:
    """Yield every case."""
    files = {"tiny.py": f"{_TINY}\n{_ODD_BATCHES}"}
    for name in _ANSWERED:
        yield Case(f"probe_{name}", partial(_answer, name), files)
    yield Case("probe_over_budget", _over_budget, files)
    yield Case("probe_cannot_run", _cannot_run, files)
    yield Case("probe_device_unknown", partial(chosen, "warp"))
    yield Case("probe_device_gone", partial(chosen, "xpu"))
    yield Case("probe_device_beyond", _beyond)
    yield Case("probe_without_text", _without_text)
    yield Case("probe_trouble_of_settings", partial(_trouble, TroubleKind.CONFIG))
    yield Case("probe_trouble", partial(_trouble, TroubleKind.MEMORY))
    yield from commands(
        {"probe_save_nowhere": "probe m.py --save taken/traces", "probe_of_nothing": "probe"},
        {"m.py": "x = 1\n", "taken": ""},
    )


def _answer(name: str, request: ProbeRequest = _FEW) -> str:
    return f"{probe_target(built('tiny.py', name), request).reason}\n"


def _over_budget() -> str:
    said = _answer("free", ProbeRequest(steps=1_000_000, budget=1.0, device="cpu"))
    return re.sub(r"\d[\d.e-]*", "<number>", said)


def _cannot_run() -> str:
    with patch("scaleaudit.probe.protocol.respond", side_effect=RuntimeError("no kernel")):
        return _answer("free")


def _beyond() -> None:
    with (
        patch.object(torch.cuda, "is_available", return_value=True),
        patch.object(torch.cuda, "device_count", return_value=1),
    ):
        chosen("cuda:7")


def _without_text() -> None:
    text._text.cache_clear()
    try:
        with patch("sysconfig.get_paths", return_value={"stdlib": "gone"}):
            text.tokens(256)
    finally:
        text._text.cache_clear()


def _trouble(kind: TroubleKind) -> str:
    return f"{_failed(Trouble(kind, 'it did not go', 'm.py:3', 'Try again.')).reason}\n"
