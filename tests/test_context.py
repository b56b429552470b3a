"""What an agent shows its model of a long conversation: the model is scripted, or a server here; all else is real."""

from __future__ import annotations

from typing import Any

import pandas
import pytest

from codeact import CodeAgent, ToolCallingAgent, UsageError
from codeact.core.errors import ContextOverflow
from codeact.core.events import CodeRan, Compacted, ModelFailed, Summarised, SummaryAsked
from codeact.core.messages import Image, NativeCall, Prompt, Reply
from codeact.models.ollama import OllamaModel
from codeact.testing import ScriptedModel
from models import server as s


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


def wordy(steps: int) -> list[str]:
    """Cells that print much and keep what they printed."""
    return [code(f"page_{n} = 'line {n} of a long report\\n' * 120\nprint(page_{n})") for n in range(1, steps + 1)]


def length(prompt: Prompt) -> int:
    return sum(len(message.text) for message in prompt.messages)


def test_old_output_gives_way_and_the_variables_are_named_and_there() -> None:
    model = ScriptedModel(*wordy(12), code("final_answer(sum(len(globals()[f'page_{n}']) for n in range(1, 13)))"))
    result = CodeAgent(model=model, context_tokens=6_000).run("Read the report.")
    assert result.output == sum(len(f"line {n} of a long report\n" * 120) for n in range(1, 13))
    assert any(isinstance(event, Compacted) for event in result.events)
    assert max(map(length, model.prompts)) < 3 * 6_000
    last = [message.text for message in model.prompts[-1].messages]
    assert "`page_1` still holds what it made" in last[3]
    assert last[1] == "Read the report." and "line 12 of a long report\nline 12" in last[-1]


def test_the_model_sums_up_where_pointers_are_not_enough_and_hears_all_that_the_user_said() -> None:
    class Model:
        """Writes long code; asked to sum up, it does."""

        name = "wordy"

        def __init__(self) -> None:
            self.prompts: list[Prompt] = []

        async def ask(self, prompt: Prompt, emit: Any) -> Reply:
            self.prompts.append(prompt)
            if "Write down for yourself" in prompt.messages[-1].text:
                return Reply("Nothing was found yet.")
            step = prompt.answered
            return Reply(code(f"x{step} = {step}  # {'word ' * 500}" if step < 20 else "final_answer(x1)"))

    model = Model()
    with CodeAgent(model=model, context_tokens=5_000, max_steps=50).session() as session:
        session.say("Only brass ones.")
        result = session.run("Find the dearest lamp.")
    assert result.output == 1
    kinds = [type(event) for event in result.events]
    assert kinds.count(SummaryAsked) == kinds.count(Summarised) >= 2
    assert result.usage.requests == result.steps + kinds.count(Summarised)
    last = "\n".join(message.text for message in model.prompts[-1].messages)
    assert "Find the dearest lamp." in last and "Only brass ones." in last and "Nothing was found yet." in last
    assert last.count("[The conversation up to here is left out.") == 1


def test_a_server_that_refuses_a_long_prompt_is_asked_once_more_with_a_shorter_one() -> None:
    refusal = s.status(400, s.error("This model's maximum context length is 4096 tokens."))
    replies = [s.says(text) for text in (*wordy(5), code("final_answer(len(page_1))"))]
    with s.serving(*replies[:-1], refusal, replies[-1]) as server:
        result = CodeAgent(model=f"{server.url}#m").run("Read the report.")
        asked = server.questions
    assert result.output == len("line 1 of a long report\n" * 120)
    assert [event.type for event in result.events if isinstance(event, ModelFailed)] == ["ContextOverflow"]
    assert len(str(asked[-1])) < len(str(asked[-2])) * 3 / 4
    assert asked[-1]["messages"][1] == asked[-2]["messages"][1]


def test_a_prompt_that_is_refused_again_is_a_clear_error_and_the_session_goes_on() -> None:
    refusal = s.status(400, s.error("prompt is too long"))
    replies = [s.says(text) for text in wordy(3)]
    then = [s.says("The report is in page_1 to page_3."), s.says(code("final_answer(len(page_3))"))]
    with s.serving(*replies, refusal, refusal, *then) as server:
        with CodeAgent(model=f"{server.url}#m").session() as session:
            with pytest.raises(ContextOverflow, match="longer than m at"):
                session.run("Read the report.")
            assert session.run("How long is page three?").output > 1000
        assert len(server.questions) == 7
        assert "The report is in page_1 to page_3." in str(server.questions[-1]["messages"])


def test_a_task_that_is_too_long_in_itself_says_what_to_do() -> None:
    agent = CodeAgent(model=ScriptedModel(), context_tokens=4_000)
    with pytest.raises(ContextOverflow, match=r"context_tokens=4,000 are allowed.* give long text as a variable"):
        agent.run("word " * 4_000)


def test_a_bound_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="context_tokens=10: from 256"):
        CodeAgent(model=ScriptedModel(), context_tokens=10)
    with pytest.raises(TypeError, match="context_tokens must be a whole number of tokens"):
        CodeAgent(model=ScriptedModel(), context_tokens=1e4)  # type: ignore[arg-type]


def test_every_picture_is_sent_once() -> None:
    """One that a reply has not seen yet is sent; the next request holds a line in its place."""
    draw = "import matplotlib.pyplot as plt\nplt.plot([3, 1, {}])\nplt.show()"
    model = ScriptedModel(code(draw.format(1)), code(draw.format(2)), code("1"), code("2"), code("final_answer(3)"))
    result = CodeAgent(model=model, imports=["matplotlib"]).run("How does it go?")
    drawn = [image for event in result.events if isinstance(event, CodeRan) for image in event.outcome.images]
    sent = [
        [part for message in prompt.messages for part in message.parts if isinstance(part, Image)]
        for prompt in model.prompts
    ]
    assert sent == [[], [drawn[0]], [drawn[1]], [], []]
    assert "shown once, when new" in model.prompts[-1].messages[3].text


def test_large_data_costs_no_tokens_and_its_kind_and_size_are_told() -> None:
    given = {
        "report": "a line of it\n" * 400_000,
        "orders": pandas.DataFrame({"item": ["lamp"] * 100_000, "count": range(100_000)}),
        "tree": {f"k{n}": {"rows": [list(range(50))] * 9} for n in range(1_000)},
        "words": ["several words"] * 60,
        "raw": bytes(5_000_000),
        "name": "Oslo",
    }
    model = ScriptedModel(code("final_answer([len(report), len(orders), len(tree), len(words), len(raw), name])"))
    result = CodeAgent(model=model).run("Count.", additional_args=given)
    assert result.output == [5_200_000, 100_000, 1_000, 60, 5_000_000, "Oslo"]
    told = model.prompts[0].messages[1].text
    assert len(told) < 2_500
    lines = [line.partition(": ")[2] for line in told.splitlines() if line.startswith("- ")]
    kinds = ["str of 5,200,000 characters: ", "DataFrame of 100,000 rows and 2 columns (item: ", "dict of 1,000 keys: "]
    kinds += ["list of 60 items: ", "bytes of 5,000,000 bytes: ", "'Oslo'"]
    assert [kind for kind, line in zip(kinds, lines, strict=True) if not line.startswith(kind)] == []


def test_an_agent_keeps_its_prompts_within_what_ollama_says_that_the_model_sees() -> None:
    replies = [s.says(text) for text in (*wordy(8), code("final_answer(len(page_8))"))]
    with s.serving(*replies) as server:
        server.tells = {"/api/show": {}, "/api/ps": {"models": [{"model": "qwen3:latest", "context_length": 8192}]}}
        model = OllamaModel("qwen3", base_url=server.url)
        assert CodeAgent(model=model).run("Read the report.").output == len("line 8 of a long report\n" * 120)
        lengths = [sum(len(m["content"]) for m in question["messages"]) for question in server.questions]
    assert max(lengths) <= 3 * 8192 * 3 / 4
    assert lengths != sorted(lengths)


def test_tools_that_are_called_natively_are_told_what_gave_way() -> None:
    def pages(number: int) -> str:
        """A page of the report."""
        return f"line {number} of a long report\n" * 120

    calls = [Reply("", tool_calls=(NativeCall(f"c{n}", "pages", f'{{"number": {n}}}'),)) for n in range(1, 9)]
    last = Reply("", tool_calls=(NativeCall("a", "final_answer", '{"value": "long"}'),))
    model = ScriptedModel(*calls, last)
    result = ToolCallingAgent(model=model, tools=[pages], context_tokens=5_000).run("Read the report.")
    assert result.output == "long"
    assert "are left out here: call again if you need them" in model.prompts[-1].messages[3].text
