"""`codeact mcp`, asked by the real MCP client: the installed command on its standard streams, and by HTTP."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitResult

from codeact.faces.cli import main

from .command import CODEACT, codeact, environment

TOOLS = '''
from codeact import tool

@tool
def pay(to: str, amount: int = 1) -> int:
    """Pay somebody."""
    print("this goes nowhere near the protocol")
    return amount

@tool
def login(token: str) -> str:
    """Log in."""
    return f"{len(token)} characters, {token}"
'''
AGENTS = """
from codeact import CodeAgent
from tools import login, pay

clerk = CodeAgent(model="replay:replies.jsonl", tools=[pay], approve=["pay"], name="clerk", description="Pays people.")
idle = CodeAgent(model="replay:replies.jsonl")
keeper = CodeAgent(model="replay:login.jsonl", tools=[login])
"""
REPLY = {"text": "I pay.\n```python\nimport time\ntime.sleep(0.3)\nfinal_answer({'paid': pay('Ada', amount=3)})\n```"}
OWN = Path(__file__).parents[1] / "mcp_own.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("mcp")
    (made / "tools.py").write_text(TOOLS)
    (made / "agents.py").write_text(AGENTS)
    (made / "replies.jsonl").write_text(json.dumps(REPLY) + "\n")
    (made / "login.jsonl").write_text(json.dumps({"text": "```python\nfinal_answer(login(API_KEY))\n```"}) + "\n")
    servers = {name: {"command": sys.executable, "args": [str(OWN), "stdio"]} for name in ("own", "other")}
    (made / "servers.json").write_text(json.dumps({"mcpServers": servers}))
    return made


class User:
    """The user of a client, who gives one answer to all questions, and hears of progress."""

    def __init__(self, *answers: ElicitResult) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.heard: list[str] = []

    async def elicit(self, context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        self.asked.append(params.message)
        return self.answers.pop(0)

    async def hear(self, progress: float, total: float | None, message: str | None) -> None:
        self.heard.append(message or "")


def allows(**content: Any) -> ElicitResult:
    return ElicitResult(action="accept", content=content)


@asynccontextmanager
async def client(folder: Path, *words: str, user: User | None = None, **more: str) -> AsyncIterator[Client]:
    """A client that started the command."""
    command = StdioServerParameters(command=CODEACT, args=["mcp", *words], env=environment(folder, **more), cwd=folder)
    with open(folder / "stderr", "w") as errors:  # noqa: ASYNC230
        asked = {} if user is None else {"elicitation_callback": user.elicit}
        async with Client(stdio_client(command, errlog=errors), **asked) as connected:
            yield connected


def words(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


async def test_an_assistant_has_a_python_whose_variables_stay_also_when_it_cancels(folder: Path) -> None:
    user = User()
    (folder / "rows.csv").write_text("a,b\n1,2\n")
    async with client(folder, "--file", "rows.csv", "--out", "made") as python:
        offered = {tool.name: tool for tool in (await python.list_tools()).tools}
        assert set(offered) == {"run_python", "reset", "put_file", "get_file", "list_files"}
        assert "inputs/" in (offered["run_python"].description or "")

        async def run(code: str) -> CallToolResult:
            return await python.call_tool("run_python", {"code": code}, progress_callback=user.hear)

        first = await run("x = 20\nprint('hé', open('inputs/rows.csv').read())\nx + 1")
        assert "hé a,b" in words(first) and not first.is_error
        assert first.structured_content["value"] == "21" and first.structured_content["stdout"].startswith("hé a,b")
        wrong = await run("x += 1\nx / 0")
        assert wrong.is_error and "ZeroDivisionError: division by zero" in words(wrong)
        assert wrong.structured_content["error"]["type"] == "ZeroDivisionError" and wrong.structured_content["kept"]
        assert (await run("x")).structured_content["value"] == "21"

        await run("import time\nfor n in range(3):\n    print('line', n, flush=True)\n    time.sleep(0.2)")
        assert any("line 0" in message for message in user.heard)

        assert "3 bytes" in words(await python.call_tool("put_file", {"name": "b.bin", "base64": "AAEC"}))
        made = await run(
            "data = open('inputs/b.bin', 'rb').read()\n"
            "open('outputs/copy.bin', 'wb').write(data); open('outputs/é.txt', 'w').write('ja')"
        )
        links = {block.name: block.uri for block in made.content if block.type == "resource_link"}
        assert set(links) == {"copy.bin", "é.txt"} and (folder / "made" / "é.txt").read_text() == "ja"
        assert {str(one.uri) for one in (await python.list_resources()).resources} == set(links.values())
        (read,) = (await python.read_resource(links["copy.bin"])).contents
        assert base64.b64decode(read.blob) == b"\0\1\2"
        assert words(await python.call_tool("get_file", {"name": "outputs/é.txt"})) == "ja"
        below = await python.call_tool("put_file", {"name": "a/b.bin", "text": "x"})
        assert below.is_error and "put_file(): not a name for a file: 'a/b.bin'; 'name' has no" in words(below)
        missing = await python.call_tool("get_file", {"name": "copy.bi"})
        assert missing.is_error and "did you mean 'copy.bin'" in words(missing)
        (shown,) = (await run("open('outputs/p.png', 'wb').write(bytes.fromhex('89504e470d0a1a0a'))")).content[1:]
        assert (await python.call_tool("get_file", {"name": shown.name})).content[0].mime_type == "image/png"

        await run("x = 1")
        with anyio.move_on_after(30) as scope:

            async def heard(progress: float, total: float | None, message: str | None) -> None:
                if "going" in (message or ""):
                    scope.cancel()

            going = {"code": "x = 2\nprint('going', flush=True)\nwhile True: pass"}
            await python.call_tool("run_python", going, progress_callback=heard)
        assert (await run("x")).structured_content["value"] == "2"  # it was stopped, and what it did until then is kept
        over = await run("import os\nx = 3\nos._exit(1)")
        assert over.is_error and over.structured_content["ended"] == "exit"

        assert "are gone" in words(await python.call_tool("reset", {}))
        assert "NameError" in words(await run("x"))
        assert "a,b" in words(await run("print(open('inputs/rows.csv').read())"))
        assert "takes no 'cod'" in words(await python.call_tool("run_python", {"cod": "1"}))


async def test_in_code_mode_many_tools_stand_behind_two_and_the_user_is_asked(folder: Path) -> None:
    user = User(allows(decision="allow for the session"), ElicitResult(action="decline"), allows())
    flags = ("--mcp", "servers.json", "--tools", "tools.py", "--approve", "own.weather,pay", "--secret", "API_KEY")
    async with client(folder, *flags, user=user, API_KEY="k3y-of-mine") as python:
        offered = {tool.name: tool.description or "" for tool in (await python.list_tools()).tools}
        assert "search_tools" in offered and "to tools as they are: API_KEY" in offered["run_python"]
        found = await python.call_tool("search_tools", {"query": "weather in a city", "limit": 2})
        assert {tool["call"] for tool in found.structured_content["tools"]} == {
            "tools.own.weather",
            "tools.other.weather",
        }
        assert "def tools.own.weather(city: str" in words(found)
        wrong = await python.call_tool("search_tools", {"query": "x", "group": "owm"})
        assert wrong.is_error and "did you mean 'own'" in words(wrong)

        bare = words(await python.call_tool("run_python", {"code": "own.weather('Oslo')"}))
        assert "NameError" in bare and "or call tools.own.weather(...)" in bare
        code = (
            "from tools import own, other\n"
            "degrees = [own.weather('Oslo')['degrees'] for _ in range(2)] + [other.weather('Oslo')['degrees']]\n"
            "try:\n    pay('Ada', 5)\nexcept PermissionError as error:\n    print(error)\n"
            "degrees, pay('Bob')"
        )
        ran = await python.call_tool("run_python", {"code": code})
        assert ran.structured_content["value"] == "([3.5, 3.5, 3.5], 1)", words(ran)
        assert "pay() was not allowed: the user said no" in words(ran)
        assert user.asked[0] == "Call own.weather()?\n  city = 'Oslo'" and len(user.asked) == 3
        assert "amount = 5" in user.asked[1]
        secret = await python.call_tool("run_python", {"code": "print(API_KEY)\nlogin(API_KEY)"})
        assert secret.structured_content["value"] == "'11 characters, <secret API_KEY>'"
        assert "<secret API_KEY>" in words(secret)
        await python.call_tool("run_python", {"code": "import os\nos._exit(1)"})
        again = await python.call_tool("run_python", {"code": "login(API_KEY)"})
        assert again.structured_content["value"] == "'11 characters, <secret API_KEY>'", words(again)
    said = (folder / "stderr").read_text()
    assert "this goes nowhere" in said and "k3y-of-mine" not in f"{said}{secret}{again}"


async def test_an_agent_is_a_tool_whose_steps_are_told(folder: Path) -> None:
    user = User(allows())
    agents_of_mine = ("agents.py:clerk", "agents.py:idle", "agents.py:keeper", "--secret", "API_KEY")
    async with client(folder, *agents_of_mine, user=user, API_KEY="k3y-of-mine") as agents:
        offered = {tool.name: tool.description for tool in (await agents.list_tools()).tools}
        assert offered["clerk"] == "Pays people." and "idle" in offered
        done = await agents.call_tool("clerk", {"task": "Pay Ada."}, progress_callback=user.hear)
        assert done.structured_content["output"] == {"paid": 3} and not done.is_error, words(done)
        assert any("step 1" in message for message in user.heard) and any("cell 1" in said for said in user.heard)
        assert user.asked == ["Call pay()?\n  to = 'Ada'\n  amount = 3"]
        kept = await agents.call_tool("keeper", {"task": "Log in."})
        assert kept.structured_content["output"] == "11 characters, <secret API_KEY>"
        failed = await agents.call_tool("idle", {"task": ""})
        assert failed.is_error and "needs 'task'" in words(failed)
        assert agents.protocol_version == "2025-11-25"  # the newest one that has sessions


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[tuple[str, str, subprocess.Popen[str]]]:
    line = [CODEACT, "mcp", "--http", "0", "--tools", "tools.py", "--approve", "pay"]
    process = subprocess.Popen(line, cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    url = re.search(r"http://127\.0\.0\.1:\d+/mcp", process.stderr.readline())
    token = re.search(r"Bearer (\S+)", process.stderr.readline())
    assert url and token
    yield url[0], token[1], process
    process.kill()
    process.wait()
    process.stderr.close()


def test_over_http_nobody_comes_in_without_the_token_or_from_elsewhere(
    served: tuple[str, str, subprocess.Popen[str]],
) -> None:
    url, token, _ = served
    known = {"Authorization": f"Bearer {token}"}
    port = url.rsplit(":", 1)[1].partition("/")[0]
    refused = [
        ({}, 401),
        ({"Authorization": f"Bearer {token}x"}, 401),
        ({"Authorization": token}, 401),
        ({**known, "Host": f"evil.example:{port}"}, 421),
        ({**known, "Host": "127.0.0.1"}, 421),
        ({**known, "Origin": "http://evil.example"}, 403),
        ({**known, "Origin": "null"}, 403),
        ({**known, "mcp-session-id": "0" * 32}, 404),
        ({**known, "mcp-protocol-version": "2026-07-28"}, 400),
    ]
    with httpx2.Client(timeout=20) as http:
        for headers, status in refused:
            for method in ("GET", "POST", "DELETE"):
                answer = http.request(method, url, headers=headers, json={})
                assert answer.status_code == status, (headers, method, answer.text)
                assert "server" not in answer.headers and token not in answer.text
        assert http.get(url.replace("/mcp", "/other")).status_code == 401
        assert http.get(url.replace("/mcp", "/other"), headers=known).status_code == 404
    with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as line:
        large = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Length: {1 << 30}"
        line.sendall(f"POST /mcp HTTP/1.1\r\n{large}\r\n\r\n".encode())
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 413 ")


async def test_over_http_each_client_has_its_own_and_ctrl_c_ends_all_in_the_middle_of_a_call(
    served: tuple[str, str, subprocess.Popen[str]],
) -> None:
    url, token, process = served

    @asynccontextmanager
    async def connected(**more: Any) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(streamable_http_client(url, http_client=http), **more) as made,
        ):
            yield made

    user = User(allows())
    async with connected(elicitation_callback=user.elicit) as one, connected() as other:
        code = "x = 1\nprint('hello', flush=True)\nx, pay('Ada')"
        ran = await one.call_tool("run_python", {"code": code}, progress_callback=user.hear)
        assert ran.structured_content["value"] == "(1, 1)" and user.asked and "hello" in "".join(user.heard)
        assert "NameError" in words(await other.call_tool("run_python", {"code": "x"}))
        denied = words(await other.call_tool("run_python", {"code": "pay('Ada')"}))
        assert "PermissionError" in denied and "no way to ask" in denied
        with anyio.move_on_after(30) as scope:

            async def heard(progress: float, total: float | None, message: str | None) -> None:
                if "going" in (message or ""):
                    scope.cancel()

            going = {"code": "x = 2\nprint('going', flush=True)\nwhile True: pass"}
            await one.call_tool("run_python", going, progress_callback=heard)
        assert (await one.call_tool("run_python", {"code": "x"})).structured_content["value"] == "2"
        both = len(_below(process.pid))
    with anyio.fail_after(30):
        while len(_below(process.pid)) > both - 2:
            await anyio.sleep(0.05)

    async def heard_of_the_last(progress: float, total: float | None, message: str | None) -> None:
        if "going" in (message or ""):
            process.send_signal(signal.SIGINT)

    async with connected() as last:
        with pytest.raises(MCPError):
            await last.call_tool("run_python", going, progress_callback=heard_of_the_last)
    assert process.wait(20) == 130 and process.stderr is not None
    assert process.stderr.read() == "codeact mcp: ended, with 1 client that had not left\n"


def _below(pid: int) -> set[int]:
    """The processes below one."""
    parents = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found, new = set(), {pid}
    while new:
        new = {one for one, parent in parents.items() if parent in new}
        found |= new
    return found


def test_nothing_is_left_of_a_client_that_is_killed(folder: Path) -> None:
    reader, writer = os.pipe()
    line = [CODEACT, "mcp"]
    process = subprocess.Popen(
        line, cwd=folder, env=environment(folder), stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.close(reader)
    opening = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    going = {"name": "run_python", "arguments": {"code": "while True: pass"}}
    for message in (
        {"id": 1, "method": "initialize", "params": opening},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": going},
    ):
        os.write(writer, (json.dumps({"jsonrpc": "2.0", **message}) + "\n").encode())
    assert process.stdout is not None and b'"id":1' in process.stdout.readline()
    os.close(writer)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in out.splitlines()), out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--http 0.0.0.0:8000", "is not of this machine alone"),
        ("--http high", "not a port"),
        ("--http 1.2.3.4", "not a port"),
    ],
)
def test_an_address_that_is_not_ours_is_refused(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["mcp", *line.split()])
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["--tools", "tools.py", "--approve", "play"], "did you mean 'pay'"),
        (["agents.py:clerk", "--imports", "numpy"], "--imports does not go with agents of yours"),
        (["hello"], "an agent is named by its file"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(folder: Path, line: list[str], told: str) -> None:
    done = codeact("mcp", *line, home=folder, stdin=b"")
    assert done.code == 2 and told in done.err and not done.out, done.err
