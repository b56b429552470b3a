"""Walls that a command leads to: the guest is sent ahead of its words, and the way back is believed nothing."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import venv
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable, UsageError
from codeact.core.execution import ALL, MIB, Limits, Policy
from codeact.guest import relay
from codeact.guest.relay import MARK, Broken, Frames, frame
from codeact.sandboxes import child
from codeact.sandboxes.command import Command
from codeact.sandboxes.unconfined import Unconfined, UnconfinedWarning
from codeact.testing import check_sandbox
from codeact.tools.function import as_tool

HERE = Command([sys.executable])
FREE = Policy(Limits(seconds=20, memory=512 * MIB), imports=ALL)

WAYS = {
    "as it is": [sys.executable],
    "through a shell": ["sh", "-c", 'exec "$@"', "sh", sys.executable],
    "after words of a login": ["sh", "-c", 'echo Welcome.; echo You have mail. >&2; exec "$@"', "sh", sys.executable],
    "in a hand that takes little at once": ["sh", "-c", 'cat | "$@" | cat', "sh", sys.executable],
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_guest_behind_a_command_holds_the_contract(way: str) -> None:
    await check_sandbox(Command(WAYS[way]))


async def test_values_larger_than_what_is_under_way_at_once_cross_both_ways() -> None:
    async with Cells(HERE, FREE) as cells:
        assert cells.level == "command"
        sent = os.urandom(3 * relay.WINDOW + 1)
        await cells.set(data=sent)
        assert await cells.get("data") == sent


async def test_all_output_of_a_cell_comes_with_it() -> None:
    async with Cells(HERE, FREE) as cells:
        for number in range(20):
            outcome = await cells.run(f"import os; os.write(1, b'a' * {number * 5000}); os.write(2, b'b'); {number}")
            assert (len(outcome.stdout), outcome.stderr, outcome.value) == (number * 5000, "b", str(number))


async def test_memory_that_grows_ends_the_cell_and_not_the_variables() -> None:
    async with Cells(HERE, FREE) as cells:
        await cells.run("kept = 1")
        outcome = await cells.run(  # at the end no faster than the host looks, on a slow machine too
            "import time\nrows = ['x' * (400 << 20)]\nwhile True: rows.append('x' * (1 << 20)); time.sleep(0.01)"
        )
        assert outcome.error and outcome.error.type in ("CellMemory", "MemoryError"), outcome
        await cells.run("rows.clear()")
        large = await cells.run("bytearray(10**9)")
        assert large.error and large.error.type == "MemoryError"
        assert outcome.kept and (await cells.run("kept")).value == "1"


async def test_a_memory_that_is_nearly_full_can_be_looked_at_and_emptied_also_where_the_host_is_busy() -> None:
    async def busy() -> None:
        end = time.monotonic() + 0.02
        while time.monotonic() < end:  # so that the first look at the cell comes late
            pass

    async with Cells(HERE, FREE) as cells:
        outcome = await cells.run("rows = []\nwhile True: rows.append(bytes(100_000) + b'x')")
        assert outcome.kept and outcome.error and outcome.error.type == "CellMemory", outcome
        for _ in range(3):
            late = asyncio.create_task(busy())
            assert (await cells.run("len(rows) > 1000")).value == "True"
            await late
        assert (await cells.run("del rows\n'room'")).value == "'room'"


async def test_while_a_call_is_open_the_guests_own_time_counts_and_no_other() -> None:
    answered = asyncio.Event()

    async def wait() -> bool:
        """Waits longer than a cell may take, or until the cell has ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(answered.wait(), 1)
        return True

    policy = Policy(Limits(seconds=0.5), imports=ALL)
    async with Cells(HERE, policy, [as_tool(wait)]) as cells:
        assert (await cells.run("wait()")).value == "True"
        burn = (
            "def burn():\n    while True: pass\nimport threading; threading.Thread(target=burn, daemon=True).start()\n"
        )
        burnt = await cells.run(burn + "while True: wait()")
        assert burnt.ended == "timeout"


async def test_a_guest_that_ends_its_relay_is_replaced() -> None:
    async with Cells(HERE, FREE) as cells:
        outcome = await cells.run("import os, signal, time; os.kill(os.getppid(), signal.SIGKILL); time.sleep(30)")
        assert (outcome.ended, outcome.kept) == ("signal", False)
        assert outcome.gone and "SIGKILL" in outcome.gone.why
        assert (await cells.run("2")).value == "2"


async def test_a_guest_that_stops_its_relay_is_ended_in_time() -> None:
    async with Cells(HERE, Policy(Limits(seconds=0.5, grace=0.1), imports=ALL)) as cells:
        stop = "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nwhile True: pass"
        outcome = await asyncio.wait_for(cells.run(stop), 60)
        assert (outcome.ended, outcome.kept) == ("timeout", False)


async def test_what_a_cell_started_is_ended_with_it() -> None:
    async with Cells(HERE, FREE) as cells:
        started = await cells.run("import subprocess; subprocess.Popen(['sleep', '600']).pid")
        assert started.value is not None
        number = int(started.value)
        assert _runs(number)
    deadline = time.monotonic() + 30
    while _runs(number):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


async def test_nothing_of_it_is_left_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    async with Cells(HERE, FREE) as cells:  # whatever the loop opens once is open from here on
        assert (await cells.run("1")).ok
    before = os.listdir("/proc/self/fd")
    async with Cells(HERE, FREE) as cells:
        assert len(os.listdir(tmp_path)) == 1
        assert (await cells.run("open('note', 'w').write('x')")).ok
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert os.listdir(tmp_path) == []


async def test_the_guest_gets_no_variables_of_yours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")
    async with Cells(HERE, FREE) as cells:
        outcome = await cells.run("import os; sorted(os.environ)")
        assert outcome.value is not None
        assert set(eval(outcome.value)) <= {"HOME", "LANG", "LC_CTYPE", "PATH", "PYTHONHASHSEED", "TMPDIR"}


# -- commands that lead nowhere ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "cause"),
    [
        (["/no/such/program"], "/no/such/program: No such file"),
        (["sh", "-c", "echo 'Permission denied (publickey).' >&2; exit 255"], "status 255: Permission denied"),
        (["true"], "true ended with status 0"),
        (["sh", "-c", "yes"], "not that of a guest"),
        (["sh", "-c", "kill -9 $$"], "SIGKILL"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_command_without_a_guest_is_refused_in_its_own_words(argv: list[str], cause: str) -> None:
    with pytest.raises(SandboxUnavailable, match="sandbox not available: command: ") as refused:
        async with Cells(Command(argv), Policy()):
            pass
    assert cause in refused.value.cause
    assert argv[0] in refused.value.mend


async def test_a_python_elsewhere_is_not_asked_for_of_a_command() -> None:
    with pytest.raises(UsageError, match="leave out `python`"):
        async with Cells(HERE, Policy(python="/usr/bin/python3")):
            pass


@pytest.mark.parametrize(
    ("argv", "error"),
    [([], UsageError), (["python3", "-"], UsageError), ("ssh box", TypeError), ([b"ssh"], TypeError)],
)
def test_what_is_no_command_is_refused(argv: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        Command(argv)  # type: ignore[arg-type]


# -- the way back is believed nothing ----------------------------------------------------------------------------------

LIES = {
    "no kind": frame(b"?", b""),
    "a word of the host": frame(b"s", b"{}"),
    "a frame too long": struct.pack(">cI", b"o", 1 << 31),
    "more taken than given": frame(b"t", relay.TAKEN.pack(1)),
    "taken, cut": frame(b"t", b"\0"),
    "a time that is none": frame(b"u", relay.USAGE.pack(1, float("nan"), 1)),
    "usage, cut": frame(b"u", b"\0"),
    "an end that is none": frame(b"x", b"exit now"),
    "a long end": frame(b"x", b"exit 00000000000000000000000000000"),
}


def says(data: bytes, then: str, folder: Path) -> child.Command:
    """A relay that says this as soon as it has heard the first byte of the host."""
    (folder / "mark").write_bytes(MARK)
    (folder / "said").write_bytes(data)
    argv = ["sh", "-c", f"cd {folder}; cat mark; head -c 1 >heard; cat said; {then}"]
    return child.Command("command", argv, "", folder="/nowhere")


@pytest.mark.parametrize("lie", LIES)
async def test_what_no_relay_says_ends_the_guest(lie: str, tmp_path: Path) -> None:
    liar = says(LIES[lie], "exec sleep 60", tmp_path)
    async with child.started(liar, Limits(), lambda *_: None) as pipe:
        assert await pipe.receive() == b""
        death = await asyncio.wait_for(pipe.ended(), 30)
        assert death.kind == "signal" and "not that of a guest" in death.detail
        with pytest.raises(OSError):
            await pipe.send(b"x")


async def test_a_flood_on_the_wire_waits_and_comes_whole(tmp_path: Path) -> None:
    flood = says(100 * frame(b"w", b"x" * relay.CHUNK) + frame(b"x", b"exit 3"), "exit 0", tmp_path)
    async with child.started(flood, Limits(), lambda *_: None) as pipe:
        total = 0
        while data := await pipe.receive():
            total += len(data)
        assert total == 100 * relay.CHUNK
        assert (await pipe.ended()).detail == "status 3"


def test_frames_cut_anywhere_are_the_same() -> None:
    frames = [(b"o", b"out"), (b"w", b""), (b"t", bytes(4)), (b"w", b"x" * 300)]
    data = b"".join(frame(*one) for one in frames)
    for cut in range(len(data) + 1):
        decoder = Frames(relay.TO_HOST)
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) == frames


@pytest.mark.parametrize(("kind", "size"), [(b"w", relay.CHUNK + 1), (b"i", 0), (b"\0", 0)])
def test_a_frame_that_is_not_of_its_way_is_refused_by_its_head(kind: bytes, size: int) -> None:
    with pytest.raises(Broken):
        Frames(relay.TO_HOST).feed(struct.pack(">cI", kind, size))


# -- unconfined --------------------------------------------------------------------------------------------------------


async def test_no_sandbox_says_so_at_every_start() -> None:
    for _ in range(2):
        with pytest.warns(UnconfinedWarning, match="confines nothing"):
            async with Cells(Unconfined(), Policy()) as cells:
                assert cells.level == "unconfined"
                assert (await cells.run("40 + 2")).value == "42"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    venv.create(tmp_path / "env", symlinks=True)
    (folder,) = (tmp_path / "env").glob("lib/python3*/site-packages")
    (folder / "only_there.py").write_text("answer = 42\n")
    return tmp_path / "env"


async def test_no_sandbox_takes_the_packages_of_an_environment(environment: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnconfinedWarning)
        async with Cells(Unconfined(), Policy(python=str(environment), imports=ALL)) as cells:
            assert (await cells.run("import only_there; only_there.answer")).value == "42"
        with pytest.raises(UsageError, match="no Python there"):
            async with Cells(Unconfined(), Policy(python=str(environment / "none"))):
                pass


# -- a real ssh --------------------------------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path: Path) -> Iterator[list[str]]:
    """The words that reach a machine by ssh: this one, by a server of this user's own."""
    server = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    if server is None or shutil.which("ssh") is None:
        pytest.skip("no ssh server here: the Debian package openssh-server is absent")
    if os.getuid() == 0 and not Path("/run/sshd").is_dir():
        Path("/run/sshd").mkdir(mode=0o755)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    (tmp_path / "allowed").write_bytes((tmp_path / "user.pub").read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/allowed\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\nPrintMotd no\n"
    )
    with subprocess.Popen([server, "-D", "-e", "-f", tmp_path / "config"], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"listening on" in line:
                break
        else:
            pytest.skip("the ssh server of this machine does not start")
        options = ["-F", "none", "-i", tmp_path / "user", "-o", f"UserKnownHostsFile={tmp_path}/known"]
        options += ["-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-p", port]
        yield ["ssh", "-T", *map(str, options), f"{getpass.getuser()}@127.0.0.1"]
        process.terminate()


async def test_a_guest_on_another_machine_holds_the_contract(host: list[str]) -> None:
    await check_sandbox(Command([*host, sys.executable]))


async def test_a_machine_that_refuses_the_key_is_not_available(host: list[str], tmp_path: Path) -> None:
    (tmp_path / "allowed").write_text("")
    with pytest.raises(SandboxUnavailable, match="Permission denied"):
        async with Cells(Command([*host, sys.executable]), Policy()):
            pass
