"""How long a session takes to stand, against starting plain CPython: `python -I -S -c pass`.

`another session` is in a process that has had one; `first, whole program` starts a process, imports codeact and runs
one cell, so it pays for everything.
"""

from __future__ import annotations

import subprocess
import sys

import pairs

from codeact import Interpreter


def main() -> None:
    options = pairs.arguments(__doc__, rounds=15)
    whole = (
        "from codeact import Interpreter\n"
        f"with Interpreter(sandbox={options.sandbox!r}) as python:\n    assert python.run('pass').ok"
    )

    def another() -> None:
        with Interpreter(sandbox=options.sandbox) as python:
            assert python.run("pass").ok

    def program(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True)

    def plain() -> float:
        return pairs.timed(lambda: program("-I", "-S", "-c", "pass"))()

    taken = [
        pairs.compare("another session, one cell", pairs.timed(another), plain, options.rounds),
        pairs.compare("first, whole program", pairs.timed(lambda: program("-c", whole)), plain, options.rounds),
    ]
    pairs.show("Session start", taken, "python -I -S -c pass")


if __name__ == "__main__":
    main()
