"""What matplotlib writes as SVG, made fit to stand in a page among others.

No id that is not referred to, none that another drawing has, no style sheet that would reach the rest
of the page, no style attribute that a content security policy could block; colours as classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET  # what is parsed is what matplotlib has just written

from scaleaudit.report.html.palette import ROLES

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_HREF = f"{{{_XLINK}}}href"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_PLACEHOLDERS = {role.placeholder: role for role in ROLES}
# What a style may say that is said by an attribute of the same name.
_KEPT = frozenset({
    "fill", "stroke", "fill-opacity", "stroke-opacity", "opacity", "stroke-width", "stroke-dasharray",
    "stroke-dashoffset", "font-size", "stroke-linecap", "stroke-linejoin", "text-anchor", "clip-path",
})  # fmt: skip
_WRITTEN_AS_NUMBERS = ("d", "x", "y", "width", "height", "transform", "points", "x1", "x2")


@dataclass(frozen=True, slots=True)
class Named:
    """What a drawing is called, for those who do not see it.

    Attributes:
        prefix: What its ids start with, unique in the page.
        description: What it shows, with the numbers.
    """

    prefix: str
    title: str
    description: str


def inlined(text: str, named: Named, size: tuple[int, int]) -> str:
    """Turn a document of matplotlib's into an element of a page."""
    root = ET.fromstring(text)  # noqa: S314
    for parent in list(root.iter()):
        for child in list(parent):
            if _tag(child) in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        _restyle(element)
    _rename(root, named.prefix)
    _round(root)
    return _written(_topped(root, named, size))


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _restyle(element: ET.Element) -> None:
    """Say by attributes and classes what a style says."""
    style = element.attrib.pop("style", "")
    classes = []
    for declaration in style.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name in _KEPT:
            element.set(name, value.removesuffix("px"))
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    for name, short in (("stroke", "s"), ("fill", "f")):
        role = _PLACEHOLDERS.get(element.get(name, ""))
        if role is not None:
            element.set(name, role.light)
            classes.append(f"{short}-{role.name}")
    if classes:
        element.set("class", " ".join(classes))


def _rename(root: ET.Element, prefix: str) -> None:
    """Give what is referred to an id of this drawing, and take all others away."""
    found: dict[str, str] = {}
    for element in root.iter():
        for name in _references(element):
            found.setdefault(name, f"{prefix}-{len(found)}")
    for element in root.iter():
        own = element.attrib.pop("id", "")
        if own in found:
            element.set("id", found[own])
        for name, value in element.attrib.items():
            element.set(name, _REFERENCE.sub(lambda match: f"url(#{found[match[1]]})", value))
        href = element.attrib.pop(_HREF, "")
        if href:
            element.set("href", f"#{found[href[1:]]}")


def _references(element: ET.Element) -> Iterator[str]:
    for name, value in element.attrib.items():
        if name == _HREF:
            yield value[1:]
        yield from _REFERENCE.findall(value)


def _round(root: ET.Element) -> None:
    """Write places to a tenth of a pixel."""
    for element in root.iter():
        for name in _WRITTEN_AS_NUMBERS:
            value = element.get(name)
            if value is not None:
                short = _LONG_NUMBER.sub(lambda match: f"{float(match[0]):.1f}", value)
                element.set(name, " ".join(short.split()))


def _topped(root: ET.Element, named: Named, size: tuple[int, int]) -> ET.Element:
    """Put a head on a drawing that says what it is; what was drawn is inside."""
    head = ET.Element(
        f"{{{_SVG}}}svg",
        {
            "class": "plot",
            "role": "img",
            "aria-labelledby": f"{named.prefix}-title {named.prefix}-desc",
            "viewBox": f"0 0 {size[0]} {size[1]}",
            "width": str(size[0]),
            "height": str(size[1]),
            "stroke-linejoin": "round",
            "fill": "none",
        },
    )
    for name, text in (("title", named.title), ("desc", named.description)):
        ET.SubElement(head, f"{{{_SVG}}}{name}", {"id": f"{named.prefix}-{name}"}).text = text
    head.extend(list(root))
    return head


def _written(root: ET.Element) -> str:
    """Write an element as HTML takes it: no prefix, no declaration, no indentation."""
    for element in root.iter():
        element.tag = _tag(element)
        if element.tag not in ("text", "tspan", "title", "desc"):
            element.text = None
        element.tail = None
    return ET.tostring(root, encoding="unicode")
