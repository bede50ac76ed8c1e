from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scaleaudit.domain.facts import ProofStep
from scaleaudit.report.excerpt import Sources
from scaleaudit.report.proofs import fold, proof_lines
from scaleaudit.report.terminal import Ink


def _steps(letters: str) -> tuple[ProofStep, ...]:
    return tuple(ProofStep(None, letter, 1.0, letter) for letter in letters)


def _folded(letters: str) -> list[tuple[str, int]]:
    return [("".join(s.operator for s in run.steps), run.times) for run in fold(_steps(letters))]


def test_steps_that_do_not_repeat_stay_as_they_are():
    assert _folded("abc") == [("a", 1), ("b", 1), ("c", 1)]


def test_equal_layers_become_one_run():
    assert _folded("s" + "ab" * 12 + "n") == [("s", 1), ("ab", 12), ("n", 1)]


def test_the_shortest_period_is_taken():
    assert _folded("aaaa") == [("a", 4)]


def test_a_longer_run_wins_over_a_shorter_one_at_its_start():
    assert _folded("aab" * 3) == [("aab", 3)]


@given(st.text(alphabet="ab", max_size=24))
def test_unfolding_gives_the_proof_back(letters):
    assert "".join(steps * times for steps, times in _folded(letters)) == letters


def test_notes_keep_the_numbers_of_the_unfolded_proof():
    lines = list(proof_lines(_steps("s" + "ab" * 3 + "n"), Sources({}), Ink(colour=False)))
    assert [line.strip().split(" ")[0] for line in lines] == ["1.", "2.", "3.", "...", "8."]
    assert "steps 2 to 3 repeat 2 more times" in lines[3]
