from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scaleaudit.isolation.forking import ForkServer
from scaleaudit.isolation.jobs import Job, Limits, Outcome, TroubleKind
from scaleaudit.isolation.pool import open_pool
from scaleaudit.isolation.runner import Runner, run
from scaleaudit.isolation.spawning import Spawner

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups")

LIMITS = Limits(seconds=20.0, memory=2 << 30)
SHORT = Limits(seconds=1.0, memory=2 << 30)
Ask = Callable[..., Outcome[dict[str, float]]]


def _make(kind: str) -> Runner:
    return ForkServer(("chores",)) if kind == "fork" else Spawner()


@pytest.fixture(params=["fork", "spawn"], scope="module")
def runner(request) -> Iterator[Runner]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        with closing(_make(request.param)) as made:
            yield made


@pytest.fixture
def ask(runner) -> Ask:
    return _asking(runner)


@pytest.fixture
def forked(monkeypatch) -> Iterator[Ask]:
    yield from _asking_a_new("fork", monkeypatch)


@pytest.fixture
def spawned(monkeypatch) -> Iterator[Ask]:
    yield from _asking_a_new("spawn", monkeypatch)


def _asking_a_new(kind: str, patch: pytest.MonkeyPatch) -> Iterator[Ask]:
    patch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with closing(_make(kind)) as made:
        yield _asking(made)


def _asking(runner: Runner) -> Ask:
    def call(function: str, *arguments: str, limits: Limits = LIMITS):
        return run(runner, Job(f"chores:{function}", arguments, limits), dict[str, float])

    return call


def test_a_value_comes_back_with_what_was_printed(ask):
    outcome = ask("double", "21")
    assert outcome.value == {"doubled": 42.0}
    # Both streams are one, flushed when each likes.
    assert sorted(outcome.output.splitlines()) == ["and a warning", "doubling 21"]


def test_a_watched_job_tells_what_it_looked_at(runner):
    seen = run(runner, Job("chores:double", ("21",), LIMITS, watched=True), dict[str, float]).seen
    assert seen is not None
    assert time.time_ns() - seen.began < 60e9
    assert run(runner, Job("chores:double", ("21",), LIMITS), dict[str, float]).seen is None


@pytest.mark.parametrize(("kind", "known"), [("fork", 1.0), ("spawn", 0.0)])
def test_a_module_is_loaded_ahead_where_jobs_can_share_it(kind, known, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with closing(_make(kind)) as made:
        ask = _asking(made)
        assert ask("know", "colorsys").value == {"known": 0.0}
        made.prepare("no_such_module")
        made.prepare("colorsys")
        assert ask("know", "colorsys").value == {"known": known}


@pytest.mark.skipif(sys.platform != "linux", reason="a fork server")
def test_jobs_share_a_keeper_one_after_the_other_and_leave_nothing_open_in_it(forked):
    first, *others = (forked("introduce").value for _ in range(4))
    assert {other["parent"] for other in others} == {first["parent"]}
    assert len({other["pid"] for other in (first, *others)}) == 4
    assert {other["descriptors"] for other in others} == {first["descriptors"]}


@pytest.mark.skipif(sys.platform != "linux", reason="a fork server")
def test_a_keeper_that_a_job_ended_is_replaced(forked):
    before = forked("introduce").value
    assert forked("end_parent").trouble.kind is TroubleKind.CRASH
    after = forked("introduce").value
    assert after["parent"] != before["parent"]
    assert after["descriptors"] == before["descriptors"]


def test_infinity_survives_the_way(ask):
    assert ask("double", "inf").value == {"doubled": float("inf")}


def test_a_large_answer_comes_back_whole(ask):
    value = ask("answer_large").value
    assert value is not None
    assert len(value) == 200_000


def test_a_hanging_job_is_stopped_at_the_limit_and_says_where_it_hung(ask):
    started = time.monotonic()
    outcome = ask("hang", limits=SHORT)
    assert time.monotonic() - started < 15
    assert outcome.trouble.kind is TroubleKind.TIME
    assert "after 1 seconds" in outcome.trouble.message
    assert "--timeout" in outcome.trouble.hint
    assert "in hang" in outcome.output


@pytest.mark.parametrize("chore", ["hang_with_child", "finish_with_child"])
def test_processes_that_a_job_started_end_with_it(ask, chore, tmp_path):
    pid_file = tmp_path / "pid"
    ask(chore, str(pid_file), limits=SHORT)
    pid = int(pid_file.read_text())
    assert _ends(pid)


def _ends(pid: int) -> bool:
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(("chore", "code"), [("leave_at_once", 0), ("leave_with_three", 3)])
def test_code_that_ends_the_process_is_told_as_that(ask, chore, code):
    trouble = ask(chore).trouble
    assert trouble.kind is TroubleKind.CRASH
    assert f"exit code {code}" in trouble.message


def test_a_segmentation_fault_is_named_and_shows_its_python_lines(ask):
    outcome = ask("crash")
    assert outcome.trouble.kind is TroubleKind.FAULT
    assert "SIGSEGV" in outcome.trouble.message
    assert "in crash" in outcome.output


@pytest.mark.parametrize(
    ("chore", "where"), [("allocate", ""), ("allocate_and_wrap", "model.py:3")]
)
def test_a_huge_allocation_meets_the_memory_limit(ask, chore, where):
    trouble = ask(chore).trouble
    assert (trouble.kind, trouble.where) == (TroubleKind.MEMORY, where)
    assert "--memory-limit" in trouble.hint


def test_an_error_for_users_keeps_its_words(ask):
    trouble = ask("refuse").trouble
    assert (trouble.kind, trouble.message, trouble.where, trouble.hint) == (
        TroubleKind.CAPTURE, "no loss", "model.py:7", "Return one.",
    )  # fmt: skip


def test_any_other_error_is_a_bug_of_ours_with_its_traceback(ask):
    trouble = ask("fail").trouble
    assert trouble.kind is TroubleKind.BUG
    assert "ValueError: unforeseen" in trouble.details


def test_sys_exit_is_told_with_its_code(ask):
    trouble = ask("exit_politely").trouble
    assert trouble.kind is TroubleKind.TARGET
    assert "SystemExit: 4" in trouble.message
    assert "__main__" in trouble.hint


def test_an_answer_of_another_type_is_nonsense_and_no_crash_of_ours(ask):
    assert ask("answer_with_a_number").trouble.kind is TroubleKind.NONSENSE


def test_a_forked_child_answers_without_a_descriptor(forked):
    assert forked("scribble_on_descriptors").value is not None
    assert forked("close_descriptors").value == {"closed": 1.0}


def test_a_spawned_child_that_harms_the_pipe_of_its_answer_is_told_so(spawned):
    assert spawned("scribble_on_descriptors").trouble.kind is TroubleKind.NONSENSE
    trouble = spawned("close_descriptors").trouble
    assert "could not answer" in trouble.message


def test_endless_output_is_bounded(ask):
    outcome = ask("print_without_end", limits=SHORT)
    assert outcome.trouble.kind is TroubleKind.TIME
    assert len(outcome.output) < 100_000


def test_the_end_of_long_output_is_kept(ask):
    output = ask("print_and_finish").output
    assert "left out" in output.splitlines()[0]
    assert output.endswith(" last\n")


def test_a_job_reads_nothing_from_our_stdin(ask):
    assert ask("read_stdin").value == {"size": 0.0}


def test_a_job_sees_no_arguments_of_ours(ask):
    assert ask("show_arguments").value == {"arguments": 1.0}


def test_a_module_that_does_not_exist_is_no_crash(runner):
    outcome = run(runner, Job("nowhere:nothing", ()), dict[str, float])
    assert outcome.trouble.kind is TroubleKind.BUG


def test_jobs_run_side_by_side(runner):
    jobs = [Job("chores:double", (str(number),), LIMITS) for number in range(8)]
    answers: dict[int, float] = {}

    def one(index: int) -> None:
        answers[index] = run(runner, jobs[index], dict[str, float]).value["doubled"]

    threads = [threading.Thread(target=one, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {index: 2.0 * index for index in range(8)}


@pytest.mark.parametrize("kind", ["fork", "spawn"])
def test_an_interrupted_pool_ends_its_jobs_at_once(kind, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    runner = _make(kind)
    pid_file = tmp_path / "pid"
    job = Job("chores:hang_with_child", (str(pid_file),), LIMITS)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _interrupt_once_running(runner, job, pid_file)
    assert time.monotonic() - started < 30
    assert _ends(int(pid_file.read_text()))


def _interrupt_once_running(runner: Runner, job: Job, pid_file: Path) -> None:
    with open_pool(runner, 1) as pool:
        pool.map(lambda given: run(runner, given, dict[str, float]), [job])
        for _ in range(400):
            if pid_file.exists() and pid_file.read_text():
                raise KeyboardInterrupt
            time.sleep(0.05)


class _Counted:
    """A runner that counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(("keep", "closed"), [(False, True), (True, False)])
def test_a_pool_leaves_a_runner_open_that_is_to_be_kept(keep, closed):
    runner = _Counted()
    with open_pool(runner, 1, keep=keep):
        pass
    assert bool(runner.closed) == closed


def test_a_pool_that_fails_closes_the_runner_even_so():
    runner = _Counted()
    with pytest.raises(KeyboardInterrupt), open_pool(runner, 1, keep=True):
        raise KeyboardInterrupt
    assert runner.closed


def test_a_server_that_cannot_start_is_told_with_its_last_words(monkeypatch, tmp_path):
    (tmp_path / "poison.py").write_text(
        "import os\nprint('no torch today', flush=True)\nos._exit(9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with closing(ForkServer(("poison",))) as server:
        outcome = run(server, Job("chores:double", ("1",)), dict[str, float])
    assert "exit code 9: no torch today" in outcome.trouble.message


def test_closing_twice_is_harmless(monkeypatch):
    server = ForkServer(())
    server.close()
    server.close()


def test_a_folder_with_a_module_like_one_of_the_standard_library_breaks_nothing(
    monkeypatch, tmp_path
):
    (tmp_path / "types.py").write_text("raise RuntimeError('shadowed')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with closing(ForkServer(())) as server:
        outcome = run(server, Job("chores:double", ("1",)), dict[str, float])
    assert outcome.value == {"doubled": 2.0}
