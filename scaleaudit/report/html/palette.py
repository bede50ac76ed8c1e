"""How curves are told apart: colours of Okabe and Ito, dashes and markers, in light, dark and print.

A drawing holds no colours that are meant to be seen. It is drawn in placeholders, each of which
stands for a role; `svg.py` turns them into classes, and the style sheet of the page says which
colour a class has. Presentation attributes beside the classes show it where there is no such sheet.

References:
    M. Okabe, K. Ito, Color Universal Design, https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Role:
    """What a stroke or a filling is for.

    Attributes:
        name: The class, after ``plot-``.
        light: Its colour on light ground, at least 3:1 for curves and 4.5:1 for text.
        dark: Its colour on dark ground.
    """

    name: str
    light: str
    dark: str

    @property
    def placeholder(self) -> str:
        """The colour that it is drawn with, which no other role has."""
        return f"#0000{ROLES.index(self) + 1:02x}"


@dataclass(frozen=True, slots=True)
class Pen:
    """What a curve is drawn with."""

    role: Role
    dashes: tuple[float, ...]
    marker: str


INK = Role("ink", "#1f2328", "#e6edf3")
MUTED = Role("muted", "#59636e", "#9198a1")
GRID = Role("grid", "#d1d9e0", "#3d444d")
_CURVES = (
    Role("1", "#d55e00", "#e69f00"),  # vermillion, orange on dark
    Role("2", "#0072b2", "#56b4e9"),  # blue, sky blue on dark
    Role("3", "#00805d", "#2bbf94"),  # bluish green, darker and lighter
    Role("4", "#a8487f", "#cc79a7"),  # reddish purple, darker on light
    Role("5", "#6b5e00", "#f0e442"),  # yellow, far darker on light
)
ROLES = (INK, MUTED, GRID, *_CURVES)

_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 2.5), (8, 2.5, 1.5, 2.5), (1.5, 2), (3, 3))
_MARKERS = "os^Dv"


def pen(index: int) -> Pen:
    """Return the pen of a curve; the first is for what the others are compared with."""
    around = index // len(_CURVES)
    return Pen(
        _CURVES[index % len(_CURVES)],
        _DASHES[(index + around) % len(_DASHES)],
        _MARKERS[(index + 2 * around) % len(_MARKERS)],
    )


def style_sheet() -> str:
    """Return the rules that give the classes of drawings their colours."""
    return "\n".join(
        (
            _properties(":root", dark=False),
            f"@media (prefers-color-scheme: dark) {{ {_properties(':root', dark=True)} }}",
            f"@media print {{ {_properties(':root', dark=False)} }}",
            ".plot { display: block; width: 100%; height: auto; max-width: 35rem; }",
            ".plot text { font-family: inherit; }",
            *(f".plot .s-{role.name} {{ stroke: var(--plot-{role.name}); }}" for role in ROLES),
            *(f".plot .f-{role.name} {{ fill: var(--plot-{role.name}); }}" for role in ROLES),
        )
    )


def _properties(selector: str, *, dark: bool) -> str:
    colours = (f"--plot-{role.name}: {role.dark if dark else role.light};" for role in ROLES)
    return f"{selector} {{ {' '.join(colours)} }}"
