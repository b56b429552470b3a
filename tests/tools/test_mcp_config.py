"""What a user writes into the file of MCP servers, and what is said of what is wrong there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from codeact import UsageError
from codeact.installation import adding
from codeact.tools.mcp.config import Address, Command, read

SURROUNDINGS = {"TOKEN": "t0p-s3cret", "NAME": "time", "EMPTY": ""}


def of(**entry: Any) -> Any:
    (server,) = read({"mcpServers": {"one": entry}}, SURROUNDINGS)
    return server


def test_a_command_and_an_address_are_read_with_variables_put_in() -> None:
    command = of(
        command="run-${NAME}", args=["${NAME}", "${NO_SUCH:-5}", "$NAME", "a${EMPTY}b"], env={"A": "x${TOKEN}"}
    )
    assert command.reached == Command(("run-time", "time", "5", "$NAME", "ab"), {"A": "xt0p-s3cret"})
    address = of(type="http", url="https://${NAME}.example/mcp?k=1", headers={"Authorization": "Bearer ${TOKEN}"})
    assert address.reached == Address("https://time.example/mcp?k=1", {"Authorization": "Bearer t0p-s3cret"})
    assert "s3cret" not in repr(command) + repr(address)


def test_a_server_that_is_disabled_is_left_out_and_other_programs_keys_beside_the_list_are_not_ours() -> None:
    assert read({"mcpServers": {"one": {"command": "x", "disabled": True}}, "theme": "dark"}) == []


def test_what_is_secret_is_known_by_its_name_and_the_rest_is_private() -> None:
    server = of(
        command="serve",
        args=["--api-key=abcdefgh1", "--token", "abcdefgh2", "--city=Reykjavik"],
        env={"GITHUB_TOKEN": "abcdefgh3", "DATABASE": "db://me:abcdefgh4@host/x", "REGION": "eu-north-1", "MODE": "ro"},
    )
    assert {f"abcdefgh{n}" for n in (1, 2, 3, 4)} <= set(server.secrets)
    assert not {"Reykjavik", "eu-north-1", "ro"} & set(server.secrets)
    assert "eu-north-1" in server.private and "ro" not in server.private
    assert "t0p-s3cret" in of(url="http://x/", headers={"X": "a ${TOKEN}"}).secrets


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"comand": "x"}, "needs 'command' (started here) or 'url' (reached by HTTP); did you mean 'command'?"),
        ({"command": "x", "arg": []}, "no key 'arg'; did you mean 'args'?"),
        ({"command": "x", "url": "http://x"}, "has both 'command' and 'url': keep one"),
        ({"command": "x", "headers": {}}, "no key 'headers'"),
        ({"command": ["x"]}, "command must be a text, not a list"),
        ({"command": " "}, "command is empty"),
        ({"command": "x", "args": "y"}, "args must be a list of texts, not a text"),
        ({"command": "x", "args": [1]}, "args[0] must be a text, not a number"),
        ({"command": "x", "env": {"KEY": 5}}, "env.KEY must be a text, not a number"),
        ({"command": "x", "env": {"A=B": "1"}}, "env: 'A=B' is no name"),
        ({"command": "x", "cwd": "/no/such/folder"}, "cwd is no folder that is there"),
        ({"command": "${NO_SUCH}"}, "command: the variable NO_SUCH is not set: set it, or write ${NO_SUCH:-...}"),
        ({"command": "x", "env": {"A": "${}"}}, "env.A: '${...}' must hold the name of a variable"),
        ({"url": "ftp://x"}, "url must be http://HOST... or https://HOST..."),
        ({"url": "http://"}, "url must be http://HOST... or https://HOST..."),
        ({"url": "http://x", "headers": {"A": "x\r\nB: y"}}, "headers: 'A' has characters that no header has"),
        ({"url": "http://x", "type": "sse"}, "servers of the older transport 'sse' are not supported"),
        ({"url": "http://x", "type": "stdio"}, "type 'stdio' goes with 'command'"),
        ({"command": "x", "disabled": "yes"}, "disabled must be true or false, not a text"),
        (["x"], "must be an object with 'command' or 'url', not a list"),
    ],
)
def test_what_is_wrong_is_said_with_file_server_and_key(entry: Any, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"one": entry}}))
    with pytest.raises(UsageError) as refusal:
        read(path, SURROUNDINGS)
    assert str(refusal.value).startswith(f"{path}: server 'one': ")
    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{", ":1: not JSON: "),
        (b"\xff", ": not JSON in UTF-8"),
        (b"[" * 100_000, ": not JSON in UTF-8"),
        (b"[]", ': must be {"mcpServers": {...}}, not a list'),
        (b'{"mcpServer": {}}', ": there is no key 'mcpServers'; did you mean 'mcpServer'?"),
        (b'{"mcpServers": []}', ": mcpServers must be an object of servers by name, not a list"),
        (b'{"mcpServers": {"": {"command": "x"}}}', ": server '': a server needs a name of printable characters"),
        (b'{"mcpServers": {"a": {}, "a": {}}}', ": the key 'a' stands twice in one object"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused(content: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refusal:
        read(path)
    assert f"{path}{complaint}" in str(refusal.value)


def test_no_value_of_the_file_is_shown_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    for entry in (
        {"command": "x", "env": {"KEY": ["sk-123456"]}},
        {"command": "x", "env": "sk-123456"},
        {"url": "sk-123456"},
        {"url": "http://x", "headers": {"A": "sk-123456\n"}},
        {"url": "http://me:sk-123456@[x"},
        {"command": "x", "cwd": "/sk-123456"},
    ):
        path.write_text(json.dumps({"mcpServers": {"one": entry}}))
        with pytest.raises(UsageError) as refusal:
            read(path)
        assert "sk-123456" not in str(refusal.value)
    path.write_text('{"mcpServers": {"one": {"env": {"KEY": "sk-123456}}}')
    with pytest.raises(UsageError) as refusal:
        read(path)
    assert "sk-123456" not in str(refusal.value)


@pytest.mark.parametrize(
    ("library", "line", "extra"),
    [
        ("mcp", "mcp_tools({})", "mcp"),
        ("yaml", "openapi_tools({})", "openapi"),
        ("jsonschema", "langchain_tool(None)", "langchain"),
        ("markdownify", "Interpreter(tools=['visit_webpage'])", "web"),
    ],
)
def test_what_is_not_installed_is_said_with_what_to_type(library: str, line: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{library!r}] = None\n"  # as where it is not installed
        "from codeact import Interpreter, UsageError, langchain_tool, mcp_tools, openapi_tools\n"
        f"try: {line}\nexcept UsageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == f"the package {library!r} is not installed here: {adding(extra)}\n", done.stderr
