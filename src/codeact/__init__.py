"""Code agents for Python: the model acts by writing Python, in an interpreter that the kernel confines."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.agents import CodeAgent as CodeAgent
    from .api.agents import Interpreter as Interpreter
    from .api.agents import ToolCallingAgent as ToolCallingAgent
    from .api.sources import langchain_tool as langchain_tool
    from .api.sources import mcp_tools as mcp_tools
    from .api.sources import openapi_tools as openapi_tools
    from .core.approvals import Allow as Allow
    from .core.approvals import Deny as Deny
    from .core.approvals import Edit as Edit
    from .core.budget import Budget as Budget
    from .core.errors import CodeactError as CodeactError
    from .core.errors import ModelError as ModelError
    from .core.errors import NoAnswer as NoAnswer
    from .core.errors import SandboxUnavailable as SandboxUnavailable
    from .core.errors import SnapshotRefused as SnapshotRefused
    from .core.errors import ToolDefinitionError as ToolDefinitionError
    from .core.errors import ToolsUnavailable as ToolsUnavailable
    from .core.errors import UsageError as UsageError
    from .core.execution import ALL as ALL
    from .core.execution import NONE as NONE
    from .core.execution import Limits as Limits
    from .core.execution import Mount as Mount
    from .core.execution import Outcome as Outcome
    from .core.execution import only as only
    from .core.files import File as File
    from .faces.web import serve as serve
    from .session.agent import Agent as Agent
    from .session.result import RunResult as RunResult
    from .session.session import Session as Session
    from .tools.function import Tool as Tool
    from .tools.function import tool as tool

_HOME = {
    "ALL": "core.execution",
    "Agent": "session.agent",
    "Allow": "core.approvals",
    "Budget": "core.budget",
    "CodeAgent": "api.agents",
    "CodeactError": "core.errors",
    "Deny": "core.approvals",
    "Edit": "core.approvals",
    "File": "core.files",
    "Interpreter": "api.agents",
    "Limits": "core.execution",
    "ModelError": "core.errors",
    "Mount": "core.execution",
    "NONE": "core.execution",
    "NoAnswer": "core.errors",
    "Outcome": "core.execution",
    "RunResult": "session.result",
    "SandboxUnavailable": "core.errors",
    "Session": "session.session",
    "SnapshotRefused": "core.errors",
    "Tool": "tools.function",
    "ToolCallingAgent": "api.agents",
    "ToolDefinitionError": "core.errors",
    "ToolsUnavailable": "core.errors",
    "UsageError": "core.errors",
    "langchain_tool": "api.sources",
    "mcp_tools": "api.sources",
    "only": "core.execution",
    "openapi_tools": "api.sources",
    "serve": "faces.web",
    "tool": "tools.function",
}

_BESIDE = {"SnapshotRefused"}  # here too, and not on the list, which is full

__all__ = sorted(_HOME.keys() - _BESIDE)  # noqa: PLE0605
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'codeact' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
