"""How fast code runs in the sandbox: pure-Python kernels, and numpy where it is installed, against plain CPython.

Both sides run the same source under the same executable with the same hash seed, and take their own time, so that what
is compared is the execution alone. The goal is a geometric mean of at most 1.05.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pairs
from kernels import TIMES

from codeact import Interpreter

GOAL = 1.05
ANSWER = """
import sys
for line in sys.stdin:
    name, scale = line.split()
    print(take(name, float(scale)), flush=True)
"""


def main() -> None:
    options = pairs.arguments(__doc__, rounds=15, scale="the length of each kernel")
    source = (Path(__file__).parent / "kernels.py").read_text()
    numpy = importlib.util.find_spec("numpy") is not None
    names = [name for name in TIMES if name != "arrays" or numpy]
    with Interpreter(imports=["numpy"] if numpy else [], seconds=600, sandbox=options.sandbox) as python:
        outcome = python.run(f"{source}\nimport os\nseed = os.environ.get('PYTHONHASHSEED', 'random')")
        assert outcome.ok, outcome.error
        plain = pairs.Plain(f"{source}\n{ANSWER}", {**os.environ, "PYTHONHASHSEED": python.get("seed")})

        def ours(name: str) -> Callable[[], float]:
            def take() -> float:
                outcome = python.run(f"taken = take({name!r}, {options.scale})")
                assert outcome.ok, outcome.error
                return float(python.get("taken"))

            return take

        def theirs(name: str) -> Callable[[], float]:
            return lambda: float(plain.run(f"{name} {options.scale}"))

        taken = [pairs.compare(name, ours(name), theirs(name), options.rounds) for name in names]
        plain.close()
        pairs.show(f"Execution, sandbox {python.level}", taken, "plain CPython")
    mean = pairs.geometric_mean(taken)
    print(f"{'geometric mean':68}{mean:>10.3f}   (goal: at most {GOAL})")


if __name__ == "__main__":
    main()
