"""`--tools FILE.py[:NAME,...]`: a file of the user's, run on the host as a module of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeact import assemble
from codeact.core.errors import UsageError
from codeact.tools.loading import load

MARKED = """
from codeact import assemble, tool
from helper_of_the_shop import price

@tool
def order(item: str) -> float:
    return price(item)

@tool(name="refund")
async def give_back(item: str) -> None:
    ...

def not_offered(x: int) -> int:
    return x
"""
HELPER = "def price(item: str) -> float:\n    return len(item) * 1.5\n"
PLAIN = """
from os.path import join

LIMIT = 5

def first(x: int) -> int:
    return x

def second() -> str:
    return join("a", "b")

def _private() -> None: ...

class Thing: ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path, modules = list(sys.path), dict(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


def write(folder: Path, name: str, source: str) -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    return str(path)


def names(spec: str) -> list[str]:
    return [tool.spec.name for tool in load(spec)]


async def test_marked_functions_are_the_tools_and_may_import_their_neighbours(folder: Path) -> None:
    write(folder, "helper_of_the_shop.py", HELPER)
    tools = load(write(folder, "shop.py", MARKED))
    assert [tool.spec.name for tool in tools] == ["order", "refund"]
    assert await tools[0].call(tools[0].bind(["tea"], {})) == 4.5
    assert sys.path[0] == str(folder)


def test_without_marks_every_public_function_that_is_defined_there_is_a_tool(folder: Path) -> None:
    assert names(write(folder, "plain.py", PLAIN)) == ["first", "second"]


def test_names_choose_and_order_the_tools(folder: Path) -> None:
    write(folder, "helper_of_the_shop.py", HELPER)
    shop = write(folder, "shop.py", MARKED)
    assert names(f"{shop}:not_offered, give_back") == ["not_offered", "refund"]
    assert names(f"{shop}:order,order") == ["order"]


def test_a_file_named_twice_runs_once(folder: Path) -> None:
    file = write(folder, "once.py", "def a(): return seen\ndef b(): return seen\nseen = []\n")
    one, other = load(f"{file}:a")[0], load(f"{file}:b")[0]
    assert one() is other()  # type: ignore[operator]


def test_two_files_of_one_name_do_not_meet(folder: Path) -> None:
    one = write(folder, "a/same.py", "def one(): ...")
    other = write(folder, "b/same.py", "def other(): ...")
    assert names(one) == ["one"]
    assert names(other) == ["other"]


def test_a_file_named_like_a_library_hides_nothing(folder: Path) -> None:
    assert names(write(folder, "json.py", "import json\n\ndef text(x: dict) -> str:\n    return json.dumps(x)\n")) == [
        "text"
    ]
    assert sys.modules["json"].__file__ != str(folder / "json.py")


def test_a_file_has_its_own_future(folder: Path) -> None:
    assert names(write(folder, "now.py", "def f(x: int) -> int: ...\nassert f.__annotations__['x'] is int\n")) == ["f"]


def test_types_of_the_file_itself_are_understood(folder: Path) -> None:
    source = (
        "from __future__ import annotations\nimport dataclasses\n\n"
        "@dataclasses.dataclass\nclass Order:\n    item: str\n\n"
        "def buy(order: Order, more: list[Order] | None = None) -> str:\n    return order.item\n"
    )
    tool = load(write(folder, "typed.py", source))[0]
    assert tool.bind([{"item": "tea"}], {})["order"].item == "tea"


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("x.py", "x = 1\ndef broken(:\n", "{file}:2: SyntaxError: invalid syntax"),
        ("x.py", "import math\n\nimport nowhere\n", "{file}:3: ModuleNotFoundError: No module named 'nowhere'"),
        ("x.py", "def f():\n    1 / 0\n\nf()\n", "{file}:2: ZeroDivisionError: division by zero"),
        ("x.py", "import sys\nsys.exit(3)\n", "{file}:2: SystemExit: 3"),
        ("x.py", "LIMIT = 5\n", "{file}: no tools in it: define a function, and mark it with @tool"),
        ("x.py", "\n\ndef f(self, x): ...\n", "{file}:3: f(): parameter 'self' cannot be given by code"),
        ("x.py:nope", "def note(): ...\n", "{file}: there is no 'nope' in it; did you mean 'note'?"),
        ("x.py:LIMIT", "LIMIT = 5\n", "{file}: a tool is a function or an object like one, not 5"),
        ("x.py:", "def f(): ...\n", "--tools {spec}: a name is missing; give FILE.py, or FILE.py:NAME,NAME"),
        ("x.py:f,", "def f(): ...\n", "--tools {spec}: a name is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_with_its_line(folder: Path, name: str, source: str, said: str) -> None:
    file = write(folder, "x.py", source)
    spec = str(folder / name)
    with pytest.raises(UsageError) as caught:
        load(spec)
    assert str(caught.value).startswith(said.format(file=file, spec=spec))


def test_a_file_that_is_no_text_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.py.*: source code string cannot contain null bytes"):
        load(write(folder, "x.py", "x = 1\0"))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{folder}/missing.py", "{folder}/missing.py: cannot be read: No such file or directory"),
        ("{folder}/dir.py", "{folder}/dir.py: cannot be read: Is a directory"),
        ("web_serch", "--tools web_serch: no tool is named 'web_serch'; did you mean 'web_search'?; give FILE.py"),
        ("fetch:x", "--tools fetch:x: fetch takes nothing behind it"),
        ("read_file", "--tools read_file: it has to name its folder, read_file:FOLDER"),
        ("read_file:/no/such", "read_file: '/no/such' is no folder that is there"),
        ("", "--tools : no tool is named ''"),
        ("tools.txt", "--tools tools.txt: no tool is named 'tools.txt'"),
    ],
)
def test_a_specification_that_names_nothing_says_how_to_write_one(folder: Path, spec: str, said: str) -> None:
    (folder / "dir.py").mkdir()
    with pytest.raises(UsageError) as caught:
        assemble.tools([spec.format(folder=folder)])
    assert str(caught.value).startswith(said.format(folder=folder))
