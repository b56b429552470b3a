"""What a tool call costs from inside a cell, against a bare round trip between two plain CPython processes.

The bare round trip sends the same text through pipes and back as JSON, with no thread, no check and no record: the
least that a call out of a process can cost.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pairs

from codeact import Interpreter

ECHO = "import json, sys\nfor line in sys.stdin: print(json.dumps(json.loads(line)), flush=True)"


async def at_once(text: str) -> str:
    return text


def in_a_thread(text: str) -> str:
    return text


def main() -> None:
    options = pairs.arguments(__doc__, rounds=15, scale="how many calls a round makes")
    taken = []
    with Interpreter(tools=[at_once, in_a_thread], seconds=600, sandbox=options.sandbox) as python:
        plain = pairs.Plain(ECHO)

        def ours(tool: str, size: int, calls: int) -> Callable[[], float]:
            cell = (
                f"import time\ntext = 'x' * {size}\nstart = time.perf_counter()\n"
                f"for _ in range({calls}): {tool}(text)\ntaken = (time.perf_counter() - start) / {calls}"
            )

            def take() -> float:
                outcome = python.run(cell)
                assert outcome.ok, outcome.error
                return float(python.get("taken"))

            return take

        def theirs(size: int, calls: int) -> Callable[[], float]:
            text = "x" * size

            def trip() -> None:
                for _ in range(calls):
                    assert json.loads(plain.run(json.dumps(["echo", text])))[1] == text

            return lambda: pairs.timed(trip)() / calls

        for what, tool, size, calls in (
            ("async tool, 10 bytes", "at_once", 10, 300),
            ("blocking tool, 10 bytes", "in_a_thread", 10, 300),
            ("async tool, 10 KB", "at_once", 10_000, 200),
            ("async tool, 1 MB", "at_once", 1_000_000, 5),
        ):
            times = max(1, round(calls * options.scale))
            taken.append(pairs.compare(what, ours(tool, size, times), theirs(size, times), options.rounds))
        plain.close()
        pairs.show(f"A tool call, sandbox {python.level}", taken, "bare round trip")


if __name__ == "__main__":
    main()
