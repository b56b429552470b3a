"""The events of one step with one tool call, and which of them wait for the disk."""

from __future__ import annotations

from codeact.core.events import CodeRan, CodeStarted, Event, ModelAsked, ModelReplied, ToolCalled, ToolReturned
from codeact.core.execution import Outcome, Returned
from codeact.core.messages import Reply, Usage

STEP: list[Event] = [
    ModelAsked(1),
    ModelReplied(Reply("```python\nprint(look(1))\n```", usage=Usage(1000, 20, 800))),
    CodeStarted(1, "print(look(1))", bytes(16)),
    ToolCalled("key", 1, "look", {"number": 1}),
    ToolReturned("key", Returned("what is not small" * 9000)),
    CodeRan(1, Outcome("done", stdout="y" * 9000)),
]
WAITING = ["ModelReplied", "ToolCalled", "ToolReturned"]
