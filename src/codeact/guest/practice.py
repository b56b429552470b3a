"""Cells before there is a session, in the process that sessions are forked from: what has been learnt there they know.

CPython learns: code that has run some times is rewritten for what it met, and what was looked up is remembered. Each
session would learn it for itself, slower at first, and copy the pages that are written to meanwhile. Nothing here
touches what a session has for itself: signals, seeds, streams, builtins, `sys.modules`.
"""

from __future__ import annotations

import os
import socket

from . import values
from .calls import Calls
from .cell import Cells
from .channel import Channel, Descriptor
from .display import show
from .failures import Failures
from .imports import Imports
from .interrupts import Interrupts
from .wire import GUEST_WORDS, Call, Decoder, Done, Returned, Run, encode

_ROUNDS = 40  # until CPython has learnt all that it will
_SOURCE = "import sys as _\n_ = [str(n) for n in range(3)]\n_"


def practise() -> None:
    """Hear, run and tell a cell, and a call of a tool, again and again."""
    host, guest = socket.socketpair()
    with host, guest:
        channel = Channel(Descriptor(guest.fileno()))
        interrupts = Interrupts(channel.arriving)
        channel.check = interrupts.check
        calls = Calls(channel, interrupts, Failures())
        cells = Cells(Imports(), interrupts, show)
        decoder = Decoder(GUEST_WORDS)
        for number in range(_ROUNDS):
            host.sendall(encode(Run(number, "nonce", os.urandom(16).hex(), values.encode(_SOURCE))))
            word = channel.next()
            interrupts.begin()
            calls.open(word.nonce)
            ran = cells.run(word.cell, values.decode(word.source))
            host.sendall(encode(Returned(number + 1, values.encode({"is": [1, 2.0, True]}), None)))
            calls.call("tool", ("one",), {"two": 2})
            calls.shut()
            shown = None if ran.value is None else values.encode(ran.value[0])
            channel.send(Done(word.nonce, "done", ran.complete, shown, shown, ran.error, None, [], None))
            interrupts.end()
            asked, done = decoder.feed(host.recv(1 << 16))
            if type(asked) is not Call or type(done) is not Done or ran.error is not None:
                raise RuntimeError(f"the practice of a cell failed: {ran.error}")
        cells.forget()
