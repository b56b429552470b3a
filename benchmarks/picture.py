"""Bars on a logarithmic scale, as SVG by hand: a panel for each measure, legible on white and on black."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from html import escape

WIDTH, ROW, LABEL, VALUE, GAP = 380, 20, 118, 56, 40
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; fill: #24292f }
.bar { fill: #9aa4af }
.ours { fill: #2f81f7 }
@media (prefers-color-scheme: dark) { text { fill: #9da7b3 } .title { fill: #e6edf3 } .bar { fill: #586069 } }
"""


def draw(panels: Mapping[str, Mapping[str, float | None]], figure: Callable[[float | None], str]) -> str:
    """Two panels a line; the shorter a bar, the better."""
    rows = max(len(panel) for panel in panels.values())
    height = ROW * (rows + 1) + GAP // 2
    parts = [
        _panel(title, panel, figure, number % 2 * (WIDTH + GAP), number // 2 * height)
        for number, (title, panel) in enumerate(panels.items())
    ]
    whole = f"{2 * WIDTH + GAP} {height * math.ceil(len(panels) / 2)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole}" role="img" '
        f'aria-label="Ratios to plain CPython">\n<style>{STYLE}</style>\n{"".join(parts)}</svg>\n'
    )


def _panel(
    title: str, panel: Mapping[str, float | None], figure: Callable[[float | None], str], left: int, top: int
) -> str:
    known = [value for value in panel.values() if value]
    low, high = math.log10(min(known)) - 0.3, math.log10(max(known)) + 0.001
    lines = [f'<text class="title" x="{left}" y="{top + 14}">{escape(title.replace("`", ""))}</text>\n']
    for number, (name, value) in enumerate(panel.items(), 1):
        y = top + ROW * number
        room = WIDTH - LABEL - VALUE
        length = room * (math.log10(value) - low) / (high - low) if value else 0
        kind = "ours" if name == "codeact" else "bar"
        lines.append(
            f'<text x="{left}" y="{y + 14}">{escape(name)}</text>'
            f'<rect class="{kind}" x="{left + LABEL}" y="{y + 4}" width="{length:.1f}" height="{ROW - 7}" rx="2"/>'
            f'<text x="{left + LABEL + length + 6:.1f}" y="{y + 14}">{figure(value)}</text>\n'
        )
    return "".join(lines)
