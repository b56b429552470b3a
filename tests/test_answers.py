"""An answer of a type: checked where it is given, so that the cell that gave it can mend it."""

from __future__ import annotations

import dataclasses
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel

from codeact import CodeAgent, ToolDefinitionError
from codeact.core.events import CodeRan, Event
from codeact.core.tasks import check_task
from codeact.testing import ScriptedModel


class City(BaseModel):
    name: str
    people: int


@dataclasses.dataclass
class Point:
    x: float
    y: float


class Row(TypedDict):
    day: str
    degrees: float


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


def agent(*replies: str, **settings: Any) -> CodeAgent:
    return CodeAgent(model=ScriptedModel(*replies), **settings)


@pytest.mark.parametrize(
    ("kind", "source", "expected"),
    [
        (int, "final_answer(6 * 7)", 42),
        (City, "final_answer({'name': 'Oslo', 'people': 717710})", City(name="Oslo", people=717710)),
        (Point, "final_answer({'x': 1.5, 'y': 2.0})", Point(1.5, 2.0)),
        (list[City], "final_answer([{'name': 'Oslo', 'people': 1}])", [City(name="Oslo", people=1)]),
        (Row, "final_answer({'day': 'Monday', 'degrees': 3.5})", {"day": "Monday", "degrees": 3.5}),
        (tuple[int, str] | None, "final_answer((1, 'a'))", (1, "a")),
        (None, "final_answer({'any': 1})", {"any": 1}),
    ],
)
def test_the_output_is_of_the_type(kind: Any, source: str, expected: Any) -> None:
    result = agent(code(source), output_type=kind).run("Go.")
    assert result.output == expected and type(result.output) is type(expected)


def test_a_wrong_answer_is_an_exception_in_the_cell_that_gave_it() -> None:
    source = (
        "try:\n    final_answer({'name': 'Oslo'})\nexcept Exception as error:\n    print(error)\n"
        "    final_answer({'name': 'Oslo', 'people': 2})"
    )
    result = agent(code(source), output_type=City).run("Go.")
    assert result.output == City(name="Oslo", people=2) and result.steps == 1
    (ran,) = [event.outcome for event in result.events if isinstance(event, CodeRan)]
    assert "people" in ran.stdout


def test_the_model_reads_what_was_wrong_and_mends_it_in_its_next_reply() -> None:
    result = agent(code("n = '42'\nfinal_answer(n)"), code("final_answer(int(n))"), output_type=int).run("Go.")
    assert result.output == 42 and result.steps == 2
    first = next(event.outcome for event in result.events if isinstance(event, CodeRan))
    assert first.ended == "done" and first.error is not None and first.error.type == "TypeError"
    assert "'value' must be int" in first.error.message or "int" in first.error.message


def test_the_model_is_told_the_type() -> None:
    model = ScriptedModel(code("final_answer({'name': 'Oslo', 'people': 1})"))
    CodeAgent(model=model, output_type=City).run("Go.")
    system = model.prompts[0].messages[0].text
    assert "def final_answer(value: City)" in system and "people: int" in system


def test_checks_see_the_answer_the_events_and_the_agent() -> None:
    seen: list[Any] = []

    def big(answer: int) -> bool:
        """The answer is more than ten."""
        return answer > 10

    def with_events(answer: int, events: tuple[Event, ...]) -> None:
        seen.append(len(events))

    async def with_all(answer: int, events: tuple[Event, ...], agent: Any) -> bool:
        seen.append(agent.model.name)
        return True

    def asserting(answer: int) -> bool:
        assert answer % 2 == 0, "it must be even"
        return True

    result = agent(
        code("final_answer(5)"),
        code("final_answer(13)"),
        code("final_answer(14)"),
        final_answer_checks=[big, with_events, with_all, asserting],
    ).run("Go.")
    assert result.output == 14 and result.steps == 3 and len(seen) == 4
    errors = [event.outcome.error for event in result.events if isinstance(event, CodeRan)]
    assert errors[0] is not None and "'big': The answer is more than ten." in errors[0].message
    assert errors[1] is not None and "it must be even" in errors[1].message


def test_a_check_that_crashes_is_an_error_of_the_run_and_not_the_models_fault() -> None:
    def crashing(answer: Any) -> bool:
        raise LookupError("the table of the check is missing")

    with pytest.raises(LookupError, match="table of the check"):
        agent(code("final_answer(1)"), final_answer_checks=[crashing]).run("Go.")


def test_what_cannot_be_a_type_or_a_check_is_refused_when_the_agent_is_made() -> None:
    with pytest.raises(ToolDefinitionError):
        agent(output_type=object())
    with pytest.raises(TypeError, match="check"):
        agent(final_answer_checks=[lambda: True])


def test_an_empty_task_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        check_task(" ")
