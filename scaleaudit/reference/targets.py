"""Every condition at every size as a target: ``scaleaudit check targets.py::per_loop_raw_44m``."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import Tensor

from scaleaudit.reference.config import CONDITIONS, SIZES, ReferenceConfig
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.objective import LossFunction, looped_loss

BATCH = 2


class Target(TypedDict):
    """What ``scaleaudit`` asks of a target function."""

    model: LoopedDecoder
    args: tuple[Tensor, ...]
    loss: LossFunction
    loss_args: tuple[Tensor, ...]


def reference_target(condition: str, size: str) -> Target:
    """Build the model of that condition and size, with inputs of its context length."""
    config = ReferenceConfig(size=SIZES[size], condition=CONDITIONS[condition])
    tokens = torch.randint(config.size.vocabulary, (BATCH, config.size.context + 1))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    return Target(
        model=LoopedDecoder(config),
        args=(inputs,),
        loss=looped_loss,
        loss_args=(inputs, targets),
    )


def scaleaudit_target_terminal_rmsnorm_tiny() -> Target:
    """Last turn read through RMSNorm: blind."""
    return reference_target("terminal_rmsnorm", "tiny")


def scaleaudit_target_terminal_raw_tiny() -> Target:
    """Last turn read raw: controlled."""
    return reference_target("terminal_raw", "tiny")


def scaleaudit_target_per_loop_rmsnorm_tiny() -> Target:
    """Every turn read through RMSNorm: blind."""
    return reference_target("per_loop_rmsnorm", "tiny")


def scaleaudit_target_per_loop_raw_tiny() -> Target:
    """Every turn read raw: controlled."""
    return reference_target("per_loop_raw", "tiny")


def scaleaudit_target_per_loop_final_norm_tiny() -> Target:
    """Every turn read, the last alone normed: controlled by the raw ones."""
    return reference_target("per_loop_final_norm", "tiny")


def scaleaudit_target_terminal_penalty_tiny() -> Target:
    """Last turn read through RMSNorm, norms penalised: controlled."""
    return reference_target("terminal_penalty", "tiny")


def scaleaudit_target_per_loop_penalty_tiny() -> Target:
    """Every turn read through RMSNorm, norms penalised: controlled."""
    return reference_target("per_loop_penalty", "tiny")


def scaleaudit_target_norm_between_tiny() -> Target:
    """Norm at the end of every turn: controlled."""
    return reference_target("norm_between", "tiny")


def scaleaudit_target_terminal_rmsnorm_44m() -> Target:
    """Last turn read through RMSNorm: blind."""
    return reference_target("terminal_rmsnorm", "44m")


def scaleaudit_target_terminal_raw_44m() -> Target:
    """Last turn read raw: controlled."""
    return reference_target("terminal_raw", "44m")


def scaleaudit_target_per_loop_rmsnorm_44m() -> Target:
    """Every turn read through RMSNorm: blind."""
    return reference_target("per_loop_rmsnorm", "44m")


def scaleaudit_target_per_loop_raw_44m() -> Target:
    """Every turn read raw: controlled."""
    return reference_target("per_loop_raw", "44m")


def scaleaudit_target_per_loop_final_norm_44m() -> Target:
    """Every turn read, the last alone normed: controlled by the raw ones."""
    return reference_target("per_loop_final_norm", "44m")


def scaleaudit_target_terminal_penalty_44m() -> Target:
    """Last turn read through RMSNorm, norms penalised: controlled."""
    return reference_target("terminal_penalty", "44m")


def scaleaudit_target_per_loop_penalty_44m() -> Target:
    """Every turn read through RMSNorm, norms penalised: controlled."""
    return reference_target("per_loop_penalty", "44m")


def scaleaudit_target_norm_between_44m() -> Target:
    """Norm at the end of every turn: controlled."""
    return reference_target("norm_between", "44m")


def scaleaudit_target_terminal_rmsnorm_129m() -> Target:
    """Last turn read through RMSNorm: blind."""
    return reference_target("terminal_rmsnorm", "129m")


def scaleaudit_target_terminal_raw_129m() -> Target:
    """Last turn read raw: controlled."""
    return reference_target("terminal_raw", "129m")


def scaleaudit_target_per_loop_rmsnorm_129m() -> Target:
    """Every turn read through RMSNorm: blind."""
    return reference_target("per_loop_rmsnorm", "129m")


def scaleaudit_target_per_loop_raw_129m() -> Target:
    """Every turn read raw: controlled."""
    return reference_target("per_loop_raw", "129m")


def scaleaudit_target_per_loop_final_norm_129m() -> Target:
    """Every turn read, the last alone normed: controlled by the raw ones."""
    return reference_target("per_loop_final_norm", "129m")


def scaleaudit_target_terminal_penalty_129m() -> Target:
    """Last turn read through RMSNorm, norms penalised: controlled."""
    return reference_target("terminal_penalty", "129m")


def scaleaudit_target_per_loop_penalty_129m() -> Target:
    """Every turn read through RMSNorm, norms penalised: controlled."""
    return reference_target("per_loop_penalty", "129m")


def scaleaudit_target_norm_between_129m() -> Target:
    """Norm at the end of every turn: controlled."""
    return reference_target("norm_between", "129m")
