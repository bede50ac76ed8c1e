"""What a picture must show of a loop, by the facts that the analysis found."""

from __future__ import annotations

from functools import cache

import networkx as nx
import pytest
import torch
from picture_support import WIDTH, Pictured, layered, looped, normed, pictured, raw
from torch import nn
from torch.nn import functional as F

from scaleaudit.domain.facts import Transition, Visibility
from scaleaudit.domain.picture import BoxKind, Role
from scaleaudit.picturing.roles import HANDING_ON


def penalised(model, h):
    return normed(model, h) + 0.01 * h.square().mean()


def detached_penalty(model, h):
    return normed(model, h) + 0.01 * h.detach().square().mean()


CASES = {
    "blind": lambda: looped(layered, normed),
    "raw": lambda: looped(layered, raw),
    "penalised": lambda: looped(layered, penalised),
    "detached": lambda: looped(layered, detached_penalty),
    "deep": lambda: looped(layered, normed, layers=12),
    "norm between": lambda: looped(lambda m, h: m.norm(layered(m, h)), raw),
    "expanding": lambda: looped(lambda m, h: h + m.map(h), normed),
    "linear": lambda: looped(lambda m, h: m.map(h) + m.head(m.norm(h)), normed),
    "damped": lambda: looped(lambda m, h: m.gate.sigmoid() * h + m.map(m.norm(h)), normed),
    "bounded": lambda: looped(lambda m, h: torch.tanh(m.map(h)), raw),
    "mixed": lambda: looped(lambda m, h: torch.lerp(h, m.map(h).tanh(), m.gate.sigmoid()), raw),
    "unknown": lambda: looped(
        lambda m, h: m.map(torch.linalg.matrix_exp(h[:, :, :4].mT @ h[:, :, :4]).mean() * h), normed
    ),
}


@cache
def case(name: str) -> Pictured:
    return CASES[name]()


@pytest.fixture(params=list(CASES))
def state(request) -> Pictured:
    return case(request.param)


# What holds of every picture.


def test_scale_gets_around_in_the_picture_where_a_turn_hands_it_on(state):
    carrying = nx.DiGraph(
        (edge.source, edge.target) for edge in state.picture.edges if edge.role is Role.CARRIES
    )
    (own,) = state.boxes(BoxKind.STATE)
    gets_around = own.id in carrying and any(
        own.id in component
        for component in nx.strongly_connected_components(carrying)
        if len(component) > 1
    )
    assert gets_around == (state.facts.transition in HANDING_ON)


def test_the_next_turn_is_drawn_and_begins_at_the_state(state):
    (own,) = state.boxes(BoxKind.STATE)
    assert state.around.target == own.id


def test_what_every_term_of_the_loss_sees_is_what_the_facts_say(state):
    (loss,) = state.boxes(BoxKind.LOSS)
    drawn = sorted(edge.degree for edge in state.into(loss))
    words = {
        Visibility.INVARIANT: "degree 0",
        Visibility.ASYMPTOTIC: "fading",
        Visibility.SATURATING: "saturating",
        Visibility.UNKNOWN: "unknown",
    }
    facts = [
        words.get(r.visibility, f"degree {r.degree:.3g}")
        for r in state.facts.readouts
        if r.supervised
    ]
    facts += [f"degree {p.degree:.3g}" for p in state.facts.penalties]
    assert drawn == sorted(set(facts))


def test_scale_is_lost_on_every_way_to_a_readout_that_does_not_see_it(state):
    edges = nx.DiGraph()
    for edge in state.picture.edges:
        if not edge.recurrent and edge.role is not Role.LOST and not edge.silent:
            edges.add_edge(edge.source, edge.target)
    (own,) = state.boxes(BoxKind.STATE)
    (loss,) = state.boxes(BoxKind.LOSS)
    blind = {Visibility.INVARIANT, Visibility.ASYMPTOTIC}
    if state.facts.visibility in blind and not any(p.effective for p in state.facts.penalties):
        assert not nx.has_path(edges, own.id, loss.id) if loss.id in edges else True


def test_a_picture_can_be_taken_in_at_a_glance(state):
    assert len(state.picture.boxes) <= 20


def test_every_box_but_the_state_follows_from_something(state):
    for box in state.picture.boxes:
        if box.kind not in (BoxKind.STATE, BoxKind.SOURCE):
            assert state.into(box)


def test_boxes_of_operators_have_a_line(state):
    assert all(box.location is not None for box in state.picture.boxes if box.operators)


# What single pictures show.


def test_a_blind_loop_shows_the_fault():
    """The sum carries degree 1 around; the norms before the branches and the readout end it."""
    found = case("blind")
    assert found.facts.transition is Transition.CARRIED
    assert found.around.degree == "degree 1, gain 1"
    norms = found.boxes(BoxKind.NORM)
    assert len(norms) == 3
    for norm in norms:
        assert {edge.role for edge in found.into(norm)} == {Role.CARRIES}
        assert {e.role for e in found.picture.edges if e.source == norm.id} == {Role.LOST}
    first, second = found.boxes(BoxKind.ADD)
    for added in (first, second):
        assert sorted(edge.degree for edge in found.into(added)) == ["degree 0", "degree 1"]
    assert found.around.source == second.id


def test_branches_are_one_box_each_called_by_their_module_or_variable():
    found = case("blind")
    details = [box.detail for box in found.boxes(BoxKind.OPERATORS)]
    assert any("attention" in detail for detail in details)
    assert any("GELU" in detail for detail in details)


def test_twelve_equal_layers_are_folded():
    found = case("deep")
    (fold,) = found.picture.folds
    assert fold.times == 12
    assert len(found.picture.boxes) == len(case("blind").picture.boxes)


def test_a_nest_of_loops_shows_all_that_a_turn_runs():
    """What the last turn runs of it is the inner loop's first run alone."""

    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.inner, self.outer = (
                nn.RMSNorm(WIDTH),
                nn.Linear(WIDTH, WIDTH),
                nn.Linear(WIDTH, WIDTH),
            )

        def forward(self, h):
            for _ in range(3):
                for _ in range(2):
                    h = h + self.inner(self.norm(h))
                h = h + self.outer(self.norm(h))
            return self.inner(self.norm(h)).square().mean()

    (found,) = pictured(Nested(), torch.randn(2, 4, WIDTH))
    assert len({box.location.line for box in found.boxes(BoxKind.ADD)}) == 2
    after = nx.DiGraph((edge.source, edge.target) for edge in found.picture.edges)
    for branch in ("inner", "outer"):
        assert any(
            box.label == branch and nx.has_path(after, box.id, found.around.source)
            for box in found.picture.boxes
        )
    assert "not every turn runs the same" in found.picture.note


def test_a_turn_that_comes_once_is_no_pattern():
    class OnceMore(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.map, self.extra = (
                nn.RMSNorm(WIDTH),
                nn.Linear(WIDTH, WIDTH),
                nn.Linear(WIDTH, WIDTH),
            )

        def forward(self, h):
            for turn in range(5):
                if turn == 2:
                    h = h + self.extra(self.norm(h))
                h = h + self.map(self.norm(h))
            return self.map(self.norm(h)).square().mean()

    (found,) = pictured(OnceMore(), torch.randn(2, 4, WIDTH))
    assert len(found.boxes(BoxKind.ADD)) == 1
    assert "not every turn runs the same" in found.picture.note


def test_layers_of_different_code_are_not_folded():
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.one, self.two = (
                nn.RMSNorm(WIDTH),
                nn.Linear(WIDTH, WIDTH),
                nn.Linear(WIDTH, WIDTH),
            )

        def forward(self, h):
            for _ in range(3):
                h = h + self.one(self.norm(h)).tanh()
                h = h + self.two(self.norm(h)).relu()
            return self.two(self.norm(h)).square().mean()

    (found,) = pictured(Other(), torch.randn(2, 4, WIDTH))
    assert not found.picture.folds
    assert len(found.boxes(BoxKind.ADD)) == 2


def test_turns_that_are_read_alike_are_shown_once():
    class Collected(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.map, self.head = (
                nn.RMSNorm(WIDTH),
                nn.Linear(WIDTH, WIDTH),
                nn.Linear(WIDTH, WIDTH),
            )

        def forward(self, h):
            seen = []
            for _ in range(5):
                h = h + self.map(self.norm(h))
                seen.append(self.head(self.norm(h)))
            return F.cross_entropy(torch.stack(seen).flatten(0, 2), torch.zeros(40).long())

    (found,) = pictured(Collected(), torch.randn(2, 4, WIDTH))
    (readout,) = found.boxes(BoxKind.READOUT)
    assert "after every turn" in readout.detail
    before, last = sorted(found.boxes(BoxKind.NORM), key=lambda box: box.location.line)
    assert "alike" in last.detail
    assert "alike" not in before.detail
    (loss,) = found.boxes(BoxKind.LOSS)
    assert len(found.into(loss)) == 1


class Supervised(nn.Module):
    """Six turns, each of which is decoded by what the given function makes of its number."""

    def __init__(self, decode):
        super().__init__()
        self.norm, self.map = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, WIDTH)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(6))
        self.decode = decode

    def forward(self, h):
        loss = 0.0
        for turn in range(6):
            h = h + self.map(self.norm(h))
            loss = loss + self.decode(self, h, turn).square().mean()
        return loss


def read_by(decode):
    (found,) = pictured(Supervised(decode), torch.randn(2, 4, WIDTH))
    return found


def test_a_readout_says_all_turns_that_it_reads_and_no_others():
    found = read_by(lambda m, h, turn: m.heads[0](h if turn < 2 else m.norm(h)))
    said = sorted(box.detail for box in found.boxes(BoxKind.READOUT))
    assert ["after turns 1 to 2" in said[0], "after turns 3 to 6" in said[1]] == [True, True]


def test_heads_of_the_same_code_are_one_readout_of_all_their_turns():
    found = read_by(lambda m, h, turn: m.heads[turn](m.norm(h)))
    (readout,) = found.boxes(BoxKind.READOUT)
    assert readout.detail.startswith("after every turn")
    assert readout.detail.endswith("6 alike")
    assert not found.picture.note


def test_readouts_for_which_there_is_no_room_are_counted_and_leave_nothing_behind():
    readers = (
        lambda m, h: m.heads[0](m.norm(h)),
        lambda m, h: m.heads[1](m.norm(h)),
        lambda m, h: m.heads[2](m.norm(h)),
        lambda m, h: m.heads[3](m.norm(h)),
        lambda m, h: m.heads[4](m.norm(h)),
        lambda m, h: m.heads[5](m.norm(h)),
    )
    found = read_by(lambda m, h, turn: readers[turn](m, h))
    assert len(found.boxes(BoxKind.READOUT)) == 5
    assert found.picture.note == "1 more readout is not drawn"
    leading = {edge.source for edge in found.picture.edges}
    assert leading == {box.id for box in found.picture.boxes if box.kind is not BoxKind.LOSS}


def test_a_norm_between_turns_ends_the_way_around():
    found = case("norm between")
    assert found.facts.transition is Transition.REMOVED
    assert found.around.role is Role.LOST
    assert found.picture.boxes[found.around.source].kind is BoxKind.NORM


def test_a_raw_readout_carries_scale_into_the_loss():
    found = case("raw")
    (readout,) = found.boxes(BoxKind.READOUT)
    (loss,) = found.boxes(BoxKind.LOSS)
    assert [edge.degree for edge in found.into(readout)] == ["degree 1"]
    assert {edge.role for edge in found.into(loss)} == {Role.CARRIES}


def test_a_penalty_is_a_box_of_its_own_and_says_where_it_is_deaf():
    (good,) = case("penalised").boxes(BoxKind.PENALTY)
    (deaf,) = case("detached").boxes(BoxKind.PENALTY)
    (edge,) = (e for e in case("penalised").picture.edges if e.source == good.id)
    assert (edge.degree, edge.role, edge.silent) == ("degree 2", Role.CARRIES, False)
    (edge,) = (e for e in case("detached").picture.edges if e.source == deaf.id)
    assert (edge.degree, edge.role, edge.silent) == ("degree 2", Role.PLAIN, True)
    assert "detached" in deaf.detail


def test_a_gate_below_one_shows_on_the_way_around():
    found = case("damped")
    assert found.boxes(BoxKind.GATE)
    assert found.around.degree == "degree 1, gain (0, 1)"


def test_what_joins_states_or_takes_a_part_of_one_is_no_factor():
    class Remembering(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.map = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

        def forward(self, x):
            memory, h = x[:, :1], x
            for _ in range(3):
                both = torch.cat([memory, h], 1)
                both = both + self.map(self.norm(both))
                memory, h = both[:, :1], both[:, 1:]
            return self.map(self.norm(h)).square().mean()

    for found in pictured(Remembering(), torch.randn(2, 4, WIDTH)):
        assert not found.boxes(BoxKind.GATE)
        assert any("cat" in box.detail for box in found.boxes(BoxKind.OPERATORS))


def test_bounded_values_are_said_to_be():
    assert case("bounded").around.degree == "bounded"
    assert case("mixed").around.degree == "bounded"


def test_what_is_not_understood_is_a_box_with_its_line():
    found = case("unknown")
    (box,) = found.boxes(BoxKind.UNKNOWN)
    assert box.location is not None
    assert found.around.degree == "unknown"


def test_another_state_is_a_box():
    class FastAndSlow(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.fast, self.slow = (
                nn.RMSNorm(WIDTH),
                nn.Linear(WIDTH, WIDTH),
                nn.Linear(WIDTH, WIDTH),
            )

        def forward(self, x):
            fast, slow = x, x
            for _ in range(3):
                fast = fast + self.fast(self.norm(fast + slow))
                slow = slow + self.slow(self.norm(slow + fast))
            return F.mse_loss(self.slow(self.norm(slow)), torch.ones(2, 4, WIDTH))

    found = {each.facts.name: each for each in pictured(FastAndSlow(), torch.randn(2, 4, WIDTH))}
    (other,) = found["slow"].boxes(BoxKind.OTHER)
    assert other.label == "fast"
    (through,) = found["fast"].boxes(BoxKind.OTHER)
    (loss,) = found["fast"].boxes(BoxKind.LOSS)
    assert [edge.source for edge in found["fast"].into(loss)] == [through.id]


class Pair(nn.Module):
    """Two states, of which the first is made anew or kept, by what a turn makes of both."""

    def __init__(self, turn, read):
        super().__init__()
        self.embed, self.one, self.two, self.head = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.norm, self.final_norm = nn.RMSNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.turn, self.read = turn, read

    def forward(self, t):
        x = self.embed(t)
        draft, kept = torch.zeros_like(x), x
        for _ in range(4):
            draft, kept = self.turn(self, x, draft, kept)
        return self.head(self.final_norm(self.read(draft, kept))).square().mean()


def pair(turn, read):
    states = pictured(Pair(turn, read), torch.randn(2, 4, WIDTH))
    return {each.facts.name: each for each in states}


def test_what_is_computed_from_another_state_in_the_same_turn_comes_from_that_state():
    def turn(model, x, draft, kept):
        draft = model.norm(draft + model.one(kept + x))
        return draft, kept + model.two(draft)

    found = pair(turn, lambda draft, kept: kept)
    (other,) = found["kept"].boxes(BoxKind.OTHER)
    assert other.label == "draft"
    assert not found["kept"].boxes(BoxKind.SOURCE)
    (reading,) = found["kept"].into(other)
    (branch,) = (e for e in found["kept"].picture.edges if e.source == other.id)
    (onwards,) = (e for e in found["kept"].picture.edges if e.source == branch.target)
    assert {(e.degree, e.role) for e in (reading, branch, onwards)} == {("degree 0", Role.LOST)}
    assert found["kept"].picture.boxes[branch.target].label == "two"
    assert onwards.target == found["kept"].around.source
    (source,) = found["draft"].boxes(BoxKind.SOURCE)
    assert source.label == "x"


def test_another_state_on_the_way_into_the_loss_is_held():
    def turn(model, x, draft, kept):
        draft = draft + model.one(model.norm(draft + kept)) + x
        return draft, kept + model.two(model.norm(kept + draft))

    found = pair(turn, lambda draft, kept: draft + kept)
    for name, other in (("draft", "kept"), ("kept", "draft")):
        (box,) = found[name].boxes(BoxKind.OTHER)
        assert box.label == other
        ways = [edge for edge in found[name].picture.edges if edge.source == box.id]
        assert [(edge.degree, edge.role) for edge in ways if edge.degree != "degree 1"] == [
            ("held", Role.PLAIN)
        ]
    assert [box.label for box in found["draft"].boxes(BoxKind.SOURCE)] == ["x"]


def test_what_is_injected_comes_from_elsewhere():
    class Injected(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.map, self.embed = (
                nn.RMSNorm(WIDTH),
                nn.Linear(WIDTH, WIDTH),
                nn.Linear(WIDTH, WIDTH),
            )

        def forward(self, x):
            source, h = self.embed(x), torch.zeros_like(x)
            for _ in range(3):
                h = h + source
                h = h + self.map(self.norm(h))
            return F.mse_loss(self.map(self.norm(h)), x)

    (found,) = pictured(Injected(), torch.randn(2, 4, WIDTH))
    (source,) = found.boxes(BoxKind.SOURCE)
    assert source.label == "source"
    assert [edge.degree for edge in found.picture.edges if edge.source == source.id] == [
        "independent"
    ]


def test_a_turn_of_too_many_parts_is_drawn_in_outline(monkeypatch):
    monkeypatch.setattr("scaleaudit.picturing.drafting.MOST_PARTS", 5)
    found = looped(layered, raw)
    assert "too many parts" in found.picture.note
    (turn,) = found.boxes(BoxKind.OPERATORS)
    assert found.around.source == turn.id
    assert {edge.role for edge in found.into(turn)} == {Role.CARRIES}
    (loss,) = found.boxes(BoxKind.LOSS)
    assert [edge.degree for edge in found.into(loss)] == ["degree 1"]
