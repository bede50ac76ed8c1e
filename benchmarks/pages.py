"""Reports opened in a browser: ``python -m benchmarks.pages 200`` measures one of so many targets.

Without a number it is one target with a probe, and with 0 an empty page. What counts is the CPU time of
the page's main thread from the start of loading until it has been drawn, of which opening any page
costs a part.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests" / "unit" / "report")]

from browsing import nodes, started, what_is_missing  # noqa: E402
from pages import PROBED, kept, many  # noqa: E402

from benchmarks.results import Measure  # noqa: E402
from scaleaudit.report.html.page import to_html  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_EMPTY = "<!doctype html><title>empty</title>"
_DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def page_of(targets: int | None) -> str:
    """Write the page that is asked for."""
    if targets == 0:
        return _EMPTY
    return to_html(kept(PROBED[0]) if targets is None else many(targets))


def opened(browser: Browser, file: Path) -> Mapping[Measure, float]:
    """Open a page, and measure it."""
    page = browser.new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(file.as_uri())
    page.evaluate(_DRAWN)
    metrics = session.send("Performance.getMetrics")["metrics"]
    spent = next(each["value"] for each in metrics if each["name"] == "TaskDuration")
    return {
        Measure.MAIN_THREAD: spent,
        Measure.PAGE: file.stat().st_size,
        Measure.NODES: nodes(page),
    }


def main() -> None:
    """Measure one page, and print numbers by their names."""
    if missing := what_is_missing():
        sys.exit(missing)
    targets = int(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as folder, started() as browser:
        file = Path(folder, "page.html")
        file.write_text(page_of(targets), encoding="utf-8")
        opened(browser, file)  # what is loaded at the first page is there at the second
        print(json.dumps({each.value: number for each, number in opened(browser, file).items()}))


if __name__ == "__main__":
    main()
