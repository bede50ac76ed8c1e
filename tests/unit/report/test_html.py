"""The page: its form, what it tells and where, and that nothing named in it can do harm."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from html_reports import ABOUT_H, CONFIRMED, DIFF, PROBE, RUN, RUNS, many, whole, with_evil
from lxml import html
from reports import (
    ALL,
    BLIND,
    MIXER,
    PATH,
    RULE,
    STATE,
    accepted,
    blind,
    facts,
    not_audited,
    open_questions,
    report,
    safe,
    target,
)

from scaleaudit.comparing.comparing import compare
from scaleaudit.domain.finding import Severity
from scaleaudit.domain.probing import Turn
from scaleaudit.domain.report import Verdict
from scaleaudit.domain.traced import Traced
from scaleaudit.report import embedding
from scaleaudit.report.embedding import is_page, results_in
from scaleaudit.report.html.headline import headline
from scaleaudit.report.html.page import to_html
from scaleaudit.report.html.rules import rule_page
from scaleaudit.report.html.text import clipped, name, prose
from scaleaudit.report.reading import from_json
from scaleaudit.report.structure import to_json

MAKERS = (*ALL, whole)
each_report = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
VOID = {"meta", "link", "input", "br", "hr", "img", "path", "rect", "circle", "use", "line"}
EVIL = (
    "</script><script>alert(1)</script>",
    "</style></title></textarea><img src=x onerror=alert(1)>",
    '" onclick="alert(1)" x="\' onfocus=\'alert(1)\' <!-- --> ]]> {{ 7 * 7 }} {% raw %}',
    "\u202egnihtemos\u2066 \u200f\x00\x1b[31m\r\n\u2028",
    "javascript:alert(1) [x](javascript:alert(1)) ![x](http://e.vil/x.png) `</code>`",
)


@cache
def page_of(make) -> str:
    return to_html(make())


def text_of(element) -> str:
    return " ".join(element.text_content().split())


class Balanced(HTMLParser):
    """Demands that every element is closed where it was opened."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert len({key for key, _ in attrs}) == len(attrs), (tag, attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        self.text.append(data)


def parsed(page: str) -> Balanced:
    reader = Balanced()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def check_form(page: str) -> Balanced:
    """Hold a page to what every page has to be."""
    found = parsed(page)
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    for tag, attrs in found.tags:
        assert not [key for key in attrs if key.startswith("on") or key == "style"], (tag, attrs)
        for key in ("href", "src", "xlink:href"):
            link = attrs.get(key)
            assert link is None or link == "data:," or link[1:] in ids, (tag, attrs)
        for key in ("aria-labelledby", "aria-describedby"):
            assert set((attrs.get(key) or "").split()) <= set(ids)
        if tag == "th":
            assert attrs.get("scope") in {"col", "row"}
    tags = [tag for tag, _ in found.tags]
    assert (tags.count("script"), tags.count("style"), tags.count("h1"), tags.count("main")) == (
        2,
        1,
        1,
        1,
    )
    assert not {"img", "iframe", "object", "embed", "base", "audio", "video"} & set(tags)
    return found


@each_report
def test_a_page_is_well_formed_and_points_at_nothing_outside(make):
    check_form(page_of(make))


@each_report
def test_headings_leave_no_level_out(make):
    levels = [int(tag[1]) for tag, _ in parsed(page_of(make)).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_policy_allows_this_style_and_this_script_and_nothing_else():
    document = html.fromstring(page_of(whole))
    (policy,) = document.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    (style,) = document.xpath("//style/text()")
    (script,) = document.xpath("//script[not(@type)]/text()")
    assert rules["style-src"] == f"'{_hash(style)}'"
    assert rules["script-src"] == f"'{_hash(script)}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules.keys() == {
        "default-src",
        "style-src",
        "script-src",
        "img-src",
        "base-uri",
        "form-action",
    }


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


# The results in the page


@each_report
def test_a_page_holds_its_results_and_is_drawn_the_same_from_them(make):
    page = page_of(make)
    assert is_page(page)
    read = from_json(results_in(page), "report.html")
    assert to_json(read) == to_json(make())
    assert to_html(read) == page.replace("\\ud800", "?")  # half of a pair is no text in JSON


def test_a_page_of_others_holds_no_results():
    assert is_page("\ufeff\n<!doctype html><p>hello")
    assert results_in("<!doctype html><p>hello") is None
    assert not is_page(to_json(blind()))


# What it tells


def test_the_top_says_how_the_page_came_about():
    (top,) = html.fromstring(page_of(whole)).xpath("//header")
    told = text_of(top)
    assert "scaleaudit check 'my models' --output html:report.html" in told
    assert RUN.commit in told
    assert "not committed" in told
    assert "scaleaudit 0.1.0, torch 2.13.0, Python 3.12.1" in told
    assert top.xpath(".//time/@datetime") == [RUN.date]


def test_the_index_leads_to_every_target_and_state():
    document = html.fromstring(page_of(safe))
    rows = document.xpath("//table[@class='index']/tbody/tr")
    assert len(rows) == 1
    links = [link[1:] for link in rows[0].xpath(".//a/@href")]
    assert [document.get_element_by_id(link).get("class") for link in links] == [
        "target",
        *["state"] * 6,
    ]


def test_findings_stand_with_their_state_and_tell_a_proof_once():
    (state,) = html.fromstring(page_of(whole)).xpath("//section[@class='state']")
    first, second = state.xpath("./article")
    assert len(first.xpath("./ol[@class='proof']/li")) == 5
    assert "Steps 2 to 3 repeat 11 more times." in text_of(first)
    assert first.xpath("./ol[@class='proof']/li/@value") == ["1", "2", "3", "26", "27"]
    assert not second.xpath("./ol[@class='proof']")
    assert second.xpath(".//a[text()='above']/@href") == [f"#{first.get('id')}"]
    assert not state.xpath(".//details[@class='derivations']")


def test_a_state_without_a_finding_shows_how_it_was_judged():
    states = html.fromstring(page_of(safe)).xpath("//section[@class='state']")
    titles = states[0].xpath(".//details[@class='derivations']/h5/text()")
    assert titles == ["What the loss sees through logits"]


def test_an_excerpt_marks_the_span_and_shows_a_related_line_once():
    (first, _) = html.fromstring(page_of(whole)).xpath("//section[@class='state']/article")
    (figure,) = first.xpath("./figure")
    assert figure.xpath(".//mark")[0].text_content() == "h = h + self.mlp(self.norm2(h))"
    assert [b.text for b in figure.xpath(".//pre//b")] == ["8 ", "9 ", "10 ", "11 "]
    assert not first.xpath(".//ul[@class='related']//pre")


def test_a_fix_is_shown_as_a_change_with_what_was_measured_of_it():
    (first, _) = html.fromstring(page_of(whole)).xpath("//section[@class='state']/article")
    penalty, raw = first.xpath("./ol[@class='fixes']/li")
    assert "Measured on 2 seeds: norm 1,000 → 20 (shorter), loss 2.5 → 2.55" in text_of(penalty)
    assert "Measured" not in text_of(raw)
    assert raw.xpath(".//pre[@class='diff']")[0].text_content() == DIFF
    assert raw.xpath(".//span[@class='added']/text()") == ["+        return self.head(h)\n"]


def test_a_probe_is_a_table_and_plots():
    (probe,) = html.fromstring(page_of(whole)).xpath("//section[@class='probe']")
    rows = {
        row[0].text_content(): [cell.text for cell in row[1:]]
        for row in probe.xpath("./div/table//tr")
    }
    assert rows["run"][:3] == ["norm at first", "norm at last", "loss at last"]
    assert rows["as it is"][:3] == ["10", "1,000", "2.5"]
    assert rows["with a penalty on the carried state"][:3] == ["10", "20", "2.55"]
    assert len(probe.xpath(".//figure//*[local-name()='svg']")) >= 3


def test_a_picture_leads_to_its_lines():
    document = html.fromstring(page_of(whole))
    (drawing,) = document.xpath("//section[@class='state']//div[@class='picture']")
    (line,) = {link[1:] for link in drawing.xpath(".//a/@href")}
    assert "self.mlp" in document.get_element_by_id(line).text_content()


def test_what_is_accepted_stale_skipped_and_printed_is_told():
    document = html.fromstring(page_of(accepted))
    assert "by a comment at model.py:10: as in the paper" in text_of(document)
    assert "stale in the baseline: SCL102" in text_of(document)
    broken = text_of(html.fromstring(page_of(not_audited)))
    assert "setup.py: declares no target" in broken
    assert "world" not in broken
    assert "world" in to_html(not_audited(), show_output=True)


def test_what_is_open_is_told():
    told = text_of(html.fromstring(page_of(open_questions)))
    assert "The verdict is unknown: custom.scan has no law" in told
    assert "Not understood, decides the verdict: custom.scan" in told
    assert "Not understood, decides nothing: custom.log" in told
    assert "Confidence: likely." in told


def test_the_page_of_a_rule_is_folded_in_once():
    rules = html.fromstring(page_of(accepted)).xpath("//details[@class='rule']")
    assert [text_of(rule[0]) for rule in rules] == [
        "SCL101 blind-recurrent-scale: 3 findings",
        "SCL903 blind-recurrent-scale: 1 finding",
    ]
    assert "Reports a state that no loss term sees." in text_of(rules[0])
    assert "scaleaudit rule SCL903" in text_of(rules[1])


def test_what_changed_is_told():
    before = whole(ABOUT_H)
    after = replace(
        before, targets=(replace(before.targets[0], verdict=Verdict.PASS, findings=()),)
    )
    page = to_html(after, comparison=compare(before, after, ("old.json", "new.json")))
    check_form(page)
    (changes,) = html.fromstring(page).xpath("//section[@id='changes']")
    assert "Changes since old.json" in text_of(changes)
    assert "fail before, pass now" in text_of(changes)
    assert changes.xpath(".//li/span/text()") == ["better"]
    assert "fixed: SCL101" in text_of(changes)


def test_traces_are_plotted():
    page = to_html(blind(), traces=(Traced("train.py", "44m", RUNS), Traced("", "", RUNS)))
    check_form(page)
    (section,) = html.fromstring(page).xpath("//section[@id='training']")
    assert "train.py::44m" in text_of(section)
    assert len(section.xpath(".//figure")) >= 6


# The verdict in a sentence


FAILED = target(Verdict.FAIL, None, BLIND)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (report(), "Nothing was audited: no target was found."),
        (replace(blind(), rules=(RULE,)), f"`Looped` fails. {RULE.summary[:-1]} (SCL101)."),
        (blind(), "`Looped` fails. Blind recurrent scale (SCL101)."),
        (safe(), "`Looped` passes: no rule found a fault in what its loops carry."),
        (not_audited(), "`model.py` could not be audited. Target not audited (SCL901)."),
        (
            report(replace(open_questions().targets[0], findings=())),
            "`Looped` has no verdict yet: custom.scan has no law.",
        ),
        (
            report(*safe().targets, *blind().targets, *blind().targets, *open_questions().targets),
            "2 of 4 targets fail, 1 has no verdict yet, 1 passes. Blind recurrent scale (SCL101, 2 times).",
        ),
        (report(*safe().targets * 3), "all 3 targets pass: no rule found a fault in what their loops carry."),
    ],
)  # fmt: skip
def test_the_verdict_is_a_sentence(made, said):
    assert headline(made) == said


# Whatever a model names


@pytest.mark.parametrize("evil", EVIL)
def test_no_name_is_markup(evil):
    page = to_html(with_evil(evil), show_output=True)
    found = check_form(page)
    harmless = to_html(with_evil("harmless"), show_output=True)
    assert _kinds(found) <= _kinds(parsed(harmless))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069\u200f\u2028]", page)
    assert "49" not in "".join(found.text).split("{{ 7 * 7 }}")[0][-4:]


def _kinds(found: Balanced) -> set[tuple[str, ...]]:
    """Return which elements there are, with the attributes that each has."""
    return {(tag, *sorted(attrs)) for tag, attrs in found.tags} | {
        ("a", "href"),
        ("code",),
        ("bdi",),
    }


def test_all_that_is_named_is_told():
    evil = "</script>\u202e\"'&<b>"
    shown = "</script>\\u202e\"'&<b>"
    document = html.fromstring(to_html(with_evil(evil), show_output=True))
    for script in document.xpath("//script"):
        script.drop_tree()
    for where in (
        "//header//h1", "//section[@class='target']/h2",
        "//section[@class='state']//tr[contains(., 'readout')]", "//article//div[@class='message']",
        "//section[@class='probe']", "//pre[@class='diff']", "//details[@class='output']",
        "//section[@class='coverage']", "//details[@class='rule']", "//section[@class='sources']//h3",
    ):  # fmt: skip
        assert shown in document.xpath(where)[0].text_content(), where


def test_a_text_that_is_written_from_the_right_stays_in_its_place():
    assert name("שלום") == "<code><bdi>שלום</bdi></code>"
    assert prose("state שלום is `blind`") == "<bdi>state שלום is </bdi><code>blind</code>"
    assert prose("state \u202eh") == "state \\u202eh"


def test_a_name_of_ten_thousand_characters_is_folded():
    long = "n" * 10_000
    page = to_html(with_evil(long))
    check_form(page)
    document = html.fromstring(page)
    for heading in document.xpath("//h1|//h2|//h3|//h4|//h5|//h6|//summary|//th"):
        assert len(heading.text_content()) < 500
    assert (
        document.xpath("//section[@class='target']/details[@class='whole']/code")[0].text_content()
        == f"{long}.py::{long}"
    )


def test_a_command_with_thousands_of_files_is_folded():
    command = ("scaleaudit", "check", *(f"m{number}.py" for number in range(5000)))
    page = to_html(replace(whole(), run=replace(RUN, command=command)))
    check_form(page)
    (told,) = html.fromstring(page).xpath("//header//dd[./details]")
    assert len(told[0].text_content()) <= 500
    assert told.xpath("./details/code")[0].text_content() == " ".join(command)


def test_a_clipped_text_fits():
    assert clipped("abc") == "abc"
    assert len(clipped("a" * 1000)) <= 100
    assert clipped("a" * 1000 + "end").endswith("aend")


def test_a_page_of_a_rule_is_no_markup_either():
    page = rule_page(
        "# T\n\n## What\n\n<script>x</script> [a](javascript:x) ![i](http://x/y.png)\n\n| a |\n|---|\n| b |\n"
    )
    assert "<h1" not in page
    assert "<h3>What</h3>" in page
    assert "<td>b</td>" in page
    assert "&lt;script&gt;" in page
    assert "href" not in page
    assert "<img" not in page


# Its size


def test_two_hundred_targets_take_less_than_five_megabytes(monkeypatch):
    monkeypatch.setattr(embedding, "_LARGE", 0)
    few, more = (to_html(many(number)) for number in (10, 30))
    assert more.count("color-scheme: light dark") == 1
    assert len(few) + 190 * (len(more) - len(few)) / 20 < 5_000_000


def test_the_results_of_a_large_report_are_packed(monkeypatch):
    monkeypatch.setattr(embedding, "_LARGE", 0)
    page = page_of.__wrapped__(blind)
    check_form(page)
    assert json.loads(
        html.fromstring(page).get_element_by_id("scaleaudit-results").text
    ).keys() == {"deflated"}
    assert to_html(from_json(results_in(page), "report.html")) == page
    for broken in (
        page.replace('"deflated": "', '"deflated": "!'),
        page.replace('"deflated": "', '"deflated": "AAAA'),
    ):
        assert results_in(broken) is None


def test_one_target_with_a_probe_takes_less_than_four_hundred_kilobytes():
    assert len(page_of(whole).encode()) < 400_000


def test_a_warning_alone_is_the_gravest():
    warned = replace(BLIND, severity=Severity.WARNING)
    made = replace(report(target(Verdict.WARN, None, warned)), rules=(RULE,))
    assert headline(made).endswith(f"{RULE.summary[:-1]} (SCL101).")
    assert PATH in page_of(blind)
    assert CONFIRMED.proof == ABOUT_H.proof


def test_states_of_one_name_have_each_its_own_finding():
    first = replace(STATE, picture=None)
    second = replace(first, location=MIXER)
    known = facts(first, second)
    found = (ABOUT_H, replace(ABOUT_H, location=MIXER, message="the other one"))
    page = html.fromstring(to_html(report(target(Verdict.FAIL, known, *found))))
    states = page.xpath("//section[@class='state']")
    said = [[text_of(each) for each in state.xpath("./article")] for state in states]
    assert [len(each) for each in said] == [1, 1]
    assert "the other one" in said[1][0]
    assert "the other one" not in said[0][0]


@pytest.mark.parametrize(("norm", "said"), [(20.0, "better"), (5000.0, "worse")])
def test_a_measured_fix_is_told_by_what_became_of_the_length(norm, said):
    runs = (*RUNS[:2], *(replace(run, states=_ending_at(run, norm)) for run in RUNS[2:]))
    page = to_html(whole(probe=replace(PROBE, runs=runs)))
    measured = html.fromstring(page).xpath("//p[@class='measured']")[0]
    assert measured.xpath("./strong/@class") == [said]
    assert ("(no shorter)" in text_of(measured)) == (said == "worse")


def _ending_at(run, norm):
    end = (Turn(norm, norm, norm),) * 2
    return tuple(replace(state, turns=(*state.turns[:-1], end)) for state in run.states)
