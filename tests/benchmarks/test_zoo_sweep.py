"""What a sweep keeps, resumes, compares and shows; no architecture is built for it."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.lines import RecordError, append_lines
from benchmarks.zoo.__main__ import wanted_of
from benchmarks.zoo.architectures import Architecture, architectures_of
from benchmarks.zoo.auditing import Built, audit_targets, record_of
from benchmarks.zoo.building import BUILD, RUN, Outcome
from benchmarks.zoo.comparing import compare
from benchmarks.zoo.explanations import Explanation, UnexplainedError, read_explanations
from benchmarks.zoo.page import ordered, to_page
from benchmarks.zoo.records import (
    Finding,
    Loop,
    Record,
    State,
    Status,
    Unknown,
    read_records,
)
from benchmarks.zoo.writing import target_text

LOOP = Loop("Tied.forward", 4, "models/tied.py:7", (State("h", "removed", "invariant", True),))
EXPLAINED = Explanation("Tied.forward", frozenset({"TiedForMaskedLM"}), "One layer, run 4 times.")
TIED = Record("TiedForMaskedLM", "tied", "masked-lm", Status.AUDITED, verdict="pass", loops=(LOOP,))
PLAIN = Record("PlainForCausalLM", "plain", "causal-lm", Status.AUDITED, verdict="pass")
ODD = replace(
    PLAIN,
    class_name="OddForCausalLM",
    verdict="unknown",
    unknown=(Unknown("aten.odd.default", "models/odd.py:3", "no law is known for it"),),
    undecided=("what a turn does is not understood",),
)
BROKEN = Record("Broken", "broken", "causal-lm", Status.DOES_NOT_RUN, reason="KeyError: 'a|b'")


def asked(**given):
    return argparse.Namespace(**{"kind": None, "only": None, "retry": ()} | given)


def test_a_class_of_several_mappings_is_swept_once_and_kinds_take_turns():
    mappings = {
        "causal-lm": {"a": "AForCausalLM", "b": "BForCausalLM", "old-a": "AForCausalLM"},
        "image-classification": {"d": ("DForImages", "DForImagesWithTeacher"), "b": "BForCausalLM"},
    }
    assert [a.class_name for a in architectures_of(mappings)] == [
        "AForCausalLM",
        "DForImages",
        "BForCausalLM",
        "DForImagesWithTeacher",
    ]


def test_patterns_fit_classes_and_types_of_models():
    albert = Architecture("masked-lm", "albert", "AlbertForMaskedLM")
    assert albert.fits(["*maskedlm"])
    assert albert.fits(["nothing", "ALBERT"])
    assert not albert.fits(["bert"])


def test_a_stopped_sweep_goes_on_behind_its_last_whole_line(tmp_path):
    file = tmp_path / "zoo.jsonl"
    append_lines(file, [TIED, PLAIN])
    file.write_bytes(file.read_bytes()[:-10])
    assert read_records(file) == {TIED.class_name: TIED}
    append_lines(file, [ODD])
    assert read_records(file) == {TIED.class_name: TIED, ODD.class_name: ODD}


def test_a_later_line_replaces_an_earlier_one(tmp_path):
    file = tmp_path / "zoo.jsonl"
    append_lines(file, [PLAIN])
    append_lines(file, [replace(PLAIN, verdict="warn")])
    assert read_records(file)[PLAIN.class_name].verdict == "warn"


def test_a_line_that_is_no_record_is_named(tmp_path):
    file = tmp_path / "zoo.jsonl"
    file.write_text('{"class_name": 3}\n')
    with pytest.raises(RecordError, match=r"zoo\.jsonl:1 is no record"):
        read_records(file)


def test_no_file_holds_no_records(tmp_path):
    assert read_records(tmp_path / "new.jsonl") == {}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, ["New"]),
        ({"retry": ("failed",)}, ["New", "Broken"]),
        ({"retry": ("unknown",)}, ["New", "OddForCausalLM"]),
        ({"retry": ("all",), "only": ["plain*"]}, ["PlainForCausalLM"]),
        ({"kind": ["masked-lm"]}, []),
    ],
)
def test_what_is_known_is_swept_again_only_where_asked(given, wanted):
    known = {r.class_name: r for r in (PLAIN, ODD, BROKEN)}
    listed = [Architecture("causal-lm", "x", name) for name in ("New", *known)]
    assert [a.class_name for a in wanted_of(listed, asked(**given), known)] == wanted


def test_changes_say_what_was_and_what_is():
    now = {r.class_name: r for r in (replace(PLAIN, verdict="warn", seconds=9.0), ODD)}
    now[PLAIN.class_name] = replace(
        now[PLAIN.class_name], findings=(Finding("SCL205", "damped", ""),)
    )
    before = {r.class_name: r for r in (PLAIN, TIED)}
    assert [str(change) for change in compare(now, before)] == [
        "PlainForCausalLM: outcome: pass -> warn",
        "PlainForCausalLM: findings: none -> SCL205",
        "TiedForMaskedLM: sweep: swept -> not swept",
        "OddForCausalLM: sweep: not swept -> swept",
    ]


def test_the_page_counts_and_explains():
    records = ordered({r.class_name: r for r in (ODD, BROKEN, TIED, PLAIN)})
    page = to_page(records, [EXPLAINED], "9.9")
    assert "| all | 4 | 3 | 2 | 0 | 1 | 0 | 1 | 0 |" in page
    assert "| TiedForMaskedLM | `Tied.forward` | `models/tied.py:7` | 4 | yes |" in page
    assert EXPLAINED.text in page
    assert "| OddForCausalLM | unknown | `aten.odd.default` | `models/odd.py:3` |" in page
    assert "what a turn does is not understood" in page
    assert r"KeyError: 'a\|b'" in page


def test_what_is_carried_from_call_to_call_stands_apart():
    calls = replace(LOOP, name="calls of TiedForMaskedLM")
    record = replace(TIED, loops=(calls,))
    page = to_page([record], [replace(EXPLAINED, loop="calls of *")], "9.9")
    loops, _, caches = page.partition("### Caches")
    assert "None." in loops.partition("## Loops")[2]
    assert "| TiedForMaskedLM | calls of the model |" in caches


@pytest.mark.parametrize(
    "explanation",
    [
        replace(EXPLAINED, loop="Other.forward"),
        replace(EXPLAINED, classes=frozenset({"OtherForMaskedLM"})),
        replace(EXPLAINED, text=""),
    ],
)
def test_a_loop_that_nobody_explained_stops_the_page(explanation):
    with pytest.raises(UnexplainedError, match=r"TiedForMaskedLM: Tied\.forward"):
        to_page([TIED], [explanation], "9.9")


def test_explanations_are_read_and_may_leave_the_end_of_a_name_open(tmp_path):
    file = tmp_path / "loops.toml"
    file.write_text(
        '[[explanation]]\nloop = "Tied.*"\nclasses = ["TiedForMaskedLM"]\ntext = "So."\n'
    )
    (explanation,) = read_explanations(file)
    assert explanation.covers(TIED, LOOP)
    assert not explanation.covers(TIED, replace(LOOP, name="Untied.forward"))


def built(target, trouble="", reason=""):
    architecture = Architecture("causal-lm", "small", target.stem)
    return Built(architecture, target, Outcome(trouble, reason, tries=2))


def test_what_did_not_build_or_run_is_recorded_with_its_reason():
    record = record_of(built(Path("A.py"), BUILD, "ValueError: no"), None)
    assert (record.status, record.reason) == (Status.DOES_NOT_BUILD, "ValueError: no")
    assert record_of(built(Path("A.py"), RUN, "hm"), None).status is Status.DOES_NOT_RUN


def test_an_audit_that_fails_takes_no_other_with_it(monkeypatch):
    asked_for = []

    def audit(paths, options):
        asked_for.append([Path(path).stem for path in paths])
        raise RuntimeError("broken")

    monkeypatch.setattr("benchmarks.zoo.auditing.audit", audit)
    records = list(audit_targets([built(Path("A.py")), built(Path("B.py"))], 1))
    assert asked_for == [["A", "B"], ["A"], ["B"]]
    assert {r.status for r in records} == {Status.NOT_AUDITED}
    assert records[0].reason == "the audit itself failed: RuntimeError: broken"


LOOPED = """
class Config(dict):
    pass


class Looped(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embed = torch.nn.Embedding(16, config["width"])
        self.norm = torch.nn.LayerNorm(config["width"])
        self.block = torch.nn.Linear(config["width"], config["width"])

    def forward(self, input_ids, labels):
        h = self.embed(input_ids)
        for _ in range(3):
            h = h + self.block(self.norm(h))
        logits = self.norm(h) @ self.embed.weight.T
        return {"loss": torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())}
"""


def test_target_files_are_audited_and_their_records_hold_what_counts(tmp_path):
    text = target_text(
        type("Looped", (), {"__module__": "looped"}),
        type("Config", (), {"__module__": "looped"}),
        {"width": 8},
        {"input_ids": "torch.randint(0, 16, (2, 5))", "labels": "torch.randint(0, 16, (2, 5))"},
    )
    (tmp_path / "looped.py").write_text("import torch\n" + LOOPED)
    target = tmp_path / "Small.py"
    target.write_text(text)
    (record,) = audit_targets([built(target)], 1)
    assert (record.status, record.verdict, record.tries) == (Status.AUDITED, "fail", 2)
    (loop,) = record.loops
    assert (loop.turns, [state.has_weights for state in loop.states]) == (3, [True])
    assert [finding.code for finding in record.findings] == ["SCL101"]
    assert record.operators > 10
