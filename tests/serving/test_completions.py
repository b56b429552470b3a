"""Agents as models, asked by OpenAI's own client."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import openai
import pytest

from codeact import CodeAgent
from codeact.core.errors import ModelRejected
from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Prompt, Reply, Usage
from codeact.ports import Emit
from codeact.testing import ScriptedModel
from serving.site import Site, entries, site


class Thinking:
    """A model that reasons first, and counts its tokens."""

    name = "thinking"

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The answer is what it was asked last."""
        emit(ReasoningDelta("Let me see. "))
        n = prompt.answered
        answer = f"{{'task': {prompt.messages[-1].text!r}, 'n': n, 'turn': {n}}}"
        code = f"n = globals().get('n', 0) + 1\nfinal_answer({answer})"
        reply = Reply(f"I know.\n```python\n{code}\n```", reasoning="Let me see. ", usage=Usage(100, 10, 40))
        for word in reply.text.splitlines(keepends=True):
            emit(TextDelta(word))
        return reply


class Silent:
    """A model that never answers."""

    name = "silent"

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """It waits."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError


SILENT = Silent()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    journal = tmp_path_factory.mktemp("journal") / "runs.db"
    made = [
        CodeAgent(model=Thinking(), name="thinker", journal=journal),
        CodeAgent(model=ScriptedModel("```python\nx = 1\n```", "```python\nx = 2\n```"), name="never", max_steps=2),
        CodeAgent(model=ScriptedModel(ModelRejected("no such key here")), name="broken"),
        CodeAgent(model=SILENT, name="silent"),
        CodeAgent(
            model=ScriptedModel("```python\nimport os\nfinal_answer(sorted(os.listdir('inputs')))\n```"), name="looker"
        ),
    ]
    with site(*made) as found:
        yield found


@pytest.fixture(scope="module")
def client(here: Site) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{here.url}/v1", api_key=here.token)


def test_each_agent_is_a_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["thinker", "never", "broken", "silent", "looker"]
    assert client.models.retrieve("thinker").owned_by == "codeact"


def test_an_answer_comes_with_its_thoughts_and_what_it_cost(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(model="thinker", messages=[{"role": "user", "content": "One."}])
    (choice,) = done.choices
    assert (choice.finish_reason, choice.message.role, choice.index) == ("stop", "assistant", 0)
    assert choice.message.content is not None
    assert '"n": 1' in choice.message.content and "One." in choice.message.content
    assert choice.message.reasoning_content.startswith("Let me see. I know.\n```python")  # type: ignore[attr-defined]
    assert done.usage is not None and done.usage.prompt_tokens_details is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.total_tokens) == (100, 10, 110)
    assert done.usage.prompt_tokens_details.cached_tokens == 40
    assert (done.object, done.model) == ("chat.completion", "thinker") and done.id.startswith("chatcmpl-")


def test_it_streams_its_thoughts_and_then_its_answer(client: openai.OpenAI) -> None:
    pieces = list(
        client.chat.completions.create(
            model="thinker",
            messages=[{"role": "user", "content": "One."}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *said, last = pieces
    assert last.choices == [] and last.usage is not None and last.usage.total_tokens == 110
    deltas = [piece.choices[0].delta for piece in said]
    assert deltas[0].role == "assistant"
    thoughts = [getattr(delta, "reasoning_content", None) or "" for delta in deltas]
    assert "".join(thoughts).startswith("Let me see. I know.") and len([one for one in thoughts if one]) > 3
    assert '"n": 1' in "".join(delta.content or "" for delta in deltas)
    assert [piece.choices[0].finish_reason for piece in said] == [None] * (len(said) - 1) + ["stop"]
    without = client.chat.completions.create(model="thinker", messages=[{"role": "user", "content": "1"}], stream=True)
    assert all(piece.choices and piece.usage is None for piece in without)


def test_the_list_of_messages_is_what_was_said_before(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(
        model="thinker",
        messages=[
            {"role": "system", "content": "Answer in verse."},
            {"role": "user", "content": "How cold is Oslo?"},
            {"role": "assistant", "content": "Three degrees."},
            {"role": "user", "content": [{"type": "text", "text": "And Bergen?"}]},
        ],
    )
    content = done.choices[0].message.content
    assert content is not None
    before = "What was said before that:\\n\\nuser: How cold is Oslo?\\n\\nassistant: Three degrees."
    assert f"And Bergen?\\n\\n{before}" in content and "verse" not in content


def test_a_conversation_keeps_its_variables(here: Site, client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="thinker", messages=[{"role": "user", "content": "One."}])
    second = client.chat.completions.create(
        model="thinker", messages=[{"role": "user", "content": "Two."}], extra_body={"conversation": first.id}
    )
    assert second.id == first.id and '"n": 2' in str(second.choices[0].message.content)
    assert here.get(f"/api/runs/{first.id.removeprefix('chatcmpl-')}")["steps"] == 2
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(
            model="thinker", messages=[{"role": "user", "content": "Two."}], extra_body={"conversation": "0" * 32}
        )


def test_pictures_and_files_are_put_beside_the_code(client: openai.OpenAI) -> None:
    data = "data:image/png;base64," + base64.b64encode(b"png").decode()
    file = "data:text/csv;base64," + base64.b64encode(b"a,b").decode()
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": data}},
        {"type": "file", "file": {"filename": "rows.csv", "file_data": file}},
    ]
    done = client.chat.completions.create(model="looker", messages=[{"role": "user", "content": parts}])  # type: ignore[list-item,misc]
    assert done.choices[0].message.content == '["image-1.png", "rows.csv"]'


def test_no_answer_is_no_success(client: openai.OpenAI) -> None:
    asked = [{"role": "user", "content": "Go."}]
    done = client.chat.completions.create(model="never", messages=asked)  # type: ignore[arg-type]
    assert (done.choices[0].finish_reason, done.usage) == ("length", None)
    with pytest.raises(openai.APIStatusError, match="no such key here") as raised:
        client.chat.completions.create(model="broken", messages=asked)  # type: ignore[arg-type]
    assert (raised.value.status_code, raised.value.code) == (502, "ModelRejected")  # type: ignore[comparison-overlap]
    with pytest.raises(openai.APIError, match="no such key here"):
        list(client.chat.completions.create(model="broken", messages=asked, stream=True))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"n": 2}, "n=1"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools of its own"),
        ({"response_format": {"type": "json_object"}}, "output_type"),
        ({"messages": []}, "last message"),
        ({"messages": [{"role": "assistant", "content": "Hm."}]}, "last message"),
        ({"messages": [{"role": "user", "content": ""}]}, "empty"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/"}}]}]},
            "data:",
        ),
        ({"messages": "hello"}, "messages"),
    ],
)
def test_what_an_agent_cannot_do_is_refused(client: openai.OpenAI, more: dict[str, object], why: str) -> None:
    body = {"model": "thinker", "messages": [{"role": "user", "content": "Go."}], **more}
    with pytest.raises(openai.BadRequestError, match=why):
        client.chat.completions.create(**body)  # type: ignore[call-overload]


def test_errors_are_those_that_the_client_knows(here: Site, client: openai.OpenAI) -> None:
    asked = [{"role": "user", "content": "Go."}]
    with pytest.raises(openai.NotFoundError) as absent:
        client.chat.completions.create(model="gpt-5", messages=asked)  # type: ignore[arg-type]
    assert absent.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{here.url}/v1", api_key="wrong", max_retries=0).models.list()
    with pytest.raises(openai.NotFoundError, match="POST /v1/chat/completions, GET /v1/models"):
        client.responses.create(model="thinker", input="Go.")


def test_a_task_ends_with_its_client(here: Site, client: openai.OpenAI) -> None:
    asked = [{"role": "user", "content": "Go."}]
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5, max_retries=0).chat.completions.create(model="silent", messages=asked)  # type: ignore[arg-type]
    with client.chat.completions.create(model="silent", messages=asked, stream=True) as pieces:  # type: ignore[call-overload]
        next(iter(pieces))
    runs = [one["run"] for one in here.get("/api/runs") if one["agent"] == "silent"]
    assert len(runs) == 2
    for run in runs:
        assert entries(here.until(run, state="cut off"))[-1]["stop_reason"] == "cancelled"
