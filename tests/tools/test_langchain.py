"""Tools of LangChain, by their shape; and the real ones, where LangChain can be installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, Field

import codeact as library
from codeact import Interpreter, ToolDefinitionError, langchain_tool
from codeact.core.errors import UsageError
from codeact.packages import find_uv, install


class Question(BaseModel):
    city: str = Field(description="its name")
    unit: str = "C"


class Weather:
    """What a tool of LangChain looks like."""

    name = "Get Weather"
    description = "Weather in a city."
    args_schema: ClassVar[Any] = Question

    def invoke(self, arguments: dict[str, Any]) -> Any:
        if arguments["city"] == "Rome":
            raise LookupError("no station there")
        return Question(**arguments)


class Later(Weather):
    name = "filter"
    args_schema: ClassVar[Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

    async def ainvoke(self, arguments: dict[str, Any]) -> Any:
        return [arguments["city"]]


def test_a_tool_of_langchain_is_a_function_with_its_signature() -> None:
    tools = [langchain_tool(Weather()), langchain_tool(Later())]
    assert [repr(tool) for tool in tools] == [
        "<tool Get_Weather(city: str, unit: str = 'C')>",
        "<tool filter_tool(city: str)>",
    ]
    assert tools[0].spec.doc == "Weather in a city.\n\ncity: its name"
    with Interpreter(tools=tools) as python:
        assert python.run("Get_Weather('Oslo')").value == "{'city': 'Oslo', 'unit': 'C'}"
        assert python.run("filter_tool('Oslo')").value == "['Oslo']"
        error = python.run("Get_Weather('Rome')").error
        assert error is not None and (error.type, error.message) == ("LookupError", "no station there")
        error = python.run("Get_Weather(5)").error
        assert error is not None and "'city' must be str, got 5 (int)" in error.message


def test_what_is_no_tool_of_langchain_is_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="object is no tool of LangChain"):
        langchain_tool(object())


REAL = """
import sys
sys.path.insert(0, {ours!r})
from typing import Annotated
from langchain_core.tools import tool, InjectedToolArg
from codeact import langchain_tool
import asyncio

@tool
def multiply(a: int, b: int = 2, who: Annotated[str, InjectedToolArg] = "me") -> int:
    '''Multiply.'''
    return a * b

one = langchain_tool(multiply)
print(one, asyncio.run(one.call(one.bind([3], {{}}))), one.spec.doc)
"""


@pytest.mark.skipif(find_uv() is None, reason="there is no uv here")
def test_the_real_thing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    here = ["langchain-core", "jsonschema", "anyio", "pydantic", "docstring-parser"]
    try:
        found = install(here, sys.executable, tuple(sys.version_info[:2]))
    except UsageError as error:
        if re.search("Failed to fetch|error sending request|Request failed|dns error", str(error)):
            pytest.skip("the package index is not reachable, so langchain-core was not tried")
        raise
    ours = Path(library.__file__).parent.parent
    program = REAL.format(ours=str(ours))
    done = subprocess.run([found.python, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "<tool multiply(a: int, b: int = 2)> 6 Multiply.\n", done.stderr
