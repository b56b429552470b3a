"""What many tools cost: a prompt's length beside one that declares them all, the start of a session, a search.

The tools are of two servers and alike in length to those that servers have. A token is taken for three and a half
characters, which is careful: prose has four and more.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

import pairs

from codeact import CodeAgent, Interpreter
from codeact.core.declared import declaration
from codeact.core.messages import NativeCall, Reply
from codeact.ports import Tool
from codeact.testing import ScriptedModel
from codeact.tools.schemas import DescribedTool

COUNTS = (10, 100, 1000, 5000)
A_TOKEN = 3.5
VERBS = ("create", "list", "delete", "update", "get", "archive", "share", "approve", "assign", "export")
THINGS = ("issue", "pull request", "branch", "comment", "label", "milestone", "release", "team", "webhook", "invoice")
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "description": "what it is called, in a few words"},
        "owner": {"type": "string", "description": "whose it is; by default your own"},
        "limit": {"type": "integer", "default": 30, "description": "how many at most"},
    },
    "required": ["title"],
}
SAID = "The one that is meant is found by its title. Gives what there is to be known of it, as a dict."


async def answer(arguments: dict[str, Any]) -> Any:
    return arguments


def made(count: int) -> list[Tool]:
    """So many tools, of two servers."""
    tools: list[Tool] = []
    for number in range(count):
        area, place = divmod(number, len(VERBS) * len(THINGS))
        verb, thing = VERBS[place % len(VERBS)], THINGS[place // len(VERBS)]
        name = f"{verb} {thing}" + (f" of area {area}" if area else "")
        doc = f"{name.capitalize()}.\n\n{SAID}"
        group = "tracker" if number % 5 else "office"
        tools.append(DescribedTool(name.replace(" ", "_"), SCHEMA, answer, doc=doc, group=group))
    return tools


def prompt_of(tools: list[Tool], action: Any) -> str:
    """All that a model is given before the task, with what is declared to its provider."""
    called = Reply("", tool_calls=(NativeCall("c", "final_answer", '{"value": 1}'),), finish="tool_calls")
    replies = {"code": "```python\nfinal_answer(1)\n```", "json": called, "text": "Answer: 1"}
    model = ScriptedModel(replies[action])
    CodeAgent(model=model, tools=tools, action=action).run("Go.")
    (prompt,) = model.prompts
    declared = [[one.name, one.description, one.parameters] for one in prompt.tools]
    return prompt.messages[0].text + (json.dumps(declared) if declared else "")


def main() -> None:
    options = pairs.arguments(__doc__, rounds=5)
    bare = len(prompt_of([], "code"))
    print("| tools | code | json | text | all of them declared | ratio |")
    print("|---|---|---|---|---|---|")
    for count in COUNTS:
        tools = made(count)
        whole = bare + sum(len(declaration(tool.spec)) for tool in tools)
        lengths = [len(prompt_of(tools, action)) for action in ("code", "json", "text")]
        tokens = " | ".join(f"{length / A_TOKEN:,.0f}" for length in (*lengths, whole))
        print(f"| {count:,} | {tokens} | {lengths[0] / whole:.3f} |")
    print("\nTokens of a prompt, by the action; the ratio is that of code.\n")

    def started(tools: list[Tool]) -> None:
        with Interpreter(tools=tools, sandbox=options.sandbox) as python:
            assert python.run("pass").ok

    taken = [
        pairs.compare(
            f"a session with {count:,} tools",
            pairs.timed(lambda tools=tools: started(tools)),  # type: ignore[misc]
            pairs.timed(lambda: started([])),
            options.rounds,
        )
        for count in COUNTS
        if (tools := made(count))
    ]
    pairs.show("Session start, one cell", taken, "without tools")
    with Interpreter(tools=made(COUNTS[-1]), sandbox=options.sandbox) as python:
        first = pairs.timed(lambda: python.run("tools.search('open an issue')"))()
        words = ("delete hook", "share invoices", "isue", "who may approve a release", "export")
        later = [pairs.timed(lambda one=one: python.run(f"tools.search({one!r})"))() for one in words]  # type: ignore[misc]
    print(f"\nA search of {COUNTS[-1]:,}: the first {first:.3f} s, then {statistics.median(later):.4f} s.")


if __name__ == "__main__":
    main()
