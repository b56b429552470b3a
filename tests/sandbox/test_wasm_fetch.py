"""Fetching Deno and Pyodide: what is not known by its hash is refused, and what is not whole is never found."""

from __future__ import annotations

import http.server
import importlib.util
import io
import os
import re
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fetched import data_home

from codeact import assemble
from codeact.core.errors import SandboxUnavailable, UsageError
from codeact.sandboxes.wasm import fetching, pinned
from codeact.sandboxes.wasm.installation import Installation, place


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_RETRIES", "0")
    return tmp_path / "data"


def _forged() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        about = f"deno-{pinned.DENO}.dist-info"
        wheel.writestr(f"deno-{pinned.DENO}.data/scripts/deno", "#!/bin/sh\necho forged\n")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: deno\nVersion: {pinned.DENO}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return packed.getvalue()


class _Index(http.server.BaseHTTPRequestHandler):
    """An index that has a Deno of its own."""

    def do_GET(self) -> None:
        name = f"deno-{pinned.DENO}-py3-none-any.whl"
        wheel = self.path.endswith(".whl")
        body = _forged() if wheel else f'<!DOCTYPE html><a href="/{name}">{name}</a>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream" if wheel else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def _needs_pip() -> None:
    if not (importlib.util.find_spec("pip") or shutil.which("uv") or shutil.which("pip3") or shutil.which("pip")):
        pytest.skip("neither pip nor uv is here: the Debian package python3-pip is absent")


def test_a_wheel_that_is_not_the_known_one_is_refused_and_nothing_is_left(
    home: Path, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _needs_pip()
    monkeypatch.setenv("PIP_INDEX_URL", index)
    told: list[str] = []
    with pytest.raises(SandboxUnavailable, match=r"(?i)hash"):
        fetching.fetch(told.append)
    assert told == [f"deno {pinned.DENO} from PyPI"]
    assert not place().exists() and os.listdir(place().parent) == []


def test_an_index_that_is_not_there_is_said_and_nothing_is_left(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _needs_pip()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(SandboxUnavailable, match="PIP_INDEX_URL"):
        fetching.fetch(lambda words: None)
    assert os.listdir(place().parent) == []


def test_a_package_with_another_file_is_refused(tmp_path: Path) -> None:
    for name in pinned.PYODIDE_FILES:
        (tmp_path / name).write_bytes(b"forged")
    with pytest.raises(SandboxUnavailable, match=r"another pyodide\.mjs"):
        fetching._copy(tmp_path, tmp_path / "to")


def test_what_is_not_whole_is_not_found(home: Path) -> None:
    half = Installation(place())
    half.pyodide.mkdir(parents=True)
    half.deno.write_bytes(b"")
    assert assemble.fetched() == (place(), False)


@pytest.mark.timeout(400)  # it may be the first one that fetches
def test_what_is_there_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(data_home()))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    told: list[str] = []
    assert assemble.fetch("wasm", told.append) == place()
    assert not told and assemble.fetched() == (place(), True)


def test_only_what_can_be_fetched_is_fetched() -> None:
    with pytest.raises(UsageError, match="did you mean 'wasm'"):
        assemble.fetch("wasmm", print)


def test_every_file_is_pinned_by_a_whole_hash() -> None:
    hashes = [*pinned.DENO_WHEELS.values(), *pinned.PYODIDE_FILES.values()]
    assert len(set(hashes)) == len(hashes) == 10
    assert all(re.fullmatch(r"[0-9a-f]{64}", one) for one in hashes)


def test_a_comma_in_the_place_does_not_widen_what_may_be_read(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="comma"):
        Installation(tmp_path / "a,b").argv("main.mjs", ())
