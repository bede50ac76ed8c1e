"""What trainings ask of CUDA devices, with stand-ins for them."""

from __future__ import annotations

import shutil
import sysconfig

import pytest
import torch
from small_trainings import request_in
from torch import distributed

from scaleaudit import group
from scaleaudit.errors import ConfigError
from scaleaudit.reference import compiling, training
from scaleaudit.reference.training import Watch, _compiled

CUDA = torch.device("cuda", 1)


@pytest.fixture
def two_processes(monkeypatch):
    """The second of two processes, on a machine with two devices."""
    told = {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": 2, "TORCHELASTIC_RUN_ID": "run"}
    for name, value in told.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_a_process_takes_its_own_device(two_processes, monkeypatch):
    assert group.local_device("auto") == group.local_device("cuda") == "cuda:1"
    assert group.local_device("cuda:0") == "cuda:0"
    assert group.local_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="needs a CUDA device of its own, and 1 are here"):
        group.local_device("cuda")


def test_processes_meet_on_the_devices_that_they_compute_on(two_processes, monkeypatch):
    asked = {}
    monkeypatch.setattr(group, "_store", lambda *_: distributed.HashStore())
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: asked.update(current=device))
    monkeypatch.setattr(
        distributed, "init_process_group", lambda backend, **more: asked.update(more, on=backend)
    )
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: None)
    monkeypatch.setattr(group, "_runs", group.Counter())
    with group.gathered("run", CUDA) as found:
        assert (found.rank, found.size) == (1, 2)
    assert (asked["on"], asked["current"], asked["device_id"]) == ("nccl", CUDA, CUDA)


def test_models_are_compiled_on_cuda_where_that_can_be_done(tmp_path, monkeypatch):
    said = []
    asked, watch = request_in(tmp_path), Watch(said.append)
    monkeypatch.setattr(training, "lacking", str)
    assert _compiled(asked, CUDA, watch)
    assert not _compiled(asked, torch.device("cpu"), watch)
    monkeypatch.setattr(training, "lacking", lambda: "there is no C compiler")
    assert not said
    assert not _compiled(asked, CUDA, watch)
    assert said == ["the model is not compiled, so it trains slower: there is no C compiler"]
    assert _compiled(request_in(tmp_path, compile=True), CUDA, watch)


def test_what_compilation_lacks_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "find_spec", lambda _: None)
    assert compiling.lacking() == "the package triton is not installed"
    monkeypatch.setattr(compiling, "find_spec", lambda _: object())
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert compiling.lacking() == "there is no C compiler"
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    assert compiling.lacking() == "the headers of Python are not installed"
    (tmp_path / "Python.h").touch()
    assert compiling.lacking() == ""
