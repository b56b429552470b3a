"""How a neighbour is asked: a line of JSON in, a line of JSON out. It takes its own time, so that pipes do not count.

Each file beside this one runs in an environment of its own and gives `serve` a way to make a session: something with
`run(source)`, in which the code may call `echo(text)`, a function of this side, and `close()`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))
from processes import below, pss

SETTLE = 1.0  # seconds until what stands ready besides stands again
BREATH, CALM = 0.06, 0.3  # seconds before a start and after it: what keeps sessions ready gets the time to


def echo(text: str) -> str:
    """The tool of every neighbour."""
    return text


def serve(make: Callable[[], Any]) -> None:
    """Answer until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what code prints is no answer
    warm = make()
    warm.run("x = 1")
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            answer = {"took": _take(ask, make, warm)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)
    warm.close()


def _take(ask: dict[str, Any], make: Callable[[], Any], warm: Any) -> float:
    if ask["what"] == "memory":
        return _memory(make, ask["times"])
    if ask["what"] == "start":
        time.sleep(BREATH)
        began = time.perf_counter()
        session = make()
        session.run("x = 1")
        took = time.perf_counter() - began
        session.close()
        time.sleep(CALM)
        return took
    if ask.get("before"):
        warm.run(ask["before"])
    began = time.perf_counter()
    warm.run(ask["source"])
    return (time.perf_counter() - began) / ask["times"]


def _memory(make: Callable[[], Any], count: int) -> float:
    """MiB that one more session takes, with so many at once."""
    sessions: list[Any] = []
    time.sleep(SETTLE)
    before = _all_of_us()
    try:
        for _ in range(count):
            sessions.append(make())
            sessions[-1].run("x = 1")
        time.sleep(SETTLE)
        return (_all_of_us() - before) / count
    finally:
        for session in sessions:
            session.close()


def _all_of_us() -> float:
    return sum(map(pss, {os.getpid(), *below(os.getpid())}))
