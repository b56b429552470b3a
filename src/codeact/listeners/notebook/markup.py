"""HTML that does nothing: every text is escaped, pictures come with it, and there is no script, link or address."""

from __future__ import annotations

import base64
import html
import math
import pprint
from collections.abc import Iterable, Sequence
from typing import Any

from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

from codeact.core.messages import Image
from codeact.core.untrusted import bounded

_ROOM = 16_000  # characters of one text
_ROWS, _COLUMNS, _CELL = 20, 12, 80
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")  # never what can hold a script
_PRE = "margin:.25em 0;padding:.4em .7em;white-space:pre-wrap;overflow-wrap:anywhere;font-size:90%;border-radius:4px;"
_COLOURS = {
    "code": "background:#f6f8fa;color:#1f2328;",
    "out": "border-left:3px solid rgba(128,128,128,.5);border-radius:0;",
    "table": "border-left:3px solid rgba(128,128,128,.5);border-radius:0;white-space:pre;overflow-x:auto;",
    "error": "background:#fff0f0;color:#8a1420;",
}
_PYTHON = PythonLexer(stripnl=False)
_INLINE = HtmlFormatter(noclasses=True, nowrap=True)


def text(written: str) -> str:
    """A text within a line."""
    return html.escape(bounded(written, _ROOM))


def said(written: str) -> str:
    """Prose, with its lines."""
    return f'<div style="margin:.25em 0;white-space:pre-wrap;overflow-wrap:anywhere">{text(written.strip())}</div>'


def note(written: str) -> str:
    """Something beside the matter."""
    return f'<div style="opacity:.7;font-size:90%">{text(written)}</div>'


def code(source: str) -> str:
    """Python, in colours."""
    coloured = highlight(bounded(source, _ROOM), _PYTHON, _INLINE)
    return f'<pre style="{_PRE}{_COLOURS["code"]}">{coloured}</pre>'


def block(written: str, kind: str = "out") -> str:
    """Output, or with the kind `error` what went wrong."""
    return f'<pre style="{_PRE}{_COLOURS[kind]}">{text(written.rstrip(chr(10)))}</pre>'


def shown(preview: str) -> str:
    """The value of a cell: a text, or a table, whose lines stay whole so that its columns stand below each other."""
    head, _, lines = preview.partition("\n")
    table = lines and head.startswith(("DataFrame of ", "Series of "))
    return note(head) + block(lines, "table") if table else block(preview)


def picture(image: Image) -> str:
    """A picture, in the page itself."""
    if image.media_type not in _PICTURES:
        return note(f"a picture of the type {image.media_type}, {len(image.data):,} bytes")
    data = base64.b64encode(image.data).decode("ascii")
    return f'<img alt="a picture" style="max-width:100%" src="data:{image.media_type};base64,{data}">'


def value(given: Any) -> str:
    """A value: a text as it is, rows as a table, all else laid out."""
    if isinstance(given, str):
        return said(given)
    rows = _rows(given)
    if rows is not None:
        return _table(*rows)
    return block(_laid_out(given))


def folded(title: str, inside: str, *, unfolded: bool = False) -> str:
    """Something that a click unfolds."""
    return f"<details{' open' if unfolded else ''}><summary>{text(title)}</summary>{inside}</details>"


def framed(parts: Iterable[str]) -> str:
    """All of it, with a line at its side."""
    return f'<div style="border-left:3px solid #6e7bd9;padding:0 0 0 .8em;margin:.3em 0">{"".join(parts)}</div>'


def _rows(given: Any) -> tuple[Sequence[Any], Sequence[Sequence[Any]], int] | None:
    """The names of its columns, its first rows, and how many there are; None where it is no table."""
    if isinstance(given, list) and given and all(isinstance(one, dict) and one for one in given):
        names = list(dict.fromkeys(str(key) for one in given[:_ROWS] for key in one))
        return names, [[one.get(name, "") for name in names] for one in given[:_ROWS]], len(given)
    if type(given).__module__.partition(".")[0] == "pandas" and type(given).__name__ == "DataFrame":
        return list(given.columns), given.head(_ROWS).to_numpy().tolist(), len(given)
    return None


def _table(names: Sequence[Any], rows: Sequence[Sequence[Any]], total: int) -> str:
    head = "".join(f"<th>{_cell(name)}</th>" for name in names[:_COLUMNS])
    body = "".join("<tr>" + "".join(f"<td>{_cell(one)}</td>" for one in row[:_COLUMNS]) + "</tr>" for row in rows)
    left = [f"{total - len(rows):,} more rows"] if total > len(rows) else []
    left += [f"{len(names) - _COLUMNS:,} more columns"] if len(names) > _COLUMNS else []
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return table + (note(", ".join(left)) if left else "")


def _cell(given: Any) -> str:
    if isinstance(given, float) and math.isfinite(given):
        return f"{given:.6g}"
    shown = given if isinstance(given, str) else repr(given)
    return text(shown if len(shown) <= _CELL else shown[: _CELL - 3] + "...")


def _laid_out(given: Any) -> str:
    try:
        return pprint.pformat(given, width=100, sort_dicts=False)
    except Exception as error:  # its repr is somebody else's code
        return f"({type(given).__name__}; its text cannot be shown: {type(error).__name__})"
