"""A tool of LangChain as one of ours. It is known by its shape: LangChain itself is never imported."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ..core.errors import ToolDefinitionError
from .names import is_free, mended
from .results import plain
from .schemas import DescribedTool
from .threads import in_thread


def adapted(tool: Any) -> DescribedTool:
    """The tool, called by `ainvoke` where it has that, else by `invoke` in a thread."""
    name, description = getattr(tool, "name", None), getattr(tool, "description", None)
    ask, invoke = getattr(tool, "ainvoke", None), getattr(tool, "invoke", None)
    if not isinstance(name, str) or not name.strip() or not (callable(ask) or callable(invoke)):
        raise ToolDefinitionError(
            f"{type(tool).__name__} is no tool of LangChain: it needs a name, and invoke or ainvoke"
        )

    async def send(arguments: dict[str, Any]) -> Any:
        if callable(ask):
            return plain(await ask(arguments))
        assert invoke is not None
        return await in_thread(lambda: plain(invoke(arguments)))

    word = mended(name, ())
    word = word if is_free(word) else f"{word}_tool"
    return DescribedTool(word, _schema(tool), send, doc=description if isinstance(description, str) else "")


def _schema(tool: Any) -> Mapping[str, Any]:
    """What code may give: arguments that LangChain injects are not among it."""
    for attribute in ("tool_call_schema", "args_schema"):
        described = getattr(tool, attribute, None)
        if isinstance(described, Mapping):
            return described
        for method in ("model_json_schema", "schema"):  # of pydantic 2, and of 1
            if inspect.isclass(described) and callable(getattr(described, method, None)):
                found = getattr(described, method)()
                if isinstance(found, Mapping):
                    return {key: value for key, value in found.items() if key != "description"}
    fields = getattr(tool, "args", None)
    if not isinstance(fields, Mapping):
        return {}
    needed = [name for name, one in fields.items() if isinstance(one, Mapping) and "default" not in one]
    return {"type": "object", "properties": dict(fields), "required": needed}
