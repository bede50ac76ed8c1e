"""What a training says that cannot go on through no fault of its own."""

from __future__ import annotations

import pytest
import torch
from small_trainings import PLAN, install, request_in
from torch import distributed

from scaleaudit.errors import ProbeError
from scaleaudit.reference.trainer import Trainer
from scaleaudit.reference.training import train
from scaleaudit.reference.trouble import explained

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[/build/gloo/transport/tcp/pair.cc:537] Read error: Connection reset by peer"
        ),
        distributed.DistBackendError("NCCL communicator was aborted on rank 1"),
    ],
    ids=["gloo", "nccl"],
)
def test_where_another_process_is_gone_within_a_step_that_is_said(error, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    install(monkeypatch, tmp_path)
    monkeypatch.setattr(Trainer, "step", fail)
    with pytest.raises(ProbeError, match="not heard any more"):
        train(request_in(tmp_path))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        MemoryError(),
    ],
)
def test_where_memory_is_too_small_that_is_said(error):
    said = "a step of 8 sequences takes more memory than cpu has"
    with pytest.raises(ProbeError, match=said), explained(PLAN, CPU):
        raise error


def test_what_else_goes_wrong_stays_what_it_is():
    with pytest.raises(RuntimeError, match="mat1 and mat2"), explained(PLAN, CPU):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
