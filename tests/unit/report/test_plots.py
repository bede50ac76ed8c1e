"""What is drawn of a probe: every run, in words as well, and safe to stand in a page."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from scaleaudit.domain.diagnostics import (
    SWEEP,
    Diagnostics,
    PowerLaw,
    ReadoutResponse,
    StateDiagnostics,
    TurnStep,
)
from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict, StateProbe
from scaleaudit.domain.finding import FixKind
from scaleaudit.domain.probing import Depth, StateTrace, TrainingRun, Turn
from scaleaudit.domain.twins import WORDS, measured
from scaleaudit.report.html.chart import Point, number, thinned
from scaleaudit.report.html.palette import ROLES, style_sheet
from scaleaudit.report.html.plots import plots_of_probe, plots_of_traces

TURNS, STEPS = 4, range(0, 100, 5)
HOSTILE = "</svg><script>alert('$x_1$')</script>"


def lengths(step: int, factor: float) -> tuple[Turn, ...]:
    means = [factor * (1 + step / 10) * turn for turn in range(1, TURNS + 1)]
    return tuple(Turn(mean, 1.5 * mean, 2 * mean) for mean in means)


def run(fix: str, seed: int, factor: float, overflowed: int | None = None) -> TrainingRun:
    measured_at = tuple(step for step in STEPS if overflowed is None or step <= overflowed)
    traces = tuple(
        StateTrace(
            name,
            "Looped.forward",
            tuple(lengths(step, factor) for step in measured_at),
            tuple(Depth(turns, factor * turns, 2.0 + seed / 10) for turns in (1, 2, 4, 8, 16)),
        )
        for name in ("h", HOSTILE)
    )
    losses = tuple(3.0 - step / 100 for step in range(100))
    return TrainingRun(seed, fix, measured_at, losses, traces, 1.0, overflowed)


def state(name: str) -> StateDiagnostics:
    raw = tuple(5.0 * factor for factor in SWEEP)
    return StateDiagnostics(
        name,
        "Looped.forward",
        TURNS,
        losses=(5.0,) * len(SWEEP),
        readouts=(ReadoutResponse(1, (5.0,) * len(SWEEP), 0.0), ReadoutResponse(4, raw, 0.3)),
        steps=tuple(TurnStep(t, 3.0 * t, 1.0, 1.0 / t, 0.0, 9.0) for t in range(1, 17)),
        turning=PowerLaw(-1.0, 0.01),
    )


def probed(*runs: TrainingRun) -> ProbeOutcome:
    names = ("h", HOSTILE)
    return ProbeOutcome(
        ProbeVerdict.CONFIRMED,
        tuple(StateProbe(name, "Looped.forward", ProbeVerdict.CONFIRMED) for name in names),
        runs=runs,
        diagnostics=Diagnostics("", 5.0, tuple(map(state, names))),
    )


FULL = tuple(
    run(fix, seed, factor * (1 + seed / 5))
    for seed in range(3)
    for fix, factor in {"": 100.0, **dict.fromkeys(WORDS.values(), 4.0)}.items()
)


@pytest.fixture(scope="module")
def drawn():
    return plots_of_probe(probed(*FULL))


def plots(drawn):
    return [plot for state in drawn for plot in state.plots]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("text")]


def described(svg: str) -> str:
    return ET.fromstring(svg).findtext("desc") or ""


def test_every_plot_of_every_state_is_drawn(drawn):
    keys = [[plot.key for plot in state.plots] for state in drawn]
    assert keys == [["norm-step", "norm-turn", "loss-depth", "loss-scale", "angle-turn"]] * 2


def test_a_plot_names_the_target_and_every_twin_at_the_ends_of_their_curves(drawn):
    (first, *_) = drawn[0].plots
    said = " ".join(texts(first.svg))
    for name in ("as it is", "penalty", "norm between", "raw readout", "training step", "‖h‖, L2"):
        assert name in said
    assert first.table.heads[1:] == ("as it is", "penalty", "norm between turns", "raw readout")


def test_a_plot_tells_its_numbers_in_words(drawn):
    said = described(drawn[0].plots[0].svg)
    # The factors of three seeds are 100, 120 and 140; at step 95 turn 4 is 42 times as long.
    assert "as it is: 476 at 0, 4,993 at 95 (3 seeds, at the end 4,200 to 5,880)" in said
    assert drawn[0].plots[0].table.rows[-1][1] == "4,993 (4,200 to 5,880)"


def test_turns_beyond_those_trained_are_pointed_out(drawn):
    plot = drawn[0].plots[1]
    assert {"trained: 4", "×2", "×4", "16"} <= set(texts(plot.svg))
    assert "trained with 4 turns" in plot.caption


def test_a_flat_loss_is_told_from_one_that_a_raw_readout_gives(drawn):
    (scaled,) = (plot for plot in drawn[0].plots if plot.key == "loss-scale")
    assert scaled.table.heads[1:] == ("at every turn", "at turn 4 alone")
    assert "changes by less than 0.01 %" in scaled.caption
    assert "at turn 4 alone: 0.625 at 0.125, 50,000 at 10,000" in described(scaled.svg)


def test_names_at_the_ends_do_not_cover_each_other(drawn):
    for plot in plots(drawn):
        beside = [e for e in ET.fromstring(plot.svg).iter("text") if float(e.get("x", 0)) > 300]
        rows = sorted(float(e.get("y", 0)) for e in beside if e.get("text-anchor") != "middle")
        assert all(below - above >= 13 for above, below in pairwise(rows))
        assert all(0 < row < 300 for row in rows)


def test_no_id_is_used_twice_in_a_page(drawn):
    ids = [
        e.get("id") for plot in plots(drawn) for e in ET.fromstring(plot.svg).iter() if e.get("id")
    ]
    assert len(ids) == len(set(ids))
    for plot in plots(drawn):
        named = (ET.fromstring(plot.svg).get("aria-labelledby") or "").split()
        assert len(named) == 2
        assert set(named) <= set(ids)


def test_a_drawing_has_nothing_that_a_policy_could_block_or_a_page_could_suffer_from(drawn):
    for plot in plots(drawn):
        root = ET.fromstring(plot.svg)
        assert root.get("role") == "img"
        assert not {e.tag for e in root.iter()} & {"style", "script", "metadata", "image"}
        names = {name for e in root.iter() for name in e.attrib}
        assert not {"style", "onload"} & names
        links = [e.get("href") for e in root.iter() if e.get("href")]
        assert all(link.startswith("#") for link in links)
        assert "#0000" not in plot.svg  # no placeholder is left


def test_a_hostile_name_is_text():
    odd = plots_of_probe(probed(run("", 0, 9.0), run(HOSTILE, 0, 2.0)))
    svg = odd[1].plots[0].svg
    assert "<script" not in svg
    assert HOSTILE in described(svg)
    assert any("$x_1$" in text or "</svg>" in text for text in texts(svg))


def test_all_plots_of_a_probe_are_small_and_drawn_alike_every_time(drawn):
    assert sum(len(plot.svg) for plot in drawn[0].plots) < 80_000
    again = plots_of_probe(probed(*FULL))
    assert [plot.svg for plot in plots(again)] == [plot.svg for plot in plots(drawn)]


def test_a_run_whose_numbers_ended_says_where():
    odd = plots_of_probe(probed(run("", 0, 50.0, overflowed=40), run("", 1, 60.0)))
    step, turn, *_ = odd[0].plots
    assert "no number at step 40 in 1 of 2 seeds" in described(step.svg)
    assert "no number" in " ".join(texts(step.svg))
    assert step.table.rows[-1][0] == "40"
    assert turn.key != "norm-turn"  # there is nothing to show after training


def test_numbers_that_are_none_are_left_out():
    broken = run("", 0, 5.0)
    ended = tuple(Turn(math.nan, math.inf, math.inf) for _ in range(TURNS))
    traces = tuple(
        replace(t, turns=(*t.turns[:-2], ended, ended), depths=()) for t in broken.states
    )
    found = plots_of_probe(probed(replace(broken, states=traces)))
    assert found[0].plots[0].table.rows[-1][0] == "85"


def test_without_runs_what_needs_no_training_is_drawn():
    found = plots_of_probe(probed())
    assert [plot.key for plot in found[0].plots] == ["loss-scale", "angle-turn"]
    assert plots_of_probe(ProbeOutcome(ProbeVerdict.INCONCLUSIVE)) == ()


def test_losses_below_zero_are_drawn():
    own = run("", 0, 5.0)
    traces = tuple(
        replace(t, depths=tuple(replace(at, loss=-at.loss) for at in t.depths)) for t in own.states
    )
    found = plots_of_probe(probed(replace(own, states=traces)))
    (depth,) = (plot for plot in found[0].plots if plot.key == "loss-depth")
    assert depth.table.rows[0][1] == "-2"


def test_traces_are_drawn_by_what_they_say_of_themselves():
    runs = [run(name, seed, 5.0) for name in ("per-loop", "terminal, raw") for seed in (0, 1)]
    found = plots_of_traces(runs, "t")
    assert [(each.state, each.loop) for each in found] == [
        ("h", "Looped.forward"),
        (HOSTILE, "Looped.forward"),
    ]
    assert [plot.key for plot in found[0].plots][-1] == "loss-step"
    assert found[0].plots[0].table.heads[1:] == ("per-loop", "terminal, raw")


def test_a_long_run_keeps_its_peaks_and_its_ends():
    points = [Point(x, 1.0, 1.0, 1.0) for x in range(5000)]
    points[2345] = Point(2345, 9.0, 9.0, 9.0)
    kept = thinned(tuple(points))
    assert len(kept) <= 122
    assert points[2345] in kept
    assert (kept[0], kept[-1]) == (points[0], points[-1])


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (1234567.0, "1.23e6"), (39000.0, "39,000"), (2.3649, "2.36"), (1e-9, "1.00e-9")],
)
def test_numbers_are_short(value, said):
    assert number(value) == said


def test_what_a_fix_did_is_measured_on_the_seeds_that_both_have():
    found = measured(FixKind.PENALTY, probed(*FULL[:6]), 0)
    assert found is not None
    assert found.seeds == 2
    assert found.before.norm == pytest.approx(4 * 10.5 * math.sqrt(100 * 120))
    assert found.after.norm == pytest.approx(4 * 10.5 * math.sqrt(4 * 4.8))
    assert found.before.loss == pytest.approx(sum(3 - s / 100 for s in range(90, 100)) / 10)
    assert measured(None, probed(*FULL), 0) is None
    assert measured(FixKind.RAW_READOUT, probed(run("", 0, 5.0)), 0) is None


def test_a_run_that_overflowed_has_no_end_to_compare():
    found = measured(
        FixKind.PENALTY, probed(run("", 0, 9.0, 40), run(WORDS[FixKind.PENALTY], 0, 2.0)), 0
    )
    assert found is not None
    assert (found.before.norm, found.before.loss) == (None, None)
    assert found.after.norm == pytest.approx(4 * 10.5 * 2)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_curves_and_text_stand_out_on_either_ground(role):
    least = {"grid": 1.3, "ink": 4.5, "muted": 4.5}.get(role.name, 3.0)
    assert contrast(role.light, "#ffffff") >= least
    assert contrast(role.dark, "#0d1117") >= least
    assert f".f-{role.name}" in style_sheet()


def test_matplotlib_is_loaded_when_there_is_something_to_draw():
    code = (
        "import sys; from scaleaudit.report.html.plots import plots_of_traces; plots_of_traces(());"
        "sys.exit('matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("low", "high"), [(1.0, 1e308), (5e-324, 1.79e308), (1.7e308, 1.79e308)])
def test_numbers_as_large_as_there_are_can_be_drawn(low, high):
    own = run("", 0, 5.0)
    ends = tuple((Turn(end, end, end),) * TURNS for end in (low, high))
    traces = tuple(replace(trace, turns=ends) for trace in own.states)
    huge = replace(own, measured=(0, 5), losses=(-high, high), states=traces)
    found = plots_of_probe(probed(huge, replace(huge, seed=1)))
    assert number(high) in found[0].plots[0].svg
