"""Pyodide in Deno: CPython in WebAssembly, in a process that may read one folder. A call goes out by JSPI."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lines import echo, serve

MAIN = Path(__file__).with_suffix(".mjs")
MODULES = Path(sys.argv[1])


class Session:
    """A Deno of its own."""

    def __init__(self) -> None:
        deno = Path(sys.executable).with_name("deno")
        flags = ["--quiet", "--no-prompt", "--no-remote", "--cached-only", f"--allow-read={MODULES}"]
        command = [deno, "run", *flags, MAIN, f"{MODULES}/pyodide/"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, source: str) -> None:
        self._send(source)
        while (word := self._hear())[0] == "call":
            self._send(echo(word[1]))
        if word[0] == "failed":
            raise RuntimeError(word[1])

    def close(self) -> None:
        self._process.kill()
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
