"""The generated reference is that of the pages as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scaleaudit.rules.loader import load_page
from scaleaudit.rules.scaffold import new_page

ROOT = Path(__file__).resolve().parents[3]


def test_the_rule_reference_in_docs_is_up_to_date() -> None:
    script = ROOT / "scripts" / "build_rule_docs.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_declaration_that_teams_are_shown_is_in_order(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "writing-rules.md").read_text(encoding="utf-8")
    front = text.partition("```yaml\n")[2].partition("```")[0]
    _, body = new_page("ACME101", "half-precision").split("---\n\n", 1)
    page = tmp_path / "ACME101-half-precision.md"
    page.write_text(f"---\n{front}---\n\n{body}", encoding="utf-8")
    assert load_page(page).when.mentions == ("state.active", "state.carried_dtype")
