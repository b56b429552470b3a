"""From the name of a host to a connection: resolved once, every address looked at, and one of those dialled."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from ..core import hosts
from ..guest.line import Kind

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

_LOOKUPS = 8  # at once, of one guest
_SHORT = 3.0  # seconds for an address that is not the last: many names have one that leads nowhere from here


class Undialled(Exception):
    """There is no connection: what kind of failure it was, why in words, and which address was tried last."""

    def __init__(self, kind: Kind, why: str, address: str | None = None) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why
        self.address = address


class Resolver:
    """The machine's own resolver. A lookup cannot be broken off: each has a thread of its own, which nobody waits for.

    The loop's threads are those of the program that we are a part of: a guest must not be able to fill them.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_LOOKUPS)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name; raises OSError."""
        async with self._free:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[Sequence[str]] = loop.create_future()

            def look_up() -> None:
                found: Sequence[str] | OSError
                try:
                    found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
                except (OSError, UnicodeError) as error:
                    found = error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))
                try:
                    loop.call_soon_threadsafe(_settle, answer, found)
                except RuntimeError:
                    return  # the loop is closed: nobody waits any more

            threading.Thread(target=look_up, name="codeact-resolver", daemon=True).start()
            return await answer


def _settle(answer: asyncio.Future[Sequence[str]], found: Sequence[str] | OSError) -> None:
    if answer.done():
        return
    if isinstance(found, OSError):
        answer.set_exception(found)
    else:
        answer.set_result(found)


async def dial(
    host: str, port: int, resolve: Resolve, keep: Callable[[socket.socket], None]
) -> tuple[str, socket.socket]:
    """The address that answered, and a connection to it; raises Undialled. Each socket is given to `keep` when made."""
    last: Undialled | None = None
    found = await addresses(host, port, resolve)
    for address in found:
        patience = None if address == found[-1] else _SHORT
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        keep(connection)
        try:
            connection.setblocking(False)
            async with asyncio.timeout(patience):
                await asyncio.get_running_loop().sock_connect(connection, (address, port))
            return address, connection
        except OSError as error:
            connection.close()
            last = _told(error, host, port, address)
        except BaseException:
            connection.close()
            raise
    raise last or Undialled("unknown", f"{host} has no address")


async def addresses(host: str, port: int, resolve: Resolve) -> Sequence[str]:
    """Where a host may be dialled: at itself, if it is an address that the user wrote, else at public addresses."""
    if hosts.address_of(host) is not None:
        return [host]
    if host == hosts.LOCALHOST:
        return hosts.LOOPBACK
    try:
        found = list(dict.fromkeys(await resolve(host, port)))
    except OSError as error:
        reason = error.strerror or str(error) or "it cannot be resolved"
        raise Undialled("unknown", f"{host}: {reason}") from None
    public = [text for text in found if (address := hosts.address_of(text)) is not None and hosts.is_public(address)]
    if found and not public:
        why = f"{host} stands for {found[0]}, which is not an address of the internet; it may be reached by its address"
        raise Undialled("forbidden", f"{why}, if the user names that", found[0])
    return public


def _told(error: OSError, host: str, port: int, address: str) -> Undialled:
    place = f"{host}:{port}"
    match error:
        case ConnectionRefusedError():
            return Undialled("refused", f"{place} refused the connection", address)
        case TimeoutError():
            return Undialled("timeout", f"{place} did not answer", address)
        case _:
            reason = os.strerror(error.errno) if error.errno else str(error)
            return Undialled("unreachable", f"{place} cannot be reached: {reason}", address)
