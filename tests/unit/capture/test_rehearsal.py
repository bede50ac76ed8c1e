"""The rehearsal records something like a model, and leaves nothing that a fork would mind."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import threading
from pathlib import Path
from scaleaudit.capture import warm
from scaleaudit.capture import capturing
recorded = []
ways = dict(capturing.WAYS)
threads = len(list(Path("/proc/self/task").iterdir()))
first = capturing.capture_by
capturing.capture_by = lambda *arguments: recorded.append(first(*arguments))
from scaleaudit.capture import rehearsal
print({node.op for node in recorded[0].graph.nodes} >= {"aten.embedding.default"}, end=" ")
print(len(list(Path("/proc/self/task").iterdir())) - threads, threading.active_count())
"""


def test_the_rehearsal_starts_no_thread():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("True 0 1\n", "")
