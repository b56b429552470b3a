"""Approvals: a person is asked before mail is sent, changes the call, and the code goes on with what was decided.

    python examples/approval.py                      offline: replies and answers are written below
    python examples/approval.py openai:gpt-5         a model of yours, and you at the terminal

Offline it prints:

    mail to ada@example.org: Dinner at 8
    Ada is told; not all@example.org: send_mail() was not allowed: it is nobody's business
"""

from __future__ import annotations

import asyncio
import sys

from codeact import Allow, CodeAgent, Deny, Edit, tool
from codeact.core.execution import ToolCall
from codeact.testing import ScriptedModel

REPLIES = (
    """I tell both; somebody may object.
```python
said = []
for to in ["ada@example.org", "all@example.org"]:
    try:
        send_mail(to, "Dinner at 7")
        said.append("Ada is told")
    except PermissionError as error:
        said.append(f"not {to}: {error}")
final_answer("; ".join(said))
```""",
)


@tool
def send_mail(to: str, text: str) -> str:
    """Send a mail."""
    print(f"mail to {to}: {text}")
    return "sent"


async def rule(call: ToolCall) -> Allow | Deny | Edit:
    """Who decides offline. The code waits in the middle of its cell meanwhile."""
    if call.arguments["to"].startswith("all@"):
        return Deny("it is nobody's business")
    return Edit({**call.arguments, "text": "Dinner at 8"})


async def person(call: ToolCall) -> Allow | Deny:
    """You, where a model of yours is at work. It takes as long as it takes."""
    why_not = await asyncio.to_thread(input, f"{call.tool} {call.arguments}\nEnter lets it run, a reason denies it: ")
    return Deny(why_not) if why_not else Allow()


def main() -> None:
    model, gate = (sys.argv[1], person) if sys.argv[1:] else (ScriptedModel(*REPLIES), rule)
    agent = CodeAgent(model=model, tools=[send_mail], approve=["send_mail"], gate=gate)
    print(agent.run("Tell Ada, and all the others, that there is dinner at seven."))


if __name__ == "__main__":
    main()
