"""Nothing that a model's file does harms the run, the other files, or what is left afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import uuid
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from hostile_files import ALL
from running import environment, signals_heard
from user_files import BLIND

from scaleaudit.api import Options, audit
from scaleaudit.isolation.jobs import Limits
from scaleaudit.isolation.runner import OnDemand
from scaleaudit.isolation.spawning import Spawner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and the fork server")

# Each a whole process tree of its own in time and memory; the good file needs a fraction of both.
SECONDS, GIB = 8, 1
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


class Run:
    """A run of the command line that can be told from all else on the machine."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._mark = uuid.uuid4().hex
        self._temporary = folder / "temporary"
        self._temporary.mkdir(exist_ok=True)
        self._started = time.monotonic()
        with signals_heard():
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scaleaudit", "check", *arguments, "--format", "json"],
                cwd=folder,
                env={**environment(), "TMPDIR": str(self._temporary), "SWEEP_MARK": self._mark},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def finish(self) -> dict[str, dict]:
        """Wait for the end and return the targets by path."""
        out, err = self.process.communicate(timeout=200)
        assert "Traceback" not in err
        return {target["path"]: target for target in json.loads(out)["targets"]}

    def left(self) -> list[str]:
        """Return what the run left behind: processes, and files for temporary use."""
        processes = [
            f"{entry.name}: {_bytes(entry / 'cmdline')!r}"
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and self._mark.encode() in _bytes(entry / "environ")
        ]
        return processes + [str(path) for path in self._temporary.iterdir()]

    def wait_until_nothing_is_left(self, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.left() == []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _facts(target: dict) -> dict:
    return {key: value for key, value in target.items() if key != "seconds"}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    for name, hostile in ALL.items():
        (folder / f"{name}.py").write_text(hostile.text)
    (folder / "good.py").write_text(BLIND)
    limits = ("--timeout", str(SECONDS), "--memory-limit", str(GIB), "--jobs", "4")
    run = Run(folder, ".", *limits)
    targets = run.finish()
    assert run.process.returncode == 2
    return folder, run, targets


@pytest.mark.parametrize("name", ALL)
def test_a_hostile_file_is_audited_or_told_what_is_wrong_with_it(sweep, name):
    hostile, target = ALL[name], sweep[2][f"{name}.py"]
    told = [found for found in target["findings"] if found["code"] == "SCL901"]
    if not told:
        assert hostile.either or not hostile.words
        assert target["loops"]
        return
    (finding,) = told
    assert hostile.either or hostile.words, finding["message"]
    assert "bug of scaleaudit" not in json.dumps(finding)
    if hostile.either:
        return
    assert all(word in finding["message"] for word in hostile.words), finding["message"]
    assert finding["fixes"]
    if hostile.line is not None:
        assert finding["location"]["line"] == hostile.line


def test_a_good_file_is_judged_among_hostile_ones_as_it_is_alone(sweep):
    folder, _, targets = sweep
    alone = Run(folder, "good.py").finish()["good.py"]
    assert _facts(targets["good.py"]) == _facts(alone)
    assert targets["good.py"]["verdict"] == "fail"


def test_hostile_files_leave_nothing_behind(sweep):
    sweep[1].wait_until_nothing_is_left(5.0)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_that_is_ended_leaves_nothing_behind(number, tmp_path):
    (tmp_path / "hang.py").write_text(
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(120)\n"
        f"open({str(tmp_path / 'running')!r}, 'w').close()\ntime.sleep(120)\n"
    )
    run = Run(tmp_path, "hang.py")
    _wait_for(tmp_path / "running")
    assert run.left()
    run.process.send_signal(number)
    _, err = run.process.communicate(timeout=60)
    assert run.process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in err
    run.wait_until_nothing_is_left()


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_that_is_killed_while_it_loads_torch_leaves_nothing_behind(tmp_path):
    (tmp_path / "good.py").write_text(BLIND)
    run = Run(tmp_path, "good.py")
    time.sleep(0.3)
    run.process.kill()
    run.process.communicate(timeout=60)
    run.wait_until_nothing_is_left()


# What differs between the ways of making children, not every file again.
SPAWNED = ("loops_in_c", "asks_torch_for_200_gb", "closes_all_descriptors", "patches_the_exits")


def test_spawned_children_stand_hostile_files_as_well(tmp_path):
    for name in SPAWNED:
        (tmp_path / f"{name}.py").write_text(ALL[name].text)
    options = Options(limits=Limits(seconds=SECONDS, memory=GIB << 30), jobs=2)
    workers = OnDemand(partial(Spawner, ("scaleaudit.capture.warm",)))
    with closing(workers):
        report = audit([str(tmp_path)], options, staff=workers)
    for target in report.targets:
        hostile = ALL[Path(target.path).stem]
        messages = [found.message for found in target.findings if found.code == "SCL901"]
        if Path(target.path).stem == "closes_all_descriptors":
            assert "could not answer" in messages[0]
        elif hostile.words:
            assert all(word in messages[0] for word in hostile.words)
        else:
            assert not messages
