"""Has architectures built and run, each in a forked child of a process that knows transformers.

What hangs, crashes or takes too much memory takes nothing else with it, and the import, which
costs seconds, is paid once.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.zoo.architectures import Architecture
from benchmarks.zoo.building import RUN, Outcome, build_and_run

_SECONDS = 90
_MEMORY = 3 * 2**30


def prepare(architecture: Architecture, target: Path, hints: Mapping[str, Any]) -> Outcome:
    """Have a child build it and run it, and write its target file."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _be_child(architecture, target, hints, write)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if text:
        return Outcome(**json.loads(text))
    code = os.waitstatus_to_exitcode(status)
    how = f"no end within {_SECONDS} s" if code == -signal.SIGALRM else f"exit code {code}"
    return Outcome(RUN, how)


def _be_child(
    architecture: Architecture, target: Path, hints: Mapping[str, Any], answer: int
) -> NoReturn:
    """Build, answer and end, whatever happens; the alarm's default is to end the process."""
    code = 1
    try:
        signal.alarm(_SECONDS)
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        warnings.simplefilter("ignore")
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115  it ends with the process
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            outcome = build_and_run(architecture, target, hints)
        os.write(answer, json.dumps(asdict(outcome)).encode())
        code = 0
    finally:
        os._exit(code)


def main() -> None:
    """Answer every line on standard input, an architecture, with what came of it."""
    import torch
    import transformers

    # A fork keeps no threads but the one that forks.
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for line in sys.stdin:
        asked = json.loads(line)
        architecture = Architecture(**asked["architecture"])
        outcome = prepare(architecture, Path(asked["target"]), asked["hints"])
        print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    main()
