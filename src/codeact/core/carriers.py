"""What carries code in a reply: a fenced block, a tag of XML, or a call of one tool, `python(code=...)`.

    fence       ```python ... ```            what most models write of themselves
    execute     <execute> ... </execute>     what the CodeAct paper's own models were trained to write
    code        <code> ... </code>
    tool        python(code="...")           a tool call in the provider's own form, for models that know no other way

Only the marks differ. Whatever the carrier is, blocks in any of the marks are read, for models mix them up; what is
kept of a reply stands in the carrier's own, so that what a model reads of itself is what it should write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from . import actions
from .actions import Carrier, Code, Nothing, parse
from .messages import Image, Message, NativeCall, Reply, ToolDeclaration, answered, arguments_of
from .source import compiles

__all__ = ["PYTHON", "answers", "form", "read"]

PYTHON = ToolDeclaration(
    "python",
    "Run a block of Python in the live interpreter. Variables stay from block to block.",
    {
        "type": "object",
        "properties": {"code": {"type": "string", "description": "the block of code"}},
        "required": ["code"],
        "additionalProperties": False,
    },
)
_AS_ONE = "It was run as one cell, together with the last of these calls."

_Found: TypeAlias = str | Nothing


def form(carrier: Carrier) -> str:
    """How to write code, in words for a model that did not."""
    if carrier == "tool":
        return "Call `python` once, with your code, and end your reply after it."
    return f"Write one block and end your reply after it:\n{actions.carried('# your code', carrier)}".rstrip("\n")


def read(reply: Reply, carrier: Carrier) -> Code | Nothing:
    """The action of a whole reply in this carrier, or in another mark that code is known by."""
    if carrier != "tool" or not reply.tool_calls or reply.finish in ("length", "content_filter"):
        return actions.read(reply, carrier)
    found = [_source(call) for call in reply.tool_calls]
    wrong = next((one for one in found if isinstance(one, Nothing)), None)
    if wrong is not None:
        return replace(wrong, said=reply.text, calls=reply.tool_calls)
    sources = [one for one in found if isinstance(one, str) and one.strip()]
    joined = "".join(source if source.endswith("\n") else f"{source}\n" for source in sources)
    if (odd := actions.impossible(joined)) is not None:
        return Nothing("character", odd, said=reply.text, calls=reply.tool_calls)
    if not joined:
        return Nothing("empty", said=reply.text, calls=reply.tool_calls)
    notes = (f"{len(sources)} blocks were run as one cell.",) if len(sources) > 1 else ()
    return Code(joined, notes, said=reply.text, calls=reply.tool_calls)


def answers(calls: Sequence[NativeCall], text: str, images: Sequence[Image] = ()) -> list[Message]:
    """What came of the code that these calls carried: every call has to be answered."""
    *others, last = calls
    return [*(answered(call, _AS_ONE) for call in others), answered(last, text, *images)]


def _source(call: NativeCall) -> _Found:
    """The code in a call, or why there is none."""
    try:
        arguments = arguments_of(call)
    except ValueError as error:
        return Nothing("arguments", str(error)) if call.name == PYTHON.name else Nothing("tool_call", call.name)
    code = arguments.get("code")
    if code is None and call.name == PYTHON.name and len(arguments) == 1:
        (code,) = arguments.values()  # by another name, such as `source`
    if call.name != PYTHON.name and set(arguments) != {"code"}:
        return Nothing("tool_call", call.name)
    if not isinstance(code, str):
        return Nothing("arguments", "it takes one text, named code")
    if "```" in code and not compiles(code) and isinstance(fenced := parse(code), Code):
        return fenced.source  # with a fence around it all the same
    return code
