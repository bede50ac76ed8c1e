"""The page of a rule as HTML."""

from __future__ import annotations

import re
from functools import cache

from markdown_it import MarkdownIt
from markupsafe import Markup

from scaleaudit.report.terminal import printable

# What the template says itself: the code and the name.
_TITLE = re.compile(r"\A\s*# [^\n]*\n")
# Headings of the page are below those of the report around it.
_DEEPER = 1


@cache
def _markdown() -> MarkdownIt:
    """Return a reader of Markdown to which HTML and links are text: a page leads nowhere else."""
    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    return made.disable(["autolink", "image", "link", "reference"])


def rule_page(text: str) -> Markup:
    """Write the page of a rule; teams write pages of their own, so that nothing in one is markup."""
    lines = "\n".join(printable(line) for line in _TITLE.sub("", text).split("\n"))
    tokens = _markdown().parse(lines)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1:]) + _DEEPER, 6)}"
    html = _markdown().renderer.render(tokens, _markdown().options, {})
    return Markup(html)  # noqa: S704  # made by a renderer that escapes
