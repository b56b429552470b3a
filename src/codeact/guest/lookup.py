"""Names without a resolver: each name that may be reached gets an address that stands for it, in here alone.

Programs resolve first and connect by the address afterwards; there the address is turned back into the name, which the
host resolves. The addresses are of a network that the internet leaves free (RFC 2544).
"""

from __future__ import annotations

import _socket
import re
import socket
from collections.abc import Sequence
from typing import Any, TypeAlias

Answer: TypeAlias = tuple[Any, Any, int, str, tuple[Any, ...]]

_FIRST, _ROOM = 0xC6120000, 1 << 17  # 198.18.0.0/15
_RULE = re.compile(r"(?P<below>\*\.)?(?P<name>[^:]+)(?::\d+)?")
_SERVICES = {"http": 80, "https": 443}  # /etc/services is not in here
_ANYWHERE = {socket.AF_INET: ("0.0.0.0", "127.0.0.1"), socket.AF_INET6: ("::", "::1")}


class Names:
    """What the functions of `socket` that resolve do, for a run that may reach these hosts."""

    def __init__(self, rules: Sequence[str]) -> None:
        self.told = ", ".join(rules)
        self._rules = [found for found in map(_RULE.fullmatch, rules) if found]
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def name(self, address: str) -> str:
        """What an address stands for: a name, or itself."""
        return self._names.get(address, address)

    def address(self, name: str) -> str:
        """The address that stands for a name; raises PermissionError for one that may not be reached."""
        plain = name.lower().removesuffix(".")
        if not any(_means(rule, plain) for rule in self._rules):
            raise PermissionError(13, f"this run may reach {self.told} alone, not {ascii(name)[1:-1]}")
        if plain not in self._addresses:
            number = len(self._addresses) + 1
            if number + 1 >= _ROOM:
                raise socket.gaierror(socket.EAI_MEMORY, "too many names")
            address = _socket.inet_ntoa((_FIRST + number).to_bytes(4, "big"))
            self._addresses[plain], self._names[address] = address, plain
        return self._addresses[plain]

    def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Answer]:
        """See `socket.getaddrinfo`."""
        number = _port(port)
        kind = socket.SocketKind(type or socket.SOCK_STREAM)
        proto = proto or (socket.IPPROTO_TCP if kind == socket.SOCK_STREAM else 0)
        text = _text(host)
        if text is None:
            which = 0 if flags & socket.AI_PASSIVE else 1
            kinds = [family] if family else [socket.AF_INET]
            found = [(one, _ANYWHERE[socket.AddressFamily(one)][which]) for one in kinds]
        elif numeric := literal(text):
            found = [numeric]
        elif flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        else:
            found = [(socket.AF_INET, self.address(text))]
        answers: list[Answer] = []
        for one, address in found:
            if family in (0, one):
                place = (address, number) if one == socket.AF_INET else (address, number, 0, 0)
                name = (text or "") if flags & socket.AI_CANONNAME else ""
                answers.append((socket.AddressFamily(one), kind, proto, name, place))
        if not answers:
            raise socket.gaierror(socket.EAI_FAMILY, "Address family for hostname not supported")
        return answers

    def gethostbyname(self, host: Any) -> str:
        """See `socket.gethostbyname`."""
        return str(self.getaddrinfo(host, 0, socket.AF_INET)[0][4][0])

    def gethostbyname_ex(self, host: Any) -> tuple[str, list[str], list[str]]:
        """See `socket.gethostbyname_ex`."""
        return _text(host) or "", [], [self.gethostbyname(host)]

    def gethostbyaddr(self, host: Any) -> tuple[str, list[str], list[str]]:
        """See `socket.gethostbyaddr`."""
        address = self.gethostbyname(host)
        if self.name(address) == address:
            raise socket.herror(1, "Unknown host")
        return self.name(address), [], [address]

    def getnameinfo(self, place: tuple[Any, ...], flags: int) -> tuple[str, str]:
        """See `socket.getnameinfo`."""
        host, port = place[0], place[1]
        return host if flags & socket.NI_NUMERICHOST else self.name(host), str(port)


def literal(text: str) -> tuple[int, str] | None:
    """Family and address of a text that is an address."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return family, _socket.inet_ntop(family, _socket.inet_pton(family, text))
        except (OSError, ValueError):
            continue
    return None


def _means(rule: re.Match[str], name: str) -> bool:
    return name.endswith(f".{rule['name']}") if rule["below"] else name == rule["name"]


def _text(host: Any) -> str | None:
    """The name that is asked for, as `socket` takes it."""
    if host is None or (isinstance(host, str) and host.isascii()):
        return host or None
    if isinstance(host, str):
        return host.encode("idna").decode()
    if isinstance(host, (bytes, bytearray)):
        return bytes(host).decode("ascii")
    raise TypeError("getaddrinfo() argument 1 must be string or None")


def _port(port: Any) -> int:
    if port is None:
        return 0
    if isinstance(port, (bytes, bytearray)):
        port = bytes(port).decode("ascii")
    if isinstance(port, str) and not port.isdigit():
        if port not in _SERVICES:
            raise socket.gaierror(socket.EAI_SERVICE, "Servname not supported for ai_socktype")
        return _SERVICES[port]
    if not isinstance(port, (int, str)):
        raise OSError("Int or String expected")
    return int(port or 0)
