"""A secret is given to tools and to nobody else: no model, no code, no journal, no screen and no log sees it."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from codeact import CodeAgent, ToolCallingAgent, tool
from codeact.core.errors import ModelUnavailable, UsageError
from codeact.core.events import TextDelta
from codeact.core.messages import NativeCall, Reply
from codeact.journals.sqlite import SqliteStore
from codeact.secrets import Secret, Vault
from codeact.testing import ScriptedModel

VALUE = 's3cr3t/königin "quoted"'
OTHER = "an0ther-value"
GIVEN: list[Any] = []


@pytest.fixture(autouse=True)
def clean() -> None:
    GIVEN.clear()


@tool
def login(token: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Log in, and be told too much."""
    GIVEN.append((token, options))
    header = {"Authorization": f"Bearer {token}", "raw": token.encode(), "url": f"https://x/?t={quote(token)}"}
    return {"ok": True, "sent": header, token: [json.dumps(token), base64.b64encode(token.encode()).decode()]}


@tool
def fail(token: str) -> None:
    """Fail, and say with what."""
    raise ValueError(f"{token!r} was refused")


def cell(source: str) -> str:
    return f"```python\n{source}\n```"


def traces(value: str) -> list[bytes]:
    return [
        value.encode(),
        json.dumps(value)[1:-1].encode(),
        quote(value).encode(),
        base64.b64encode(value.encode()).rstrip(b"="),
        value.encode("utf-16-le"),
    ]


def found(data: bytes, *secrets: str) -> list[bytes]:
    return [trace for secret in secrets for trace in traces(secret) if trace in data]


def all_of(path: Path) -> bytes:
    """Every byte of a journal, its write-ahead log and its locks."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.rglob("*")) if file.is_file())


CELLS = (
    "print(token, repr(keys), [token])\nanswer = login(token, options={'nested': [keys['db'], (token, 1)]})\nanswer",
    "try:\n    fail(token)\nexcept ValueError as error:\n    print(error)",
    "try:\n    'Bearer ' + token\nexcept TypeError as error:\n    print(error)\nimport copy\n"
    "again = copy.deepcopy(token)\nassert again == token\nlogin(token=again)",
    "final_answer([token, answer, keys])",
)


def agent(store: SqliteStore, *replies: Any, **more: Any) -> CodeAgent:
    more.setdefault("tools", [login, fail])
    return CodeAgent(model=ScriptedModel(*(replies or map(cell, CELLS))), journal=store, **more)


async def test_tools_are_given_a_secret_and_nobody_else_sees_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    store = SqliteStore(tmp_path / "runs.db")
    heard: list[Any] = []
    made = agent(store, listeners=[heard.append])
    given = {"token": Secret(VALUE), "keys": {"db": Secret(OTHER), "port": 5432}, "note": f"never write {VALUE}"}
    result = await made.arun(f"Log in; the token is {VALUE}.", additional_args=given, show=True)
    assert GIVEN[0] == (VALUE, {"nested": [OTHER, (VALUE, 1)]}) and GIVEN[1][0] == VALUE
    assert str(result.output[0]) == "<secret token>" and result.output[1]["ok"] is True
    prompts = made.model.prompts  # type: ignore[attr-defined]
    everything = [all_of(store.path), repr(heard).encode(), repr(prompts).encode(), repr(result).encode()]
    everything += [str(result.events).encode(), caplog.text.encode(), "".join(capsys.readouterr()).encode()]
    assert not [trace for data in everything for trace in found(data, VALUE, OTHER)]
    told = prompts[-1].messages
    assert "<secret token>" in told[1].text and "give it to a tool as it is" in told[1].text
    assert "Bearer <secret token>" in told[3].text and "*** was refused" in told[5].text.replace("'", "")
    assert "the value of <secret token> is not in here" in told[7].text


MEMORY = """
login(token)
size = found = 0
for line in open('/proc/self/maps'):
    where, rights = line.split()[:2]
    if rights.startswith('rw'):
        start, end = (int(part, 16) for part in where.split('-'))
        with open('/proc/self/mem', 'rb', 0) as memory:
            memory.seek(start)
            data = memory.read(end - start)
        size += len(data)
        found += data[::-1].count(b'ieheg-niem-tsi-sad')  # backwards, so that it is not what is looked for
final_answer([size > 1000000, found])
"""


@pytest.mark.filterwarnings("ignore::codeact.sandboxes.unconfined.UnconfinedWarning")
async def test_the_sandbox_has_no_secret_in_its_memory(tmp_path: Path) -> None:
    made = agent(SqliteStore(tmp_path / "runs.db"), cell(MEMORY), sandbox="unconfined")
    for token, times in ((Secret("das-ist-mein-geheimnis"[:18]), 0), ("das-ist-mein-geheimnis", 1)):
        result = await made.arun("Look.", additional_args={"token": token})
        assert result.output[0] is True and min(result.output[1], 1) == times
    assert GIVEN[0][0] == "das-ist-mein-gehei"


async def test_a_run_that_was_given_secrets_is_resumed_with_them_and_else_says_which_it_needs(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    replies = (cell(CELLS[0]), ModelUnavailable(f"the server said {VALUE}"))
    async with agent(store, *replies).session() as session:
        await session.bind(keys={"db": Secret(OTHER)})
        with pytest.raises(ModelUnavailable):
            await session.run("t", additional_args={"token": Secret(VALUE)})
    again = agent(store, replies[0], cell("login(token, {'key': keys['db']})\nfinal_answer(answer['ok'])"))
    with pytest.raises(UsageError, match=r"give them again, resume\(..., secrets=\{'keys.db': ..., 'token': ...\}"):
        await again.aresume(session.run_id)
    GIVEN.clear()
    resumed = await again.aresume(session.run_id, secrets={"token": "rotated-since", "keys.db": Secret(OTHER)})
    assert resumed.output is True and GIVEN == [("rotated-since", {"key": OTHER})]
    assert not found(all_of(store.path), VALUE, OTHER, "rotated-since")


async def test_an_agent_below_is_given_the_secret_as_a_secret(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    below = CodeAgent(
        model=ScriptedModel(cell("login(key)\nfinal_answer(repr(key))")), tools=[login], name="clerk", description="d"
    )
    above = agent(store, cell("final_answer(clerk('Log in.', key=token))"), tools=[], managed_agents=[below])
    result = await above.arun("t", additional_args={"token": Secret(VALUE)})
    assert result.output == "<secret key>" and GIVEN[0][0] == VALUE
    assert not found(all_of(store.path), VALUE)


async def test_a_reply_that_knows_a_secret_is_heard_without_it_however_it_is_cut() -> None:
    vault = Vault([OTHER])
    for size in range(1, 8):
        heard: list[Any] = []
        hearing = vault.hearing(heard.append)
        text = f"it is an an0ther {OTHER}, and an0th"
        for at in range(0, len(text), size):
            hearing(TextDelta(text[at : at + size]))
        hearing.end()
        assert "".join(delta.text for delta in heard) == "it is an an0ther ***, and an0th"
    seen: list[Any] = []
    made = CodeAgent(model=ScriptedModel(cell(f"final_answer('{OTHER}')")), secrets=[OTHER], listeners=[seen.append])
    result = await made.arun("t")
    assert result.output == "***" and OTHER not in repr(seen)


async def test_an_agent_that_writes_no_code_names_a_secret_by_what_it_shows() -> None:
    calls = Reply("", tool_calls=(NativeCall("1", "login", json.dumps({"token": "<secret token>"})),))
    end = Reply("", tool_calls=(NativeCall("2", "final_answer", json.dumps({"value": "<secret token>"})),))
    made = ToolCallingAgent(model=ScriptedModel(calls, end), tools=[login])
    result = await made.arun("t", additional_args={"token": Secret(VALUE)})
    assert GIVEN == [(VALUE, None)] and result.output == "<secret token>"


def test_what_is_no_secret_is_refused() -> None:
    with pytest.raises(UsageError, match="4 characters at least"):
        Secret("abc")
    with pytest.raises(TypeError, match="not of type int"):
        Secret(12345)  # type: ignore[arg-type]
    assert repr(Secret(VALUE)) == str(Secret(VALUE)) == "<secret>"
