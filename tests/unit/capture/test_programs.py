"""Exported programs: read without weights and pickles, and placed where they came from."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scaleaudit.capture.archives import open_archive
from scaleaudit.capture.capturing import capture
from scaleaudit.capture.programs import open_programs
from scaleaudit.capture.traces import numbered
from scaleaudit.domain.facts import Transition, Visibility
from scaleaudit.domain.graph import NodeKind
from scaleaudit.errors import TargetError
from scaleaudit.loops.finder import find_loops
from scaleaudit.scale.analysis import analyse

D = 8
X = torch.zeros(2, 6, dtype=torch.long)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.RMSNorm(D)
        self.mix = nn.Linear(D, D)

    def forward(self, x):
        return x + self.mix(self.norm(x)).relu()


class Base(nn.Module):
    def __init__(self, *, raw=False):
        super().__init__()
        self.embed = nn.Embedding(16, D)
        self.block = Block()
        self.blocks = nn.ModuleList([self.block] * 4)
        self.shift = nn.Parameter(torch.zeros(D))
        self.weight = nn.Parameter(torch.randn(D, D))
        self.norm = nn.Identity() if raw else nn.RMSNorm(D)
        self.head = nn.Linear(D, 16)
        self.register_buffer("mask", torch.ones(D))

    def forward(self, x):
        h = self.turns(self.embed(x))
        return {"loss": F.cross_entropy(self.head(self.norm(h)).flatten(0, 1), x.flatten())}


class Listed(Base):
    def turns(self, h):
        for block in self.blocks:
            h = block(h)
        return h


class Written(Base):
    def turns(self, h):
        h = self.block(h)
        h = self.block(h)
        h = self.block(h)
        return self.block(h)


class OneLine(Base):
    def turns(self, h):
        for _ in range(4): h = h + self.block.mix(self.block.norm(h + self.shift))  # fmt: skip  # noqa: E701
        return h


class Functional(Base):
    def turns(self, h):
        for _ in range(4):
            h = h + F.linear(F.rms_norm(h * self.mask, (D,)), self.weight)
        return h


class Guarded(Base):
    def turns(self, h):
        with torch.no_grad():
            for _ in range(3):
                h = self.block(h)
        return self.block(h)


@pytest.fixture
def saved(tmp_path):
    def save(model, *args, **options):
        path = tmp_path / "model.pt2"
        torch.export.save(torch.export.export(model, args or (X,), **options), path)
        return path

    return save


def facts_of(path):
    file = open_programs(path)
    graph = capture(file.build(file.names[0], fake=True)).graph
    return analyse(graph, find_loops(graph))


@pytest.mark.parametrize("strict", [False, True], ids=["traced", "strict"])
@pytest.mark.parametrize("model", [Listed, Written, OneLine, Functional, Guarded])
@pytest.mark.parametrize("raw", [False, True], ids=["normed", "raw"])
def test_a_loop_is_what_it_was_before_export(saved, model, raw, strict):
    facts = facts_of(saved(model(raw=raw), strict=strict))
    ((state,),) = [loop.states for loop in facts.loops]
    assert facts.loops[0].turns == 4
    assert state.transition is Transition.CARRIED
    assert state.visibility is (Visibility.VISIBLE if raw else Visibility.INVARIANT)
    assert facts.loss_found
    assert state.location.path == __file__


def test_tensors_that_were_tied_are_one(saved):
    model = Listed()
    model.head.weight = model.embed.weight
    file = open_programs(saved(model))
    graph = capture(file.build("Listed", fake=True)).graph
    weights = [node.weight for node in graph.nodes if node.kind is NodeKind.PARAMETER]
    assert len(weights) == len(set(weights)) == 6


def test_neither_weights_nor_pickles_are_loaded(saved, tmp_path, monkeypatch):
    path = saved(Listed())
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return ran.write_text, ("it ran",)

    data = io.BytesIO()
    torch.save(((Evil(),), {}), data)
    changed = rewritten(path, "data/sample_inputs/model.pt", data.getvalue())
    read = []
    archive = open_archive(changed)
    monkeypatch.setattr(type(archive), "read", _watching(type(archive).read, read))
    target = open_programs(changed).build("model", fake=True)
    assert not ran.exists()
    assert all(parameter.is_meta for parameter in target.model.parameters())
    # The buffer alone, whose range may matter.
    assert len([member for member in read if member.startswith("data/weights/weight_")]) == 1
    assert target.args[0].shape == X.shape
    assert any("the inputs are not in the file" in text for text in target.assumed)


def _watching(original, read):
    def watched(self, member):
        read.append(member)
        return original(self, member)

    return watched


def test_inputs_of_varying_size_have_the_size_of_the_export(saved):
    batch = torch.export.Dim("batch", min=2, max=64)
    path = saved(Listed(), dynamic_shapes=({0: batch},))
    bare = rewritten(path, "data/sample_inputs/model.pt", b"")
    target = open_programs(bare).build("model", fake=True)
    assert target.args[0].shape == X.shape
    facts = facts_of(bare)
    assert facts.loops[0].states[0].shape == (2, 6, D)
    assert not facts.coverage.unknown


def test_without_its_source_a_place_is_a_module_and_a_line(saved):
    path = saved(Listed())
    with zipfile.ZipFile(path) as archive:
        program = archive.read("model/models/model.json")
    moved = program.replace(json.dumps(__file__)[1:-1].encode(), b"/elsewhere/model.py")
    changed = rewritten(path, "models/model.json", moved)
    facts = facts_of(changed)
    place = facts.loops[0].states[0].location
    assert place.path == f"{changed}::blocks.3"
    assert place.line == Block.forward.__code__.co_firstlineno + 1
    assert any("lines of model.py" in note.message for note in facts.coverage.notes)


def rewritten(path, member, data):
    """Copy an archive with one member changed, or left out."""
    made = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            changed = name.partition("/")[2] == member
            if not changed or data is not None:
                new.writestr(name, data if changed else old.read(name))
    return made


NEWER = b'{"schema_version": {"major": 99, "minor": 0}, "torch_version": "9.9.0"}'


@pytest.mark.parametrize(
    ("member", "data", "words"),
    [
        ("models/model.json", b"{", "is damaged: models/model.json is no JSON"),
        ("models/model.json", b"[]", "is damaged: models/model.json holds no table"),
        ("models/model.json", NEWER, "cannot be loaded"),
        ("archive_version", b"9", "archive version 9 does not match"),
        ("data/weights/model_weights_config.json", None, "is damaged"),
        ("data/weights/model_weights_config.json", b"{}", "does not list its weights"),
        ("data/constants/model_constants_config.json", b'{"config": {"a": 3}}', "does not describe a"),
        ("models/model.json", b'{"target": "torch.ops.nobody.knows.default"}', "nobody.knows.default"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_archive_is_told(saved, member, data, words):
    changed = rewritten(saved(Listed()), member, data)
    with pytest.raises(TargetError, match=words) as error:
        open_programs(changed).build("model", fake=True)
    assert error.value.hint


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (None, "is no .pt2 archive"),
        (["a/data/aotinductor/model/x.so"], "is a package of AOTInductor"),
        (["serialized_exported_program.json", "version"], "was written by torch 2.7 or older"),
        (["a/b"], "holds no exported program"),
    ],
)
def test_a_file_without_a_program_is_told(tmp_path, members, words):
    path = tmp_path / "model.pt2"
    path.write_bytes(b"no zip")
    if members:
        with zipfile.ZipFile(path, "w") as archive:
            for member in members:
                archive.writestr(member, b"")
    with pytest.raises(TargetError, match=words):
        open_programs(path)


def test_an_unknown_name_is_told_with_the_known_ones(saved):
    with pytest.raises(TargetError, match="no program Other") as error:
        open_programs(saved(Listed())).build("Other", fake=True)
    assert error.value.hint == "it holds model (Listed)"


@pytest.mark.parametrize(
    ("events", "numbers"),
    [
        ("ABC", [0, 0, 0]),
        ("eABAABA", [0, 2, 3, 4, 2, 3, 4]),
        ("AABAAB", [1, 2, 3, 1, 2, 3]),
        ("FGFGSFGFGSx", [1, 2, 1, 2, 5, 1, 2, 1, 2, 5, 0]),
        ("AA", [1, 1]),
        ("ABAB", [1, 2, 1, 2]),
    ],
)
def test_what_a_line_does_in_every_turn_is_told_from_what_it_does_once(events, numbers):
    assert numbered(list(events), recurs=False) == numbers


def test_a_line_that_is_visited_again_is_a_turn():
    assert numbered(list("ABA"), recurs=True) == [1, 2, 3]
