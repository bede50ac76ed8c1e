"""What the audit must say of a model in the zoo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """Facts of one carried state. ``"a|b"`` admits either: the theory leaves it open.

    Attributes:
        effective: Number of penalties that restrain it, or None where it is not compared.
        flaws: Every flaw expected among its other penalties, as PenaltyFlaw spells it.
        name: Its variable; like the two below, not compared where empty.
        line: A text on the source line that the state is reported at.
        proof: A text on the source line of a step of the proof of its transition or readouts.
        optional: Whether an audit may leave it out.
    """

    transition: str
    visibility: str
    effective: int | None = 0
    flaws: tuple[str, ...] = ()
    name: str = ""
    line: str = ""
    proof: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Expect:
    """Facts of one target.

    Attributes:
        loops: How many loops there are; several numbers where the theory admits them.
        states: The facts of every state, in any order; an entry may speak for several states
            when ``alike`` is set, and must speak for one.
        codes: Exactly the rules that fire, blank-separated.
        maybe: Rules that may fire besides.
        verdict: Verdicts admitted, where ``codes`` alone does not settle it.
        carries: Variables that hold the states at the end of the loop's body. The measuring test
            scales them; none where a state has no such variable or a figure would mean nothing.
        turns: Turns of every loop, any of these; empty where they are not compared.
    """

    states: tuple[State, ...] = ()
    codes: str = ""
    maybe: str = ""
    loops: tuple[int, ...] = (1,)
    alike: bool = False
    verdict: str = ""
    carries: tuple[str, ...] = ("h",)
    turns: tuple[int, ...] = (4,)


NO_LOOP = Expect(loops=(0,), carries=())


def blind(transition: str = "carried", visibility: str = "invariant", also: str = "") -> Expect:
    """One active state that the loss does not see; ``also`` names rules besides SCL101."""
    return Expect((State(transition, visibility),), f"SCL101 {also}".strip())


def safe(transition: str, visibility: str) -> Expect:
    """One state that a rule has nothing to say of."""
    return Expect((State(transition, visibility),))
