"""What happened in a session, and the one door for news: the journal first, then the state, then the listeners."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable

import anyio

from .core.events import Delta, Event, RunStarted, SandboxReady
from .core.lives import worked
from .core.state import State, after
from .crashpoints import crashpoint
from .following import Followers
from .ports import Journal, Listener
from .secrets import Vault
from .uninterrupted import OneByOne

_log = logging.getLogger("codeact")


class History:
    """The events of one session, and where they leave it. Nothing is known of it that did not pass `record`."""

    def __init__(
        self,
        journal: Journal,
        listeners: Iterable[Listener],
        vault: Vault | None = None,
        followers: Followers | None = None,
    ) -> None:
        self.vault = vault or Vault()
        self.followers = followers or Followers()
        self.listeners = [*self.followers.listeners, *self.followers.joined(listeners)]
        self.journal = journal
        self._events: list[Event] = []
        self._state = State()
        self._moments: list[float] = []  # when they happened
        self._recording = OneByOne()
        self._broken: set[tuple[int, type]] = set()

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def events(self) -> list[Event]:
        """All that happened so far; to be read only."""
        return self._events

    @property
    def moments(self) -> list[float]:
        """When they happened; to be read only."""
        return self._moments

    @property
    def worked(self) -> float:
        """The seconds that the last task has been worked on."""
        return worked(self._events, self._moments)

    async def record(self, event: Event) -> None:
        """Journal, state, listeners: in this order, whole, and one event at a time. No secret gets past here."""
        event = self.vault.told(event)
        with anyio.CancelScope(shield=True):
            async with self._recording:
                crashpoint("record")
                entry = await self.journal.append(event)
                crashpoint("recorded")
                self._moments.append(entry.at)
                self._events.append(event)
                self._state = after(self._state, event)
                self.tell(event)
                crashpoint("told")

    async def load(self) -> None:
        """Begin with what the journal holds; nobody is told again."""
        async for entry in self.journal.read():
            self._events.append(entry.event)
            self._moments.append(entry.at)
            self._state = after(self._state, entry.event)

    async def copy(self, other: History, upto: int | None = None) -> None:
        """Begin with all that happened in another session, or its first events; nobody is told again."""
        events = other._events[:upto]
        for event in events:
            self._moments.append((await self.journal.append(event)).at)
        self._events = list(events)
        self._state = other._state if upto is None else functools.reduce(after, events, State())

    def join(self, listeners: Iterable[Listener]) -> None:
        """Let these hear, too, from here on; what the session is made of they are told at once."""
        made = [event for event in self._events[:3] if isinstance(event, RunStarted | SandboxReady)]
        for listener in self.followers.joined(listeners):
            self.listeners.append(listener)
            for event in made:
                self._tell(listener, event)

    def leave(self, listeners: Iterable[Listener]) -> None:
        """These hear no more."""
        for listener in self.followers.left(listeners):
            if listener in self.listeners:
                self.listeners.remove(listener)

    def tell(self, item: Event | Delta) -> None:
        """Tell the listeners what passes, or what was recorded."""
        item = self.vault.told(item)
        for listener in tuple(self.listeners):
            self._tell(listener, item)

    def _tell(self, listener: Listener, item: Event | Delta) -> None:
        try:
            listener(item)
        except Exception as error:  # somebody's screen must not end somebody's run
            if (id(listener), type(error)) not in self._broken:
                self._broken.add((id(listener), type(error)))
                _log.exception("a listener failed at %s; this is said once", type(item).__name__)
