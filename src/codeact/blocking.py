"""The same, for code without `await`: thin forms of a session and of an interpreter over the portal's loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import portal
from .cells import Cells
from .core.approvals import Decision
from .core.events import Delta, Event
from .core.execution import Outcome
from .files import Files, Given
from .interpreter import Snapshot
from .session.result import RunResult
from .session.rewinding import Mark
from .session.session import Session


class BlockingSession:
    """A `Session` whose methods wait."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(
        self,
        task: str,
        *,
        additional_args: Mapping[str, Any] | None = None,
        files: Iterable[Given] = (),
        max_steps: int | None = None,
    ) -> RunResult:
        """Work on a task to its end."""

        async def run() -> RunResult:
            return await self._session.run(task, additional_args=additional_args, files=files, max_steps=max_steps)

        return portal.call(run)

    def stream(
        self,
        task: str,
        *,
        additional_args: Mapping[str, Any] | None = None,
        files: Iterable[Given] = (),
        max_steps: int | None = None,
    ) -> Iterator[Event | Delta]:
        """The same, event by event."""
        items = self._session.stream(task, additional_args=additional_args, files=files, max_steps=max_steps)
        try:
            while True:
                try:
                    yield portal.call(items.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            portal.call(items.aclose)

    def bind(self, **bindings: Any) -> None:
        """Bind variables in the interpreter."""
        portal.call(lambda: self._session.bind(**bindings))

    def fetch(self, name: str) -> Any:
        """The value of a variable in the interpreter."""
        return portal.call(self._session.fetch, name)

    def fork(self, n: int = 1) -> tuple[BlockingSession, ...]:
        """`n` sessions that go on from here, each with the conversation, the variables and the files."""
        return tuple(map(BlockingSession, portal.call(self._session.fork, n)))

    def mark(self) -> Mark:
        """Where it stands, to go `back` to."""
        return portal.call(self._session.mark)

    def back(self, mark: Mark) -> BlockingSession:
        """A session that goes on from there, with the conversation, variables and files of then; this one is left."""
        return BlockingSession(portal.call(self._session.back, mark))

    def variables(self) -> list[tuple[str, str, str]]:
        """Name, kind and a glimpse of each variable."""
        return portal.call(self._session.variables)

    def say(self, text: str) -> None:
        """Tell the model something at any moment, also from another thread while a task runs."""
        portal.call(self._session.say, text)

    def decide(self, key: str, decision: Decision) -> None:
        """Answer the question of an `ApprovalAsked`. Raises UsageError when nothing waits for it."""

        async def decide() -> None:
            self._session.decide(key, decision)

        portal.call(decide)

    def close(self) -> None:
        """End it. One that was entered ends by itself, and its forks with it."""
        portal.call(self._session.close)

    @property
    def result(self) -> RunResult:
        """Where the last task stands, or how it ended."""
        return self._session.result

    @property
    def events(self) -> tuple[Event, ...]:
        """All that happened so far."""
        return self._session.events

    @property
    def level(self) -> str:
        """How strongly the interpreter is confined."""
        return self._session.level

    @property
    def run_id(self) -> str:
        """The session's id."""
        return self._session.run_id


class BlockingSnapshot:
    """A `Snapshot` whose methods wait."""

    def __init__(self, point: Snapshot) -> None:
        self._point = point

    def drop(self) -> None:
        """Forget it, and free what it holds. Safe to repeat."""
        portal.call(self._point.drop)


class BlockingCells:
    """`Cells` whose methods wait."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def __enter__(self) -> BlockingCells:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def run(self, source: str) -> Outcome:
        """Run a cell."""
        return portal.call(self._cells.run, source)

    def set(self, **bindings: Any) -> None:
        """Bind variables, by the table of values."""
        portal.call(lambda: self._cells.set(**bindings))

    def get(self, name: str) -> Any:
        """The value of a variable, by the table of values."""
        return portal.call(self._cells.get, name)

    def snapshot(self) -> BlockingSnapshot:
        """The interpreter as it stands, scratch files included, to be restored later. Raises SnapshotRefused."""
        return BlockingSnapshot(portal.call(self._cells.snapshot))

    def restore(self, point: BlockingSnapshot) -> None:
        """Be again as at this snapshot, which stays. Raises SnapshotRefused."""
        portal.call(self._cells.restore, point._point)

    def fork(self) -> BlockingCells:
        """Another interpreter that goes on from the same state, beside this one. Raises SnapshotRefused."""
        return BlockingCells(portal.call(self._cells.fork))

    def close(self) -> None:
        """End the interpreter."""
        portal.call(self._cells.close)

    def put(self, name: str, data: bytes | str) -> None:
        """Put a file into `inputs/`, in place of one of its name; text is written as UTF-8."""
        portal.call(self._cells.put, name, data)

    def outputs(self) -> Files:
        """The files that lie under `outputs/` now, and what of them was left out."""
        return portal.call(self._cells.outputs)

    def interrupt(self) -> None:
        """Stop the cell that runs now in another thread, keeping the variables if it comes out within the grace."""

        async def interrupt() -> None:
            self._cells.interrupt()

        portal.call(interrupt)

    @property
    def version(self) -> str:
        """The Python version inside."""
        return self._cells.version

    @property
    def level(self) -> str:
        """How strongly the interpreter is confined."""
        return self._cells.level
