"""What a protocol has to say for itself: how a question is written, and how an answer is read. Pure, all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Prompt, Reply

from .draft import Draft


class Answer(Protocol):
    """An answer as it grows, event by event."""

    draft: Draft
    done: bool  # the server said that nothing more will come

    @property
    def ended(self) -> bool:
        """Whether the server said that the reply is whole; only what does not matter to it may still come."""

    def take(self, payload: str) -> Iterator[TextDelta | ReasoningDelta]:
        """Take one event. Raises ModelProtocolError, or Refused when the server reports an error in its place."""

    def reply(self) -> Reply:
        """All that came, as one value. Raises ModelProtocolError when no answer was in it."""


class Dialect(Protocol):
    """A protocol of questions and answers."""

    path: str  # behind the address of the server
    names: str  # where it lists its models
    lines: bool  # an answer is a JSON object a line, not server-sent events

    def headers(self, key: str | None) -> Mapping[str, str]:
        """What goes with every request."""

    def question(self, model: str, prompt: Prompt, *, pictures: bool) -> dict[str, Any]:
        """What cannot be left out."""

    def options(self, parameters: Mapping[str, Any], stop: tuple[str, ...]) -> dict[str, Any]:
        """What can: the parameters of the user, and what ends a reply."""

    def answer(self, model: str, stop: tuple[str, ...]) -> Answer:
        """One that has heard nothing yet."""
