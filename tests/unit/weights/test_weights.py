"""Checkpoints in every wrapping are read alike, and those that do not fit say why."""

from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from scaleaudit.errors import WeightsError
from scaleaudit.weights.fitting import load_weights


class Tied(nn.Module):
    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self.embed, self.block = nn.Embedding(7, dim), nn.Linear(dim, dim)
        self.head = nn.Linear(dim, 7, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("steps", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("angles", torch.ones(3), persistent=False)


@pytest.fixture
def trained():
    torch.manual_seed(1)
    return {name: value.detach().clone() for name, value in Tied().state_dict().items()}


def _prefixed(weights, prefix):
    return {f"{prefix}{name}": value for name, value in weights.items()}


def _fits(path, weights, model=None):
    values = load_weights(path, model or Tied()).values
    assert values.keys() == weights.keys()
    assert all(torch.equal(values[name], weights[name]) for name in weights)


WRAPPINGS = {
    "plain": lambda weights: weights,
    "nested": lambda weights: {"step": 3, "model": weights, "optim": {"state": {0: {}}}},
    "nested twice": lambda weights: {"state": {"state_dict": weights}},
    "data-parallel": lambda weights: _prefixed(weights, "module."),
    "compiled": lambda weights: _prefixed(weights, "_orig_mod."),
    "both": lambda weights: _prefixed(weights, "module._orig_mod."),
    "some module's": lambda weights: _prefixed(weights, "student.net."),
    "compiled inside": lambda weights: {
        name.replace("block.", "block._orig_mod."): value for name, value in weights.items()
    },
    "tied once": lambda weights: {k: v for k, v in weights.items() if k != "head.weight"},
    "with a buffer that is made anew": lambda weights: weights | {"angles": torch.zeros(3)},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_weights_are_found_in_whatever_they_are_wrapped_in(trained, wrapping, tmp_path):
    torch.save(WRAPPINGS[wrapping](trained), tmp_path / "weights.pt")
    _fits(tmp_path / "weights.pt", trained)


def test_the_source_says_where_in_the_file_the_weights_lay(trained, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save({"ema": {"block.bias": torch.zeros(4)}, "net": {"now": trained}}, file)
    assert load_weights(file, Tied()).source == f"{file} (its net.now)"


def test_safetensors_are_read_whatever_their_name(trained, tmp_path):
    once = {name: value for name, value in trained.items() if name != "head.weight"}
    save_file(once, tmp_path / "weights")
    _fits(tmp_path / "weights", trained)


def test_a_model_that_is_wrapped_itself_takes_plain_weights(trained, tmp_path):
    torch.save(trained, tmp_path / "weights.pt")
    outer = nn.ModuleDict({"core": Tied()})
    _fits(tmp_path / "weights.pt", _prefixed(trained, "core."), outer)
    compiled = nn.ModuleDict({"_orig_mod": Tied()})
    _fits(tmp_path / "weights.pt", _prefixed(trained, "_orig_mod."), compiled)


def test_weights_take_the_width_that_the_model_has(trained, tmp_path):
    narrow = {k: v.bfloat16() if v.is_floating_point() else v for k, v in trained.items()}
    torch.save(narrow, tmp_path / "weights.pt")
    found = load_weights(tmp_path / "weights.pt", Tied()).values["block.weight"]
    assert found.dtype is torch.float32
    assert torch.equal(found, trained["block.weight"].bfloat16().float())


@pytest.mark.parametrize("form", ["safetensors", "pt"])
def test_parts_are_joined_by_their_index(trained, form, tmp_path):
    names = [name for name in trained if name != "head.weight"]
    for number, part in enumerate((names[:2], names[2:])):
        held = {name: trained[name] for name in part}
        save = save_file if form == "safetensors" else torch.save
        save(held, tmp_path / f"part-{number}.{form}")
    places = {name: f"part-{number // 2}.{form}" for number, name in enumerate(names)}
    index = tmp_path / f"model.{form}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    _fits(index, trained)
    places["block.more"] = f"part-0.{form}"
    index.write_text(json.dumps({"weight_map": places}))
    assert "has no block.more" in _refusal(index)
    del places["block.more"]
    index.write_text(json.dumps({"weight_map": places}))
    (tmp_path / f"part-1.{form}").unlink()
    assert f"part-1.{form} does not exist" in _refusal(index)
    index.write_text(json.dumps({"weight_map": {"block.bias": f"../part-0.{form}"}}))
    assert "not beside it" in _refusal(index)
    index.write_text("[]")
    assert '"weight_map"' in _refusal(index)


def _refusal(path, model=None):
    with pytest.raises(WeightsError) as caught:
        load_weights(path, model or Tied())
    return f"{caught.value.message} | {caught.value.hint}"


def test_other_shapes_are_named(trained, tmp_path):
    torch.save(trained, tmp_path / "weights.pt")
    found = _refusal(tmp_path / "weights.pt", Tied(dim=6))
    assert "block.weight is float32[4, 4] in the file and float32[6, 6] in the model" in found


def test_quantised_numbers_are_not_taken_for_weights(trained, tmp_path):
    trained["block.bias"] = trained["block.bias"].to(torch.int8)
    torch.save(trained, tmp_path / "weights.pt")
    assert "int8[4]" in _refusal(tmp_path / "weights.pt")


def test_missing_and_unexpected_names_come_with_the_nearest(trained, tmp_path):
    trained["blok.weight"] = trained.pop("block.weight")
    torch.save(trained, tmp_path / "weights.pt")
    found = _refusal(tmp_path / "weights.pt")
    assert "it has no block.weight (nearest: blok.weight)" in found
    assert "the model has no blok.weight" in found


def test_tied_names_with_different_values_are_refused(trained, tmp_path):
    trained["head.weight"] = trained["head.weight"] + 1
    torch.save(trained, tmp_path / "weights.pt")
    assert "different values for embed.weight and head.weight" in _refusal(tmp_path / "weights.pt")


class Thief:
    def __reduce__(self):
        return os.mkdir, ("stolen",)


def test_code_in_a_file_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Thief()}, tmp_path / "weights.pt")
    found = _refusal(tmp_path / "weights.pt")
    assert "posix.mkdir" in found
    assert "model.state_dict()" in found
    assert not (tmp_path / "stolen").exists()


def test_a_whole_model_is_refused_by_the_name_of_its_class(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "weights.pt")
    assert "torch.nn.modules.linear.Linear" in _refusal(tmp_path / "weights.pt")


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 cut short"])
def test_other_files_are_no_weights(content, tmp_path):
    (tmp_path / "weights.pt").write_bytes(content)
    assert "is no file of weights" in _refusal(tmp_path / "weights.pt")


def test_a_safetensors_file_that_was_cut_short_is_told(trained, tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file({"block.bias": trained["block.bias"]}, file)
    file.write_bytes(file.read_bytes()[:-4])
    assert "no whole safetensors file" in _refusal(file)


def test_folders_and_missing_files_name_what_is_there(trained, tmp_path):
    torch.save(trained, tmp_path / "weights.pt")
    assert f"{tmp_path} holds weights.pt" in _refusal(tmp_path)
    assert f"{tmp_path} holds weights.pt" in _refusal(tmp_path / "weight.pt")
    assert "does not exist either" in _refusal(tmp_path / "run" / "weights.pt")
    (tmp_path / "empty").mkdir()
    assert "looks like weights" in _refusal(tmp_path / "empty")


@pytest.mark.parametrize("held", [{"step": 1}, [torch.ones(1)], torch.ones(2)])
def test_a_file_without_tensors_by_name_is_refused(held, tmp_path):
    torch.save(held, tmp_path / "weights.pt")
    assert "no tensors by name" in _refusal(tmp_path / "weights.pt")
