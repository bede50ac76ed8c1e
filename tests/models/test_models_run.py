"""Every model of the zoo runs in plain torch: its loss is finite, and so are its gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from zoo import HERE, PREFIX, THEMES, Case, cases, theme_module

from scaleaudit.domain.facts import PenaltyFlaw, Transition, Visibility


@pytest.fixture(autouse=True)
def one_thread_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def loss_of(case: Case) -> torch.Tensor:
    built = case.build()
    model = built["model"]
    if "loss" in built:
        return built["loss"](model, *built["loss_args"])
    output = model(*built["args"], **built.get("kwargs", {}))
    for found in (getattr(output, "loss", None), output):
        if isinstance(found, torch.Tensor):
            return found if found.ndim == 0 else found.square().mean()
    return output[1]


@pytest.mark.parametrize("case", cases(), ids=str)
def test_model_runs_forward_and_backward(case: Case) -> None:
    loss = loss_of(case)
    assert loss.ndim == 0
    assert torch.isfinite(loss)
    loss.backward()


@pytest.mark.parametrize("theme", THEMES)
def test_every_target_has_an_expectation_and_the_other_way_round(theme: str) -> None:
    module = theme_module(theme)
    declared = {name.removeprefix(PREFIX) for name in vars(module) if name.startswith(PREFIX)}
    assert declared == set(module.EXPECT)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_expectations_use_the_vocabulary(case: Case) -> None:
    for state in case.expect.states:
        assert set(state.transition.split("|")) <= {each.value for each in Transition}
        assert set(state.visibility.split("|")) <= {each.value for each in Visibility}
        assert set(state.flaws) <= {each.value for each in PenaltyFlaw}


def test_every_theme_file_is_listed() -> None:
    others = {"audits", "big_meta", "counted", "expect", "parts", "zoo", "measuring"}
    files = {path.stem for path in Path(HERE).glob("*.py") if not path.stem.startswith("test_")}
    assert files - others == set(THEMES)


def test_the_big_model_has_seventy_billion_parameters_and_no_storage() -> None:
    built = theme_module("big_meta").scaleaudit_target_big_meta()
    weights = list(built["model"].parameters())
    assert sum(weight.numel() for weight in weights) == 70_056_681_472
    assert all(weight.is_meta for weight in weights)
    assert built["loss"](built["model"], *built["loss_args"]).shape == ()
