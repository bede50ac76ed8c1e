"""What the parent makes of what children answered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from scaleaudit.answers import TargetFacts
from scaleaudit.children import Audited, Surveyed, audit_all
from scaleaudit.sources import Request


@pytest.mark.parametrize("named", [True, False])
def test_a_target_that_was_asked_for_twice_is_told_of_once(named):
    def audited(name: str) -> Audited:
        return Audited("m.py", TargetFacts(name), "", 0.0)

    surveyed = (
        Surveyed(Request("m.py", named=named), (audited("A"), audited("B"))),
        Surveyed(Request("m.py", "B"), (audited("B"),)),
        Surveyed(Request("n.py", named=False), (Audited("n.py", TargetFacts("B"), "", 0.0),)),
    )
    pool = SimpleNamespace(map=lambda _, pending: iter(pending))
    found = audit_all(surveyed, pool, SimpleNamespace(), lambda *_: None)
    assert [(each.path, each.found.name) for each in found] == [
        ("m.py", "A"), ("m.py", "B"), ("n.py", "B"),
    ]  # fmt: skip
