"""How models are probed: flags over the table of the project over what is ever done."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from scaleaudit.cli import check, probe
from scaleaudit.config import Settings, probes
from scaleaudit.domain.probing import Batches, ProbeRequest

TABLE = """\
[probe]
device = "cpu"
steps = 200
seeds = 5
lr = 0.003
batches = "made"
dtype = "bfloat16"
budget = 60.5
"""
SETTLED = ProbeRequest(
    device="cpu",
    steps=200,
    seeds=5,
    lr=0.003,
    batches=Batches.MADE,
    dtype="bfloat16",
    budget=60.5,
)
NO_FLAGS = dict.fromkeys(
    ("device", "steps", "seeds", "lr", "batches", "dtype", "budget", "checkpoint")
)


@pytest.fixture
def settings(tmp_path):
    file = tmp_path / "scaleaudit.toml"
    file.write_text(TABLE)
    return Settings(file=file)


def test_a_project_settles_how_its_models_are_probed(settings):
    asked = probe._request(settings, {**NO_FLAGS, "no_train": False})
    assert asked == SETTLED


def test_flags_go_before_the_project(settings):
    flags = {**NO_FLAGS, "no_train": True, "steps": 50, "batches": "own", "dtype": "float32"}
    asked = probe._request(settings, flags)
    assert (asked.steps, asked.batches, asked.dtype) == (50, Batches.OWN, "float32")
    assert (asked.seeds, asked.train) == (5, False)


def test_without_settings_a_probe_is_as_ever():
    asked = probe._request(Settings(isolated=True), {**NO_FLAGS, "no_train": False})
    assert asked == ProbeRequest()


def test_a_probe_beside_an_audit_goes_by_the_project_as_well(settings):
    assert check._probe({"checkpoint": None, "probe": True}, settings) == SETTLED
    assert check._probe({"checkpoint": None, "probe": False}, settings) is None
    measured = check._probe({"checkpoint": "w.pt", "probe": False}, settings)
    assert (measured.train, measured.checkpoint, measured.steps) == (False, "w.pt", 200)


def test_the_documented_table_is_all_that_there_is_and_can_be_read(tmp_path):
    page = (Path(__file__).resolve().parents[3] / "docs/settings.md").read_text()
    block = page.split("```toml\n")[2].split("```")[0]
    (tmp_path / "pyproject.toml").write_text(block)
    found = Settings(file=tmp_path / "pyproject.toml").for_run().probe
    assert found.given.keys() == {each.name for each in fields(probes.ProbeSettings)}


def test_flags_allow_what_the_table_does():
    limits = (probe._MOST_STEPS, probe._MOST_SEEDS, probe._A_WEEK)
    assert limits == (probes.MOST_STEPS, probes.MOST_SEEDS, probes.MOST_SECONDS)
    assert tuple(each.value for each in probes.Precision) == probe._DTYPES
