"""`codeact prompt` shows what a model is sent, without a key and without a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .command import codeact

TOOL = 'def weather(city: str, unit: str = "C") -> dict:\n    """Current weather in a city."""\n    return {}\n'


def test_it_is_what_a_run_sends(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(TOOL)
    flags = ("--tools", "tools.py", "--imports", "numpy", "--model", "openai:gpt-5", "--secret", "API_KEY")
    key = {"API_KEY": "k3y-of-mine"}
    done = codeact("prompt", "Is it cold in {Oslo}?", *flags, "--json", home=tmp_path, **key)
    assert done.code == 0, done.err
    (line,) = done.lines
    system, task = line["messages"]
    given = (
        "These variables are set:\n- API_KEY: <secret API_KEY> (its value is not in here: give it to a tool as it is)"
    )
    assert task == {"role": "user", "text": f"Is it cold in {{Oslo}}?\n\n{given}"}
    assert "def weather(city: str, unit: str = 'C') -> dict:" in system["text"] and "numpy" in system["text"]
    assert line["tokens"]["all"] == sum(count for name, count in line["tokens"].items() if name != "all")
    assert {"role", "acting", "rules", "sandbox", "tools", "task"} <= line["tokens"].keys()

    shown = codeact("prompt", "Is it cold in {Oslo}?", *flags, home=tmp_path, **key)
    assert shown.out == f"[system]\n{system['text']}\n\n[user]\n{task['text']}\n"
    assert "tokens" in shown.err and "tools" in shown.err


@pytest.mark.parametrize("action", ["json", "text"])
def test_every_form_of_action_has_its_own(tmp_path: Path, action: str) -> None:
    (tmp_path / "tools.py").write_text(TOOL)
    done = codeact("prompt", "t", "--tools", "tools.py", "--action", action, "--json", home=tmp_path)
    assert done.code == 0, done.err
    declared = [tool["name"] for tool in done.lines[0]["tools"]]
    assert declared == (["weather", "final_answer"] if action == "json" else [])
    assert "weather" in json.dumps(done.lines[0])


def test_an_agent_of_ones_own_is_asked_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from codeact import CodeAgent\nfrom codeact.testing import ScriptedModel\n"
        "agent = CodeAgent(model=ScriptedModel(), instructions='Answer in Norwegian.')\n"
    )
    done = codeact("prompt", "app.py:agent", "t", home=tmp_path)
    assert done.code == 0 and "Answer in Norwegian." in done.out, done.err
    refused = codeact("prompt", home=tmp_path)
    assert refused.code == 2 and "no task" in refused.err


def test_a_profile_and_a_carrier_change_what_a_model_is_told(tmp_path: Path) -> None:
    def sent(*flags: str) -> str:
        done = codeact("prompt", "t", *flags, "--json", home=tmp_path)
        assert done.code == 0, done.err
        return str(done.lines[0]["messages"][0]["text"])

    plain = sent()
    assert len(sent("--profile", "small")) < len(plain)
    assert sent("--model", "ollama:qwen2.5-coder:1.5b") == sent("--profile", "small")
    assert "<execute>" in sent("--carrier", "execute") and "<execute>" not in plain
    wrong = codeact("prompt", "t", "--profile", "smal", home=tmp_path)
    assert wrong.code == 2 and "small" in wrong.err
