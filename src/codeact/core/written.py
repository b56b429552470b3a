"""An action in plain text: `Action: weather, "Oslo", "C"`, or `Answer: 4.5`, as tolerantly read as models write it.
It is the baseline of the CodeAct paper (arXiv 2402.01030).

    Action: weather, Oslo, C                  arguments by place, divided by commas; quotes where one holds a comma
    Action: weather, {"city": "Oslo"}         arguments by name
    Action: weather(city="Oslo") End Action   as a call; the end may be marked
    Action: {"tool": "weather", "args": ["Oslo"]}
    Action: weather
    Action Input: {"city": "Oslo"}

What comes of it is a tool call like one in a provider's own form, and from there on it is treated like one. One action
is taken, since whoever writes the second has not seen what the first one gave.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .actions import Calls, Nothing
from .execution import ToolSpec
from .fences import Reader
from .messages import NativeCall, Reply
from .pieces import inside, object_of, pieces_of, value_of

__all__ = ["STOP", "read_text"]

STOP = ("\nObservation:", "\nEnd Action")  # where generation ends: behind an action only made-up news could follow

_ANSWER = "final_answer"
_MARK = re.compile(  # at the head of a line
    r"[ \t>#*_`-]*+(?:(?P<mark>(?:final[ _])?answer|action|thought)[*_`]*+[ \t]*+[:：][*_]*+|end[ _](?:action|answer))",
    re.IGNORECASE,
)
_AMID = re.compile(r"(?<=\s)(?P<mark>Action|Answer):")  # behind a thought, on the same line
_END = re.compile(r"\bend[ _]action\b", re.IGNORECASE)
_END_ANSWER = re.compile(r"\bend[ _]answer\b[.\s]*$", re.IGNORECASE)
_INPUT = re.compile(r"\s*^[ \t*_]*(?:action[ _])?(?:input|arguments?|args)[*_]*[ \t]*[:：][*_]*", re.I | re.M)
_NAME = re.compile(r"[^\W\d][\w.-]*+")
_KEYWORD = re.compile(r"\s*([^\W\d]\w*)\s*=(?!=)")
_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[\w ]*$", re.MULTILINE)
_TEXTS = {"str", "None", "Optional[str]"}  # declared so, what is written without quotes is text, also `123`
_SCALARS = {*_TEXTS, "int", "float", "bool"}


@dataclass(frozen=True, slots=True)
class _Act:
    """An action or an answer as it stands in a reply: from where to where its text goes."""

    answer: bool
    body: int
    end: int


def read_text(reply: Reply, tools: Sequence[ToolSpec], answer: ToolSpec | None = None) -> Calls | Nothing:
    """The action of a whole reply in plain text; `answer` is `final_answer`, where its value is of a type."""
    if reply.finish == "content_filter":
        return Nothing("refused", said=reply.text)
    if reply.finish == "length":
        return Nothing("incomplete", said=reply.text)
    reader = Reader()
    reader.feed(reply.text)
    reader.close()
    found = reader.found
    text = "".join(part if isinstance(part, str) else part.source for part in found.said)
    specs = {tool.name: tool for tool in tools} | ({} if answer is None else {_ANSWER: answer})
    act = _first(text, specs)
    if act is None:
        if found.thinking:
            return Nothing("thinking", "unclosed", said=text)
        return Nothing("prose" if text.strip() else "thinking" if found.thought else "empty", said=text.strip())
    said = text[: act.end].strip()
    body = _bare(text[act.body : act.end])
    if act.answer:
        call = _call(_ANSWER, {"value": value_of(_END_ANSWER.sub("", body), _says_text(specs.get(_ANSWER), "value"))})
    else:
        marked = _END.search(body)
        named = _named_call(body[: marked.start()] if marked else body, specs, whole=marked is not None)
        if named is None:
            return Nothing("malformed", said=said)
        call = named
    notes = []
    if _first(text[act.end :], specs) is not None:
        notes.append("Of your reply only the first action counted: write one, and wait for what it gives.")
    if found.turn and found.dropped:
        notes.append(f"All from {found.turn!r} on was dropped: you wrote it, it did not happen.")
    return Calls((call,), said, tuple(notes))


def _first(text: str, tools: Collection[str]) -> _Act | None:
    """The first action or answer. It ends at its end mark or where the next part begins; of an answer, which may speak
    of thoughts and actions, only another answer or the action of a tool that there is."""
    act: _Act | None = None
    at = 0
    for line in text.splitlines(keepends=True):
        mark = _MARK.match(line)
        kind = (mark["mark"] or "end").lower() if mark is not None else ""
        if act is not None and mark is not None and not (act.answer and _is_of_it(kind, line[mark.end() :], tools)):
            return replace(act, end=at + mark.end() if kind == "end" else at)
        if act is None:
            if kind in ("thought", "end"):
                mark = _AMID.search(line) if kind == "thought" else None
            if mark is not None:
                act = _Act(mark["mark"].lower() != "action", at + mark.end(), len(text))
                if not act.answer and (end := _END.search(line, mark.end())) is not None:
                    return replace(act, end=at + end.end())
        at += len(line)
    return act


def _is_of_it(kind: str, rest: str, tools: Collection[str]) -> bool:
    """Whether a line of this kind may stand in an answer."""
    name = _NAME.match(rest.strip().lstrip("*_`"))
    return kind == "thought" or (kind == "action" and (name is None or name[0].rstrip(".-") not in tools))


def _bare(text: str) -> str:
    """The text without the marks of Markdown around it."""
    text = _FENCE.sub("", text).strip()
    for mark in ("**", "`"):
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
            text = text[len(mark) : -len(mark)].strip()
    return text


# -- an action ---------------------------------------------------------------------------------------------------------


def _named_call(text: str, specs: dict[str, ToolSpec], *, whole: bool) -> NativeCall | None:
    """The call that an action names; `whole` where its end is marked, so that it may run over lines."""
    text = text.strip().lstrip("*_` \t")
    if text.startswith("{"):
        return _of_object(text, specs)
    name = _NAME.match(text)
    if name is None:
        return None
    tool, rest = name[0].rstrip(".-"), text[name.end() :].lstrip("*_` \t")
    spec = specs.get(tool)
    later = _INPUT.match(rest)
    if later is not None:
        rest, whole = _bare(rest[later.end() :]), True
    elif rest[:1] in (",", ":", "："):
        rest = rest[1:].lstrip(" \t")
    elif rest[:1] == "(" and (inner := inside(rest)) is not None:
        rest, whole = inner.strip(), True
    if rest.startswith("{") and isinstance(given := object_of(rest), dict) and _by_name(given, spec, tool):
        return _call(tool, given)
    return _call(tool, _arguments(pieces_of(rest, whole=whole), spec, tool))


def _of_object(text: str, specs: dict[str, ToolSpec]) -> NativeCall | None:
    """`{"tool": ..., "args": ...}`, and how other frameworks call these."""
    found = object_of(text)
    if found is None:
        return None
    name = next((found[key] for key in ("tool", "name", "tool_name", "action") if key in found), None)
    if not isinstance(name, str) or not name:
        return None
    keys = ("args", "arguments", "parameters", "input", "action_input", "tool_input", "kwargs")
    given: Any = next((found[key] for key in keys if key in found), {})
    if isinstance(given, dict):
        return _call(name, given)
    places = given if isinstance(given, list) else [given]
    return _call(name, _placed(places, [str(one) for one in places], {}, specs.get(name), name))


def _by_name(given: dict[str, Any], spec: ToolSpec | None, tool: str) -> bool:
    """Whether an object holds the arguments by name, and is not itself the first of them."""
    if tool == _ANSWER:
        return set(given) == {"value"}
    if spec is None or not spec.parameters:
        return True
    names = {one.name for one in spec.parameters}
    if names & given.keys() or any(one.kind == "VAR_KEYWORD" for one in spec.parameters):
        return True
    return not given or _declared(spec).get(spec.parameters[0].name, "") in _SCALARS


def _arguments(pieces: list[str], spec: ToolSpec | None, tool: str) -> dict[str, Any]:
    names = {one.name for one in spec.parameters} if spec is not None else set()
    places: list[str] = []
    given: dict[str, Any] = {}
    for piece in pieces:
        keyword = _KEYWORD.match(piece)
        if keyword is not None and keyword[1] in names:
            given[keyword[1]] = value_of(piece[keyword.end() :], _says_text(spec, keyword[1]))
        else:
            places.append(piece)
    return _placed(None, places, given, spec, tool)


def _placed(
    values: list[Any] | None, pieces: list[str], given: dict[str, Any], spec: ToolSpec | None, tool: str
) -> dict[str, Any]:
    """Arguments by place as arguments by name; `values` are what the pieces mean, where that is known."""
    parameters = spec.parameters if spec is not None else ()
    rest = next((one.name for one in parameters if one.kind == "VAR_POSITIONAL"), None)
    names = [one.name for one in parameters if not one.kind.startswith("VAR_") and one.name not in given]
    if rest is not None:
        names = [one.name for one in parameters if one.kind.startswith("POSITIONAL")]
    if tool == _ANSWER and not names:
        names = ["value"]
    required = [one.name for one in parameters if one.default is None]
    joins = tool == _ANSWER or (names and names[-1] in required and _says_text(spec, names[-1]))
    if values is None and rest is None and joins and len(pieces) > len(names):
        last = len(names) - 1  # a text with commas in it, and no quotes around it
        pieces = [*pieces[:last], ",".join(pieces[last:])]
    read = [
        value_of(piece, _says_text(spec, names[at] if at < len(names) else rest)) if values is None else values[at]
        for at, piece in enumerate(pieces)
    ]
    given |= dict(zip(names, read, strict=False))
    over = read[len(names) :]
    if over and rest is not None:
        given[rest] = over
    else:
        given |= {f"argument {len(names) + at}": one for at, one in enumerate(over, 1)}
    return given


def _call(name: str, arguments: dict[str, Any]) -> NativeCall:
    return NativeCall("call_1", name, json.dumps(arguments))


# -- declared types ----------------------------------------------------------------------------------------------------


def _says_text(spec: ToolSpec | None, name: str | None) -> bool:
    """Whether this parameter is declared to take text, or nothing."""
    declared = _declared(spec).get(name or "", "") if spec is not None else ""
    return bool(declared) and {part.strip() for part in declared.split("|")} <= _TEXTS


def _declared(spec: ToolSpec) -> dict[str, str]:
    """The types of a tool's parameters, as its signature spells them."""
    try:
        made = ast.parse(f"def f{spec.signature}: ...").body[0]
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return {}
    if not isinstance(made, ast.FunctionDef):
        return {}
    given = made.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *([given.vararg] if given.vararg else [])]
    return {one.arg: ast.unparse(one.annotation) for one in named if one.annotation is not None}
