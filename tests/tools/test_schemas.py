"""A JSON Schema as a Python function: what is written out, what is checked, and what a bad schema cannot do."""

from __future__ import annotations

import datetime
import decimal
import time
from typing import Any

import pytest

from codeact.tools.schemas import DescribedTool


async def send(arguments: dict[str, Any]) -> Any:
    return arguments


def tool(properties: dict[str, Any], *required: str, returns: Any = None, doc: str = "", **more: Any) -> DescribedTool:
    schema = {"type": "object", "properties": properties, "required": list(required), **more}
    return DescribedTool("call", schema, send, returns=returns, doc=doc)


@pytest.mark.parametrize(
    ("schema", "spelled"),
    [
        ({"type": "string"}, "str"),
        ({"type": "number"}, "float"),
        ({"type": ["integer", "null"]}, "int | None"),
        ({"type": "array", "items": {"type": "string"}}, "list[str]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "dict[str, int]"),
        ({"enum": ["a", 1, None]}, "Literal['a', 1, None]"),
        ({"const": "x"}, "Literal['x']"),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}, "str | list[int]"),
        ({"allOf": [{"$ref": "#/$defs/Size"}], "description": "how large"}, "Literal['S', 'L']"),
        ({"$ref": "#/$defs/Size"}, "Literal['S', 'L']"),
        ({"type": "array", "items": {"$ref": "#/$defs/Tree"}}, "list[dict]"),
        ({"type": "string", "format": "date"}, "str"),
    ],
)
def test_a_schema_is_written_as_a_type(schema: Any, spelled: str) -> None:
    defs = {"Size": {"enum": ["S", "L"]}, "Tree": {"type": "object", "properties": {"in": {"$ref": "#/$defs/Tree"}}}}
    assert tool({"x": schema}, "x", **{"$defs": defs}).spec.signature == f"(x: {spelled})"


@pytest.mark.parametrize("schema", [{}, True, None, 5, {"$ref": "#/nowhere"}, {"$ref": "http://127.0.0.1:9/x"}])
def test_what_a_schema_does_not_say_takes_anything(schema: Any) -> None:
    assert tool({"x": schema}, "x").spec.signature == "(x)"


def test_what_is_required_comes_first_and_names_are_mended_and_remembered() -> None:
    text = {"type": "string"}
    made = tool(
        {"max-results": {"type": "integer", "default": 5}, "from": text, "$q": text, "_q": text, "9": text}, "$q"
    )
    assert made.spec.signature == (
        "(q: str, max_results: int = 5, from_: str | None = None, "
        "q_2: str | None = None, argument_9: str | None = None)"
    )
    bound = made.bind(["a"], {"from_": "b", "q_2": "c", "max_results": None, "argument_9": None})
    assert bound == {"q": "a", "from_": "b", "q_2": "c"}


async def test_arguments_are_sent_under_the_schemas_own_names_and_what_is_left_out_is_not_sent() -> None:
    made = tool({"from": {"type": "string"}, "maybe": {"type": ["string", "null"]}}, "from")
    assert await made.call(made.bind([], {"from_": "x", "maybe": None})) == {"from": "x", "maybe": None}
    assert await made.call(made.bind([], {"from_": "x"})) == {"from": "x"}
    more = tool({"a": {"type": "integer"}}, additionalProperties=True)
    assert more.spec.signature == "(a: int | None = None, **more)"
    assert await more.call(more.bind([1], {"b": [2]})) == {"a": 1, "b": [2]}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ((1, (2,)), [1, [2]]),
        (datetime.date(2026, 1, 31), "2026-01-31"),
        ({"a": datetime.datetime(2026, 1, 31, 12)}, {"a": "2026-01-31T12:00:00"}),
        (2**70, 2**70),
    ],
)
def test_a_value_goes_as_json_has_it(value: Any, sent: Any) -> None:
    assert tool({"x": {}}, "x").bind([value], {}) == {"x": sent}


@pytest.mark.parametrize("value", [b"x", {1}, {1: 2}, decimal.Decimal(1), float("inf"), [float("nan")], object()])
def test_what_json_has_no_form_for_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"call\(\): 'x'"):
        tool({"x": {}}, "x").bind([value], {})


def test_the_documentation_is_bounded_and_holds_nothing_unseen() -> None:
    long = tool({"x": {"type": "string", "description": "word " * 5000}}, doc="a\x1b[31mb\n" * 5000)
    assert len(long.spec.doc) < 5000 and "\x1b" not in long.spec.doc
    wide = {f"field{n}": {"type": "string"} for n in range(500)}
    assert len(tool({"x": {"type": "object", "properties": wide}}).spec.doc) < 3000


def test_a_schema_that_holds_itself_many_times_over_is_read_in_no_time() -> None:
    names = [f"T{n}" for n in range(12)]
    refs = [{"$ref": f"#/$defs/{name}"} for name in names]
    kind = {"type": "object", "properties": {"and": {"type": "array", "items": {"anyOf": refs}}, "or": {"anyOf": refs}}}
    started = time.process_time()
    made = tool(
        {"x": {"anyOf": refs}, "y": {"type": "array", "items": {"anyOf": refs}}},
        "x",
        **{"$defs": dict.fromkeys(names, kind)},
    )
    assert made.bind([{"and": []}], {}) == {"x": {"and": []}}
    assert len(made.spec.doc) < 5000
    assert time.process_time() - started < 5


def test_a_regular_expression_of_a_schema_is_not_run_here() -> None:
    made = tool({"x": {"type": "string", "pattern": "^(a+)+$"}}, "x", patternProperties={"^(b+)+$": {}})
    assert made.bind(["a" * 40 + "!"], {}) == {"x": "a" * 40 + "!"}


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "objekt", "properties": {"x": {}}},
        {"properties": {"x": {"type": "string", "minLength": "5"}}},
        {"$id": 5, "properties": {"x": {}}},
        {"properties": {"x": {"$ref": "#/$defs/absent"}}},
        {"properties": {"x": {"$ref": "#/properties/x"}}},
    ],
)
def test_a_broken_schema_is_left_to_the_other_side(broken: Any) -> None:
    made = DescribedTool("call", broken, send)
    assert made.bind([], {"x": "a"}) == {"x": "a"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
        made.bind([], {"y": 1})
