"""A run as plain text, for files and pipes: whole lines, no control codes, nothing drawn twice."""

from __future__ import annotations

from typing import TextIO

from codeact.core.untrusted import escaped


class Page:
    """A `Canvas` of lines. The model's words stand at the margin, everything about a cell behind a sign."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._partial = ""
        self._outputs = {"stdout": "", "stderr": ""}

    def task(self, text: str, variables: list[str]) -> None:
        self._lines("Task: ", text)
        for line in variables:
            self._lines("  with ", line)

    def turn(self, title: str) -> None:
        self._write(f"\n== {title.capitalize()}\n")

    def thought(self, text: str) -> None:
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            self._sentence(line)

    def end_thought(self) -> None:
        self._sentence(self._partial)
        self._partial = ""

    def draft(self, text: str) -> None:
        """Nothing: a page shows code when it runs."""

    def code(self, cell: int, source: str) -> None:
        self._lines("  | ", source)

    def output(self, stream: str, text: str) -> None:
        *lines, self._outputs[stream] = (self._outputs[stream] + text).split("\n")
        for line in lines:
            self._lines(_SIGNS[stream], line)

    def end_output(self) -> None:
        for stream, rest in self._outputs.items():
            if rest:
                self._lines(_SIGNS[stream], rest)
            self._outputs[stream] = ""

    def call(self, call: str, result: str, *, failed: bool) -> None:
        self._lines("  @ ", f"{call} {'failed:' if failed else '->'} {result}")

    def value(self, text: str) -> None:
        self._lines("  = ", text)

    def failure(self, text: str) -> None:
        self._lines("  ! ", text)

    def note(self, text: str) -> None:
        self._lines("  (", f"{text})")

    def trouble(self, text: str) -> None:
        self._lines("!! ", text)

    def below(self, who: str, text: str) -> None:
        self._lines(f"      {escaped(who)} ", text)

    def answer(self, text: str) -> None:
        self._write("\n== Answer\n")
        self._lines("", text)

    def closing(self, text: str) -> None:
        self._write(f"\n== {escaped(text)}\n")

    def wait(self, for_what: str | None) -> None:
        """Nothing: a page is read afterwards."""

    def close(self) -> None:
        self.end_thought()
        self.end_output()
        self._file.flush()

    def _sentence(self, line: str) -> None:
        if line.strip():
            self._lines("", line)

    def _lines(self, sign: str, text: str) -> None:
        for line in text.rstrip("\n").split("\n"):
            self._write(f"{sign}{escaped(line)}".rstrip() + "\n")

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


_SIGNS = {"stdout": "  > ", "stderr": "  2> "}
