"""A change of the user's lines is shown as what it is in every format that shows fixes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import validators
from lxml import html
from reports import BLIND, PATH, SOURCE, STATE, facts, report, target

from scaleaudit.domain.finding import Fix, FixKind
from scaleaudit.domain.report import Report, Verdict
from scaleaudit.fixing.source import diff
from scaleaudit.report.html.page import to_html
from scaleaudit.report.markdown import to_markdown
from scaleaudit.report.patches import Change, changes_of, path_of
from scaleaudit.report.reading import from_json
from scaleaudit.report.sarif import to_sarif
from scaleaudit.report.structure import to_json
from scaleaudit.report.text import to_text

SARIF = json.loads(
    (Path(__file__).parent / "schemas" / "sarif-2.1.0.json").read_text(encoding="utf-8")
)
RAW = SOURCE.replace("self.head(self.final_norm(h))", "self.head(h)")
NORMED = SOURCE.replace(
    "self.norm2(h))\n", "self.norm2(h))\n            h = F.rms_norm(h, h.shape[-1:])\n"
)


def changing(after: str, before: str = SOURCE, path: str = PATH) -> Report:
    fix = Fix("Do it.", "h = norm(h)", FixKind.NORM_BETWEEN, diff(path, before, after))
    finding = replace(BLIND, fixes=(fix, Fix("Or rest.", "sleep()")))
    return report(target(Verdict.FAIL, facts(STATE), finding), source=before)


def sarif_fixes(found: Report) -> list:
    document = json.loads(to_sarif(found))
    validators.validator_for(SARIF)(SARIF).validate(document)
    return document["runs"][0]["results"][0].get("fixes", [])


def made(text: str, replacements: list) -> str:
    """Make the replacements of a SARIF fix in a text."""
    lines = text.splitlines(keepends=True)
    for each in reversed(replacements):
        region = each["deletedRegion"]
        assert (region["startColumn"], region["endColumn"]) == (1, 1)
        lines[region["startLine"] - 1 : region["endLine"] - 1] = [each["insertedContent"]["text"]]
    return "".join(lines)


def test_lines_that_are_put_in_stand_before_the_next_one():
    (change,) = changes_of(diff(PATH, SOURCE, NORMED))
    assert change == Change(11, (), ("            h = F.rms_norm(h, h.shape[-1:])",))
    assert path_of(diff(PATH, SOURCE, NORMED)) == PATH


def test_a_line_that_another_takes_the_place_of_is_told():
    (change,) = changes_of(diff(PATH, SOURCE, RAW))
    assert change.line == 11
    assert change.taken == ("        return self.head(self.final_norm(h))",)
    assert change.added == ("        return self.head(h)",)


@pytest.mark.parametrize(
    "after",
    [NORMED, RAW, f"import os\n{SOURCE}", f"{SOURCE}# end\n", NORMED.replace("import torch\n", "")],
    ids=["inserted", "replaced", "at the head", "at the end", "in two places"],
)
def test_sarif_changes_the_file_as_the_diff_does(after):
    (fix,) = sarif_fixes(changing(after))
    assert "suggested, not audited" in fix["description"]["text"]
    (artifact,) = fix["artifactChanges"]
    assert artifact["artifactLocation"]["uri"] == PATH
    assert made(SOURCE, artifact["replacements"]) == after


def test_sarif_leaves_out_what_it_cannot_say():
    cut = SOURCE.rstrip("\n")
    assert sarif_fixes(changing(f"{cut}  # end", cut)) == []
    assert sarif_fixes(changing(NORMED, path="elsewhere.py")) == []


def test_people_see_the_lines_that_differ_in_place_of_an_example():
    said = to_text(changing(RAW))
    assert (
        "        --> model.py:11 (suggested, not audited)\n"
        "        -         return self.head(self.final_norm(h))\n"
        "        +         return self.head(h)\n"
    ) in said
    assert "h = norm(h)" not in said
    assert "sleep()" in said


def test_markdown_shows_the_diff():
    said = to_markdown(changing(RAW))
    assert "(suggested, not audited)\n\n```diff\n--- a/model.py\n" in said
    assert "\n+        return self.head(h)\n" in said


def test_a_diff_comes_back_from_json():
    found = changing(NORMED)
    again = from_json(to_json(found), "report.json")
    assert again.targets[0].findings[0].fixes == found.targets[0].findings[0].fixes


def test_tabs_of_a_change_and_what_is_to_be_known_of_it_are_told():
    before = SOURCE.replace("    ", "\t")
    found = changing(before.replace("self.head(self.final_norm(h))", "self.head(h)"), before)
    (first, rest), patch = found.targets[0].findings[0].fixes, "\n+\t\treturn self.head(h)\n"
    finding = replace(BLIND, fixes=(replace(first, note="Of `every` turn."), rest))
    noted = report(target(Verdict.FAIL, facts(STATE), finding), source=before)
    assert "Of `every` turn.\n" in to_text(noted)
    assert "+ \t\treturn self.head(h)\n" in to_text(noted)
    assert "Of `every` turn.\n" in to_markdown(noted)
    assert patch in to_markdown(noted)
    assert from_json(to_json(noted), "report.json").targets[0].findings[0].fixes == finding.fixes
    (block,) = html.fromstring(page := to_html(noted)).xpath("//pre[@class='diff']")
    assert block.text_content().strip("\n") == first.diff.rstrip("\n")
    assert "Of <code>every</code> turn." in page
