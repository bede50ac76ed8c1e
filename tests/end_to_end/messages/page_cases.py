"""Rule pages that are not in order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cases import Case, commands

from scaleaudit.rules.loader import load_page, load_rules
from scaleaudit.rules.page import MAXIMUM_SIZE, SECTIONS

_FRONT = """\
code: ACME101
name: a-rule
summary: What it is about.
severity: warning
status: stable
since: 0.1.0
scope: state
when: state.active && state.blind
message: State `{state.name}` drifts.
location: state.location
references:
  - a page
"""
_CODE = {"Bad": "```python\nx = 1  # finding: ACME101\n```", "Good": "```python\nx = 2\n```"}
_BODY = "\n# ACME101 a-rule\n" + "".join(
    f"\n## {section}\n\n{_CODE.get(section, 'Something.')}\n" for section in SECTIONS
)
_PAGE = f"---\n{_FRONT}---\n{_BODY}"
_FILE = "pages/ACME101-a-rule.md"
# What is replaced, and by what.
_CHANGES = {
    "code": ("code: ACME101", "code: acme"),
    "empty_field": ("summary: What it is about.", "summary: ''"),
    "field_no_text": ("summary: What it is about.", "summary: [a]"),
    "empty_list": ("location: state.location", "location: []"),
    "place": ("location: state.location", "location: state.locus"),
    "choice": ("severity: warning", "severity: fatal"),
    "severities": ("references:", "severity-when: error\nreferences:"),
    "related": ("references:", "related:\n  - at: nowhere\n    text: x\nreferences:"),
    "braces": ("{state.name}", "{state name}"),
    "fact_of_a_message": ("{state.name}", "{state.nam}"),
    "condition": ("state.active &&", "state.activ &&"),
    "condition_without_facts": ("state.active && state.blind", "true"),
    "sentence": ("drifts.", f"drifts{' on' * 2000}."),
    "value": ("state.active &&", "state.transition == 'caried' &&"),
    "unknown_value": ("state.active &&", "state.transition == 'unknown' &&"),
    "all_of_nothing": ("state.active &&", "readouts.visibility.all(v, v == 'visible') &&"),
    "no_list": ("references:", "fixes: text\nreferences:"),
    "no_mapping": ("references:", "fixes:\n  - text\nreferences:"),
    "field": ("references:", "fixs:\n  - a\nreferences:"),
    "missing": ("since: 0.1.0\n", ""),
    "yaml": ("severity: warning", "severity: {a: 1"),
    "list_for_fields": (_FRONT, "- a\n"),
    "anchor": ("severity: warning", "severity: &a warning"),
    "tag": ("severity: warning", "severity: !!python/name:os.system warning"),
    "depth": ("severity: warning", "severity: [[[[[[x]]]]]]"),
    "key": ("severity: warning", "[a]: warning"),
    "twice": ("severity: warning", "severity: warning\nseverity: note"),
    "title": ("# ACME101 a-rule", "# a-rule"),
    "no_title": ("# ACME101 a-rule\n", ""),
    "second_title": ("## Why it is bad", "# Another\n\n## Why it is bad"),
    "no_front_matter": (f"---\n{_FRONT}---\n", ""),
    "no_block": ("```python\nx = 2\n```", "x = 2"),
    "unmarked": ("x = 1  # finding: ACME101", "x = 1"),
    "marked": ("x = 2", "x = 2  # finding: ACME101"),
    "outcome": ("x = 2", "# probe: confirmed\nx = 2"),
    "open_block": ("x = 2\n```", "x = 2"),
    "empty_section": ("## Known limits\n\nSomething.", "## Known limits"),
    "missing_section": ("## Known limits\n\nSomething.\n", ""),
    "missing_last_section": ("\n## References\n\nSomething.\n", ""),
    "section": ("## Good", "## Fine"),
    "section_twice": ("## Good", "## Bad"),
    "reserved": ("code: ACME101", "code: SCL999"),
}


def _loaded(file: str) -> None:
    load_page(Path(file))


def _folders(*folders: str) -> None:
    load_rules(tuple(map(Path, folders)))


def _reserved() -> None:
    """A page in order, but for the letters of its code."""
    text = Path(_FILE).read_text().replace("ACME101", "SCL999")
    Path(_FILE).unlink()
    Path("pages/SCL999-a-rule.md").write_text(text)
    _folders("pages")


def cases() -> Iterator[Case]:
    """Return every case."""
    for name, (old, new) in _CHANGES.items():
        text = _PAGE.replace(old, new)
        assert text != _PAGE, name
        yield Case(f"page_{name}", partial(_loaded, _FILE), {_FILE: text})
    yield Case("page_too_large", partial(_loaded, _FILE), {_FILE: "x" * (MAXIMUM_SIZE + 1)})
    yield Case("page_no_text", partial(_loaded, _FILE), {_FILE: b"---\n\xff"})
    yield Case("page_name_of_file", partial(_loaded, "pages/b.md"), {"pages/b.md": _PAGE})
    controlled = _PAGE.replace("Something.", "Some\x1bthing.")
    yield Case("page_control_character", partial(_loaded, _FILE), {_FILE: controlled})
    yield Case("page_gone", partial(_loaded, "gone.md"))
    yield Case("page_with_a_name_too_long", partial(_loaded, f"{'x' * 300}.md"))
    yield Case("pages_gone", partial(_folders, "gone"))
    yield Case("pages_none", partial(_folders, "pages"), {"pages/README.md": ""})
    two = {_FILE: _PAGE, "more/ACME101-a-rule.md": _PAGE}
    yield Case("pages_with_one_code", partial(_folders, "pages", "more"), two)
    yield Case("pages_with_a_reserved_code", _reserved, {_FILE: _PAGE})
    yield from commands(
        {
            "rule_unknown": "rule SCL110",
            "rule_new_code": "rule new acme a-rule",
            "rule_new_reserved": "rule new SCL999 a-rule",
            "rule_new_name": "rule new ACME102 A",
            "rule_new_taken": "rule new ACME101 another --dir pages",
            "rule_new_written": "rule new ACME102 a-rule --dir written",
            "rule_new_folder": "rule new ACME102 a-rule --dir file/pages",
        },
        {
            _FILE: _PAGE,
            "file": "",
            "written/ACME102-a-rule.md": _PAGE.replace("ACME101", "ACME102"),
        },
    )
