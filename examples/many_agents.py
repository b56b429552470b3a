"""Many agents: one that leads, and two that it calls as functions, side by side, under one budget.

    python examples/many_agents.py                      offline: the models' replies are written below
    python examples/many_agents.py openai:gpt-5         a model of yours for all three

Offline it prints:

    historian was asked about 1905
    arithmetician was asked for {'years': [1814, 1905]}
    Norway's constitution was 91 years old when the union with Sweden ended.
    steps of all agents: 3
"""

from __future__ import annotations

import sys

from codeact import Budget, CodeAgent, tool
from codeact.core.events import Delta, Event, Nested, TaskGiven, ToolCalled
from codeact.testing import ScriptedModel

LEADER = ScriptedModel(
    """I need a year, and a difference.
```python
year = historian("In which year did the union of Norway and Sweden end?")
age = arithmetician("How many years lie between them?", years=[1814, year])
final_answer(f"Norway's constitution was {age} years old when the union with Sweden ended.")
```"""
)
HISTORIAN = ScriptedModel("```python\nfinal_answer(int(chronicle(1905)[:4]))\n```")
ARITHMETICIAN = ScriptedModel("```python\nfinal_answer(max(years) - min(years))\n```")


@tool
def chronicle(year: int) -> str:
    """What happened in a year."""
    return {1814: "1814: the constitution of Norway", 1905: "1905: the union with Sweden ends"}[year]


def told(item: Event | Delta) -> None:
    match item:
        case Nested(agent=agent, item=ToolCalled(arguments=arguments)):
            print(f"{agent} was asked about {arguments['year']}")
        case Nested(agent=agent, item=TaskGiven(variables=variables)) if variables:
            print(f"{agent} was asked for {dict(variables)}".replace("'[", "[").replace("]'", "]"))
        case _:
            pass


def main() -> None:
    yours = sys.argv[1] if sys.argv[1:] else None
    historian = CodeAgent(
        model=yours or HISTORIAN, name="historian", description="Knows years.", tools=[chronicle], output_type=int
    )
    arithmetician = CodeAgent(
        model=yours or ARITHMETICIAN, name="arithmetician", description="Counts.", output_type=int
    )
    leader = CodeAgent(
        model=yours or LEADER,
        managed_agents=[historian, arithmetician],
        budget=Budget(steps=12),  # of all three
        listeners=[told],
    )
    result = leader.run("How old was Norway's constitution of 1814 when the union with Sweden ended?")
    print(result.output)
    print("steps of all agents:", result.usage.requests)


if __name__ == "__main__":
    main()
