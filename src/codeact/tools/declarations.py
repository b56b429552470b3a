"""A tool as a provider's own form of tool calls wants it: a name, a text, and a JSON Schema of the arguments."""

from __future__ import annotations

from inspect import Parameter
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from ..core.messages import ToolDeclaration
from ..ports import Tool
from .arguments import Arguments

_REFERENCE = "#/$defs/{model}"


def declaration(tool: Tool) -> ToolDeclaration:
    """The tool so that a model can call it by name with a JSON object."""
    spec = tool.spec
    arguments = getattr(tool, "arguments", None)
    schema = schema_of(arguments) if isinstance(arguments, Arguments) else _bare(spec.parameters)
    text = f"{spec.name}{spec.signature}" + (f"\n{spec.doc}" if spec.doc else "")
    return ToolDeclaration(spec.name, text, schema)


def schema_of(arguments: Arguments) -> dict[str, Any]:
    """The parameters as a JSON Schema of an object, under their names in Python."""
    said = getattr(arguments, "declared", None)
    if isinstance(said, dict):
        return said
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for one in arguments.parameters:
        if one.kind is not Parameter.VAR_KEYWORD:
            found = _of(arguments.hints[one.name])
            definitions |= found.pop("$defs", {})
            properties[one.name] = {"type": "array", "items": found} if one.kind is Parameter.VAR_POSITIONAL else found
    more = any(one.kind is Parameter.VAR_KEYWORD for one in arguments.parameters)
    return _object(properties, _required(arguments), definitions, more=more)


def _of(hint: Any) -> dict[str, Any]:
    """The schema of a type; of one that JSON has no form for, anything."""
    try:
        return TypeAdapter(hint).json_schema(ref_template=_REFERENCE)
    except (PydanticSchemaGenerationError, PydanticUserError, PydanticInvalidForJsonSchema, TypeError):
        return {}


def _required(arguments: Arguments) -> list[str]:
    variable = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return [one.name for one in arguments.parameters if one.default is one.empty and one.kind not in variable]


def _bare(parameters: Any) -> dict[str, Any]:
    named = [one for one in parameters if not one.kind.startswith("VAR_")]
    return _object({one.name: {} for one in named}, [one.name for one in named if one.default is None], {}, more=False)


def _object(
    properties: dict[str, Any], required: list[str], definitions: dict[str, Any], *, more: bool
) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    if definitions:
        schema["$defs"] = definitions
    return schema if more else {**schema, "additionalProperties": False}
