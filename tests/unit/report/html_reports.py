"""Reports for pages: one with all that a page can tell, one whose every name is out to do harm."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

from reports import BLIND, LOOP, MLP, PATH, RULE, SOURCE, STATE, accepted, facts, target

from scaleaudit.domain.facts import (
    Certification,
    Coverage,
    Disagreement,
    LoopFacts,
    Opaque,
    Outcome,
    Penalty,
    ProbeOutcome,
    ProbeVerdict,
    ProofStep,
    Readout,
    ScaleFacts,
    StateProbe,
    Supervision,
    Visibility,
)
from scaleaudit.domain.finding import Fix, FixKind, Related
from scaleaudit.domain.graph import Location, Note, NoteKind
from scaleaudit.domain.picture import Box, BoxKind, Edge, Picture, Role
from scaleaudit.domain.probing import Depth, StateTrace, TrainingRun, Turn
from scaleaudit.domain.report import Report, Run, Skipped, StaleEntry, TargetReport, Verdict
from scaleaudit.domain.twins import WORDS

_SUPPRESSED = accepted().targets[0].suppressed
RUN = Run(
    ("scaleaudit", "check", "my models", "--output", "html:report.html"),
    "2026-01-02T03:04:05Z",
    "3.12.1",
    "0123456789abcdef0123456789abcdef01234567",
    modified=True,
)
DIFF = "--- a/model.py\n+++ b/model.py\n@@ -11,1 +11,1 @@\n-        return self.head(self.final_norm(h))\n+        return self.head(h)\n"
FIXES = (
    Fix("Penalise its length.", "loss = loss + 0.01 * h.square().mean()", FixKind.PENALTY),
    Fix("Read it raw.", "logits = self.head(h)", FixKind.RAW_READOUT, DIFF),
)
ABOUT_H = replace(BLIND, subject="state `h` of loop `Looped.forward`", fixes=FIXES)
CONFIRMED = replace(
    ABOUT_H, code="SCL401", name="blow-up-confirmed", message="it grows", related=()
)
PICTURE = Picture(
    (
        Box(0, BoxKind.STATE, "h", location=MLP),
        Box(1, BoxKind.ADD, "+"),
        Box(2, BoxKind.LOSS, "loss"),
    ),
    (
        Edge(0, 1, "degree 1", Role.CARRIES),
        Edge(1, 0, "degree 1", Role.CARRIES, recurrent=True),
        Edge(0, 2, "degree 0", Role.LOST),
    ),
)


def trained(fix: str, seed: int, norms: tuple[float, ...], loss: float) -> TrainingRun:
    turns = tuple((Turn(norm / 2, norm, norm), Turn(norm, norm, norm)) for norm in norms)
    depths = tuple(Depth(k, norms[-1] * k / 2, loss) for k in (1, 2, 4, 8))
    trace = StateTrace("h", "Looped.forward", turns, depths)
    return TrainingRun(seed, fix, tuple(range(len(norms))), (loss,) * 20, (trace,), 1.0)


RUNS = (
    trained("", 0, (10.0, 500.0), 2.4),
    trained("", 1, (10.0, 2000.0), 2.6),
    trained(WORDS[FixKind.PENALTY], 0, (10.0, 20.0), 2.45),
    trained(WORDS[FixKind.PENALTY], 1, (10.0, 20.0), 2.65),
)
PROBE = ProbeOutcome(
    ProbeVerdict.CONFIRMED,
    (StateProbe("h", "Looped.forward", ProbeVerdict.CONFIRMED, 2e-11, 1250.0, WORDS[FixKind.PENALTY], 20.0, 4.0),),
    steps=100,
    seeds=2,
    runs=RUNS,
)  # fmt: skip


def whole(*findings, probe: ProbeOutcome | None = PROBE) -> Report:
    """A blind target with a picture and a probe, its findings about its state."""
    known = replace(facts(replace(STATE, picture=PICTURE)), probe=probe)
    found = target(Verdict.FAIL, known, *(findings or (ABOUT_H, CONFIRMED)))
    return Report("0.1.0", "2.13.0", (found,), sources=((PATH, SOURCE),), rules=(RULE,), run=RUN)


def many(count: int) -> Report:
    """Targets of files of their own, each with two states, a picture and a finding."""
    twice = (replace(STATE, picture=PICTURE), replace(STATE, name="slow", picture=PICTURE))
    found, sources = [], []
    for number in range(count):
        path = f"models/model_{number}.py"
        known = _moved(facts(*twice), path)
        finding = _moved(ABOUT_H, path)
        found.append(TargetReport(path, "Looped", Verdict.FAIL, known, (finding,)))
        sources.append((path, SOURCE))
    return Report("0.1.0", "2.13.0", tuple(found), sources=tuple(sources), rules=(RULE,))


def _moved(value, path):
    """Return a value of the vocabulary whose places lie in another file."""
    if isinstance(value, Location):
        return replace(value, path=path)
    if isinstance(value, tuple):
        return tuple(_moved(each, path) for each in value)
    if is_dataclass(value):
        moved = {each.name: _moved(getattr(value, each.name), path) for each in fields(value)}
        return replace(value, **moved)
    return value


def with_evil(evil: str) -> Report:
    """A report in which everything that a model, a team or a file can name is the given text."""
    place = Location(f"{evil}.py", 3, 1, 3, 9)
    step = ProofStep(place, evil, 1.0, evil)
    readout = Readout(evil, Visibility.INVARIANT, 0.0, True, (1,), place, (step,))
    opaque = Opaque(evil, place, evil)
    picture = Picture(
        (Box(0, BoxKind.STATE, evil, evil, place), Box(1, BoxKind.UNKNOWN, evil, evil, place)),
        (Edge(0, 1, evil, Role.PLAIN), Edge(1, 0, evil, Role.CARRIES, recurrent=True)),
        note=evil,
    )
    state = replace(
        STATE, name=evil, dtype=evil, location=place, readouts=(readout,),
        penalties=(Penalty(evil, 2.0, place),), opaque=(opaque,), seen_through=(evil,),
        carried_dtype=f"{evil}!", picture=picture,
    )  # fmt: skip
    known = ScaleFacts(
        (LoopFacts(evil, 4, LOOP, (state,)),),
        Coverage(
            3,
            (opaque,),
            (Note(NoteKind.OTHER, evil, place),),
            supervision=Supervision(outputs=(evil,)),
        ),
        loss_found=True,
        certification=Certification(
            Outcome.REFUTED, 1, 0, (evil,), (Disagreement(evil, place, evil, evil),)
        ),
        probe=replace(
            PROBE,
            states=(replace(PROBE.states[0], state=evil, loop=evil, twin=evil, reason=evil),),
            recipe=((evil, evil),),
            notes=(evil,),
            reason=evil,
            runs=tuple(
                replace(run, fix=evil, states=(replace(run.states[0], state=evil, loop=evil),))
                for run in RUNS
            ),
        ),
    )
    finding = replace(
        BLIND, code="SCL101", name=evil, message=evil, subject=f"state `{evil}` of loop `{evil}`",
        location=place, proof=(step,), related=(Related(place, evil),),
        fixes=(Fix(evil, evil, diff=f"-{evil}\n+{evil}\n"),), fingerprint=evil,
    )  # fmt: skip
    found = replace(
        target(Verdict.FAIL, known, finding, replace(finding, subject=evil)),
        path=f"{evil}.py", name=evil, output=evil,
        suppressed=tuple(replace(s, finding=finding, reason=evil) for s in _SUPPRESSED),
    )  # fmt: skip
    source = f"# {evil}\n" * 8
    return Report(
        evil,
        evil,
        (found,),
        (Skipped(evil, evil),),
        ((f"{evil}.py", source),),
        (replace(RULE, name=evil, summary=evil, help=f"# x\n\n{evil}\n\n`{evil}`\n", since=evil),),
        (StaleEntry(evil, evil, evil, evil, evil),),
        Run((evil,), evil, evil, evil),
    )
