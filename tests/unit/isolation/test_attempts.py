from __future__ import annotations

import pytest

from scaleaudit.domain.attempts import (
    Attempt,
    Failure,
    first_reason,
    most_telling,
    next_attempt,
)


def _failed(
    attempt: Attempt,
    cause: str = "ValueError",
    *,
    built: bool = True,
    telling: bool = True,
    curable: bool = True,
) -> Failure:
    return Failure(attempt, cause, f"{cause} in {attempt.value}", built, telling, curable)


NOT_BUILT = _failed(Attempt.FAKES, built=False)


@pytest.mark.parametrize(
    ("failures", "following"),
    [
        ([NOT_BUILT], Attempt.BUILT_REAL),
        ([_failed(Attempt.FAKES)], Attempt.REAL),
        ([NOT_BUILT, _failed(Attempt.BUILT_REAL)], Attempt.REAL),
        ([NOT_BUILT, _failed(Attempt.BUILT_REAL, built=False)], None),
        ([_failed(Attempt.FAKES), _failed(Attempt.REAL, "KeyError")], Attempt.EXPORT),
        ([_failed(Attempt.FAKES), _failed(Attempt.REAL)], None),
        ([_failed(Attempt.FAKES), _failed(Attempt.REAL, "E"), _failed(Attempt.EXPORT)], None),
        ([_failed(Attempt.FAKES, curable=False)], None),
    ],
)
def test_every_failure_leads_to_the_next_way_that_may_do(failures, following):
    assert next_attempt(failures) is following


def test_what_real_tensors_say_is_told_before_what_export_says():
    fakes = _failed(Attempt.FAKES, "DataDependent", telling=False)
    real, export = _failed(Attempt.REAL), _failed(Attempt.EXPORT)
    assert most_telling([fakes, real, export]) == 1


def test_an_error_of_the_program_is_told_before_one_of_fakes_or_of_limits():
    limit = _failed(Attempt.REAL, "memory", telling=False)
    assert most_telling([_failed(Attempt.FAKES), limit]) == 0
    assert most_telling([_failed(Attempt.FAKES, telling=False), limit]) == 1


def test_a_failure_to_build_says_less_than_one_to_record():
    assert most_telling([_failed(Attempt.FAKES), _failed(Attempt.REAL, built=False)]) == 0


def test_the_note_on_a_fallback_gives_the_first_failure_to_record():
    second = _failed(Attempt.BUILT_REAL, "KeyError")
    assert first_reason([NOT_BUILT, second]) == second.reason
    assert first_reason([NOT_BUILT]) == ""
