"""The server that gives a client a Python: its tools, and its resources, which are the files that code made."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
)

from codeact.core.catalogue import call_of
from codeact.core.declared import declaration, fenced
from codeact.core.errors import CodeactError, UsageError, nearest
from codeact.core.files import amount, what
from codeact.core.untrusted import inline
from codeact.guest.names import fits

from . import offered, results
from .client import Client
from .workspace import Offer, Refused, Workspace

Context = ServerRequestContext[Workspace, Any]
Act = Callable[[Workspace, Mapping[str, Any], Client], Awaitable[CallToolResult]]


def python_server(offer: Offer) -> Server[Workspace]:
    """A server each of whose clients gets a workspace."""

    @asynccontextmanager
    async def lifespan(_: Server[Workspace]) -> AsyncIterator[Workspace]:
        workspace = Workspace(offer)
        try:
            yield workspace
        finally:
            await workspace.close()

    return Server(
        "codeact",
        version=version("codeact"),
        title="codeact: a confined Python",
        instructions=offered.instructions(offer),
        lifespan=lifespan,
        on_list_tools=_list_tools,
        on_call_tool=_call_tool,
        on_list_resources=_list_resources,
        on_read_resource=_read_resource,
    )


async def _list_tools(context: Context, _: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=offered.tools(context.lifespan_context.offer))


async def _call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
    workspace = context.lifespan_context
    act = ACTS.get(params.name)
    known = [tool.name for tool in offered.tools(workspace.offer)]
    if act is None or params.name not in known:
        raise MCPError(INVALID_PARAMS, f"there is no tool {params.name!r}{nearest(params.name, known)}")
    arguments = params.arguments or {}
    try:
        offered.check(params.name, arguments)
        client = Client(context)
        async with client.told():
            return await act(workspace, arguments, client)
    except (CodeactError, ValueError) as error:
        return results.failed(str(error))


async def _run_python(workspace: Workspace, given: Mapping[str, Any], client: Client) -> CallToolResult:
    try:
        ran = await workspace.run(given["code"], client)
    except Refused as refused:
        return results.failed(f"The code was not run: {refused}")
    return results.of_cell(ran, given["code"], workspace.offer)


async def _reset(workspace: Workspace, given: Mapping[str, Any], client: Client) -> CallToolResult:
    await workspace.reset()
    return results.text("All variables, imports and files are gone. The next code runs in a fresh interpreter.")


async def _put_file(workspace: Workspace, given: Mapping[str, Any], client: Client) -> CallToolResult:
    if ("text" in given) == ("base64" in given):
        raise UsageError("put_file() takes one of 'text' and 'base64'")
    try:
        data = given["text"].encode() if "text" in given else base64.b64decode(given["base64"], validate=True)
    except binascii.Error:
        raise UsageError("put_file(): what is given as 'base64' is not base64") from None
    _check_file(given["name"], data, workspace.offer.policy.limits.scratch)
    await workspace.put(given["name"], data)
    place = f"inputs/{given['name']}"
    return results.text(f"{place} is there to read, {len(data):,} bytes.", {"path": place, "size": len(data)})


def _check_file(name: str, data: bytes, most: int) -> None:
    """Raises UsageError, in words for who calls the tool."""
    if not fits(name) or "/" in name:
        raise UsageError(f"put_file(): not a name for a file: {inline(name, 100)!r}; 'name' has no folder in it")
    if len(data) > most:
        raise UsageError(f"put_file(): {name} has {amount(len(data))}, and all files have room for {amount(most)}")


async def _get_file(workspace: Workspace, given: Mapping[str, Any], client: Client) -> CallToolResult:
    name = given["name"].removeprefix("outputs/")
    made = {file.name: file for file in await workspace.outputs()}
    if name not in made:
        raise UsageError(f"there is no file outputs/{name}{nearest(name, made)}")
    return results.of_file(made[name])


async def _list_files(workspace: Workspace, given: Mapping[str, Any], client: Client) -> CallToolResult:
    made = await workspace.outputs()
    words = "\n".join(f"outputs/{file.name}: {what(file)}" for file in made) or "There are no files in outputs/."
    return results.text(words, {"files": [results.described(file) for file in made]})


async def _search_tools(workspace: Workspace, given: Mapping[str, Any], client: Client) -> CallToolResult:
    catalogue = workspace.offer.catalogue
    try:
        found = catalogue.search(given["query"], given.get("limit", 10), given.get("group"))
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None
    shown = "\n\n".join(declaration(spec, call_of(spec)) for spec in found)
    words = f"Call these from the code of run_python:\n\n{fenced(shown)}" if found else "No tool is about that."
    listed = [{"call": call_of(spec), "signature": spec.signature, "doc": spec.doc} for spec in found]
    return results.text(words, {"tools": listed, "of": len(catalogue.specs)})


ACTS: dict[str, Act] = {
    "run_python": _run_python,
    "search_tools": _search_tools,
    "reset": _reset,
    "put_file": _put_file,
    "get_file": _get_file,
    "list_files": _list_files,
}


async def _list_resources(context: Context, _: PaginatedRequestParams | None) -> ListResourcesResult:
    made = await context.lifespan_context.outputs()
    return ListResourcesResult(
        resources=[
            Resource(
                name=file.name,
                uri=results.uri(file.name),
                mime_type=file.media_type,
                size=len(file.data),
                description=what(file),
            )
            for file in made
        ]
    )


async def _read_resource(context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
    made = {results.uri(file.name): file for file in await context.lifespan_context.outputs()}
    file = made.get(params.uri)
    if file is None:
        raise MCPError(INVALID_PARAMS, f"there is no resource {params.uri}{nearest(params.uri, made)}")
    return ReadResourceResult(contents=[results.contents(file)])
