"""Count the work of the audits that ``tests/work`` guards: ``python scripts/count_work.py``.

Prints every count beside the one that is checked in; ``--write`` checks in what was counted.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "work")]

from counting import FILE, GUARDED, Work, count_work, read_work, write_work  # noqa: E402


def main() -> None:
    """Count, show what changed, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="rewrite the file of counts")
    writes = parser.parse_args().write
    known = read_work() if FILE.exists() else {}
    counts = {}
    for target in GUARDED:
        counts[target] = count_work(target)
        print(f"{target}\n    {_spelt(counts[target], known.get(target))}")
    if writes:
        write_work(counts)


def _spelt(now: Work, before: Work | None) -> str:
    then = asdict(before) if before else {}
    return ", ".join(
        f"{name} {count:,}" + (f" (was {then[name]:,})" if then.get(name, count) != count else "")
        for name, count in asdict(now).items()
    )


if __name__ == "__main__":
    main()
