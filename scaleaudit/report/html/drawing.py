"""A loop as a drawing: static SVG, readable without colour, in words as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from markupsafe import Markup

from scaleaudit.domain.graph import Location
from scaleaudit.domain.picture import Box, BoxKind, Edge, Picture, Role
from scaleaudit.report.html.diagram.geometry import (
    DETAIL_LINE,
    PADDING,
    Frame,
    Place,
    Plan,
    Point,
    Route,
)
from scaleaudit.report.html.diagram.lettering import (
    DETAIL_SIZE,
    EDGE_SIZE,
    LABEL_SIZE,
    edge_text,
    shown,
)
from scaleaudit.report.html.diagram.placing import planned

Href = Callable[[Location], "str | None"]

# Drawings of so many pixels more have a class of their own, below which they are not scaled down.
_STEP, _STEPS, _SCROLLED, _LEAST = 100, 16, 4, 0.75
_SIDEWAYS = "Wider than the space for it: scroll the picture sideways to see all of it."
_MEANS = {
    Role.CARRIES: "carries the scale of the state",
    Role.LOST: "its scale is lost before",
    Role.PLAIN: "flattens it, does not depend on it, or is not known",
}


def draw(picture: Picture, href: Href) -> str:
    """Draw a picture as an element of a page.

    Args:
        href: Where on the page a source line is found; None where it is not there.
    """
    return str(_figure(picture, planned(picture), href))


def _figure(picture: Picture, plan: Plan, href: Href) -> Markup:
    size = Markup('viewBox="0 0 {0} {1}" width="{0}" height="{1}"').format(
        round(plan.width), round(plan.height)
    )
    places = [_place(place, href) for place in sorted(plan.places, key=lambda each: each.box.id)]
    parts = [
        Markup("<title>{}</title><desc>{}</desc>").format(_title(picture), described(picture)),
        *(_frame(frame, *at) for frame, at in zip(plan.frames, plan.times, strict=True)),
        *(_line(route) for route in plan.routes),
        *places,
        *(_words(route.edge, *at) for route, at in zip(plan.routes, plan.words, strict=True)),
    ]
    step = min(int(plan.width / _STEP), _STEPS)
    links = any(place.startswith("<a ") for place in places)
    # An image has no parts for those who do not see it, so that its links would be lost.
    drawn = Markup(
        '<svg class="loop w{}" role="{}" fill="none" stroke="#565c64" {}>{}</svg>'
    ).format(step, "group" if links else "img", size, Markup("").join(parts))
    if step >= _SCROLLED:
        around = Markup('<div class="wide" tabindex="0" role="region" aria-label="{}">{}</div>')
        cue = Markup('<p class="sideways w{}">{}</p>').format(step, _SIDEWAYS)
        drawn = cue + around.format(_title(picture), drawn)
    return Markup('<div class="picture">{}{}</div>').format(drawn, _legend(picture))


def _title(picture: Picture) -> str:
    state = next((box.label for box in picture.boxes if box.kind is BoxKind.STATE), "")
    return f"One turn of the loop that carries {shown(state)}, and what the loss reads of it"


def described(picture: Picture) -> str:
    """Say in words what the drawing shows, edge by edge."""
    names = {box.id: _name(box) for box in picture.boxes}
    return " ".join(_sentence(edge, names) for edge in picture.edges)


def _name(box: Box) -> str:
    label = shown(box.label) or box.kind.value
    return f"{box.kind.value} {label}" if label != box.kind.value else label


def _sentence(edge: Edge, names: dict[int, str]) -> str:
    on = ", on to the next turn" if edge.recurrent else ""
    silent = ", without a gradient" if edge.silent else ""
    ends = f"{names[edge.source]} to {names[edge.target]}"
    return f"From {ends}{on}: {shown(edge.degree)}, {_MEANS[edge.role]}{silent}."


def _frame(frame: Frame, x: float, y: float) -> Markup:
    border = Markup(
        '<rect class="fold" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="8"/>'
    )
    text = Markup(
        '<text fill="#1c1e21" stroke="none" class="times" x="{:.1f}" y="{:.1f}" font-size="{:g}">{}</text>'
    )
    width, height = frame.right - frame.left, frame.bottom - frame.top
    return border.format(frame.left, frame.top, width, height) + text.format(
        x, y, LABEL_SIZE, frame.says
    )


_RADIUS = 6.0


def _line(route: Route) -> Markup:
    silent = " silent" if route.edge.silent else ""
    return Markup('<path class="{}{}" d="{}"/><path class="{} tip" d="{}"/>').format(
        route.edge.role.value,
        silent,
        _path(route.corners),
        route.edge.role.value,
        _tip(route.corners),
    )


def _path(corners: tuple[Point, ...]) -> str:
    """Straight lines with rounded corners."""
    x, y = corners[0]
    steps = [f"M{x:.1f} {y:.1f}"]
    for before, here, after in zip(corners, corners[1:], corners[2:], strict=False):
        into, out = _towards(here, before), _towards(here, after)
        steps.append(
            f"L{into[0]:.1f} {into[1]:.1f}Q{here[0]:.1f} {here[1]:.1f} {out[0]:.1f} {out[1]:.1f}"
        )
    x, y = corners[-1]
    steps.append(f"L{x:.1f} {y:.1f}")
    return "".join(steps)


def _towards(here: Point, there: Point) -> Point:
    length = abs(there[0] - here[0]) + abs(there[1] - here[1])
    share = min(_RADIUS, length / 2) / length if length else 0.0
    return here[0] + share * (there[0] - here[0]), here[1] + share * (there[1] - here[1])


_LONG, _BROAD = 8.0, 4.0


def _tip(corners: tuple[Point, ...]) -> str:
    """The head of an arrow; the last stretch runs along an axis."""
    (x0, y0), (x, y) = corners[-2], corners[-1]
    dx, dy = _sign(x - x0), _sign(y - y0)
    base = x - _LONG * dx, y - _LONG * dy
    one = base[0] + _BROAD * dy, base[1] + _BROAD * dx
    two = base[0] - _BROAD * dy, base[1] - _BROAD * dx
    return f"M{x:.1f} {y:.1f}L{one[0]:.1f} {one[1]:.1f}L{two[0]:.1f} {two[1]:.1f}Z"


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _words(edge: Edge, x: float, y: float) -> Markup:
    return Markup(
        '<text fill="#1c1e21" stroke="none" class="says {}" x="{:.1f}" y="{:.1f}" font-size="{:g}">{}</text>'
    ).format(edge.role.value, x, y, EDGE_SIZE, edge_text(edge))


def _place(place: Place, href: Href) -> Markup:
    box = place.box
    shape = _circle(place) if place.is_round else _rectangle(place)
    group = Markup('<g class="box {}"><title>{}</title>{}{}</g>').format(
        box.kind.value.replace(" ", "-"), _told(box), shape, Markup("").join(_texts(place))
    )
    link = href(box.location) if box.location is not None else None
    return group if link is None else Markup('<a href="{}">{}</a>').format(link, group)


def _told(box: Box) -> str:
    """Everything about a box in words."""
    count = f"{box.operators} operators" if box.operators > 1 else ""
    where = f"at {shown(str(box.location))}" if box.location is not None else ""
    return ", ".join(filter(None, (_name(box), shown(box.detail), count, where)))


def _circle(place: Place) -> Markup:
    radius = place.height / 2
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(
        place.middle, place.top + radius, radius
    )


def _rectangle(place: Place) -> Markup:
    rounded = 14 if place.box.kind in (BoxKind.STATE, BoxKind.OTHER) else 3
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="{}"/>').format(
        place.left, place.top, place.width, place.height, rounded
    )


def _texts(place: Place) -> Iterator[Markup]:
    text = Markup(
        '<text fill="#1c1e21" stroke="none" class="{}" x="{:.1f}" y="{:.1f}" font-size="{:g}" text-anchor="middle">{}</text>'
    )
    if place.is_round:
        yield text.format("sign", place.middle, place.top + place.height / 2 + 5, 16, place.label)
        return
    y = place.top + PADDING + LABEL_SIZE - 1
    yield text.format("name", place.middle, y, LABEL_SIZE, place.label)
    for number, line in enumerate(place.details, 1):
        yield text.format("detail", place.middle, y + DETAIL_LINE * number + 1, DETAIL_SIZE, line)


def _legend(picture: Picture) -> Markup:
    used = {edge.role for edge in picture.edges}
    sample = Markup(
        '<li><svg class="loop" fill="none" stroke="#565c64" width="34" height="10" viewBox="0 0 34 10" aria-hidden="true">'
        '<path class="{0}" d="M1 5H26"/><path class="{0} tip" d="M34 5L26 9L26 1Z"/></svg> {1}</li>'
    )
    items = [sample.format(role.value, _MEANS[role]) for role in Role if role in used]
    note = Markup("<p>{}.</p>").format(shown(picture.note)) if picture.note else ""
    return Markup('<ul class="legend">{}</ul>{}').format(Markup("").join(items), note)


def style_sheet() -> str:
    """Return the rules of the page's style sheet that drawings need."""
    widths = {n: f"{_LEAST * n * _STEP:g}px" for n in range(_SCROLLED, _STEPS + 1)}
    least = (f".loop.w{n} {{ min-width: {width}; }}" for n, width in widths.items())
    cues = (
        f"@container (width < {width}) {{ .sideways.w{n} {{ display: block; }} }}"
        for n, width in widths.items()
    )
    return "\n".join(
        (_STYLE, *least, *cues, "@media print { .picture .sideways { display: none; } }")
    )


_STYLE = """
.picture { break-inside: avoid; container-type: inline-size; }
.picture .wide { overflow-x: auto; background: linear-gradient(to right, var(--paper, #fff) 40%, transparent) left / 2.5rem 100% local, linear-gradient(to left, var(--paper, #fff) 40%, transparent) right / 2.5rem 100% local, linear-gradient(to right, var(--shade), transparent) left / 1rem 100% scroll, linear-gradient(to left, var(--shade), transparent) calc(100% - 1px) / 1rem 100% scroll; background-repeat: no-repeat; }
.sideways { display: none; margin: .25rem 0; font-size: .85rem; color: var(--soft, #565c64); }
.loop { max-width: 100%; height: auto; font-family: var(--text, sans-serif); fill: none; }
.loop path { stroke: var(--soft, #565c64); stroke-width: 1.2; }
.loop path.carries { stroke: var(--carries, #b3261e); stroke-width: 3.2; }
.loop path.lost { stroke: var(--lost, #0b57a4); stroke-width: 1.6; stroke-dasharray: 6 4; }
.loop path.plain { stroke: var(--soft, #565c64); stroke-width: 1.2; stroke-dasharray: 1.5 3; }
.loop path.tip { stroke: none; stroke-dasharray: none; }
.loop path.tip.carries { fill: var(--carries, #b3261e); }
.loop path.tip.lost { fill: var(--lost, #0b57a4); }
.loop path.tip.plain { fill: var(--soft, #565c64); }
.loop .box rect, .loop .box circle { fill: var(--wash, #f5f6f8); stroke: var(--ink, #1c1e21); stroke-width: 1; }
.loop .state rect { stroke-width: 2.4; }
.loop .other-state rect { stroke-width: 2.4; stroke-dasharray: 2 2; }
.loop .norm rect { stroke: var(--lost, #0b57a4); stroke-width: 2; }
.loop .unknown rect { stroke-dasharray: 3 3; }
.loop .source rect { stroke: var(--soft, #565c64); stroke-dasharray: 4 3; }
.loop .fold { stroke: var(--soft, #565c64); stroke-dasharray: 8 4; }
.loop text { fill: var(--ink, #1c1e21); }
.loop text.name, .loop text.sign, .loop text.times { font-weight: 600; }
.loop text.detail { fill: var(--soft, #565c64); }
.loop text.says { stroke: var(--paper, #fff); stroke-width: 4; paint-order: stroke; }
.loop text.says.carries { font-weight: 600; }
.loop a:hover rect, .loop a:hover circle { fill: var(--mark, #ffe9a8); }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .85rem; }
:root { --carries: #b3261e; --lost: #0b57a4; --shade: rgb(28 30 33 / 45%); }
@media (prefers-color-scheme: dark) { :root { --carries: #ff9d92; --lost: #8bbdf5; --shade: rgb(228 230 233 / 45%); } }
@media print { :root { --carries: #8a1510; --lost: #0b3d75; --shade: transparent; } }
"""
