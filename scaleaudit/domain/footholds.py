"""Where in a user's source a fix can take hold of a state."""

from __future__ import annotations

from dataclasses import dataclass

from scaleaudit.domain.graph import Location


@dataclass(frozen=True, slots=True)
class Handover:
    """Where a loop's own function makes the value that crosses to the next turn.

    Attributes:
        location: The expression: a sum, or the call of what makes it elsewhere.
        visits: How often it runs for each time that the state crosses; more than once where a loop
            inside of a turn does that.
        names: The variables of that function that hold what crosses.
        loss: The expression of the same running function that makes the loss; None where that is
            made elsewhere.
        features_last: Whether the program shows that the last dimension of what crosses, and of
            several, holds the features of a position, not the positions.
    """

    location: Location
    visits: int
    names: tuple[str, ...] = ()
    loss: Location | None = None
    features_last: bool = False


@dataclass(frozen=True, slots=True)
class NormCall:
    """An expression that norms one value, and does nothing else.

    Attributes:
        location: The expression, in whichever function it stands.
        names: What the variable is called there that holds the value, where one does.
        made: The expression of the same running function that makes the value, where one does.
        called: Whether it calls a function that does it, in place of operators of torch alone.
    """

    location: Location
    names: tuple[str, ...] = ()
    made: Location | None = None
    called: bool = False
