"""Actions in plain text are read as models write them: by place, by name, as calls, with and without an end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codeact.core.actions import Calls, Nothing
from codeact.core.execution import Parameter, ToolSpec
from codeact.core.messages import Finish, Reply
from codeact.core.written import read_text


def parameter(name: str, default: str | None = None, kind: Any = "POSITIONAL_OR_KEYWORD") -> Parameter:
    return Parameter(name, kind, default)


WEATHER = ToolSpec("weather", "(city: str, unit: str = 'C') -> dict", "", (parameter("city"), parameter("unit", "'C'")))
LARGEST = ToolSpec("largest", "(*numbers)", "", (parameter("numbers", None, "VAR_POSITIONAL"),))
STORE = ToolSpec("store", "(record: dict, times: int = 1)", "", (parameter("record"), parameter("times", "1")))
CALCULATE = ToolSpec("calculate", "(expression: str)", "", (parameter("expression"),))
ONLY = ToolSpec("only", "(*, city: str)", "", (parameter("city", None, "KEYWORD_ONLY"),))
TOOLS = [WEATHER, LARGEST, STORE, CALCULATE, ONLY]
OSLO = {"city": "Oslo"}


def act(text: str, finish: Finish = "stop", answer: ToolSpec | None = None) -> Calls | Nothing:
    return read_text(Reply(text, finish=finish), TOOLS, answer)


def called(text: str, answer: ToolSpec | None = None) -> tuple[str, Any]:
    action = act(text, answer=answer)
    assert isinstance(action, Calls), action
    (call,) = action.calls
    return call.name, json.loads(call.arguments)


@pytest.mark.parametrize(
    ("text", "tool", "arguments"),
    [
        ("Action: weather, Oslo", "weather", OSLO),
        ("Thought: I look.\nAction: weather, Oslo, F\n", "weather", {"city": "Oslo", "unit": "F"}),
        ('Action: weather, "Oslo, Norway"', "weather", {"city": "Oslo, Norway"}),
        ("Action: weather, 'Oslo'", "weather", OSLO),
        ("Action: weather, Oslo End Action", "weather", OSLO),
        ("Action: weather, Oslo\nEnd Action\nand so on", "weather", OSLO),
        ("Thought: I want it. Action: weather, Oslo End Action", "weather", OSLO),
        ('Action: weather, {"city": "Oslo"}', "weather", OSLO),
        ("Action: weather, {'city': 'Oslo'}", "weather", OSLO),
        ('Action: weather {"city": "Oslo"}', "weather", OSLO),
        ("Action: weather, city=Oslo, unit=F", "weather", {"city": "Oslo", "unit": "F"}),
        ('Action: weather("Oslo", unit="F")', "weather", {"city": "Oslo", "unit": "F"}),
        ('Action: weather(\n  "Oslo",\n  "F",\n)', "weather", {"city": "Oslo", "unit": "F"}),
        ('Action: {"tool": "weather", "args": ["Oslo"]}', "weather", OSLO),
        ('Action: {"name": "weather", "arguments": {"city": "Oslo"}}', "weather", OSLO),
        ('Action: weather\nAction Input: {"city": "Oslo"}', "weather", OSLO),
        ("Action: weather\nAction Input: Oslo", "weather", OSLO),
        ("**Action:** `weather, Oslo`", "weather", OSLO),
        ("### Action: weather, Oslo", "weather", OSLO),
        ("ACTION: weather, Oslo", "weather", OSLO),
        ("Action:\n```\nweather, Oslo\n```", "weather", OSLO),
        ('Action:\n```python\nweather("Oslo")\n```', "weather", OSLO),
        ("<think>Action: largest, 1</think>\nAction: weather, Oslo", "weather", OSLO),
        ("Action: only, Oslo", "only", OSLO),
        ("Action: largest, 1, 2.5, x", "largest", {"numbers": [1, 2.5, "x"]}),
        ("Action: largest, [1, 2], -3", "largest", {"numbers": [[1, 2], -3]}),
        ('Action: store, {"a": 1}', "store", {"record": {"a": 1}}),
        ('Action: store, {"a": [1, 2]}, 3', "store", {"record": {"a": [1, 2]}, "times": 3}),
        ('Action: store, {"record": {"a": 1}}', "store", {"record": {"a": 1}}),
        ("Action: calculate, max(1, 2) * 3", "calculate", {"expression": "max(1, 2) * 3"}),
        ("Action: calculate, 1, 2 and 3", "calculate", {"expression": "1, 2 and 3"}),
        ("Action: calculate, 12", "calculate", {"expression": "12"}),
        ("Action: calculate, it's (", "calculate", {"expression": "it's ("}),
        ("Action: weather", "weather", {}),
        ("Action: weather()", "weather", {}),
        ('Action: weather, {"town": "Oslo"}', "weather", {"town": "Oslo"}),
        ("Action: weather, Oslo, C, 5", "weather", {"city": "Oslo", "unit": "C", "argument 3": 5}),
        ("Action: no_such, 1", "no_such", {"argument 1": 1}),
    ],
)
def test_an_action_names_a_tool_and_its_arguments(text: str, tool: str, arguments: dict[str, Any]) -> None:
    assert called(text) == (tool, arguments)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Answer: 42", 42),
        ("Thought: done. Answer: 4.5", 4.5),
        ("Final Answer: Paris", "Paris"),
        ("**Answer:** **Paris**", "Paris"),
        ('Answer: "42"', "42"),
        ("Answer: [1, 'a', None]", [1, "a", None]),
        ("Answer: 007", "007"),
        ("Answer: nan", "nan"),
        ("Answer: NaN", "NaN"),
        ("Answer:\nIt is cold.\nThought: none.\nAction: none is needed.", None),
        ("Answer: 42\nEnd Answer\nbye", 42),
        ("Answer: 42\nAnswer: 43", 42),
        ("Answer: 42\nAction: weather, Oslo", 42),
        ("Answer: 42\nUser: thanks", 42),
        ("Action: final_answer, 42", 42),
        ('Action: final_answer("a, b")', "a, b"),
        ("Action: final_answer, a, b", "a, b"),
        ('Action: final_answer, {"value": 42}', 42),
        ('Action: final_answer, {"a": 42}', {"a": 42}),
    ],
)
def test_an_answer_is_a_value_or_a_text(text: str, value: Any) -> None:
    if value is None:
        value = text.removeprefix("Answer:\n")
    assert called(text) == ("final_answer", {"value": value})


@pytest.mark.parametrize(("declared", "value"), [("str", "42"), ("str | None", "42"), ("int", 42), ("Any", 42)])
def test_an_answer_that_is_declared_text_stays_text(declared: str, value: Any) -> None:
    answer = ToolSpec("final_answer", f"(value: {declared})", "", (parameter("value"),))
    assert called("Answer: 42", answer) == ("final_answer", {"value": value})
    assert called("Action: final_answer, 42", answer) == ("final_answer", {"value": value})


@pytest.mark.parametrize(
    ("text", "finish", "kind"),
    [
        ("", "stop", "empty"),
        ("I would look at the weather.", "stop", "prose"),
        ("In Action: nothing.", "stop", "prose"),
        ("Action:", "stop", "malformed"),
        ("Action: ???", "stop", "malformed"),
        ('Action: {"city": "Oslo"}', "stop", "malformed"),
        ("<think>Action: weather, Oslo", "stop", "thinking"),
        ("<think>hm</think>", "stop", "thinking"),
        ("Action: weather, Osl", "length", "incomplete"),
        ("Action: weather, Oslo", "content_filter", "refused"),
    ],
)
def test_what_is_no_action_says_why(text: str, finish: Finish, kind: str) -> None:
    action = act(text, finish)
    assert isinstance(action, Nothing) and action.kind == kind


def test_what_the_model_made_up_is_dropped_and_told() -> None:
    action = act("Action: weather, Oslo\nObservation: 30 degrees\nAnswer: 30")
    assert isinstance(action, Calls) and action.calls[0].name == "weather"
    assert action.said == "Action: weather, Oslo"
    assert action.notes == ("All from 'Observation:' on was dropped: you wrote it, it did not happen.",)
    action = act("Action: weather, Oslo\nAction: weather, Bergen")
    assert isinstance(action, Calls) and len(action.calls) == 1 and action.said == "Action: weather, Oslo"
    assert "only the first action" in action.notes[0]


@pytest.mark.parametrize(
    "text", ["Action: weather, " + "(" * 200_000, "Action: " + "{" * 200_000, "Action: f" * 50_000]
)
def test_nothing_that_a_model_writes_is_slow_or_breaks_the_reader(text: str) -> None:
    for written in (text, text.replace("Action", "Answer")):
        assert isinstance(act(written), Calls | Nothing)
