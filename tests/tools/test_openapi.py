"""The operations of an OpenAPI document as tools, asked of a server on this machine."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from codeact import Interpreter, UsageError, openapi_tools

PET = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "nullable": True, "minimum": 0, "exclusiveMinimum": False},
        "nullable": {"type": "string"},
    },
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Pet store"},
    "paths": {
        "/pets": {
            "get": {
                "operationId": "listPets",
                "summary": "All pets.",
                "parameters": [
                    {"name": "kind", "in": "query", "schema": {"enum": ["cat", "dog"]}, "description": "of which kind"},
                    {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "X-Page", "in": "header", "schema": {"type": "integer", "default": 1}},
                    {"name": "X-Key", "in": "header", "required": True, "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}
                            }
                        }
                    }
                },
            },
            "post": {
                "operationId": "add-pet",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}},
                },
                "responses": {"201": {"content": {"application/json": {"schema": {"type": "object"}}}}},
            },
        },
        "/pets/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {"description": "One pet."},
            "delete": {"operationId": "print"},
            "put": {
                "operationId": "rename",
                "requestBody": {
                    "required": True,
                    "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
                },
            },
        },
        "/picture": {
            "get": {"operationId": "picture"},
            "post": {
                "operationId": "upload",
                "requestBody": {"required": True, "content": {"multipart/form-data": {}}},
            },
        },
        "/elsewhere": {"get": {"operationId": "elsewhere"}},
        "/slash": {"get": {"operationId": "slash"}},
        "/big": {"get": {"operationId": "big"}},
        "/denied": {"get": {"operationId": "denied"}},
    },
    "components": {"schemas": {"Pet": PET}},
}
KEY = "k3y-of-the-test"


class Store(BaseHTTPRequestHandler):
    """Says what it was asked; some of its pages misbehave."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        asked = {
            "method": self.command,
            "path": parts.path,
            "query": parse_qsl(parts.query),
            "page": self.headers.get("X-Page"),
            "key": self.headers.get("X-Key") == KEY,
            "body": sent,
        }
        match parts.path:
            case "/v1/openapi.json":
                self.answer(200, json.dumps({**DOCUMENT, "servers": [{"url": "/v1"}]}).encode())
            case "/v1/picture":
                self.answer(200, b"\x89PNG", "image/png")
            case "/v1/elsewhere":
                self.answer(302, b"", Location="http://127.0.0.2:9/")
            case "/v1/slash":
                self.answer(307, b"", Location="/v1/pets")
            case "/v1/big":
                self.answer(200, b"x" * (17 << 20), "text/plain")
            case "/v1/denied":
                self.answer(403, f"no entry with {self.headers.get('X-Key')}".encode(), "text/plain")
            case "/v1/pets" if self.command == "GET":
                self.answer(200, json.dumps([asked]).encode())
            case _:
                self.answer(200, json.dumps(asked).encode())

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None:
        """Nothing: a test's output is its own."""


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def python(store: str) -> Iterator[Any]:
    with Interpreter(tools=openapi_tools(DOCUMENT, base_url=store, headers={"X-Key": KEY})) as python:
        yield python


def test_an_operation_is_a_typed_function() -> None:
    tools = {tool.spec.name: tool.spec for tool in openapi_tools(DOCUMENT, base_url="http://x", headers={"X-Key": KEY})}
    declared = {name: spec.signature for name, spec in tools.items()}
    assert declared["listPets"] == (
        "(kind: Literal['cat', 'dog'] | None = None, tags: list[str] | None = None, X_Page: int = 1) -> list[dict]"
    )
    assert declared["add_pet"] == "(body: dict) -> dict"
    assert declared["get_pets_id"] == "(id: str)"
    assert tools["print"].path == "Pet_store.print", "a name that is Python's own"
    assert "upload" not in declared, "a body that cannot be sent"
    assert {spec.group for spec in tools.values()} == {"Pet_store"}
    assert tools["listPets"].doc == (
        "All pets.\n\nkind: of which kind\n\nReturns: list[{name: str, age?: int | None, nullable?: str}]"
    )
    assert "body: {name: str, age?: int | None, nullable?: str}; what is sent" in tools["add_pet"].doc


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (
            "p, = listPets('cat', tags=['a b', 'c&d'], X_Page=2); p['query'], p['page'], p['key']",
            "([['kind', 'cat'], ['tags', 'a b'], ['tags', 'c&d']], '2', True)",
        ),
        ("listPets()[0]['query']", "[]"),
        (
            "p = add_pet({'name': 'Ada', 'age': None}); p['method'], p['body']",
            """('POST', '{"name": "Ada", "age": null}')""",
        ),
        ("get_pets_id('a/../b?c')['path']", "'/v1/pets/a%2F..%2Fb%3Fc'"),
        ("rename('x', {'name': 'b c'})['body']", "'name=b+c'"),
        ("picture()", "b'\\x89PNG'"),
        ("slash()[0]['path']", "'/v1/pets'"),
    ],
)
def test_arguments_go_where_they_belong_and_answers_are_values(python: Any, call: str, value: str) -> None:
    outcome = python.run(call)
    assert outcome.value == value, outcome.error


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ("listPets('cow')", "ValueError", "listPets(): 'kind' must be 'cat' or 'dog', got 'cow' (str)"),
        ("add_pet({'age': 1})", "TypeError", "'name' is a required property"),
        ("add_pet({'name': 'A', 'age': -1})", "ValueError", "-1 is less than the minimum of 0"),
        ("get_pets_id('..')", "ValueError", "'id' must be a part of a path, got '..'"),
        ("denied()", "StatusError", "GET /denied answered 403 Forbidden: no entry with ***"),
        ("elsewhere()", "StatusError", "GET /elsewhere answered 302 Found"),
        ("big()", "ValueError", "GET /big answered more than the 16 MiB that are read"),
    ],
)
def test_what_goes_wrong_is_an_exception_with_the_servers_words(python: Any, call: str, kind: str, words: str) -> None:
    error = python.run(call).error
    assert error is not None
    assert (error.type, words in error.message) == (kind, True), error


def test_a_server_that_is_not_there_is_a_connection_error() -> None:
    with Interpreter(tools=openapi_tools(DOCUMENT, base_url="http://127.0.0.1:9", headers={"X-Key": KEY})) as python:
        error = python.run("picture()").error
        assert error is not None and error.type == "ConnectionError" and "GET /picture: ConnectError" in error.message


def test_a_document_comes_from_a_file_of_json_or_yaml_or_from_this_machine(store: str, tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text(json.dumps(DOCUMENT))
    (tmp_path / "api.yaml").write_text(
        "openapi: 3.1.0\nservers: [{url: 'http://{host}', variables: {host: {default: x}}}]\n"
        "paths:\n  /a:\n    get:\n      responses:\n"
        "        200: {content: {application/json: {schema: {type: integer}}}}\n"
    )
    names = [tool.spec.name for tool in openapi_tools(f"{store}/openapi.json")]
    assert names == [tool.spec.name for tool in openapi_tools(tmp_path / "api.json", base_url=store)]
    assert [tool.spec.signature for tool in openapi_tools(str(tmp_path / "api.yaml"))] == ["() -> int"]


def test_the_operations_that_are_wanted_are_named() -> None:
    tools = openapi_tools(DOCUMENT, base_url="http://x", operations=["add-pet", "get_pets_id"])
    assert [tool.spec.name for tool in tools] == ["add_pet", "get_pets_id"]
    with pytest.raises(UsageError, match="there is no operation 'ad_pet'; did you mean 'add_pet'"):
        openapi_tools(DOCUMENT, base_url="http://x", operations=["ad_pet"])


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"swagger": "2.0"}, "it is Swagger 2.0: OpenAPI 3 is wanted"),
        ({"openapi": "3.1.0"}, "it has no paths"),
        ({"openapi": "3.1.0", "paths": {}}, "give base_url="),
        (
            {"openapi": "3.1.0", "paths": {"/a": {"$ref": "other.yaml#/a"}}},
            "refers to another document, 'other.yaml#/a'",
        ),
        ("/no/such/file.json", "/no/such/file.json: cannot be read: No such file or directory"),
        ("https://example.org/openapi.json", "only a document of this machine is fetched"),
    ],
)
def test_a_document_that_cannot_be_used_says_why(document: Any, complaint: str) -> None:
    with pytest.raises(UsageError) as refusal:
        openapi_tools(document)
    assert complaint in str(refusal.value)


def test_a_header_with_a_line_end_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError) as refusal, contextlib.suppress(KeyError):
        openapi_tools(DOCUMENT, base_url="http://x", headers={"X-Key": "secret\r\nX: y"})
    assert str(refusal.value) == "headers: the value of 'X-Key' has characters that no header has"
