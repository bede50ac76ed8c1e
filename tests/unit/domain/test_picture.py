from __future__ import annotations

import pytest

from scaleaudit.domain.picture import Box, BoxKind, Edge, Fold, Picture, Role

STATE, ADD = Box(0, BoxKind.STATE, "h"), Box(1, BoxKind.ADD, "+")
DOWN = Edge(0, 1, "degree 1", Role.CARRIES)
AROUND = Edge(1, 0, "degree 1", Role.CARRIES, recurrent=True)


def test_a_loop_of_a_state_and_a_sum_is_a_picture():
    assert Picture((STATE, ADD), (DOWN, AROUND)).folds == ()


@pytest.mark.parametrize(
    ("boxes", "edges", "folds"),
    [
        ((STATE, ADD), (Edge(0, 2, "", Role.PLAIN),), ()),
        ((STATE, ADD), (Edge(1, 0, "", Role.PLAIN),), ()),
        ((STATE, ADD), (DOWN, AROUND, AROUND), ()),
        ((STATE, ADD), (DOWN,), (Fold((3,), 2),)),
        ((STATE, ADD), (DOWN,), (Fold((), 2),)),
        ((ADD,), (), ()),
        ((Box(0, BoxKind.ADD, "+"),), (), ()),
        ((STATE, Box(1, BoxKind.STATE, "g")), (), ()),
    ],
)
def test_what_cannot_be_laid_out_is_no_picture(boxes, edges, folds):
    with pytest.raises(ValueError, match="picture"):
        Picture(boxes, edges, folds)
