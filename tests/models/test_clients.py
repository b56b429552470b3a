"""A client object of the user's own: what it is asked, and that its failures are the same errors.

The libraries take seconds to import: where they are used, and not in every process that collects tests.
"""

from __future__ import annotations

import subprocess
import sys

import httpx2
import pytest

from codeact.core.errors import ModelProtocolError, ModelRejected, ModelUnavailable
from codeact.models.anthropic import AnthropicModel
from codeact.models.openai import OpenAIModel
from codeact.ports import Model

from . import server as s
from .asking import ask
from .sayings import PROTOCOLS


def of_openai(server: s.Server) -> Model:
    import openai

    client = openai.AsyncOpenAI(api_key="sk-mine", base_url=server.url, default_headers={"X-Team": "blue"})
    return OpenAIModel("m", client=client)


def of_anthropic(server: s.Server) -> Model:
    import anthropic

    root = server.url.removesuffix("/v1")
    return AnthropicModel(
        "m", client=anthropic.AsyncAnthropic(api_key="sk-mine", base_url=root, default_headers={"X-Team": "blue"})
    )


KINDS = pytest.mark.parametrize(
    ("make", "protocol"), [(of_openai, "chat"), (of_anthropic, "messages")], ids=["openai", "anthropic"]
)


@KINDS
async def test_all_goes_through_the_users_own_client(make: type[Model], protocol: str) -> None:
    saying = PROTOCOLS[protocol]
    with s.serving(saying.good, saying.good) as server:
        model = make(server)  # type: ignore[call-arg]
        for _ in range(2):
            came = await ask(model)
            assert came.reply is not None and came.reply.text == came.text == "Oslo", came.error
    assert all(asked.headers["x-team"] == "blue" and "sk-mine" in str(asked.headers) for asked in server.asked)


@KINDS
async def test_what_fails_is_the_same_error_and_it_is_asked_once(make: type[Model], protocol: str) -> None:
    saying = PROTOCOLS[protocol]
    script: list[list[s.Step]] = [
        s.status(429, s.error("Slow down"), Retry_After="7"),
        s.status(400, s.error("Invalid image")),
        [saying.open, saying.text("Os"), s.Cut()],
        [saying.open, saying.garbage],
    ]
    with s.serving(*script) as server:
        model = make(server)  # type: ignore[call-arg]
        kinds = [type((await ask(model)).error) for _ in script]
        assert len(server.questions) == len(script)
    assert kinds == [ModelUnavailable, ModelRejected, ModelUnavailable, ModelProtocolError]
    gone = (await ask(model)).error
    assert type(gone) is ModelUnavailable and "Connection refused" in str(gone)


async def test_a_programs_own_mistake_is_not_taken_for_the_servers() -> None:
    import openai

    async def fail(_: httpx2.Request) -> None:
        raise RuntimeError("my hook")

    http = httpx2.AsyncClient(event_hooks={"request": [fail]})
    with s.serving() as server:
        client = openai.AsyncOpenAI(api_key="k", base_url=server.url, http_client=http)
        with pytest.raises(RuntimeError, match="my hook"):
            await ask(OpenAIModel("m", client=client))
    await http.aclose()


def test_without_a_client_of_ones_own_no_sdk_is_loaded() -> None:
    program = (
        "import sys, codeact.models.openai, codeact.models.anthropic, codeact.models.ollama\n"
        "print(*sorted({'openai', 'anthropic', 'pydantic_ai', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
