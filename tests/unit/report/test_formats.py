"""Every format for machines: by its schema, and whatever a model's names hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, validators
from lxml import etree
from markdown_it import MarkdownIt
from reports import (
    ALL,
    BLIND,
    PATH,
    RULE,
    accepted,
    blind,
    facts,
    marked_up,
    not_audited,
    open_questions,
    report,
    target,
)

from scaleaudit.domain.facts import ProofStep
from scaleaudit.domain.finding import Fix, Related, Severity, Suppressed, SuppressionKind
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, Skip, Skipped, StaleEntry, TargetReport, Verdict
from scaleaudit.report import sarif
from scaleaudit.report.formats import FORMATS, Look
from scaleaudit.report.github import to_github
from scaleaudit.report.gitlab import to_gitlab
from scaleaudit.report.junit import to_junit
from scaleaudit.report.markdown import MOST_BYTES, to_markdown
from scaleaudit.report.reading import from_json
from scaleaudit.report.sarif import to_sarif
from scaleaudit.report.structure import to_json
from scaleaudit.report.summaries import closing_text

SCHEMAS = Path(__file__).parent / "schemas"
SARIF = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text(encoding="utf-8"))
SARIF_VALIDATOR = validators.validator_for(SARIF)(SARIF)
GITLAB = Draft7Validator(json.loads((SCHEMAS / "codeclimate.json").read_text(encoding="utf-8")))
JUNIT = etree.XMLSchema(etree.parse(SCHEMAS / "junit-10.xsd"))
LOOK = Look(failing=(Severity.ERROR,))
each_report = pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)


def check_sarif(text: str) -> dict:
    document = json.loads(text)
    SARIF_VALIDATOR.validate(document)
    return document["runs"][0]


def check_junit(text: str) -> etree._Element:
    root = etree.fromstring(text.encode())
    JUNIT.assertValid(root)
    return root


def check_gitlab(text: str) -> list[dict]:
    entries = json.loads(text)
    for entry in entries:
        GITLAB.validate(entry)
    return entries


def check_github(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Read workflow commands as the runner does."""
    *lines, last = text.removesuffix("\n").split("\n")
    assert "::" not in last
    assert "##[" not in last
    return [_command(line) for line in lines]


def _command(line: str) -> tuple[str, dict[str, str], str]:
    head, body = re.fullmatch(r"::(.*?)::(.*)", line, re.DOTALL).groups()
    command, _, rest = head.partition(" ")
    pairs = (pair.split("=", 1) for pair in rest.split(","))
    return command, {name: _decoded(value) for name, value in pairs}, _decoded(body)


def _decoded(text: str) -> str:
    for code, char in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, char)
    return text


def check_markdown(text: str) -> str:
    assert len(text.encode()) <= MOST_BYTES
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


@each_report
@pytest.mark.parametrize("form", ["sarif", "github", "gitlab", "junit", "markdown"])
def test_a_format_is_as_expected(make, form, expect):
    expect(f"{make.__name__}-{form}", FORMATS[form](make(), LOOK))


@each_report
def test_sarif_fits_the_schema(make):
    check_sarif(to_sarif(make()))


@each_report
def test_junit_fits_the_schema(make):
    check_junit(to_junit(make()))


@each_report
def test_gitlab_fits_the_schema_and_no_fingerprint_occurs_twice(make):
    entries = check_gitlab(to_gitlab(make()))
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)


@each_report
def test_github_writes_one_command_a_line(make):
    for command, properties, body in check_github(to_github(make())):
        assert command in {"error", "warning", "notice"}
        assert properties["title"]
        assert body


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_shows_what_is_accepted_and_what_is_stale(form):
    text = FORMATS[form](accepted(), LOOK)
    assert re.search("suppress", text)
    assert re.search("stale", text)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_shows_why_a_verdict_is_unknown(form):
    assert re.search(r"custom.scan has no law", FORMATS[form](open_questions(), LOOK))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_shows_what_was_not_audited_and_what_was_skipped(form):
    text = FORMATS[form](not_audited(), LOOK)
    assert "SCL901" in text
    assert "setup.py" in text or "1 file without a model" in text


def test_files_that_could_not_be_read_are_counted_apart():
    left = (Skipped("a.py", "x"), Skipped("b.py", "y", Skip.UNREAD), Skipped("c.py", "z"))
    left += (Skipped("d.py::M", "w", Skip.NOT_BUILT),)
    report = replace(not_audited(), skipped=left)
    assert closing_text(report).endswith(
        "; 2 files without a model; 1 could not be run or built; 1 file could not be read"
    )
    page = to_markdown(report)
    assert page.index("Files without a model (2)") < page.index("Files that could not be read (1)")
    assert from_json(to_json(report), "r.json").skipped == left
    concise = FORMATS["concise"](report, LOOK)
    assert [line for line in concise.splitlines() if "skipped" in line] == [
        "b.py: skipped: y",
        "d.py::M: skipped: w",
    ]


# SARIF


def test_a_code_flow_holds_every_step_of_the_proof():
    (result,) = check_sarif(to_sarif(blind()))["results"]
    (flow,) = result["codeFlows"][0]["threadFlows"]
    steps = flow["locations"]
    assert len(steps) == len(BLIND.proof)
    assert [step["executionOrder"] for step in steps] == list(range(len(steps)))
    last = steps[-1]["location"]
    assert last["physicalLocation"]["region"]["startLine"] == 16
    assert last["message"]["text"] == "the loss is computed from it (aten.nll_loss, degree 0)"


def test_a_long_proof_is_folded_and_kept_within_what_github_takes(monkeypatch):
    monkeypatch.setattr(sarif, "MOST_STEPS", 20)
    monkeypatch.setattr(sarif, "_SHOWN_STEPS", 10)
    distinct = tuple(ProofStep(None, f"op{n}", 1.0, f"step {n}") for n in range(25))
    (result,) = check_sarif(to_sarif(_with_proof(distinct)))["results"]
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert len(steps) == 20
    assert "5 more steps left out" in steps[-1]["location"]["message"]["text"]
    (result,) = check_sarif(to_sarif(_with_proof(BLIND.proof[1:3] * 600)))["results"]
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert len(steps) == 2
    assert "the last 2 steps repeat 599 more times" in steps[-1]["location"]["message"]["text"]


def _with_proof(steps: tuple[ProofStep, ...]) -> Report:
    return report(target(Verdict.FAIL, None, replace(BLIND, proof=steps)))


def test_more_results_than_github_takes_are_counted(monkeypatch):
    monkeypatch.setattr(sarif, "MOST_RESULTS", 3)
    many = (replace(BLIND, severity=Severity.NOTE),) * 3
    run = check_sarif(to_sarif(report(target(Verdict.FAIL, facts(), *many, BLIND))))
    assert len(run["results"]) == 3
    assert run["results"][0]["level"] == "error"
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert "1 more result left out" in notes[-1]["message"]["text"]


def test_a_rule_carries_its_page_and_results_point_at_it():
    run = check_sarif(to_sarif(accepted()))
    rules = run["tool"]["driver"]["rules"]
    assert rules[0]["help"]["markdown"] == RULE.help
    pointing = [result for result in run["results"] if result["ruleId"] == RULE.code]
    assert {rules[result["ruleIndex"]]["id"] for result in pointing} == {RULE.code}


def test_what_is_accepted_is_a_suppressed_result():
    run = check_sarif(to_sarif(accepted()))
    kinds = [r["suppressions"][0]["kind"] for r in run["results"] if "suppressions" in r]
    assert kinds == ["inSource", "external"]


def test_a_target_that_was_not_audited_makes_the_run_unsuccessful():
    (invocation,) = check_sarif(to_sarif(not_audited()))["invocations"]
    assert not invocation["executionSuccessful"]
    assert invocation["toolExecutionNotifications"][0]["associatedRule"] == {"id": "SCL901"}
    assert check_sarif(to_sarif(blind()))["invocations"][0]["executionSuccessful"]


def test_columns_are_those_of_the_finding_and_of_their_kind():
    run = check_sarif(to_sarif(blind()))
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 10,
        "startColumn": 13,
        "endLine": 10,
        "endColumn": 44,
    }


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("a b/mödel.py", "a%20b/m%C3%B6del.py"),
        ("c:d.py", "c%3Ad.py"),
        ("50%#?.py", "50%25%23%3F.py"),
        ("\udce4.py", "%E4.py"),
        ("/else where/m.py", "file:///else%20where/m.py"),
    ],
)
def test_a_path_is_a_uri(path, uri):
    moved = replace(BLIND, location=Location(path, 1), proof=(), related=())
    (result,) = check_sarif(to_sarif(report(target(Verdict.FAIL, None, moved))))["results"]
    artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact["uri"] == uri
    assert ("uriBaseId" in artifact) == (not path.startswith("/"))


def test_nothing_in_a_message_is_a_placeholder_or_a_link():
    (result,) = check_sarif(to_sarif(marked_up()))["results"]
    assert "{{0}}" in result["message"]["text"]
    assert "[x](" not in result["message"]["text"]


# GitHub's annotations


def test_an_annotation_stands_at_its_span():
    ((command, properties, body),) = check_github(to_github(blind()))
    assert command == "error"
    assert properties == {
        "file": PATH,
        "line": "10",
        "col": "13",
        "endColumn": "44",
        "title": "SCL101 blind-recurrent-scale",
    }
    assert body.startswith("state h of loop")
    assert "\nfix: Read the state raw." in body


def test_a_span_over_lines_has_no_columns():
    wide = replace(BLIND, location=Location(PATH, 3, 4, 6, 2))
    ((_, properties, _),) = check_github(to_github(report(target(Verdict.FAIL, None, wide))))
    assert properties.keys() == {"file", "line", "endLine", "title"}


def test_what_is_accepted_shares_one_annotation():
    commands = check_github(to_github(accepted()))
    (shared,) = [body for _, properties, body in commands if "suppressed" in properties["title"]]
    assert len(shared.split("\n")) == 2


# GitLab


def test_a_fingerprint_does_not_depend_on_the_line():
    moved = replace(BLIND, location=Location(PATH, 99))
    (here,) = check_gitlab(to_gitlab(report(target(Verdict.FAIL, None, BLIND))))
    (there,) = check_gitlab(to_gitlab(report(target(Verdict.FAIL, None, moved))))
    assert here["fingerprint"] == there["fingerprint"]
    assert (here["location"]["lines"]["begin"], there["location"]["lines"]["begin"]) == (10, 99)


# JUnit


def test_what_fails_the_run_fails_the_case():
    warned = replace(BLIND, severity=Severity.WARNING)
    warning = report(target(Verdict.WARN, facts(), warned))
    assert check_junit(to_junit(warning)).get("failures") == "0"
    root = check_junit(to_junit(warning, (Severity.ERROR, Severity.WARNING)))
    assert root.get("failures") == "1"
    assert root.find(".//failure").get("type") == "SCL101"


def test_an_open_verdict_fails_the_case_where_it_fails_the_run():
    assert check_junit(to_junit(open_questions())).get("failures") == "1"
    assert check_junit(to_junit(open_questions(), unknown_fails=False)).get("failures") == "0"


def test_what_could_not_be_tried_is_an_error():
    root = check_junit(to_junit(not_audited()))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("1", "0", "1")


def test_a_file_is_a_suite_and_a_target_a_case():
    two = [replace(target(Verdict.PASS, facts()), name=name) for name in ("A", "B")]
    other = replace(two[0], path="other.py")
    root = check_junit(to_junit(report(two[0], other, two[1])))
    names = {suite.get("name"): [case.get("name") for case in suite] for suite in root}
    assert names[PATH] == ["A", "B"]
    assert names["other.py"] == ["A"]


# Markdown


def test_a_name_is_no_markup():
    page = check_markdown(to_markdown(marked_up()))
    assert "<script" not in page
    assert "<a href" not in page
    assert page.count("<table>") == 1
    assert page.count("<tr>") == 2


def test_nobody_is_mentioned_and_nothing_is_linked():
    page = check_markdown(to_markdown(marked_up()))
    text = re.sub(r"<code.*?</code>", "", page, flags=re.DOTALL)
    assert "@team" not in text
    assert "#12" not in text
    assert "http://" not in text


def test_a_comment_that_would_be_too_long_counts_what_is_left_out():
    findings = tuple(
        replace(BLIND, severity=Severity.WARNING, message=f"{'long ' * 40}{n}") for n in range(500)
    )
    targets = [target(Verdict.PASS, facts()) for _ in range(2000)]
    text = to_markdown(report(target(Verdict.WARN, facts(), *findings), *targets))
    check_markdown(text)
    shown = text.count("**warning `SCL101`**")
    assert 0 < shown < 500
    assert f"{500 - shown} more findings did not fit here." in text
    rows = text.count("✅ pass")
    assert f"{2000 - rows} more targets: {2000 - rows} pass." in text


# Whatever a model names


TEXT = st.text(st.characters(codec=None), max_size=30)
PLACE = st.none() | st.builds(Location, TEXT, *(st.integers(0, 5) for _ in range(4)))
FINDING = st.builds(
    replace,
    st.just(BLIND),
    name=TEXT,
    message=TEXT,
    subject=TEXT,
    fingerprint=TEXT,
    severity=st.sampled_from(Severity),
    location=PLACE,
    proof=st.lists(
        st.builds(ProofStep, PLACE, TEXT, st.none() | st.floats(-1, 2), TEXT), max_size=2
    ).map(tuple),
    related=st.lists(st.builds(Related, PLACE.filter(bool), TEXT), max_size=1).map(tuple),
    fixes=st.lists(st.builds(Fix, TEXT, TEXT), max_size=1).map(tuple),
)
SUPPRESSED = st.builds(Suppressed, FINDING, st.sampled_from(SuppressionKind), TEXT, PLACE)
TARGET = st.builds(
    TargetReport,
    TEXT,
    TEXT,
    st.sampled_from(Verdict),
    st.sampled_from([None, facts()]),
    st.lists(FINDING, max_size=2).map(tuple),
    st.lists(TEXT, max_size=1).map(tuple),
    output=TEXT,
    suppressed=st.lists(SUPPRESSED, max_size=1).map(tuple),
)
REPORT = st.builds(
    Report,
    TEXT,
    TEXT,
    st.lists(TARGET, max_size=2).map(tuple),
    skipped=st.lists(st.builds(Skipped, TEXT, TEXT, st.sampled_from(Skip)), max_size=1).map(tuple),
    stale=st.lists(st.builds(StaleEntry, TEXT, TEXT, TEXT, TEXT, TEXT), max_size=1).map(tuple),
)


@given(REPORT)
@settings(max_examples=60, deadline=None)
def test_any_text_in_any_field_is_told_in_every_format(made):
    check_sarif(to_sarif(made))
    check_junit(to_junit(made))
    entries = check_gitlab(to_gitlab(made))
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)
    check_github(to_github(made))
    page = check_markdown(to_markdown(made))
    assert page.count("<tr>") == (len(made.targets) + 1 if made.targets else 0)
    assert "<script" not in page
    for renderer in FORMATS.values():
        renderer(made, LOOK).encode()  # no half of a surrogate pair is left
