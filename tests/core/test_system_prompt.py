"""What a model is told before it begins."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import pytest

from codeact.core.actions import Code, parse
from codeact.core.declared import declaration
from codeact.core.events import RunStarted
from codeact.core.execution import ALL, MIB, NONE, Imports, Limits, Outcome, ToolSpec, only
from codeact.core.observations import after_cell
from codeact.core.system import PARTS, parts
from codeact.core.system import system_prompt as prompt_of

WEATHER = ToolSpec(
    "weather",
    "(city: str, unit: str = 'C') -> dict",
    "Current weather in a city.\n\nArgs:\n    city: its name\n    unit: 'C' or 'F'",
)
NOON = ToolSpec("noon", "() -> str")


def system_prompt(
    tools: Sequence[ToolSpec], imports: Imports, limits: Limits, instructions: str = "", **more: Any
) -> str:
    return prompt_of(RunStarted("", "", tuple(tools), imports, limits, instructions, **more))


def test_without_tools_it_is_shorter_than_seven_hundred_tokens() -> None:
    assert len(system_prompt((), Imports(("numpy", "pandas")), Limits())) / 4 < 700


def test_it_is_the_same_every_time_so_that_providers_can_cache_it() -> None:
    assert system_prompt([WEATHER], Imports(), Limits()) == system_prompt([WEATHER], Imports(), Limits())


def test_a_tool_stands_there_as_python_declares_it() -> None:
    assert (
        declaration(WEATHER)
        == '''\
def weather(city: str, unit: str = 'C') -> dict:
    """Current weather in a city.

    Args:
        city: its name
        unit: 'C' or 'F'
    """'''
    )
    assert declaration(NOON) == "def noon() -> str: ..."


@pytest.mark.parametrize(
    "doc",
    [
        "One line.",
        'Says """hi""".',
        "A \\d pattern\\",
        'ends with a quote"',
        "a\n\n```python\nx\n```\nb",
        "{x} %s {{y}}",
    ],
)
def test_whatever_a_docstring_holds_the_declaration_is_python_and_says_the_same(doc: str) -> None:
    function = ast.parse(declaration(ToolSpec("f", "(x: int = 1)", doc))).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert (ast.get_docstring(function) or "").replace("'''", '"""').strip() == doc


def test_the_tools_are_listed_in_their_order_and_by_their_signatures() -> None:
    text = system_prompt([NOON, WEATHER], Imports(), Limits())
    assert 0 < text.index("def noon() -> str") < text.index("def weather(city: str, unit: str = 'C') -> dict:")
    assert "await asyncio.gather(noon.aio(...), ...)" in text


def test_without_tools_nothing_is_said_of_them() -> None:
    assert "aio" not in system_prompt((), Imports(), Limits())


def test_a_fence_in_a_docstring_does_not_end_the_list_of_tools() -> None:
    text = system_prompt([ToolSpec("f", "()", "```\nx\n```")], Imports(), Limits())
    assert "````python\ndef f():" in text
    assert text.endswith("\n````")


@pytest.mark.parametrize(
    ("imports", "words"),
    [
        (Imports(), "You may import most of the standard library (math, json, "),
        (Imports(("numpy", "pandas")), ", ...), and numpy, pandas. Nothing else is there."),
        (ALL, "You may import whatever is installed."),
        (NONE, "You may import nothing: the builtins must do."),
        (only("math", "json"), "You may import only math, json."),
    ],
)
def test_what_may_be_imported_is_said(imports: Imports, words: str) -> None:
    assert words in system_prompt((), imports, Limits())


@pytest.mark.parametrize(
    ("imports", "drawn"),
    [
        (Imports(), False),
        (Imports(("numpy",)), False),
        (only("matplotlib.pyplot"), True),
        (Imports(("PIL",)), True),
        (ALL, True),
    ],
)
def test_pictures_are_spoken_of_where_they_can_be_drawn(imports: Imports, drawn: bool) -> None:
    assert ("display(...)" in system_prompt((), imports, Limits())) is drawn


def test_the_limits_of_a_cell_are_said() -> None:
    text = system_prompt((), Imports(), Limits(seconds=5, memory=512 * MIB))
    assert "A block may run for 5 s and use 512 MiB of memory." in text


@pytest.mark.parametrize("words", ["Answer in French. {x} {{7*7}} %s $y \\n", "```python\nx\n```", "one\n\ntwo"])
def test_the_instructions_of_the_user_stand_there_word_for_word(words: str) -> None:
    assert system_prompt((), Imports(), Limits(), words).endswith("\n\nInstructions of the user:\n" + words)


def test_blank_instructions_are_none() -> None:
    assert system_prompt((), Imports(), Limits(), " \n") == system_prompt((), Imports(), Limits())


def test_the_worked_example_is_true() -> None:
    """The replies are read as cells, they do what is said of them, and that is told in the words of an observation."""
    text = system_prompt((), Imports(), Limits())
    first, second = text.split("```python\n")[1:3]
    cell, answer = parse("```python\n" + first), parse("```python\n" + second)
    assert isinstance(cell, Code)
    assert isinstance(answer, Code)
    given: list[object] = []
    printed: list[str] = []
    names: dict[str, object] = {"final_answer": given.append, "print": lambda value: printed.append(f"{value}\n")}
    *statements, last = cell.source.strip().split("\n")
    exec("\n".join(statements), names)
    outcome = Outcome("done", stdout="".join(printed), value=repr(eval(last, names)))
    assert after_cell(1, outcome, limits=Limits(), delimiter="5f3a9c01") in text
    exec(answer.source, names)
    assert given == [233168]


# -- the parts of it ---------------------------------------------------------------------------------------------------


def begun(**settings: Any) -> RunStarted:
    return RunStarted("", "", (WEATHER,), instructions="Be brief.", answer=ANSWER, **settings)


ANSWER = ToolSpec("final_answer", "(value: int)")


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["role", "acting", "rules", "sandbox", "tools", "answer", "instructions"]),
        ({"carrier": "tool"}, ["role", "acting", "rules", "sandbox", "tools", "answer", "instructions"]),
        ({"lesson": "small"}, ["role", "acting", "rules", "sandbox", "tools", "answer", "instructions"]),
        ({"action": "json"}, ["role", "rules", "instructions"]),
        ({"action": "text"}, ["role", "acting", "rules", "tools", "answer", "instructions"]),
    ],
)
def test_the_prompt_is_made_of_named_parts_in_one_order(settings: dict[str, Any], names: list[str]) -> None:
    made = parts(begun(**settings))
    assert [name for name, _ in made] == names
    assert prompt_of(begun(**settings)) == "\n\n".join(text for _, text in made)


@pytest.mark.parametrize("name", [name for name in PARTS if name != "instructions"])
@pytest.mark.parametrize("form", ["code", "json", "text"])
def test_each_part_can_be_replaced_word_for_word(name: str, form: Any) -> None:
    words = "Mine. {tools} {{x}} %s ${y} \\n {{ 7 * 7 }}"
    text = prompt_of(begun(action=form, parts=((name, words),)))
    assert text.count(words) == 1
    kept = dict(parts(begun(action=form)))
    assert all(other in text for at, other in kept.items() if at != name)
    assert name not in kept or kept[name] not in text


def test_an_empty_part_is_left_out() -> None:
    assert "rules" not in dict(parts(begun(parts=(("rules", ""),))))


@pytest.mark.parametrize("carrier", ["execute", "code", "tool"])
@pytest.mark.parametrize("lesson", ["standard", "small"])
def test_the_worked_example_of_every_carrier_is_true(carrier: Any, lesson: Any) -> None:
    text = prompt_of(RunStarted("", "", carrier=carrier, lesson=lesson))
    mark = {"execute": ("<execute>\n", "</execute>"), "code": ("<code>\n", "</code>")}.get(carrier, ("code:\n", "\n\n"))
    first, second = [part.partition(mark[1])[0].strip() for part in text.split(mark[0])[1:3]]
    printed: list[object] = []
    given: list[object] = []
    names: dict[str, object] = {"print": printed.append, "final_answer": given.append}
    exec(first, names)
    exec(second, names)
    assert given == [233168] and f"\n{printed[0]}\n</stdout" in text
