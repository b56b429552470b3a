"""An MCP server of our own, which the tests run: `mcp_own.py stdio`, or `mcp_own.py http`, which says its port.

With HTTP it serves who brings the header `Authorization: Bearer TOKEN_OF_THE_TEST` alone.
"""

from __future__ import annotations

import base64
import os
import socket
import sys
import time
from typing import Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ImageContent, TextContent
from pydantic import BaseModel

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAADUlEQVR4nGP4zwAE/wEHAAH/4iOeWQAAAABJRU5ErkJggg=="
TOKEN = "token-of-the-test-4711"


class Reading(BaseModel):
    city: str
    degrees: float


class Order(BaseModel):
    id: int
    note: str = ""


own = MCPServer("own")


@own.tool()
def weather(city: str, unit: Literal["C", "F"] = "C") -> Reading:
    """Weather in a city.

    Args:
        city: its English name
    """
    if city != "Oslo":
        raise ToolError(f"no station in {city}; there is one in Oslo")
    return Reading(city=city, degrees=3.5 if unit == "C" else 38.3)


@own.tool()
def total(numbers: list[int], start: int = 0) -> int:
    """The sum of numbers."""
    return sum(numbers) + start


@own.tool()
def order(order: Order) -> str:
    """Place an order."""
    return f"{order.id}: {order.note}"


@own.tool(structured_output=False)
def letter() -> str:
    """A text that looks like data."""
    return '{"a": 1}'


@own.tool(structured_output=False)
def drawing() -> Any:
    """A picture with a caption."""
    return [TextContent(text="two dots"), ImageContent(data=PNG, mime_type="image/png")]


@own.tool(name="open-file")
def open_file(pid: bool = False) -> str:
    """Its process, or what it was given to keep."""
    return str(os.getpid()) if pid else f"I was given {os.environ.get('OWN_TOKEN', TOKEN)}"


@own.tool()
def filter(text: str) -> str:
    """A name that is Python's own."""
    return text.upper()


@own.tool()
def wait(seconds: float) -> str:
    """Sleep."""
    time.sleep(seconds)
    return "slept"


@own.tool()
def die() -> str:
    """End the server in the middle of the call."""
    os._exit(3)


class Doorman:
    """Serves those alone who bring the token."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        brought = dict(scope.get("headers", [])).get(b"authorization")
        if scope["type"] != "http" or brought == f"Bearer {TOKEN}".encode():
            await self.inner(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})


def http() -> None:
    import uvicorn  # over standard input and output it is not needed, and takes its time

    listener = socket.create_server(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(Doorman(own.streamable_http_app()), log_level="critical")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    assert base64.b64decode(PNG)
    http() if sys.argv[1] == "http" else own.run("stdio")
