"""Which hosts a run may reach: what the user wrote, as rules, and whether a host is among them.

    api.github.com          the ports 80 and 443 of this host
    *.example.org:8443      one port of every host below example.org, not of example.org itself
    127.0.0.1:5432          a host named by its address, which may then be any address
    [2001:db8::1]:443       an IPv6 address stands in brackets
    localhost:8000          this machine, literally: no resolver is asked

Names are compared only once they are plain: ASCII letters, digits, hyphens and underscores between dots, in lower case.
What code asks for is read by the same rules as what the user wrote, and whatever is not plain is no host at all.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .errors import UsageError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

WEB = (80, 443)  # the ports of a rule that names none
LOCALHOST = "localhost"
LOOPBACK = ("127.0.0.1", "::1")  # what that is, whatever a resolver would say

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")  # as the last label: an address in one of the spellings of old
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LONGEST = 253
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")  # outside: mapped, compatible, translated (NAT64), unique local, ...
_TUNNELS = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2002::/16")))  # Teredo and 6to4 hold an IPv4 address


@dataclass(frozen=True, slots=True)
class Rule:
    """A host and its ports; with `below`, every host below that name instead."""

    host: str
    ports: tuple[int, ...] = WEB
    below: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.ports == WEB else f":{self.ports[0]}"
        return f"{'*.' if self.below else ''}{host}{port}"

    def names(self, host: str) -> bool:
        """Whether this plain host is meant, at some port."""
        return host.endswith(f".{self.host}") and address_of(host) is None if self.below else host == self.host


def plain(text: str) -> str | None:
    """A host's name or address in the one spelling that is compared; None where it is neither."""
    if not isinstance(text, str) or not text.isascii() or len(text) > _LONGEST + 1:
        return None
    found = address_of(text)
    if found is not None:
        return str(found)
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _LONGEST or not all(map(_LABEL.fullmatch, labels)) or _NUMBER.fullmatch(labels[-1]):
        return None
    return name


def address_of(text: str) -> Address | None:
    """The address that this text is, in the spelling of today: no octal, no hexadecimal, no zone."""
    try:
        return None if "%" in text or "/" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def parse(text: str) -> Rule:
    """The rule that a user wrote; raises UsageError."""
    if not isinstance(text, str):
        raise TypeError(f"network: a host is a str such as 'api.github.com', not {type(text).__name__}")
    host, ports = _split(text)
    below = host.startswith("*.")
    name = plain(host.removeprefix("*."))
    if name is None:
        raise UsageError(f"network: {text[:300]!r} is not a host: {_mend(host)}")
    address = address_of(name)
    if below and (address is not None or "." not in name):
        raise UsageError(f"network: {text!r}: a star stands before a domain, as in *.example.org; name single hosts")
    if address is not None and (address.is_unspecified or address.is_multicast):
        raise UsageError(f"network: {text!r} is no address of one host")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise UsageError(f"network: {text!r}: write it as {address.ipv4_mapped}")
    return Rule(name, ports, below)


def _split(text: str) -> tuple[str, tuple[int, ...]]:
    """Host and ports. Brackets belong to IPv6 addresses, and these to brackets."""
    if "://" in text:
        raise UsageError(f"network: {text[:300]!r} is not a host: {_mend(text)}")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            raise UsageError(f"network: {text[:300]!r} is not a host: write an IPv6 address as [2001:db8::1]:443")
    elif text.count(":") > 1 and address_of(text) is not None:
        raise UsageError(f"network: {text!r}: write it in brackets, [{text}], with a port behind them if you like")
    else:
        host, colon, rest = text.partition(":")
        rest = colon + rest
    if not rest:
        return host, WEB
    port = rest[1:]
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise UsageError(f"network: {text[:300]!r}: behind the colon stands one port, from 1 to 65535")
    return host, (int(port),)


def _mend(host: str) -> str:
    if set("/@?#") & set(host):
        return "write the host alone, as in api.github.com or api.github.com:443"
    if "*" in host:
        return "a star stands before a domain, as in *.example.org, and nowhere else"
    if not host.isascii():
        try:
            return f"write it in ASCII, {host.encode('idna').decode()}"
        except UnicodeError:
            return "write it in ASCII"
    return "write a name or an address, as in api.github.com, *.example.org:443 or 127.0.0.1:8000"


def rules(texts: Sequence[str]) -> tuple[Rule, ...]:
    """The rules of a policy, each once, in order; raises UsageError."""
    if isinstance(texts, str):
        raise TypeError(f"network={texts!r}: write a list, network=[{texts!r}]")
    return tuple(dict.fromkeys(map(parse, texts)))


def allowed(given: Sequence[Rule], host: str, port: int) -> str | None:
    """The plain host, if these rules let it be reached at this port. No rules, no host."""
    name = plain(host)
    if name is None:
        return None
    return name if any(rule.names(name) and port in rule.ports for rule in given) else None


def told(given: Sequence[Rule]) -> str:
    """The rules in words: `api.github.com and *.example.org:443`."""
    *most, last = map(str, given) if given else ("nothing",)
    return f"{', '.join(most)} and {last}" if most else last


def refusal(given: Sequence[Rule], host: str, port: int) -> str:
    """Why this is not reached, for the author of the code."""
    name = plain(host)
    asked = ascii(host)[1:-1][:300] if name is None else name
    asked = f"[{asked}]" if name is not None and ":" in name else asked
    ports = sorted({port for rule in given if name is not None and rule.names(name) for port in rule.ports})
    if ports:
        return f"this run may reach {name} at port {' and '.join(map(str, ports))} alone, not at {port}"
    return f"this run may reach {told(given)} alone, not {asked}:{port}"


def is_public(address: Address) -> bool:
    """Whether a name may stand for this address: one of the internet's own, and not another one in disguise."""
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_V6 or any(address in tunnel for tunnel in _TUNNELS)
    ):
        return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_private
        or address.is_loopback
        or address.is_link_local
    )
