"""Pages opened in a browser: they say all they have to, alone, to everybody, on any device."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browsing import nodes, scroll_width, visiting
from pages import EVIL, KEPT, PAGES, PROBED, TARGETS

from benchmarks.pages import opened
from benchmarks.results import Measure
from scaleaudit.report.embedding import results_in
from scaleaudit.report.html.page import to_html
from scaleaudit.report.html.text import LONG_NAME
from scaleaudit.report.reading import from_json
from scaleaudit.report.terminal import printable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    Written = Callable[[str], Path]

WIDTHS = (390, 1400)
GRAVE = {"serious", "critical"}
ALL_RULES = {"resultTypes": ["violations"]}
CONTRAST = {**ALL_RULES, "runOnly": ["color-contrast"]}
SCRIPTS = 2  # the results, which are data, and the one that filters
BOUND = 5_000_000
BOUND_OF_ONE = 400_000
MOST_NODES = 150_000
BAD = """
<!doctype html><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="img-src data:">
<style>@import url(https://e.invalid/a.css);</style>
<div style="width: 500px">wide</div>
<img src="https://e.invalid/x.png">
<script>console.error("a complaint"); alert("put up"); throw new Error("thrown")</script>
"""

every_page = pytest.mark.parametrize("name", PAGES)
every_kept_page = pytest.mark.parametrize("name", KEPT)


@pytest.mark.parametrize(("name", "width"), [*product(KEPT, WIDTHS), *product(EVIL, WIDTHS[:1])])
def test_a_page_asks_for_nothing_breaks_no_rule_and_fits_its_window(
    browser: Browser, written: Written, name: str, width: int
) -> None:
    with visiting(browser, written(name), width=width) as visit:
        page = visit.page
        assert page.locator("h1").inner_text()
        unfold(page)
        assert scroll_width(page) <= width
        assert visit.complaints == []


@pytest.mark.parametrize(
    ("name", "scheme", "width", "options"),
    [
        ("sweep", "light", 1400, ALL_RULES),
        ("looped_gpt_fixed", "light", 1400, ALL_RULES),
        ("fast_slow_blind", "light", 1400, ALL_RULES),
        ("fast_slow_blind", "light", 390, ALL_RULES),
        ("fast_slow_blind", "dark", 1400, CONTRAST),
        ("sweep", "dark", 1400, CONTRAST),
    ],
)
def test_a_page_has_no_serious_fault_of_access(
    browser: Browser, written: Written, name: str, scheme: str, width: int, options: dict[str, Any]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with visiting(browser, written(name), scheme=scheme, width=width) as visit:
        unfold(visit.page)
        found = Axe().run(visit.page, options=options).response["violations"]
        told = [
            f"{each['id']} ({each['impact']}): {node['html'][:200]}: {node['failureSummary']}"
            for each in found
            for node in each["nodes"][:3]
            if each["impact"] in GRAVE
        ]
        assert told == []
        assert visit.complaints == []


@every_kept_page
def test_a_page_says_the_same_without_scripts(
    browser: Browser, written: Written, name: str
) -> None:
    with visiting(browser, written(name)) as visit:
        visit.page.locator("#filter").evaluate_all("(all) => all.forEach((each) => each.remove())")
        unfold(visit.page)
        said = visit.page.locator("main").inner_text()
    with visiting(browser, written(name), scripts=False) as visit:
        closed = visit.page.locator("details:not([open]) > summary:visible")
        for _ in range(visit.page.locator("details").count()):
            if closed.count():
                closed.first.press("Enter")
        assert closed.count() == 0
        assert visit.page.locator("main").inner_text() == said


@every_kept_page
def test_all_of_a_page_is_printed_without_scripts_too(
    browser: Browser, written: Written, name: str
) -> None:
    with visiting(browser, written(name), scripts=False) as visit:
        visit.page.emulate_media(media="print")
        folded = visit.page.locator("details > :not(summary)")
        assert [each for each in folded.all() if not each.is_visible()] == []
        assert visit.page.locator("h1").is_visible()


@every_page
def test_the_table_of_a_page_leads_to_every_target(
    browser: Browser, written: Written, name: str
) -> None:
    with visiting(browser, written(name)) as visit:
        broken = visit.page.evaluate(
            "[...document.querySelectorAll('a')].map((a) => a.getAttribute('href').slice(1))"
            ".filter((id) => !document.getElementById(decodeURIComponent(id)))"
        )
        assert broken == []
        assert visit.page.evaluate(
            "(() => { const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);"
            " return ids.length === new Set(ids).size; })()"
        )


@pytest.mark.parametrize("name", EVIL)
def test_what_a_model_names_is_shown_and_runs_nothing(
    browser: Browser, written: Written, name: str
) -> None:
    with visiting(browser, written(name)) as visit:
        unfold(visit.page)
        shown = visit.page.locator("body").inner_text()
        assert legible(EVIL[name]) in "".join(shown.split())
        assert visit.page.locator("script").count() == SCRIPTS
        assert (
            visit.page.locator("img, iframe, object, embed, base, form:not(#filter)").count() == 0
        )
        assert visit.page.locator("a:not([href^='#'])").count() == 0
        assert visit.complaints == []


def test_the_filter_shows_what_it_is_asked_for(browser: Browser, written: Written) -> None:
    with visiting(browser, written("sweep")) as visit:
        page = visit.page
        page.get_by_role("searchbox").fill("blind")
        found = [row.inner_text() for row in page.locator("tbody tr[data-of]:visible").all()]
        assert found
        assert all("blind" in row for row in found)
        assert page.locator("section.target:visible").count() == len(found)
        page.get_by_role("searchbox").fill("")
        page.get_by_role("checkbox", name="fail").uncheck()
        verdicts = {
            each.get_attribute("data-verdict")
            for each in page.locator("section.target:visible").all()
        }
        assert verdicts == {"pass", "warn"}
        assert visit.complaints == []


def test_a_target_that_is_linked_to_is_shown_though_it_is_filtered_out(
    browser: Browser, written: Written
) -> None:
    with visiting(browser, written("sweep")) as visit:
        page = visit.page
        first = page.locator("section.target").first
        page.get_by_role("searchbox").fill("nothing is called that")
        assert not first.is_visible()
        page.evaluate("(id) => { location.hash = id; }", first.get_attribute("id"))
        page.wait_for_function(
            "(id) => !document.getElementById(id).hidden", arg=first.get_attribute("id")
        )
        assert first.is_visible()


def test_a_page_that_does_what_it_must_not_is_caught(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    file.write_text(BAD, encoding="utf-8")
    with visiting(browser, file, width=390) as visit:
        visit.page.wait_for_timeout(100)
        assert any("e.invalid" in each for each in visit.asked)
        assert any("a complaint" in each for each in visit.said)
        assert any("thrown" in each for each in visit.said)
        assert visit.dialogs == ["put up"]
        assert visit.refused == ["img-src"]
        assert scroll_width(visit.page) > 390


def test_a_page_of_many_targets_is_small_enough_to_open(browser: Browser, written: Written) -> None:
    file = written("many")
    assert file.stat().st_size < BOUND
    with visiting(browser, file, width=WIDTHS[0]) as visit:
        assert scroll_width(visit.page) <= WIDTHS[0]
        assert visit.complaints == []
        assert visit.page.locator("section.target").count() == TARGETS
        assert nodes(visit.page) < MOST_NODES


def test_the_benchmark_measures_a_page(browser: Browser, written: Written) -> None:
    file = written("sweep")
    found = opened(browser, file)
    assert found[Measure.PAGE] == file.stat().st_size
    assert found[Measure.NODES] > 1000
    assert 0 < found[Measure.MAIN_THREAD] < 60  # of the processor, so that no wait counts


@pytest.mark.parametrize("name", PROBED)
def test_a_page_with_a_probe_can_be_sent_around(written: Written, name: str) -> None:
    assert written(name).stat().st_size < BOUND_OF_ONE


@every_kept_page
def test_the_results_in_a_page_give_the_same_page_again(written: Written, name: str) -> None:
    page = written(name).read_text(encoding="utf-8")
    results = results_in(page)
    assert results is not None
    again = to_html(from_json(results, name))
    is_equal = again == page  # pages are too long to be shown where they differ
    assert is_equal


def legible(name: str) -> str:
    """Return what is shown of a name: what turns text as escapes, of a long one its start."""
    return "".join(printable(name)[: LONG_NAME - 30].split())


def unfold(page: Page) -> None:
    """Open all that is folded."""
    page.evaluate("document.querySelectorAll('details').forEach((fold) => fold.open = true)")
