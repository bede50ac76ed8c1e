"""Tables of reference models that cannot be made as they are asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from cases import Case, commands

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "report"))

from reproductions import run

from scaleaudit.cli.reference import _write
from scaleaudit.domain.reproduction import EvaluationRequest, Reproduction, RunAnswer, RunRequest
from scaleaudit.isolation.jobs import Trouble, TroubleKind
from scaleaudit.reference import evaluated
from scaleaudit.reference.checkpoints import save_checkpoint
from scaleaudit.reference.config import CONDITIONS, ReferenceConfig, Size
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.tokens import Tokens
from scaleaudit.reproducing import _failed, _table

_SMALL = Size(vocabulary=256, dim=8, heads=1, layers=1, hidden=8, context=8)
_REQUEST = RunRequest("run", "run", EvaluationRequest(device="cpu"))


def cases() -> Iterator[Case]:
    """Yield every case."""
    yield from commands(
        {
            "reference_of_no_condition": "reference --conditions terminal-raw,warp",
            "reference_of_no_conditions": "reference --conditions ,",
            "reference_from_nothing": "reference --from empty",
        },
        {"empty/notes.txt": ""},
    )
    yield Case("reference_out_taken", _taken, {"taken": ""})
    yield Case("reference_of_two_sizes", _two_sizes)
    yield Case("reference_trouble_of_settings", partial(_trouble, TroubleKind.CONFIG))
    yield Case("reference_trouble", partial(_trouble, TroubleKind.MEMORY))
    yield Case("reference_of_another_text", _another_text)
    yield Case("reference_cannot_keep", _cannot_keep)


def _taken() -> None:
    _write(Reproduction("tiny", (), (), (), ()), Path("taken/table"))


def _cannot_keep() -> None:
    kept = evaluated._Kept("weights", run("terminal_raw", 0, 6))
    evaluated._keep(Path("gone/evaluation.json"), kept)


def _two_sizes() -> None:
    runs = [run("terminal_raw", seed, 6) for seed in range(2)]
    answers = [RunAnswer(runs[0]), RunAnswer(replace(runs[1], size="44m"))]
    _table([_REQUEST, _REQUEST], answers)


def _trouble(kind: TroubleKind) -> str:
    return f"{_failed(Trouble(kind, 'it did not go', 'run:3', 'Try again.')).why}\n"


def _another_text() -> None:
    config = ReferenceConfig(_SMALL, CONDITIONS["terminal_raw"])
    save_checkpoint(Path("a.safetensors"), LoopedDecoder(config))
    empty = torch.empty(0, dtype=torch.uint8)
    text = Tokens(empty, empty, "a book", "bpe-1234", "")
    with patch.object(evaluated, "prepared", return_value=text):
        evaluated.evaluated(Path("a.safetensors"), _REQUEST.evaluation)
