"""Findings and sources by hand for the tests of what is accepted."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from scaleaudit.domain.facts import Coverage, ScaleFacts
from scaleaudit.domain.finding import (
    Confidence,
    Finding,
    IdleComment,
    Severity,
)
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import TargetReport, verdict_of
from scaleaudit.triage.sources import SourceFile
from scaleaudit.triage.suppressing import Codes
from scaleaudit.triage.triaging import Run

FILE = "model.py"
FACTS = ScaleFacts((), Coverage(operators=1), loss_found=True)
CODES = ("SCL101", "SCL102", "SCL204", "SCL901", "SCL903", "SCL904", "SCL905")


def finding(line: int, code: str = "SCL101", fault: str = "f0", **changes: Any) -> Finding:
    given: dict[str, Any] = {
        "code": code,
        "name": code.lower(),
        "severity": Severity.ERROR,
        "confidence": Confidence.PROVEN,
        "message": f"{code} in line {line}",
        "location": Location(FILE, line),
        "subject": "state `h` of loop `Model.forward`",
        "fingerprint": fault,
    }
    return Finding(**(given | changes))


def target(*findings: Finding, name: str = "Model", path: str = FILE) -> TargetReport:
    return TargetReport(path, name, verdict_of(findings, ()), FACTS, findings)


def source(text: str, path: str = FILE) -> SourceFile:
    return SourceFile(path, dedent(text).encode())


def judge(idle: IdleComment) -> tuple[Finding, ...]:
    """What the page of SCL905 says, in short."""
    return (
        Finding(
            "SCL905",
            "unused-suppression",
            Severity.WARNING,
            Confidence.PROVEN,
            f"{idle.flaw.value}: {idle.why}",
            idle.location,
            fingerprint=",".join(idle.codes),
        ),
    )


def run(*files: SourceFile, **changes: Any) -> Run:
    given: dict[str, Any] = {
        "files": {file.path: file for file in files},
        "whole": frozenset(file.path for file in files),
        "codes": Codes(CODES, lambda _path, _code: True),
        "judge": judge,
        "located": str,
    }
    return Run(**(given | changes))


MODEL = """\
    import torch


    class Model(torch.nn.Module):
        def forward(self, tokens):
            h = self.embed(tokens)
            for _ in range(4):
                h = h + self.mlp(
                    self.norm(h)
                )
            return self.head(self.norm(h))
"""
CLASS, DEF, LOOP, STATE, READOUT = 4, 5, 7, 8, 11


def with_comment(line: int, comment: str, text: str = MODEL) -> SourceFile:
    """The model with a comment behind a line."""
    lines = dedent(text).splitlines()
    lines[line - 1] += f"  {comment}"
    return SourceFile(FILE, "\n".join(lines).encode())
