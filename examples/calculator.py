"""The interpreter alone, as a calculator service: whatever anybody sends is run, and nothing of it reaches the host.

    python examples/calculator.py                         asks itself a few questions
    python examples/calculator.py 8765                    serves; try: curl -d 'sum(range(10))' http://127.0.0.1:8765

It prints:

    sum(range(10))                   -> 45
    math.factorial(20)               -> 2432902008176640000
    1 / 0                            -> ZeroDivisionError: division by zero
    import os                        -> ImportPolicyError: os cannot be imported here: allowed is math, statistics
    while True: pass                 -> CellTimeout: the cell ran longer than its 0.5 s and was interrupted
"""

from __future__ import annotations

import http.server
import sys

from codeact import Interpreter, only

QUESTIONS = ("sum(range(10))", "math.factorial(20)", "1 / 0", "import os", "while True: pass")


def answer(question: str) -> str:
    """What a fresh interpreter makes of it: nobody's variables meet anybody else's."""
    with Interpreter(imports=only("math", "statistics"), seconds=0.5, memory="256MiB") as python:
        python.run("import math, statistics")
        outcome = python.run(question)
    if outcome.error is not None:
        return f"{outcome.error.type}: {outcome.error.message}"
    return outcome.value or outcome.stdout.strip()


class Calculator(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = answer(self.rfile.read(int(self.headers["content-length"])).decode()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if sys.argv[1:]:
        http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Calculator).serve_forever()
    for question in QUESTIONS:
        print(f"{question:<32} -> {answer(question)}")
