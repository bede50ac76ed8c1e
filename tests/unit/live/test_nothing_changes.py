"""An audit of a live model leaves it, and all that its code reaches, as it was."""

from __future__ import annotations

import random

import numpy as np
import pytest
import restless
import torch
from restless import Restless, loss_of

import scaleaudit


def picture(value: object, seen: dict[int, object] | None = None) -> object:
    """Describe a value by what it holds, and every object by which one it is."""
    seen = {} if seen is None else seen
    if id(value) in seen:
        return ("again", id(value))
    if isinstance(value, torch.Tensor):
        seen[id(value)] = value
        held = value.detach().tolist(), value.requires_grad
        return (id(value), type(value), held, picture(value.grad, seen), picture(vars(value), seen))
    if isinstance(value, (list, tuple, set)) or type(value).__name__ == "deque":
        seen[id(value)] = value
        return (id(value), [picture(each, seen) for each in value])
    if isinstance(value, dict):
        seen[id(value)] = value
        return (id(value), [(key, picture(each, seen)) for key, each in value.items()])
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    if isinstance(value, restless.Slotted):
        return value.last
    if isinstance(value, torch.nn.Module):
        seen[id(value)] = value
        return (id(value), picture(vars(value), seen))
    return repr(value)


def world() -> object:
    """Describe what a forward may change besides its model."""
    return (
        picture(restless.SEEN),
        (restless.CALLS, Restless.total, restless.Shared.uses),
        torch.get_rng_state().tolist(),
        random.getstate(),
        str(np.random.get_state()),  # noqa: NPY002 - what models draw from
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
    )


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(4, 8), torch.randint(0, 4, (4,))


@pytest.mark.parametrize("way", ["fakes", "real", "fails"])
def test_nothing_is_left_changed(way, batch):
    model = Restless(way)
    loss_of(Restless(), *batch).backward()
    model.block.weight.grad = torch.ones(8, 8)
    before = picture(model), picture(batch), world()
    report = scaleaudit.audit(model, *batch, loss=loss_of, certify="never")
    assert (picture(model), picture(batch), world()) == before
    (target,) = report.targets
    if way == "fails":
        assert target.facts is None
        assert [finding.code for finding in target.findings] == ["SCL901"]
        assert "no more" in target.findings[0].message
    else:
        assert [state.name for loop in target.facts.loops for state in loop.states] == ["h"]
    captured_with = [note.message for note in target.facts.coverage.notes] if target.facts else []
    assert any("real tensors" in message for message in captured_with) == (way == "real")


def test_a_cache_of_functions_holds_no_tensor_of_the_audit(batch):
    restless.positions.cache_clear()
    scaleaudit.audit(Restless(), *batch, loss=loss_of, certify="never")
    assert type(restless.positions(8)) is torch.Tensor
    assert restless.positions(8).tolist() == list(range(8))


def test_training_goes_on_as_without_an_audit(batch):
    losses = []
    for audited in (False, True):
        torch.manual_seed(0)
        model = Restless()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for step in range(3):
            if audited and step == 1:
                scaleaudit.audit(model, *batch, loss=loss_of, certify="never")
            optimizer.zero_grad()
            loss = loss_of(model, *batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[:3] == losses[3:]
