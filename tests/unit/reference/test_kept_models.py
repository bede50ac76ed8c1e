"""Checkpoints of reference models: what is written comes back, and what is amiss is told."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from scaleaudit.errors import WeightsError
from scaleaudit.reference.checkpoints import (
    Origin,
    load_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from scaleaudit.reference.config import CONDITIONS, ReferenceConfig, Size
from scaleaudit.reference.model import LoopedDecoder

SMALL = Size(vocabulary=11, dim=8, heads=2, layers=2, hidden=12, context=6)


def model_of(condition: str) -> LoopedDecoder:
    torch.manual_seed(3)
    return LoopedDecoder(ReferenceConfig(SMALL, CONDITIONS[condition], turns=3))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_checkpoint_gives_back_the_model_and_what_it_is_of(condition, tmp_path):
    model, origin = model_of(condition), Origin(step=7, seed=2, seen=700, encoding="bpe-x")
    save_checkpoint(tmp_path / "a.safetensors", model, origin)
    found = load_checkpoint(tmp_path / "a.safetensors")
    assert found.config == model.config
    assert (found.origin, found.step) == (origin, 7)
    tokens = torch.arange(6)[None]
    for ours, theirs in zip(model(tokens).logits, found.model(tokens).logits, strict=True):
        assert torch.equal(ours, theirs)
    assert all(each.requires_grad for each in found.model.parameters())


def test_a_checkpoint_replaces_another_and_leaves_nothing_else(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path / "a.safetensors", model_of("norm_between"), Origin(step=step))
    assert load_checkpoint(tmp_path / "a.safetensors").step == 2
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_checkpoint_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(WeightsError, match=r"cannot write .*No such file"):
        save_checkpoint(tmp_path / "no" / "a.safetensors", model_of("norm_between"))


def test_weights_of_another_model_are_refused(tmp_path):
    file = tmp_path / "a.safetensors"
    save_checkpoint(file, model_of("terminal_raw"))
    weights, metadata = read_tensors(file)
    other = {name: value for name, value in weights.items() if "gate" not in name}
    write_tensors(file, other, metadata)
    with pytest.raises(WeightsError, match="not those of its configuration: Missing key"):
        load_checkpoint(file)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"layers":2', '"layers":1000000000'),
        ('"dim":8', '"dim":1000000000000'),
        ('"heads":2', '"heads":3'),
        ('"heads":2', '"heads":0'),
        ('"vocabulary":11', '"vocabulary":-1'),
        ('"turns":3', '"turns":0'),
    ],
)
def test_a_configuration_that_the_weights_do_not_have_costs_nothing(old, new, tmp_path):
    file = tmp_path / "a.safetensors"
    save_checkpoint(file, model_of("terminal_raw"))
    weights, metadata = read_tensors(file)
    changed = {name: text.replace(old, new) for name, text in metadata.items()}
    assert changed != metadata
    write_tensors(file, weights, changed)
    with pytest.raises(WeightsError, match="not those of its configuration"):
        load_checkpoint(file)


def test_weights_without_a_configuration_are_no_checkpoint(tmp_path):
    file = tmp_path / "a.safetensors"
    save_file(model_of("terminal_raw").state_dict(), file)
    assert load_file(file)
    with pytest.raises(WeightsError, match="its configuration is missing"):
        load_checkpoint(file)


def test_a_half_file_is_told(tmp_path):
    file = tmp_path / "a.safetensors"
    save_checkpoint(file, model_of("terminal_raw"))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        load_checkpoint(file)
