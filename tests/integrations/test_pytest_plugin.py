"""The pytest plugin: a test for every model of a project's files, and models at hand."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from scaleaudit.api import Options
from scaleaudit.config import Settings
from scaleaudit.errors import ConfigError
from scaleaudit.live import audit
from scaleaudit.pytest_plugin import UndecidedWarning, assert_scale_controlled

pytest_plugins = ["pytester"]
X = torch.zeros(2, 8)

# Plugins of others, which an inner run need not load.
OTHERS = ("xdist", "hypothesispytest", "anyio", "timeout", "platformdirs")
ALONE = [word for name in OTHERS for word in ("-p", f"no:{name}")]

LOOPED = """\
import torch
from torch import nn


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.norm, self.head = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x):
        h = x
        for _ in range(3):
            h = h + self.block(self.norm(h))
        return self.head(self.norm(h)).square().mean()
"""
DECLARED = (
    LOOPED
    + """

def scaleaudit_target_blind():
    return {"model": Looped(), "args": (torch.zeros(2, 8),)}


def scaleaudit_target_raw():
    model = Looped()
    return {"model": model, "args": (torch.zeros(2, 8),), "loss": lambda m, x: m(x) + raw(m, x)}


def raw(model, x):
    return (x + model.block(model.norm(x))).square().mean()
"""
)
PROJECT = """
[tool.scaleaudit]
ignore = ["SCL903"]
certify = false

[[tool.scaleaudit.targets]]
path = "models/settled.py"
factory = "make"
inputs = [{shape = [2, 8], dtype = "float32"}]
"""
SETTLED = LOOPED.replace(
    "self.norm(h))\n        return", "h)\n            h = self.norm(h)\n        return"
)
FILES = {
    "models/declared.py": DECLARED,
    "models/discovered.py": SETTLED
    + "\n\nclass Broken(nn.Module):\n    def forward(self, x): return x.no\n",
    "models/settled.py": f"{SETTLED}\n\ndef make():\n    return Looped()\n",
    "models/utils.py": "WIDTH = 8\n",
    "models/test_utils.py": "def test_it():\n    pass\n",
    "pyproject.toml": PROJECT,
}


@pytest.fixture(autouse=True, scope="module")
def _everything_loaded() -> None:
    """Import all: an inner run forgets what it did, and compiled modules bear no second import."""
    audit(nn.Linear(8, 8), X, certify="never")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    for name, text in FILES.items():
        file = pytester.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return pytester


def test_every_target_of_the_files_is_a_test(project):
    result = project.runpytest_inprocess("--scaleaudit", *ALONE, "-v")
    outcomes = result.parseoutcomes()
    result.stdout.fnmatch_lines([
        "models/declared.py::blind FAILED*",
        "models/discovered.py::Looped PASSED*",
        "models/settled.py::*PASSED*",
        "models/test_utils.py::test_it PASSED*",
        "*scaleaudit: blind*",
        "error[[]SCL101[]]: State `h` of loop `Looped.forward` keeps its length*",
        "*--> models/declared.py:13:17",
        "*proof, step by step:",
    ])  # fmt: skip
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")
    assert outcomes["failed"] + outcomes["passed"] == 5
    again = project.runpytest_inprocess("--scaleaudit", *ALONE, "models/declared.py::blind")
    again.assert_outcomes(failed=1)


def test_nothing_is_collected_unless_asked_for(project):
    project.runpytest_inprocess(*ALONE, "models").assert_outcomes(passed=1)


@pytest.mark.parametrize("folder", [".", "models"])
def test_a_mistake_in_the_settings_is_told_where_it_is(project, folder):
    (project.path / folder / "pyproject.toml").write_text('[tool.scaleaudit]\nignor = ["SCL1"]\n')
    result = project.runpytest_inprocess("--scaleaudit", *ALONE, "models/declared.py")
    told = result.stderr.lines + result.stdout.lines
    assert any("pyproject.toml:2: unknown key 'ignor'" in line for line in told)
    assert not any("pytest_plugin.py" in line for line in told)
    assert result.ret != 0


def test_the_plugin_loads_nothing_unless_it_is_used():
    code = (
        "import sys, pytest, scaleaudit.pytest_plugin\n"
        "loaded = {'torch', 'networkx', 'click', 'yaml', 'scaleaudit.api'} & set(sys.modules)\n"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Models at hand.


class Looped(nn.Module):
    def __init__(self, way: str = "blind") -> None:
        super().__init__()
        self.block, self.norm, self.head = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 4)
        self.way = way

    def forward(self, x: torch.Tensor, *, turns: int = 3) -> torch.Tensor:
        h = x
        for _ in range(turns):
            match self.way:
                case "blind":
                    h = h + self.block(self.norm(h))
                case "controlled":
                    h = self.norm(h + self.block(h))
                case "linear":
                    h = self.block(h)
                case "opaque":
                    h = h + self.block(torch.special.airy_ai(h))
        return self.head(self.norm(h) if self.way != "linear" else h)


def _loss(model: nn.Module, x: torch.Tensor, **more: int) -> torch.Tensor:
    return model(x, **more).square().mean()


ISOLATED = Options(settings=Settings(isolated=True))


def _check(way: str, **more):
    return assert_scale_controlled(
        Looped(way), X, loss=_loss, certify="never", options=ISOLATED, **more
    )


def test_a_blind_model_fails_with_findings_and_proof():
    with pytest.raises(AssertionError, match="SCL101") as caught:
        _check("blind", turns=4)
    assert "proof, step by step" in str(caught.value)
    assert "4 turns" in str(caught.value)


def test_a_controlled_model_passes_and_gives_its_report(assert_scale_controlled):
    report = assert_scale_controlled(
        Looped("controlled"), X, loss=_loss, certify="never", options=ISOLATED
    )
    assert report.targets[0].verdict.value == "pass"


def test_warnings_fail_unless_they_are_allowed():
    with pytest.raises(AssertionError, match="SCL202"):
        _check("linear")
    assert _check("linear", allow="SCL202").targets[0].verdict.value == "pass"
    _check("linear", fail_level="error")


def test_an_unknown_verdict_fails_unless_it_is_to_warn():
    with pytest.raises(AssertionError, match="airy_ai"):
        _check("opaque", allow="SCL902")
    with pytest.warns(UndecidedWarning, match="airy_ai"):
        _check("opaque", allow=("SCL902",), on_unknown="warn")


def test_a_model_that_cannot_be_run_fails_whatever_is_allowed():
    with pytest.raises(AssertionError, match="SCL901"):
        _check("blind", nothing=1, allow=("SCL9",), on_unknown="warn")


@pytest.mark.parametrize(
    "wrong", [{"allow": ("SCL777",)}, {"on_unknown": "pass"}, {"fail_level": "fatal"}]
)
def test_words_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ConfigError):
        _check("blind", **wrong)
