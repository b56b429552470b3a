"""What passes meanwhile, and may be lost: the live kind of news."""

from __future__ import annotations

from dataclasses import dataclass

from .execution import Stream


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class OutputDelta:
    """More of a running cell's output."""

    stream: Stream
    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why nothing is heard just now, such as a retry in some seconds."""

    why: str


@dataclass(frozen=True, slots=True)
class Discarded:
    """What streamed of this reply does not count: it is asked again from the start."""

    why: str


def overhear(heard: list[str], delta: object) -> None:
    """Keep the words of a reply as they come; what is taken back is forgotten."""
    match delta:
        case TextDelta(text):
            heard.append(text)
        case Discarded():
            heard.clear()
        case _:
            pass
