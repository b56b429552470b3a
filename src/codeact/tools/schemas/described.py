"""A tool that somebody else describes by a schema and somebody else answers, as `ports.Tool`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import docstring_parser

from ...core.execution import ToolCall, ToolSpec
from ...core.recovery import Recovery, Retry
from ...ports import Store
from ..documentation import compact
from ..names import check_name
from ..spelling import spell
from .arguments import arguments_of, descriptions_of
from .reading import hint_of, line, shape_of

Send = Callable[[dict[str, Any]], Awaitable[Any]]

_MAY_LIST = re.compile(
    r"[:@](?:param|arg|key|attr)|^[ ]*[a-z ]*(?:arg|param|attribut|keyword)[a-z ]*:?[ ]*$", re.I | re.M
)
_LONGEST = 4000  # characters of documentation; what comes from elsewhere is read at every step


class DescribedTool:
    """A function of this schema. `send` gets the arguments under the schema's own names and gives the value.

    `returns` is the schema of the value, None where there is none; `gives` says in words what comes then. One that only
    `reads` is called again where a call of it was cut off.
    """

    def __init__(
        self,
        name: str,
        schema: Any,
        send: Send,
        *,
        doc: str = "",
        returns: Any = None,
        gives: str = "",
        group: str = "",
        seconds: float | None = None,
        reads: bool = False,
    ) -> None:
        self._arguments = arguments_of(schema, check_name(name, group))
        self._send = send
        self._seconds = seconds
        self._reads = reads
        hint = Any if returns is None else hint_of(returns, returns)
        arrow = "" if hint is Any else f" -> {spell(hint)}"
        shape = "" if returns is None else shape_of(returns, returns)
        text = _documentation(doc, descriptions_of(self._arguments), shape if "{" in shape else gives)
        self._spec = ToolSpec(name, self._arguments.source + arrow, text, self._arguments.specs, group)

    @property
    def spec(self) -> ToolSpec:
        """Its name, signature and documentation."""
        return self._spec

    @property
    def schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema."""
        return self._arguments.declared

    @property
    def seconds(self) -> float | None:
        """Its own deadline."""
        return self._seconds

    @property
    def concurrency(self) -> int | None:
        """How many of its calls may run at once: whoever answers them knows."""
        return None

    async def recover(self, call: ToolCall, store: Store) -> Recovery | None:
        """What becomes of a call that was cut off."""
        return Retry() if self._reads else None

    def __repr__(self) -> str:
        return f"<tool {self._spec.name}{self._spec.signature}>"

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by parameter name, as JSON; TypeError or ValueError names the parameter."""
        return self._arguments.bind(args, kwargs)

    async def call(self, arguments: dict[str, Any]) -> Any:
        """Send bound arguments and wait for the value."""
        return await self._send(self._arguments.payload(arguments))


def _documentation(doc: str, described: dict[str, str], gives: str) -> str:
    text = doc.expandtabs(4)
    if not text.replace("\n", "").isprintable():
        text = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    if _lists_parameters(text):
        text = compact(text, described, described)
    else:
        lines = [f"{name}: {said}" for name, said in described.items() if said]
        text = "\n\n".join(block for block in (text.strip(), "\n".join(lines)) if block)
    if len(text) > _LONGEST:
        text = text[:_LONGEST].rstrip() + " ..."
    return f"{text}\n\nReturns: {line(gives, 2000)}".strip() if gives else text


def _lists_parameters(text: str) -> bool:
    """Whether it is a docstring as functions have them, which many servers send as it is."""
    if not _MAY_LIST.search(text):  # four parsers take a millisecond, and servers have thousands of tools
        return False
    try:
        return bool(docstring_parser.parse(text).params)
    except docstring_parser.ParseError:
        return False
