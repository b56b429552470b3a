"""The docs are run: every block of Python, every command, every link, and every list that the code also knows."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
import types
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from docs.page import ROOT, Block, blocks_of, pages
from models.server import Server, says, serving

BIN = Path(sys.executable).parent
NEVER = {"./run test"}  # it would run this test

# What lies in the folder of somebody who reads along.
TOOLS = '''\
from codeact import tool

@tool
def weather(city: str, unit: str = "C") -> dict:
    """Current weather in a city."""
    return {"city": city, "degrees": {"Oslo": 3, "Bergen": 7}[city], "unit": unit}
'''
RUN = f'#!/bin/sh\n[ $# -gt 0 ] || set -- demo\nexec "{BIN}/codeact" "$@"\n'


@dataclass(frozen=True)
class Desk:
    """A reader's folder, environment, and the server that is every model there."""

    folder: Path
    server: Server
    environ: dict[str, str]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "run").write_text(RUN)
    (tmp_path / "run").chmod(0o755)
    venv.create(tmp_path / ".venv", symlinks=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with serving() as server:
        more = {
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_KEY": "sk-of-a-test",
            "OLLAMA_HOST": server.url.removesuffix("/v1"),
        }
        for name, value in more.items():
            monkeypatch.setenv(name, value)
        environ = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path), "LANG": "C.UTF-8", **more}
        yield Desk(tmp_path, server, environ)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_code_of_a_page_does_what_the_page_says(page: Path, desk: Desk) -> None:
    module = types.ModuleType(f"page_{page.stem}")
    sys.modules[module.__name__] = module  # where dataclasses and type hints look
    try:
        for block in blocks_of(page):
            where = f"{page.name}:{block.line}"
            if block.outline:
                compile(block.text, where, "exec")
                continue
            desk.server.script[:] = [says(f"```python\n{code}\n```") for code in block.replies]
            said = python(block, page, module, desk) if block.language == "python" else shell(block, where, desk)
            assert not desk.server.script, f"{where}: {len(desk.server.script)} replies were not asked for"
            if block.prints is not None:
                same = doctest.OutputChecker().check_output(block.prints, said, doctest.ELLIPSIS)
                assert same, f"{where}: the page says\n{block.prints}\nbut it prints\n{said}"
    finally:
        del sys.modules[module.__name__]


def python(block: Block, page: Path, module: types.ModuleType, desk: Desk) -> str:
    """Run a block; one that starts with `# NAME.py` is that file, too."""
    name = re.match(r"# (\w+\.py)\n", block.text)
    if name:
        (desk.folder / name[1]).write_text(block.text)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), module.__dict__)
    return out.getvalue()


def shell(block: Block, where: str, desk: Desk) -> str:
    """Run the commands of a block, as a shell would."""
    said = ""
    for line in block.text.splitlines():
        command = line.partition("  #")[0].strip()
        if not re.search(r"(^|\| )(codeact|\./run)\b", command) or command in NEVER:
            continue
        done = subprocess.run(
            ["sh", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=desk.folder,
            env=desk.environ,
        )
        expected = re.search(r"# .*\bexits (\d+)", line)
        assert done.returncode == int(expected[1] if expected else 0), f"{where}: {line}\n{done.stdout}{done.stderr}"
        said += done.stdout
    return said
