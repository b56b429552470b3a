"""The seams: one Protocol each, small enough to fake in ten lines. The adapters live in the folder of the same name."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from .core.approvals import Decision
from .core.events import Delta, Entry, Event, StopReason
from .core.execution import Death, Policy, Stream, ToolCall, ToolSpec
from .core.messages import Prompt, Reply
from .core.recovery import Recovery

Emit: TypeAlias = Callable[[Delta], None]
Sink: TypeAlias = Callable[[Stream, bytes], None]
Gate: TypeAlias = Callable[[ToolCall], Awaitable[Decision]]  # whether a call may run, asked before it does
Listener: TypeAlias = Callable[[Event | Delta], None]


class Model(Protocol):
    """Something that answers a prompt. Raises only `ModelError`; is safe to ask many times at once."""

    @property
    def name(self) -> str:
        """The specification that names it, such as `openai:gpt-5`; never holds a key."""

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The whole reply; what streams meanwhile goes to `emit`.

        What streamed and does not count is told by `Discarded` before anything is asked again. That may raise
        ReplyActedOn, which is let pass: what streamed does count then.
        """


@dataclass(frozen=True, slots=True)
class Resources:
    """What a guest uses at this moment: resident bytes, CPU seconds of all its threads, threads."""

    memory: int
    cpu: float
    threads: int


class Pipe(Protocol):
    """A started guest. The channel carries the wire's bytes; the output was promised to the sink given at launch.

    Before `receive` gives bytes, all output that the guest wrote before them has gone to the sink.
    """

    @property
    def level(self) -> str:
        """How strongly the guest is confined: `full`, `plain`, or the name of another wall."""

    async def send(self, data: bytes) -> None:
        """Hand over all of `data`; waits while the guest does not read. Raises OSError when the guest is gone."""

    async def receive(self) -> bytes:
        """The next bytes, at most 1 MiB; empty when the channel has ended."""

    def interrupt(self) -> None:
        """SIGINT to the guest's process."""

    def kill(self) -> None:
        """End the guest and all that it started, at once. Safe to repeat."""

    async def ended(self) -> Death:
        """Wait until the guest is gone and say how."""

    def usage(self) -> Resources | None:
        """What it uses now; None where that cannot be known or the guest is gone."""


@runtime_checkable
class Networked(Protocol):
    """A pipe whose guest can be given connections, by a line on which it asks for them."""

    @property
    def line(self) -> socket.socket | None:
        """The host's end of it, without blocking and with the pipe's life; None where the policy names no host."""


@runtime_checkable
class Immediate(Protocol):
    """What a pipe is, too, that can send without a wait."""

    def send_now(self, data: bytes) -> int:
        """Hand over as much as the guest has room for now, and say how much that was: nothing when it is gone."""


@runtime_checkable
class Copying(Protocol):
    """What a pipe is, too, whose guest can be copied as it stands."""

    @property
    def obstacle(self) -> str:
        """Why it cannot be done here after all, and what to do about it; empty where it can."""

    def copy(self, sink: Sink) -> AbstractAsyncContextManager[Pipe]:
        """The copy of a guest that has just said that it is poised, as a pipe of its own; leaving the context ends it.

        When it is entered the copy has said its first word. Raises OSError when there is no copy; should one live all
        the same, out of our hands, the guest has been ended with all of its copies.
        """


class Sandbox(Protocol):
    """A wall with room for guests. What `launch` gives may be left in another task than it was entered."""

    @property
    def name(self) -> str:
        """Its name, as on the command line."""

    def launch(self, policy: Policy, sink: Sink) -> AbstractAsyncContextManager[Pipe]:
        """A fresh guest under this policy; leaving the context ends it. Raises `SandboxUnavailable`.

        `sink(stream, data)` is called from any thread, never waits, and gets every byte the guest writes to its
        descriptors 1 and 2.
        """


@runtime_checkable
class Expecting(Protocol):
    """What a sandbox is, too, whose guests can have heard their first word before anybody asks for them."""

    def launch_told(self, policy: Policy, sink: Sink, first: bytes) -> AbstractAsyncContextManager[Pipe]:
        """The same as `launch`; when it is entered, `first` has been sent, perhaps long ago."""


class Follower(Protocol):
    """It hears one session, and stands around what the host does for it: what is done inside is a part of that."""

    def __call__(self, item: Event | Delta) -> None:
        """What happened, or passes."""

    def asking(self, model: str, prompt: Prompt, beside: bool) -> AbstractContextManager[Callable[[Reply], None]]:
        """Around a question to a model; what it gives is called with the reply. `beside` says that a tool asks."""

    def answering(self, key: str) -> AbstractContextManager[None]:
        """Around what answers a tool call, of which it has heard."""

    def close(self) -> None:
        """It hears no more. Safe to repeat."""


@runtime_checkable
class Following(Protocol):
    """What a listener is, too, that follows every session for itself, and those that tool calls of it begin."""

    def follow(self, run: str, agent: str, model: str, clean: Callable[[str], str]) -> Follower:
        """What follows this run, by an agent of this name, if it has one; `clean` takes secrets out of a text."""


class Tool(Protocol):
    """A function of the host that code may call by name."""

    @property
    def spec(self) -> ToolSpec:
        """Its name, signature and documentation."""

    @property
    def seconds(self) -> float | None:
        """Its own deadline; None takes the limit of the session."""

    @property
    def concurrency(self) -> int | None:
        """How many of its calls may run at once in a session; None is bounded by the session alone."""

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by parameter name, validated and converted; TypeError or ValueError names the parameter."""

    async def call(self, arguments: dict[str, Any]) -> Any:
        """The value for these bound arguments. Whatever it raises becomes an exception in the cell."""


@runtime_checkable
class Declaring(Protocol):
    """What a tool is, too, that can say its arguments as JSON Schema, for models that call tools natively."""

    @property
    def schema(self) -> dict[str, Any]:
        """The parameters, under their names in Python, as the schema of a JSON object."""


@runtime_checkable
class Recovering(Protocol):
    """What a tool is, too, that can say what is to become of a call that began and of which no end was recorded."""

    async def recover(self, call: ToolCall, store: Store) -> Recovery | None:
        """What became of it, or that it may be made again; None where only a person can know. `store` has its run."""


Knows: TypeAlias = Callable[[ToolCall], Awaitable[Recovery | None]]  # a person, or what stands for one


@runtime_checkable
class Delegating(Protocol):
    """What a tool is, too, whose calls are answered by runs of their own, with calls that may have been cut off."""

    async def settle(self, call: ToolCall, store: Store, knows: Knows | None) -> tuple[ToolCall, ...]:
        """Find out what became of those below this call, and keep it; what is left nobody knows. Then it may be called
        again, and goes on where it was. `store` has its run.
        """


@runtime_checkable
class Commanding(Protocol):
    """What a tool is, too, that is an agent with tools of its own."""

    @property
    def below(self) -> Collection[str]:
        """The names of all tools that are called in answering it."""


class Journal(Protocol):
    """What remembers a run: a journal is one run's."""

    async def append(self, event: Event) -> Entry:
        """Keep an event, as durable as it has to be, and say which place it got."""

    def read(self) -> AsyncIterator[Entry]:
        """All of its entries, in order."""

    def rest(self) -> None:
        """Let another write it until the next event of ours, which is refused if one has. Safe to repeat."""

    def close(self) -> None:
        """Write no more of it. Safe to repeat."""


@runtime_checkable
class Filling(Protocol):
    """What a journal is, too, that can begin with what happened in another run, whole or not at all."""

    async def fill(self, entries: Sequence[Entry], last: Event) -> None:
        """Keep the events of these entries as its first, each with its own time, and then `last`."""


class Store(Protocol):
    """Where journals are kept: each is of one run, and has one writer at a time."""

    def create(self, run: str, parent: str | None = None) -> Journal:
        """The journal of a new run, with us as its writer. It may wait for a disk. Raises StorageError."""

    def open(self, run: str) -> Journal:
        """The journal of a run that is there, to go on with it. Raises RunLocked, StorageError, UsageError."""

    def has(self, run: str) -> bool:
        """Whether there is such a run."""

    def entries(self, run: str) -> Iterator[Entry]:
        """What happened in a run, in order, whoever writes it. Raises StorageError, UsageError."""


class Told(Protocol):
    """A run in a list."""

    @property
    def run(self) -> str:
        """Its name."""

    @property
    def started(self) -> float:
        """When it began, in seconds since the epoch."""

    @property
    def stop_reason(self) -> StopReason | None:
        """How its last task ended; None where it has not."""


@runtime_checkable
class Listing(Protocol):
    """What a store is, too, that knows which runs there are."""

    def runs(self, limit: int = 50, before: float | None = None, parent: str | None = None) -> Sequence[Told]:
        """The last runs, newest first: those that no other run called, or those that `parent` did."""


@runtime_checkable
class Forgetting(Protocol):
    """What a store is, too, that can let go of a run for good."""

    def delete(self, run: str) -> Sequence[str]:
        """Keep nothing of it, nor of those that it called, and name them all. Raises RunLocked, UsageError."""


@runtime_checkable
class Glancing(Protocol):
    """What a store is, too, that can say how a run stands without reading it."""

    def glance(self, run: str) -> Told | None:
        """The run as it stands in a list; None where there is none."""
