"""Whatever a command starts is on its account, though it outlives whoever started it.

Each account is taken in a process of its own, since it takes every child for the command's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1 << 20

ACCOUNT = """
import dataclasses, json, sys
from benchmarks.accounting import CommandError, account
try:
    usage = account([sys.executable, "-c", sys.argv[1]], weigh=sys.argv[2] == "weigh")
except CommandError as error:
    sys.exit(str(error))
print(json.dumps(dataclasses.asdict(usage)))
"""
BURN = """
import os, sys, time
def burn(seconds):
    while time.process_time() < seconds:
        pass
"""


def account(command: str, *, weigh: bool = False) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", ACCOUNT, command, "weigh" if weigh else ""],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_output_and_exit_code_are_the_commands() -> None:
    usage = account("import sys; print('said'); print('wrong', file=sys.stderr); sys.exit(3)")
    assert usage["code"] == 3
    assert set(usage["output"].split()) == {"wrong", "said"}


def test_time_of_a_child_of_a_child_counts() -> None:
    usage = account(
        BURN
        + """
if os.fork() == 0:
    if os.fork() == 0:
        burn(0.4)
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
"""
    )
    assert usage["cpu"] >= 0.4


def test_time_of_an_orphan_counts_though_the_command_has_ended() -> None:
    usage = account(
        BURN
        + """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        burn(0.4)
    os._exit(0)
os._exit(0)
"""
    )
    assert usage["cpu"] >= 0.4


def test_time_of_a_process_that_was_killed_counts() -> None:
    usage = account(
        BURN
        + """
import signal
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    burn(0.4)
    os.write(writer, b"done")
    time.sleep(60)
os.read(reader, 4)
os.kill(child, signal.SIGKILL)
"""
    )
    assert usage["cpu"] >= 0.4


def test_largest_process_is_found_among_descendants() -> None:
    usage = account(
        f"import subprocess, sys; "
        f"subprocess.run([sys.executable, '-c', 'bytearray({200 * MEGABYTE})'])"
    )
    assert usage["largest"] >= 200 * MEGABYTE
    assert usage["together"] == 0


def test_memory_of_all_processes_is_added_up_and_shared_pages_counted_once() -> None:
    usage = account(
        f"""
import os, time
shared = b"x" * {100 * MEGABYTE}
ready, told = os.pipe()
seen, tell = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        own = b"y" * {100 * MEGABYTE}
        os.write(told, b".")
        os.close(tell)
        os.read(seen, 1)  # until the parent has gone
        os._exit(0)
for _ in range(2):
    os.read(ready, 1)
time.sleep(1)
""",
        weigh=True,
    )
    assert 300 * MEGABYTE <= usage["together"] < 400 * MEGABYTE
    assert 200 * MEGABYTE <= usage["largest"] < 300 * MEGABYTE


def test_who_measures_is_small_since_new_processes_start_from_its_memory() -> None:
    command = "import sys, benchmarks.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=False).returncode == 0
