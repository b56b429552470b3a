"""M3ToolEval, the benchmark of the paper "Executable Code Actions Elicit Better LLM Agents" (arXiv 2402.01030).

82 tasks of five domains, each with a few tools, offline and with one right answer. The data in `data/` are the paper's;
the tools are written anew from their behaviour. There are two variants: `verbatim` is the paper's as it is, `fixed`
mends what is known to be wrong with it; docs/evaluations.md lists the differences.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

from ...core.actions import Form
from ...ports import Tool
from ..checking import same
from ..tasks import Task, TaskSet
from . import arithmetic, decoder, sequencer, trade, travel
from .browser import Browser
from .checking import verbatim
from .shown import Shown

Variant: TypeAlias = Literal["fixed", "verbatim"]
NAME = "m3tooleval"
_STEPS = 10  # replies in the paper
_BUILTINS = {"max": travel.maximum, "min": travel.minimum, "sum": travel.total}  # code has these of its own
_ANSWER = "Answer with the bare value, such as a number, a text or a list, and nothing beside it."


def tasks(variant: Variant = "fixed") -> TaskSet:
    """The 82 tasks, in the paper's order."""
    found = tuple(_task(line, variant) for line in _lines("tasks.jsonl"))

    def tools(task: Task, form: Form) -> Sequence[Tool]:
        return _tools(task.domain, variant, form)

    check = same if variant == "fixed" else verbatim
    return TaskSet(NAME, found, tools, check, variant, None if variant == "fixed" else _STEPS, _ANSWER)


def _task(line: Mapping[str, Any], variant: Variant) -> Task:
    task = Task(
        line["name"], line["domain"], line["instruction"].strip(), ast.literal_eval(line["expected_repr"])
    )  # the repr tells a tuple from a list
    if variant == "fixed" and task.name == "message_decoder/longest_decoded_string":
        asked = task.instruction.replace("Find the longest message", "Find the length of the longest message")
        return replace(task, instruction=asked)
    return task


def _tools(domain: str, variant: Variant, form: Form) -> list[Tool]:
    """The domain's tools, fresh. Where the model writes code, `max`, `min` and `sum` are Python's own."""
    functions = {**_functions(domain, variant)}
    told = [one for one in _declared()[domain] if not (form == "code" and one["name"] in _BUILTINS)]
    return [Shown.of(functions[one["name"]], one, as_told=variant == "verbatim") for one in told]


def _functions(domain: str, variant: Variant) -> Mapping[str, Callable[..., Any]]:
    match domain:
        case "message_decoder":
            return vars(decoder)
        case "cryptobotanists_plant_dna_sequencer":
            return vars(sequencer)
        case "trade_calculator":
            return {**vars(trade), "calculator": arithmetic.calculator}
        case "travel_itinerary_planning":
            agency = travel.Agency(json.loads(_text("travel.json")))
            looking = {"find_flights": agency.find_flights, "book_hotel": agency.book_hotel}
            return {**vars(travel), **_BUILTINS, **looking}
        case _:
            browser = Browser(_pages(variant))
            names = ("click_url", "go_to_previous_page", "scroll_down", "scroll_up", "view")
            return {**{name: getattr(browser, name) for name in names}, "calculator": arithmetic.calculator}


@cache
def _pages(variant: Variant) -> Mapping[str, str]:
    """By name; mended, a page has the name that its links have."""
    pages = {page["name"]: page["content"] for page in _lines("web_pages.jsonl")}
    if variant == "fixed":
        pages["/team/customer_support"] = pages.pop("/team/customer-support")
        pages["/blog/wand-maintenance"] = pages.pop("/blog/wand_maintenance")
    return pages


@cache
def _declared() -> Mapping[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = json.loads(_text("tools.json"))
    return found


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _text(name).splitlines()]


def _text(name: str) -> str:
    return (files(__package__) / "data" / name).read_text(encoding="utf-8")
