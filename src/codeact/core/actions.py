"""A reply becomes an action: the code to run, or nothing, with the reason.

Blocks tagged python, py or python3 are one cell, up to the first line that opens another speaker's turn. Blocks without
a tag count only when none is tagged and they compile. Thinking is never code. A reply that did not end by itself never
runs. Reading goes through `Reader`, the same that consoles draw from while the reply streams.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from .blocks import Block, Found, Piece
from .fences import Reader
from .marks import BARE, PYTHON, TOOL_CALL
from .messages import Finish, NativeCall, Reply
from .source import LOOK, compiles

__all__ = [
    "Action",
    "Calls",
    "Carrier",
    "Code",
    "Form",
    "Nothing",
    "Piece",
    "Reader",
    "Why",
    "carried",
    "impossible",
    "parse",
    "read",
    "read_calls",
    "stops",
    "until",
]

# Where generation ends: behind the mark that closes a block, which legal code holds only in a string, and at what no
# one writes there; the block that is left unclosed is whole, and runs.
_MADE_UP = ("\nObservation:", "\n\nObservation:", "\n<stdout ", "\n\nCell ")

Why: TypeAlias = Literal[
    "empty",  # nothing was said, or the block is empty
    "prose",  # words, no block
    "thinking",  # only thinking; `detail` is "unclosed" where it never ended
    "language",  # blocks of other languages; `detail` names their tags
    "untagged",  # a block without a tag that is not Python
    "unclosed",  # the last block was never closed, and is not whole
    "incomplete",  # cut off by the length limit
    "refused",  # withheld by the provider's filter
    "tool_call",  # a tool call in another form than code; `detail` is how it began
    "turn",  # another speaker's turn was made up before any code; `detail` is how it began
    "character",  # the code holds what no Python source may; `detail` says what and where
    "arguments",  # a call that should carry code does not; `detail` says why
    "malformed",  # an action in plain text that names no tool
]

Carrier: TypeAlias = Literal["fence", "execute", "code", "tool"]  # what code stands in; see `carriers`

_TICKS = re.compile("`{3,}")
_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Code:
    """A cell to run; `notes` tell the model what of its reply was not run.

    `said` is the reply as it is kept in the conversation: without thinking, and without what was dropped. `calls` are
    those that carried the code, and that have to be answered.
    """

    source: str
    notes: tuple[str, ...] = ()
    said: str = ""
    calls: tuple[NativeCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to run, and this is why."""

    kind: Why
    detail: str = ""
    said: str = ""
    calls: tuple[NativeCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Calls:
    """Tools to call, in the provider's own form; `said` is the text beside them, `notes` tell what was left out."""

    calls: tuple[NativeCall, ...]
    said: str = ""
    notes: tuple[str, ...] = ()


Form: TypeAlias = Literal["code", "json", "text"]  # a model writes Python, calls tools natively, or in plain text
Action: TypeAlias = Code | Calls | Nothing


def read_calls(reply: Reply) -> Calls | Nothing:
    """The action of a whole reply whose model calls tools in its provider's own form."""
    if reply.finish == "content_filter":
        return Nothing("refused", said=reply.text)
    if reply.finish == "length":
        return Nothing("incomplete", said=reply.text)
    if reply.tool_calls:
        return Calls(reply.tool_calls, reply.text)
    return Nothing("prose" if reply.text.strip() else "empty", said=reply.text)


def stops(carrier: Carrier) -> tuple[str, ...]:
    """Where generation ends: at what no one but us writes behind a block."""
    if carrier == "tool":
        return ()
    end = "\n```" if carrier == "fence" else f"</{carrier}>"
    return tuple(end + made_up for made_up in _MADE_UP)


def read(reply: Reply, carrier: Carrier = "fence") -> Code | Nothing:
    """The action of a whole reply. Its reasoning is never looked at; a native tool call is not code."""
    action = parse(reply.text, finish=reply.finish, carrier=carrier)
    if reply.tool_calls and isinstance(action, Nothing) and action.kind in ("empty", "prose", "thinking"):
        return replace(action, kind="tool_call", detail=reply.tool_calls[0].name)
    return action


def parse(text: str, *, finish: Finish = "stop", carrier: Carrier = "fence") -> Code | Nothing:
    """The action in a reply's text, given how the reply ended; what is kept of it stands in the `carrier`."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    action = _decide(reader.found, finish)
    return replace(action, said=_said(reader.found, carrier, whole=isinstance(action, Code)))


def until(text: str, length: int, carrier: Carrier = "fence") -> str:
    """What is kept of a reply of whose code only so many characters ran: it ends with them."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    kept: list[str | Block] = []
    for part in reader.found.said:
        if isinstance(part, str):
            kept.append(part)
            continue
        kept.append(Block(PYTHON, [part.source[:length]], closed=True))
        length -= len(part.source)
        if length <= 0:
            break
    return _said(Found(said=kept), carrier, whole=True)


def _decide(found: Found, finish: Finish) -> Code | Nothing:
    if finish == "content_filter":
        return Nothing("refused")
    if finish == "length":
        return Nothing("incomplete")
    blocks = [block for block in found.blocks if block.source.strip()]
    chosen = [block for block in blocks if block.tag == PYTHON]
    if not chosen:
        if (call := _tool_call(found)) is not None:
            return Nothing("tool_call", call)
        chosen = [block for block in blocks if block.tag == BARE]
        if not chosen:
            return _why_not(found)
        if not compiles(_join(chosen)):
            return Nothing("untagged") if chosen[-1].closed else Nothing("unclosed")
    last, source = chosen[-1], _join([block for block in found.blocks if block.tag == chosen[0].tag])
    if not last.closed and (finish != "stop" or last.turn or not compiles(last.source)):
        return Nothing("unclosed")
    if (odd := impossible(source)) is not None:
        return Nothing("character", odd)
    return Code(source, tuple(_notes(found, blocks, chosen)))


def _said(found: Found, carrier: Carrier, whole: bool) -> str:
    """The reply with its Python in proper marks, so that what the model reads of itself is what it should write.

    A block that was never closed gets its end only where the reply is `whole`, that is, where it is run.
    """
    said: list[str] = []
    for part in found.said:
        if isinstance(part, str):
            said.append(part)
            continue
        gap = "\n" if said and not said[-1].endswith("\n") else ""
        said.append(gap + carried(part.source, carrier, closed=part.closed or whole))
    return "".join(said).strip("\n")


def carried(source: str, carrier: Carrier, *, closed: bool = True) -> str:
    """Code between the marks of its carrier, each on a line; code for a call of a tool stands in a fence here."""
    if carrier in ("execute", "code"):
        begin, close = f"<{carrier}>", f"</{carrier}>"
    else:
        close = "`" * (1 + max(map(len, _TICKS.findall(source)), default=2))
        begin = f"{close}python"
    end = "" if source.endswith("\n") or not source else "\n"
    return f"{begin}\n{source}{end}" + (f"{close}\n" if closed else "")


def _join(blocks: list[Block]) -> str:
    return "".join(block.source for block in blocks)


def _why_not(found: Found) -> Nothing:
    tags = list(dict.fromkeys(block.tag for block in found.blocks if block.tag not in (PYTHON, BARE)))
    if found.turn and found.dropped:
        return Nothing("turn", found.turn)
    if found.thinking:
        return Nothing("thinking", "unclosed")
    if tags:
        return Nothing("language", ", ".join(tags[:5]))
    if found.prose.strip(" \n\t`~") and not found.blocks:
        return Nothing("prose")
    if found.thought and not found.blocks:
        return Nothing("thinking")
    return Nothing("empty")


def _notes(found: Found, blocks: list[Block], chosen: list[Block]) -> list[str]:
    notes = []
    if len(chosen) > 1:
        notes.append(f"{len(chosen)} blocks were run as one cell.")
    others = list(dict.fromkeys(block.tag for block in blocks if block.tag != chosen[0].tag))
    for tag in others[:5]:
        notes.append(f"A block tagged `{tag}` was not run." if tag else "A block without a tag was not run.")
    if found.recalled:
        notes.append("Code before the end of your thinking was not run.")
    if found.turn and found.dropped:
        notes.append(f"All from {found.turn!r} on was dropped: you wrote it, it did not happen.")
    return notes


def impossible(source: str) -> str | None:
    """A null or half of a surrogate pair: neither can be in Python's source, nor be sent as text."""
    found = _IMPOSSIBLE.search(source)
    if found is None:
        return None
    line = source.count("\n", 0, found.start()) + 1
    column = found.start() - source.rfind("\n", 0, found.start())
    return f"U+{ord(found[0]):04X} at line {line}, column {column}"


def _tool_call(found: Found) -> str | None:
    """How a tool call in another framework's form begins, or None."""
    for line in found.prose.split("\n"):
        if (form := TOOL_CALL.match(line)) is not None:
            return form["form"][:40]
    for text in [block.source for block in found.blocks] + [found.prose]:
        if (name := _json_call(text)) is not None:
            return name
    return None


def _json_call(text: str) -> str | None:
    start = text.find("{")
    if start < 0 or len(text) > LOOK:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return _called(value)


def _called(value: Any) -> str | None:
    """The tool's name, if the JSON object has the shape of a call in one of the usual frameworks."""
    if isinstance(value.get("function"), dict):
        value = value["function"]
    name = next((value[key] for key in ("name", "tool", "tool_name", "function", "action") if key in value), None)
    given = ("arguments", "parameters", "args", "input", "tool_input", "action_input", "kwargs")
    if isinstance(name, str) and any(key in value for key in given):
        return name[:40]
    return None
