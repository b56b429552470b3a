"""A guest in WebAssembly: the contract, what it lacks and says so, and the ways out through the program round it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fetched import data_home

from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable, UsageError
from codeact.core.execution import ALL, MIB, Imports, Limits, Mount, Policy
from codeact.ports import Pipe, Sink
from codeact.sandboxes.wasm import Wasm
from codeact.testing import check_sandbox
from codeact.tools.function import as_tool

pytestmark = pytest.mark.timeout(400)  # the first one fetches
FREE = Policy(Limits(seconds=20, memory=256 * MIB), imports=ALL)


@pytest.fixture(autouse=True)
def fetched(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "nothing_fetched" not in request.fixturenames:
        monkeypatch.setenv("XDG_DATA_HOME", str(data_home()))


@pytest.fixture
def nothing_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


async def test_a_guest_in_webassembly_holds_the_contract() -> None:
    await check_sandbox(Wasm())


# -- what it gives -----------------------------------------------------------------------------------------------------


async def test_tools_answer_plain_calls_and_awaited_ones() -> None:
    all_there = asyncio.Barrier(5)

    async def double(n: int, together: bool = False) -> int:
        """Twice the number; together waits for four others."""
        if together:
            await all_there.wait()
        return 2 * n

    async with Cells(Wasm(), FREE, [as_tool(double)]) as cells:
        assert (await cells.run("[double(n) for n in range(3)]")).value == "[0, 2, 4]"
        together = await cells.run(
            "import asyncio\nasync def late():\n    await asyncio.sleep(0.01)\n    return 'late'\n"
            "await asyncio.gather(*(double.aio(n, True) for n in range(5)), late())"
        )
        assert together.value == "[0, 2, 4, 6, 8, 'late']", together
        assert (await cells.run("asyncio.run(double.aio(4))")).value == "8"
        failed = await cells.run("try: double('x')\nexcept (TypeError, ValueError) as error: print('told')")
        assert failed.stdout == "told\n"
        assert (await cells.run("final_answer({'n': double(21)})")).final_answer == {"n": 42}


async def test_values_larger_than_what_is_under_way_at_once_cross_both_ways() -> None:
    async with Cells(Wasm(), FREE) as cells:
        sent = os.urandom((3 << 20) + 1)
        await cells.set(data=sent)
        assert await cells.get("data") == sent
        flood = await cells.run("for _ in range(200): print('y' * 9999)\nimport sys; print('e', file=sys.stderr)")
        assert flood.dropped and flood.stderr == "e\n"


async def test_a_sleep_and_a_wait_for_a_tool_can_be_interrupted_and_a_late_interrupt_is_nobodys() -> None:
    async def never() -> None:
        """Does not answer."""
        await asyncio.Event().wait()

    class Heard(Wasm):
        @contextlib.asynccontextmanager
        async def launch(self, policy: Policy, sink: Sink) -> AsyncIterator[Pipe]:
            async with super().launch(policy, sink) as self.pipe:
                yield self.pipe

    wall = Heard()
    async with Cells(wall, Policy(Limits(seconds=0.5), imports=ALL), [as_tool(never)]) as cells:
        await cells.run("x = 1")
        for _ in range(2):
            wall.pipe.interrupt()  # it comes late: the cell that was meant is over
            await asyncio.sleep(0.2)  # nothing comes with it
        assert await cells.get("x") == 1
        for code in (
            "import time; time.sleep(60)",
            "import asyncio; await asyncio.sleep(60)",
            "while True: never_ending = 1",
        ):
            stopped = await cells.run(code)
            assert (stopped.ended, stopped.kept) == ("timeout", True), code
        asyncio.get_running_loop().call_later(0.2, cells.interrupt)
        stopped = await cells.run("never()")
        assert stopped.error is not None and stopped.kept
        assert (await cells.run("x")).value == "1"


async def test_memory_ends_the_cell_and_not_the_variables() -> None:
    async with Cells(Wasm(), FREE) as cells:
        await cells.run("kept = 1")
        for code in ("bytearray(10**9)", "rows = []\nwhile True: rows.append(bytes(100_000) + b'x')"):
            outcome = await cells.run(code)
            assert outcome.error and outcome.error.type in ("MemoryError", "CellMemory"), outcome
            assert outcome.kept and (await cells.run("rows = None; kept")).value == "1"


async def test_a_guest_that_leaves_says_how_and_is_replaced() -> None:
    async with Cells(Wasm(), FREE) as cells:
        left = await cells.run("import os; os._exit(3)")
        assert left.gone and "status 3" in left.gone.why
        assert (await cells.run("6 * 7")).value == "42"


# -- what it lacks -----------------------------------------------------------------------------------------------------


async def test_what_it_lacks_is_said_in_the_code() -> None:
    async with Cells(Wasm(), Policy(Limits(), imports=Imports(("numpy", "subprocess")))) as cells:

        async def message(code: str) -> str:
            outcome = await cells.run(code)
            assert outcome.error is not None and outcome.kept, outcome
            return f"{outcome.error.type}: {outcome.error.message}"

        assert await message("import numpy") == (
            "ModuleNotFoundError: No module named 'numpy': the sandbox 'wasm' has the standard library alone"
        )
        assert "can't start new thread" in await message("import threading; threading.Thread(target=print).start()")
        assert "processes" in await message("import subprocess; subprocess.run(['ls'])")
        assert "no process" in await message("import os; os.system('ls')")
        await message("import os; os.fork()")


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        (Policy(python="/usr/bin/python3"), "python"),
        (Policy(mounts=(Mount("/tmp"),)), "mounts"),
        (Policy(network=("example.org",)), "network"),
    ],
)
async def test_what_it_cannot_give_is_refused_when_it_is_asked_for(policy: Policy, word: str) -> None:
    with pytest.raises(UsageError, match=f"^{word}: the sandbox 'wasm'"):
        async with Cells(Wasm(), policy):
            pass


async def test_without_what_is_fetched_nothing_runs_and_the_command_is_named(nothing_fetched: None) -> None:
    with pytest.raises(SandboxUnavailable, match="codeact fetch wasm"):
        async with Cells(Wasm(), Policy()):
            pass


# -- the ways out ------------------------------------------------------------------------------------------------------

# Each is tried in the guest's own thread, and in a worker that the guest starts, where promises come to their end.
ATTEMPTS = """
const port = PORT, file = FILE;
const tried = {};
async function attempt(name, way) {
    try { tried[name] = "GOT OUT: " + String(await way()).slice(0, 80); }
    catch (error) { tried[name] = error.name; }
}
await attempt("read", () => Deno.readTextFile(file));
await attempt("read in time", () => Deno.readTextFileSync(file));
await attempt("read by node", async () => (await import("node:fs")).readFileSync(file));
await attempt("list", () => Deno.readDirSync("/").toArray());
await attempt("look", () => Deno.statSync(file).size);
await attempt("own files", () => Deno.readTextFileSync(new URL(PYODIDE)));
await attempt("write", () => Deno.writeTextFileSync(file + ".new", "x"));
await attempt("temporary", () => Deno.makeTempDirSync());
await attempt("link", () => Deno.symlinkSync(file, file + ".link"));
await attempt("environment", () => Deno.env.get("CODEACT_SECRET"));
await attempt("all of it", () => JSON.stringify(Deno.env.toObject()));
await attempt("environment by node", async () => (await import("node:process")).default.env.CODEACT_SECRET);
await attempt("program", () => new Deno.Command("id").outputSync());
await attempt("program by node", async () => (await import("node:child_process")).execSync("id"));
await attempt("signal", () => Deno.kill(Deno.ppid, "SIGTERM"));
await attempt("library", () => Deno.dlopen("libc.so.6", {}));
await attempt("native module", async () => (await import("node:module")).createRequire(file)(file + ".node"));
await attempt("connect", () => Deno.connect({ hostname: "127.0.0.1", port }));
await attempt("datagram", () => Deno.listenDatagram({ port: 0, transport: "udp" }));
await attempt("listen", () => Deno.listen({ port: 0 }));
await attempt("unix socket", () => Deno.connect({ transport: "unix", path: "/run/x" }));
await attempt("fetch", () => fetch(`http://127.0.0.1:${port}/`));
await attempt("fetch a file", () => fetch("file://" + file));
await attempt("name", () => Deno.resolveDns("example.org", "A"));
await attempt("import", () => import(`http://127.0.0.1:${port}/x.mjs`));
await attempt("import a host that is known", () => import("https://esm.sh/x"));
await attempt("import a file", () => import("file://" + file));
await attempt("import a package", () => import("npm:left-pad"));
await attempt("web socket", () => new Promise((done, fail) => {
    const way = new WebSocket(`ws://127.0.0.1:${port}/`);
    way.onopen = done;
    way.onerror = () => fail(new TypeError());
}));
await attempt("machine", () => Deno.hostname() + Deno.osRelease());
await attempt("interfaces", () => Deno.networkInterfaces());
await attempt("more rights", async () => {
    const asked = await Deno.permissions.request({ name: "read" });
    if (asked.state !== "granted") throw new TypeError();
});
await attempt("what is kept", async () => (await caches.open("x")).put("http://x/", new Response("x")));
await attempt("graphics", async () => {
    const card = await navigator.gpu?.requestAdapter();
    if (!card) throw new TypeError();
});
await attempt("rights of a worker", async () => {
    const text = `let got = ""; try { got = Deno.readTextFileSync(FILE) } catch {} self.postMessage(got)`;
    const worker = new Worker("data:text/javascript," + encodeURIComponent(text.replace("FILE", JSON.stringify(file))),
        { type: "module" });
    const got = await new Promise((done) => { worker.onmessage = (event) => done(event.data); });
    if (!got) throw new TypeError();
    return got;
});
"""

IN_A_WORKER = """
self.onmessage = async (event) => {
    ATTEMPTS
    const text = new TextEncoder().encode(JSON.stringify(tried));
    new Uint8Array(event.data).set(text, 4);
    Atomics.store(new Int32Array(event.data), 0, text.length);
    Atomics.notify(new Int32Array(event.data), 0);
};
"""

START = """
import js
shared = js.SharedArrayBuffer.new(1 << 16)
options = js.Object.new(); options.type = "module"
worker = js.Worker.new("data:text/javascript," + js.encodeURIComponent(source), options)
worker.postMessage(shared)
ended = js.Atomics.wait(js.Int32Array.new(shared), 0, 0, 15000)
length = js.Int32Array.new(shared).to_py()[0]
bytes(js.Uint8Array.new(shared).to_py()[4 : 4 + length]).decode()
"""


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


async def test_the_ways_out_through_deno_are_shut(
    listening: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    monkeypatch.setenv("CODEACT_SECRET", "canary")
    pyodide = next(data_home().glob("codeact/wasm/*/pyodide/pyodide.mjs"))
    attempts = ATTEMPTS.replace("PORT", str(listening.getsockname()[1])).replace("PYODIDE", repr(pyodide.as_uri()))
    source = IN_A_WORKER.replace("ATTEMPTS", attempts.replace("FILE", repr(str(secret)), 1))
    async with Cells(Wasm(), FREE) as cells:
        await cells.set(source=source)
        outcome = await cells.run(START)
        assert outcome.ok and outcome.value, outcome
        tried = json.loads(eval(outcome.value))
    assert len(tried) == attempts.count("await attempt(")
    assert not {name: how for name, how in tried.items() if how.startswith("GOT OUT")}
    with pytest.raises(BlockingIOError):
        listening.accept()
    assert os.listdir(tmp_path) == ["secret.txt"]


async def test_the_ways_out_through_python_are_shut(
    listening: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    monkeypatch.setenv("CODEACT_SECRET", "canary")
    port = listening.getsockname()[1]
    async with Cells(Wasm(), FREE) as cells:
        for code in (
            f"open({str(secret)!r}).read()",
            "import os; os.environ['CODEACT_SECRET']",
            "import os; os.kill(os.getppid(), 15)",
            f"import js; js.Deno.readTextFileSync({str(secret)!r})",
            "import js; js.Deno.env.toObject()",
            f"import js; js.process.getBuiltinModule('node:fs').readFileSync({str(secret)!r})",
            "import js; js.process.getBuiltinModule('node:child_process').execSync('id')",
            "import pyodide_js; pyodide_js.mountNodeFS('/host', '/')",
            "import pyodide_js as p; p.FS.mkdir('/h'); p.FS.mount(p.FS.filesystems.NODEFS, "
            "__import__('js').JSON.parse('{\"root\": \"/\"}'), '/h'); __import__('os').listdir('/h')",
            "import ctypes; ctypes.CDLL('libc.so.6')",
        ):
            outcome = await cells.run(code)
            assert outcome.error is not None and "canary" not in (outcome.value or ""), (code, outcome)
        sent = await cells.run(
            f"import socket\ns = socket.create_connection(('127.0.0.1', {port}), 1)\ns.sendall(b'x')\ns.recv(1)"
        )
        assert sent.error is not None
        assert "canary" not in str((await cells.run("import os; dict(os.environ)")).value)
    with pytest.raises(BlockingIOError):
        listening.accept()


async def test_what_one_session_leaves_another_does_not_find() -> None:
    leave = "open('/scratch/left', 'w').write('x'); open('/tmp/left', 'w').write('x'); import js; js.left = 1"
    find = "import os, js; ['left' in os.listdir(place) for place in ('/scratch', '/tmp')] + [hasattr(js, 'left')]"
    async with Cells(Wasm(), FREE) as cells:
        assert (await cells.run(leave)).ok
    async with Cells(Wasm(), FREE) as cells:
        assert (await cells.run(find)).value == "[False, False, False]"


async def test_a_guest_that_speaks_for_its_relay_is_ended_and_replaced() -> None:
    async with Cells(Wasm(), FREE) as cells:
        await cells.run("import js")
        lying = await cells.run("js.Deno.stdout.writeSync(js.Uint8Array.new([120] * 4096))\nwhile True: pass")
        assert lying.gone and lying.ended == "signal", lying
        assert (await cells.run("1")).value == "1"
        junk = "import js\nfor _ in range(1000): js.postMessage('nonsense'); js.postMessage(js.Uint8Array.new(9))\n7"
        assert (await cells.run(junk)).value == "7"


async def test_memory_of_the_program_round_python_is_watched_too() -> None:
    async with Cells(Wasm(), FREE) as cells:
        hog = "import js\nkept = []\nwhile True: kept.append(js.Uint8Array.new(1 << 24).fill(1))"
        outcome = await cells.run(hog)
        assert outcome.error is not None, outcome
        assert (await cells.run("1")).value == "1"


@pytest.mark.parametrize(
    "loop",
    [
        "while True: pass",
        "import js\npiece = js.Uint8Array.new(9)\nwhile True: js.Deno.stdin.readSync(piece)",
        "import js\nwhile True: js.postMessage(js.Uint8Array.new(9))",
    ],
    ids=["busy", "takes the host's words", "talks without end"],
)
def test_the_guest_dies_with_its_host_whatever_it_is_doing(loop: str) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", HOST.replace("LOOP", repr(f"looping()\n{loop}"))],
        stdout=subprocess.PIPE,
        env={**os.environ, "XDG_DATA_HOME": str(data_home())},
    )
    try:
        assert host.stdout is not None
        assert host.stdout.readline() == b"looping\n"
        (guest,) = [number for number in _processes() if _parent(number) == host.pid]
        host.kill()
        host.wait()
        deadline = time.monotonic() + 30
        while _parent(guest) is not None:
            assert time.monotonic() < deadline, "it lives on"
            time.sleep(0.02)
    finally:
        host.kill()
        host.wait()


HOST = """
import asyncio
from codeact.cells import Cells
from codeact.core.execution import ALL, Limits, Policy
from codeact.sandboxes.wasm import Wasm
from codeact.tools.function import as_tool

def looping() -> None:
    "It begins."
    print("looping", flush=True)

async def main():
    async with Cells(Wasm(), Policy(Limits(seconds=100), imports=ALL), [as_tool(looping)]) as cells:
        await cells.run(LOOP)

asyncio.run(main())
"""


def _processes() -> list[int]:
    if not Path("/proc/self/stat").exists():
        pytest.skip("there is no /proc to look into")
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _parent(number: int) -> int | None:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[1])
    return None
