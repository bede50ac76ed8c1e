"""Audit and certify random looped models, as many as asked for, and print the mix.

Every model is drawn from its family and its seed, so a range of seeds can be split over machines
and resumed: what the file of results holds already is not run again. The count is that of every
family; ``--families all`` takes all of them.

    python scripts/certify_programs.py --count 10000 --processes 2 --out programs.jsonl
    python scripts/certify_programs.py --count 100 --families coupled nested --out wider.jsonl
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "properties"))

import torch  # noqa: E402
from looped.comparing import target_of  # noqa: E402
from looped.programs import FAMILIES, random_program  # noqa: E402

from scaleaudit.capture.capturing import capture  # noqa: E402
from scaleaudit.certify.certifying import certify  # noqa: E402
from scaleaudit.domain.facts import Certification, Outcome  # noqa: E402
from scaleaudit.loops.finder import find_loops  # noqa: E402
from scaleaudit.scale.analysis import analyse_and_claim  # noqa: E402

SECONDS = 60.0
# Chunks of programs after which a worker makes way for a new one: torch's memory grows with them.
TASKS = 50
MOST_DISCARDED = 1 / 20
# Programs whose line names no family are of this one.
PLAIN = "plain"


def main() -> int:
    """Run the seeds that are missing, and fail where anything disagrees or too much tells nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--families", nargs="+", default=[PLAIN], choices=[*FAMILIES, "all"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("programs.jsonl"))
    asked = parser.parse_args()
    families = FAMILIES if "all" in asked.families else tuple(dict.fromkeys(asked.families))
    seeds = range(asked.first, asked.first + asked.count)
    programs = [(family, seed) for seed in seeds for family in families]
    known = {(found["family"], found["seed"]): found for found in _lines(asked.out)}
    missing = [program for program in programs if program not in known]
    fresh = multiprocessing.get_context("spawn")
    with (
        asked.out.open("a") as out,
        fresh.Pool(asked.processes, _start, maxtasksperchild=TASKS) as pool,
    ):
        for done, found in enumerate(pool.imap_unordered(certified, missing, chunksize=4), start=1):
            known[found["family"], found["seed"]] = found
            out.write(json.dumps(found) + "\n")
            out.flush()
            if found["disagreements"] or done % 100 == 0:
                print(f"{done}/{len(missing)}", *found["disagreements"], sep="\n  ", flush=True)
    return report([known[program] for program in programs])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text().splitlines():
            yield {"family": PLAIN, **json.loads(line)}


def _start() -> None:
    torch.set_num_threads(1)


def certified(asked: tuple[str, int]) -> dict[str, Any]:
    """Audit and certify one random model."""
    family, seed = asked
    drawn = random_program(family, seed)
    program = capture(target_of(drawn.model, *drawn.args))
    facts, claims = analyse_and_claim(program.graph, find_loops(program.graph))
    found = certify(program, claims, seconds=SECONDS, seed=seed)
    states = [state for loop in facts.loops for state in loop.states]
    miscounted = drawn.shape.complaint(tuple(len(loop.states) for loop in facts.loops))
    return {
        "family": family,
        "seed": seed,
        "transitions": [state.transition.value for state in states],
        "visibilities": [state.visibility.value for state in states],
        "penalties": [
            penalty.flaw.value if penalty.flaw else "effective"
            for state in states
            for penalty in state.penalties
        ],
        "compared": found.compared if found else 0,
        "untold": found.untold if found else 0,
        "discarded": _discarded(found),
        "disagreements": [
            f"{family} {seed}: {each}"
            for each in (
                *([miscounted] if miscounted else []),
                *(
                    f"{each.location}: {each.claim}, but {each.measured}"
                    for each in (found.disagreements if found else ())
                ),
            )
        ],
    }


def _discarded(found: Certification | None) -> str:
    if found is None:
        return "no loop found"
    return "; ".join(found.reasons) if found.outcome is Outcome.NOT_CERTIFIED else ""


def report(found: list[dict[str, Any]]) -> int:
    """Print the mix, and return whether it is as wanted."""
    discarded = Counter(each["discarded"] for each in found if each["discarded"])
    wrong = [line for each in found for line in each["disagreements"]]
    values = sum(each["compared"] for each in found)
    print(f"{len(found)} programs, {values} values compared, {len(wrong)} disagreements")
    print(f"{discarded.total()} discarded: {dict(discarded)}")
    _report_families(found)
    for what in ("transitions", "visibilities", "penalties"):
        mix = Counter(kind for each in found for kind in each[what] or ["none"])
        print(f"{what}: " + ", ".join(f"{count} {kind}" for kind, count in mix.most_common()))
    pairs = Counter(
        f"{t} and {v}"
        for each in found
        for t, v in zip(each["transitions"], each["visibilities"], strict=True)
    )
    print("together: " + ", ".join(f"{count} {pair}" for pair, count in pairs.most_common()))
    print(*wrong, sep="\n")
    return int(bool(wrong) or discarded.total() > MOST_DISCARDED * len(found))


def _report_families(found: list[dict[str, Any]]) -> None:
    """Print what came of every family, and what its states were."""
    for family in dict.fromkeys(each["family"] for each in found):
        own = [each for each in found if each["family"] == family]
        wrong = sum(map(len, (each["disagreements"] for each in own)))
        lost = sum(bool(each["discarded"]) for each in own)
        kinds = Counter(kind for each in own for kind in each["transitions"])
        print(
            f"{family}: {len(own)} programs, {lost} discarded, {wrong} disagreements; "
            + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        )


if __name__ == "__main__":
    sys.exit(main())
