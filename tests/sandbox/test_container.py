"""A guest in a container: the words that make the wall, and the wall itself, by a real engine on an image made here."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable, UsageError
from codeact.core.execution import ALL, MIB, Limits, Policy
from codeact.guest import relay
from codeact.sandboxes.container import Container
from codeact.testing import check_sandbox

FREE = Policy(Limits(seconds=20, memory=512 * MIB, threads=32, scratch=8 * MIB), imports=ALL)

# -- the words ---------------------------------------------------------------------------------------------------------

WALL = (
    "--rm --interactive --pull never --network none --ipc none --read-only --cap-drop ALL "
    "--security-opt no-new-privileges --pids-limit 34 --ulimit nproc=34:34 --ulimit nofile=1024:1024 "
    "--memory 746586112 --memory-swap 746586112 --entrypoint python3 box"
)


@pytest.mark.parametrize("engine", ["podman", "/opt/bin/docker"])
def test_the_wall_is_in_the_words_of_either_engine(engine: str) -> None:
    said = " ".join(Container("box").argv(engine, "name", FREE.limits))
    for words in re.findall(r"--\S+(?: [^-]\S*)?", WALL):
        assert f" {words} " in f"{said} ", words
    assert f"--volume {Path(relay.__file__).parent}:/codeact:ro" in said
    assert "--tmpfs /tmp:rw,nosuid,nodev,size=8388608,mode=1777" in said
    assert ("--http-proxy=false" in said) is (engine == "podman")


def test_no_two_containers_are_of_one_user() -> None:
    users = {
        re.findall(r"--user (\d+:\d+)", " ".join(Container("box").argv("podman", "x", Limits())))[0] for _ in "1234"
    }
    assert len(users) > 1 and "0:0" not in users


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("box", ["podman", "run"]),
        ("localhost:5000/box:1.2@sha256:ab?runtime=runsc", ["podman", "--runtime", "runsc", "run"]),
        ("box?engine=docker&runtime=runsc", ["podman", "--runtime", "runsc", "run"]),
        ("box?cpus=1.5", ["podman", "run"]),
    ],
)
def test_a_container_is_named_by_its_image_and_settings(words: str, expected: list[str]) -> None:
    argv = Container.of(words).argv("podman", "name", Limits())
    assert list(argv[: len(expected)]) == expected
    assert words.partition("?")[0] in argv
    assert ("--cpus" in argv) is ("cpus" in words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "not the name of an image"),
        ("--privileged", "not the name of an image"),
        ("box?engin=docker", "did you mean 'engine'"),
        ("box?engine=lxc", "podman or docker"),
        ("box?cpus=many", "many"),
        ("box?cpus=0", "above 0"),
    ],
)
def test_what_names_no_container_is_refused(words: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Container.of(words)


async def test_the_python_of_a_container_is_its_images() -> None:
    with pytest.raises(UsageError, match="leave out `python`"):
        async with Cells(Container("box"), Policy(python="/usr/bin/python3")):
            pass


async def test_an_engine_that_does_not_let_go_is_made_to(tmp_path: Path) -> None:
    """The command line is killed and the container would live on: it is removed by its name."""
    engine = tmp_path / "podman"
    (tmp_path / "mark").write_bytes(relay.MARK)
    engine.write_text(f'#!/bin/sh\n[ "$1" = run ] || {{ echo "$@" >>{tmp_path}/said; exit; }}\n'
                      f'cat {tmp_path}/mark; exec sleep 600\n')  # fmt: skip
    engine.chmod(0o755)
    async with Container("box", engine=str(engine)).launch(FREE, lambda *_: None):
        pass
    assert re.fullmatch(r"rm --force codeact-[0-9a-f]{16}\n", (tmp_path / "said").read_text())


# -- the wall ----------------------------------------------------------------------------------------------------------

PACKAGES = {"podman": "podman", "docker": "docker.io"}
NOT_NEEDED = re.compile(
    r"/(test|tests|idlelib|lib2to3|ensurepip|tkinter|site-packages|dist-packages|config-[^/]*)(/|$)"
)


def image_of_this_python() -> bytes:
    """A root with this Python, its library and what they are linked with; nothing else."""
    program = Path(sys.executable).resolve()
    library = Path(sysconfig.get_paths()["stdlib"]).resolve()
    linked = subprocess.run(
        ["ldd", program, *library.glob("lib-dynload/*.so")], capture_output=True, text=True, check=False
    ).stdout
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in ("tmp", "proc", "sys", "dev", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        files = sorted({str(program), *re.findall(r"(/\S+\.so\S*) \(", linked)})
        above = {
            folder
            for name in [*files, str(library), "/usr/bin/x"]
            for folder in Path(name).parents
            if folder != Path("/")
        }
        for folder in sorted(map(str, above)):  # an engine would make them for its own user alone
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name in files:
            tar.add(Path(name).resolve(), name, filter=_of_root)
        tar.add(library, str(library), filter=lambda entry: None if NOT_NEEDED.search(entry.name) else _of_root(entry))
        entry = tarfile.TarInfo("usr/bin/python3")
        entry.type, entry.linkname = tarfile.SYMTYPE, str(program)
        tar.addfile(entry)
    return packed.getvalue()


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.mode |= 0o444 | (0o111 if entry.isdir() or entry.mode & 0o100 else 0)
    return entry


@dataclass(frozen=True, slots=True)
class Image:
    name: str
    engine: str


@pytest.fixture(scope="module", params=["podman", "docker"])
def image(request: pytest.FixtureRequest, worker_name: str) -> Iterator[Image]:
    engine = str(request.param)
    if shutil.which(engine) is None:
        pytest.skip(f"no such engine here: the Debian package {PACKAGES[engine]} is absent")
    if engine == "docker" and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker daemon answers here")
    name = f"localhost/codeact-test-{worker_name}"
    done = subprocess.run([engine, "import", "-", name], input=image_of_this_python(), capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"{engine} takes no image here: {done.stderr.decode('utf-8', 'replace').strip()[-300:]}")
    yield Image(name, engine)
    subprocess.run([engine, "rmi", "--force", name], capture_output=True, check=False)


@pytest.fixture(scope="module")
def worker_name(tmp_path_factory: pytest.TempPathFactory) -> str:
    return re.sub(r"\W", "-", tmp_path_factory.getbasetemp().name + "-" + tmp_path_factory.getbasetemp().parent.name)


_running: dict[Image, str | None] = {}  # the runtime with which containers run here


@asynccontextmanager
async def standing(image: Image) -> AsyncIterator[Container]:
    """The wall, with whichever runtime of the engine runs here; where none does, the test says why it was not run."""
    reasons = []
    for runtime in [_running[image]] if image in _running else [None, "runc"]:
        wall = Container(image.name, engine=image.engine, runtime=runtime)
        try:
            async with Cells(wall, Policy()):
                _running[image] = runtime
        except SandboxUnavailable as unavailable:
            reasons.append(unavailable.cause)
            continue
        yield wall
        return
    absent = "" if shutil.which("runc", path="/usr/sbin:/usr/bin:/sbin:/bin") else "; the Debian package runc is absent"
    pytest.skip(f"{image.engine} runs no container here: {'; '.join(reasons)}{absent}")


async def test_a_guest_in_a_container_holds_the_contract(image: Image) -> None:
    async with standing(image) as wall:
        await check_sandbox(wall)


WAYS_OUT = """
import os, socket, subprocess
def tried(way):
    try: return repr(way())
    except OSError as error: return type(error).__name__
found = {
    "user": os.getuid() > 0 and os.getgid() > 0,
    "network": [name for _, name in socket.if_nameindex() if name != "lo"],
    "connect": tried(lambda: socket.create_connection(("192.0.2.1", 80), 1)),
    "root": [tried(lambda: open(p + "/x", "w")) for p in ("", "/usr", "/etc", "/codeact", "/run", "/dev/shm")],
    "relay": tried(lambda: open("/proc/1/environ").read()),
    "memory of the relay": tried(lambda: open("/proc/1/mem", "rb")),
    "scratch": tried(lambda: open("big", "wb").write(bytes(9 << 20))),
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "status": [line.split()[1] for line in open("/proc/self/status") if line[:6] in ("CapEff", "CapBnd", "NoNewP")],
}
os.remove("big")
os.kill(1, 9), os.kill(1, 19)
found
"""


async def test_the_ways_out_of_a_container_are_shut(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy")
    async with standing(image) as wall, Cells(wall, FREE) as cells:
        outcome = await cells.run(WAYS_OUT)
        assert outcome.ok and outcome.value is not None, outcome
        found = eval(outcome.value)
        assert found.pop("root") and "OSError" in outcome.value
        zeros = "0" * 16
        assert found == {
            "user": True,
            "network": [],
            "connect": "OSError",
            "relay": "PermissionError",
            "memory of the relay": "PermissionError",
            "scratch": "OSError",
            "processes": 2,
            "status": [zeros, zeros, "1"],
        }
        assert (await cells.run("'the relay was not ended, nor stopped'")).ok


async def test_processes_and_memory_of_a_container_are_bounded(image: Image) -> None:
    async with standing(image) as wall, Cells(wall, FREE) as cells:
        many = await cells.run(
            "import subprocess, sys\nalive = []\n"
            "while True: alive.append(subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE))"
        )
        assert many.error and many.error.type == "BlockingIOError", many
        few = await cells.run("n = len(alive)\nfor one in alive: one.kill(); one.wait()\nn")
        assert few.value is not None and 8 < int(few.value) < 34
        grown = await cells.run("rows = []\nwhile True: rows.append(b'x' * 100_000)")
        assert grown.error and grown.error.type in ("CellMemory", "MemoryError")
        assert (await cells.run("n")).value == (few.value if grown.kept else None)


async def test_no_container_is_left(image: Image) -> None:
    async with standing(image) as wall:
        async with Cells(wall, FREE) as cells:
            assert (
                await cells.run("import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)")
            ).error
            assert await _containers(image) == 1
        with anyio.fail_after(30):  # Docker removes it after its command has ended
            while await _containers(image):
                await anyio.sleep(0.1)


async def test_the_shipped_containerfile_makes_an_image_that_runs(image: Image) -> None:
    async with standing(image) as wall:
        folder = Path(relay.__file__).parent.parent / "sandboxes"
        base = ["--build-arg", f"BASE={image.name}", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
        runtime = ["--runtime", _running[image]] if _running[image] else []
        made = f"{image.name}-made"
        build = [image.engine, *runtime, "build", "--network", "none", "--tag", made, *base]
        build += ["--file", str(folder / "Containerfile"), str(folder)]
        built = await anyio.run_process(build, check=False)
        assert built.returncode == 0, built.stderr.decode()
        try:
            async with Cells(Container(made, engine=image.engine, runtime=_running[image]), FREE) as cells:
                assert (cells.level, (await cells.run("6 * 7")).value) == (wall.name, "42")
        finally:
            await anyio.run_process([image.engine, "rmi", "--force", made], check=False)


async def _containers(image: Image) -> int:
    listed = await anyio.run_process([image.engine, "ps", "--all", "--quiet", "--filter", f"ancestor={image.name}"])
    return len(listed.stdout.split())


async def test_an_image_that_is_not_here_is_not_pulled(image: Image) -> None:
    with pytest.raises(SandboxUnavailable, match=r"container: .*no-such-image"):
        async with Cells(Container("localhost/no-such-image", engine=image.engine), Policy()):
            pass
