"""What a cell costs beside its code, against the same line compiled and run by a plain CPython over pipes."""

from __future__ import annotations

import pairs

from codeact import Interpreter

CELLS = (
    ("an empty cell", "pass", "pass"),
    ("an expression", "6 * 7", "answer = repr(6 * 7)"),
    ("a printed line", "print('here')", "answer = 'here'"),
    ("a hundred KB of output", "print('x' * 100_000)", "answer = 'x' * 100_000"),
)


def main() -> None:
    options = pairs.arguments(__doc__, rounds=200)
    with Interpreter(sandbox=options.sandbox) as python:
        plain = pairs.Plain()

        def run(cell: str) -> None:
            assert python.run(cell).ok

        taken = [
            pairs.compare(
                what,
                pairs.timed(lambda cell=cell: run(cell)),  # type: ignore[misc]
                pairs.timed(lambda line=line: plain.run(line)),  # type: ignore[misc]
                options.rounds,
            )
            for what, cell, line in CELLS
        ]
        plain.close()
        pairs.show(f"A cell, sandbox {python.level}", taken, "plain CPython, pipes")


if __name__ == "__main__":
    main()
