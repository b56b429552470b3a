"""What the tools of the web reach, and what they do not, whatever a name, a number or a redirect says."""

from __future__ import annotations

import datetime
import gzip
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from codeact import Interpreter, UsageError, assemble
from codeact.tools.toolbox import fetch, visit_webpage, web_search, wikipedia_search
from codeact.tools.toolbox.web import Web

HTML = """<html><head><title>Oslo &amp; co</title><style>p{}</style></head><body><script>x()</script>
<h2>Weather</h2><p>It is <b>cold</b>, see <a href="/more">more</a>.</p><ul><li>one</li></ul></body></html>"""


class Site(BaseHTTPRequestHandler):
    """Pages of every kind; what was asked of it is kept."""

    asked: list[str]

    def give(self, status: int, body: bytes = b"", kind: str = "text/plain", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.asked.append(f"{self.headers['Host']} {parts.path}")
        match parts.path.split("/"):
            case ["", "json"]:
                self.give(200, b'{"a": [1, 2.5]}', "application/json; charset=utf-8")
            case ["", "latin"]:
                self.give(200, "blåbær".encode("latin-1"), "text/plain; charset=iso-8859-1")
            case ["", "bytes"]:
                self.give(200, b"\x00\x01", "application/octet-stream")
            case ["", "page"]:
                self.give(200, HTML.encode(), "text/html; charset=utf-8")
            case ["", "long"]:
                self.give(200, b"<p>" + b"word " * 20_000 + b"</p>", "text/html")
            case ["", "deep"]:
                self.give(200, b"<div>" * 20_000, "text/html")
            case ["", "bomb"]:
                self.give(200, gzip.compress(bytes(9 << 20)), "text/plain", **{"Content-Encoding": "gzip"})
            case ["", "slow"]:
                self.send_response(200)
                self.end_headers()
                self.server.over.wait(10)  # type: ignore[attr-defined]
            case ["", "to", _]:
                self.give(302, Location=parse_qs(parts.query)["u"][0])
            case ["", "loop"]:
                self.give(302, Location="/loop")
            case ["", "search"]:
                row = {"title": "T", "url": "http://t.example/", "content": f"of {parts.query}", "score": 1}
                self.give(200, json.dumps({"results": [row, "odd", row]}).encode(), "application/json")
            case ["", "w", "api.php"]:
                pages = [
                    {"index": 2, "title": "Second", "fullurl": "http://w/2", "extract": "S."},
                    {
                        "index": 1,
                        "title": "First",
                        "fullurl": "http://w/1",
                        "extract": parse_qs(parts.query)["gsrsearch"][0],
                    },
                ]
                self.give(200, json.dumps({"query": {"pages": pages}}).encode(), "application/json")
            case _:
                self.give(404)

    def do_CONNECT(self) -> None:
        self.asked.append(self.path)
        self.give(503)

    def log_message(self, *_: Any) -> None:
        """Nothing: a test's output is its own."""


class Served(ThreadingHTTPServer):
    daemon_threads = True
    over: threading.Event

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.server_port}"


@pytest.fixture
def site() -> Iterator[Any]:
    asked: list[str] = []
    server = Served(("127.0.0.1", 0), type("Handler", (Site,), {"asked": asked}))
    server.over = threading.Event()
    server.asked = asked  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Names:
    """A resolver that says what the test wants, and counts how often it was asked."""

    def __init__(self, **names: Sequence[str]) -> None:
        self.names = {name.replace("_", "."): addresses for name, addresses in names.items()}
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.names.get(host, [])


# -- what is not reached -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[2001:0:7f00:1::]",
        "inside.example",
        "half.example",
        "mapped.example",
        "scoped.example",
    ],
)
async def test_an_address_that_is_not_on_the_internet_is_not_read(host: str) -> None:
    names = Names(
        inside_example=["10.0.0.1"],
        half_example=["93.184.216.34", "127.0.0.1"],
        mapped_example=["::ffff:10.0.0.1"],
        scoped_example=["fe80::1%eth0"],
    )
    with pytest.raises(PermissionError, match="is not on the internet"):
        await Web(resolve=names).get(f"http://{host}/")
    assert names.asked <= 1


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://0x7f.0.0.1/",
        "http://[fe80::1%25eth0]/",
        "http://me:secret@example.org/",
        "http:///etc/passwd",
        "file:///etc/passwd",
        "gopher://example.org/",
        "example.org",
        "",
        "http://exa mple.org/",
        "http://a..b/",
        "http://\x00/",
    ],
)
async def test_what_is_no_plain_address_of_the_web_is_refused(url: str) -> None:
    with pytest.raises((ValueError, PermissionError)) as refusal:
        await Web(resolve=Names()).get(url)
    assert "secret" not in str(refusal.value)


async def test_an_address_of_the_internet_may_be_dialled() -> None:
    names = Names(public_example=["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
    assert await Web(resolve=names).looked_at(httpx2.URL("https://public.example/a")) == (
        "public.example",
        ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"],
    )


async def test_ports_of_other_services_are_not_read() -> None:
    with pytest.raises(PermissionError, match=r"public\.example is read at the ports 80 and 443 alone, not at 6379"):
        await Web(resolve=Names(public_example=["93.184.216.34"])).get("http://public.example:6379/")


async def test_a_redirect_is_looked_at_like_any_address(site: Any) -> None:
    web = Web([f"site.example:{site.server_port}"], resolve=Names(site_example=["127.0.0.1"]))
    here = f"http://site.example:{site.server_port}"
    for there in (f"http://127.0.0.1:{site.server_port}/json", "http://169.254.169.254/", "http://inner.example:80/"):
        web_of_names = Web(
            [f"site.example:{site.server_port}"],
            resolve=Names(site_example=["127.0.0.1"], inner_example=["127.0.0.1"]),
        )
        with pytest.raises(PermissionError):
            await web_of_names.get(f"{here}/to/x?u={there}")
    with pytest.raises(ValueError, match="only http and https"):
        await web.get(f"{here}/to/x?u=file:///etc/passwd")
    assert (await web.get(f"{here}/to/x?u=/json")).url == f"{here}/json"
    with pytest.raises(ConnectionError, match="redirects more than 5 times"):
        await web.get(f"{here}/loop")
    assert not [one for one in site.asked if not one.startswith("site.example:")]


async def test_the_address_that_was_looked_at_is_dialled_under_the_name_that_was_asked(site: Any) -> None:
    """Asked once: a name that stands for another address a moment later is of no use."""
    names = Names(site_example=["127.0.0.1"])
    page = await Web([f"site.example:{site.server_port}"], resolve=names).get(
        f"http://site.example:{site.server_port}/json"
    )
    assert names.asked == 1
    assert site.asked == [f"site.example:{site.server_port} /json"]
    assert page.type == "application/json"


async def test_the_next_address_is_dialled_where_one_does_not_answer(site: Any) -> None:
    names = Names(site_example=["127.0.0.99", "127.0.0.1"])
    web = Web([f"site.example:{site.server_port}"], resolve=names)
    assert (await web.get(f"http://site.example:{site.server_port}/json")).body == b'{"a": [1, 2.5]}'


async def test_a_server_is_known_by_the_name_that_was_asked_not_by_its_address(site: Any, tmp_path: Path) -> None:
    cryptography = pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    assert cryptography
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "site.example")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("site.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "site.pem"
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem.write_bytes(key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM))
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(pem)
    site.socket = server_side.wrap_socket(site.socket, server_side=True)
    trusted = ssl.create_default_context(cafile=str(pem))
    names = Names(site_example=["127.0.0.1"], other_example=["127.0.0.1"])
    web = Web([f"{one}.example:{site.server_port}" for one in ("site", "other")], resolve=names, tls=trusted)
    assert (await web.get(f"https://site.example:{site.server_port}/json")).type == "application/json"
    with pytest.raises(ConnectionError, match="certificate verify failed"):
        await web.get(f"https://other.example:{site.server_port}/json")


# -- bounds ------------------------------------------------------------------------------------------------------------


async def test_an_answer_is_bounded_in_size_and_time(site: Any) -> None:
    web = Web([site.at], seconds=0.5)
    with pytest.raises(ValueError, match="gives more than the 5,242,880 bytes"):
        await Web([site.at]).get(f"http://{site.at}/bomb")
    with pytest.raises(TimeoutError, match=r"took longer than 0\.5 s"):
        await web.get(f"http://{site.at}/slow")


# -- the tools ---------------------------------------------------------------------------------------------------------


def test_fetch_gives_what_lies_there_as_the_value_that_it_is(site: Any) -> None:
    with Interpreter(tools=[fetch(allow=[site.at])]) as python:
        python.run(f"at = 'http://{site.at}'")
        assert python.run("fetch(at + '/json')['content']").value == "{'a': [1, 2.5]}"
        assert python.run("fetch(at + '/latin')['content']").value == "'blåbær'"
        assert python.run("fetch(at + '/bytes')").value == (
            f"{{'url': 'http://{site.at}/bytes', 'type': 'application/octet-stream', 'content': b'\\x00\\x01'}}"
        )
        error = python.run("fetch(at + '/none')").error
        assert error is not None and error.type == "StatusError" and "answered 404 Not Found" in error.message
        error = python.run("fetch('http://127.0.0.1:1/')").error
        assert error is not None and error.type == "PermissionError"


def test_a_page_is_read_as_markdown_a_part_at_a_time(site: Any) -> None:
    with Interpreter(tools=[visit_webpage(allow=[site.at])]) as python:
        python.run(f"at = 'http://{site.at}'")
        assert python.run("print(visit_webpage(at + '/page'))").stdout == (
            "# Oslo & co\n\n## Weather\n\nIt is **cold**, see [more](/more).\n\n- one\n"
        )
        assert (
            python.run("visit_webpage(at + '/long').endswith('[59,999 more characters: start=40000]')").value == "True"
        )
        assert python.run("len(visit_webpage(at + '/long', start=90_000))").value == "9999"
        error = python.run("visit_webpage(at + '/bytes')").error
        assert error is not None and "it is no page but 'application/octet-stream'" in error.message
        deep = python.run("visit_webpage(at + '/deep')")
        assert deep.error is None or "too tangled" in deep.error.message


def test_a_search_server_of_ones_own_and_a_wiki_are_asked(site: Any) -> None:
    search = web_search(base_url=f"http://{site.at}")
    wiki = wikipedia_search(base_url=f"http://{site.at}", web=Web([site.at]))
    with Interpreter(tools=[search, wiki]) as python:
        assert python.run("web_search('a b', count=1)").value == (
            "[{'title': 'T', 'url': 'http://t.example/', 'text': 'of q=a+b&format=json'}]"
        )
        assert python.run("[(row['title'], row['summary']) for row in wikipedia_search('fjord')]").value == (
            "[('First', 'fjord'), ('Second', 'S.')]"
        )
        error = python.run("web_search(' ')").error
        assert error is not None and error.message == "the query is empty"


def test_where_no_engine_answers_the_code_is_told(site: Any) -> None:
    """The engines cannot be asked here; a proxy of the test's own answers for them that nothing is reached."""
    with Interpreter(tools=[web_search(proxy=f"http://{site.at}")], seconds=60) as python:
        outcome = python.run("web_search('oslo')")
        assert outcome.error is None or outcome.error.type == "ConnectionError", outcome.error
        assert outcome.error is not None or outcome.value == "[]"


def test_the_toolbox_is_known_by_name() -> None:
    names = ["ask_user", "fetch", "visit_webpage", "web_search", "wikipedia_search"]
    assert [tool.spec.name for tool in assemble.tools(names)] == names
    declared = {tool.spec.name: tool.spec.signature for tool in assemble.tools(["fetch", "web_search"])}
    assert declared == {
        "fetch": "(url: str) -> dict[str, Any]",
        "web_search": "(query: str, count: int = 10) -> list[dict[str, str]]",
    }
    with pytest.raises(UsageError, match="base_url must be http"):
        web_search(base_url="ftp://x")
