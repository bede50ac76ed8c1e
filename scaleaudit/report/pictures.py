"""Pictures of loops as JSON."""

from __future__ import annotations

from scaleaudit.domain.picture import Box, Edge, Picture
from scaleaudit.report.encoding import Json


def picture_document(picture: Picture | None) -> Json:
    """Return a picture as JSON; boxes are written in the order of their numbers."""
    if picture is None:
        return None
    return {
        "boxes": [_box(box) for box in picture.boxes],
        "edges": [_edge(edge) for edge in picture.edges],
        "folds": [{"boxes": list(fold.boxes), "times": fold.times} for fold in picture.folds],
        "note": picture.note,
    }


def _box(box: Box) -> Json:
    place = box.location
    return {
        "id": box.id,
        "kind": box.kind.value,
        "label": box.label,
        "detail": box.detail,
        "location": {"path": place.path, "line": place.line} if place is not None else None,
        "operators": box.operators,
    }


def _edge(edge: Edge) -> Json:
    return {
        "source": edge.source,
        "target": edge.target,
        "degree": edge.degree,
        "role": edge.role.value,
        "recurrent": edge.recurrent,
        "silent": edge.silent,
    }
