"""A model whose replies are kept in a file that `replay:` reads back."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codeact.core.deltas import overhear
from codeact.core.errors import ModelError, UsageError
from codeact.core.events import Delta
from codeact.core.messages import NativeCall, Prompt, Reply, Usage
from codeact.ports import Emit, Model

_KINDS = ("ModelUnavailable", "ModelRejected", "ContextOverflow", "ModelProtocolError")
_BEFORE = {"error": "this question was asked before the recording began"}


class Recording:
    """`model`; what it says is written to `path`, the n-th line for the n-th question of a conversation.

    A file is for one conversation: a question that is asked again, after an error or on another branch, takes the place
    of that line and of all behind it. Those that tools put to the model stand between, in the order of their asking.
    Prompts are not written, and `secrets` are struck out wherever they stand. The file is new and readable by its owner
    alone; one that is there already is not touched. Raises UsageError.
    """

    def __init__(self, model: Model, path: str | Path, secrets: Sequence[str] = ()) -> None:
        self._model = model
        self._path = Path(path)
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)
        self._lines: list[bytes] = []
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            raise UsageError(f"{self._path} is there already: name another file for the recording") from None
        except OSError as error:
            raise UsageError(f"cannot write the recording to {self._path}: {error.strerror}") from None

    @property
    def name(self) -> str:
        """The name of the model that is asked."""
        return self._model.name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The model's reply, or its error; both are written before they are given."""
        place = prompt.answered
        heard: list[str] = []

        def watch(delta: Delta) -> None:
            emit(delta)
            overhear(heard, delta)

        try:
            reply = await self._model.ask(prompt, watch)
        except ModelError as error:
            kind = next((kind for kind in _KINDS if kind == type(error).__name__), "ModelError")
            failure = {"text": "".join(heard), "error": {"type": kind, "message": str(error)}}
            self._write(place, failure, alone=prompt.beside)
            raise
        self._write(place, _line(reply), alone=prompt.beside)
        return reply

    def _write(self, place: int, line: dict[str, Any], *, alone: bool) -> None:
        """Put a line in its place; `alone` leaves those behind it, which were asked later and answered sooner."""
        start = sum(map(len, self._lines[:place]))
        behind = self._lines[place + 1 :] if alone else []
        missing = place - len(self._lines)
        del self._lines[place:]
        written = [_encoded(_struck(one, self._secrets)) for one in [*[_BEFORE] * missing, line]]
        self._lines += [*written, *behind]
        with open(self._path, "r+b") as file:
            file.truncate(start)
            file.seek(0, os.SEEK_END)
            file.write(b"".join([*written, *behind]))


def _line(reply: Reply) -> dict[str, Any]:
    line: dict[str, Any] = {"text": reply.text}
    if reply.reasoning:
        line["reasoning"] = reply.reasoning
    if reply.tool_calls:
        line["tool_calls"] = list(map(_call, reply.tool_calls))
    return {**line, "finish": reply.finish, "usage": _usage(reply.usage)}


def _call(call: NativeCall) -> dict[str, Any]:
    return {"id": call.id, "name": call.name, "arguments": call.arguments}


def _usage(usage: Usage) -> dict[str, int | None]:
    return {name: getattr(usage, name) for name in Usage.__dataclass_fields__}


def _struck(value: Any, secrets: Sequence[str]) -> Any:
    """The value, with three stars for each secret in its texts."""
    match value:
        case str():
            for secret in secrets:
                value = value.replace(secret, "***")
            return value
        case list():
            return [_struck(one, secrets) for one in value]
        case dict():
            return {key: _struck(one, secrets) for key, one in value.items()}
        case _:
            return value


def _encoded(line: dict[str, Any]) -> bytes:
    try:
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(line).encode() + b"\n"
