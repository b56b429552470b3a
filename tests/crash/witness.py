"""Who sees what a run really does: a ledger in a process of its own, which writes down every effect, the second too.

It does not know what a duplicate is. It can be ordered to have whoever asks killed at his n-th call, just before the
effect or between the effect and the reply.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

SILENT = "the ledger did not answer"
_PEER = struct.Struct("=iII")


def serve(line: socket.socket) -> None:
    """Answer one question for each connection, for ever."""
    asked: Counter[str] = Counter()
    while True:
        with line.accept()[0] as asks, suppress(OSError, ValueError):
            word = json.loads(asks.makefile().readline())
            place = Path(word.pop("place"))
            asked[str(place)] += 1
            order = _order(place)
            is_now = order.get("call") == asked[str(place)]
            if is_now and order["mode"] == "before":
                _strike(asks, place, order)
                continue
            _write(place / "ledger", word)
            if is_now and order["mode"] == "lost":
                _strike(asks, place, order)
                continue
            asks.sendall(b"noted\n")


async def note(ledger: str, place: Path, key: str, tool: str, arguments: dict[str, Any]) -> None:
    """Have an effect. Raises ConnectionError where nobody knows of one."""
    reader, writer = await asyncio.open_unix_connection(ledger)
    try:
        word = {"place": str(place), "key": key, "tool": tool, "arguments": arguments}
        writer.write(json.dumps(word).encode() + b"\n")
        if await reader.readline() != b"noted\n":
            raise ConnectionError(SILENT)
    finally:
        writer.close()


def effects(place: Path) -> list[tuple[str, str]]:
    """Key and tool of each effect, in order."""
    try:
        lines = (place / "ledger").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [(entry["key"], entry["tool"]) for entry in map(json.loads, lines)]


def below(pid: int) -> list[int]:
    """All processes that this one has started, and that those have, as far as they live."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):
                fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
                if fields[0] not in (b"Z", b"X"):
                    children.setdefault(int(fields[1]), []).append(int(name))
    found = list(children.get(pid, ()))
    for one in found:
        found += children.get(one, ())
    return found


def kill(victim: str, host: int, spared: Collection[int] | None = None) -> None:
    """By SIGKILL: the `host`, its `sandbox`, which is all that it has started, or `both`. One may be `stopped` instead.

    Where its launcher is lent by its parent, the sandbox is what is below that and is not `spared`.
    """
    if victim == "stopped":
        os.kill(host, signal.SIGSTOP)
        return
    if victim != "host":
        for pid in below(host) if spared is None else set(below(_parent(host))) - {*spared, host}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if victim != "sandbox":
        os.kill(host, signal.SIGKILL)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def _order(place: Path) -> dict[str, Any]:
    try:
        order: dict[str, Any] = json.loads((place / "order").read_text())
    except FileNotFoundError:
        return {}
    return order


def _strike(asks: socket.socket, place: Path, order: dict[str, Any]) -> None:
    with (place / "struck").open("a") as struck:
        struck.write(f"call {order['call']} {order['mode']}\n")
    pid, _, _ = _PEER.unpack(asks.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    kill(order["victim"], pid, order["spared"])


def _write(path: Path, entry: dict[str, Any]) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.write(file, json.dumps(entry).encode() + b"\n")
    os.fsync(file)
    os.close(file)
