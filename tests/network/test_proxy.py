"""The host's end of a guest's line, with a guest that we play: what it may ask, what it gets, and what it may not."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from codeact.core import hosts
from codeact.core.events import Connected, Disconnected
from codeact.guest import line as words
from codeact.network import Proxy
from codeact.network.dial import addresses


@dataclass
class Guest:
    """The other end of the line, and what the host was told meanwhile."""

    line: socket.socket
    told: list[Connected | Disconnected] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    async def ask(self, host: str, port: int) -> tuple[str, str, socket.socket]:
        """What came of a question, and the tunnel."""
        end = words.Line(os.dup(self.line.fileno()), lambda: None)
        tunnel = await asyncio.to_thread(end.ask, host, port, None)
        assert await asyncio.to_thread(words.wait, tunnel, None, lambda: None)
        kind, text = words.read_outcome(tunnel)
        os.set_blocking(tunnel, True)
        return kind, text, socket.socket(fileno=tunnel)


@asynccontextmanager
async def proxy(*rules: str, most: int = 8, **parts: Any) -> AsyncIterator[Guest]:
    """A proxy for these hosts; afterwards it holds nothing."""
    descriptors = open_descriptors()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with ours, theirs:
        guest = Guest(theirs)

        async def tell(event: Connected | Disconnected) -> None:
            guest.told.append(event)

        parts = {"tell": tell, "broken": guest.broken.append, **parts}
        async with Proxy(ours, hosts.rules(rules), most, **parts):
            yield guest
    assert not [task for task in asyncio.all_tasks() if "codeact/network" in repr(task.get_coro())]
    await until(lambda: open_descriptors() <= descriptors)  # the servers' ends go when they hear of it


async def until(true: Callable[[], bool]) -> None:
    """Wait for it, for some seconds."""
    for _ in range(5000):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not become true")


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that says what it hears; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


def standing_for(*found: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that knows these addresses for every name."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return found

    return resolve


async def test_bytes_go_both_ways_and_every_connection_is_told() -> None:
    async with echo() as port, proxy(f"localhost:{port}") as guest:
        kind, _, tunnel = await guest.ask("localhost", port)
        assert kind == "connected"
        with tunnel:
            sent = await asyncio.to_thread(tunnel.send, b"hello")
            assert sent == 5 and await asyncio.to_thread(tunnel.recv, 100) == b"hello"
            tunnel.shutdown(socket.SHUT_WR)
            assert await asyncio.to_thread(tunnel.recv, 100) == b""
        await until(lambda: len(guest.told) == 2)
        assert guest.told == [Connected(1, "localhost", port, "127.0.0.1"), Disconnected(1, 5, 5)]


async def test_what_no_rule_names_is_refused_in_words_and_told() -> None:
    async with echo() as port, proxy("api.example.org:443") as guest:
        for host in ("localhost", "127.0.0.1", "::1", "a.evil\0.api.example.org", "evil.org#.example.org"):
            kind, text, tunnel = await guest.ask(host, port)
            tunnel.close()
            assert kind == "forbidden" and text.startswith("this run may reach api.example.org:443 alone, not ")
        assert [event.refused is not None for event in guest.told if isinstance(event, Connected)] == [True] * 5
        assert guest.told[3].host == "a.evil\\x00.api.example.org"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "fe80::1",
        "fe80::1%lo", "fc00::1", "ff02::1", "127.1", "2130706433", "0177.0.0.1", "nonsense", "",
    ],
)  # fmt: skip
async def test_nt_17_a_name_that_stands_for_an_address_of_ours_is_refused(address: str) -> None:
    async with echo() as port, proxy(f"inside.example.org:{port}", resolve=standing_for(address)) as guest:
        kind, text, tunnel = await guest.ask("inside.example.org", port)
        tunnel.close()
        assert kind == "forbidden" and "not an address of the internet" in text
        assert [type(event) for event in guest.told] == [Connected]


async def test_nt_17_a_name_is_resolved_once_and_what_was_looked_at_is_what_is_dialled() -> None:
    asked = 0

    async def changing(host: str, port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ["93.184.216.34", "10.0.0.1", "2606:4700::1111"] if asked == 1 else ["127.0.0.1"]

    assert await addresses("name.example.org", 443, changing) == ["93.184.216.34", "2606:4700::1111"]
    assert asked == 1
    assert await addresses("10.0.0.7", 443, changing) == ["10.0.0.7"]  # named by its address
    assert await addresses("localhost", 443, changing) == ("127.0.0.1", "::1")  # and by its own name
    assert asked == 1


async def test_what_the_network_answers_is_the_usual_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        async def unknown(host: str, port: int) -> Sequence[str]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async with proxy(f"127.0.0.1:{port}", "name.example.org", resolve=unknown) as guest:
            kind, text, tunnel = await guest.ask("127.0.0.1", port)
            tunnel.close()
            assert (kind, text) == ("refused", f"127.0.0.1:{port} refused the connection")
            kind, text, tunnel = await guest.ask("name.example.org", 443)
            tunnel.close()
            assert (kind, text) == ("unknown", "name.example.org: Name or service not known")


async def test_leaving_in_the_middle_of_everything_leaves_nothing() -> None:
    never: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()

    async def silent(host: str, port: int) -> Sequence[str]:
        return await never

    async with echo() as port, proxy(f"localhost:{port}", "name.example.org", resolve=silent) as guest:
        _, _, tunnel = await guest.ask("localhost", port)
        end = words.Line(os.dup(guest.line.fileno()), lambda: None)
        waiting = await asyncio.to_thread(end.ask, "name.example.org", 80, None)
        os.close(waiting)
        tunnel.close()
        del end


@pytest.mark.parametrize("message", [b"x", b"\0" * 5, b"\0" * 6, b"\0" * 6 + b"a" * 1025, b"\xff" * 5000])
async def test_what_is_no_question_ends_the_guest(message: bytes) -> None:
    async with proxy("localhost:80") as guest:
        guest.line.send(message)
        await until(lambda: bool(guest.broken))
        assert "a question of" in guest.broken[0]


async def test_nt_16_descriptors_that_a_guest_sends_are_never_received() -> None:
    async with echo() as port, proxy(f"localhost:{port}") as guest:
        with socket.socket() as own:
            before = open_descriptors()
            socket.send_fds(guest.line, [words.question(7, "evil.org", 80)], [own.fileno()] * 200)
            answer, passed, _, _ = await asyncio.to_thread(socket.recv_fds, guest.line, 100, 10)
            assert answer == words.answer(7, True) and len(passed) == 1
            os.close(passed[0])
            await until(lambda: open_descriptors() <= before)
        kind, _, tunnel = await guest.ask("localhost", port)
        tunnel.close()
        assert kind == "connected"


async def test_a_guest_that_asks_and_does_not_take_is_not_given_more() -> None:
    async with proxy("localhost:80", most=8) as guest:
        before = open_descriptors()
        guest.line.setblocking(False)
        try:
            for number in range(100_000):
                guest.line.send(words.question(number, "evil.org", 80))
        except BlockingIOError:
            pass
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert open_descriptors() - before <= 2 * 8 + 2
        assert len(guest.told) < 100


async def test_what_cannot_be_recorded_does_not_happen() -> None:
    async def full(event: object) -> None:
        raise OSError("the disk is full")

    async with echo() as port, proxy(f"localhost:{port}", tell=full) as guest:
        kind, text, tunnel = await guest.ask("localhost", port)
        tunnel.close()
        assert (kind, text) == ("unreachable", "the connection was given up")


async def test_no_more_are_open_at_once_than_may_be_and_one_that_ends_makes_room() -> None:
    async with echo() as port, proxy(f"localhost:{port}", most=2) as guest:
        tunnels = [(await guest.ask("localhost", port))[2] for _ in range(2)]
        kind, text, third = await guest.ask("localhost", port)
        third.close()
        assert (kind, text) == ("busy", "2 connections are open, as many as may be: close some")
        waiting = asyncio.ensure_future(guest.ask("localhost", port))
        tunnels.pop().close()
        kind, _, fourth = await waiting
        assert kind == "connected"
        for tunnel in (*tunnels, fourth):
            tunnel.close()


async def test_a_slow_reader_slows_its_server_down() -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while True:
                writer.write(bytes(1 << 16))
                sent += 1 << 16
                await writer.drain()
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with proxy(f"localhost:{port}") as guest:
            _, _, tunnel = await guest.ask("localhost", port)
            last = -1
            while sent != last:
                last = sent
                for _ in range(50):
                    await asyncio.sleep(0.001)
            assert 0 < sent < 32 << 20
            tunnel.close()
