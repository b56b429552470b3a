"""A docstring in any of the usual styles, as the few lines that a model reads: summary, a line a parameter, returns."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

import docstring_parser


def compact(docstring: str | None, parameters: Iterable[str], described: Mapping[str, str] | None = None) -> str:
    """The docstring, normalised. `described` has descriptions from elsewhere, for parameters that it leaves out.

    What it says of parameters that are not there is dropped: they may be bound, and are not for the model.
    """
    text = inspect.cleandoc(docstring or "")
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return text
    known = {param.arg_name.lstrip("*"): _line(param.description) for param in parsed.params}
    told = {name: known.get(name) or (described or {}).get(name, "") for name in parameters}
    blocks = [_line(parsed.short_description), (parsed.long_description or "").strip()]
    lines = [f"{name}: {line}" for name, line in told.items() if line]
    if parsed.many_returns:
        lines += [f"Returns: {_line(one.description) or one.type_name}" for one in parsed.many_returns]
    lines += [f"Raises {one.type_name or 'an error'}: {_line(one.description)}" for one in parsed.raises]
    blocks.append("\n".join(line.rstrip(": ") for line in lines))
    rest = [one for one in parsed.meta if type(one) is docstring_parser.DocstringMeta]
    blocks += [f"{one.args[0].capitalize()}: {one.description.strip()}" for one in rest if one.args and one.description]
    blocks += [f"Example: {one.description.strip()}" for one in parsed.examples if one.description]
    return "\n\n".join(block for block in blocks if block)


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
