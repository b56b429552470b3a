"""Many tasks at once: one agent, one interpreter for each task, their tool calls side by side.

    python examples/many_tasks.py                         offline: the model's reply is written below
    python examples/many_tasks.py ollama:qwen3            a model of yours

Offline it prints:

    Bergen   9.1
    Bodo     5.0
    Oslo     6.4
    Tromso   2.8
    4 tasks, 8 tool calls
"""

from __future__ import annotations

import asyncio
import sys

from codeact import CodeAgent, RunResult, tool
from codeact.core.events import ToolCalled
from codeact.testing import ScriptedModel

DEGREES = {"Bergen": (8.9, 9.3), "Bodo": (4.8, 5.2), "Oslo": (6.2, 6.6), "Tromso": (2.5, 3.1)}
REPLY = """```python
import asyncio, statistics
both = await asyncio.gather(station.aio(city, 0), station.aio(city, 1))
final_answer(round(statistics.mean(both), 1))
```"""


@tool
async def station(city: str, number: int) -> float:
    """Mean temperature of the year at station 0 or 1 of a city, in degrees Celsius."""
    await asyncio.sleep(0.05)  # a request to somewhere
    return DEGREES[city][number]


async def main() -> None:
    model = sys.argv[1] if sys.argv[1:] else ScriptedModel(REPLY)
    agent = CodeAgent(model=model, tools=[station])
    at_once = asyncio.Semaphore(4)

    async def ask(city: str) -> RunResult:
        async with at_once:
            task = "What is the mean of both stations of `city`? Answer with a number of one decimal."
            return await agent.arun(task, additional_args={"city": city})

    results = await asyncio.gather(*map(ask, DEGREES))
    for city, result in zip(DEGREES, results, strict=True):
        print(f"{city:<8} {result}")
    calls = sum(isinstance(event, ToolCalled) for result in results for event in result.events)
    print(f"{len(results)} tasks, {calls} tool calls")


if __name__ == "__main__":
    asyncio.run(main())
