"""Many threads may meet a type for the first time at once."""

from __future__ import annotations

import subprocess
import sys

# On its own, msgspec ends the process with a segmentation fault here within a few rounds.
_MANY_THREADS = """
import dataclasses, msgspec, sys, threading
from scaleaudit.wire import read_json, read_packed

sys.setswitchinterval(1e-6)


def read(data, kind, start):
    start.wait()
    assert read_packed(data, kind) == kind()


for number in range(40):
    inner = dataclasses.make_dataclass(f"Inner{number}", [(f"f{k}", int) for k in range(40)])
    fields = [(f"f{k}", inner | None, None) for k in range(30)]
    kind = dataclasses.make_dataclass(f"Outer{number}", fields)
    data, start = msgspec.msgpack.encode(kind()), threading.Barrier(8)
    threads = [threading.Thread(target=read, args=(data, kind, start)) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert read_json(msgspec.json.encode(kind()).decode(), kind) == kind()
"""


def test_types_are_read_by_several_threads_at_once():
    done = subprocess.run(
        [sys.executable, "-c", _MANY_THREADS], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
