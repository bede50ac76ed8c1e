"""A browser that lets nothing out: what pages log, ask for and break is written down."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
NEEDED = ("playwright", "axe_playwright_python")
REQUIRED = "SCALEAUDIT_BROWSER"
"""Set to ``required`` where a browser that is missing is a failure, as it is in CI."""
QUIET = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def executable() -> str | None:
    """Return the first browser on the path."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def what_is_missing() -> str:
    """Say why no browser can be driven here; nothing where one can."""
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        return f"the Python package {absent[0]} is not installed: pip install -e '.[test]'"
    if executable() is None:
        return f"no browser is on the path ({', '.join(NAMES)}): apt-get install chromium"
    return ""


def is_required(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a browser that is missing is a failure."""
    return environment.get(REQUIRED) == "required"


@contextmanager
def started() -> Iterator[Browser]:
    """Start the browser, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """An open page, and what it did that it should not.

    Attributes:
        page: The page.
        asked: Addresses that it asked for, other than its own; none was answered.
        said: Errors and warnings on its console, and errors that nothing caught.
        refused: Directives of its policy that it broke.
        dialogs: What it put up.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.said: list[str] = []
        self.refused: list[str] = []
        self.dialogs: list[str] = []

    @property
    def complaints(self) -> list[str]:
        """All of it, each with what it is."""
        return [
            *(f"asked for {address}" for address in self.asked),
            *(f"said {text}" for text in self.said),
            *(f"refused {directive}" for directive in self.refused),
            *(f"put up {text}" for text in self.dialogs),
        ]


@contextmanager
def visiting(
    browser: Browser, file: Path, *, width: int = 1400, scheme: Any = "light", scripts: bool = True
) -> Iterator[Visit]:
    """Open a file, with all its errors, requests and broken rules heard from the first one on."""
    address = file.as_uri()
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    try:
        visit = Visit(context.new_page())
        page = visit.page

        def answered(route: Any) -> None:
            if route.request.url.split("#")[0] == address:
                route.continue_()
            else:
                route.abort()

        def asked(request: Any) -> None:
            url = request.url
            if url.split("#")[0] != address and not url.startswith("data:"):
                visit.asked.append(url)

        def dialog(shown: Any) -> None:
            visit.dialogs.append(shown.message)
            shown.dismiss()

        context.route("**/*", answered)
        page.on("request", asked)
        page.on("console", lambda m: visit.said.append(m.text) if _is_trouble(m.type) else None)
        page.on("pageerror", lambda error: visit.said.append(str(error)))
        page.on("dialog", dialog)
        if scripts:
            page.expose_function("refusedByPolicy", lambda rule: visit.refused.append(rule))  # noqa: PLW0108 - it takes functions alone
            page.add_init_script(_LISTEN)
        page.goto(address)
        yield visit
    finally:
        context.close()


_LISTEN = """
addEventListener("securitypolicyviolation", (event) => refusedByPolicy(event.violatedDirective));
"""


def _is_trouble(kind: str) -> bool:
    return kind in ("error", "warning")


def scroll_width(page: Page) -> int:
    """Return how wide the page's content is."""
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def nodes(page: Page) -> int:
    """Count the nodes of the document: elements, texts and comments."""
    count: int = page.evaluate(
        "() => { const walk = document.createTreeWalker(document); let count = 1;"
        " while (walk.nextNode()) count += 1; return count; }"
    )
    return count
