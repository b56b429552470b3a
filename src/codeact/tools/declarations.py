"""A tool as a provider's own form of tool calls wants it: a name, a text, and a JSON Schema of the arguments."""

from __future__ import annotations

from typing import Any

from ..core.execution import ToolSpec
from ..core.messages import ToolDeclaration
from ..ports import Declaring, Tool


def declaration(tool: Tool, name: str) -> ToolDeclaration:
    """The tool so that a model can call it by this name with a JSON object."""
    spec = tool.spec
    text = f"{name}{spec.signature}" + (f"\n{spec.doc}" if spec.doc else "")
    return ToolDeclaration(name, text, tool.schema if isinstance(tool, Declaring) else _bare(spec))


def _bare(spec: ToolSpec) -> dict[str, Any]:
    """What is known of a tool that says no types: its names, and which of them it needs."""
    named = [one for one in spec.parameters if not one.kind.startswith("VAR_")]
    return {
        "type": "object",
        "properties": {one.name: {} for one in named},
        "required": [one.name for one in named if one.default is None],
        "additionalProperties": False,
    }
