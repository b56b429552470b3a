"""codeact, as everybody uses it: two sessions stand ready, and the wall is the strongest that this machine gives."""

from __future__ import annotations

from lines import echo, serve

from codeact import Interpreter


async def at_once(text: str) -> str:
    return echo(text)


at_once.__name__ = "echo"


class Session:
    """An interpreter and its end."""

    def __init__(self) -> None:
        self._interpreter = Interpreter(tools=[at_once], seconds=600)
        self._python = self._interpreter.__enter__()

    def run(self, source: str) -> None:
        outcome = self._python.run(source)
        if not outcome.ok:
            raise RuntimeError(outcome.error)

    def close(self) -> None:
        self._interpreter.__exit__(None, None, None)


if __name__ == "__main__":
    serve(Session)
