"""A page that is not in order is refused, with the line that is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rule_support import BODY, FRONT, changed, write_page

from scaleaudit.domain.finding import FixKind, Severity
from scaleaudit.errors import RuleError
from scaleaudit.rules.cel import MAXIMUM_LENGTH
from scaleaudit.rules.loader import load_page, load_rules
from scaleaudit.rules.page import MAXIMUM_SIZE, SECTIONS
from scaleaudit.rules.rule import Rule

SHIPPED = [
    "SCL101",
    "SCL102",
    "SCL103",
    "SCL104",
    "SCL201",
    "SCL202",
    "SCL203",
    "SCL204",
    "SCL205",
    "SCL301",
    "SCL302",
    "SCL401",
    "SCL402",
    "SCL901",
    "SCL902",
    "SCL903",
    "SCL904",
    "SCL905",
]


def refusal(folder: Path, front: str = FRONT, body: str = BODY) -> RuleError:
    with pytest.raises(RuleError) as caught:
        load_page(write_page(folder, front, body))
    return caught.value


def line_of(error: RuleError) -> int:
    return int(error.where.rpartition(":")[2])


def test_all_shipped_pages_load_in_the_order_of_their_codes() -> None:
    rules = load_rules()
    assert [rule.code for rule in rules] == SHIPPED
    assert all(rule.page.startswith(f"# {rule.code} {rule.name}\n") for rule in rules)


def test_severities_of_the_shipped_rules_are_those_of_the_design() -> None:
    severities = {rule.code: rule.severity for rule in load_rules()}
    assert [code for code in SHIPPED if severities[code] is Severity.ERROR] == [
        "SCL101",
        "SCL401",
        "SCL901",
        "SCL904",
    ]
    assert [code for code in SHIPPED if severities[code] is Severity.NOTE] == [
        "SCL104",
        "SCL302",
        "SCL903",
    ]


def test_messages_name_the_symptoms_that_people_search_for() -> None:
    for rule in load_rules():
        if rule.code.startswith("SCL1"):
            assert "grow over training" in rule.message.text, rule.code
            assert "deeper than trained" in rule.message.text, rule.code
            assert "low precision" in rule.message.text or rule.code == "SCL103", rule.code


def test_a_fix_says_which_twin_is_made_like_it() -> None:
    kinds = {rule.code: [fix.kind for fix in rule.fixes] for rule in load_rules()}
    every = [FixKind.PENALTY, FixKind.NORM_BETWEEN, FixKind.RAW_READOUT]
    assert kinds["SCL101"] == every
    assert set(kinds["SCL401"]) == set(every)
    assert kinds["SCL204"] == [None, None]


def test_messages_are_one_sentence() -> None:
    for rule in load_rules():
        assert ". " not in rule.message.text, rule.code


def test_all_pages_load_in_well_under_a_tenth_of_a_second() -> None:
    best = min(timed_load() for _ in range(3))
    assert best < 0.1


def timed_load() -> float:
    start = time.perf_counter()
    load_rules()
    return time.perf_counter() - start


def test_a_page_gives_its_rule(tmp_path: Path) -> None:
    rule = load_page(write_page(tmp_path))
    assert isinstance(rule, Rule)
    assert (rule.code, rule.name, rule.since) == ("ACME101", "a-rule", "0.1.0")
    assert rule.summary == "What it is about."
    assert rule.page.startswith("# ACME101 a-rule\n\n## What it does\n")
    assert [(block.section, block.code) for block in rule.blocks] == [
        ("Bad", "x = 1  # finding: ACME101\n"),
        ("Good", "x = 2\n"),
    ]


def test_code_blocks_know_their_lines(tmp_path: Path) -> None:
    path = write_page(tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    for block in load_page(path).blocks:
        assert lines[block.line - 1] == block.code.splitlines()[0]


def test_versions_stay_text_and_never_become_numbers(tmp_path: Path) -> None:
    error = refusal(tmp_path, changed(FRONT, "since: 0.1.0", "since: 0.1"))
    assert "`since: 0.1`" in error.message
    assert line_of(error) == 7


@pytest.mark.parametrize(
    "field", [line.partition(":")[0] for line in FRONT.splitlines() if line[0] not in " -"]
)
def test_every_required_field_is_missed_by_name(tmp_path: Path, field: str) -> None:
    front = FRONT.replace(f"{field}:", f"x-{field}:")
    error = refusal(tmp_path, front)
    assert f"x-{field}" in error.message
    kept = [line for line in front.splitlines() if not line.startswith(f"x-{field}")]
    kept = [line for line in kept if field not in ("when", "references") or line[0] != " "]
    error = refusal(tmp_path, "\n".join(kept) + "\n")
    assert error.message == f"the field `{field}` is missing"
    assert line_of(error) == 2


def test_unknown_fields_are_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    error = refusal(tmp_path, FRONT + "fixs:\n  - text: x\n")
    assert error.message == "field: there is no `fixs` here"
    assert error.hint == "Did you mean `fixes`?"
    assert line_of(error) == 2 + FRONT.count("\n")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("code: ACME101", "code: acme", 2, "letters and three digits"),
        ("name: a-rule", "name: A rule", 3, "lower-case words"),
        ("summary: What it is about.", "summary: ''", 4, "`summary` is empty"),
        ("summary: What it is about.", "summary: [a, b]", 4, "`summary` is no text"),
        ("severity: warning", "severity: fatal", 5, "none of error, warning, note"),
        ("status: stable", "status: done", 6, "none of stable, preview, deprecated"),
        ("scope: state", "scope: module", 8, "none of target, loop, state"),
        ("location: state.location", "location: state.locus", 12, "there is no `state.locus`"),
        ("location: state.location", "location: []", 12, "`location` is empty"),
        ("location: state.location", "location: penalty.location", 12, "`penalty.location`"),
        ("{state.name}", "{state.nam}", 11, "there is no `state.nam`"),
        ("{state.name}", "{state name}", 11, "a brace that encloses no fact"),
        ("{state.name}", "{readout.name}", 11, "there is no `readout.name`"),
        ("severity: warning", "severity: warning\nseverity: note", 6, "appears twice"),
        ("severity: warning", "severity: &a warning", 5, "anchors and aliases"),
        ("severity: warning", "severity: *a", 5, "anchors and aliases"),
        ("severity: warning", "severity: !!python/name:os.system warning", 5, "tags"),
        ("severity: warning", "severity: [[[[[[x]]]]]]", 5, "nested deeper"),
        ("severity: warning", "severity: {a: 1", 6, "no YAML"),
    ],
)
def test_wrong_fields_are_refused_with_their_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    error = refusal(tmp_path, changed(FRONT, old, new))
    assert message in error.message
    assert line_of(error) == line


@pytest.mark.parametrize(
    ("condition", "line", "message", "hint"),
    [
        ("state.activ", 10, "undeclared reference to 'state.activ'", "`state.active`"),
        ("state.active\n  && state.blnd", 11, "undeclared reference", "`state.blind`"),
        ("state.active &&", 10, "Syntax error", ""),
        ("state.transition", 10, "not a boolean", ""),
        ("state.transition == 1", 10, "no matching overload", ""),
        ("state.gain_high > 1", 10, "no matching overload", ""),
        ("state.transition == 'caried'", 10, "no fact here can be 'caried'", "`carried`"),
        ('state.transition in ["unknown"]', 10, "no fact here can be 'unknown'", ""),
        ("penalty.effective", 10, "undeclared reference", ""),
        ("has(state.gain_high)", 10, "has() is not available", ""),
        ("state.active\n  && dyn(state.gain) == 1", 11, "dyn() is not available", ""),
        ("readouts.visibility.all(v, v == 'visible')", 10, "`readouts.supervised > 0`", ""),
        ("a.b.c.d", 10, "undeclared reference", ""),
        ("__import__('os')", 10, "undeclared reference", ""),
        (f"state.name == '{'x' * MAXIMUM_LENGTH}'", 10, "longer than", ""),
    ],
)
def test_conditions_that_cannot_be_right_are_refused(
    tmp_path: Path, condition: str, line: int, message: str, hint: str
) -> None:
    error = refusal(tmp_path, changed(FRONT, "state.active && state.blind", condition))
    assert message in error.message
    assert hint in error.hint
    assert line_of(error) == line


def test_free_text_may_be_compared_with_anything(tmp_path: Path) -> None:
    front = changed(FRONT, "state.active &&", 'state.dtype == "bfloat16" &&')
    assert load_page(write_page(tmp_path, front)).when.literals == ("bfloat16",)


@pytest.mark.parametrize(
    ("more", "line", "message"),
    [
        ("severity-when: error\n", 15, "`severity-when` is no mapping"),
        ("severity-when:\n  fatal: state.active\n", 16, "none of error, warning, note"),
        ("severity-when:\n  error: state.name\n", 16, "not a boolean"),
        ("fixes: text\n", 15, "`fixes` is no list"),
        ("fixes:\n  - text\n", 16, "an entry of `fixes` is no mapping"),
        ("fixes:\n  - code: x\n", 16, "the field `text` is missing"),
        ("fixes:\n  - text: x\n    cod: y\n", 17, "there is no `cod` here"),
        ("fixes:\n  - text: x\n    kind: pray\n", 17, "`kind: pray` is none of penalty"),
        ("related:\n  - at: nowhere\n    text: x\n", 16, "there is no `nowhere` here"),
        ("related:\n  - at: loop.location\n    text: '{x.y}'\n", 17, "there is no `x.y`"),
        ("proof: state.prof\n", 15, "there is no `state.prof`"),
    ],
)
def test_wrong_optional_fields_are_refused_with_their_line(
    tmp_path: Path, more: str, line: int, message: str
) -> None:
    error = refusal(tmp_path, FRONT + more)
    assert message in error.message
    assert line_of(error) == line


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_missed_by_name(tmp_path: Path, section: str) -> None:
    start = BODY.index(f"## {section}\n")
    end = BODY.find("\n## ", start)
    error = refusal(tmp_path, body=BODY[:start] + (BODY[end + 1 :] if end >= 0 else ""))
    assert f"the section {section} is missing" in error.message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# ACME101 a-rule", "# a-rule", "the title is not `# ACME101 a-rule`"),
        ("# ACME101 a-rule", "", "no title"),
        ("## Known limits\n\nSomething.", "## Known limits", "the section Known limits is empty"),
        ("## Good", "## Fine", "unknown section Fine"),
        ("## Good", "## Bad", "appears twice"),
        ("x = 1  # finding: ACME101", "x = 1", "marks no line"),
        ("x = 2", "x = 2  # finding: ACME101", "marks a line"),
        ("```python\nx = 2\n```", "x = 2", "the section Good has no ```python block"),
        ("```python\nx = 2\n```", "```python\nx = 2", "the code block is never closed"),
    ],
)
def test_wrong_bodies_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    error = refusal(tmp_path, body=changed(BODY, old, new))
    assert message in error.message
    assert line_of(error) > FRONT.count("\n")


def test_headings_inside_code_are_no_sections(tmp_path: Path) -> None:
    body = changed(BODY, "x = 2", "# a comment\n## another\nx = 2")
    assert load_page(write_page(tmp_path, body=body)).blocks[1].code.startswith("# a comment\n")


def test_a_page_without_front_matter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ACME101-a-rule.md"
    path.write_text(BODY, encoding="utf-8")
    with pytest.raises(RuleError, match="no front matter"):
        load_page(path)


def test_a_front_matter_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    assert "no mapping" in refusal(tmp_path, "- a\n- b\n").message
    assert "no mapping" in refusal(tmp_path, "").message


def test_file_and_code_must_agree(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"not called ACME101-a-rule\.md"):
        load_page(write_page(tmp_path, name="other.md"))


def test_pages_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ACME101-a-rule.md"
    path.write_bytes(b"---\n\xff\xfe")
    with pytest.raises(RuleError, match="not in UTF-8"):
        load_page(path)
    path.write_bytes(b"x" * (MAXIMUM_SIZE + 1))
    with pytest.raises(RuleError, match="larger than"):
        load_page(path)
    with pytest.raises(RuleError, match="cannot be read"):
        load_page(tmp_path / "none.md")


def test_rules_of_a_team_join_the_shipped_ones(tmp_path: Path) -> None:
    write_page(tmp_path)
    (tmp_path / "README.md").write_text("no page", encoding="utf-8")
    assert [rule.code for rule in load_rules((tmp_path,))] == ["ACME101", *SHIPPED]


def test_two_pages_may_not_share_a_code(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    first = write_page(tmp_path)
    write_page(other)
    with pytest.raises(RuleError) as caught:
        load_rules((tmp_path, other))
    assert str(first) in caught.value.message


def test_codes_of_the_shipped_rules_are_reserved(tmp_path: Path) -> None:
    text = FRONT.replace("ACME101", "SCL999")
    write_page(tmp_path, text, BODY.replace("ACME101", "SCL999"), "SCL999-a-rule.md")
    with pytest.raises(RuleError, match="kept for the shipped rules"):
        load_rules((tmp_path,))


def test_folders_without_pages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="holds no rule pages"):
        load_rules((tmp_path,))
    with pytest.raises(RuleError, match="no such folder"):
        load_rules((tmp_path / "none",))


def test_a_page_nested_a_thousand_deep_is_refused_and_crashes_nothing(tmp_path: Path) -> None:
    deep = changed(FRONT, "severity: warning", "severity: " + "[" * 20_000)
    assert "nested deeper" in refusal(tmp_path, deep).message
