"""What stands in the place of an interpreter where an agent does not act in code: it says so when it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, NoReturn

from ..core.errors import UsageError
from ..core.files import File, LeftOut
from .seen import Seen


class Absent:
    """No interpreter: nothing is started, nothing is collected, and what needs variables or files is refused."""

    stopped = None
    level = ""
    python = ""

    async def __aenter__(self) -> Absent:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def put(self, files: Sequence[File]) -> None:
        """Files need a place to be."""
        if files:
            _refuse("files=")

    async def collect(self) -> tuple[tuple[File, ...], tuple[LeftOut, ...]]:
        """There is nothing that code could have made."""
        return (), ()

    async def run(self, *_: Any, **__: Any) -> NoReturn:
        """A cell has nowhere to run."""
        _refuse("a cell")

    async def bind(self, bindings: dict[str, Any]) -> None:
        """Variables need a place to be."""
        _refuse("bind()")

    async def fetch(self, name: str) -> Any:
        """Variables need a place to be."""
        _refuse("fetch()")

    async def variables(self) -> list[Seen]:
        """There are none."""
        return []

    def kept_at_the_end(self) -> AbstractAsyncContextManager[None]:
        """There is nothing to keep."""
        return nullcontext()

    async def fork(self, *_: Any) -> Absent:
        """There is nothing to copy: a fork has the conversation."""
        return self


def _refuse(what: str) -> NoReturn:
    raise UsageError(f"{what} is for agents that act in code: this one has no interpreter")
