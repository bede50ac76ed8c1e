"""Write docs/rules/ from the rule pages and the table of facts; --check only compares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from scaleaudit.rules.loader import load_rules
from scaleaudit.rules.rule import Rule
from scaleaudit.rules.vocabulary import FACTS, LOCATIONS, PROOFS, Fact, Place, Scope

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "rules"
_MADE = "<!-- Made by scripts/build_rule_docs.py; edit the pages in rules/ instead. -->\n"


def main() -> int:
    """Write the files, or say which of them are out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on differences")
    check = parser.parse_args().check
    made = documents(load_rules())
    stale = [name for name, text in made.items() if _read(FOLDER / name) != text]
    stale += [path.name for path in FOLDER.glob("*.md") if path.name not in made]
    if check:
        for name in stale:
            print(f"docs/rules/{name} is out of date: run scripts/build_rule_docs.py")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def documents(rules: tuple[Rule, ...]) -> dict[str, str]:
    """Return the text of every document by its file name."""
    pages = {f"{rule.code}.md": rule_document(rule) for rule in rules}
    return {"README.md": index(rules), "facts.md": fact_tables(), **pages}


def index(rules: tuple[Rule, ...]) -> str:
    """Return the list of all rules."""
    rows = "\n".join(
        f"| [{rule.code}]({rule.code}.md) | {rule.name} | {_severity(rule)} | {rule.status.value} | "
        f"{rule.since} | {rule.summary} |"
        for rule in rules
    )
    return (
        f"{_MADE}\n# Rules\n\n"
        "Every rule is one page in `rules/`: its declaration, its documentation, and code that runs\n"
        "as a test. What a condition can ask of a model is listed in [facts](facts.md).\n\n"
        "Stable rules run by default; those in preview with `--preview` or the key `preview` alone, and\n"
        "they may change; a deprecated one runs, and says that it will go when it is selected by its code.\n"
        "Teams write [rules of their own](../writing-rules.md) in the same form.\n\n"
        "| code | name | severity | status | since | what it reports |\n|---|---|---|---|---|---|\n"
        f"{rows}\n"
    )


def rule_document(rule: Rule) -> str:
    """Return the reference page of a rule: its text under its declaration."""
    title, _, body = rule.page.partition("\n")
    conditions = [("fires when", rule.when.source)]
    conditions += [(f"{each.value} when", when.source) for each, when in rule.severity_when]
    blocks = "\n".join(
        f"{label}:\n\n```cel\n{source.strip()}\n```\n" for label, source in conditions
    )
    head = (
        f"{rule.summary}\n\n"
        f"Severity {_severity(rule)}, asked of every {rule.scope.value}, "
        f"{rule.status.value} since {rule.since}; {blocks}"
    )
    return f"{_MADE}\n{title}\n\n{head}{body}"


def fact_tables() -> str:
    """Return the tables of facts, locations and proofs, by scope."""
    lines = [
        _MADE,
        "# Facts that rules can name",
        "",
        "A rule's `scope` says what it is asked of. It may name the facts of its own scope and of those",
        "around it: a readout, a penalty or an operator belongs to a state, a state to a loop, a loop to",
        "the target. A fact that is not known is absent, and a condition that needs it has no answer:",
        "`&&` and `||` absorb it where the other side settles the matter. Names and values are checked",
        "when a page is loaded.",
    ]
    for scope in Scope:
        lines += ["", f"## {scope.value.capitalize()}", "", *_fact_rows(scope)]
        for title, places in (("location", LOCATIONS), ("proof", PROOFS)):
            lines += _place_rows(title, [place for place in places if place.scope is scope])
    return "\n".join(lines) + "\n"


def _fact_rows(scope: Scope) -> Iterator[str]:
    yield "| fact | type | meaning |"
    yield "|---|---|---|"
    for fact in FACTS:
        if fact.scope is scope:
            yield f"| `{fact.name}` | {fact.kind.value} | {_meaning(fact)} |"


def _meaning(fact: Fact) -> str:
    values = ", ".join(f"`{choice}`" for choice in fact.choices)
    return f"{fact.meaning} One of {values}." if values else fact.meaning


def _place_rows(title: str, places: list[Place]) -> Iterator[str]:
    if places:
        yield from ("", f"| {title} | meaning |", "|---|---|")
        yield from (f"| `{place.name}` | {place.meaning} |" for place in places)


def _severity(rule: Rule) -> str:
    raised = [severity.value for severity, _ in rule.severity_when]
    return ", else ".join((*raised, rule.severity.value))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
