"""Something awaitable, taken at once as far as it goes without a wait.

Many tools have their value then, and what only a wait needs is not made. What is entered around the rest of it must not
be a scope of anyio's: one that was entered inside before is still open, and such scopes do not cross.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """It has begun, in this task; where it `waits`, await it for its value, else that is there."""

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self.waits = True
        self.value: T
        self._steps: Any = awaitable.__await__()
        try:
            self._awaited = next(self._steps)
        except StopIteration as ended:
            self.value = ended.value
            self.waits = False

    def __await__(self) -> Generator[Any, None, T]:
        if self.waits:
            self.value = yield from self._rest()
            self.waits = False
        return self.value

    def _rest(self) -> Generator[Any, None, T]:
        """What it waits for first is given to the task now, and then all as if it had been awaited there."""
        steps, awaited = self._steps, self._awaited
        while True:
            try:
                yield awaited
                break
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:
                thrown = error
            try:
                awaited = steps.throw(thrown)
            except StopIteration as ended:
                return ended.value  # type: ignore[no-any-return]
            finally:
                del thrown  # with its traceback it would hold this frame
        return (yield from steps)  # type: ignore[no-any-return]
