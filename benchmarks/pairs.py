"""Two ways to do a thing, timed in turn on the same machine in the same run: medians, ratios, and a table of them."""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Medians in seconds; `ratio` is that of the rounds' ratios, which a slow minute of the machine leaves alone."""

    what: str
    ours: float
    plain: float
    ratio: float


def timed(action: Callable[[], object]) -> Callable[[], float]:
    """The action as one that gives its wall time."""

    def measure() -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return measure


def compare(what: str, ours: Callable[[], float], plain: Callable[[], float], rounds: int) -> Pair:
    """Take both times in every round, the first by turns, after one round that does not count."""
    ours(), plain()
    taken: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            second = plain()
            taken.append((ours(), second))
        else:
            taken.append((ours(), plain()))
    return Pair(
        what,
        statistics.median(one for one, _ in taken),
        statistics.median(other for _, other in taken),
        statistics.median(one / other for one, other in taken),
    )


def geometric_mean(pairs: Iterable[Pair]) -> float:
    """Of the ratios: twice as slow and twice as fast make even."""
    return math.exp(statistics.fmean(math.log(pair.ratio) for pair in pairs))


def show(title: str, pairs: Iterable[Pair], plain: str) -> None:
    """A table on standard output."""
    print(f"\n{title}\n{'':32}{'codeact':>12}{plain:>24}{'ratio':>10}")
    for pair in pairs:
        print(f"{pair.what:32}{duration(pair.ours):>12}{duration(pair.plain):>24}{pair.ratio:>10.3g}")


def duration(seconds: float) -> str:
    """A time with three figures."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


_LINES = """
import sys
scope = {}
for line in sys.stdin:
    scope['answer'] = 'done'
    exec(compile(line, 'cell', 'exec'), scope)
    print(scope['answer'], flush=True)
"""


class Plain:
    """Plain CPython, the same executable, behind pipes: hears a line and says a line.

    By itself it runs each line and says what the line bound to `answer`; `program` is another that does otherwise.
    """

    def __init__(self, program: str = _LINES, environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, line: str) -> str:
        """One line in, one line out."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def arguments(
    doc: str | None, *, rounds: int, scale: str = "", more: Iterable[tuple[str, str]] = ()
) -> argparse.Namespace:
    """The options that every benchmark has: `--rounds`, `--scale` where the work can be made smaller; and its own, of
    which `--picture` takes a path."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often each pair is timed (default: {rounds})")
    if scale:
        parser.add_argument("--scale", type=float, default=1.0, help=f"{scale} (default: 1)")
    parser.add_argument("--sandbox", default="linux", help="the sandbox to measure (default: linux)")
    for name, text in more:
        parser.add_argument(name, help=text, **({} if name == "--picture" else {"action": "store_true"}))
    return parser.parse_args()
