"""Server-sent events from bytes, however they were cut: no I/O, and never more than one line and one event in memory.

The SDK's own decoder bounds neither a line nor an event, and does not say whether a stream reached its end.
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from codeact.core.errors import ModelProtocolError

_END = re.compile(rb"[\r\n]")


class Events:
    """Feed it bytes, get the data of each complete event; comments and other fields are passed over."""

    def __init__(self, limit: int) -> None:
        self._limit = limit  # bytes of one event
        self._line = bytearray()
        self._data: list[str] = []
        self._size = 0
        self._after_cr = False
        self._first = True
        self.begun = False  # whether any data has come, be it half a line

    def feed(self, data: bytes) -> Iterator[str]:
        """The events that these bytes complete. Raises ModelProtocolError when an event is over the limit."""
        start = 0
        for match in _END.finditer(data):
            end = match.start()
            if self._after_cr and end == start and data[end] == 0x0A:
                self._after_cr = False  # the second half of a CRLF that was cut in two
                start = end + 1
                continue
            self._after_cr = data[end] == 0x0D
            self._extend(data[start:end])
            start = end + 1
            event = self._take(self._whole_line())
            if event is not None:
                yield event
        if start < len(data):
            self._after_cr = False
            self._extend(data[start:])

    def rest(self) -> str:
        """What stands unfinished at the end of the stream: a last event whose blank line is missing, or a half one."""
        if self._line:
            self._take(self._whole_line())
        return "\n".join(self._data)

    def _extend(self, piece: bytes) -> None:
        self._line += piece
        self._size += len(piece)
        if self._size > self._limit:
            raise ModelProtocolError(f"the server sent an event of more than {self._limit >> 20} MiB")
        self.begun = self.begun or self._line.startswith(b"data")

    def _whole_line(self) -> str:
        line = self._line.decode("utf-8", "replace")
        self._line.clear()
        if self._first:
            line = line.removeprefix("\ufeff")
            self._first = False
        return line

    def _take(self, line: str) -> str | None:
        if line:
            name, _, value = line.partition(":")
            if name == "data":
                self._data.append(value.removeprefix(" "))
            elif not self._data:
                self._size = 0  # a comment keeps the line alive; it is no part of an event
            return None
        event = "\n".join(self._data) if self._data else None
        self._data = []
        self._size = 0
        return event


class Lines:
    """The same for a stream of one JSON object a line."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._line = bytearray()
        self.begun = False

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that these bytes complete. Raises ModelProtocolError when one is over the limit."""
        *whole, rest = data.split(b"\n")
        for piece in whole:
            yield from self._take(piece)
        self._extend(rest)

    def rest(self) -> str:
        """What stands unfinished at the end of the stream."""
        return self._line.decode("utf-8", "replace")

    def _take(self, piece: bytes) -> Iterator[str]:
        self._extend(piece)
        line = self.rest()
        self._line.clear()
        if line.strip():
            yield line

    def _extend(self, piece: bytes) -> None:
        self._line += piece
        if len(self._line) > self._limit:
            raise ModelProtocolError(f"the server sent a line of more than {self._limit >> 20} MiB")
        self.begun = self.begun or self._line.lstrip().startswith(b"{")
