"""A reference model trained on the command line, and its checkpoint put to use."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from running import ROOT

from scaleaudit.bench import built, probe_target
from scaleaudit.domain.probing import ProbeRequest
from scaleaudit.reference.checkpoints import load_checkpoint

TARGETS = str(ROOT / "scaleaudit/reference/targets.py")
FLAGS = "--condition per-loop-raw --size tiny --batch 2 --steps 3 --device cpu --no-tensorboard"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run of the command line, in a folder where a user's own files have unlucky names."""
    folder = tmp_path_factory.mktemp("trained")
    for name in ("torch.py", "tokenizers.py", "datasets.py"):
        (folder / name).write_text("raise SystemExit('this is not yours')\n")
    done = run(folder, *FLAGS.split(), "--out", "run", "--cache", "cache")
    return folder, done


def run(folder, *arguments):
    code = "import sys; from scaleaudit.cli import main; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-P", "-c", code, "train", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_says_what_came_of_it(trained):
    folder, done = trained
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith("per-loop-raw at size tiny, seed 0: 3 steps, loss ")
    assert second.startswith("after every turn: length ")
    assert third == "checkpoint: run/checkpoint.safetensors"
    assert done.stderr.startswith("reading the text\n")
    line = json.loads((folder / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert line["step"] == 1


def test_its_checkpoint_is_probed_as_it_is(trained):
    file = trained[0] / "run" / "checkpoint.safetensors"
    target = built(TARGETS, "scaleaudit_target_per_loop_raw_tiny")
    found = probe_target(
        target, ProbeRequest(train=False, checkpoint=str(file), device="cpu", brief=True)
    )
    (state,) = found.states
    assert state.state == "h"
    assert state.response is not None
    assert load_checkpoint(file).step == 3


@pytest.mark.slow
def test_its_checkpoint_goes_through_both_commands(trained):
    file = str(trained[0] / "run" / "checkpoint.safetensors")
    for command in (["probe", "--no-train"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "scaleaudit", *command, f"{TARGETS}::per_loop_raw_tiny",
             "--checkpoint", file, "--on-unknown", "warn"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert f"without training, with {file}" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--fsdp"]])
def test_torchrun_trains_in_two_processes(more, trained, tmp_path):
    launch = "-m torch.distributed.run --nproc-per-node 2 --rdzv-backend c10d --rdzv-endpoint localhost:0"
    done = subprocess.run(
        [sys.executable, *launch.split(), "-m", "scaleaudit", "train", *FLAGS.split(), *more,
         "--out", str(tmp_path / "run"), "--cache", str(trained[0] / "cache")],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Were more than one process to print, there were more lines.
    assert len(done.stdout.splitlines()) == 3
    together, alone = (
        [json.loads(line) for line in (each / "run" / "metrics.jsonl").read_text().splitlines()]
        for each in (tmp_path, trained[0])
    )
    for mine, other in zip(together[:-1], alone[:-1], strict=True):
        assert mine["losses"] == pytest.approx(other["losses"], rel=1e-4)
        for norms, others in zip(mine["norms"], other["norms"], strict=True):
            assert norms == pytest.approx(others, rel=1e-4)
