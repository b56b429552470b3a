"""A cell as a person sees it: its output as it comes, its value as in a REPL, its traceback."""

from __future__ import annotations

import codecs
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TextIO

from codeact.cells import Cells
from codeact.core.execution import Outcome, Policy, Stream
from codeact.core.untrusted import escaped
from codeact.listeners.album import Album
from codeact.ports import Pipe, Sandbox, Sink

from . import streams

_decode = codecs.getincrementaldecoder("utf-8")


class Overheard:
    """A sandbox whose guests' output is let through as it comes: as it is to a file, escaped to a terminal."""

    def __init__(self, wall: Sandbox) -> None:
        self._wall = wall
        self.trouble: OSError | None = None  # the first one with showing it
        self._decoders = {"stdout": _decode("replace"), "stderr": _decode("replace")}

    @property
    def name(self) -> str:
        """The name of the wall."""
        return self._wall.name

    def launch(self, policy: Policy, sink: Sink) -> AbstractAsyncContextManager[Pipe]:
        """A guest of the wall."""

        def hear(stream: Stream, data: bytes) -> None:
            sink(stream, data)
            self._show(stream, data)

        return self._wall.launch(policy, hear)

    def _show(self, stream: Stream, data: bytes) -> None:
        file = sys.stdout if stream == "stdout" else sys.stderr
        try:
            if file.isatty():
                _write(file, self._decoders[stream].decode(data))
            else:
                file.buffer.write(data)
                file.buffer.flush()
        except BrokenPipeError:  # nothing that the cell still says is wanted
            streams.hang_up()
        except OSError as error:  # a full disk, say: the cell is not at fault, and what follows may be shown
            self.trouble = self.trouble or error


_album = Album()


def say(outcome: Outcome) -> None:
    """What there is to see of a cell beside its output: the value, the answer, the traceback, what is lost."""
    if outcome.value is not None:
        _write(sys.stdout, outcome.value + "\n")
    for line in _album.lines(outcome, keep=sys.stderr.isatty()):
        _write(sys.stderr, line + "\n")
    if outcome.answer is not None:
        answer = outcome.answer.value
        _write(sys.stdout, (answer if isinstance(answer, str) else repr(answer)) + "\n")
    if outcome.error is not None:
        _write(sys.stderr, outcome.error.traceback.rstrip("\n") + "\n")
        if outcome.error.type == "ImportPolicyError" and "allowed is" in outcome.error.message:
            _write(sys.stderr, "--imports NAME allows what is installed here; --with NAME fetches a package.\n")
    if not outcome.kept:
        _write(sys.stderr, "The interpreter is gone, with all its variables; the next cell gets a fresh one.\n")


async def keep(cells: Cells, folder: Path | None) -> None:
    """Save what lies under `outputs/` in this folder, if one was named, and say what was saved."""
    if folder is not None:
        made = await cells.outputs()
        for line in Album(folder).files(made, made.left_out, keep=True):
            _write(sys.stderr, line + "\n")


def _write(file: TextIO, text: str) -> None:
    file.write(escaped(text) if file.isatty() else text)
    file.flush()
