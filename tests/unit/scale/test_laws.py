"""Every law against numbers, one operator at a time."""

from __future__ import annotations

import pytest
import torch
from lawkit.cases import cases_of, operations_of
from lawkit.operations import ELSEWHERE, law_key, operations
from lawkit.table import Operation

from scaleaudit.scale.laws import all_laws

torch.set_num_threads(1)


@pytest.mark.parametrize("law", sorted(all_laws().keys() - ELSEWHERE.keys()))
def test_what_the_law_infers_is_what_its_operator_does(law: str) -> None:
    complaints, judged = [], 0
    for operation in operations_of(law):
        for case in cases_of(operation):
            judgement = case.judge()
            complaints.extend(f"{case}: {complaint}" for complaint in judgement.complaints)
            judged += not judgement.discarded
    assert not complaints, "\n".join(complaints)
    assert judged


def test_every_law_has_a_case() -> None:
    covered = {law_key(operation.op) for operation in operations()}
    assert set(all_laws()) - covered == set(ELSEWHERE)


@pytest.mark.parametrize(("name", "twin"), ELSEWHERE.items())
def test_an_operator_of_another_device_has_the_law_of_its_twin(name: str, twin: str) -> None:
    laws = all_laws()
    assert laws[name].apply is laws[twin].apply


def test_every_operator_called_has_a_law() -> None:
    assert [operation.op for operation in operations() if law_key(operation.op) is None] == []


@pytest.mark.parametrize(
    "operation", [o for o in operations() if o.differentiable], ids=lambda operation: operation.op
)
def test_a_gradient_path_is_inferred_where_autograd_finds_one(operation: Operation) -> None:
    case = next(iter(cases_of(operation)))
    assert case.gradient_complaints() == []
