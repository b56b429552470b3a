"""What the host must see to itself, by the ids of the list of ways out: one test a check, with real sessions."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import subprocess
import sys
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from canaries import Canaries, belongings, left_over
from sessions import FREE, LEVELS, session_at
from talk import HERE, descendants
from throwaway import ablated, missing

import codeact
from codeact import ALL, NONE, CodeAgent, Interpreter, UsageError, tool
from codeact.api.vocabulary import imports_of
from codeact.cells import Cells
from codeact.core.execution import Imports, Mount, Policy
from codeact.guest import wire
from codeact.sandboxes.linux import LinuxSandbox, uninstalled
from codeact.sandboxes.linux.environment import Environment
from codeact.sandboxes.linux.launchers import SHIPPED, Parts
from codeact.testing import ScriptedModel

BIN = Path(sys.executable).parent

BACKGROUND = """
import threading, time
running, stop = threading.Event(), threading.Event()
def talk():
    while not stop.is_set():
        print("from the past")
        running.set()
        time.sleep(0.001)
thread = threading.Thread(target=talk, daemon=True)
thread.start()
running.wait()
"""


async def test_sg_14_what_a_thread_of_an_earlier_cell_prints_is_no_later_cells_output(
    level: str, host: Canaries
) -> None:
    async with session_at(level, host) as session:
        assert "from the past" in (await session.run(BACKGROUND)).stdout
        second = await session.run("running.clear(); running.wait(); print('B'); running.clear(); running.wait()")
        assert second.stdout == "B\n"
        assert any("left out" in note for note in second.notes)
        assert (await session.run("stop.set(); thread.join()")).stdout == ""
        code = "worker = threading.Thread(target=print, args=('mine',)); worker.start(); worker.join()"
        third = await session.run(code)
        assert (third.stdout, third.notes) == ("mine\n", ())


async def test_sg_14_a_thread_that_is_lent_to_a_later_cell_prints_for_it(host: Canaries) -> None:
    async with session_at("full", host) as session:
        await session.run("import asyncio\nawait asyncio.to_thread(print, 'one')")
        assert (await session.run("await asyncio.to_thread(print, 'two')")).stdout == "two\n"


# -- secrets ---------------------------------------------------------------------------------------------------------


def memory_of(pid: int) -> Iterable[bytes]:
    """All that a process has in memory, region by region."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            first, last = (int(place, 16) for place in line.split()[0].split("-"))
            if line.split()[1].startswith("r") and "[v" not in line:
                try:
                    memory.seek(first)
                    yield memory.read(last - first)
                except (OSError, ValueError, OverflowError):
                    continue


def holders(needle: bytes, pids: Iterable[int]) -> set[int]:
    return {pid for pid in pids if any(needle in region for region in memory_of(pid))}


@pytest.mark.skipif(os.geteuid() != 0, reason="en-04: only root may read the memory of a locked process")
def test_en_04_no_page_of_a_sandbox_holds_a_secret_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, prompt, other = (f"{name}-{secrets.token_hex(16)}" for name in ("sk", "prompt", "other"))
    monkeypatch.setenv("OPENAI_API_KEY", key)
    entry = tmp_path / "fresh.py"  # a launcher that starts now, when the key is there
    entry.symlink_to(SHIPPED.entry)
    sandbox = LinuxSandbox(_parts=Parts(entry=entry))
    found: dict[str, int] = {}

    @tool
    def look(mine: str) -> None:
        """Look through the memory of all sandboxes."""
        pids = {pid for pid in descendants() if str(entry) in Path(f"/proc/{pid}/cmdline").read_text()}
        for name, secret in {"key": key, "prompt": prompt, "mine": mine}.items():
            found[name] = len(holders(secret.encode(), pids))
        found["other"] = len(holders(other.encode(), pids))
        found["processes"] = len(pids)

    word = "the cell's own text"
    script = ScriptedModel(f"```python\nmine = {word!r}\nlook(mine)\nfinal_answer(1)\n```")
    with Interpreter(sandbox=sandbox) as python:
        python.set(text=other)
        agent = CodeAgent(model=script, tools=[look], instructions=prompt, secrets=[key], sandbox=sandbox)
        assert agent.run("Look.").output == 1
    assert prompt in str(script.prompts[0])
    assert found.pop("processes") >= 4
    assert found.pop("other") == 1, "of the other session's text, only its own process knows"
    assert found.pop("mine") == 1, "what a session has is found: the search works"
    assert found == {"key": 0, "prompt": 0}


async def test_en_10_of_an_error_on_the_host_a_cell_gets_the_class_and_the_masked_message(
    level: str, host: Canaries
) -> None:
    def broken() -> None:
        """Breaks."""
        password = host.secret
        try:
            raise KeyError(password)
        except KeyError as cause:
            raise OSError(f"no {password} in {Path.home()}/keys.txt") from cause

    seen = """
try: broken()
except Exception as error: caught = error
told = [type(caught).__name__, str(caught), repr(caught.args), repr(caught.__cause__), repr(caught.__context__)]
frame, files = caught.__traceback__, []
while frame: files.append(frame.tb_frame.f_code.co_filename); frame = frame.tb_next
told, files
"""
    agent = CodeAgent(
        model=ScriptedModel(f"```python\n{seen}\nfinal_answer([told, files])\n```"),
        tools=[broken],
        secrets=[host.secret],
        sandbox=LEVELS[level],
    )
    result = await agent.arun("Try.")
    told, files = result.output
    assert told[0] == "OSError" and told[3:] == ["None", "None"]
    assert host.secret not in str(told) and str(Path.home()) + "/" not in str(told)
    assert not [name for name in files if str(HERE) in name]


# -- the wire --------------------------------------------------------------------------------------------------------


async def test_nt_16_descriptors_that_a_guest_sends_are_never_received(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(f"nt-16: a guest without its filter cannot be had here: {why}")
    entry = ablated(tmp_path, frozenset(("seccomp",)), False, "", [])
    before = belongings()
    sandbox = LinuxSandbox("full", _parts=Parts(entry=entry))
    async with Cells(sandbox, FREE) as cells:
        standing = belongings()["descriptors"]
        outcome = await cells.run(f"""
import array, os, socket
channel = socket.socket(fileno=os.dup(3))
passed = array.array("i", [os.open("/dev/zero", os.O_RDONLY) for _ in range(250)])
channel.sendmsg([{wire.encode(wire.Ready("3"))!r}], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
""")
        assert outcome.error is not None and "protocol" in outcome.error.message
        assert belongings()["descriptors"] <= standing
        assert (await cells.run("6 * 7")).value == "42"
    launcher_and_its_watch = ("descriptors", "processes")
    assert not left_over({**before, **{what: belongings()[what] for what in launcher_and_its_watch}})


FORGED = """
import gc, json, os, struct
calls = next(one for one in gc.get_objects() if type(one).__name__ == "Calls")
fields = {"w": "Call", "b": [], "nonce": NONCE, "id": 10**6, "tool": "look", "arguments": [[[], {}], 0, 0]}
header = json.dumps(fields).encode()
os.write(3, struct.pack(">II", 4 + len(header), len(header)) + header)
"done"
"""


async def test_wr_16_a_cell_that_writes_to_the_channel_has_a_cells_rights_and_no_more(
    level: str, host: Canaries
) -> None:
    async with session_at(level, host) as session:
        garbage = await session.run("import os; os.write(3, b'\\xff' * 64)")
        assert garbage.error is not None and garbage.error.type == "SandboxDied" and not garbage.kept
        stale = await session.run(FORGED.replace("NONCE", "'0' * 16"))
        assert stale.error is not None and stale.error.type == "SandboxDied"
        own = await session.run(FORGED.replace("NONCE", "calls._nonce"))
        assert own.value == "'done'"  # a call like any other: of a tool that is not there
    async with session_at(level, host, replace(FREE, limits=replace(FREE.limits, seconds=0.3, grace=0.1))) as session:
        thief = "import os, threading; threading.Thread(target=os.read, args=(3, 1 << 16), daemon=True).start()"
        assert (await session.run(thief)).ok
        assert (await session.run("1")).ended in ("done", "timeout", "exit", "signal")
        found = [(await session.run("6 * 7")).value for _ in range(2)]
        assert found.count("42") >= 1  # the thief has one read, and may have it at any of these cells


# -- what a user's machine has lying about ---------------------------------------------------------------------------


def test_ip_16_no_variable_of_the_hosts_environment_reaches_the_guest(tmp_path: Path) -> None:
    for name in ("sitecustomize", "usercustomize", "json"):
        source = "" if name == "json" else f"open({str(tmp_path / 'ran')!r}, 'a').write('{name}')"
        (tmp_path / f"{name}.py").write_text(source)
    program = (
        "from codeact import Interpreter\n"
        "with Interpreter(imports=['os', 'sys']) as python:\n"
        "    print(python.run('import os, sys; print(sorted(os.environ), sys.path, sorted(sys.modules))').stdout)\n"
    )
    hostile = {
        **{
            name: str(tmp_path)
            for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "GCONV_PATH", "LOCPATH", "PYTHONPYCACHEPREFIX")
        },
        "PYTHONSTARTUP": str(tmp_path / "json.py"),
        "PYTHONINSPECT": "",
        "PYTHONWARNINGS": "always",
        "SSLKEYLOGFILE": str(tmp_path / "keys"),
        "MALLOC_PERTURB_": "7",
    }
    environ = {**os.environ, **hostile, "PYTHONPATH": f"{tmp_path}:{Path(codeact.__file__).parents[1]}"}
    (tmp_path / "json.py").unlink()  # the host's own imports are the user's to lead astray
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stdout and "customize" not in done.stdout
    assert not re.search(r"'(LD_|MALLOC_|GCONV|LOCPATH|SSLKEY|PYTHON(?!HASHSEED))", done.stdout.partition("]")[0])
    assert not (tmp_path / "keys").exists()


async def test_ip_17_modules_that_a_session_leaves_lying_are_imported_by_nobody(
    level: str, host: Canaries, tmp_path: Path
) -> None:
    names = ("usercustomize.py", "sitecustomize.py", "x.pth", "json.py", "decimal.py")
    async with session_at(level, host) as session:
        wrote = await session.run(f"""
import asyncio
import os
for folder in (os.getcwd(), os.environ["HOME"], os.environ["TMPDIR"]):
    for name in {names!r}: open(os.path.join(folder, name), "w").write("raise SystemExit('taken over')")
""")
        assert wrote.ok
        async with session_at(level, host) as other:
            assert (await other.run("import json, decimal; json.loads('1'), decimal.Decimal(2)")).ok
    for name in names:
        (tmp_path / name).write_text("raise SystemExit('taken over')")
    done = await asyncio.to_thread(
        subprocess.run,
        [BIN / "codeact", "exec", "-c", "import json; json.loads('42')"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "taken over" in done.stdout + done.stderr) == (0, False), done.stderr


def test_ip_21_no_way_of_naming_few_imports_means_many() -> None:
    assert imports_of([]) == Imports((), base=True) and not imports_of([]).everything
    assert imports_of(ALL).everything and not imports_of(NONE).everything
    for wrong in ("pandas", ["*"], ["pandas.*"]):
        with pytest.raises((TypeError, UsageError)):
            imports_of(wrong)


def test_what_may_be_imported_is_looked_for_wherever_that_python_would(tmp_path: Path) -> None:
    (installed := tmp_path / "site").mkdir()
    (installed / "paths.pth").write_text(f"import nothing\n{tmp_path / 'more'}\n")
    (installed / "compiled.cpython-399-x86_64-linux-gnu.so").touch()
    for folder in ("site/package", "more/beyond", "mounted/mine", "lib/python3.99/ours"):
        (tmp_path / folder).mkdir(parents=True)
    one = Environment("/a/python", (3, 99, 0), "/a", (str(installed),), (str(tmp_path / "lib"),), ())
    names = ("package.part", "compiled", "beyond", "mine", "ours", "json", "absent", "absent.too")
    policy = Policy(imports=Imports(names), mounts=(Mount(str(tmp_path / "mounted")),))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(2):
            uninstalled.warn_of(policy, one)
    assert [str(one.message).partition(":")[2][:38] for one in told] == [" 'absent' is not installed in /a/pytho"]
