"""Who follows a session, beside those that only hear of it: they stand around its questions and tool calls as well.

A listener that is `Following` makes a follower for each session, and for those that its tool calls begin. What goes
wrong in one is said in the log, and is no part of the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Generic, TypeVar

from .core.messages import Prompt, Reply
from .ports import Follower, Following, Listener

T = TypeVar("T")

EVERYWHERE: list[Following] = []  # they follow all sessions of this process
_log = logging.getLogger("codeact")


class Followers:
    """Those of one session. `above` are the listeners that follow the session whose tool call began it."""

    def __init__(
        self,
        run: str = "",
        agent: str = "",
        model: str = "",
        clean: Callable[[str], str] = str,
        above: Iterable[Following] = (),
    ) -> None:
        self._session = (run, agent, model, clean)
        self._of: list[tuple[Following, Follower]] = []
        self.joined([*EVERYWHERE, *above] if run else [])

    @property
    def whose(self) -> list[Following]:
        """The listeners that they are of."""
        return [whose for whose, _ in self._of]

    def joined(self, listeners: Iterable[Listener | Following]) -> list[Listener]:
        """These listeners, in the place of each that is `Following` its follower, which is one from now on."""
        return [made for one in listeners if (made := self._joined(one)) is not None]

    def _joined(self, one: Listener | Following) -> Listener | None:
        if not isinstance(one, Following):
            return one
        if any(whose is one for whose in self.whose):
            return None
        try:
            follower = one.follow(*self._session)
        except Exception:
            _log.exception("a session is not followed")
            return None
        self._of.append((one, follower))
        return follower

    def left(self, listeners: Iterable[Listener | Following]) -> list[Listener]:
        """The same for those that hear no more; their followers are closed."""
        left: list[Listener] = []
        for one in listeners:
            if not isinstance(one, Following):
                left.append(one)
                continue
            for pair in [pair for pair in self._of if pair[0] is one]:
                self._of.remove(pair)
                _safely(pair[1].close)
                left.append(pair[1])
        return left

    @property
    def listeners(self) -> list[Listener]:
        """They hear what happens, too."""
        return [follower for _, follower in self._of]

    def asking(self, model: str, prompt: Prompt, beside: bool) -> AbstractContextManager[Callable[[Reply], None]]:
        """Around a question to a model."""
        if not self._of:
            return nullcontext(_nothing)
        return _Asking(lambda one: one.asking(model, prompt, beside), [one for _, one in self._of])

    def answering(self, key: str) -> AbstractContextManager[object]:
        """Around what answers a tool call."""
        if not self._of:
            return nullcontext()
        return _All(lambda one: one.answering(key), [one for _, one in self._of])

    def close(self) -> None:
        """The session has ended."""
        for _, follower in self._of:
            _safely(follower.close)


class _All(Generic[T]):
    """The contexts of all of them, none of which can end what is done inside."""

    def __init__(self, around: Callable[[Follower], AbstractContextManager[T]], followers: Sequence[Follower]) -> None:
        self._around = around
        self._followers = followers
        self._entered: list[AbstractContextManager[T]] = []
        self.given: list[T] = []

    def __enter__(self) -> object:
        for one in self._followers:
            _safely(self._enter, one)
        return self

    def _enter(self, one: Follower) -> None:
        context = self._around(one)
        self.given.append(context.__enter__())
        self._entered.append(context)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for context in reversed(self._entered):
            _safely(context.__exit__, kind, error, at)


class _Asking(_All[Callable[[Reply], None]]):
    """The same around a question: what it gives tells all of them the reply."""

    def __enter__(self) -> Callable[[Reply], None]:
        super().__enter__()
        return self._told

    def _told(self, reply: Reply) -> None:
        for tell in self.given:
            _safely(tell, reply)


def _safely(do: Callable[..., object], *args: object) -> None:
    try:
        do(*args)
    except Exception:
        _log.exception("what follows a session failed")


def _nothing(reply: Reply) -> None:
    return None
