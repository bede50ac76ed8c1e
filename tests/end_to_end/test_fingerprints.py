"""A baseline goes on knowing a fault whose file was edited around it, and no other fault."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scaleaudit.acceptance import Accepting
from scaleaudit.api import Options, audit
from scaleaudit.config import Settings
from scaleaudit.domain.report import Report
from scaleaudit.triage.fingerprints import parsed
from scaleaudit.triage.triaging import Renewal

MODEL = """\
import torch
from torch import nn
from torch.nn import functional as F


class Looped(nn.Module):
    def __init__(self, vocabulary=64, width=32, turns=4):
        super().__init__()
        self.turns = turns
        self.embed = nn.Embedding(vocabulary, width)
        self.norm = nn.RMSNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.readout_norm = nn.RMSNorm(width)
        self.gate = nn.Parameter(torch.ones(width))
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        h = self.embed(tokens)
        for _ in range(self.turns):
            h = h + self.mlp(self.norm(h))
        return self.head(self.readout_norm(h))


def objective(model, tokens, targets):
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())


def scaleaudit_target():
    tokens = torch.randint(64, (2, 17))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    return {
        "model": Looped(), "args": (inputs,), "loss": objective, "loss_args": (inputs, targets)
    }
"""
TURN = "            h = h + self.mlp(self.norm(h))\n"
EMBED = "        h = self.embed(tokens)\n"
READ = "self.readout_norm(h))"


def renamed(**names: str) -> str:
    text = MODEL
    for old, new in names.items():
        text = re.sub(rf"\b{old}\b", new, text)
    return text


def edited(*edits: tuple[str, str]) -> str:
    text = MODEL
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text


# What changes nothing of the fingerprint.
SAME = {
    "moved": f"# ours\n\nimport math\n\n\n{MODEL}",
    "variables": renamed(h="state", tokens="ids", _="turn"),
    "attributes": renamed(mlp="ffn", norm="pre", head="out", readout_norm="final"),
    "classes": renamed(Looped="Net", objective="train_on"),
    "formatted": edited(
        (
            TURN,
            "            h = (\n                h\n                + self.mlp(self.norm(h))\n            )\n",
        )
    ),
    "commented": edited((TURN, f"            # add\n{TURN.rstrip()}  # the block\n")),
    "deeper": edited(("turns=4", "turns=24")),
    "resized": edited(("width=32", "width=48"), ("(2, 17)", "(4, 9)")),
    "elsewhere": edited(("nn.GELU()", "nn.SiLU()"), (EMBED, f"{EMBED}        h = h.tanh() + h\n")),
    "other_norms": edited(("RMSNorm", "LayerNorm")),
}
# What edits the statement, so that the name of the state alone tells that it is the same.
KNOWN = {
    "split": edited(
        (TURN, "            update = self.mlp(self.norm(h))\n            h = h + update\n")
    ),
    "augmented": edited((TURN, TURN.replace("h = h +", "h +="))),
}
# What makes it another fault, or another state.
OTHER = {
    "fading": edited((READ, "self.readout_norm(h + self.embed(tokens)))")),
    "larger_gain": edited((TURN, TURN.replace("h + self", "1.25 * h + self"))),
    "learned_gain": edited((TURN, TURN.replace("h + self", "self.gate * h + self"))),
    "raw_branch": edited((TURN, TURN.replace("self.norm(h)", "h"))),
    "other_state": edited(
        (
            TURN,
            "            h = (h + self.mlp(self.norm(z))).tanh()\n            z = z - self.mlp(h)\n",
        ),
        (EMBED, f"{EMBED}        z = torch.zeros_like(h)\n"),
        (READ, "self.readout_norm(z))"),
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as they were edited, beside a baseline that knows each as it was before."""
    made = tmp_path_factory.mktemp("edited")
    for name, text in {"before": MODEL, **SAME, **KNOWN, **OTHER}.items():
        (made / f"{name}.py").write_text(text, encoding="utf-8")
    audit_with(made, "before.py", renewal=Renewal.WRITE)
    document = json.loads((made / "known.json").read_text(encoding="utf-8"))
    (entry,) = document["findings"]
    document["findings"] = [
        {**entry, "path": f"{name}.py"} for name in ("before", *SAME, *KNOWN, *OTHER)
    ]
    (made / "known.json").write_text(json.dumps(document), encoding="utf-8")
    return made


def audit_with(folder: Path, path: str, **accepting: Renewal) -> Report:
    settings = Settings({"baseline": folder / "known.json"}, isolated=True)
    return audit([str(folder / path)], Options(settings=settings, accepting=Accepting(**accepting)))


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return audit_with(folder, "")


@pytest.fixture(scope="module")
def look(report: Report) -> Callable[[str], tuple[list[str], list[str]]]:
    """Return the fingerprints of SCL101 in a file: those left, and those known."""

    def of(name: str) -> tuple[list[str], list[str]]:
        (target,) = (each for each in report.targets if Path(each.path).stem == name)
        known = [each.finding for each in target.suppressed]
        return tuple(  # type: ignore[return-value]
            [f.fingerprint for f in findings if f.code == "SCL101"]
            for findings in (target.findings, known)
        )

    return of


@pytest.mark.parametrize("name", SAME)
def test_a_fingerprint_survives_edits_around_the_fault(
    name: str, look: Callable[[str], tuple[list[str], list[str]]]
) -> None:
    assert look(name) == look("before")
    assert look(name)[0] == []


@pytest.mark.parametrize("name", KNOWN)
def test_an_edited_statement_is_still_known_by_its_state(
    name: str, look: Callable[[str], tuple[list[str], list[str]]]
) -> None:
    left, ((known,), (before,)) = look(name)[0], (look(name)[1], look("before")[1])
    assert left == []
    assert known != before
    assert parsed(known).fault == parsed(before).fault


@pytest.mark.parametrize("name", OTHER)
def test_another_fault_is_new(
    name: str, look: Callable[[str], tuple[list[str], list[str]]], report: Report
) -> None:
    left, known = look(name)
    assert len(left) == 1
    assert known == []
    assert [entry.code for entry in report.stale if Path(entry.path).stem == name] == ["SCL101"]


def test_nothing_else_is_stale(report: Report) -> None:
    assert {Path(entry.path).stem for entry in report.stale} == set(OTHER)
