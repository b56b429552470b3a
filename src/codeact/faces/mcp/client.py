"""The client of one call: told how far it is, and asked what its user allows."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from codeact.core.approvals import Allow, Decision, Deny
from codeact.core.execution import ToolCall
from codeact.core.untrusted import bounded, escaped, inline

_HEARTBEAT = 5.0  # seconds without news: clients give up on what is silent for long
_PAUSE = 0.1  # between two messages
_LONGEST = 2_000  # characters of a message
_SHOWN = 1_000  # characters of an argument
_ALLOW, _SESSION, _DENY = "allow", "allow for the session", "deny"
_FORM = {
    "type": "object",
    "properties": {
        "decision": {
            "type": "string",
            "title": "Decision",
            "enum": [_ALLOW, _SESSION, _DENY],
            "default": _ALLOW,
        },
        "reason": {"type": "string", "title": "Reason, where it is denied"},
    },
}


class Client:
    """Whoever made this call."""

    def __init__(self, context: ServerRequestContext[Any, Any]) -> None:
        self._context = context
        self._began = time.monotonic()
        self._news: list[str] = []
        self._woken = anyio.Event()

    def hear(self, news: str) -> None:
        """Something that passes meanwhile; never waits."""
        if news:
            self._news.append(news)
            self._woken.set()

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """While this lasts the client is told what is heard, if it asked for that."""
        if self._context.meta is None or self._context.meta.get("progress_token") is None:
            yield
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._tell)
            yield
            group.cancel_scope.cancel()

    async def _tell(self) -> None:
        while True:
            with anyio.move_on_after(_HEARTBEAT):
                await self._woken.wait()
            self._woken = anyio.Event()
            seconds = time.monotonic() - self._began
            words = "".join(self._news)[-_LONGEST:]
            self._news.clear()
            await self._context.session.report_progress(round(seconds, 3), None, escaped(words) or f"{seconds:.0f} s")
            await anyio.sleep(_PAUSE)

    async def ask(self, call: ToolCall) -> Decision:
        """A `Gate`: what the user of the client decides. One who cannot be asked has not allowed it."""
        capabilities = self._context.session.client_capabilities
        asked = capabilities.elicitation if capabilities is not None else None
        if asked is None or (asked.url is not None and asked.form is None):
            return Deny("it needs approval, and this client has no way to ask its user (MCP elicitation)")
        try:
            said = await self._context.session.elicit_form(_question(call), _FORM, self._context.request_id)
        except MCPError as error:
            return Deny(f"it needs approval, and the client could not ask its user: {inline(error.message)}")
        return _decision(said)


def _decision(said: ElicitResult) -> Decision:
    content = said.content or {}
    decision = content.get("decision", _ALLOW)
    match said.action:
        case "accept" if decision == _ALLOW:
            return Allow()
        case "accept" if decision == _SESSION:
            return Allow(session=True)
        case "cancel":
            return Deny("the user did not answer")
        case _:
            return Deny(str(content.get("reason") or "the user said no"))


def _question(call: ToolCall) -> str:
    """What is asked, made inert: it came from a model."""
    who = f"The agent {escaped(call.agent)}: " if call.agent else ""
    if call.kind == "cell":
        return f"{who}Run this code?\n\n{bounded(str(call.arguments.get('source', '')), 4 * _SHOWN)}"
    if call.kind == "plan":
        return f"{who}Go on by this plan?\n\n{bounded(str(call.arguments.get('plan', '')), 4 * _SHOWN)}"
    given = "\n".join(f"  {escaped(name)} = {bounded(repr(value), _SHOWN)}" for name, value in call.arguments.items())
    return f"{who}Call {escaped(call.tool)}()?" + (f"\n{given}" if given else "")
