"""Functions for children to run: one for every way in which user code can end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from scaleaudit.errors import CaptureError, TargetError


def double(text: str) -> dict[str, float]:
    print(f"doubling {text}")
    print("and a warning", file=sys.stderr)
    return {"doubled": 2 * float(text)}


def know(module: str) -> dict[str, float]:
    return {"known": float(module in sys.modules)}


def introduce() -> dict[str, float]:
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return {"pid": os.getpid(), "parent": os.getppid(), "descriptors": descriptors}


def end_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    hang()


def hang() -> None:
    while True:
        time.sleep(0.01)


def hang_with_child(pid_file: str) -> None:
    child = subprocess.Popen(["sleep", "600"])
    Path(pid_file).write_text(str(child.pid))
    hang()


def finish_with_child(pid_file: str) -> dict[str, float]:
    child = subprocess.Popen(["sleep", "600"])
    Path(pid_file).write_text(str(child.pid))
    return {}


def leave_at_once() -> None:
    os._exit(0)


def leave_with_three() -> None:
    os._exit(3)


def crash() -> None:
    ctypes.string_at(0)


def allocate() -> int:
    return len(bytearray(10**13))


def allocate_and_wrap() -> None:
    try:
        allocate()
    except MemoryError as error:
        raise TargetError("building failed", where="model.py:3") from error


def refuse() -> None:
    raise CaptureError("no loss", where="model.py:7", hint="Return one.")


def fail() -> None:
    raise ValueError("unforeseen")


def exit_politely() -> None:
    sys.exit(4)


def answer_with_a_number() -> int:
    return 5


def print_without_end() -> None:
    while True:
        print("x" * 1000)


def print_and_finish() -> dict[str, float]:
    print("first " + "x" * 200_000 + " last")
    return {}


def read_stdin() -> dict[str, float]:
    return {"size": float(len(sys.stdin.read()))}


def scribble_on_descriptors() -> dict[str, float]:
    scribbled = 0
    for descriptor in range(3, 64):
        try:
            scribbled += os.write(descriptor, b"scribble")
        except OSError:
            continue
    return {"scribbled": float(scribbled)}


def close_descriptors() -> dict[str, float]:
    os.closerange(0, 1000)
    return {"closed": 1.0}


def answer_large() -> dict[str, float]:
    return {f"key {number}": float(number) for number in range(200_000)}


def show_arguments() -> dict[str, float]:
    return {"arguments": float(len(sys.argv))}
