"""Plain CPython: a process behind pipes that runs what it is sent. What everything else is compared with."""

from __future__ import annotations

import json
import subprocess
import sys

from lines import echo, serve

SESSION = """
import json, sys
def say(word):
    print(json.dumps(word), flush=True)
def echo(text):
    say(['call', text])
    return json.loads(sys.stdin.readline())
scope = {'echo': echo}
for line in sys.stdin:
    exec(compile(json.loads(line), 'cell', 'exec'), scope)
    say(['done', None])
"""


class Session:
    """Nothing is confined here."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", "-c", SESSION]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, source: str) -> None:
        self._send(source)
        while (word := self._hear())[0] == "call":
            self._send(echo(word[1]))

    def close(self) -> None:
        self._process.communicate()

    def _send(self, value: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> list[str]:
        assert self._process.stdout
        heard: list[str] = json.loads(self._process.stdout.readline())
        return heard


if __name__ == "__main__":
    serve(Session)
