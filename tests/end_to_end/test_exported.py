"""Every example that is exported to a .pt2 file has the verdict of its source."""

from __future__ import annotations

import importlib.util
import json
import sys
import zipfile

import pytest
import torch
from running import ROOT, scaleaudit

from scaleaudit.api import audit_facts
from scaleaudit.rules.engine import evaluate
from scaleaudit.rules.loader import load_rules

RULES = load_rules()
NAMES = ("exits_blind", "fast_slow_blind", "injection_coda_fixed", "looped_gpt_fixed")


class Trained(torch.nn.Module):
    """A model that returns its loss."""

    def __init__(self, model, loss):
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, *args, **kwargs):
        return self.loss(self.model, *args) if self.loss else self.model(*args, **kwargs)


def exported(name, path):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look it up
    spec.loader.exec_module(module)
    target = module.scaleaudit_target()
    loss, model = target.get("loss"), target["model"]
    given = target["loss_args"] if loss else target["args"]
    kwargs = {} if loss else target.get("kwargs", {})
    program = torch.export.export(Trained(model, loss), given, kwargs)
    torch.export.save(program, path)


def judged(document):
    return {
        target["path"].rpartition("/")[2].partition(".")[0]: (
            target["verdict"],
            [finding["code"] for finding in target["findings"]],
            [
                [(state["transition"], state["visibility"]) for state in loop["states"]]
                for loop in target["loops"]
            ],
        )
        for target in document["targets"]
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("programs")
    for name in NAMES:
        exported(name, made / f"{name}.pt2")
    (made / "notes.pt2").write_text("no archive")
    with zipfile.ZipFile(made / "compiled.pt2", "w") as archive:
        archive.writestr("compiled/data/aotinductor/model/x.so", b"")
    return made


@pytest.fixture(scope="module")
def walk(folder):
    return scaleaudit("check", ".", "--format", "json", "--output", "full:full.txt", cwd=folder)


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_example_has_the_verdict_of_its_source(walk, name):
    path = str(ROOT / "examples" / f"{name}.py")
    facts = audit_facts(path, "scaleaudit_target")
    source = evaluate(RULES, path, "scaleaudit_target", facts)
    assert judged(json.loads(walk.out))[name] == (
        source.verdict.value,
        [finding.code for finding in source.findings],
        [
            [(state.transition.value, state.visibility.value) for state in loop.states]
            for loop in facts.loops
        ],
    )


def test_a_walk_audits_programs_and_lists_what_holds_none(walk):
    document = json.loads(walk.out)
    assert [target["path"] for target in document["targets"]] == [f"{name}.pt2" for name in NAMES]
    assert [left["path"] for left in document["skipped"]] == ["compiled.pt2", "notes.pt2"]
    assert walk.code == 1


def test_a_finding_in_a_program_shows_the_line_of_its_source(walk, folder):
    text = (folder / "full.txt").read_text()
    assert "slow = slow + self.slow_layer(slow + fast)" in text
    assert "fast_slow_blind.pt2::Trained: fail" in text
    assert walk.err == ""


def test_a_named_file_without_a_program_is_an_error(folder):
    run = scaleaudit("check", "compiled.pt2", "notes.pt2", "--format", "concise", cwd=folder)
    assert run.code == 2
    assert "is a package of AOTInductor" in run.out
    assert "is no .pt2 archive" in run.out
