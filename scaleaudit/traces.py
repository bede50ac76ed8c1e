"""What training runs went through, as JSON: a line a run, for whoever plots or compares them."""

from __future__ import annotations

import json
import math

from scaleaudit.domain.probing import StateTrace, TrainingRun
from scaleaudit.wire import Json


def run_line(path: str, target: str, run: TrainingRun) -> str:
    """Write a run as a line of JSON that says which target it is of."""
    of: dict[str, Json] = {"path": path, "target": target, "kind": "run"}
    return f"{json.dumps(of | run_document(run), allow_nan=False)}\n"


def run_document(run: TrainingRun) -> dict[str, Json]:
    """Write one training run as JSON; null where a number is none."""
    return {
        "seed": run.seed,
        "fix": run.fix or None,
        "seconds": round(run.seconds, 3),
        "overflowed": run.overflowed,
        "losses": [_number(loss) for loss in run.losses],
        "measured": list(run.measured),
        "states": [_trace_document(state) for state in run.states],
    }


def _trace_document(trace: StateTrace) -> dict[str, Json]:
    return {
        "name": trace.state,
        "loop": trace.loop,
        "norms": [
            [
                {"mean": _number(at.mean), "p95": _number(at.p95), "max": _number(at.largest)}
                for at in turns
            ]
            for turns in trace.turns
        ],
        "depths": [
            {"turns": at.turns, "norm": _number(at.norm), "loss": _number(at.loss)}
            for at in trace.depths
        ],
        "kept": _number(trace.carry.kept),
        "reach": _number(trace.carry.reach),
        "untouched": _number(trace.carry.untouched),
        "attainable": _number(trace.carry.attainable),
    }


def _number(value: float | None) -> Json:
    """Write a number; JSON has no word for infinity."""
    return value if value is not None and math.isfinite(value) else None
