"""smolagents' local executor: it walks the syntax tree in the host's own process, with no wall, as it says itself."""

from __future__ import annotations

from lines import echo, serve
from smolagents.local_python_executor import LocalPythonExecutor  # type: ignore[import-not-found]


class Session:
    """An executor with its state."""

    def __init__(self) -> None:
        self._executor = LocalPythonExecutor([], timeout_seconds=None)
        self._executor.send_tools({"echo": echo})

    def run(self, source: str) -> None:
        self._executor(source)

    def close(self) -> None:
        del self._executor


if __name__ == "__main__":
    serve(Session)
