"""Tools of MCP servers: of one of our own, over standard input and output and over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.command import codeact
from cli.quick import quick
from codeact import CodeAgent, Interpreter, ToolsUnavailable, UsageError, mcp_tools
from codeact.testing import ScriptedModel, check_tool
from mcp_own import TOKEN

OWN = Path(__file__).parent.parent / "mcp_own.py"
STDIO = {"command": sys.executable, "args": [str(OWN), "stdio"]}


def config(**servers: Any) -> dict[str, Any]:
    return {"mcpServers": servers}


def children() -> set[int]:
    """The processes that this one has started and that are still there."""
    out = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and fields[0] != "Z":
                out.add(int(stat.parent.name))
    return out


def servers_of_ours() -> set[int]:
    return {pid for pid in children() if str(OWN) in Path(f"/proc/{pid}/cmdline").read_text()}


@contextlib.contextmanager
def over_http(port: int = 0) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    process = subprocess.Popen([sys.executable, str(OWN), "http", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process
    finally:
        process.kill()
        process.communicate()


def at(port: int, token: str = TOKEN) -> dict[str, Any]:
    return {"url": f"http://127.0.0.1:{port}/mcp", "headers": {"Authorization": f"Bearer {token}"}}


@pytest.fixture(scope="module")
def forked() -> Iterator[dict[str, Any]]:
    """The same server as a fork of a warm process, for tests that are not about how its process ends."""
    with tempfile.TemporaryDirectory() as programs, quick(Path(programs)):
        yield {"command": f"{programs}/python", "args": [str(OWN), "stdio"]}


@pytest.fixture(scope="module")
def own() -> Iterator[dict[str, Any]]:
    with mcp_tools(config(own=STDIO)) as tools:
        yield {tool.spec.name: tool for tool in tools}


@pytest.fixture(scope="module")
def python(own: dict[str, Any]) -> Iterator[Any]:
    with Interpreter(tools=own.values()) as python:
        yield python


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("weather", "(city: str, unit: Literal['C', 'F'] = 'C') -> dict"),
        ("total", "(numbers: list[int], start: int = 0) -> int"),
        ("order", "(order: dict) -> str"),
        ("letter", "()"),
        ("open_file", "(pid: bool = False) -> str"),
        ("filter", "(text: str) -> str"),
    ],
)
def test_a_tool_of_a_server_has_its_true_signature(own: dict[str, Any], name: str, declared: str) -> None:
    assert own[name].spec.signature == declared
    assert own[name].spec.group == "own"


def test_the_documentation_tells_parameters_and_shapes(own: dict[str, Any]) -> None:
    doc = own["weather"].spec.doc
    assert doc == "Weather in a city.\n\ncity: its English name\n\nReturns: {city: str, degrees: float}"
    assert "order: {id: int, note?: str}" in own["order"].spec.doc
    assert own["letter"].spec.doc.endswith("Returns: text")


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("weather('Oslo')", "{'city': 'Oslo', 'degrees': 3.5}"),
        ("weather('Oslo', unit='F')['degrees']", "38.3"),
        ("total((1, 2, 3), start=4)", "10"),
        ("order({'id': 7, 'note': 'quick'})", "'7: quick'"),
        ("letter()", """'{"a": 1}'"""),
        ("own_filter('a')", "'A'"),
        ("import asyncio; await asyncio.gather(total.aio([1]), total.aio([2]))", "[1, 2]"),
        ("c, p = drawing(); (c, p.size, p.getpixel((0, 0)))", "('two dots', (2, 1), (255, 0, 0))"),
    ],
)
def test_results_keep_their_types_and_text_stays_text(python: Any, call: str, value: str) -> None:
    outcome = python.run(call)
    assert outcome.value == value, outcome.error


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ("weather('Rome')", "ServerFailed", "no station in Rome; there is one in Oslo"),
        ("weather(5)", "TypeError", "weather(): 'city' must be str, got 5 (int)"),
        ("weather('Oslo', unit='K')", "ValueError", "weather(): 'unit' must be 'C' or 'F', got 'K' (str)"),
        ("order({'note': 'x'})", "TypeError", "order(): 'order': 'id' is a required property"),
        ("order({'id': 'x'})", "TypeError", "order(): 'order.id' must be int, got 'x' (str)"),
        ("total({1})", "TypeError", "give list(...)"),
        ("weather()", "TypeError", "missing 1 required positional argument: 'city'"),
        ("weather(town='Oslo')", "TypeError", "unexpected keyword argument 'town'"),
    ],
)
def test_what_is_wrong_with_a_call_is_an_exception_that_says_it(python: Any, call: str, kind: str, words: str) -> None:
    error = python.run(call).error
    assert error is not None
    assert (error.type, words in error.message) == (kind, True), error


async def test_a_tool_of_a_server_keeps_the_contract_of_tools(forked: dict[str, Any]) -> None:
    async with mcp_tools(config(own=forked)) as tools:
        found = {tool.spec.name: tool for tool in tools}
        assert await check_tool(found["total"], [1, 2]) == 3


def test_a_server_that_dies_is_one_error_and_is_there_again_at_the_next_call() -> None:
    with mcp_tools(config(own=STDIO)) as tools, Interpreter(tools=list(tools)) as python:
        before = python.run("open_file(pid=True)").value
        error = python.run("die()").error
        assert error is not None and error.type == "ConnectionError"
        assert "the MCP server 'own' ended during the call: whether the call took effect is not known" in error.message
        assert python.run("total([1, 2])").value == "3"
        assert python.run("open_file(pid=True)").value != before


LEAVES = """
import asyncio, os, sys
from pathlib import Path
from codeact import mcp_tools

def here():
    mine = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return mine, len(os.listdir("/proc/self/fd"))

servers = {"mcpServers": {name: {"command": sys.executable, "args": [sys.argv[1], "stdio"]} for name in "ab"}}
async def twice():
    async with mcp_tools({"mcpServers": {"a": servers["mcpServers"]["a"]}}):  # whatever is kept for all is there now
        pass
    before = here()
    async with mcp_tools(servers) as tools:
        print(len(here()[0]) - len(before[0]), "servers")
    print("as before" if here() == before else f"{before} {here()}")
    try:
        await tools[0].call({"city": "Oslo"})
    except RuntimeError as error:
        print(error)
asyncio.run(twice())
"""


def test_nothing_is_left_when_the_servers_are_left() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVES, str(OWN)], capture_output=True, text=True, check=False)
    closed = "the MCP server 'a' is closed: use its tools inside `with mcp_tools(...)`"
    assert done.stdout.splitlines() == ["2 servers", "as before", closed], done.stderr


def test_two_servers_with_a_tool_of_one_name_stand_before_it_where_it_is_called_without_its_module(
    forked: dict[str, Any],
) -> None:
    with mcp_tools(config(**{"a": forked, "b-side": forked})) as tools, Interpreter(tools=tools) as python:
        paths = [tool.spec.path for tool in tools]
        assert {"a.weather", "b_side.weather", "a.filter", "b_side.filter"} <= set(paths)
        assert len(paths) == len(set(paths))
        assert {tool.spec.group for tool in tools} == {"a", "b_side"}
        assert python.run("b_side_filter('b'), tools.b_side.filter('c')").value == "('B', 'C')"
        assert python.run("weather('Oslo')").error.type == "NameError"


async def test_several_agents_share_a_server_in_loops_of_their_own(forked: dict[str, Any]) -> None:
    reply = "```python\nfinal_answer(total([{n}, 1]))\n```"
    async with mcp_tools(config(own=forked)) as tools:
        agents = [CodeAgent(model=ScriptedModel(reply.format(n=n)), tools=tools) for n in range(3)]
        here = await asyncio.gather(*(agent.arun("Add.") for agent in agents))
        there = await asyncio.gather(*(asyncio.to_thread(agent.run, "Add.") for agent in agents))
    assert [result.output for result in [*here, *there]] == [1, 2, 3, 1, 2, 3]


async def test_a_call_that_is_cancelled_leaves_the_server_usable() -> None:
    async with mcp_tools(config(own=STDIO)) as tools:
        found = {tool.spec.name: tool for tool in tools}
        waiting = asyncio.create_task(found["wait"].call({"seconds": 30}))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await found["total"].call({"numbers": [2]}) == 2


# -- over HTTP ---------------------------------------------------------------------------------------------------------


def test_a_server_is_reached_by_http_with_its_headers() -> None:
    with (
        over_http() as (port, process),
        mcp_tools(config(web=at(port))) as tools,
        Interpreter(tools=list(tools)) as python,
    ):
        assert python.run("weather('Oslo')").value == "{'city': 'Oslo', 'degrees': 3.5}"
        error = python.run("weather('Rome')").error
        assert error is not None and "no station in Rome; there is one in Oslo" in error.message
        process.kill()
        process.wait()
        error = python.run("total([1])").error
        assert error is not None and error.type == "ConnectionError"
        error = python.run("total([1])").error
        assert error is not None and "did not come up: nothing answers at its address" in error.message
        with over_http(port):
            assert python.run("total([1])").value == "1"


def test_a_header_that_is_refused_is_told_and_not_shown() -> None:
    with (
        over_http() as (port, _),
        pytest.raises(ToolsUnavailable) as refusal,
        mcp_tools(config(web=at(port, "wr0ng-t0ken"))),
    ):
        pass
    assert str(refusal.value) == (
        "the MCP server 'web' did not come up: HTTP refused with status 401: look at its headers"
    )


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_a_secret_of_the_configuration_does_not_come_back(
    forked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cret-of-mine")
    caplog.set_level("DEBUG")
    entry = {**forked, "env": {"OWN_TOKEN": "${MY_TOKEN}"}}
    with mcp_tools(config(own=entry)) as tools, Interpreter(tools=list(tools)) as python:
        assert python.run("open_file()").value == "'I was given ***'"
        assert "s3cret" not in repr(tools) + repr([tool.spec for tool in tools])
    with over_http() as (port, _), mcp_tools(config(web=at(port))) as tools, Interpreter(tools=list(tools)) as python:
        assert python.run("open_file()").value == "'I was given ***'"
    assert "s3cret" not in caplog.text and TOKEN not in caplog.text


# -- servers that do not come up ---------------------------------------------------------------------------------------

SPEAKS = "import os, sys; sys.exit('no use for ' + os.environ['API_KEY'])"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"command": "no-such-program-here"}, "there is no program 'no-such-program-here' here"),
        (
            {"command": sys.executable, "args": ["-c", SPEAKS], "env": {"API_KEY": "k3y-of-mine"}},
            "it ended before it answered; it said: no use for ***",
        ),
        ({"command": sys.executable, "args": ["-c", "print('hello')"]}, "it ended before it answered"),
        ({"url": "http://127.0.0.1:9/mcp"}, "nothing answers at its address"),
    ],
)
def test_a_server_that_does_not_come_up_is_named_and_says_why(
    forked: dict[str, Any], entry: dict[str, Any], why: str
) -> None:
    before = servers_of_ours()
    with pytest.raises(ToolsUnavailable) as refusal, mcp_tools(config(broken=entry, own=forked)):
        pass
    assert str(refusal.value) == f"the MCP server 'broken' did not come up: {why}"
    assert servers_of_ours() == before, "the one that did come up is ended"


def test_a_server_that_says_nothing_is_given_up_after_its_time() -> None:
    entry = {"command": sys.executable, "args": ["-c", "input(); input(); input()"]}
    with pytest.raises(ToolsUnavailable, match=r"'silent' did not come up: no answer within 0\.5 s"):
        mcp_tools(config(silent=entry), seconds=0.5).__enter__()


# -- the command line --------------------------------------------------------------------------------------------------


def test_the_command_line_takes_a_file_of_servers(forked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text(json.dumps(config(own=forked)))
    done = codeact("exec", "--mcp", "mcp.json", "-c", "total([1, 2])", "-c", "weather('Oslo')", home=tmp_path)
    assert (done.code, done.out) == (0, "3\n{'city': 'Oslo', 'degrees': 3.5}\n"), done.err
    (tmp_path / "replies.jsonl").write_text(json.dumps({"text": "```python\nfinal_answer(total([4]))\n```"}) + "\n")
    done = codeact("run", "Add.", "--mcp", "mcp.json", "--model", "replay:replies.jsonl", "--json", home=tmp_path)
    assert done.lines[0]["output"] == 4


def test_the_command_line_says_which_server_is_missing(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text(json.dumps(config(gone={"command": "no-such-program-here"})))
    done = codeact("exec", "--mcp", "mcp.json", "-c", "1", home=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert (
        done.err == "codeact: the MCP server 'gone' did not come up: there is no program 'no-such-program-here' here\n"
    )
    done = codeact("exec", "--mcp", "absent.json", "-c", "1", home=tmp_path)
    assert (done.code, done.err) == (2, "codeact: absent.json: cannot be read: No such file or directory\n")


def test_a_source_that_was_not_entered_says_so() -> None:
    with pytest.raises(TypeError, match="enter the source first"):
        CodeAgent(model=ScriptedModel(), tools=mcp_tools(config(own=STDIO)))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="seconds=0"):
        mcp_tools(config(own=STDIO), seconds=0)
    assert threading.active_count() < 50
