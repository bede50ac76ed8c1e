"""How a calibration is planned, kept and judged; nothing is trained for it."""

import math
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from benchmarks.calibration.cases import (
    CHAIN,
    EXAMPLE,
    EXAMPLES,
    MADE,
    OWN,
    SEEDS,
    SMALL,
    TEXT,
    UNIT,
    Case,
    Family,
    Part,
    Truth,
    families,
    shares,
    wanted,
)
from benchmarks.calibration.family import chained, declared
from benchmarks.calibration.judging import (
    Outcome,
    by_model,
    by_run,
    fitted,
    in_use,
    outcome_of,
    response_of,
    setting,
)
from benchmarks.calibration.page import to_page
from benchmarks.calibration.records import Figures, Record, read_records
from benchmarks.calibration.running import record_of
from benchmarks.lines import append_lines
from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict, StateProbe
from scaleaudit.domain.probing import StateTrace, TrainingRun, Turn
from scaleaudit.probe.twins import Fix

BLIND = Family("per_loop_rmsnorm", "64", UNIT, TEXT)
HELD = Family("norm_between", "64", UNIT, TEXT)
SEEN = Family("per_loop_raw", "64", UNIT, TEXT)
GROWN = Figures("h", True, 1e-11, 14.0, 1000.0, 40.0, 3.2)
KEPT = Figures("h", True, 1e-13, 8.0, 8.0, 8.0, 1.0)
RISING = Figures("h", True, None, 14.0, 10.0, 8.0, 4.0)
RECIPE = (("device", "cpu"), ("precision", "float32"))


def record(family=BLIND, figures=GROWN, seed=0, **more):
    case = Case(family, seed)
    return Record(case, 100, states=(figures,), fall=0.9, recipe=RECIPE, seconds=5.0, **more)


def kept(*records):
    return {each.case: each for each in records}


def test_every_model_is_run_with_all_data_and_seeds():
    cases = wanted(families(("64", "32", "128", EXAMPLE)), None)
    assert len(cases) == len(set(cases)) == 8 * 3 * 2 * 2 * SEEDS + len(EXAMPLES) * SEEDS
    assert all((Path("examples") / f"{name}.py").is_file() for name in EXAMPLES)


def test_the_halves_share_neither_data_nor_seeds():
    cases = wanted(families(("64",)), None)
    half = {part: [case for case in cases if case.part is part] for part in Part}
    sets, judged = half[Part.SETS], half[Part.JUDGED]
    assert {case.family.data for case in sets} == {TEXT}
    assert {case.family.data for case in judged} == {CHAIN}
    assert not {case.seed for case in sets} & {case.seed for case in judged}
    assert len(sets) + len(judged) + len(half[Part.MIXED]) == len(cases)
    assert Case(replace(BLIND, size="44m"), 0).part is Part.LARGE


def test_the_halves_come_first():
    parts = [case.part for case in wanted(families(("64", "32")), None)]
    assert Part.MIXED not in parts[: parts.count(Part.SETS) + parts.count(Part.JUDGED)]


def test_runs_are_chosen_by_patterns():
    cases = wanted(families(("64", "32")), ["norm_between/32/N(0, 1)/*/0"])
    assert [str(case) for case in cases] == [
        "norm_between/32/N(0, 1)/text/0",
        "norm_between/32/N(0, 1)/chain/0",
    ]


def test_all_runs_of_a_model_go_to_one_process():
    cases = wanted(families(("64", "32")), None)
    dealt = shares(cases, 5)
    assert sorted(case for share in dealt for case in share) == sorted(cases)
    homes = Counter(family for share in dealt for family in {case.family for case in share})
    assert set(homes.values()) == {1}
    assert len(shares(cases[:1], 5)) == 1


def test_records_come_back_and_a_later_one_counts(tmp_path):
    file = tmp_path / "runs.jsonl"
    append_lines(file, [record(), record(figures=RISING), record(seed=1)])
    with file.open("ab") as cut:
        cut.write(b'{"case":')
    append_lines(file, [record(SEEN, RISING)])
    assert read_records(file) == kept(record(figures=RISING), record(seed=1), record(SEEN, RISING))


def test_answers_to_scale_come_back():
    assert response_of(GROWN).change == pytest.approx(1e-11, rel=1e-4)
    assert response_of(replace(GROWN, response=0.99)).change == pytest.approx(0.99)
    assert response_of(replace(GROWN, response=-0.99)).change == pytest.approx(-0.99)
    assert response_of(replace(GROWN, response=-0.99)).is_rewarded
    assert not response_of(RISING).is_flat
    assert response_of(RISING).is_known
    assert not response_of(replace(GROWN, known=False)).is_known


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (record(), Outcome.RIGHT),
        (record(HELD, KEPT), Outcome.RIGHT),
        (record(SEEN, RISING), Outcome.RIGHT),
        (record(BLIND, KEPT), Outcome.WRONG_REFUTED),
        (record(HELD, GROWN), Outcome.WRONG_CONFIRMED),
        (record(BLIND, replace(GROWN, norm=50.0)), Outcome.INCONCLUSIVE),
        (record(BLIND, replace(GROWN, norm=None), overflowed=True), Outcome.RIGHT),
        (Record(Case(BLIND, 0), 100, reason="It broke."), Outcome.FAILED),
    ],
)
def test_a_verdict_is_held_against_the_truth(found, outcome):
    assert outcome_of([found]) is outcome


def test_a_model_is_shown_no_more_seeds_than_the_command_takes():
    odd = [record(figures=KEPT, seed=seed) for seed in (2, 3)]
    assert outcome_of([record(), record(seed=1), *odd]) is Outcome.RIGHT  # clear after two
    assert outcome_of([record(), *odd]) is Outcome.INCONCLUSIVE  # the seeds do not agree
    near = [record(figures=replace(GROWN, norm=90.0), seed=seed) for seed in range(3)]
    assert outcome_of([*near, *odd]) is Outcome.RIGHT  # never sees the fourth


def test_states_of_a_model_are_put_together():
    both = replace(record(), states=(KEPT, GROWN))
    assert outcome_of([both]) is Outcome.RIGHT
    open_ = replace(both, states=(KEPT, replace(GROWN, norm=50.0)))
    assert outcome_of([open_]) is Outcome.INCONCLUSIVE


def test_runs_and_models_are_counted_by_part():
    records = kept(
        record(), record(figures=KEPT, seed=2), record(replace(BLIND, data=CHAIN), KEPT, seed=1)
    )
    runs, models = by_run(records), by_model(records)
    assert runs[Part.SETS] == {Outcome.RIGHT: 1, Outcome.WRONG_REFUTED: 1}
    assert models[Part.SETS] == {Outcome.INCONCLUSIVE: 1}
    assert models[Part.JUDGED] == {Outcome.WRONG_REFUTED: 1}


def test_thresholds_lie_between_what_blind_and_held_runs_did():
    runs = (
        record(figures=replace(GROWN, norm=320.0, deeper=2.7)),  # 8 times the twin
        record(seed=2),
        record(HELD, replace(KEPT, deeper=1.0)),
        record(SEEN, replace(RISING, norm=16.0)),  # 2 times the twin
        Record(Case(BLIND, 4), 100, reason="It broke."),
    )
    bounds = fitted(runs)
    assert (bounds.STAYED_RATIO, bounds.GROWN_RATIO) == (2.0, 4.0)
    deeper = bounds.STAYED_DEEPER, bounds.GROWN_DEEPER
    assert deeper == pytest.approx((2.7 ** (1 / 3), 2.7 ** (2 / 3)), abs=1e-3)
    assert math.isclose(bounds.ESCAPED_RATIO, 3.0)


def test_other_thresholds_hold_for_a_while():
    before, near = in_use(), record(BLIND, replace(GROWN, norm=60.0))  # 1.5 times the twin
    assert outcome_of([near]) is Outcome.INCONCLUSIVE
    with replace(before, GROWN_RATIO=1.4).applied():
        assert outcome_of([near]) is Outcome.RIGHT
    assert in_use() == before


def test_only_the_small_runs_on_text_set_thresholds():
    mine = record()
    others = (
        record(seed=1),
        record(replace(BLIND, data=CHAIN), seed=1),
        record(replace(BLIND, size="44m")),
        record(Family("looped_gpt_blind", EXAMPLE, OWN, MADE)),
    )
    assert setting(kept(mine, *others)) == [mine]


def idiom(name):
    return Family(name, "idiom", "own", "made")


def test_idioms_are_judged_by_what_the_analysis_says_of_them():
    truths = [family.truth for family in families(("idiom",))]
    assert set(truths) == set(Truth)
    assert idiom("readouts-rms_normed").truth is Truth.BLIND
    assert idiom("readouts-raw").truth is Truth.CONTROLLED
    assert idiom("transitions-halved").truth is Truth.EITHER
    for figures in (GROWN, KEPT):
        assert outcome_of([record(idiom("transitions-halved"), figures)]) is Outcome.RIGHT
    wrong = record(idiom("readouts-raw"), GROWN)
    page = to_page(kept(wrong))
    assert "| idioms | 1 models | 0 | 1 (100.0%) | 0 | 0 | 0 |" in page
    assert "`readouts-raw` |" not in page


def test_what_a_turn_keeps_is_judged_where_it_was_measured():
    near = replace(GROWN, norm=50.0)
    assert outcome_of([record(BLIND, near)]) is Outcome.INCONCLUSIVE
    assert outcome_of([record(BLIND, replace(near, kept=1.0, reach=1e4))]) is Outcome.RIGHT


def test_the_page_tells_what_went_wrong():
    wrong = record(BLIND, KEPT, seed=1)
    broken = Record(Case(SEEN, 0), 100, reason="The loss is constant: a|b.")
    page = to_page(kept(record(), record(HELD, KEPT), wrong, broken))
    assert (
        "| `per_loop_rmsnorm/64/N(0, 1)/text/1` | wrong refuted | 1e-13 | 1 | 1 | none | none | none "
        "| 0.9 |" in page
    )
    assert "failed: The loss is constant: a\\|b." in page
    assert "| small, text, even seeds | 3 models | 2 (66.7%) | 0 | 0 | 0 | 1 (33.3%) |" in page
    assert "these were not made: 141 of small, text, even seeds, " in page
    assert "every run by itself gives the right verdict" in to_page(kept(record()))


def test_figures_are_taken_out_of_the_runs():
    def run(fix, *norms, overflowed=None):
        turns = tuple((Turn(norm, norm, norm),) for norm in norms)
        trace = StateTrace("h", "loop", turns)
        return TrainingRun(0, fix, (0, 9), (5.0, *[1.0] * 10), (trace,), 1.0, overflowed)

    probed = StateProbe(
        "h", "loop", ProbeVerdict.CONFIRMED, response=math.inf, deeper=3.0, deepers=(3.0,)
    )
    runs = (run(Fix.PENALTY.value, 14.0, 30.0), run("", 14.0, 500.0, overflowed=9))
    outcome = ProbeOutcome(ProbeVerdict.CONFIRMED, (probed,), 10, 1, runs=runs, seconds=3.21)
    found = record_of(Case(BLIND, 0), outcome)
    assert found.states == (Figures("h", True, None, 14.0, 500.0, 30.0, 3.0, late=1.0),)
    assert (found.overflowed, found.fall, found.loss, found.seconds) == (True, 0.8, 1.0, 3.2)


def test_the_chain_has_something_to_learn():
    torch.manual_seed(0)
    batches = list(islice(chained(256, 64), 60))
    inputs, targets = (torch.stack(part) for part in zip(*batches, strict=True))
    assert inputs.shape == targets.shape == (60, 8, 64)
    assert torch.equal(inputs[..., 1:], targets[..., :-1])
    followers = Counter(
        zip(inputs[..., 1:].flatten().tolist(), targets[..., 1:].flatten().tolist(), strict=True)
    )
    likely = sum(count for _, count in followers.most_common(len(followers) // 5))
    assert likely > 0.5 * followers.total()  # of uniform pairs a fifth would be a fifth
    torch.manual_seed(0)
    assert torch.equal(next(chained(256, 64))[0], batches[0][0])


def test_models_start_as_their_initialisation_says():
    for initialisation, deviation in ((UNIT, 1.0), (SMALL, 0.02)):
        target = declared(replace(BLIND, size="32", initialisation=initialisation, data=CHAIN))
        spread = float(target["model"].token_embedding.weight.detach().std())
        assert spread == pytest.approx(deviation, rel=0.05)
        assert target["args"][0].shape == next(target["batches"]())[0].shape
