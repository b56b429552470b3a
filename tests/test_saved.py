"""An agent is saved and loaded without a loss; what cannot be saved is named, with how to mend it."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from codeact import Budget, CodeAgent, Limits, Mount, ToolCallingAgent, UsageError, only
from codeact.session.managed import AgentTool
from codeact.testing import ScriptedModel

MODULE = '''\
from __future__ import annotations
from codeact import Allow, Tool, tool
from codeact.testing import ScriptedModel
from pydantic import BaseModel

model = ScriptedModel("```python\\nfinal_answer(twice(4) + plus.of(1))\\n```", name="mine")

class City(BaseModel):
    name: str

@tool
def twice(n: int) -> int:
    """Twice n."""
    return 2 * n

class Plus(Tool):
    name = "plus"
    description = "One more."
    def forward(self, n: int) -> int:
        return n + 1

plus = Plus()

def right(value) -> bool:
    return True

def needs(call) -> bool:
    return False

async def gate(call):
    return Allow()

def watch(step) -> None:
    pass
'''


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of the user's."""
    (tmp_path / "mine_to_save.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    yield importlib.import_module("mine_to_save")
    del sys.modules["mine_to_save"]


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "agent.json").read_text(encoding="utf-8"))
    return found


def test_an_agent_comes_back_as_it_was(mine: Any, tmp_path: Path) -> None:
    arguments: dict[str, Any] = dict(
        model=mine.model,
        tools=[mine.twice, mine.plus, "tools.py:weather"],
        imports=only("math", "json"),
        instructions="Be brief. 🎈",
        sandbox="linux",
        network=["api.github.com"],
        mounts=[Mount(str(tmp_path), writable=True)],
        max_steps=7,
        seconds=2.5,
        memory="512MiB",
        limits=Limits(threads=5),
        listeners=[mine.watch],
        output_type=list[mine.City] | None,
        final_answer_checks=[mine.right],
        approve=mine.needs,
        gate=mine.gate,
        step_callbacks=[mine.watch],
        planning_interval=3,
        last_answer=True,
        static_check=False,
    )
    (tmp_path / "tools.py").write_text("def weather(city: str) -> int:\n    return 3\n")
    arguments["tools"][2] = f"{tmp_path}/tools.py:weather"
    agent = CodeAgent(**arguments)
    assert agent.save(tmp_path / "there") == tmp_path / "there" / "agent.json"
    again = CodeAgent.load(tmp_path / "there")
    assert type(again) is CodeAgent and again.policy == agent.policy
    assert [tool.spec for tool in again.tools] == [tool.spec for tool in agent.tools]
    for name in ("instructions", "planning_interval", "last_answer", "checks", "gate", "approve", "model", "listeners"):
        assert getattr(again, name) == getattr(agent, name), name
    assert again.answers is not None and agent.answers is not None and again.answers.spec == agent.answers.spec
    assert [one.function for one in again.callbacks] == [mine.watch]
    again.save(tmp_path / "again")
    assert document(tmp_path / "again") == document(tmp_path / "there")


def test_the_file_can_be_read_by_people_and_holds_what_was_said(mine: Any, tmp_path: Path) -> None:
    agent = ToolCallingAgent(model="openai:gpt-5", tools=[mine.twice, "web_search"], max_steps=3, secrets=["hunter2"])
    agent.save(tmp_path)
    assert document(tmp_path) == {
        "format": 1,
        "codeact": "0.1.0",
        "agent": "ToolCallingAgent",
        "arguments": {
            "model": "openai:gpt-5",
            "tools": [{"import": "mine_to_save:twice"}, "web_search"],
            "max_steps": 3,
        },
        "given_at_load": ["secrets"],
    }
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".json"] == ["agent.json"]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")


def test_secrets_are_never_written_and_have_to_be_given_again(tmp_path: Path) -> None:
    agent = CodeAgent(model=ScriptedModel(), secrets=["hunter2"])
    agent.replace(model="openai:gpt-5").save(tmp_path)
    assert "hunter2" not in (tmp_path / "agent.json").read_text()
    with pytest.raises(UsageError, match=r"secrets is not saved: give it again, load\(\.\.\., secrets=\.\.\.\)"):
        CodeAgent.load(tmp_path)
    assert CodeAgent.load(tmp_path, secrets=["hunter3"]).secrets == ("hunter3",)
    for said in ("The word is hunter2.", "The key is sk-of-a-test."):
        with pytest.raises(UsageError, match="one of the secrets"):
            agent.replace(model="openai:gpt-5", instructions=said).save(tmp_path)


def make(n: int) -> Any:
    def inner(a: int) -> int:
        return a + n

    return inner


def bound(a: int) -> int:
    """Something."""
    return a


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(tools=[make(3)]), r"tools\[0\] cannot be saved: make.<locals>.inner has no name in a module"),
        (dict(step_callbacks=[lambda step: None]), r"step_callbacks\[0\] cannot be saved: .*lambda"),
        (dict(tools=[functools.partial(bound, 3)]), r"tools\[0\] cannot be saved: partial"),
        (dict(final_answer_checks=["".startswith]), r"final_answer_checks\[0\] cannot be saved"),
    ],
)
def test_what_cannot_be_saved_is_named_with_how_to_mend_it(arguments: Any, says: str, tmp_path: Path) -> None:
    agent = CodeAgent(model="openai:gpt-5", **arguments)
    with pytest.raises(UsageError, match=says) as raised:
        agent.save(tmp_path)
    (name,) = arguments
    assert f"leave_out=['{name}']" in str(raised.value) and not (tmp_path / "agent.json").exists()
    agent.save(tmp_path, leave_out=[name])
    with pytest.raises(UsageError, match=f"{name} is not saved"):
        CodeAgent.load(tmp_path)
    assert CodeAgent.load(tmp_path, **arguments).tools == agent.tools or name == "tools"


def test_a_model_object_is_given_again(tmp_path: Path) -> None:
    agent = CodeAgent(model=ScriptedModel())
    with pytest.raises(UsageError, match="model cannot be saved"):
        agent.save(tmp_path)
    with pytest.raises(TypeError, match=r"leave_out=\['model'\]"):
        agent.save(tmp_path, leave_out="model")
    with pytest.raises(UsageError, match="did you mean 'model'"):
        agent.save(tmp_path, leave_out=["modell"])
    agent.save(tmp_path, leave_out=["model"])
    model = ScriptedModel("```python\nfinal_answer(1)\n```")
    assert CodeAgent.load(tmp_path, model=model).run("One?").output == 1


def test_what_is_given_at_load_stands_in_place_of_what_was_saved(tmp_path: Path) -> None:
    CodeAgent(model="openai:gpt-5", max_steps=3).save(tmp_path)
    again = CodeAgent.load(tmp_path, max_steps=5)
    assert again.policy.limits.steps == 5
    with pytest.raises(UsageError, match="did you mean 'max_steps'"):
        CodeAgent.load(tmp_path, max_step=5)


@pytest.mark.parametrize("hint", [int, str | None, list[int], dict[str, list[float]], tuple[int, ...], Literal["a", 1]])
def test_types_come_back(hint: Any, tmp_path: Path) -> None:
    CodeAgent(model="openai:gpt-5", output_type=hint).save(tmp_path)
    again = CodeAgent.load(tmp_path)
    assert again._given["output_type"] == hint  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(format=2), "of format 2, and this version of codeact reads 1"),
        (dict(agent="CodeAgnt"), "no agent 'CodeAgnt'; did you mean 'CodeAgent'"),
        (dict(argument={}), "no key 'argument'; did you mean 'arguments'"),
        (dict(arguments={"model": "openai:gpt-5", "tool": []}), "no argument 'tool'; did you mean 'tools'"),
        (
            dict(arguments={"model": "openai:gpt-5", "tools": [{"impor": "x"}]}),
            "what 'impor' is; did you mean 'import'",
        ),
        (dict(arguments={"model": "openai:gpt-5", "tools": [{"import": "os.path"}]}), "not of the form MODULE:NAME"),
        (
            dict(arguments={"model": "openai:gpt-5", "tools": [{"import": "no_such_m:x"}]}),
            "no_such_m cannot be imported",
        ),
        (dict(arguments={"model": "openai:gpt-5", "tools": [{"import": "math:sinn"}]}), "did you mean 'sin'"),
        (dict(arguments={"model": "openai:gpt-5", "limits": {"codeact": "assemble:model"}}), "no value of codeact"),
        (
            dict(arguments={"model": "openai:gpt-5", "limits": {"codeact": "core.execution:Limits", "thread": 3}}),
            "no key 'thread'; did you mean 'threads'",
        ),
        (dict(arguments=[]), "`arguments` is an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_says_something_else_is_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    CodeAgent(model="openai:gpt-5").save(tmp_path)
    (tmp_path / "agent.json").write_text(json.dumps({**document(tmp_path), **change}))
    with pytest.raises(UsageError, match=r"agent\.json: ") as raised:
        CodeAgent.load(tmp_path)
    assert says in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"a": 1}', "[" * 100_000, "\x00"])
def test_what_is_no_saved_agent_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "agent.json").write_text(text)
    with pytest.raises(UsageError, match=r"agent\.json: "):
        CodeAgent.load(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        CodeAgent.load(tmp_path / "nowhere")


def test_an_agent_of_another_kind_says_so(tmp_path: Path) -> None:
    ToolCallingAgent(model="openai:gpt-5").save(tmp_path)
    assert type(CodeAgent.load(tmp_path)) is ToolCallingAgent
    CodeAgent(model="openai:gpt-5").save(tmp_path)
    with pytest.raises(UsageError, match=r"write CodeAgent\.load"):
        ToolCallingAgent.load(tmp_path)


def test_tools_that_are_given_only_once_are_not_lost() -> None:
    agent = CodeAgent(model=ScriptedModel(), tools=(one for one in [bound]))
    assert len(agent.replace(max_steps=2).tools) == 1


def test_agents_below_budgets_and_what_a_model_is_told_are_kept(tmp_path: Path) -> None:
    below = ToolCallingAgent(
        model="openai:gpt-5", name="helper", description="Helps.", tools=["fetch"], budget=Budget(steps=3)
    )
    agent = CodeAgent(
        model="openai:gpt-5",
        managed_agents=[below],
        budget=Budget(tokens=1000, money=0.5),
        prices={"openai:gpt-5": (1.25, 10)},
        prompt={"role": "You are terse."},
        profile="small",
        carrier="code",
    )
    agent.save(tmp_path)
    again = CodeAgent.load(tmp_path)
    for what in ("budget", "prices", "parts", "profile", "carrier", "specs"):
        assert getattr(again, what) == getattr(agent, what), what
    (tool,) = again.tools
    assert isinstance(tool, AgentTool) and tool.agent.budget == Budget(steps=3) and tool.agent.action == "json"
    assert [one.spec.name for one in tool.agent.tools] == ["fetch"]
