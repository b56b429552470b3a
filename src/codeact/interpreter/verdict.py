"""What came of a cell: a pure reading of what the guest said, or of how it ended."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal, TypeAlias

from ..core.execution import MIB, Answer, CellError, Death, Ended, Gone, Limits, Outcome
from ..core.messages import Image
from ..guest import png, values, wire

_VALUE = 64 << 10  # characters that a guest's words are cut at, whatever it sends
_MESSAGE = 16 << 10
_STATEMENTS = wire.MAX_FRAME  # that no cell has more of

Reason: TypeAlias = Literal["timeout", "memory", "interrupt"]  # why the host stopped a cell


class Lost(Exception):
    """The guest is gone, or had to be ended."""

    def __init__(self, ended: Ended, why: str) -> None:
        super().__init__(why)
        self.ended = ended
        self.why = why


def check(done: wire.Done) -> None:
    """What the types of the fields do not say; raises ProtocolError."""
    if done.ended not in ("done", "final_answer", "interrupted"):
        raise wire.ProtocolError("Done.ended is none of its words")
    if (done.ended == "final_answer") != (done.answer is not None):
        raise wire.ProtocolError("Done.answer is not where a final answer is given, and there alone")
    if not 0 <= done.complete <= _STATEMENTS:
        raise wire.ProtocolError("Done.complete is not how many statements ran")
    if done.error is not None and (len(done.error) != 3 or not all(type(part) is str for part in done.error)):
        raise wire.ProtocolError("Done.error is not three strings")
    if not all(type(note) is str for note in done.notes) or len(done.notes) > 100:
        raise wire.ProtocolError("Done.notes are not a few strings")
    try:
        _images(done)
        texts = [values.decode(packed) for packed in (done.value, done.preview) if packed is not None]
        if done.answer is not None:
            with suppress(values.Unreadable):  # not the guest's fault: `heard` tells its code
                values.decode(done.answer)
    except (values.Refused, ValueError) as error:
        raise wire.ProtocolError(str(error)) from None
    if not all(type(text) is str for text in texts):
        raise wire.ProtocolError("Done.value or Done.preview is not a string")


def heard(done: wire.Done, reason: Reason | None, limits: Limits) -> Outcome:
    """The outcome of a cell whose end the guest told; `reason` is why the host had interrupted it, if it had."""
    error = CellError(*(_cut(part, _MESSAGE) for part in done.error)) if done.error else None
    answer = None
    if done.answer is not None and error is None:
        try:
            answer = Answer(values.decode(done.answer))
        except values.Unreadable as unread:
            words = f"final_answer(): the value cannot be read on the other side: {unread}"
            error = CellError("TypeError", _cut(words, _MESSAGE), _cut(f"TypeError: {words}", _MESSAGE))
    ended: Ended = "done" if answer is None else "final_answer"
    if answer is None and (done.ended == "interrupted" or reason is not None):
        ended, kind, message = _stopped(reason, "was interrupted", limits)
        error = CellError(kind, message, _retold(error, kind, message))
    return Outcome(
        ended,
        value=None if done.value is None else _cut(values.decode(done.value), _VALUE),
        preview=None if done.preview is None else _cut(values.decode(done.preview), _MESSAGE),
        error=error,
        answer=answer,
        complete=done.complete,
        notes=tuple(_cut(note, 1000) for note in done.notes),
        images=_images(done),
    )


def _images(done: wire.Done) -> tuple[Image, ...]:
    """The pictures of a cell, none of them decoded; raises ValueError."""
    if done.images is None:
        return ()
    tree = done.images.tree
    if type(tree) is not list or not 0 < len(tree) <= png.MOST:
        raise ValueError("Done.images are not a few pictures")
    if not all(type(item) is dict and item.keys() == {"$bytes"} for item in tree):
        raise ValueError("Done.images holds what is not bytes")
    return tuple(Image(data, size=png.size(data)) for data in values.decode(done.images))


def lost(lost: Lost, reason: Reason | None, limits: Limits) -> Outcome:
    """The outcome of a cell that its guest did not outlive; `reason` is why the host had killed it, if it had."""
    ended, kind, message = lost.ended, "SandboxDied", lost.why
    if reason is not None:
        ended, kind, message = _stopped(reason, "did not stop when interrupted, and was killed", limits)
        ended = "signal" if ended == "done" else ended
    elif ended == "memory":
        kind = "CellMemory"
    return Outcome(ended, error=CellError(kind, message, f"{kind}: {message}"), gone=Gone(message))


def _cut(text: str, room: int) -> str:
    """No more of a guest's words than this, and no half of a surrogate pair, which no file and no terminal takes."""
    text = text if len(text) <= room else f"{text[:room]} ... ({len(text) - room:,} more characters)"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _stopped(reason: Reason | None, how: str, limits: Limits) -> tuple[Ended, str, str]:
    match reason:
        case "timeout":
            return "timeout", "CellTimeout", f"the cell ran longer than its {limits.seconds:g} s and {how}"
        case "memory":
            limit = f"{limits.memory / MIB:,.0f} MiB"
            return "memory", "CellMemory", f"the cell used more than its {limit} of memory and {how}"
        case "interrupt" | None:
            return "done", "KeyboardInterrupt", f"the cell {how}"


def _retold(error: CellError | None, kind: str, message: str) -> str:
    """The guest's traceback, its last line put in our words: only the host knows why it interrupted."""
    lines = error.traceback.rstrip("\n").split("\n") if error is not None else [""]
    return "\n".join([*lines[:-1], f"{kind}: {message}"])


def obituary(death: Death) -> Lost:
    """How a guest ended that was not ended by a limit."""
    match death.kind:
        case "exit":
            return Lost("exit", f"the interpreter left by itself ({death.detail})")
        case "signal":
            return Lost("signal", f"the interpreter was ended by {death.detail}")
        case "memory":
            return Lost("memory", f"the interpreter ran out of memory ({death.detail})")
        case "killed":
            return Lost("signal", f"the interpreter was killed: {death.detail}".removesuffix(": "))
