"""The lines for nginx that the docs show, in a real nginx before a real server, over TLS."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from codeact import CodeAgent
from codeact.testing import ScriptedModel
from docs.page import ROOT
from serving.site import PATIENCE, Site, site, told

NAME = "agents.example.org"
AROUND = """\
{user}
daemon off; worker_processes 1; pid {here}/pid; error_log {here}/errors;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
    {server}
}}
"""


@dataclass(frozen=True)
class Front:
    """A server that is reached through nginx alone, and somebody elsewhere who has its token."""

    behind: Site
    visitor: httpx.Client
    opened: threading.Event


def certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    signed = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "cert.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))


def settings(folder: Path, behind: int) -> str:
    """The documented lines, word for word, with the files of this machine and a socket in place of the port."""
    page = (ROOT / "docs" / "proxy.md").read_text(encoding="utf-8")
    (server,) = re.findall(r"^```nginx\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    for there, here in (
        ("listen 443 ssl", f"listen unix:{folder}/socket ssl"),
        ("http://127.0.0.1:8765", f"http://127.0.0.1:{behind}"),
        (f"/etc/ssl/{NAME}.pem", f"{folder}/cert.pem"),
        (f"/etc/ssl/{NAME}.key", f"{folder}/cert.key"),
    ):
        assert there in server
        server = server.replace(there, here)
    return AROUND.format(here=folder, server=server, user="" if os.geteuid() else "user root;")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        pytest.skip("Debian package nginx is absent")
    folder, opened = tmp_path_factory.mktemp("nginx"), threading.Event()
    certificate(folder)

    def wait() -> None:
        """Wait until somebody has read what was printed before."""
        if not opened.wait(PATIENCE):
            raise TimeoutError("nobody read it")

    model = ScriptedModel("```python\nprint('first')\nwait()\nprint('second')\nfinal_answer(2)\n```")
    with site(CodeAgent(model=model, tools=[wait], journal="memory"), names=[NAME]) as behind:
        (folder / "conf").write_text(settings(folder, behind.port))
        nginx = subprocess.Popen([program, "-c", folder / "conf", "-e", folder / "errors"])
        trusted = ssl.create_default_context(cafile=folder / "cert.pem")
        way = httpx.HTTPTransport(uds=f"{folder}/socket", verify=trusted)
        headers = {"authorization": f"Bearer {behind.token}"}
        try:
            with httpx.Client(base_url=f"https://{NAME}", headers=headers, transport=way, timeout=PATIENCE) as visitor:
                end = time.monotonic() + PATIENCE
                while not (folder / "socket").exists():
                    assert nginx.poll() is None and time.monotonic() < end, (folder / "errors").read_text()
                    time.sleep(0.02)
                yield Front(behind, visitor, opened)
        finally:
            nginx.terminate()
            nginx.wait(PATIENCE)


def test_the_page_comes_by_its_name_and_the_rest_wants_the_token(front: Front) -> None:
    assert "<!doctype html>" in front.visitor.get("/", headers={"authorization": ""}).text
    assert front.visitor.get("/static/app.js").headers["content-type"].startswith("text/javascript")
    assert front.visitor.get("/api/agents").json()[0]["name"] == "agent"
    assert front.visitor.get("/api/agents", headers={"authorization": "Bearer another"}).status_code == 401
    assert front.visitor.get("/api/agents", headers={"host": "elsewhere.example.org"}).status_code == 421


def test_a_page_of_the_name_may_ask_and_one_of_another_may_not(front: Front) -> None:
    body = {"agent": "agent", "task": "Wait.", "files": [{"name": "a.bin", "base64": "AAAA" * 300_000}]}
    elsewhere = front.visitor.post("/api/runs", json=body, headers={"origin": "https://elsewhere.example.org"})
    assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (403, "origin")
    front.opened.set()
    own = front.visitor.post("/api/runs", json=body, headers={"origin": f"https://{NAME}"})
    assert own.status_code == 201, own.text
    front.behind.until(own.json()["run"])


def test_what_streams_is_passed_on_piece_by_piece(front: Front) -> None:
    front.opened.clear()
    run = front.visitor.post("/api/runs", json={"agent": "agent", "task": "Wait."}).json()["run"]
    with front.visitor.stream("GET", f"/api/runs/{run}/events", params={"until": "ended"}) as answer:
        seen = []
        for one in told(answer.iter_lines()):
            seen.append(one)
            if one.get("delta") == "OutputDelta" and "first" in one["text"]:
                front.opened.set()  # the code goes on only now: what was gathered would never come
    assert seen[-1]["kind"] == "end" and seen[-1]["stop_reason"] == "final_answer"
    ask = {"model": "agent", "messages": [{"role": "user", "content": "Wait."}], "stream": True}
    with front.visitor.stream("POST", "/v1/chat/completions", json=ask) as answer:
        assert answer.status_code == 200 and list(answer.iter_lines())[-2:] == ["data: [DONE]", ""]
