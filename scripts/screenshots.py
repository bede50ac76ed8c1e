"""Photograph reports in a headless browser: ``python scripts/screenshots.py FOLDER RESULTS...``.

RESULTS are what ``check --output json:FILE`` or ``html:FILE`` wrote; without any, those that the tests
keep. Every page is taken light and dark, wide and narrow, and as it is printed. With ``--figures`` the
parts of pages that the documentation shows are taken alone, small enough to be kept.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from browsing import started, visiting, what_is_missing  # noqa: E402

from scaleaudit.report.embedding import is_page, results_in  # noqa: E402
from scaleaudit.report.html.page import to_html  # noqa: E402
from scaleaudit.report.reading import from_json  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Colours of a figure: pages have few, and files of few are small.
_COLOURS = 256
# Pixels around a part.
_MARGIN = 6
KEPT = ROOT / "tests" / "browser" / "results"


@dataclass(frozen=True, slots=True)
class Look:
    """How a page is photographed."""

    name: str
    width: int = 1400
    scheme: str = "light"
    media: str = "screen"


LOOKS = (
    Look("light"),
    Look("dark", scheme="dark"),
    Look("narrow", width=390),
    Look("narrow-dark", width=390, scheme="dark"),
    Look("print", width=794, media="print"),  # A4 at 96 dots an inch
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A part of a page."""

    name: str
    results: str
    part: str
    scheme: str = "light"
    width: int = 1100


FIGURES = (
    Figure("report-index", "sweep", "#targets"),
    Figure("report-picture", "looped_gpt_blind", ".picture", width=540),
    Figure("report-picture-dark", "looped_gpt_blind", ".picture", "dark", width=540),
    Figure("report-plots", "looped_gpt_blind", ".plots"),
    Figure("report-plots-dark", "looped_gpt_blind", ".plots", "dark"),
)


def page_of(file: Path) -> str:
    """Write the page of results that were kept."""
    text = file.read_text(encoding="utf-8")
    results = results_in(text) if is_page(text) else text
    if results is None:
        sys.exit(f"{file} holds no results")
    return to_html(from_json(results, str(file)))


def photographed(browser: Browser, page: Path, folder: Path, height: int) -> Iterator[Path]:
    """Take a page in every look, from its top down to a height; 0 for all of it."""
    for look in LOOKS:
        shot = folder / f"{page.stem}-{look.name}.png"
        with visiting(browser, page, width=look.width, scheme=look.scheme) as visit:
            media: Any = look.media
            visit.page.emulate_media(media=media)
            part: Any = {"x": 0, "y": 0, "width": look.width, "height": height}
            whole = height == 0
            visit.page.screenshot(path=shot, full_page=True, clip=None if whole else part)
        yield shot


def figures(browser: Browser, folder: Path) -> Iterator[Path]:
    """Take the parts of pages that the documentation shows."""
    with tempfile.TemporaryDirectory() as made:
        for figure in FIGURES:
            page, shot = Path(made, f"{figure.results}.html"), folder / f"{figure.name}.png"
            page.write_text(page_of(KEPT / f"{figure.results}.json"), encoding="utf-8")
            with visiting(browser, page, width=figure.width, scheme=figure.scheme) as visit:
                taken = _with_margin(visit.page, figure.part)
            with Image.open(io.BytesIO(taken)) as image:
                image.convert("RGB").quantize(_COLOURS).save(shot, optimize=True)
            yield shot


def _with_margin(page: Page, part: str) -> bytes:
    box = page.locator(part).first.bounding_box()
    if box is None:
        sys.exit(f"the page shows no {part}")
    left, top = max(box["x"] - _MARGIN, 0), max(box["y"] - _MARGIN, 0)
    right, bottom = box["x"] + box["width"] + _MARGIN, box["y"] + box["height"] + _MARGIN
    clip: Any = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return page.screenshot(full_page=True, clip=clip)


def main() -> None:
    """Write every page and its pictures, and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where pages and pictures go")
    parser.add_argument("results", type=Path, nargs="*", help="results; those of the tests")
    parser.add_argument("--height", type=int, default=0, help="how far down; to the end")
    parser.add_argument("--figures", action="store_true", help="what the documentation shows")
    asked = parser.parse_args()
    if missing := what_is_missing():
        sys.exit(missing)
    asked.folder.mkdir(parents=True, exist_ok=True)
    with started() as browser:
        if asked.figures:
            for shot in figures(browser, asked.folder):
                print(shot)
            return
        for file in asked.results or sorted(KEPT.glob("*.json")):
            page = asked.folder.resolve() / f"{file.stem}.html"
            page.write_text(page_of(file), encoding="utf-8")
            for shot in photographed(browser, page, asked.folder, asked.height):
                print(shot)


if __name__ == "__main__":
    main()
