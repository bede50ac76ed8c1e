"""Several processes of one command, started by ``torchrun``: the first of them speaks."""

from __future__ import annotations

import os
import time

# Seconds in which the first process comes to say what is wrong with all of them.
_A_MOMENT = 5.0


def is_first() -> bool:
    """Tell whether this process speaks: it is the only one, or the first that was started.

    ``torchrun`` says so in the environment; what else sets a rank there means other processes.
    """
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"


def let_the_first_speak() -> None:
    """Wait a moment before ending, unless this process is the first.

    ``torchrun`` ends all of them as soon as one ends: the first before it has said why, otherwise.
    """
    if not is_first():
        time.sleep(_A_MOMENT)
