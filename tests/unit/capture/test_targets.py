"""Targets: declared in a file, found by name, built without memory, checked with clear words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scaleaudit.capture._torch_private import FakeTensor
from scaleaudit.capture.capturing import capture
from scaleaudit.capture.targets import load_target, run_file
from scaleaudit.errors import TargetError

MODEL = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.w = nn.Linear(width, width)
        self.rates = [rate.item() for rate in torch.linspace(0, 0.5, 3)]

    def forward(self, x):
        return self.w(x).square().mean()

"""
TARGET = """
def scaleaudit_target():
    return {"model": Net(), "args": (torch.randn(2, 8),)}
"""


def write(folder: Path, text: str, name: str = "model.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def failure_of(path: Path, name: str = "scaleaudit_target") -> TargetError:
    with pytest.raises(TargetError) as caught:
        load_target(path, name)
    return caught.value


def test_a_target_is_found_by_its_function_and_by_its_class(tmp_path):
    path = write(tmp_path, MODEL + TARGET)
    assert run_file(path).names == ("scaleaudit_target",)
    assert load_target(path, "scaleaudit_target").name == "Net"
    assert load_target(path, "Net").name == "Net"


def test_several_targets_go_by_their_suffix(tmp_path):
    more = TARGET.replace("target()", "target_deep()") + TARGET.replace("target()", "target_wide()")
    path = write(tmp_path, MODEL + more)
    assert run_file(path).names == ("deep", "wide")
    assert load_target(path, "deep").name == "deep"
    assert load_target(path, "scaleaudit_target_wide").name == "wide"


def test_a_target_is_built_of_fakes_and_constructors_may_read_constants(tmp_path):
    target = load_target(write(tmp_path, MODEL + TARGET), "Net")
    assert all(isinstance(p, FakeTensor) for p in target.model.parameters())
    assert target.model.rates == pytest.approx([0.0, 0.25, 0.5])
    assert capture(target).graph.loss is not None


def test_a_constructor_that_fakes_do_not_suit_runs_on_real_tensors(tmp_path):
    text = MODEL.replace(
        "self.rates =", "self.check = self.w.weight.detach().numpy().sum()\n        self.rates ="
    )
    target = load_target(write(tmp_path, text + TARGET), "Net")
    assert not any(isinstance(p, FakeTensor) for p in target.model.parameters())
    assert capture(target).graph.loss is not None


def test_a_file_may_import_a_module_beside_it(tmp_path):
    write(tmp_path, MODEL, "beside_the_target.py")
    path = write(tmp_path, "import torch\nfrom beside_the_target import Net\n" + TARGET)
    assert load_target(path, "Net").name == "Net"


def test_a_name_that_is_not_declared_is_told_with_those_that_are(tmp_path):
    error = failure_of(write(tmp_path, MODEL + TARGET), "Nett")
    assert "declares no target Nett" in error.message
    assert "Net" in error.hint


def test_a_file_without_a_target_gets_one_to_copy(tmp_path):
    error = failure_of(write(tmp_path, MODEL))
    assert "declares no target" in error.message
    assert "def scaleaudit_target():" in error.hint


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("x = 1\ndef f(:\n", "does not parse: invalid syntax", 2),
        ("import torch\nimport no_such_library\n", "No module named 'no_such_library'", 2),
        ("import torch\n\nraise ValueError('wrong')\n", "ValueError: wrong", 3),
        ("import sys\nsys.exit(1)\n", "SystemExit: 1", 2),
    ],
)
def test_a_file_that_fails_is_told_with_its_line(tmp_path, text, message, line):
    path = write(tmp_path, text)
    error = failure_of(path)
    assert message in error.message
    assert error.where == f"{path}:{line}"


def test_a_file_that_does_not_exist_is_told(tmp_path):
    assert "does not exist" in failure_of(tmp_path / "nothing.py").message


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("Net()", "returned a Net, not a dict"),
        ("None", "returned None, not a dict"),
        ("{'args': ()}", "returned no 'model'"),
        ("{'model': Net}", "returned the class Net as 'model', not an instance: call it"),
        ("{'model': None}", "returned None as 'model'"),
        ("{'model': 3}", "returned an int as 'model', not a torch.nn.Module"),
        ("{'model': Net(), 'arg': ()}", "unknown key 'arg'; did you mean 'args'?"),
        ("{'model': Net(), 'args': torch.ones(2)}", "as 'args', not a tuple; write (x,)"),
        ("{'model': Net(), 'args': [1]}", "returned a list as 'args', not a tuple"),
        ("{'model': Net(), 'kwargs': [1]}", "returned a list as 'kwargs', not a dict"),
        ("{'model': Net(), 'loss': 3}", "returned an int as 'loss', which cannot be called"),
        ("{'model': Other()}", "missing 1 required positional argument: 'width'"),
    ],
)
def test_a_wrong_declaration_is_told(tmp_path, declared, message):
    other = "class Other(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n"
    path = write(tmp_path, f"{MODEL}{other}\ndef scaleaudit_target():\n    return {declared}\n")
    error = failure_of(path)
    assert message in error.message
    assert error.hint


def test_everything_declared_is_kept(tmp_path):
    text = """
def scaleaudit_target():
    x = torch.randn(2, 8)
    return {"model": Net(), "args": (x,), "loss": lambda m, a: m(a), "batches": lambda: [x]}
"""
    target = load_target(write(tmp_path, MODEL + text), "Net")
    assert isinstance(target.loss_args[0], torch.Tensor)
    assert target.loss is not None
    assert target.batches is not None
    assert target.rebuild(fake=False).engine is None
