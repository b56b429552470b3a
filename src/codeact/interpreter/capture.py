"""What a cell printed, kept within bounds: the first and the last half of a limit, and a count of the rest."""

from __future__ import annotations

import codecs
import threading

from ..core.execution import Stream

_Decoder = codecs.getincrementaldecoder("utf-8")
_LIVE = 64 << 10  # bytes waiting to be shown; what passes faster than that is not shown live


class _Reel:
    """One stream: head, tail, and what has not been shown yet."""

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0
        self._live = bytearray()
        self._decoder: codecs.IncrementalDecoder | None = None  # most cells print nothing

    def write(self, data: bytes) -> None:
        self._total += len(data)
        if len(self._live) < _LIVE:
            self._live += data[: _LIVE - len(self._live)]
        room = self._half - len(self._head)
        self._head += data[:room] if room > 0 else b""
        self._tail += data[max(room, 0) :][-self._half :] if len(data) > room else b""
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    def fresh(self) -> str:
        if not self._live:
            return ""
        self._decoder = self._decoder or _Decoder("replace")
        text = self._decoder.decode(bytes(self._live))
        self._live.clear()
        return text

    def text(self) -> tuple[str, int]:
        if not self._total:
            return "", 0
        tail = self._tail[-self._half :]
        dropped = self._total - len(self._head) - len(tail)
        if not dropped:
            return (self._head + tail).decode("utf-8", "replace"), 0
        head, end = self._head.decode("utf-8", "ignore"), tail.decode("utf-8", "ignore")
        return f"{head}\n... {dropped:,} bytes left out ...\n{end}", dropped


class Capture:
    """The sink of a guest's output. Between cells there is nobody to read it: it is counted and dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._reels: dict[Stream, _Reel] = {}
        self.stray = 0

    def write(self, stream: Stream, data: bytes) -> None:
        """The sink: callable from any thread, never waits."""
        with self._lock:
            reel = self._reels.get(stream)
            if reel is None:
                self.stray += len(data)
            else:
                reel.write(data)

    def begin(self) -> None:
        """A cell starts: what comes from here on is its own."""
        with self._lock:
            self._reels = {"stdout": _Reel(self._limit), "stderr": _Reel(self._limit)}

    def fresh(self) -> list[tuple[Stream, str]]:
        """What came since the last look, for showing it live."""
        with self._lock:
            looks = [(stream, reel.fresh()) for stream, reel in self._reels.items()]
        return [(stream, text) for stream, text in looks if text]

    def end(self) -> tuple[str, str, int]:
        """The cell is over: its stdout, its stderr, and how many bytes of them were dropped."""
        with self._lock:
            reels, self._reels = self._reels, {}
        (stdout, lost), (stderr, more) = reels["stdout"].text(), reels["stderr"].text()
        return stdout, stderr, lost + more
