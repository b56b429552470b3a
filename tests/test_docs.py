"""The docs are run: every block of Python, every command, every link, and every list that the code also knows."""

from __future__ import annotations

import ast
import contextlib
import datetime
import decimal
import doctest
import functools
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import types
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

import codeact
from cli.command import codeact as typed
from cli.quick import quick
from codeact import UsageError
from codeact.api import agents, vocabulary
from codeact.core import errors, events, observations
from codeact.core.execution import Ended, Limits
from codeact.faces.cli import COMMANDS, lines
from codeact.guest.advice import OUTSIDE
from codeact.models import specs
from codeact.testing import ScriptedModel
from docs.page import ROOT, Block, blocks_of, names_in, pages, rows_of
from models.server import Server, says, serving

BIN = Path(sys.executable).parent
README = ROOT / "README.md"
NEVER = {"./run test", "codeact serve --model openai:gpt-5"}  # the one would run this test, the other never ends

# What lies in the folder of somebody who reads along.
TOOLS = '''\
from codeact import tool

@tool
def weather(city: str, unit: str = "C") -> dict:
    """Current weather in a city."""
    return {"city": city, "degrees": {"Oslo": 3, "Bergen": 7}[city], "unit": unit}
'''
RUN = '#!/bin/sh\n[ $# -gt 0 ] || set -- demo\nexec codeact "$@"\n'


@dataclass(frozen=True)
class Desk:
    """A reader's folder, environment, and the server that is every model there."""

    folder: Path
    server: Server
    environ: dict[str, str]  # with the installed command
    quick: dict[str, str]  # with one that is a fork of a process which has imported it
    programs: Path  # which lies here


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "run").write_text(RUN)
    (tmp_path / "run").chmod(0o755)
    shutil.copytree(ROOT / "docs" / "tutorial", tmp_path / "docs" / "tutorial")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with serving() as server, tempfile.TemporaryDirectory() as programs, quick(Path(programs)):
        more = {
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_KEY": "sk-of-a-test",
            "OLLAMA_HOST": server.url.removesuffix("/v1"),
        }
        for name, value in more.items():
            monkeypatch.setenv(name, value)
        environ = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path), "LANG": "C.UTF-8", **more}
        yield Desk(tmp_path, server, environ, {**environ, "PATH": f"{programs}:{environ['PATH']}"}, Path(programs))


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_code_of_a_page_does_what_the_page_says(page: Path, desk: Desk) -> None:
    if ".venv" in page.read_text(encoding="utf-8"):
        venv.create(desk.folder / ".venv", symlinks=True)
    module = types.ModuleType(f"page_{page.stem}")
    sys.modules[module.__name__] = module  # where dataclasses and type hints look
    try:
        for block in blocks_of(page):
            where = f"{page.name}:{block.line}"
            if block.outline:
                compile(block.text, where, "exec")
                continue
            desk.server.script[:] = [says(reply) for reply in block.replies]
            with_python = block.language == "python"
            said = python(block, page, module, desk) if with_python else shell(block, where, desk, page == README)
            assert not desk.server.script, f"{where}: {len(desk.server.script)} replies were not asked for"
            if block.prints is not None:
                same = doctest.OutputChecker().check_output(block.prints, said, doctest.ELLIPSIS)
                assert same, f"{where}: the page says\n{block.prints}\nbut it prints\n{said}"
    finally:
        del sys.modules[module.__name__]
        sys.modules.pop("tools", None)  # the reader's file, not to be met by another test


def python(block: Block, page: Path, module: types.ModuleType, desk: Desk) -> str:
    """Run a block; one that starts with `# NAME.py` is that file, too."""
    name = re.match(r"# (\w+\.py)\n", block.text)
    if name:
        (desk.folder / name[1]).write_text(block.text)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), module.__dict__)
    return out.getvalue()


def shell(block: Block, where: str, desk: Desk, installed: bool) -> str:
    """Run the commands of a block, as a shell would; where it begins, with the installed command itself."""
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
            env=desk.environ if installed else desk.quick,
            start_new_session=True,  # no terminal to ask at
        )
        expected = re.search(r"# .*\bexits (\d+)", line)
        assert done.returncode == int(expected[1] if expected else 0), f"{where}: {line}\n{done.stdout}{done.stderr}"
        said += done.stdout
    return said


# -- what the docs list and the code knows -----------------------------------------------------------------------------

GUIDE, ACTING, EVENTS, INSIDE, TOOLS_PAGE, MODELS, LINE = (
    ROOT / "docs" / f"{name}.md"
    for name in ("guide", "acting", "events", "interpreter", "tools", "models", "command-line")
)


def first_column(page: Path, heading: str) -> set[str]:
    return names_in([row[0] for row in rows_of(page, heading)])


@functools.cache
def help_of(command: str) -> str:
    done = typed(*command.split(), "--help", home=ROOT)
    assert done.code == 0, done.err
    return done.out


FLAG = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "chat",
        "fork",
        "approve",
        "show",
        "diff",
        "export",
        "show",
        "exec",
        "serve",
        "mcp",
        "eval",
        "doctor",
        "demo",
    ],
)
def test_the_flags_of_a_command_are_those_of_its_help(command: str) -> None:
    told = {flag for name in first_column(LINE, f"codeact {command}") for flag in FLAG.findall(name)}
    taken = set(FLAG.findall(help_of(command))) - {"-h", "--help"}
    assert told == taken


def test_no_page_names_a_flag_that_no_command_takes() -> None:
    taken = {flag for command in ("", *COMMANDS) for flag in FLAG.findall(help_of(command))}
    for page in pages():
        for span in re.findall(r"`(codeact [^`]+|--[^`]+)`", page.read_text(encoding="utf-8")):
            assert set(FLAG.findall(re.sub(r"'[^']*'|\"[^\"]*\"", "", span))) <= taken, f"{page.name}: {span}"


def test_the_commands_and_exit_codes_are_those_of_the_program() -> None:
    listed = set(re.findall(r"^  (\w+) ", help_of(""), re.MULTILINE))
    assert {name.removeprefix("codeact ") for name in first_column(LINE, "The command line")} == listed
    said = re.search(r"^exit codes: (.*)$", help_of(""), re.MULTILINE)
    assert said and [row[0] for row in rows_of(LINE, "Exit codes")] == re.findall(r"\b\d+\b", said[1])


def test_the_keys_of_every_line_of_json_are_told(desk: Desk) -> None:
    def line(command: str) -> dict[str, object]:
        done = subprocess.run(command, shell=True, capture_output=True, cwd=desk.folder, env=desk.quick, check=False)
        return dict(json.loads(done.stdout))

    desk.server.script[:] = [says("```python\nfinal_answer(1)\n```")]
    for heading, command in (
        ("The line of run", "codeact run 'One.' --model openai:gpt-5 --json </dev/null"),
        ("The lines of exec", "codeact exec --json -c 1"),
        ("The line of eval", "codeact eval m3tooleval --model oracle --action json --limit 1 --json"),
        ("The line of doctor", "codeact doctor --json"),
    ):
        rows = rows_of(LINE, heading)
        printed = line(command)
        assert [name for row in rows for name in re.findall(r"`(\w+)`", row[0])] == list(printed), heading
        for key, value in printed.items():
            inner = value[0] if isinstance(value, list) and value else value
            if isinstance(inner, dict):
                (row,) = [row for row in rows if f"`{key}`" in row[0]]
                assert inner.keys() <= names_in(row[1:]), key


def test_values_stand_in_json_as_told() -> None:
    for python_side, json_side in rows_of(LINE, "Values in JSON"):
        (source,), (told,) = names_in([python_side]), names_in([json_side])
        value = eval(source, {"datetime": datetime, "decimal": decimal})
        assert lines.by_the_table(value) == json.loads(told), source


def test_the_base_set_leaves_out_what_the_guide_says() -> None:
    """Of each Python its own: a module that this one no longer has is told for those that have it."""
    told = {name for name in first_column(INSIDE, "What code may import") if name.split(".")[0].islower()}
    told -= {name for name in told if "=" in name or "(" in name or "[" in name}
    out = {name for name in OUTSIDE if name.partition(".")[0] in sys.stdlib_module_names and name[0] != "_"}
    assert out <= told <= OUTSIDE


def test_every_parameter_of_a_model_is_told() -> None:
    known: set[str] = set()
    for provider in ("openai:m", "anthropic:m", "ollama:m", "https://x/v1#m", "transformers:m", "groq:m", "replay:m"):
        with pytest.raises(UsageError) as refusal:
            specs.parse(f"{provider}?nonsense=1")
        listed = re.search(r"known are ([\w, ]+)", str(refusal.value))
        assert listed
        known |= {*listed[1].split(", ")}
    assert first_column(MODELS, "Parameters") == known


def test_every_provider_of_the_bridge_is_told() -> None:
    assert set(specs.BRIDGED) <= {*re.findall(r"`([a-z-]+)(?::NAME)?`", MODELS.read_text(encoding="utf-8"))}


@pytest.mark.parametrize(
    ("page", "heading", "known"),
    [
        (LINE, "How a cell ends", set(get_args(Ended))),
        (GUIDE, "Stop reasons", set(get_args(events.StopReason))),
        (EVENTS, "Events and listeners", {event.__name__ for event in get_args(events.Event)}),
        (GUIDE, "A first agent", {*inspect.signature(agents.CodeAgent.__init__).parameters}
         - {"self", "additional_authorized_imports"}),
        (TOOLS_PAGE, "What can be a tool", {*inspect.signature(codeact.tool).parameters} - {"function"}),
        (MODELS, "Replay", {"text", "reasoning", "tool_calls", "finish", "usage", "error"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_table_of_names_is_whole(page: Path, heading: str, known: set[str]) -> None:
    assert first_column(page, heading) == known


def test_every_error_and_every_public_name_is_told() -> None:
    told = first_column(EVENTS, "Errors, and whose fault they are") | first_column(MODELS, "When a model fails")
    tree = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert told | {"CodeactError"} == tree
    text = "".join(page.read_text(encoding="utf-8") for page in pages())
    assert [name for name in codeact.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_an_argument_of_elsewhere_is_refused_with_what_to_write_here() -> None:
    told = first_column(ROOT / "docs" / "smolagents.md", "What is refused")
    assert told == {*vocabulary.ELSEWHERE}
    for argument in ("add_base_tools", "executor_type", "verbosity_level", "system_prompt"):
        with pytest.raises(TypeError, match=f"has no argument '{argument}': "):
            codeact.CodeAgent(model=ScriptedModel(), **{argument: None})  # type: ignore[arg-type]


def test_the_limits_are_told_with_their_defaults() -> None:
    units = {"": 1, "s": 1, "MiB": 1 << 20, "GiB": 1 << 30}
    page = ROOT / "docs" / "limits.md"
    for limits, default in [row[:2] for row in rows_of(page, "Limits") if "`" in row[0]]:
        told = [float(n.replace(",", "")) * units[unit] for n, unit in re.findall(r"([\d,]+\d|\d) ?(\w*)", default)]
        set_to = [getattr(Limits(), name) for name in re.findall(r"`(\w+)`", limits)]
        assert told == [number for number in set_to if number is not None], limits
    for name in Limits.__dataclass_fields__:
        assert f"`{name}`" in page.read_text(encoding="utf-8"), name
    for shown in (observations.SHOWN, observations.TRACEBACK):
        assert f"{shown:,}" in ACTING.read_text(encoding="utf-8")


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_link_and_every_path_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        path, _, place = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if place:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert place in map(anchor, headings), target
    for path in re.findall(r"`((?:src|tests|docs|examples|benchmarks)/[^`\s]*)`", text):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`(test_\w+\.py)`", text):
        assert list((ROOT / "tests").rglob(name)), name


# -- examples ----------------------------------------------------------------------------------------------------------


def test_the_list_of_examples_is_whole() -> None:
    listed = re.findall(
        r"^\| `(\w+\.py)` \|", (ROOT / "examples" / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted(path.name for path in (ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("program", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_an_example_runs_offline_and_says_what_it_promises(program: Path, desk: Desk) -> None:
    installed = program == sorted((ROOT / "examples").glob("*.py"))[0]
    offline = {"PATH": desk.environ["PATH"], "HOME": desk.environ["HOME"], "LANG": "C.UTF-8"}
    interpreter = sys.executable if installed else str(desk.programs / "python")
    done = subprocess.run(
        [interpreter, program], capture_output=True, text=True, timeout=60, check=False, cwd=desk.folder, env=offline
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    said = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or ""
    promised = re.split("it prints:\n", said, flags=re.IGNORECASE)[1]
    assert textwrap.dedent(promised).strip() == done.stdout.strip()
