"""MCP servers that others have written, from PyPI, each in an environment of its own that uv makes and keeps."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codeact import Interpreter, UsageError, mcp_tools
from codeact.packages import find_uv, install

pytestmark = pytest.mark.skipif(find_uv() is None, reason="there is no uv here")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Not the one of whoever runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def server(package: str, *args: str) -> dict[str, object]:
    """The server of a package that has its name."""
    try:
        found = install([package], sys.executable, tuple(sys.version_info[:2]))
    except UsageError as error:
        if re.search("Failed to fetch|error sending request|Request failed|dns error", str(error)):
            pytest.skip(f"the package index is not reachable, so {package} was not tried")
        raise
    return {"command": found.python, "args": ["-m", package.replace("-", "_"), *args]}


def test_the_server_of_the_time() -> None:
    config = {"mcpServers": {"time": server("mcp-server-time", "--local-timezone=Europe/Oslo")}}
    with mcp_tools(config) as tools, Interpreter(tools=list(tools)) as python:
        declared = {tool.spec.name: tool.spec.signature for tool in tools}
        assert declared["convert_time"].startswith("(source_timezone: str, time: str, target_timezone: str)")
        python.run("import json\nback = convert_time('Europe/Oslo', '12:00', 'Asia/Tokyo')")
        assert python.run("back if isinstance(back, dict) else json.loads(back)").value is not None
        assert python.run("'Asia/Tokyo' in str(back)").value == "True"
        error = python.run("get_current_time('Nowhere/Atall')").error
        assert error is not None and error.type == "ServerFailed" and "Nowhere/Atall" in error.message


@pytest.mark.skipif(shutil.which("git") is None, reason="Debian package git is absent")
def test_the_server_of_a_repository(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    git("init", "-b", "main")
    (tmp_path / "a.txt").write_text("one\n")
    git("add", "a.txt")
    git("commit", "-m", "The first")
    (tmp_path / "a.txt").write_text("two\n")
    config = {"mcpServers": {"git": server("mcp-server-git", "--repository", str(tmp_path))}}
    with mcp_tools(config) as tools, Interpreter(tools=list(tools)) as python:
        python.set(repo=str(tmp_path))
        assert {tool.spec.group for tool in tools} == {"git"}
        assert python.run("'+two' in git_diff_unstaged(repo)").value == "True"
        assert python.run("git_add(repo, ['a.txt']); '+two' in git_diff_staged(repo, context_lines=1)").value == "True"
        assert python.run("'The first' in git_log(repo, max_count=1)").value == "True"
        error = python.run("git_log(repo, max_count='1')").error
        assert error is not None and error.message == "git_log(): 'max_count' must be int, got '1' (str)"
