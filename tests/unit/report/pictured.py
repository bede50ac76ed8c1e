"""Pictures built by hand: of a blind loop of equal layers, and of one with names that lie in wait."""

from __future__ import annotations

from scaleaudit.domain.graph import Location
from scaleaudit.domain.picture import Box, BoxKind, Edge, Fold, Picture, Role

HERE = Location("model.py", 9)


def blind_picture(path: str = "model.py") -> Picture:
    """A pre-norm layer run twelve times in every turn, read through a norm."""
    kinds = (
        (BoxKind.STATE, "h"),
        (BoxKind.NORM, "norm1"),
        (BoxKind.OPERATORS, "mixer"),
        (BoxKind.ADD, "+"),
        (BoxKind.NORM, "final_norm"),
        (BoxKind.READOUT, "head"),
        (BoxKind.LOSS, "loss"),
    )
    boxes = tuple(
        Box(number, kind, label, "", Location(path, 5 + number), number)
        for number, (kind, label) in enumerate(kinds)
    )
    edges = (
        Edge(0, 1, "degree 1", Role.CARRIES),
        Edge(0, 3, "degree 1", Role.CARRIES),
        Edge(0, 4, "degree 1", Role.CARRIES),
        Edge(1, 2, "degree 0", Role.LOST),
        Edge(2, 3, "degree 0", Role.LOST),
        Edge(4, 5, "degree 0", Role.LOST),
        Edge(5, 6, "degree 0", Role.LOST),
        Edge(3, 0, "degree 1, gain 1", Role.CARRIES, recurrent=True),
    )
    return Picture(boxes, edges, (Fold((1, 2, 3), 12),))


def hostile_picture() -> Picture:
    """Every label is one that would be markup, turn the text around, or fill the page."""
    labels = (
        "</svg><script>alert(1)</script>",
        '" onload="alert(1)',
        "\u202etxet\u202c \u2067abc\u2069",
        "x" * 10_000,
        "&lt;b&gt;\x1b[31m\n<!--",
        "]]><![CDATA[",
        "名前" * 40,
    )
    found = blind_picture("<img src=x>\u202e.py")
    boxes = tuple(
        Box(b.id, b.kind, label, label, b.location, b.operators)
        for b, label in zip(found.boxes, labels, strict=True)
    )
    edges = tuple(
        Edge(e.source, e.target, "<degree>", e.role, e.recurrent, True) for e in found.edges
    )
    return Picture(boxes, edges, found.folds, note="</p><script>alert(1)</script>")
