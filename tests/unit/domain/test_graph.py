"""Graphs in which turns are kept once: how often nodes ran, and which numbers the turns had."""

from __future__ import annotations

import pytest

from scaleaudit.domain.graph import Node, NodeKind, OpGraph, Repeat, TensorMeta

COUNT = 20


def graph(*repeats: Repeat) -> OpGraph:
    outputs = (TensorMeta((2,), "float32"),)
    nodes = tuple(Node(i, NodeKind.CALL, "aten.add.Tensor", outputs=outputs) for i in range(COUNT))
    return OpGraph(nodes, None, repeats=repeats)


def test_every_node_ran_once_where_nothing_repeats() -> None:
    assert {graph().times(node) for node in range(COUNT)} == {1}


def test_nodes_of_a_turn_ran_as_often_as_it_stands_for() -> None:
    found = graph(Repeat(4, 8, 5))
    assert [found.times(node) for node in (3, 4, 7, 8)] == [1, 5, 5, 1]


def test_a_turn_in_a_turn_ran_as_often_as_both_say() -> None:
    found = graph(Repeat(2, 12, 3), Repeat(4, 8, 5))
    assert [found.times(node) for node in (1, 2, 4, 7, 8, 11, 12)] == [1, 3, 15, 15, 3, 3, 1]


def test_numbers_count_on_where_nothing_repeats() -> None:
    assert graph().numbers([1, 5, 9]) == ((0,), (1,), (2,))


def test_no_nodes_have_no_numbers() -> None:
    assert graph(Repeat(4, 8, 5)).numbers([]) == ()


def test_one_node_has_the_numbers_of_all_turns_that_it_stands_for() -> None:
    found = graph(Repeat(4, 8, 3))
    assert found.numbers([1, 5, 9]) == ((0,), (1, 2, 3), (4,))


def test_nodes_of_one_turn_alternate() -> None:
    found = graph(Repeat(4, 8, 3))
    assert found.numbers([1, 4, 6, 9]) == ((0,), (1, 3, 5), (2, 4, 6), (7,))


def test_turns_that_follow_each_other_are_counted_apart() -> None:
    found = graph(Repeat(0, 4, 2), Repeat(4, 8, 3))
    assert found.numbers([1, 5]) == ((0, 1), (2, 3, 4))


@pytest.mark.parametrize("times", [1, 2, 7])
def test_every_number_is_given_once(times: int) -> None:
    found = graph(Repeat(3, 6, times), Repeat(10, 14, 2))
    nodes = [0, 3, 5, 8, 10, 13, 19]
    numbers = sorted(number for each in found.numbers(nodes) for number in each)
    assert numbers == list(range(sum(found.times(node) for node in nodes)))


def test_every_number_is_given_once_in_turns_of_turns() -> None:
    found = graph(Repeat(2, 12, 3), Repeat(4, 8, 2))
    nodes = [0, 2, 5, 9, 15]
    numbers = sorted(number for each in found.numbers(nodes) for number in each)
    assert numbers == list(range(1 + 3 + 6 + 3 + 1))


def test_last_number_is_that_of_the_last_node() -> None:
    found = graph(Repeat(4, 8, 5))
    numbers = found.numbers([1, 4, 9])
    assert numbers[-1] == (6,)
