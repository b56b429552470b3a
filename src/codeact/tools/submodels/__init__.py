"""`llm` and `llm_map`: code asks a model, about data that it holds in variables.

from codeact.tools.toolbox import llm
agent = CodeAgent(model="openai:gpt-5", tools=[*llm(), weather])
"""

from __future__ import annotations

import asyncio
from typing import Any

from ...core.errors import ModelError, UsageError
from ...ports import Model, Tool
from ..context import Call, current_call, metered
from ..function import as_tool, tool
from .asking import Memory, ask, key_of
from .schema import schema_of

_DAY = 24 * 3600.0  # each question has the deadlines of its model
_PROMPTS = 10_000


def llm(model: Model | None = None, *, concurrency: int = 8) -> tuple[Tool, Tool]:
    """The tools `llm` and `llm_map`, which ask `model`, by itself that of the agent; so many questions at once."""
    if isinstance(model, str):
        raise UsageError(f"llm() takes a model itself: tools=['llm:{model}'] names one")
    if type(concurrency) is not int or concurrency < 1:
        raise UsageError(f"llm(): concurrency must be a whole number from 1, not {concurrency!r}")
    asked = _Asked(model, concurrency)

    @tool(seconds=_DAY, idempotent=True)
    async def llm(prompt: str, schema: Any = None) -> Any:
        """Ask a language model a question about text that stands in it, to read, judge, extract or summarise.

        It sees the prompt alone, no variables: put the data into it, some pages at most. The same is asked once only.

        Args:
            schema: what the answer must be, a type in quotes ("int", "list[str]", "Literal['yes', 'no']"), a shape
                ({"name": "str", "tags": ["str"]}) or a JSON Schema; without it the answer is text
        """
        return await asked.answer("llm", prompt, schema)

    @tool(seconds=_DAY, idempotent=True)
    async def llm_map(prompts: list[str], schema: Any = None) -> list[Any]:
        """Ask many questions side by side, each as `llm` does: the list of their answers, in order."""
        return await asked.answers(prompts, schema)

    return as_tool(llm), as_tool(llm_map)


class _Asked:
    """Who is asked, and where the answers of a run are kept."""

    def __init__(self, model: Model | None, concurrency: int) -> None:
        self._model = model
        self._concurrency = concurrency

    async def answer(self, name: str, prompt: str, schema: Any) -> Any:
        if not prompt.strip():
            raise ValueError(f"{name}(): the prompt is empty")
        call = current_call()
        model = metered(self._model)
        form = None if schema is None else schema_of(schema)

        async def asking() -> Any:
            return await ask(model, prompt, form, place)

        async def place() -> int:
            own = call.caller is not None and self._model is None
            return await call.caller.beside(call.key) if own and call.caller is not None else 0

        return await self._memory(call).answer(key_of(model.name, prompt, form), asking)

    async def answers(self, prompts: list[str], schema: Any) -> list[Any]:
        if len(prompts) > _PROMPTS:
            raise ValueError(f"llm_map(): {len(prompts):,} prompts, at most {_PROMPTS:,} at once")
        found = await asyncio.gather(*(self.answer("llm_map", one, schema) for one in prompts), return_exceptions=True)
        failed = [(place, one) for place, one in enumerate(found) if isinstance(one, BaseException)]
        if not failed:
            return found
        place, error = failed[0]
        if isinstance(error, ValueError | RuntimeError | ModelError):
            kept = f"; {len(found) - len(failed)} of {len(found)} were answered, and are not asked again"
            raise type(error)(f"prompts[{place}]: {error}{kept}")
        raise error

    def _memory(self, call: Call) -> Memory:
        kept: Memory = call.memo.setdefault(self, Memory(asyncio.Semaphore(self._concurrency)))
        return kept
