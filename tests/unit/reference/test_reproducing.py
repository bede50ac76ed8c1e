"""Runs seen to by children and put side by side; the children are stand-ins."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

from reproductions import overflowed
from reproductions import run as made

from scaleaudit import reproducing
from scaleaudit.domain.reproduction import (
    CampaignRequest,
    EvaluationRequest,
    RunAnswer,
    RunRequest,
)
from scaleaudit.domain.training import Text
from scaleaudit.errors import ConfigError
from scaleaudit.isolation.jobs import Outcome, Trouble, TroubleKind
from scaleaudit.reference.campaign import campaign
from scaleaudit.reproducing import reproduced
from scaleaudit.wire import read_json

NAMES = ("terminal_rmsnorm", "terminal_raw", "per_loop_rmsnorm", "per_loop_raw")


class Children:
    """Stand-ins: each answers with a run of its condition, or as it was told."""

    def __init__(self) -> None:
        self.answers: dict[str, RunAnswer | Trouble | type[BaseException]] = {}
        self.minutes: list[float | None] = []
        self.stopped_at_end: list[bool] = []
        self.held: set[str] = set()

    def lets_go(self, name: str) -> bool:
        return name not in self.held

    def run(self, _runner, job, _expected):
        asked = read_json(job.arguments[1], RunRequest)
        Path(job.arguments[2]).write_text("step 1 of 2")
        plan = asked.training.plan
        self.minutes.append(asked.training.minutes)
        while not (self.lets_go(asked.name) or Path(job.arguments[3]).exists()):
            time.sleep(0.01)
        self.stopped_at_end.append(Path(job.arguments[3]).exists())
        length = 1000.0 if plan.condition.endswith("rmsnorm") else 6.0
        answer = self.answers.get(asked.name, RunAnswer(made(plan.condition, plan.seed, length)))
        if isinstance(answer, Trouble):
            return Outcome(None, answer, "", 1.0)
        return Outcome(answer, None, "", 1.0)


@pytest.fixture
def children(monkeypatch):
    found = Children()
    monkeypatch.setattr(reproducing, "run", found.run)
    return found


@pytest.fixture
def requests(tmp_path):
    asked = CampaignRequest("tiny", 2, str(tmp_path), Text(), EvaluationRequest())
    return [*campaign(asked, NAMES)]


def quiet(*_: object) -> None:
    """Nobody looks on."""


def test_all_runs_make_one_table(children, requests):
    heard = []
    found = reproduced(requests, 2, quiet, lambda request, *_: heard.append(request.name))
    assert [each.condition for each in found.conditions] == list(NAMES)
    assert [len(each.runs) for each in found.conditions] == [2] * 4
    assert heard == [request.name for request in requests]
    assert not found.missing
    assert all(claim.holds for claim in found.separation)
    assert found.recipe == (("text", "the standard library"),)


def test_a_run_that_fails_is_missing_and_the_others_are_there(children, requests):
    children.answers = {
        "terminal_raw, seed 1": Trouble(TroubleKind.TARGET, "there was no text", hint="Give some."),
        "per_loop_raw, seed 0": RunAnswer(None, "120 steps are done"),
    }
    found = reproduced(requests, 1, quiet, quiet)
    assert found.missing == (
        "per_loop_raw, seed 0: 120 steps are done",
        "terminal_raw, seed 1: there was no text. Give some.",
    )
    assert [len(each.runs) for each in found.conditions] == [2, 1, 2, 1]


def test_a_run_that_overflowed_is_done_and_in_no_mean(children, requests):
    children.answers = {
        "terminal_rmsnorm, seed 1": RunAnswer(None, overflowed=overflowed("terminal_rmsnorm", 1))
    }
    found = reproduced(requests, 1, quiet, quiet)
    assert not found.missing
    assert [each.seed for each in found.overflowed] == [1]
    assert [len(each.runs) for each in found.conditions] == [1, 2, 2, 2]
    assert found.claims[0].holds is False


def test_a_run_that_has_no_room_says_what_makes_some(children, requests):
    children.answers = {"terminal_raw, seed 1": Trouble(TroubleKind.MEMORY, "beyond the limit")}
    (why,) = reproduced(requests, 1, quiet, quiet).missing
    assert why.startswith("terminal_raw, seed 1: it takes more memory than there is. Make fewer")


def test_what_is_wrong_with_every_run_ends_the_command(children, requests):
    children.answers = dict.fromkeys(
        (request.name for request in requests), Trouble(TroubleKind.CONFIG, "there is no device")
    )
    with pytest.raises(ConfigError, match="there is no device"):
        reproduced(requests, 1, quiet, quiet)


def test_runs_of_different_sizes_are_not_put_together(children, requests):
    other = RunAnswer(replace(made("terminal_raw", 0, 6), size="44m"))
    children.answers = {"terminal_raw, seed 0": other}
    with pytest.raises(ConfigError, match="different sizes: 44m, tiny"):
        reproduced(requests, 1, quiet, quiet)


def test_when_time_is_up_no_run_is_started(children, requests):
    found = reproduced(requests, 1, quiet, quiet, minutes=1e-9)
    assert children.minutes == []
    assert len(found.missing) == 8
    assert found.conditions == ()


def test_a_run_is_given_the_time_that_is_left(children, requests):
    reproduced(requests, 1, quiet, quiet, minutes=5)
    assert all(4 < minutes <= 5 for minutes in children.minutes)
    assert children.minutes == sorted(children.minutes, reverse=True)


def test_one_line_tells_of_all_runs_at_work(children, requests, monkeypatch):
    monkeypatch.setattr(reproducing, "_GLANCE", 0.01)
    children.held = {request.name for request in requests}
    lines = []

    def watch(done, total, line):
        lines.append((done, total, {*line.split("; ")}))
        if line.count("step 1 of 2") == 2:
            children.held = set()

    reproduced(requests, 2, watch, quiet)
    # Either of the two may have been the first to begin.
    both = {f"{name}, seed 0: step 1 of 2" for name in NAMES[:2]}
    assert (0, 8, both) in lines


def test_stopped_from_outside_children_are_told_and_waited_for(children, requests):
    children.held = {request.name for request in requests[1:]}

    def interrupt(*_):
        while len(children.minutes) < 2:
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduced(requests, 2, quiet, interrupt)
    # The first was done, one or two were at work, the others were never begun.
    assert children.stopped_at_end in ([False, True], [False, True, True])
