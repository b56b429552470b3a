"""What a test of yours needs: a model that says what you wrote, a sandbox with nobody behind it, and contract checks
that any adapter of a seam can be held to.

    model = ScriptedModel("```python\\nfinal_answer(6 * 7)\\n```")
    assert CodeAgent(model=model).run("What is six times seven?").output == 42
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from .cells import Cells
from .core.errors import CodeactError, ModelError, ModelUnavailable, RunLocked, SnapshotRefused
from .core.events import Delta, Event, Noted, TaskGiven, TextDelta, ToolReturned
from .core.execution import Death, Limits, Policy, Returned, Stream
from .core.messages import Prompt, Reply, say
from .guest import wire
from .ports import Emit, Glancing, Journal, Model, Pipe, Resources, Sandbox, Sink, Store, Tool


class ScriptedModel:
    """Says what it was given, in order: the n-th reply answers the n-th question of a conversation.

    It counts in the prompt and holds no counter, so that one object serves many runs at once. A reply may be a str, a
    Reply, or a ModelError, which is raised. `prompts` keeps what was asked.
    """

    def __init__(self, *replies: str | Reply | ModelError, name: str = "scripted") -> None:
        for reply in replies:
            if not isinstance(reply, str | Reply | ModelError):
                raise TypeError(
                    f"a reply is a str, a Reply or a ModelError, not {type(reply).__name__}: give each alone"
                )
        self._replies = replies
        self.name = name
        self.prompts: list[Prompt] = []

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The reply whose turn it is."""
        self.prompts.append(prompt)
        place = prompt.answered
        if place >= len(self._replies):
            raise ModelUnavailable(f"the script has {len(self._replies)} replies and was asked for one more")
        reply = self._replies[place]
        if isinstance(reply, ModelError):
            raise reply
        if isinstance(reply, str):
            reply = Reply(reply)
        await asyncio.sleep(0)
        emit(TextDelta(reply.text))
        return reply


class FakeGuest:
    """The guest's side of a FakeSandbox: hear the host's words, say any words or bytes, print."""

    def __init__(self, sink: Sink) -> None:
        self._decoder = wire.Decoder(wire.HOST_WORDS)
        self._heard: asyncio.Queue[wire.Word] = asyncio.Queue()
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        self._sink = sink
        self.interrupts = 0
        self.interrupted = asyncio.Event()
        self.deaf = False  # from here on it takes nothing, and the host cannot send

    async def hear(self) -> wire.Word:
        """The host's next word."""
        return await self._heard.get()

    def say(self, *words: wire.Word) -> None:
        """Words for the host."""
        for word in words:
            self._said.put_nowait(wire.encode(word))

    def say_bytes(self, data: bytes) -> None:
        """Bytes for the host, of whatever kind."""
        self._said.put_nowait(data)

    def print(self, data: bytes, stream: Stream = "stdout") -> None:
        """Bytes on a stream."""
        self._sink(stream, data)


Play: TypeAlias = Callable[[FakeGuest], Awaitable[None]]


class FakeSandbox:
    """A wall with nobody behind it: `play(guest)` is the guest; when it returns, the guest has left.

    With `copies` its guests can be copied: `copies(copy)` plays the copy. See `wire.Copy` for what both have to say.
    """

    name = "fake"

    def __init__(self, play: Play, copies: Play | None = None) -> None:
        self._play = play
        self._copies = copies

    def launch(self, policy: Policy, sink: Sink) -> AbstractAsyncContextManager[Pipe]:
        """Start the play."""
        return self._launch(self._play, sink)

    @asynccontextmanager
    async def _launch(self, play: Play, sink: Sink) -> AsyncIterator[Pipe]:
        guest = FakeGuest(sink)
        task = asyncio.ensure_future(play(guest))
        task.add_done_callback(lambda _: guest._said.put_nowait(b""))
        copies = self._copies
        try:
            if copies is None:
                yield _FakePipe(guest, task)
            else:
                yield _CopyingFakePipe(guest, task, lambda sink: self._launch(copies, sink))
        finally:
            task.cancel()


class _FakePipe:
    level = "fake"

    def __init__(self, guest: FakeGuest, task: asyncio.Future[None]) -> None:
        self._guest = guest
        self._task = task

    async def send(self, data: bytes) -> None:
        if self._guest.deaf:
            await asyncio.wait([self._task])
            raise BrokenPipeError
        for word in self._guest._decoder.feed(data):
            self._guest._heard.put_nowait(word)

    async def receive(self) -> bytes:
        return await self._guest._said.get()

    def interrupt(self) -> None:
        self._guest.interrupts += 1
        self._guest.interrupted.set()

    def kill(self) -> None:
        self._task.cancel()

    async def ended(self) -> Death:
        await asyncio.wait([self._task])
        return Death("killed") if self._task.cancelled() else Death("exit", "exit status 0")

    def usage(self) -> Resources | None:
        return None


class _CopyingFakePipe(_FakePipe):
    obstacle = ""

    def __init__(
        self,
        guest: FakeGuest,
        task: asyncio.Future[None],
        copy: Callable[[Sink], AbstractAsyncContextManager[Pipe]],
    ) -> None:
        super().__init__(guest, task)
        self.copy = copy


async def check_model(model: Model, prompt: Prompt | None = None) -> Reply:
    """Hold a model to the contract of its seam: a whole reply, whose text is what it emitted; gives the reply."""
    heard: list[Delta] = []
    reply = await model.ask(prompt or Prompt((say("system", "Be brief."), say("user", "Say hello."))), heard.append)
    assert isinstance(reply, Reply), f"ask() gave {type(reply).__name__}, not Reply"
    assert isinstance(model.name, str) and model.name, "a model has a name"
    streamed = "".join(delta.text for delta in heard if isinstance(delta, TextDelta))
    assert streamed in ("", reply.text), "what was streamed is not the reply"
    assert reply.usage.requests >= 1, "a reply cost at least one request"
    return reply


async def check_sandbox(sandbox: Sandbox) -> None:
    """Hold a sandbox to the contract of its seam, with the real guest in it."""
    limits = Limits(seconds=5)
    async with Cells(sandbox, Policy(limits)) as cells:
        first = await cells.run("x = 6\nprint('out')\nimport sys; print('err', file=sys.stderr)\nx * 7")
        assert first.ok and first.value == "42", f"a cell gives its value: {first}"
        assert (first.stdout, first.stderr) == ("out\n", "err\n"), f"all that was printed before the end: {first}"
        assert (await cells.run("x + 1")).value == "7", "variables live from cell to cell"
        flood = await cells.run("for _ in range(300): print('y' * 9999)")
        assert flood.ok and len(flood.stdout) <= limits.output + 100, "a flood of output is cut, and is no end"
        await cells.set(rows=[1, {"a": (2, b"\0")}])
        assert await cells.get("rows") == [1, {"a": (2, b"\0")}], "values cross both ways"
        ended = await cells.run("import os; os._exit(3)")
        assert ended.ended == "exit" and not ended.kept, f"a guest that leaves is noticed: {ended}"
        assert (await cells.run("'x' in globals()")).value == "False", "the next cell gets a fresh guest"
        await cells.run("x = 1")
        asyncio.get_running_loop().call_later(0.3, cells.interrupt)
        stopped = await cells.run("while True: pass")
        assert stopped.error is not None and stopped.kept, f"an interrupt stops the cell: {stopped}"
        assert (await cells.run("x")).value == "1", "and keeps the variables"
    async with Cells(sandbox, Policy(limits, snapshots=True)) as cells:
        await _check_copies(cells)


async def _check_copies(cells: Cells) -> None:
    await cells.run("x = [1]; open('kept', 'w').write('before')")
    question = "x, open('kept').read()"
    try:
        point = await cells.snapshot()
    except SnapshotRefused as refused:
        assert len(str(refused)) > 20, "a wall that cannot copy says what to do"
        assert (await cells.run(question)).ok, "and goes on"
        return
    await cells.run("x.append(2); open('kept', 'w').write('after')")
    other = await cells.fork()
    await cells.restore(point)
    assert (await cells.run(question)).value == "([1], 'before')", "a snapshot holds variables and files"
    assert (await other.run(question)).value == "([1, 2], 'after')", "a fork goes on from the same state, beside it"
    await cells.run("import os; os._exit(1)")
    await cells.restore(point)
    assert (await cells.run(question)).value == "([1], 'before')", "a snapshot outlives what it is of"
    await point.drop()
    await other.close()
    assert (await cells.run("x")).value == "[1]", "and what was restored outlives the snapshot"


async def check_tool(tool: Tool, *args: Any, **kwargs: Any) -> Any:
    """Hold a tool to the contract of its seam with these arguments; gives its value."""
    assert tool.spec.name.isidentifier(), f"{tool.spec.name!r} is no identifier"
    names = [parameter.name for parameter in tool.spec.parameters]
    assert len(names) == len(set(names)), "a parameter twice"
    bound = tool.bind(args, kwargs)
    assert isinstance(bound, dict), "bind() gives arguments by name"
    try:
        tool.bind((), {"no such parameter": 1})
    except (TypeError, ValueError):
        pass
    else:
        assert any(p.kind == "VAR_KEYWORD" for p in tool.spec.parameters), "an unknown argument must be refused"
    return await tool.call(bound)


async def check_journal(journal: Journal) -> None:
    """Hold an empty journal to the contract of its seam."""
    events: list[Event] = [TaskGiven("a task"), Noted("a note")]
    entries = [await journal.append(event) for event in events]
    assert [entry.seq for entry in entries] == [0, 1], "places count from 0, without a gap"
    assert [entry.event async for entry in journal.read()] == events, "what was kept is read back, in order"


async def check_store(store: Store) -> None:
    """Hold a store to the contract of its seam: what is kept is read back, a run has one writer, and who lost it is."""
    run, child = f"check-{secrets.token_hex(8)}", f"check-{secrets.token_hex(8)}"
    assert not store.has(run), "a run that was never begun is not there"
    journal = store.create(run)
    await check_journal(journal)
    large = ToolReturned("key", Returned({"rows": list(range(30_000)), "text": "y" * 100_000}))
    await journal.append(large)
    assert store.has(run), "a run that was begun is there"
    assert [entry.event for entry in store.entries(run)][-1] == large, "what is large is read back, while it is written"
    await _check_locked(store, run)
    journal.rest()
    again = store.open(run)
    try:
        await journal.append(Noted("from the grave"))
    except CodeactError:
        pass
    else:
        raise AssertionError("who rested, and was replaced, writes nothing more")
    assert (await again.append(Noted("alive"))).seq == 3, "who goes on begins where it ended"
    again.close()
    again.close()
    journal.close()
    store.create(child, run).close()
    assert [entry.parent for entry in store.entries(run)] == [None] * 4, "a run says who called it, and nobody did"
    assert store.has(child), "and a run that another one called is there"
    if isinstance(store, Glancing):
        told = store.glance(run)
        assert told is not None and told.run == run, "a run that is there is seen at a glance"
        assert store.glance(f"not {run}") is None, "and one that is not is none"
    store.open(run).close()


async def _check_locked(store: Store, run: str) -> None:
    try:
        store.open(run)
    except RunLocked as locked:
        assert locked.run == run and locked.pid == os.getpid(), f"who has it is named: {locked}"
    else:
        raise AssertionError("a run has one writer at a time")
