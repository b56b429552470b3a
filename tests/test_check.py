"""A cell is looked at before it runs: what is certainly wrong is told all at once, and ordinary code is left alone."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

import pytest

from codeact import CodeAgent, tool
from codeact.core.catalogue import Catalogue
from codeact.core.events import CodeRan, CodeRefused, CodeStarted
from codeact.core.execution import Imports, Parameter, ToolSpec
from codeact.core.names import names
from codeact.session.check import complaints
from codeact.testing import ScriptedModel
from codeact.tools.function import FunctionTool

PROGRAMS = Path(__file__).parent / "programs"


@tool
def weather(city: str, unit: str = "C") -> dict[str, float]:
    """Current weather in a city."""
    return {"temperature": 4.0 if unit == "C" else 39.2}


SPEC = FunctionTool(weather).spec


def found(source: str, *known: str) -> list[str]:
    return complaints(source, known, Catalogue([SPEC]), Imports())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("total = 1\nprint(totl)", ["line 2: there is no name 'totl'; did you mean 'total'?"]),
        ("def f():\n    return rows", ["line 2: there is no name 'rows'"]),
        ("[y for y in x]", ["line 1: there is no name 'x'"]),
        ("class A:\n    a = 1\n    def f(self):\n        return a", ["line 4: there is no name 'a'"]),
        ("x = math.pi", ["line 1: there is no name 'math'; it is a module: write `import math` first"]),
        (
            "weather(town='Oslo')",
            ["line 1: weather(): got an unexpected keyword argument 'town'; it is weather{}"],
        ),
        ("weather()", ["line 1: weather(): missing a required argument: 'city'; it is weather{}"]),
        (
            "weather('Oslo', units='F')",
            ["line 1: weather(): got an unexpected keyword argument 'units'; it is weather{}"],
        ),
        ("weather('Oslo', 'C', 3)", ["line 1: weather(): too many positional arguments; it is weather{}"]),
        (
            "await weather('Oslo')",
            ["line 1: weather(...) gives its value at once: no await, or await weather.aio(...)"],
        ),
        (
            "import asyncio\nawait asyncio.gather(*[weather(c) for c in ('Oslo', 'Rome')])",
            ["line 2: weather(...) cannot be awaited: to have many at a time, weather.aio(...)"],
        ),
        ("weather.aio()", ["line 1: weather(): missing a required argument: 'city'; it is weather{}"]),
    ],
)
def test_what_is_certainly_wrong_is_told_by_line(source: str, expected: list[str]) -> None:
    signature = SPEC.signature
    assert found(source) == [line.replace("{}", signature) for line in expected]


def test_all_mistakes_are_told_at_once_the_imports_that_will_be_refused_too() -> None:
    told = found("import subprocess\nx = weather(town='Oslo')\nprint(y)\nprint(zz)")
    assert [line.partition(":")[0] for line in told[:3]] == ["line 2", "line 3", "line 4"]
    assert told[3].startswith("subprocess cannot be imported here")


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    df\nexcept NameError:\n    df = 1",
        "try:\n    import missing_one\n    x = missing_name\nexcept Exception:\n    x = None",
        "from contextlib import suppress\nwith suppress(NameError):\n    nothing",
        "if 'df' not in globals():\n    df = 1\nelse:\n    print(df2)",
        "exec('a = 1')\nprint(a)",
        "from math import *\nprint(pi)",
        "def f():\n    global g\n    g = 1\nf()\nprint(g)",
        "if (n := 3) > 2:\n    print(n)\nprint([(m := i) for i in range(3)], m)",
        "async def f():\n    return 1\nprint(await f())",
        "for i in range(3):\n    pass\nprint(i)\nwith open('f', 'w') as file:\n    pass\nfile",
        "match [1, 2]:\n    case [a, *rest]:\n        print(a, rest)",
        "class Node:\n    children: list['Node'] = []\n    def add(self):\n        return __class__",
        "print(__name__, __doc__)",
        "weather(*['Oslo'])\nweather(**{'city': 'Oslo'})",
        "def weather(a, b, c):\n    return a\nweather(1, 2, 3)",
        "try:\n    weather()\nexcept TypeError as error:\n    print(error)",
        "import asyncio\nawait asyncio.gather(*(weather.aio(city) for city in ['Oslo']))",
        "display(1)\nraise ToolError('x')",
        "final_answer(1)",
        "this is no Python, you see",
        "x = 1\n" * 100_000,
    ],
)
def test_what_may_be_right_is_left_to_run_time(source: str) -> None:
    assert found(source) == []


def test_names_of_earlier_cells_are_known() -> None:
    first = names("import numpy as np\nfrom os import path as p\ntotal: int = 0\ndel total\nclass C: pass")
    assert first.sure and first.bound == {"np", "p", "total", "C"}
    assert found("print(np, p, C)", *first.bound) == []
    assert not names("globals()['x'] = 1").sure and not names("from m import *").sure


def cells() -> list[tuple[str, str]]:
    """Ordinary code: our corpus of programs, and the standard library of this Python."""
    written = [
        (f"{file.stem}: {part.partition(chr(10))[0]}", part.partition("\n")[2])
        for file in sorted(PROGRAMS.glob("*.txt"))
        for part in file.read_text(encoding="utf-8").split("#: ")[1:]
    ]
    library = Path(sysconfig.get_path("stdlib"))
    shipped = [
        (file.name, file.read_text(encoding="utf-8"))
        for file in sorted(library.glob("*.py"))
        if file.stat().st_size < 40_000 and file.name != "ssl.py"  # most of whose names are made as it runs
    ]
    for package in ("asyncio", "json", "email"):
        modules = sorted(library.glob(f"{package}/*.py"))
        shipped += [(f"{package}.{file.stem}", file.read_text(encoding="utf-8")) for file in modules]
    return [one for one in written + shipped if "and their scopes" not in one[0]]  # it holds a name that is not there


def test_no_ordinary_cell_is_refused() -> None:
    alarms = {}
    every = cells()
    for title, source in every:
        told = [line for line in found(source) if line.startswith("line ")]
        if told:
            alarms[title] = told
    assert len(every) > 300
    assert alarms == {}


def test_no_cell_is_refused_for_names_that_earlier_cells_bound() -> None:
    """Each program again, statement by statement."""
    alarms = []
    count = 0
    for title, source in cells():
        if len(source) > 8000:
            continue
        statements = ast.parse(source).body
        known: set[str] = set()
        later = names(source).bound  # what a function names may be defined after it
        for statement in statements[:40]:
            cell = ast.unparse(statement)
            seen = names(cell)
            told = [line for line in found(cell, *known, *later) if line.startswith("line ")]
            alarms += [(title, told)] if told else []
            known |= seen.bound
            count += 1
            if not seen.sure:
                break
    assert alarms == [] and count > 1000


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


def test_a_refused_cell_has_no_side_effect_and_the_next_reply_mends_it() -> None:
    model = ScriptedModel(
        code("print('sent')\nweather(town='Oslo')\nprint(cty)"), code("final_answer(weather('Oslo'))")
    )
    result = CodeAgent(model=model, tools=[weather]).run("How cold?")
    assert result.output == {"temperature": 4.0} and result.steps == 2
    (refused,) = [event for event in result.events if isinstance(event, CodeRefused)]
    assert len(refused.complaints) == 2
    assert sum(isinstance(event, CodeStarted) for event in result.events) == 1


def test_a_model_that_is_sure_writes_it_again_and_it_runs() -> None:
    model = ScriptedModel(code("print('first')\nnowhere"), code("print('first')\nnowhere"), code("final_answer(1)"))
    result = CodeAgent(model=model).run("Go.")
    (ran, _) = [event.outcome for event in result.events if isinstance(event, CodeRan)]
    assert ran.error is not None and ran.error.type == "NameError" and ran.stdout == "first\n"


def test_it_can_be_left_out() -> None:
    model = ScriptedModel(code("nowhere"), code("final_answer(1)"))
    result = CodeAgent(model=model, static_check=False).run("Go.")
    assert not any(isinstance(event, CodeRefused) for event in result.events)


ISSUES = [
    ToolSpec(name, "(title: str)", "", (Parameter("title", "POSITIONAL_OR_KEYWORD"),), group)
    for group in ("github", "gitlab")
    for name in ("create_issue", "search")
]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from tools.github import creat_issue", "tools.github has no 'creat_issue'; did you mean 'create_issue'?"),
        ("from tools.githb import create_issue", "there is no module tools.githb; did you mean 'github'?"),
        ("import tools.githb", "there is no module tools.githb; did you mean 'github'?"),
        ("tools.gitlab.creat_issue('x')", "tools.gitlab has no 'creat_issue'; did you mean 'create_issue'?"),
        ("tools.serch('x')", "tools has no 'serch'; did you mean 'search'?"),
        ("tools.zzz", "tools has no 'zzz'; tools.search(...) finds what there is"),
        (
            "tools.github.create_issue()",
            "create_issue(): missing a required argument: 'title'; it is create_issue(title: str)",
        ),
        ("import tools.github as g\ng.create_issue.aio('a', 'b')", "create_issue(): too many positional arguments; "),
        (
            "from tools.github import search as find\nfind(words='x')",
            "search(): got an unexpected keyword argument 'words'",
        ),
        (
            "from tools import github\nawait github.search('x')",
            "github.search(...) gives its value at once: no await, or ",
        ),
        ("github.search('x')", "there is no name 'github'; it is in tools: from tools import github"),
        ("tools.weather()", "weather(): missing a required argument: 'city'"),
        (
            "create_issue('x')",
            "there is no name 'create_issue'; it is in tools.github and tools.gitlab: from tools.github ",
        ),
    ],
)
def test_what_is_looked_for_in_a_module_of_tools_and_is_not_there_is_told_with_the_nearest(
    source: str, expected: str
) -> None:
    (told,) = complaints(source, (), Catalogue([SPEC, *ISSUES]), Imports())
    assert told.partition(": ")[2].startswith(expected), told


@pytest.mark.parametrize(
    "source",
    [
        "tools = [1, 2]\nprint(tools.nothing)",
        "def f(tools):\n    return tools.nothing",
        "def f(weather):\n    return weather()",
        "import tools\ntools.github.search('x')\ntools.search('open an issue', 3)[0].name\ndir(tools.github)",
        "from tools.github import *",
        "from tools import search, github\nsearch('x', limit=2)\ngithub.create_issue(title='x')",
        "try:\n    from tools.nowhere import x\nexcept ImportError:\n    x = None",
        "hasattr(tools, 'nothing')\ntools.github.__name__",
        "github_search('x')\ngitlab_create_issue(title='x')",
    ],
)
def test_modules_of_tools_and_what_only_looks_like_them_are_left_alone(source: str) -> None:
    assert complaints(source, (), Catalogue([SPEC, *ISSUES]), Imports()) == []


def test_a_variable_of_an_earlier_cell_is_no_module_of_tools() -> None:
    assert found("tools.nothing", "tools") == []
    assert complaints("tools.nothing", (), Catalogue([]), Imports()) == ["line 1: there is no name 'tools'"]
