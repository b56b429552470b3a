"""The server against those who may not ask it, by the ids of the list of ways out: one test a check."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Mount, Route

from codeact import CodeAgent, UsageError
from codeact.core.events import Entry
from codeact.faces.web import guard
from codeact.faces.web.app import router
from codeact.faces.web.bodies import Patience
from codeact.faces.web.protocol import CONNECTIONS
from codeact.faces.web.resources import STREAMS
from codeact.faces.web.serving import check_host
from codeact.testing import ScriptedModel
from serving.site import Site, site

CANARY = "sk-canary-5d1f0c7e9b"
SHORT = Patience(bytes=4 << 20, seconds=1.0, pause=0.4)


class Broken:
    """A store that fails as nobody foresaw."""

    def create(self, run: str, parent: str | None = None) -> Any:
        raise RuntimeError(f"of the inside: {CANARY}")

    def open(self, run: str) -> Any:
        raise RuntimeError(f"of the inside: {CANARY}")

    def has(self, run: str) -> bool:
        raise RuntimeError(f"of the inside: {CANARY}")

    def entries(self, run: str) -> Iterator[Entry]:
        raise RuntimeError(f"of the inside: {CANARY}")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journal") / "runs.db"


@pytest.fixture(scope="module")
def here(journal: Path) -> Iterator[Site]:
    before = os.umask(0)
    try:
        with site(
            CodeAgent(model=ScriptedModel("```python\nfinal_answer(1)\n```"), journal=journal), patience=SHORT
        ) as made:
            yield made
    finally:
        os.umask(before)


@pytest.fixture(scope="module")
def run(here: Site) -> str:
    made = here.begin()
    here.until(made)
    return made


@pytest.fixture
def stranger(here: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=here.url, timeout=20, trust_env=False) as client:
        yield client


def routes(here: Site, run: str = "0" * 32) -> list[tuple[str, str]]:
    """Every route that is registered, as a method and a path."""
    found = []
    for route in router(here.runs, Patience()).routes:
        assert isinstance(route, Route | Mount), route
        if isinstance(route, Mount):
            found.append(("GET", f"{route.path}/index.html"))
        else:
            path = re.sub(r"{name(:path)?}", "name", route.path.replace("{run}", run))
            path = path.replace("{seq}", "0").replace("{part}", "0")
            found += [(method, path) for method in sorted(route.methods or ())]
    return found


def acting(here: Site, run: str = "0" * 32) -> list[str]:
    return [path for method, path in routes(here, run) if method == "POST"]


def head(here: Site, line: str, *fields: str) -> bytes:
    return "\r\n".join([line, f"Host: 127.0.0.1:{here.port}", *fields, "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


# -- where it listens --------------------------------------------------------------------------------------------------


def test_ui_01_it_listens_on_loopback_alone_where_nobody_chose_a_token(here: Site) -> None:
    places = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A" and int(local.rpartition(":")[2], 16) == here.port:
                places.add(local.rpartition(":")[0])
    assert places == {"0100007F"}
    for host in ("0.0.0.0", "::", "192.168.7.7", "example.org"):
        with (
            pytest.raises(UsageError, match="can be reached from elsewhere"),
            site(CodeAgent(model=ScriptedModel()), host=host),
        ):
            pass


def test_ui_01_where_a_token_was_chosen_it_is_known_by_its_names_alone() -> None:
    token = "Zq3-8fVyP171HpheDTvjJdghMrc"
    with site(CodeAgent(model=ScriptedModel()), host="0.0.0.0", token=token, names=["agents.example.org"]) as there:
        local = f"http://127.0.0.1:{there.port}"
        for host, expected in (("agents.example.org", 200), (f"127.0.0.1:{there.port}", 200), ("0.0.0.0", 421)):
            headers = {"host": host, "authorization": f"Bearer {token}"}
            assert httpx.get(f"{local}/api/agents", headers=headers, trust_env=False).status_code == expected


# -- who asks ----------------------------------------------------------------------------------------------------------


def test_ui_02_every_route_but_two_wants_the_token_in_its_place(here: Site, stranger: httpx.Client, run: str) -> None:
    assert guard.OPEN == ("/", "/static")
    misplaced: list[dict[str, Any]] = [
        {},
        {"params": {"token": here.token, "access_token": here.token}},
        {"headers": {"cookie": f"token={here.token}; authorization={here.token}"}},
        {"headers": {"x-api-key": here.token, "x-token": here.token, "proxy-authorization": f"Bearer {here.token}"}},
        {"headers": {"authorization": here.token}},
        {"headers": {"authorization": f"Basic {here.token}"}},
        {"headers": {"authorization": f"Bearer {here.token[:-1]}"}},
        {"headers": [("authorization", f"Bearer {here.token}"), ("authorization", "Bearer other")]},
    ]
    swept = []
    for method, path in [
        *routes(here, run),
        *(("GET", one) for one in ("/docs", "/openapi.json", "/health", "/static")),
    ]:
        if guard.is_open(path):
            assert stranger.request(method, path).status_code in (200, 304)
            continue
        for more in misplaced:
            answer = stranger.request(method, path, json={} if method == "POST" else None, **more)
            assert answer.status_code in (401, 429), (method, path, more)
            assert method == "HEAD" or answer.json()["error"]["type"] in ("authentication_error", "rate_limit_error")
        swept.append((method, path.replace(run, "RUN")))
    assert [one for one in swept if one[0] != "HEAD"][:-4] == [
        ("GET", "/api/agents"),
        ("GET", "/api/runs"),
        ("POST", "/api/runs"),
        ("GET", "/api/runs/RUN"),
        ("GET", "/api/runs/RUN/events"),
        ("GET", "/api/runs/RUN/entries/0"),
        ("GET", "/api/runs/RUN/entries/0/0"),
        ("GET", "/api/runs/RUN/files/name"),
        *(("POST", f"/api/runs/RUN/{deed}") for deed in ("say", "stop", "approve", "continue", "fork", "resume")),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/name"),
        ("POST", "/v1/chat/completions"),
    ]


def test_ui_02_nothing_is_a_websocket(here: Site, run: str) -> None:
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    for path in ("/", "/ws", f"/api/runs/{run}/events"):
        answer = here.raw(head(here, f"GET {path} HTTP/1.1", *upgrade, f"Authorization: Bearer {here.token}"))
        assert status(answer) == 403


def test_ui_03_a_name_that_leads_here_from_elsewhere_is_not_served(here: Site) -> None:
    bearer = f"Authorization: Bearer {here.token}"
    for host in ("evil.example", f"evil.example:{here.port}", "127.0.0.1.nip.io", f"127.0.0.1.nip.io:{here.port}",
                 "127.0.0.1", "localhost", f"127.0.0.1:{here.port + 1}", f"127.0.0.1:{here.port}@evil.example",
                 f"[::ffff:127.0.0.1]:{here.port}", f"2130706433:{here.port}", ""):  # fmt: skip
        for path in ("/", "/api/agents", "/static/index.html", "/nowhere"):
            answer = here.raw(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\nConnection: close\r\n\r\n".encode())
            assert status(answer) in (400, 421), (host, path)
    ours = f"Host: 127.0.0.1:{here.port}\r\n"
    for request in (
        f"GET /api/agents HTTP/1.1\r\n{bearer}\r\n\r\n",
        f"GET /api/agents HTTP/1.1\r\n{ours}{ours}{bearer}\r\n\r\n",
        f"GET /api/agents HTTP/1.1\r\n{ours}Host: evil.example\r\n{bearer}\r\n\r\n",
        f"GET http://evil.example/api/agents HTTP/1.1\r\n{ours}{bearer}\r\n\r\n",
        f"GET http://127.0.0.1:{here.port}/api/agents HTTP/1.1\r\n{ours}{bearer}\r\n\r\n",
        f"GET /api/agents HTTP/1.0\r\n{bearer}\r\n\r\n",
    ):
        assert status(here.raw(request.encode())) in (400, 421), request
    for host in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        line = f"GET /api/agents HTTP/1.1\r\nHost: {host}:{here.port}\r\n{bearer}\r\nConnection: close\r\n\r\n"
        assert status(here.raw(line.encode())) == 200


def test_ui_04_a_page_of_another_site_may_not_ask(here: Site, run: str) -> None:
    others: list[dict[str, str]] = [
        {"origin": origin}
        for origin in ("http://evil.example", "null", f"http://localhost.evil.com:{here.port}",
                       f"http://127.0.0.1:{here.port + 1}", "http://127.0.0.1", f"http://127.0.0.1:{here.port}.evil.com")
    ]  # fmt: skip
    others += [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}]
    others += [{"origin": f"http://127.0.0.1:{here.port}", "sec-fetch-site": "cross-site"}]
    for method, path in routes(here, run):
        for headers in others:
            answer = here.visitor.request(method, path, headers=headers, json={} if method == "POST" else None)
            assert answer.status_code == 403, (method, path, headers)
            assert not [name for name in answer.headers if name.startswith("access-control-")]
    for path in ("/api/runs", f"/api/runs/{run}/stop", "/v1/chat/completions"):
        asks = {"origin": "http://evil.example", "access-control-request-method": "POST"}
        answer = here.visitor.options(path, headers={**asks, "access-control-request-headers": "authorization"})
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    own = {"origin": f"http://127.0.0.1:{here.port}", "sec-fetch-site": "same-origin"}
    assert here.visitor.get("/api/agents", headers=own).status_code == 200
    opened = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}  # a link that was clicked
    assert here.visitor.get("/", headers=opened).status_code == 200
    assert here.visitor.get("/api/agents", headers=opened).status_code == 403


def test_ui_05_only_json_acts_and_only_by_post(here: Site, run: str) -> None:
    before = here.get("/api/runs")
    body = json.dumps({"agent": "agent", "task": "Do it."}).encode()
    kinds = ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "text/json", "",
             "application/json-patch+json", "text/plain; application/json")  # fmt: skip
    for path in acting(here, run):
        for kind in kinds:
            answer = here.visitor.post(path, content=body, headers={"content-type": kind})
            assert answer.status_code == 415, (path, kind)
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
            expected = 200 if (method in ("GET", "HEAD") and path == "/api/runs") else 405
            assert here.visitor.request(method, path).status_code == expected, (method, path)
    override = {"x-http-method-override": "POST", "x-method-override": "POST", "content-type": "application/json"}
    here.visitor.request("GET", "/api/runs?_method=POST&agent=agent&task=x", headers=override, content=body)
    for method, path in routes(here, run):
        if method == "GET" and "events" not in path:
            here.visitor.get(path)
    assert here.get("/api/runs") == before
    assert here.get(f"/api/runs/{run}")["entries"] == before[0]["entries"]


# -- what is asked -----------------------------------------------------------------------------------------------------


def test_ui_10_what_is_too_much_is_refused_and_the_rest_goes_on(here: Site, run: str) -> None:
    def post(content: bytes, **headers: str) -> int:
        return here.visitor.post(
            f"/api/runs/{run}/say", content=content, headers={"content-type": "application/json", **headers}
        ).status_code

    assert post(b'{"text": "' + b"x" * (100 << 20) + b'"}') == 413
    assert (
        here.visitor.post(
            "/api/runs", content=(b"x" * (1 << 20) for _ in range(8)), headers={"content-type": "application/json"}
        ).status_code
        == 413
    )
    for deep in (b"[" * 100_000 + b"]" * 100_000, b'{"text":' + b"[" * 100 + b"]" * 100 + b"}", b'{"a":' * 50_000):
        assert post(deep) == 400
    for odd in (b"", b"nul", b'{"text": NaN}', b"\xff\xfe", b"[]", b'{"text": 5}', b'{"text": "x", "more": 1}'):
        assert post(odd) == 400, odd
    assert post(gzip.compress(b'{"text": "x"}' * 100_000), **{"content-encoding": "gzip"}) == 415
    many = "".join(f"X-{n}: y\r\n" for n in range(100_000))
    with contextlib.suppress(ConnectionError):  # it may be cut off while it still writes
        assert status(here.raw(head(here, "GET / HTTP/1.1", many.rstrip()))) in (400, 431)
    assert here.get("/api/agents")


def test_ui_10_who_is_slow_is_not_waited_for(here: Site, run: str) -> None:
    fields = ("Content-Type: application/json", f"Authorization: Bearer {here.token}", "Content-Length: 1000")
    with socket.create_connection(("127.0.0.1", here.port), 10) as line:
        line.sendall(head(here, f"POST /api/runs/{run}/say HTTP/1.1", *fields) + b'{"text":')
        assert status(line.recv(1 << 16)) == 408
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", here.port), 10) as line:  # a byte now and then
        line.sendall(head(here, f"POST /api/runs/{run}/say HTTP/1.1", *fields))
        line.settimeout(0.1)
        said = b""
        while not said and time.monotonic() - began < 10:
            line.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                said = line.recv(1 << 16)
        assert status(said) == 408


def test_ui_10_so_many_may_look_and_no_more(here: Site) -> None:
    run = here.begin()
    here.until(run)
    asked = head(here, f"GET /api/runs/{run}/events HTTP/1.1", f"Authorization: Bearer {here.token}")
    with contextlib.ExitStack() as stack:
        codes = []
        for _ in range(STREAMS + 3):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", here.port), 10))
            line.sendall(asked)
            codes.append(status(line.recv(100)))
        assert codes == [200] * STREAMS + [429] * 3
        assert here.get("/api/agents")
        said = b""
        for _ in range(CONNECTIONS - STREAMS):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", here.port), 10))
        said = line.recv(100)
        assert status(said) == 429


# -- the token ---------------------------------------------------------------------------------------------------------


def test_ui_11_the_token_is_random_and_stands_nowhere(
    here: Site, stranger: httpx.Client, run: str, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        seen = here.visitor.get("/").text + here.visitor.get("/nowhere").text + json.dumps(here.get("/api/runs"))
        seen += stranger.get("/api/agents", headers={"authorization": f"Bearer x{here.token}"}).text
        seen += stranger.get(f"/api/agents?token={here.token}").text
        seen += here.visitor.post("/api/runs", content=b"{").text
        seen += here.raw(head(here, f"GET /{here.token} HTTP/9.9")).decode()
    logged = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))  # not ours
    assert here.token not in logged + seen
    kept = b"".join(file.read_bytes() for file in journal.parent.iterdir() if file.is_file())
    assert here.token.encode() not in kept and len(kept) > 1000
    assert here.token not in Path("/proc/self/cmdline").read_text()
    assert len(here.token) >= 43  # 256 bits
    with site(CodeAgent(model=ScriptedModel())) as there:
        assert there.token != here.token


@pytest.mark.parametrize("token", ["", "secret", "x" * 64, "abcabcabcabcabcabcabcabcabc", "with space " * 5, "é" * 30])
def test_ui_11_a_token_that_can_be_guessed_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match="too easy to guess"):
        check_host("127.0.0.1", token)


def test_ui_11_who_guesses_is_slowed_down_and_who_knows_is_not(here: Site, stranger: httpx.Client) -> None:
    codes = [stranger.get("/api/agents", headers={"authorization": f"Bearer {n}"}).status_code for n in range(60)]
    assert set(codes) <= {401, 429} and codes[-1] == 429
    answer = stranger.get("/api/agents", headers={"authorization": "Bearer 0"})
    assert answer.headers["retry-after"] == "60"
    assert here.visitor.get("/api/agents").status_code == 200


# -- what is answered --------------------------------------------------------------------------------------------------

CSP = {
    "default-src": "'none'",
    "script-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


def check_headers(headers: httpx.Headers) -> None:
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert CSP.items() <= policy.items() and "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert not {"server", "x-powered-by", "set-cookie", "access-control-allow-origin"} & set(headers)


def test_ui_13_every_answer_has_the_same_headers(here: Site, stranger: httpx.Client, run: str) -> None:
    for method, path in routes(here, run):
        for client in (here.visitor, stranger):
            with client.stream(method, path, json={} if method == "POST" else None) as answer:
                check_headers(answer.headers)
    for answer in (here.visitor.get("/nowhere"), here.visitor.delete("/"), stranger.get("/", headers={"host": "x"})):
        assert answer.status_code in (404, 405, 421)
        check_headers(answer.headers)
    for request in (b"nonsense\r\n\r\n", head(here, "GET / HTTP/1.1", "X: " + "y" * 100_000), b"\x16\x03\x01\x00"):
        with socket.create_connection(("127.0.0.1", here.port), 20) as line, contextlib.suppress(ConnectionError):
            line.sendall(request)
            first, _, rest = line.recv(1 << 16).partition(b"\r\n")
            assert status(first) in (400, 431)
            check_headers(httpx.Headers([one.split(b": ", 1) for one in rest.split(b"\r\n\r\n")[0].split(b"\r\n")]))  # type: ignore[arg-type]


def test_ui_13_what_nobody_foresaw_is_said_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    with site(CodeAgent(model=ScriptedModel(), journal=Broken())) as there:
        for answer in (
            there.visitor.get(f"/api/runs/{'0' * 32}"),
            there.visitor.post("/api/runs", json={"agent": "agent", "task": "x"}),
        ):
            assert answer.status_code == 500 and CANARY not in answer.text and "RuntimeError" not in answer.text
            check_headers(answer.headers)
    assert CANARY in caplog.text


def test_ui_14_no_key_is_told_and_what_is_kept_is_for_its_owner_alone(
    here: Site, run: str, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with site(CodeAgent(model="openai:gpt-5", secrets=[CANARY], journal="memory")) as there:
        said = "".join(there.visitor.get(path).text for method, path in routes(there) if method == "GET")
    assert "openai:gpt-5" in said and CANARY not in said
    for place in (journal, *journal.parent.rglob("*")):
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0, place


def test_ui_15_there_is_no_path_to_connect_to_but_the_port(here: Site, run: str) -> None:
    owned = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            owned.add(os.readlink(link))
    named = [
        fields[7]
        for fields in (line.split(None, 7) for line in Path("/proc/net/unix").read_text().splitlines()[1:])
        if len(fields) > 7 and f"socket:[{fields[6]}]" in owned
    ]
    assert [name for name in named if "canary-" not in name] == []  # those are the suite's own ears


def test_xs_07_a_run_is_found_by_its_whole_id_alone(here: Site, run: str) -> None:
    other = here.begin()
    here.until(other)
    assert re.fullmatch(r"[0-9a-f]{32}", run) and run != other
    guessed = [
        run[:12],
        run.upper(),
        run + "0",
        f"{run}%00",
        f"..%2f{run}",
        f"%2e%2e/{run}",
        f"{run[:-1]}%25",
        "0" * 32,
        "*",
        "%",
        "_" * 32,
    ]
    for name in guessed:
        for path in (name, f"{name}/events", f"{name}/files/x"):
            assert here.visitor.get(f"/api/runs/{path}").status_code == 404, path
        for deed in ("say", "stop", "approve", "continue", "fork", "resume"):
            body = {
                "say": {"text": "x"},
                "approve": {"key": "k", "decision": "allow"},
                "continue": {"task": "x"},
                "fork": {"at": 0},
            }
            code = here.visitor.post(f"/api/runs/{name}/{deed}", json=body.get(deed, {})).status_code
            assert code == 404, (name, deed)
    for name in (
        "../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        str(Path(__file__)),
    ):
        assert here.visitor.get(f"/api/runs/{run}/files/{name}").status_code in (404, 401)
        assert here.visitor.get(f"/static/{name}").status_code in (404, 401)
