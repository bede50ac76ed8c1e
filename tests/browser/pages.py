"""The pages that a browser opens: results of real runs as they were kept, and what is out to do harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from html_reports import with_evil

from scaleaudit.domain.report import Report
from scaleaudit.report.html.page import to_html
from scaleaudit.report.reading import from_json

RESULTS = Path(__file__).parent / "results"
KEPT = tuple(sorted(file.stem for file in RESULTS.glob("*.json")))
PROBED = tuple(name for name in KEPT if name != "sweep")
EVIL = {
    "script": "</script><script>alert(1)</script>",
    "quotes": "\"'><img src=x onerror=\"alert(1)\" onload='alert(2)'>`${alert(3)}`",
    "turned": "\u202egnihtemos\u2066 \u200fשלום\u200e",
    "link": "javascript:alert(1) [x](javascript:alert(1)) ![x](https://e.invalid/x.png)",
    "long": "tensor_" * 1500,
}
"""Names that a model may carry."""
TARGETS = 200


def kept(name: str) -> Report:
    """Read results that a command wrote, as the file's name says."""
    return from_json((RESULTS / f"{name}.json").read_text(encoding="utf-8"), name)


def many(count: int = TARGETS) -> Report:
    """Repeat the targets of a sweep under other paths."""
    report = kept("sweep")
    targets = tuple(
        replace(report.targets[number % len(report.targets)], name=f"Model{number}")
        for number in range(count)
    )
    return replace(report, targets=targets)


def _page_of(report: Callable[[], Report]) -> str:
    return to_html(report(), show_output=True)


PAGES: dict[str, Callable[[], str]] = {
    **{name: partial(_page_of, partial(kept, name)) for name in KEPT},
    **{name: partial(_page_of, partial(with_evil, evil)) for name, evil in EVIL.items()},
    "many": partial(_page_of, many),
}
