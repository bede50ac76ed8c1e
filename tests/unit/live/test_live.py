"""Models at hand are audited as the files that hold them would be, wherever they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import scaleaudit
from scaleaudit.domain.report import TargetReport
from scaleaudit.errors import ConfigError

X, Y = torch.randn(4, 8), torch.tensor([0, 1, 2, 3])
audit = partial(scaleaudit.audit, certify="never")


class Looped(nn.Module):
    def __init__(self, *, controlled: bool = False) -> None:
        super().__init__()
        self.block, self.norm, self.head = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 4)
        self.controlled = controlled

    def forward(self, x: torch.Tensor, turns: int = 3) -> torch.Tensor:
        h = x
        for _ in range(turns):
            h = h + self.block(self.norm(h))
            if self.controlled:
                h = self.norm(h)
        return self.head(self.norm(h))


def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor, **more: int) -> torch.Tensor:
    return nn.functional.cross_entropy(model(x, **more), y)


def _target(report: scaleaudit.Report) -> TargetReport:
    (target,) = report.targets
    return target


def _verdict(report: scaleaudit.Report) -> str:
    return _target(report).verdict.value


@contextmanager
def _parallel(model: nn.Module, folder: Path) -> Iterator[nn.Module]:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=0, world_size=1
    )
    try:
        yield nn.parallel.DistributedDataParallel(model)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(("controlled", "verdict"), [(False, "fail"), (True, "pass")])
@pytest.mark.parametrize("way", ["as it is", "compiled", "in place", "parallel", "meta", "half"])
def test_a_model_is_judged_whatever_it_is_wrapped_in(way, controlled, verdict, tmp_path):
    model = Looped(controlled=controlled)
    if way == "parallel":
        with _parallel(model, tmp_path) as wrapped:
            report = audit(wrapped, X, Y, loss=lambda m, x, y: loss_of(m.module, x, y))
            assert _verdict(audit(wrapped, X, Y, loss=loss_of)) == verdict
            loss_of(wrapped, X, Y).backward()
    else:
        match way:
            case "compiled":
                model = torch.compile(model, backend="eager")
            case "in place":
                model.compile(backend="eager")
            case "meta":
                model = model.to("meta")
            case "half":
                model = model.bfloat16()
        report = audit(model, X.bfloat16() if way == "half" else X, Y, loss=loss_of)
    assert _verdict(report) == verdict
    assert _target(report).name == "Looped"
    assert Path(_target(report).path).name == "test_live.py"


def test_weights_in_plain_lists_count_as_weights():
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = [nn.Parameter(torch.randn(8, 8))]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(3):
                x = x + nn.functional.layer_norm(x, (8,)) @ self.weights[0]
            return nn.functional.layer_norm(x, (8,)).square().mean()

    assert _verdict(audit(Bare(), X)) == "fail"


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_mode_is_no_matter(mode):
    model = Looped()
    with mode():
        assert _verdict(audit(model, X, Y, loss=loss_of)) == "fail"
        assert not torch.is_grad_enabled()


def test_keywords_reach_the_forward_and_the_loss():
    for report in (audit(Looped(), X, Y, loss=loss_of, turns=5), audit(Looped(), X, turns=5)):
        assert _target(report).facts.loops[0].turns == 5


def test_a_loss_may_take_other_arguments_than_the_model():
    report = audit(Looped(), X, loss=loss_of, loss_args=(X, Y))
    assert _verdict(report) == "fail"
    assert _target(report).facts.loss_found


def test_a_loss_that_holds_the_model_itself_is_the_same():
    model = Looped()
    report = audit(model, X, Y, loss=lambda _, x, y: loss_of(model, x, y))
    assert [f.code for f in _target(report).findings] == [
        f.code for f in _target(audit(model, X, Y, loss=loss_of)).findings
    ]


def test_a_model_of_a_library_is_said_to_be_where_it_is_audited():
    target = _target(audit(nn.Sequential(nn.Linear(8, 8)), X))
    assert (target.verdict.value, Path(target.path).name) == ("pass", "test_live.py")


def test_what_cannot_be_run_is_a_finding_at_the_users_line():
    target = _target(audit(Looped(), torch.randn(4, 7), Y, loss=loss_of))
    (finding,) = target.findings
    assert (finding.code, target.verdict.value) == ("SCL901", "unknown")
    assert Path(finding.location.path).name == "test_live.py"
    assert finding.location.line == Looped.forward.__code__.co_firstlineno + 3


def test_rules_are_chosen_by_options():
    options = scaleaudit.Options(select=("SCL2",))
    assert _verdict(audit(Looped(), X, Y, loss=loss_of, options=options)) == "pass"


WRONG: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "class": ((Looped, X), {}, "the class Looped, not a model"),
    "path": (("model.py",), {}, "scaleaudit.check"),
    "loss": ((Looped(), X), {"loss": "mse"}, "cannot be called"),
    "loss_args": ((Looped(), X), {"loss": loss_of, "loss_args": [X, Y]}, "not a tuple"),
    "no loss": ((Looped(), X), {"loss_args": (X, Y)}, "no loss is given"),
    "both": ((Looped(), X), {"loss": loss_of, "loss_args": (X, Y), "turns": 2}, "turns"),
    "certify": ((Looped(), X), {"certify": "all"}, "small"),
    "rule": ((Looped(), X), {"options": scaleaudit.Options(select=("SCL7",))}, "SCL7"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_says_what_to_write(name):
    args, kwargs, words = WRONG[name]
    with pytest.raises(ConfigError) as caught:
        scaleaudit.audit(*args, **kwargs)
    assert words in f"{caught.value.message} {caught.value.hint}"
