"""An agent below another, by the ids of the list of ways out: what it may do is what it was made with, and no more."""

from __future__ import annotations

from codeact import Budget, CodeAgent, Deny
from codeact.core.approvals import Allow, Decision
from codeact.core.execution import ToolCall
from codeact.testing import ScriptedModel

TRIED = """```python
tried = {}
for name in ("delete", "above", "secret", "rows"):
    try:
        tried[name] = eval(name)
    except NameError:
        tried[name] = "NameError"
try:
    delete_mine("x")
except PermissionError as e:
    tried["gate"] = str(e)
try:
    import codeact
except ImportError as e:
    tried["import"] = type(e).__name__
try:
    for _ in range(100): free()
except Exception as e:
    tried["budget"] = type(e).__name__
final_answer(tried)
```"""


def delete(name: str) -> str:
    raise AssertionError("the caller's tool was called from below")


def delete_mine(name: str) -> str:
    raise AssertionError("it was not allowed")


def free() -> None:
    return None


def test_xs_08_an_agent_below_has_nothing_of_its_caller_and_gets_round_none_of_its_bounds() -> None:
    async def gate(call: ToolCall) -> Decision:
        return Deny("never") if call.tool == "delete_mine" else Allow()

    below = CodeAgent(
        model=ScriptedModel(TRIED), name="below", description="Tries.", tools=[delete_mine, free], static_check=False
    )
    code = (
        "```python\nsecret = 'mine'\nabove = 1\ngot = below('Try.', rows=[1])\n"
        "rows = [2]\nfinal_answer([got, type(got).__name__, secret])\n```"
    )
    caller = CodeAgent(
        model=ScriptedModel(code), tools=[delete, below], approve="all", gate=gate, budget=Budget(tool_calls=9)
    )
    got, kind, secret = caller.run("Ask.").output
    assert got == {
        "delete": "NameError",
        "above": "NameError",
        "secret": "NameError",
        "rows": [1],
        "gate": "delete_mine() was not allowed: never",
        "import": "ImportPolicyError",
        "budget": "BudgetExhausted",
    }
    assert (kind, secret) == ("dict", "mine"), "its answer is data, and ends nobody but itself"
