"""Tools of MCP servers: connected side by side, offered with their true signatures, gone when the context is left."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
from mcp_types import Tool as Offered

from ... import ports
from ...core.errors import ToolsUnavailable, UsageError
from ..names import group_name, mended
from ..schemas import DescribedTool
from . import config
from .results import returned_schema, value_of, words_of
from .server import Connection, ServerFailed

__all__ = ["ServerFailed", "Servers"]


class Servers(AbstractAsyncContextManager[Sequence[ports.Tool]]):
    """The servers of a configuration; entering connects them all and gives their tools.

    `seconds` is how long each may take to come up. Raises UsageError for a configuration that cannot be read, and
    ToolsUnavailable when a server does not come up.
    """

    def __init__(self, servers: str | os.PathLike[str] | Mapping[str, Any], seconds: float = 60.0) -> None:
        if isinstance(seconds, bool) or not (math.isfinite(seconds) and seconds > 0):
            raise UsageError(f"seconds={seconds!r}: a number above 0 is wanted")
        self._connections = [Connection(one, seconds) for one in config.read(servers)]

    async def __aenter__(self) -> Sequence[ports.Tool]:
        try:
            found = await asyncio.gather(*(one.open() for one in self._connections), return_exceptions=True)
            failed = [one for one in found if isinstance(one, BaseException)]
            if failed:
                others = [one for one in failed if not isinstance(one, ToolsUnavailable)]
                raise others[0] if others else ToolsUnavailable("\n".join(map(str, failed)))
            return _named(
                [(one, tool) for one, tools in zip(self._connections, found, strict=True) for tool in tools]  # type: ignore[union-attr]
            )
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *exc: object) -> None:
        with anyio.CancelScope(shield=True):
            await asyncio.gather(*(one.close() for one in self._connections))


def _named(offered: Sequence[tuple[Connection, Offered]]) -> list[ports.Tool]:
    """The tools, each in the group of its server, by a name that is its own there."""
    groups: dict[str, str] = {}
    taken: dict[str, set[str]] = {}
    made: list[ports.Tool] = []
    for connection, tool in offered:
        if connection.name not in groups:
            groups[connection.name] = group_name(connection.name, taken, "server")
        group = groups[connection.name]
        name = mended(tool.name, taken.setdefault(group, set()))
        taken[group].add(name)
        made.append(_tool(name, group, connection, tool))
    return made


def _tool(name: str, group: str, connection: Connection, offered: Offered) -> DescribedTool:
    returns, wrapped = returned_schema(offered.output_schema)

    async def send(arguments: dict[str, Any]) -> Any:
        result = await connection.call(offered.name, arguments)
        if result.is_error:
            raise ServerFailed(connection.masked(words_of(result)))
        return connection.clean(value_of(result, structured=returns is not None, wrapped=wrapped))

    doc = offered.description or offered.title or ""
    gives = "text" if returns is None else ""
    return DescribedTool(name, offered.input_schema, send, doc=doc, returns=returns, gives=gives, group=group)
