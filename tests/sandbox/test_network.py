"""Code that may reach some hosts: the real kernel, real servers on loopback, and the programs that people write."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from canaries import Canaries
from containment_checks import CHECKS, Check
from sessions import FREE, LEVELS, Session, session_at
from test_containment import held
from web import Web, full, serving, silent

import codeact.session.session
from codeact.cells import Cells
from codeact.core.errors import UsageError
from codeact.core.events import Connected, Disconnected, RunStarted
from codeact.core.execution import ALL, Imports, Limits, Policy
from codeact.sandboxes.command import Command
from codeact.sandboxes.container import Container
from codeact.sandboxes.unconfined import Unconfined
from codeact.session.agent import Agent
from codeact.testing import ScriptedModel


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with serving() as web:
        yield web


@pytest.fixture(scope="module")
def secure() -> Iterator[Web]:
    with tempfile.TemporaryDirectory(prefix="trust-") as folder, serving(Path(folder)) as web:
        yield web


def reaching(*hosts: str, **limits: float) -> Policy:
    return replace(FREE, network=hosts, limits=replace(FREE.limits, **limits))  # type: ignore[arg-type]


async def failure(session: Session, code: str) -> tuple[str, str]:
    """The type and the message of what a cell raises."""
    error = (await session.run(code)).error
    assert error is not None
    return error.type, error.message


# -- what works ------------------------------------------------------------------------------------------------------


async def test_code_reaches_the_host_that_is_named_and_no_other(level: str, host: Canaries, web: Web) -> None:
    async with session_at(level, host, reaching(web.here)) as session:
        assert await session.value(f"import urllib.request as u\nu.urlopen('{web.url}/2').read()") == b"hellohello"
        kind, message = await failure(session, "u.urlopen('http://evil.example.org/')")
        assert kind == "URLError" and f"this run may reach {web.here} alone, not evil.example.org" in message
        kind, message = await failure(session, f"u.urlopen('http://127.0.0.1:{web.port}/')")
        assert f"this run may reach {web.here} alone, not 127.0.0.1:{web.port}" in message
        assert (await failure(session, "import socket; socket.create_connection(('localhost', 1))"))[0] == (
            "PermissionError"
        )


PROGRAMS = {
    "urllib": "import urllib.request\nurllib.request.urlopen('URL/2').read()",
    "http.client": """
        import http.client
        line = http.client.HTTPSConnection('localhost', PORT)
        line.request('GET', '/1'); first = line.getresponse().read()
        line.request('GET', '/1'); first + line.getresponse().read()""",
    "ssl": """
        import socket, ssl
        with ssl.create_default_context().wrap_socket(
            socket.create_connection(('localhost', PORT), 5), server_hostname='localhost') as line:
            line.sendall(b'GET /2 HTTP/1.0\\r\\n\\r\\n')
            answer = b''.join(iter(lambda: line.recv(1000), b''))
        answer.partition(b'\\r\\n\\r\\n')[2]""",
    "asyncio": """
        import asyncio, ssl
        reader, writer = await asyncio.open_connection('localhost', PORT, ssl=ssl.create_default_context())
        writer.write(b'GET /2 HTTP/1.0\\r\\n\\r\\n')
        (await reader.read()).partition(b'\\r\\n\\r\\n')[2]""",
    "requests": "import requests\nrequests.get('URL/2').content",
    "urllib3": """
        import os, urllib3
        pool = urllib3.PoolManager(ca_certs=os.environ['SSL_CERT_FILE'])
        pool.request('GET', 'URL/2').data""",
    "httpx": "import httpx\nhttpx.get('URL/2').content",
    "httpx async": """
        import httpx
        async with httpx.AsyncClient() as client:
            answer = (await client.get('URL/2')).content
        answer""",
}


@pytest.mark.parametrize("program", PROGRAMS)
async def test_the_programs_that_people_write_work(
    program: str, level: str, host: Canaries, secure: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not importlib.util.find_spec(program.split()[0].split(".")[0]):
        pytest.skip(f"the package {program.split()[0]} is not installed: uv sync")
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.trust))
    code = "\n".join(line.removeprefix(" " * 8) for line in PROGRAMS[program].strip().splitlines())
    async with session_at(level, host, reaching(secure.here)) as session:
        assert await session.value(code.replace("URL", secure.url).replace("PORT", str(secure.port))) == b"hellohello"


async def test_much_goes_both_ways(host: Canaries, web: Web) -> None:
    async with session_at("full", host, reaching(web.here)) as session:
        code = f"import urllib.request as u\nlen(u.urlopen('{web.url}/800000').read())"
        assert await session.value(code) == 4_000_000
        assert await session.value(f"u.urlopen('{web.url}/', data=bytes(4_000_000)).read()") == b"4000000"


async def test_who_is_not_trusted_here_is_not_trusted_inside(host: Canaries, secure: Web) -> None:
    async with session_at("full", host, reaching(secure.here)) as session:
        kind, message = await failure(session, f"import urllib.request as u\nu.urlopen('{secure.url}/')")
        assert kind == "URLError" and "CERTIFICATE_VERIFY_FAILED" in message


@pytest.mark.skipif(os.geteuid() != 0, reason="the sessions of others are theirs anyway")
async def test_certificates_that_others_cannot_read_are_left_out_rather_than_that_a_session_is_root(
    host: Canaries, web: Web, secure: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert secure.trust is not None
    private = tmp_path / "ca.pem"
    private.write_bytes(secure.trust.read_bytes())
    private.chmod(0o600)
    monkeypatch.setenv("SSL_CERT_FILE", str(private))
    for level in LEVELS:
        async with session_at(level, host, reaching(web.here)) as session:
            assert "SSL_CERT_FILE" not in await session.value("import os; dict(os.environ)")


async def test_a_redirect_to_another_host_is_asked_for_anew_and_refused(host: Canaries, web: Web) -> None:
    async with session_at("full", host, reaching(web.here)) as session:
        _, message = await failure(session, f"import urllib.request as u\nu.urlopen('{web.url}/away')")
        assert "not elsewhere.example.org" in message


async def test_sixty_four_downloads_at_once(host: Canaries, web: Web) -> None:
    async with session_at("full", host, reaching(web.here, threads=100, memory=1 << 31)) as session:
        code = f"""
import concurrent.futures, threading, urllib.request
together = threading.Barrier(64)
def download(number):
    if number < 64:
        together.wait()
    return len(urllib.request.urlopen('{web.url}/20000').read())
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    sizes = list(pool.map(download, range(128)))
sorted(set(sizes)), len(sizes)"""
        assert await session.value(code) == ([100_000], 128)


async def test_an_event_loop_goes_on_while_a_connection_hangs(host: Canaries) -> None:
    with full() as port:
        async with session_at("full", host, reaching(f"localhost:{port}")) as session:
            code = f"""
import asyncio
turns = 0
async def turn():
    global turns
    while True:
        turns += 1
        await asyncio.sleep(0.001)
turning = asyncio.ensure_future(turn())
try:
    await asyncio.wait_for(asyncio.open_connection('localhost', {port}), 0.5)
except TimeoutError:
    ended = 'late'
turning.cancel()
ended, turns > 20"""
            assert await session.value(code) == ("late", True)
            kind, _ = await failure(session, f"import socket; socket.create_connection(('localhost', {port}), 0.1)")
            assert kind == "TimeoutError"


async def test_sockets_that_do_not_block_connect_as_they_do_elsewhere(host: Canaries, web: Web) -> None:
    async with session_at("full", host, reaching(web.here)) as session:
        code = f"""
import errno, select, socket
line = socket.socket()
line.setblocking(False)
begun = line.connect_ex(('localhost', {web.port}))
ready = select.select([], [line], [], 10)[1] == [line]
line.send(b'GET /1 HTTP/1.0\\r\\n\\r\\n')
select.select([line], [], [], 10)
begun == errno.EINPROGRESS, ready, line.recv(8), line.getpeername()[1] == {web.port}"""
        assert await session.value(code) == (True, True, b"HTTP/1.1", True)


# -- what does not ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [pytest.param(check, id=check.id) for check in CHECKS if check.id.startswith("nt-")])
async def test_no_way_out_is_opened_by_a_host_that_may_be_reached(
    check: Check, level: str, host: Canaries, web: Web
) -> None:
    async with session_at(level, host, reaching(web.here)) as session:
        await session.prepare()
        outcome = await session.run(check.source)
        if check.id == "nt-10":  # these two are sockets in name alone, until the host has given them a connection
            assert outcome.value == "['(2, <SocketKind.SOCK_STREAM: 1>)', '(10, <SocketKind.SOCK_STREAM: 1>)']"
            raw = "[n for n in range(46) for t in (1, 2, 3, 5) if __import__('_socket').socket(n, t, 0)]"
            assert (await session.run(raw)).error is not None
        else:
            assert held(check, outcome), outcome
        assert await session.value("6 * 7") == 42


@pytest.mark.parametrize(
    "code",
    [
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW)",
        "socket.socket().bind(('127.0.0.1', 0))",
        "socket.socket().listen()",
        "socket.create_server(('127.0.0.1', 0))",
        "socket.socket(socket.AF_UNIX)",
        "socket.create_connection(('127.0.0.1', TCP_PORT))",
        "socket.create_connection(('::1', TCP6_PORT))",
        "socket.create_connection((HOST_IP, TCP_PORT))",
        "socket.create_connection(('::ffff:127.0.0.1', TCP_PORT))",
        "socket.create_connection(('2130706433', TCP_PORT))",
        "socket.create_connection(('127.1', TCP_PORT))",
        "socket.create_connection(('0x7f.0.0.1', TCP_PORT))",
        "socket.create_connection(('0177.0.0.1', TCP_PORT))",
        "socket.create_connection(('evil\\0.localhost', TCP_PORT))",
        "socket.create_connection(('localhost', TCP_PORT))",
        "socket.getaddrinfo('canary.test', 80)",
        "socket.gethostbyname('canary.test')",
    ],
)
async def test_what_is_not_there_is_refused(code: str, host: Canaries, web: Web) -> None:
    async with session_at("full", host, reaching(web.here)) as session:
        await session.prepare()
        error = (await session.run(f"import socket\n{code}")).error
        assert error is not None and error.type in ("PermissionError", "OSError", "ValueError", "gaierror"), error


async def test_code_that_waits_for_a_silent_server_is_stopped_and_keeps_its_variables(host: Canaries) -> None:
    with silent() as port:
        policy = reaching(f"localhost:{port}", seconds=0.5)
        async with session_at("full", host, policy) as session:
            outcome = await session.run(
                f"x = 1\nimport socket\nsocket.create_connection(('localhost', {port})).recv(1)"
            )
            assert (outcome.ended, outcome.kept) == ("timeout", True)
            assert await session.value("x") == 1
    with full() as port:
        async with session_at("full", host, reaching(f"localhost:{port}", seconds=0.5)) as session:
            outcome = await session.run(f"x = 1\nimport socket\nsocket.create_connection(('localhost', {port}))")
            assert (outcome.ended, outcome.kept) == ("timeout", True)
            assert await session.value("x") == 1


async def test_no_more_connections_are_open_at_once_than_may_be(host: Canaries) -> None:
    with silent() as port:
        async with session_at("full", host, reaching(f"localhost:{port}", connections=2)) as session:
            connect = f"socket.create_connection(('localhost', {port}))"
            kind, message = await failure(session, f"import socket\nopen = [{connect} for _ in range(3)]")
            assert kind == "OSError" and "2 connections are open, as many as may be" in message
            assert await session.value(f"{connect}.close()\nopen = []\n[{connect}.close() for _ in range(20)]; 1") == 1


GARBAGE = "os.write(6, b'x')"
FLOOD = """
import socket
line = socket.socket(fileno=os.dup(6)); line.setblocking(False)
try:
    while True: line.send(b'\\0' * 6 + b'evil.example.org')
except BlockingIOError: pass
"""
THIEVES = """
import socket, threading
line = socket.socket(fileno=os.dup(6))
def steal():
    while True: line.recvmsg(64, 1000)
for _ in range(8): threading.Thread(target=steal, daemon=True).start()
for n in range(2000): line.send(b'\\0' * 6 + b'evil.example.org')
"""
SENT = """
import array, socket
socket.socket(fileno=os.dup(6)).sendmsg([b'\\0' * 6 + b'x'], [(1, 1, array.array('i', [0]))])
"""


@pytest.mark.parametrize("code", [GARBAGE, FLOOD, THIEVES, SENT], ids=["garbage", "flood", "thieves", "descriptors"])
async def test_a_guest_that_is_hostile_on_its_line_harms_itself_alone(
    code: str, level: str, host: Canaries, web: Web
) -> None:
    async with session_at(level, host, reaching(web.here, seconds=5)) as session:
        await session.run(f"import os\n{code}")
        outcome = await session.run("import os; os._exit(0)" if code is not GARBAGE else "1")
        assert code is not GARBAGE or outcome.ok or "a question of 1 bytes" in str(outcome.error)
        assert await session.value(f"import urllib.request as u\nu.urlopen('{web.url}/1').read()") == b"hello"


# -- what is said of it ----------------------------------------------------------------------------------------------


async def test_every_connection_is_recorded_and_the_model_knows_its_hosts(web: Web) -> None:
    code = f"import urllib.request as u\nu.urlopen('{web.url}/2').read()"
    model = ScriptedModel(
        f"```python\n{code}\n```",
        "```python\nu.urlopen('http://evil.example.org')\n```",
        f"```python\nimport socket\nsocket.create_connection(('localhost', {web.port + 1}))\n```",
        "```python\nfinal_answer(1)\n```",
    )
    agent = Agent(model, (), LEVELS["full"], Policy(network=(web.here,)))
    async with codeact.session.session.Session(agent) as session:
        await session.run("Look.")
        assert session.level == "full+network"
        events = session.events
    started = next(event for event in events if isinstance(event, RunStarted))
    assert started.network == (web.here,)
    prompt = model.prompts[0].messages[0].text
    assert (
        f"Of the network you can reach {web.here}, and nothing else." in prompt and "There is no network" not in prompt
    )
    connected = [event for event in session.events if isinstance(event, Connected)]
    assert connected[0] == Connected(1, "localhost", web.port, "127.0.0.1")
    assert connected[1].address is None and "not at" in str(connected[1].refused)
    (ended,) = [event for event in session.events if isinstance(event, Disconnected)]
    assert ended.connection == 1 and ended.sent > 20 and ended.received > 10


async def test_no_hosts_are_none(host: Canaries) -> None:
    async with session_at("full", host, reaching()) as session:
        _, message = await failure(session, "import urllib.request\nurllib.request.urlopen('http://localhost/')")
        assert "this run may reach" not in message


async def test_the_modules_that_connect_are_of_the_base_set_and_those_that_listen_are_not(web: Web) -> None:
    policy = Policy(network=(web.here,), imports=Imports())
    async with Cells(LEVELS["full"], policy) as cells:
        assert (await cells.run("import socket, ssl, http.client, urllib.request, xmlrpc.client")).ok
        for module, words in (("http.server", "nothing can listen"), ("requests", "urllib.request in its place")):
            outcome = await cells.run(f"import {module}")
            assert outcome.error is not None and words in outcome.error.message, outcome
    async with Cells(LEVELS["full"], Policy()) as cells:
        outcome = await cells.run("import urllib.request")
        assert outcome.error is not None and "there is no network in here" in outcome.error.message


@pytest.mark.parametrize("wall", [Container("x"), Command(["python3"]), Unconfined()], ids=lambda wall: wall.name)
@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_a_wall_that_cannot_let_some_hosts_through_says_so(wall: Container | Command | Unconfined) -> None:
    with pytest.raises(UsageError, match="cannot let code reach some hosts and no others"):
        async with Cells(wall, Policy(network=("api.example.org",))):
            pass


async def test_sessions_with_and_without_hosts_live_side_by_side(web: Web) -> None:
    wall, limits = LEVELS["full"], Limits()
    async with (
        Cells(wall, Policy(limits, imports=ALL, network=(web.here,))) as one,
        Cells(wall, Policy(limits, imports=ALL)) as other,
    ):
        assert (one.level, other.level) == ("full+network", "full")
        code = f"import os, urllib.request as u\nu.urlopen('{web.url}/1').read(), 'SSL_CERT_FILE' in os.environ"
        reached, refused = await asyncio.gather(one.run(code), other.run(code))
        assert reached.value == "(b'hello', True)"
        assert refused.error is not None and refused.error.type == "URLError"
        assert (await other.run("'SSL_CERT_FILE' in os.environ")).value == "False"


async def test_a_copy_has_no_connection_of_the_other_and_asks_for_its_own(web: Web) -> None:
    policy = Policy(imports=ALL, network=(web.here,), snapshots=True)
    ask = "line.request('GET', '/1'); line.getresponse().read()"
    connect = f"import http.client\nline = http.client.HTTPConnection('localhost', {web.port})\n{ask}"
    async with Cells(LEVELS["full"], policy) as cells:
        assert (await cells.run(connect)).value == "b'hello'"
        point = await cells.snapshot()
        async with await cells.fork() as other:
            outcome = await other.run(ask)
            assert outcome.error is not None and outcome.error.type == "BrokenPipeError"
            assert (await other.run(connect)).value == "b'hello'"
        assert (await cells.run(ask)).value == "b'hello'"
        await cells.restore(point)
        assert (await cells.run(f"line.close()\n{ask}")).value == "b'hello'"
