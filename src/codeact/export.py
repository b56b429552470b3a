"""Runs as lines for training: what a model was told and said, and what came of each step.

from codeact.export import trajectories
for line in trajectories(SqliteStore("runs.db"), successful=True):
    print(json.dumps(line))
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, Literal, TypeAlias, get_args

from .core.errors import UsageError, nearest
from .core.events import Entry, RunStarted, TaskGiven
from .core.messages import Image, Message, Text
from .core.story import Ending, Turn, story, turns
from .core.trajectory import Said, trajectory
from .guest import values
from .journals import codec
from .ports import Listing, Store

Format: TypeAlias = Literal["chat", "codeactinstruct", "events"]
FORMATS: tuple[str, ...] = get_args(Format)

_PAGE = 100  # runs that are listed at once
_PICTURE = "(picture)"


def trajectories(
    store: Store,
    runs: Iterable[str] | None = None,
    *,
    format: str = "chat",
    successful: bool = False,
    pictures: bool = True,
    reasoning: bool = False,
    below: bool = False,
) -> Iterator[dict[str, Any]]:
    """A line for each run that has a reply, or, of the format `events`, for each of its entries.

    runs: their ids; all that no other run called, oldest first. successful: only those whose tasks all ended with an
    answer. pictures: whether they stand there as data URLs, or left out. reasoning: whether a model's thinking stands
    beside its replies. below: the runs of agents that these called, too. What does not act by code has no line of
    the format `codeactinstruct`.

    Raises UsageError for a format or a run that there is not, StorageError for a journal that is damaged.
    """
    if format not in FORMATS:
        raise UsageError(f"no format {format!r}: {', '.join(FORMATS)}{nearest(format, FORMATS)}")
    for run in every_run(store) if runs is None else runs:
        for one in _family(store, run) if below else (run,):
            entries = list(store.entries(one))
            if not successful or _success(entries):
                yield from _lines(entries, format, pictures, reasoning)


def every_run(store: Store) -> Iterator[str]:
    """All runs of a store that no other run called, oldest first. Raises UsageError where it does not list them."""
    if not isinstance(store, Listing):
        raise UsageError("this journal keeps no list of its runs: name them")
    found: list[Any] = []
    while more := store.runs(limit=_PAGE, before=found[-1].started if found else None):
        found += more
    return (one.run for one in reversed(found))


def _family(store: Store, run: str) -> Iterator[str]:
    yield run
    if isinstance(store, Listing):
        for one in reversed(store.runs(limit=1000, parent=run)):
            yield from _family(store, one.run)


def _success(entries: Sequence[Entry]) -> bool:
    """Whether all that was asked was answered."""
    tasks = sum(isinstance(entry.event, TaskGiven) for entry in entries)
    ends = [item for item in story(entries) if isinstance(item, Ending)]
    return 0 < tasks <= len(ends) and all(end.ended.stop_reason == "final_answer" for end in ends)


def _lines(entries: Sequence[Entry], format: str, pictures: bool, reasoning: bool) -> Iterator[dict[str, Any]]:
    started = next((entry.event for entry in entries if isinstance(entry.event, RunStarted)), None)
    if format == "events":
        yield from map(codec.whole, entries)
        return
    if started is None or (format == "codeactinstruct" and started.action != "code"):
        return
    said = trajectory((entry.event for entry in entries), "execute" if format == "codeactinstruct" else None)
    if not said:
        return
    if format == "codeactinstruct":
        yield {"id": entries[0].run, "conversations": _conversation(said), **_facts(entries, started, said)}
        return
    messages = [_message(one, pictures, reasoning) for one in said]
    tools = [{"type": "function", "function": asdict(one)} for one in started.declarations]
    places = {one.step: place for place, one in enumerate(said) if one.step is not None}
    facts = _facts(entries, started, said)
    for step in facts["steps"]:
        step["message"] = places.get(step["step"])
    yield {"run": entries[0].run, "messages": messages, "tools": tools, **facts}


def _facts(entries: Sequence[Entry], started: RunStarted, said: Sequence[Said]) -> dict[str, Any]:
    """What came of it, which no form of messages tells."""
    items = story(entries)
    ends = [item for item in items if isinstance(item, Ending)]
    last = ends[-1] if ends else None
    success = _success(entries)
    return {
        "task": next(entry.event.task for entry in entries if isinstance(entry.event, TaskGiven)),
        "model": started.model,
        "parent": entries[0].parent,
        "stop_reason": last.ended.stop_reason if last else None,
        "success": success,
        "reward": 1.0 if success else 0.0,
        "answer": _whole(last.ended.output) if last and last.ended.stop_reason == "final_answer" else None,
        "usage": asdict(last.usage) if last else None,
        "cost": last.cost if last else None,
        "seconds": round(sum(end.seconds for end in ends), 3),
        "steps": [_step(turn) for turn in turns(items)],
    }


def _step(turn: Turn) -> dict[str, Any]:
    outcome = turn.step.outcome if turn.step is not None else None
    failed = sum(one.returned is not None and one.returned.failure is not None for one in turn.calls)
    error = outcome.error.type if outcome is not None and outcome.error is not None else None
    return {
        "step": turn.number,
        "ok": outcome.ok if outcome is not None else None,
        "error": error,
        "ended": outcome.ended if outcome is not None else None,
        "seconds": None if turn.running is None else round(turn.running, 6),
        "model_seconds": None if turn.thinking is None else round(turn.thinking, 6),
        "input_tokens": turn.usage.input_tokens,
        "output_tokens": turn.usage.output_tokens,
        "tool_calls": len(turn.calls),
        "failed_calls": failed,
    }


def _message(said: Said, pictures: bool, reasoning: bool) -> dict[str, Any]:
    """A message as chat servers write it."""
    message = said.message
    line: dict[str, Any] = {"role": message.role, "content": _content(message, pictures)}
    if reasoning and said.reasoning:
        line["reasoning_content"] = said.reasoning
    if message.tool_calls:
        line["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        line["tool_call_id"] = message.answers
    return line


def _content(message: Message, pictures: bool) -> str | list[dict[str, Any]]:
    if not pictures or not any(isinstance(part, Image) for part in message.parts):
        return _text(message)
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, Text)
        else {"type": "image_url", "image_url": {"url": _data_url(part)}}
        for part in message.parts
    ]


def _text(message: Message) -> str:
    return "".join(part.text if isinstance(part, Text) else f"\n{_PICTURE}" for part in message.parts)


def _data_url(image: Image) -> str:
    return f"data:{image.media_type};base64,{base64.b64encode(image.data).decode()}"


def _conversation(said: Sequence[Said]) -> list[dict[str, str]]:
    """Turns that alternate: code between `<execute>` tags, what came of it behind `Observation:`."""
    spoken = [
        (
            "user" if one.message.role == "tool" else one.message.role,
            f"Observation:\n{_text(one.message)}" if one.what == "observation" else _text(one.message),
        )
        for one in said
    ]
    return [
        {"role": role, "content": "\n\n".join(text for _, text in those).strip()}
        for role, those in groupby(spoken, key=lambda one: one[0])
    ]


def _whole(value: Any) -> Any:
    """A value by the table of values, in one tree."""
    packed = values.encode(value)
    return codec.with_blobs(packed.tree, packed.blobs) if packed.blobs else packed.tree
