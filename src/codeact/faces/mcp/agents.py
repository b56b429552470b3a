"""Agents as the tools of a server: a task in, an answer out, told step by step."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

from codeact.core.errors import CodeactError, nearest
from codeact.core.events import CodeStarted, Delta, Event, ModelAsked, PlanMade, ToolCalled, Waiting
from codeact.core.untrusted import inline
from codeact.secrets import Secret
from codeact.session.agent import Agent, with_parts
from codeact.session.result import RunResult
from codeact.session.session import Session

from ..cli.lines import by_the_table
from . import results
from .client import Client

Context = ServerRequestContext[Any, Any]

_ANSWERED = {
    "type": "object",
    "properties": {
        "output": {"description": "the answer"},
        "stop_reason": {"type": "string"},
        "steps": {"type": "integer"},
        "run_id": {"type": "string"},
    },
    "required": ["output", "stop_reason", "steps", "run_id"],
}


def agents_server(agents: Mapping[str, Agent], secrets: Mapping[str, Secret]) -> Server[Any]:
    """A server with a tool for each of these agents; every call is a run of its own, which is given the secrets."""
    tools = [_tool(name, agent) for name, agent in agents.items()]

    async def list_tools(context: Context, _: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        agent = agents.get(params.name)
        if agent is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {params.name!r}{nearest(params.name, agents)}")
        task = (params.arguments or {}).get("task")
        if not isinstance(task, str) or not task.strip():
            return results.failed(f"{params.name}() needs 'task', what is to be done, in words")
        client = Client(context)
        async with client.told():
            return await _answer(agent, task, secrets, client)

    return Server(
        "codeact-agents",
        version=version("codeact"),
        title="codeact: agents",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _tool(name: str, agent: Agent) -> Tool:
    return Tool(
        name=name,
        description=agent.description or f"The agent {name}: give it a task in words, and it gives the answer.",
        input_schema={
            "type": "object",
            "properties": {"task": {"type": "string", "description": "what is to be done, in words"}},
            "required": ["task"],
            "additionalProperties": False,
        },
        output_schema=_ANSWERED,
    )


async def _answer(agent: Agent, task: str, secrets: Mapping[str, Secret], client: Client) -> CallToolResult:
    asking = agent if agent.gate is not None else with_parts(agent, gate=client.ask)
    try:
        async with Session(asking, [lambda news: client.hear(_words(news))]) as session:
            result = await session.run(task, additional_args=secrets)
    except CodeactError as error:
        return results.failed(f"{type(error).__name__}: {error}")
    return _told(result)


def _told(result: RunResult) -> CallToolResult:
    data = {
        "output": by_the_table(result.output) if result.answered else None,
        "stop_reason": result.stop_reason,
        "steps": result.steps,
        "run_id": result.run_id,
    }
    words = str(result) if not result.error else f"{result}: {result.error}"
    return CallToolResult(
        content=[TextContent(text=words)], structured_content=data, is_error=result.stop_reason != "final_answer"
    )


def _words(news: Event | Delta) -> str:
    """What is told of it while the agent works."""
    match news:
        case ModelAsked(step, "step"):
            return f"step {step}\n"
        case PlanMade(_, plan):
            return f"plan: {inline(plan, 300)}\n"
        case CodeStarted(cell, source):
            return f"cell {cell}: {inline(source, 300)}\n"
        case ToolCalled(_, _, tool):
            return f"calls {tool}\n"
        case Waiting(why):
            return f"{why}\n"
        case _:
            return ""
