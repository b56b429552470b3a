"""pydantic-monty: a Python of its own in Rust, in a worker process; a part of the language, no packages."""

from __future__ import annotations

from lines import echo, serve
from pydantic_monty import Monty  # type: ignore[import-not-found]

POOL = Monty(min_processes=2, max_processes=16).__enter__()


class Session:
    """A session of a worker from the pool."""

    def __init__(self) -> None:
        self._session = POOL.checkout()
        self._session.__enter__()

    def run(self, source: str) -> None:
        self._session.feed_run(source, external_lookup={"echo": echo})

    def close(self) -> None:
        self._session.__exit__(None, None, None)


if __name__ == "__main__":
    serve(Session)
