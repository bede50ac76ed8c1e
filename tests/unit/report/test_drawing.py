"""A picture as SVG: what it must hold, where its parts lie, and what names can do to it: nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import pytest
from pictured import blind_picture, hostile_picture

from scaleaudit.domain.picture import Box, BoxKind, Edge, Picture, Role
from scaleaudit.report.html.diagram.lettering import LABEL_SIZE, edge_width, text_width
from scaleaudit.report.html.diagram.placing import planned
from scaleaudit.report.html.drawing import draw, style_sheet


def exits(count: int) -> Picture:
    """A state with several readouts, one of them long, all of them in the loss."""
    boxes = [Box(0, BoxKind.STATE, "h"), Box(1, BoxKind.GATE, "×"), Box(2, BoxKind.OTHER, "fast")]
    boxes.append(Box(3, BoxKind.ADD, "+"))
    edges = [
        Edge(0, 1, "degree 1", Role.CARRIES),
        Edge(0, 2, "saturating", Role.PLAIN),
        Edge(1, 3, "degree 1", Role.CARRIES),
        Edge(2, 3, "degree 1", Role.CARRIES),
        Edge(3, 0, "degree 1, gain (0, 1)", Role.CARRIES, recurrent=True),
    ]
    for number in range(4, 4 + 2 * count, 2):
        boxes += [Box(number, BoxKind.NORM, "norm"), Box(number + 1, BoxKind.READOUT, "head")]
        edges.append(Edge(0, number, "degree 1", Role.CARRIES))
        edges.append(Edge(number, number + 1, "fading", Role.LOST))
    last = len(boxes)
    boxes.append(Box(last, BoxKind.LOSS, "loss"))
    edges += [Edge(number, last, "fading", Role.LOST) for number in range(5, last, 2)]
    return Picture(tuple(boxes), tuple(edges))


PICTURES = (blind_picture(), hostile_picture(), exits(1), exits(4))


def parsed(picture: Picture) -> ET.Element:
    return ET.fromstring(draw(picture, lambda place: f"#L{place.line}"))


@pytest.mark.parametrize("picture", PICTURES)
def test_no_edge_crosses_a_box(picture):
    plan = planned(picture)
    for route in plan.routes:
        ends = {route.edge.source, route.edge.target}
        for (x, y), (other, z) in pairwise(route.corners):
            assert x == other or y == z, "edges run along the axes"
            for place in plan.places:
                beside = max(x, other) <= place.left or min(x, other) >= place.right
                apart = max(y, z) <= place.top or min(y, z) >= place.bottom
                assert beside or apart or place.box.id in ends


@pytest.mark.parametrize("picture", PICTURES)
def test_boxes_and_labels_lie_apart_and_inside(picture):
    plan = planned(picture)
    areas = [(p.left, p.top, p.right, p.bottom) for p in plan.places]
    for route, (x, y) in zip(plan.routes, plan.words, strict=True):
        areas.append((x, y - 8, x + edge_width(route.edge), y + 2))
    for area in areas:
        assert 0 <= area[0] < area[2] <= plan.width
        assert 0 <= area[1] < area[3] <= plan.height
    for (a, b, c, d), (e, f, g, h) in combinations(areas, 2):
        assert c <= e or g <= a or d <= f or h <= b


@pytest.mark.parametrize("picture", PICTURES)
def test_labels_fit_their_boxes(picture):
    for place in planned(picture).places:
        assert text_width(place.label, LABEL_SIZE, bold=True) <= place.width
        assert all(text_width(line, 11) <= place.width for line in place.details)


def test_every_box_leads_to_its_line_and_says_what_it_is():
    root = parsed(blind_picture())
    links = list(root.iter("a"))
    assert [link.get("href") for link in links] == [f"#L{line}" for line in range(5, 12)]
    titles = [each.findtext("g/title") for each in links]
    assert "norm norm1, at model.py:6" in titles
    assert "readout head, 5 operators, at model.py:10" in titles


def test_lines_that_are_not_on_the_page_are_no_links():
    drawn = draw(blind_picture(), lambda place: None)
    assert "<a " not in drawn
    assert 'role="img"' in drawn


def test_the_description_says_all_that_the_drawing_shows():
    said = parsed(blind_picture()).find(".//desc").text
    assert said.count("From ") == len(blind_picture().edges)
    assert "From state h to norm norm1: degree 1, carries the scale of the state." in said
    assert "From add + to state h, on to the next turn: degree 1, gain 1" in said


def test_roles_differ_by_more_than_colour_and_the_legend_names_them():
    root = parsed(exits(1))
    legend = " ".join("".join(item.itertext()) for item in root.iter("li"))
    for role in Role:
        assert any(role.value in path.get("class", "") for path in root.iter("path"))
    assert "carries the scale" in legend
    assert "lost" in legend
    rules = dict(re.findall(r"\.loop path\.(carries|lost|plain) \{([^}]*)\}", style_sheet()))
    assert len({re.search(r"stroke-width: ([\d.]+)", rule)[1] for rule in rules.values()}) == 3
    assert (
        len({re.search(r"(stroke-dasharray: [\d. ]+|$)", rule)[0] for rule in rules.values()}) == 3
    )


def test_folded_layers_are_framed_and_counted():
    root = parsed(blind_picture())
    assert [each.text for each in root.iter("text") if each.get("class") == "times"] == ["× 12"]


def test_hostile_names_are_text():
    drawn = draw(hostile_picture(), lambda place: f'"><script>{place.line}')
    assert "<script" not in drawn
    assert "<img" not in drawn
    assert "\u202e" not in drawn
    assert "\u2067" not in drawn
    assert "\x1b" not in drawn
    assert len(drawn) < 40_000
    root = ET.fromstring(drawn)
    names = {each for element in root.iter() for each in element.attrib}
    assert not any(name.startswith("on") or name in ("style", "id") for name in names)


def test_what_is_left_out_is_said():
    assert "2 more" in draw(replace(blind_picture(), note="2 more readouts"), lambda place: None)


def test_a_broad_drawing_is_not_scaled_down_to_nothing():
    drawn = planned(exits(4))
    sheet = style_sheet()
    (class_name,) = re.findall(r'class="loop (w\d+)"', draw(exits(4), lambda place: None))
    least = float(re.search(rf"\.loop\.{class_name} \{{ min-width: ([\d.]+)px", sheet)[1])
    assert least / drawn.width > 0.7


def test_a_drawing_that_may_not_fit_says_so_and_is_reached_by_keys():
    page, sheet = draw(exits(4), lambda place: None), style_sheet()
    (step,) = re.findall(r'<p class="sideways (w\d+)">[^<]*scroll', page)
    least = re.search(rf"\.loop\.{step} {{ min-width: (\d+px)", sheet)[1]
    assert f"@container (width < {least}) {{ .sideways.{step} {{ display: block; }} }}" in sheet
    assert re.search(r"\.sideways { display: none;", sheet)
    (around,) = (each for each in parsed(exits(4)).iter("div") if each.get("class") == "wide")
    assert (around.get("tabindex"), around.get("role")) == ("0", "region")
    assert around.get("aria-label")
    small = Picture((Box(0, BoxKind.STATE, "h"),), ())
    assert "sideways" not in draw(small, lambda place: None)
