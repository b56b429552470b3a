"""Code that asks a model: what it asks, what it gets, what it costs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.command import codeact
from codeact import Budget, CodeAgent, Interpreter, ModelError, UsageError
from codeact.core.errors import ModelUnavailable
from codeact.core.messages import Prompt, Reply, Usage
from codeact.testing import ScriptedModel
from codeact.tools.submodels.schema import Unfit, check, read, schema_of
from codeact.tools.toolbox import llm
from models import server as s


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


class Answers:
    """A model whose answer is a function of the question; it counts how many it is asked at once."""

    name = "answers"

    def __init__(self, answer: Callable[[str], str | Reply]) -> None:
        self._answer = answer
        self.prompts: list[Prompt] = []
        self.most = self._now = 0

    async def ask(self, prompt: Prompt, emit: Any) -> Reply:
        self.prompts.append(prompt)
        self._now += 1
        self.most = max(self.most, self._now)
        for _ in range(20):
            await asyncio.sleep(0)
        self._now -= 1
        given = self._answer(prompt.messages[-1].text)
        return given if isinstance(given, Reply) else Reply(given, usage=Usage(10, 2, 0))


def run(source: str, answer: Callable[[str], str | Reply], **settings: Any) -> tuple[Any, Answers]:
    """What a cell with `llm` in it gives as the answer."""
    model = Answers(answer)
    agent = CodeAgent(model=ScriptedModel(code(source)), tools=llm(model, **settings))
    return agent.run("Go on.").output, model


def test_code_asks_a_model_and_gets_text() -> None:
    output, model = run("final_answer(llm('What is red?'))", lambda question: " Brick.\n")
    assert output == "Brick."
    (prompt,) = model.prompts
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert prompt.messages[1].text == "What is red?"
    assert "Give the answer and nothing else" in prompt.messages[0].text and prompt.stop == ()


def test_an_agents_own_model_is_asked_where_no_other_is_named() -> None:
    class Own(Answers):
        name = "own"

    model = Own(lambda q: "seven" if "How many" in q else code("final_answer(llm('How many?'))"))
    assert CodeAgent(model=model, tools=["llm"]).run("Count.").output == "seven"


def test_an_interpreter_without_an_agent_needs_a_model_named() -> None:
    with Interpreter(tools=["llm"]) as python:
        error = python.run("llm('What?')").error
    assert error is not None and "there is no model to ask: name one" in error.message
    with Interpreter(tools=[*llm(Answers(str.upper))]) as python:
        assert python.run("llm('what?'), llm_map(['a', 'b'])").value == "('WHAT?', ['A', 'B'])"


def test_many_questions_are_asked_side_by_side_and_answered_in_order() -> None:
    output, model = run(
        "final_answer(llm_map([f'page {n}' for n in range(50)]))", lambda q: q.removeprefix("page "), concurrency=5
    )
    assert output == [str(n) for n in range(50)]
    assert 1 < model.most <= 5


def test_threads_and_gather_share_the_same_room() -> None:
    source = (
        "import asyncio\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n    first = list(pool.map(llm, [f'a{n}' for n in range(8)]))\n"
        "second = await asyncio.gather(*[llm.aio(f'b{n}') for n in range(8)])\nfinal_answer(first + second)"
    )
    output, model = run(source, str.upper, concurrency=2)
    assert output == [f"A{n}" for n in range(8)] + [f"B{n}" for n in range(8)]
    assert model.most <= 2


def test_the_same_question_is_asked_once_in_a_run_also_side_by_side() -> None:
    source = "x = llm_map(['a'] * 20 + ['b'])\nx += [llm('a'), llm(prompt='a', schema=None)]\nfinal_answer(x)"
    output, model = run(source, str.upper)
    assert output == ["A"] * 20 + ["B", "A", "A"]
    assert len(model.prompts) == 2


def test_a_question_of_another_form_and_of_another_run_is_another_one() -> None:
    model = Answers(lambda question: '"x"' if "JSON" in question else "x")
    agent = CodeAgent(model=ScriptedModel(code("final_answer([llm('a'), llm('a', 'str')])")), tools=llm(model))
    for _ in range(2):
        assert agent.run("Go on.").output == ["x", "x"]
    assert len(model.prompts) == 4


def test_one_that_failed_is_asked_again_and_those_that_were_answered_are_not() -> None:
    down = [True]

    def answer(question: str) -> str:
        if question == "2" and down:
            down.pop()
            raise ModelUnavailable("the line is down")
        return question * 2

    source = (
        "try:\n    llm_map(['1', '2', '3'])\nexcept Exception as error:\n    told = str(error), type(error).__name__\n"
        "final_answer([*told, llm_map(['1', '2', '3'])])"
    )
    output, model = run(source, answer)
    assert output[0].startswith("prompts[1]: the line is down; 2 of 3 were answered, and are not asked again")
    assert output[2] == ["11", "22", "33"] and len(model.prompts) == 4


def test_an_answer_is_of_the_type_that_was_asked_for() -> None:
    output, model = run("final_answer(llm('How many?', schema='int') + 1)", lambda question: "41")
    assert output == 42
    assert model.prompts[0].messages[1].text.endswith('which fits this JSON Schema:\n{"type": "integer"}')


def test_one_that_does_not_fit_is_asked_for_once_more_with_what_is_wrong() -> None:
    replies = iter(['{"name": "Oslo"}', '```json\n{"name": "Oslo", "people": 717710}\n```'])
    output, model = run("final_answer(llm('Oslo?', {'name': 'str', 'people': 'int'}))", lambda question: next(replies))
    assert output == {"name": "Oslo", "people": 717710}
    assert [message.role for message in model.prompts[1].messages] == ["system", "user", "assistant", "user"]
    assert model.prompts[1].messages[-1].text.startswith("This does not fit: $.people is missing.")


def test_after_that_it_is_an_exception_that_code_can_handle() -> None:
    source = "try:\n    llm('How many?', 'int')\nexcept ValueError as error:\n    final_answer(str(error))"
    output, model = run(source, lambda question: "I would say many.")
    assert output == (
        "answers gave no answer that fits the schema: $ must be integer, not 'I would say many.' (str). "
        "It said: 'I would say many.'"
    )
    assert len(model.prompts) == 2


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply("Once upon a", finish="length"), "was cut off at its limit: ask for less at once"),
        (Reply("", finish="content_filter"), "the provider's filter withheld the answer"),
    ],
)
def test_an_answer_that_is_not_whole_is_no_answer(reply: Reply, words: str) -> None:
    output, _ = run("try:\n    llm('Tell.')\nexcept RuntimeError as e:\n    final_answer(str(e))", lambda q: reply)
    assert words in output


def test_what_it_costs_is_part_of_the_runs_usage() -> None:
    model = Answers(lambda q: "9" if q.startswith("page") else code("final_answer(llm_map(['page 1', 'page 2']))"))
    result = CodeAgent(model=model, tools=["llm"]).run("Count.")
    assert result.output == ["9", "9"] and result.steps == 1
    assert (result.usage.requests, result.usage.input_tokens, result.usage.output_tokens) == (3, 30, 6)


def test_it_is_paid_from_the_agents_budget_and_the_run_ends_when_that_is_spent() -> None:
    source = "told = llm_map([f'page {n}' for n in range(40)])\ntold"
    model = Answers(lambda q: "9" if q.startswith("page") else code(source))
    result = CodeAgent(model=model, tools=["llm"], budget=Budget(tokens=120)).run("Count.")
    assert result.stop_reason == "budget"
    assert (result.usage.input_tokens or 0) + (result.usage.output_tokens or 0) <= 120
    assert len(model.prompts) == 10


def test_a_recorded_run_that_asked_models_runs_again(tmp_path: Any) -> None:
    """Replies are kept in the order of the questions, whoever put them."""
    from codeact.assemble import recording

    source = "pages = llm_map([f'page {n}' for n in range(9)])\npages"
    replies = {"page": lambda q: q[-1], "Count.": lambda q: code(source), "": lambda q: code("final_answer(pages)")}
    model = Answers(lambda q: next(reply(q) for start, reply in replies.items() if q.startswith(start)))
    kept = tmp_path / "kept.jsonl"
    agent = CodeAgent(model=recording(model, str(kept)), tools=["llm"])
    assert agent.run("Count.").output == list("012345678")
    assert len(kept.read_text().splitlines()) == 11
    assert CodeAgent(model=f"replay:{kept}", tools=["llm"]).run("Count.").output == list("012345678")


def test_the_command_line_names_a_model_of_its_own_for_it(tmp_path: Path) -> None:
    with s.serving(s.says(code("final_answer(llm('Which city?'))")), s.says("Oslo")) as server:
        done = codeact(
            "run", "Go.", "--model", f"{server.url}#large", "--tools", f"llm:{server.url}#small", home=tmp_path
        )
        assert done.code == 0 and "Oslo" in done.out
        assert [question["model"] for question in server.questions] == ["large", "small"]


def test_a_mistake_in_naming_it_is_told() -> None:
    with pytest.raises(UsageError, match=re.escape("tools=['llm:openai:gpt-5'] names one")):
        llm("openai:gpt-5")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="concurrency"):
        llm(concurrency=0)
    with pytest.raises((UsageError, ModelError)):
        CodeAgent(model=ScriptedModel(), tools=["llm:nonsense"])


# -- what an answer must be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ("int", {"type": "integer"}),
        ("list[str]", {"type": "array", "items": {"type": "string"}}),
        ("str | None", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("Literal['yes', 'no']", {"enum": ["yes", "no"]}),
        (["int"], {"type": "array", "items": {"type": "integer"}}),
        (
            {"name": "str", "tags": ["str"]},
            {
                "type": "object",
                "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
                "required": ["name", "tags"],
                "additionalProperties": False,
            },
        ),
        ({"type": "object", "properties": {}}, {"type": "object", "properties": {}}),
        ({}, {}),
    ],
)
def test_a_schema_may_be_written_as_a_type_or_a_shape(given: Any, schema: dict[str, Any]) -> None:
    assert schema_of(given) == schema
    assert schema_of({"type": "str", "items": "int"})["required"] == ["type", "items"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("integer", "is no type that is known: str, int"),
        ("__import__('os')", "is no type that is known"),
        ("list[" * 500 + "int" + "]" * 500, "is no type that is known"),
        (5, "schema is a JSON Schema"),
        ({"type": "string", "pattern": "(a+)+$"}, "says 'pattern', which is not checked here"),
        ({"type": "text"}, "is no type that is known|schema's type"),
        ({"type": "array", "items": 5}, "holds 5 .* where a schema belongs"),
        ({"anyOf": {}}, "'anyOf' must hold schemas"),
        ({"type": "string", "minLength": "x"}, "'minLength' must be a number"),
        ({"enum": "abc", "type": "string"}, "'enum' must be a list"),
    ],
)
def test_a_schema_that_is_none_is_refused(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        schema_of(given)


CITY = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "people": {"type": "integer", "minimum": 0},
        "kind": {"enum": ["town", "city"]},
        "twins": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"name": "Oslo", "people": 5, "kind": "city", "twins": [{"name": "Gent"}]}, None),
        ({"people": 5}, "$.name is missing"),
        ({"name": "Oslo", "people": True}, "$.people must be integer, not True (bool)"),
        ({"name": "Oslo", "people": -1}, "$.people must be at least 0, not -1"),
        ({"name": "Oslo", "kind": "hamlet"}, "$.kind must be 'town' or 'city', not 'hamlet' (str)"),
        ({"name": "O"}, "the length of $.name must be at least 2, not 1"),
        ({"name": "Oslo", "mayor": "x"}, "$ has no 'mayor'; it has 'name', 'people'"),
        ({"name": "Oslo", "twins": [{"name": "Gent"}, {}]}, "$.twins[1].name is missing"),
        ({"name": "Oslo", "twins": [{"name": "Gent"}] * 3}, "the number of items of $.twins must be at most 2, not 3"),
        (["Oslo"], "$ must be object, not ['Oslo'] (list)"),
    ],
)
def test_a_value_is_held_to_the_schema(value: Any, words: str | None) -> None:
    if words is None:
        check(value, CITY)
        return
    with pytest.raises(Unfit, match=re.escape(words)):
        check(value, CITY)


def test_a_schema_that_would_take_for_ever_to_check_is_stopped() -> None:
    rules = {f"r{n}": {"anyOf": [{"$ref": f"#/$defs/r{n + 1}"}] * 2} for n in range(50)}
    schema = {"$ref": "#/$defs/r0", "$defs": {**rules, "r50": {"type": "string"}}}
    with pytest.raises(ValueError, match="too much work"):
        check(5, schema_of({"type": "integer", **schema}))
    with pytest.raises(ValueError, match="too much work"):
        check(5, {"$ref": "#"})


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("5", {"type": "integer"}, 5),
        ('Here you are:\n{"a": 1}\nThat is all.', {"type": "object"}, {"a": 1}),
        ("```json\n[1, 2]\n```", {"type": "array"}, [1, 2]),
        ("yes", {"enum": ["yes", "no"]}, "yes"),
        ('"yes"', {"enum": ["yes", "no"]}, "yes"),
        ("The list [1] is short", {"type": "string"}, "The list [1] is short"),
        ("null", {"type": "null"}, None),
    ],
)
def test_the_value_is_found_in_what_models_write(text: str, schema: dict[str, Any], value: Any) -> None:
    assert read(text, schema) == value


@pytest.mark.parametrize("text", ["NaN", "", "[" * 100_000, '{"a": 1'])
def test_what_is_no_json_is_none(text: str) -> None:
    with pytest.raises(Unfit):
        read(text, {"type": ["object", "number", "array"]})
