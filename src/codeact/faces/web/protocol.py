"""A connection: how long its request may take to come, how many there may be, and what a broken request is told."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import refusals
from .guard import HEADERS
from .refusals import Refused

CONNECTIONS = 256
_SECONDS = 10.0  # for the head of a request

_log = logging.getLogger("codeact.requests")  # what strangers send is nothing for the terminal
_log.addHandler(logging.NullHandler())


class Line(H11Protocol):
    """One connection, in HTTP/1.1 as h11 reads it, which takes no request twice and no header of two meanings."""

    _head: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _log
        self.access_log = False  # whatever is logged elsewhere: who errs may have put a token into the address

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._refuse(Refused(429, "connections", "too many connections are open"))
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """It said something."""
        before = self.scope
        super().data_received(data)
        if self.scope is not before:
            self._head_came()
        elif self._head is None and self.conn.their_state is h11.IDLE:  # another request has begun
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It left."""
        self._head_came()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What came is no request."""
        self._refuse(Refused(400, "no_request", "this is no request of HTTP/1.1"))

    def _await_head(self) -> None:
        self._head = self.loop.call_later(_SECONDS, self._too_slow)

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _too_slow(self) -> None:
        self._refuse(Refused(408, "slow", "the request took too long to come"))

    def _refuse(self, refusal: Refused) -> None:
        """Answer, and leave."""
        self._head_came()
        if self.transport.is_closing():
            return
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()  # in the middle of another answer
            return
        data = refusals.body(refusal)
        fields: dict[str, Any] = {
            **HEADERS,
            "content-type": "application/json",
            "content-length": str(len(data)),
            "connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.transport.write(f"HTTP/1.1 {refusal.status} \r\n{lines}\r\n".encode() + data)
        self.conn.send_failed()
        self.transport.close()
