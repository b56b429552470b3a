"""Runs become lines to train on: what the model saw, what it said, and what came of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from codeact import CodeAgent, ToolCallingAgent, tool
from codeact.core.errors import ModelUnavailable
from codeact.core.messages import NativeCall, Reply, Usage
from codeact.core.story import Ending, Given, story, turns
from codeact.export import trajectories
from codeact.journals.sqlite import SqliteStore
from codeact.testing import ScriptedModel


@tool
def price(seat: int) -> float:
    """What a seat costs."""
    if seat == 13:
        raise ValueError("there is no seat 13")
    return seat * 1.5


def cell(source: str) -> str:
    return f"I do it.\n```python\n{source}\n```"


PICTURE = (
    "import struct, zlib\n"
    + """
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
png = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
png += chunk(b"IDAT", zlib.compress(b"\\0\\0")) + chunk(b"IEND", b"")
class Picture:
    def _repr_png_(self): return png
display(Picture())
"""
)


def chat(store: SqliteStore, **more: Any) -> list[dict[str, Any]]:
    lines = list(trajectories(store, **more))
    assert json.loads(json.dumps(lines, allow_nan=False)) == lines
    return lines


async def test_a_conversation_stands_there_as_the_model_saw_it_with_what_came_of_each_step(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    thought = Reply(cell("print(price(2))\nprice(13)"), reasoning="Hm.", usage=Usage(100, 9))
    model = ScriptedModel(thought, cell("final_answer(1)"), cell("final_answer(2)"))
    agent = CodeAgent(model=model, tools=[price], journal=store)
    async with agent.session() as session:
        await session.run("One.")
        await session.run("Two.")
    (line,) = chat(store)
    seen = [(message.role, message.text) for message in model.prompts[-1].messages]
    assert [(one["role"], one["content"]) for one in line["messages"]][:-1] == seen
    first = line["steps"][0]
    assert (first["ok"], first["error"], first["tool_calls"], first["failed_calls"]) == (False, "ValueError", 2, 1)
    assert (first["input_tokens"], first["output_tokens"], first["message"]) == (100, 9, 2)
    assert [step["step"] for step in line["steps"]] == [1, 2, 3] and line["answer"] == 2 and line["success"]
    (with_thoughts,) = chat(store, reasoning=True)
    assert with_thoughts["messages"][2]["reasoning_content"] == "Hm." and "Hm." not in json.dumps(line)


async def test_what_gave_way_in_the_prompt_is_whole_and_what_failed_is_filtered(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    long = [cell(f"print('word{n} ' * 700)") for n in range(6)]
    agent = CodeAgent(model=ScriptedModel(*long, cell("final_answer(1)")), journal=store, context_tokens=6000)
    await agent.arun("Print.")
    with pytest.raises(ModelUnavailable):
        await agent.replace(model=ScriptedModel(cell("x = 1"), ModelUnavailable("down"))).arun("Fail.")
    good, bad = chat(store)
    told = json.dumps(good["messages"])
    assert all(told.count(f"word{n} word{n}") > 100 for n in range(6))
    assert (bad["success"], bad["reward"], bad["stop_reason"], len(bad["messages"])) == (False, 0.0, "error", 3)
    assert [line["run"] for line in chat(store, successful=True)] == [good["run"]]
    assert {line["run"] for line in chat(store, format="events", successful=True)} == {good["run"]}


async def test_pictures_are_data_urls_or_left_out(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    model = ScriptedModel(cell(PICTURE), cell("x = 1"), cell("final_answer(1)"))
    await CodeAgent(model=model, journal=store).arun("Draw.")
    (line,) = chat(store)
    pictures = [part for part in line["messages"][3]["content"] if part["type"] == "image_url"]
    url = pictures[0]["image_url"]["url"]
    assert base64.b64decode(url.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    (without,) = chat(store, pictures=False)
    assert "(picture)" in without["messages"][3]["content"] and "base64" not in json.dumps(without)


async def test_calls_in_a_providers_form_and_code_in_a_call_of_a_tool(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    replies = [
        Reply("", tool_calls=(NativeCall("1", "price", '{"seat": 2}'),), finish="tool_calls"),
        Reply("", tool_calls=(NativeCall("2", "final_answer", '{"value": 3}'),), finish="tool_calls"),
    ]
    await ToolCallingAgent(model=ScriptedModel(*replies), tools=[price], journal=store).arun("Price.")
    python = Reply("So.", tool_calls=(NativeCall("1", "python", '{"code": "final_answer(4)"}'),), finish="tool_calls")
    await CodeAgent(model=ScriptedModel(python), carrier="tool", journal=store).arun("Four.")
    native, code = chat(store)
    assert [one["role"] for one in native["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert native["messages"][2]["tool_calls"][0]["function"] == {"name": "price", "arguments": '{"seat": 2}'}
    assert native["messages"][3]["tool_call_id"] == "1" and native["tools"][0]["function"]["name"] == "price"
    assert code["messages"][2]["tool_calls"][0]["function"]["name"] == "python"
    (only,) = chat(store, format="codeactinstruct")
    assert only["conversations"][-1]["content"] == "So.\n<execute>\nfinal_answer(4)\n</execute>"


async def test_runs_below_are_lines_of_their_own_and_a_story_has_its_tasks_and_ends(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    clerk = CodeAgent(model=ScriptedModel(cell("final_answer(7)")), name="clerk", description="Knows.")
    replies = (cell("got = clerk('Which?')"), cell("final_answer(got)"))
    result = await CodeAgent(model=ScriptedModel(*replies), managed_agents=[clerk], journal=store).arun("Ask.")
    chief, below = chat(store, below=True)
    assert (chief["run"], below["parent"], below["answer"]) == (result.run_id, result.run_id, 7)
    assert len(chat(store)) == 1
    items = story(store.entries(result.run_id))
    assert [item.number for item in items if isinstance(item, Given)] == [1]
    assert [turn.number for turn in turns(items)] == [1, 2] and isinstance(items[-1], Ending)
    assert turns(items)[0].calls[0].seconds
