"""The figures of an evaluation as a picture: bars as SVG by hand, legible on white and on black."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from .figures import Figures

_WIDTH, _ROW, _LABEL, _VALUE, _GAP = 380, 16, 245, 80, 40
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; fill: #24292f }
.code { fill: #2f81f7 } .json { fill: #9aa4af } .text { fill: #d0b48c }
@media (prefers-color-scheme: dark) {
  text { fill: #9da7b3 } .title { fill: #e6edf3 } .json { fill: #6e7681 } .text { fill: #8a7556 }
}
"""
_PANELS: tuple[tuple[str, Callable[[Figures], float | None]], ...] = (
    ("solved, %", lambda one: None if one.success is None else 100 * one.success),
    ("turns of a task", lambda one: one.turns),
    ("KB read in a task", lambda one: None if one.input_bytes is None else one.input_bytes / 1000),
    ("KB written in a task", lambda one: None if one.output_bytes is None else one.output_bytes / 1000),
)


def draw(rows: Mapping[str, Mapping[str, Figures]], title: str) -> str:
    """The picture: a panel for each measure, in it a bar for each row (`all`, then the domains) and form of action."""
    height = _GAP + sum(_ROW * len(forms) + 6 for forms in rows.values())
    width = _LABEL + _WIDTH
    parts = []
    for number, (measure, value) in enumerate(_PANELS):
        known = {row: {form: value(one) for form, one in forms.items()} for row, forms in rows.items()}
        parts.append(_panel(measure, known, number % 2 * (width + _GAP), 24 + number // 2 * height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * width + _GAP} {24 + 2 * height}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{_STYLE}</style>\n'
        f'<text class="title" x="0" y="14">{escape(title)}</text>\n{"".join(parts)}</svg>\n'
    )


def _panel(title: str, rows: Mapping[str, Mapping[str, float | None]], left: int, top: int) -> str:
    values: Sequence[float] = [one for forms in rows.values() for one in forms.values() if one]
    most = max(values, default=1.0)
    lines = [f'<text class="title" x="{left}" y="{top + 14}">{escape(title)}</text>\n']
    y = top + 22
    for row, forms in rows.items():
        lines.append(f'<text x="{left}" y="{y + 12}">{escape(row)}</text>')
        for form, value in forms.items():
            length = (_WIDTH - _VALUE) * (value or 0.0) / most
            figure = "–" if value is None else f"{value:.3g}"
            lines.append(
                f'<rect class="{escape(form)}" x="{left + _LABEL}" y="{y + 2}" '
                f'width="{length:.1f}" height="{_ROW - 4}" rx="2"/>'
                f'<text x="{left + _LABEL + length + 6:.1f}" y="{y + 12}">{figure} {escape(form)}</text>\n'
            )
            y += _ROW
        y += 6
    return "".join(lines)
