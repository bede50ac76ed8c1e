"""Reports built by hand, one for every way in which a renderer can be led."""

from __future__ import annotations

from dataclasses import replace

from pictured import blind_picture

from scaleaudit.domain.facts import (
    Coverage,
    Gain,
    LoopFacts,
    LossSource,
    Opaque,
    Penalty,
    PenaltyFlaw,
    ProofStep,
    Readout,
    ScaleFacts,
    StateFacts,
    Supervision,
    Transition,
    Visibility,
)
from scaleaudit.domain.finding import (
    Confidence,
    Finding,
    Fix,
    Related,
    Severity,
    Suppressed,
    SuppressionKind,
)
from scaleaudit.domain.graph import Location, Note, NoteKind
from scaleaudit.domain.report import (
    Report,
    RuleDocument,
    Skipped,
    StaleEntry,
    TargetReport,
    Verdict,
)

PATH = "model.py"
SOURCE = """\
import torch
from torch import nn


class Looped(nn.Module):
    def forward(self, tokens):
        h = self.embed(tokens)
        for _ in range(4):
            h = h + self.mixer(self.norm1(h))
            h = h + self.mlp(self.norm2(h))
        return self.head(self.final_norm(h))


def loss(model, tokens, targets):
    logits = model(tokens)
    return nn.functional.cross_entropy(
        logits.flatten(0, 1),
        targets.flatten(),
    )
"""
MIXER = Location(PATH, 9, 13, 9, 46)
MLP = Location(PATH, 10, 13, 10, 44)
HEAD = Location(PATH, 11, 26, 11, 44)
LOSS = Location(PATH, 16, 12, 19, 6)
LOOP = Location(PATH, 8, 9, 8, 26)

LAYER = (
    ProofStep(MIXER, "aten.add.Tensor", 1.0, "the residual keeps the length, the branch is normed"),
    ProofStep(MLP, "aten.add.Tensor", 1.0, "the residual keeps the length, the branch is normed"),
)
PROOF = (
    ProofStep(MLP, "state", 1.0, "the state h crosses to the next turn"),
    *(LAYER * 12),
    ProofStep(HEAD, "aten.rms_norm", 0.0, "the norm divides the length out"),
    ProofStep(LOSS, "aten.nll_loss", 0.0, "the loss is computed from it"),
)
READOUT = Readout("logits", Visibility.INVARIANT, 0.0, True, (4,), HEAD, PROOF, up_to_eps=True)
STATE = StateFacts(
    "h", (2, 16, 64), "float32", MLP, Transition.CARRIED, Visibility.INVARIANT, (READOUT,),
    gain=Gain(1.0, 1.0, location=MLP), branch_degree=0.0, picture=blind_picture(),
)  # fmt: skip
BLIND = Finding(
    code="SCL101",
    name="blind-recurrent-scale",
    severity=Severity.ERROR,
    confidence=Confidence.PROVEN,
    message="state h of loop Looped.forward is carried with gain 1, and no loss term sees it",
    location=MLP,
    subject="state h of loop Looped.forward",
    proof=PROOF,
    related=(Related(HEAD, "the only readout in the loss is normed"),),
    fixes=(
        Fix("Read the state raw.", "logits = self.head(h)"),
        Fix("Penalise its length.", "loss = loss + 1e-3 * (\n    h.square().mean()\n)"),
        Fix("Train for less long."),
    ),
    fingerprint="0f3a",
)


def facts(*states: StateFacts, notes: tuple[Note, ...] = ()) -> ScaleFacts:
    loops = (LoopFacts("Looped.forward", 4, LOOP, states),) if states else ()
    coverage = Coverage(812, notes=notes, distinct=23, supervision=Supervision(LossSource.GIVEN))
    return ScaleFacts(loops, coverage, loss_found=True)


def report(*targets: TargetReport, source: str = SOURCE) -> Report:
    return Report("0.1.0", "2.13.0", targets, sources=((PATH, source),))


def target(verdict: Verdict, known: ScaleFacts | None, *findings: Finding) -> TargetReport:
    return TargetReport(PATH, "Looped", verdict, known, findings)


def blind() -> Report:
    return report(target(Verdict.FAIL, facts(STATE), BLIND))


def safe() -> Report:
    raw = replace(READOUT, visibility=Visibility.VISIBLE, degree=1.0, up_to_eps=False)
    exits = Readout("gate", Visibility.SATURATING, 0.0, False, (1, 2), MIXER, coverage=0.25)
    states = (
        replace(STATE, name="raw", visibility=Visibility.VISIBLE, readouts=(raw, exits)),
        replace(STATE, name="normed", transition=Transition.REMOVED),
        replace(STATE, name="cell", transition=Transition.BOUNDED, shape=()),
        replace(STATE, name="penalised", penalties=(Penalty("h.square().mean()", 2.0, LOSS),)),
        replace(STATE, name="kernel", weighted_cycle=False),
        replace(
            STATE, name="slow", visibility=Visibility.VISIBLE, seen_through=("raw",), readouts=()
        ),
    )
    note = Note(NoteKind.ORACLE, "a scalar was read from data; 4 turns were taken", LOOP)
    return report(target(Verdict.PASS, facts(*states, notes=(note,))))


def open_questions() -> Report:
    opaque = Opaque("custom.scan", MIXER, "no law says what it does to scale")
    penalties = (
        Penalty("aux", 2.0, LOSS, PenaltyFlaw.DETACHED),
        Penalty("z", 0.0, None, PenaltyFlaw.SCALE_FREE),
    )
    state = replace(
        STATE, transition=Transition.UNKNOWN, penalties=penalties, opaque=(opaque,),
        gain=Gain(float("-inf"), float("inf"), True, True, True),
    )  # fmt: skip
    idle = Opaque("custom.log", None, "no law says what it does to scale")
    coverage = Coverage(
        31, (opaque, idle), distinct=1, deciding=(opaque,),
        supervision=Supervision(outputs=("logits", "exits[0]")),
    )  # fmt: skip
    known = replace(facts(state), coverage=coverage, loss_found=False)
    warning = Finding(
        "SCL902", "opaque-operator", Severity.WARNING, Confidence.LIKELY,
        "custom.scan is not understood", MIXER,
    )  # fmt: skip
    undecided = TargetReport(
        PATH, "Looped", Verdict.UNKNOWN, known, (warning,), ("custom.scan has no law",), 1.5
    )
    return report(undecided)


def not_audited() -> Report:
    finding = Finding(
        "SCL901", "target-not-audited", Severity.ERROR, Confidence.PROVEN,
        "model.py was not audited: line 3 is not valid Python", Location(PATH, 3),
        fixes=(Fix("Correct the line."),),
    )  # fmt: skip
    broken = TargetReport(
        PATH, "", Verdict.UNKNOWN, None, (finding,), (finding.message,), output="hello\nworld\n"
    )
    done = report(broken)
    return replace(
        done, skipped=(Skipped("setup.py", "declares no target and defines no model class"),)
    )


def hostile() -> Report:
    """Names that would clear the screen, colour it, break lines, or write backwards."""
    evil = "\x1b[2J[bold red]x\r\n\u202e\x07\ud800"
    state = replace(STATE, name=evil, readouts=(replace(READOUT, name=evil),), dtype=evil)
    finding = replace(
        BLIND, message=evil, proof=(ProofStep(None, evil, None, evil),), fixes=(Fix(evil, evil),)
    )
    bad = replace(target(Verdict.FAIL, facts(state), finding), name=evil, output=evil)
    return report(bad, source=SOURCE.replace("self.mlp", "\x1b[31mself.mlp"))


RULE = RuleDocument(
    code="SCL101",
    name="blind-recurrent-scale",
    summary="A loop carries the length of a state on, and no term of the loss can see that length.",
    severity=Severity.ERROR,
    status="stable",
    since="0.1.0",
    help="# SCL101\n\nReports a state that no loss term sees.\n",
    references=("arXiv 2606.24898",),
)


def accepted() -> Report:
    """Findings that a team lives with, of every severity, with a place and without one."""
    nowhere = replace(BLIND, severity=Severity.WARNING, location=None, fingerprint="1b2c")
    remark = replace(
        BLIND, code="SCL903", severity=Severity.NOTE, proof=(), related=(), fixes=(),
        fingerprint="77",
    )  # fmt: skip
    known = replace(
        target(Verdict.WARN, facts(STATE), nowhere, remark),
        suppressed=(
            Suppressed(BLIND, SuppressionKind.COMMENT, "as in the paper", Location(PATH, 10)),
            Suppressed(replace(nowhere, fingerprint="3d4e"), SuppressionKind.BASELINE),
        ),
    )
    stale = StaleEntry("old.py", "Model", "SCL102", "9f9f9f9f9f9f9f9f", "it was bounded")
    return replace(
        report(known), rules=(RULE,), stale=(stale, StaleEntry("x.py", "", "SCL101", ""))
    )


def marked_up() -> Report:
    """Names that are markup to whoever does not escape them."""
    evil = "a|b`c`<script>alert(1)</script> @team #12 [x](http://e.vil) {0} %0A::error::&amp; ]]>"
    finding = replace(
        BLIND, message=evil, location=Location(f"dir,{evil}:1%.py", 3, 2, 3, 9),
        fixes=(Fix(evil, f"```\n{evil}\n````"),), related=(Related(MIXER, evil),),
    )  # fmt: skip
    return report(replace(target(Verdict.FAIL, facts(STATE), finding), name=evil))


def nothing_to_audit() -> Report:
    return report()


def no_loop() -> Report:
    return report(target(Verdict.PASS, facts()))


ALL = (
    blind,
    safe,
    open_questions,
    not_audited,
    hostile,
    accepted,
    marked_up,
    nothing_to_audit,
    no_loop,
)
