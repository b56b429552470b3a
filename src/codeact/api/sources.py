"""Where tools come from that are not functions of the user's: servers, documents, another library."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from .. import assemble, portal
from ..ports import Tool


class ToolSource(AbstractAsyncContextManager[Sequence[Tool]], AbstractContextManager[Sequence[Tool]]):
    """A source to be entered, with `with` or `async with`: its tools work until it is left."""

    def __init__(self, source: AbstractAsyncContextManager[Sequence[Tool]]) -> None:
        self._source = source

    async def __aenter__(self) -> Sequence[Tool]:
        return await self._source.__aenter__()

    async def __aexit__(self, *exc: Any) -> None:
        await self._source.__aexit__(*exc)

    def __enter__(self) -> Sequence[Tool]:
        self._blocking = portal.entered(self._source)
        return self._blocking.__enter__()

    def __exit__(self, *exc: Any) -> bool | None:
        return self._blocking.__exit__(*exc)

    def __iter__(self) -> Any:
        raise TypeError("enter the source first: `with mcp_tools(...) as tools:`, then tools=[*tools]")


def mcp_tools(servers: str | os.PathLike[str] | Mapping[str, Any], *, seconds: float = 60.0) -> ToolSource:
    """The tools of MCP servers: of a file of the usual form, or of what stands in it, `{"mcpServers": {...}}`.

    `seconds` is how long each server may take to come up; one that does not is a ToolsUnavailable.
    """
    return ToolSource(assemble.mcp_servers(servers, seconds))


def openapi_tools(
    document: str | os.PathLike[str] | Mapping[str, Any],
    *,
    base_url: str | None = None,
    headers: Mapping[str, str] | None = None,
    operations: Sequence[str] | None = None,
    seconds: float = 60.0,
    group: str | None = None,
) -> list[Tool]:
    """One tool for each operation of an OpenAPI 3 document: a path, an address of this machine, or the document.

    `base_url` stands in place of the server that the document names; `headers` go with every request; `operations`
    names those that are wanted; `seconds` is how long an answer may take; `group` names the module that code finds them
    in, which by default is named by the document's title.
    """
    return assemble.openapi_tools(
        document, base_url=base_url, headers=headers or {}, operations=operations, seconds=seconds, group=group
    )


def langchain_tool(tool: Any) -> Tool:
    """A tool of LangChain, or what looks like one: `name`, `description`, `args_schema`, `invoke` or `ainvoke`."""
    return assemble.langchain_tool(tool)
