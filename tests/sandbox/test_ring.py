"""The control group round every session: where one can be made, what it bounds, and that none is left.

Version 1 is this machine's, where it lets us. Version 2 is a tree of files that stands for it: who makes a folder there
puts the kernel's files into it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from talk import at, descendants, sandbox, session, until

from codeact.sandboxes.linux import LinuxSandbox, cgroups
from codeact.sandboxes.linux.cgroups import Place
from codeact.sandboxes.linux.pool import POOL
from codeact.sandboxes.linux.report import inspect
from codeact.sandboxes.linux.ring import Bounds, Ring, bounds, open_ring

MIB = 1 << 20
ALL = ("memory", "pids", "cpu")
FILES = {
    "cgroup.procs": "",
    "cgroup.controllers": "cpuset cpu io memory pids\n",
    "cgroup.subtree_control": "",
    "cgroup.type": "domain\n",
    "memory.max": "",
    "memory.events": "low 0\noom 0\noom_kill 0\n",
    "pids.max": "",
    "cpu.weight": "",
}


# -- where a group can be made: version 2, as a tree of files ----------------------------------------------------------


class Kernel:
    """What the kernel does when a group is made or removed."""

    def mkdir(self, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        os.mkdir(path, mode, dir_fd=dir_fd)
        for name, text in FILES.items():
            Path(_of(path, dir_fd), name).write_text(text)

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        folder = _of(path, dir_fd)
        if (folder / "cgroup.procs").read_text():
            raise OSError(16, "Device or resource busy")
        for name in FILES:
            (folder / name).unlink()
        os.rmdir(path, dir_fd=dir_fd)


def _of(path: str, dir_fd: int | None) -> Path:
    return Path(path if dir_fd is None else f"/proc/self/fd/{dir_fd}/{path}")


class Tree:
    """A machine with version 2, on which we are in the group `own`, with others or without."""

    def __init__(self, folder: Path, own: str, *, root: str = "/") -> None:
        self.proc, self.point = folder / "proc", folder / "mount"
        self.proc.mkdir()
        Kernel().mkdir(str(self.point))
        (self.point / "cgroup.type").unlink()  # the root has none
        self.own = self.point
        for part in own.removeprefix(root).strip("/").split("/"):
            if part:
                self.own = self.own / part
                Kernel().mkdir(str(self.own))
        (self.own / "cgroup.procs").write_text(f"{os.getpid()}\n")
        mount = f"30 24 0:26 {root} {self.point} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
        (self.proc / "mountinfo").write_text(f"24 1 8:1 / / rw - ext4 /dev/sda rw\n{mount}\n")
        (self.proc / "cgroup").write_text(f"0::{own}\n")

    def places(self) -> list[Place]:
        return cgroups.places(str(self.proc))


def test_a_group_that_hands_its_controllers_on_is_divided(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "/user.slice/mine")
    (tree.own / "cgroup.subtree_control").write_text("memory pids\n")
    assert tree.places() == [Place(str(tree.own), 2, ("memory", "pids"))]


def test_a_group_with_processes_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    assert Tree(tmp_path, "/user.slice/mine").places() == []


def test_the_root_may_have_processes_and_be_divided(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "/")
    assert tree.places() == [Place(str(tree.point), 2, ALL, ALL)]


def test_a_parent_is_divided_where_it_was_handed_over_and_holds_nobody(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "/system.slice/our.service/host")
    assert tree.places() == []
    try:
        os.setxattr(tree.own.parent, "user.delegate", b"1")
    except OSError as error:
        pytest.skip(f"the files of the tests keep no extended attributes: {error}")
    assert tree.places() == [Place(str(tree.own.parent), 2, ALL, ALL)]
    (tree.own.parent / "cgroup.procs").write_text("7\n")
    assert tree.places() == []


def test_a_group_that_is_not_ours_to_write_is_left_alone(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everything")
    tree = Tree(tmp_path, "/session.scope")
    (tree.own / "cgroup.subtree_control").write_text("memory pids\n")
    (tree.own / "cgroup.procs").chmod(0o444)
    assert tree.places() == []


def test_in_a_container_our_group_lies_where_its_mount_begins(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "/docker/1234/app", root="/docker/1234")
    (tree.own / "cgroup.subtree_control").write_text("pids\n")
    assert tree.places() == [Place(str(tree.point / "app"), 2, ("pids",))]
    (tree.proc / "cgroup").write_text("0::/../elsewhere\n")
    assert tree.places() == []


def test_what_version_2_does_not_have_is_taken_of_version_1(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "/")
    (tree.point / "cgroup.controllers").write_text("cpu hugetlb\n")
    lines = ""
    for names in ("memory", "cpu,cpuacct", "pids"):
        folder = tmp_path / names / "ours here"
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text("")
        lines += f"31 24 0:27 / {tmp_path / names} rw - cgroup cgroup rw,{names}\n"
    with (tree.proc / "mountinfo").open("a") as file:
        file.write(lines)
    (tree.proc / "cgroup").write_text("9:pids:/ours here\n4:memory:/ours here\n2:cpu,cpuacct:/\n0::/\n")
    assert tree.places() == [
        Place(str(tree.point), 2, ("cpu",), ("cpu",)),
        Place(str(tmp_path / "memory" / "ours here"), 1, ("memory",)),
        Place(str(tmp_path / "pids" / "ours here"), 1, ("pids",)),
    ]


def test_a_machine_without_proc_has_none(tmp_path: Path) -> None:
    assert cgroups.places(str(tmp_path / "nowhere")) == []


# -- what is written there ---------------------------------------------------------------------------------------------


def opened(tree: Tree) -> Ring:
    ring = open_ring(tree.places(), Kernel())
    assert ring is not None
    return ring


def test_a_ring_of_version_2_bounds_memory_and_threads_and_weighs_less(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "/")
    ring = opened(tree)
    assert ring.told == "memory, pids, cpu (version 2)"
    name = ring.make(Bounds(1 << 30, 80))
    (launcher,) = tree.own.glob("codeact-*")
    for folder in (tree.own, launcher):
        assert (folder / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    assert (launcher / "cpu.weight").read_text() == "50"
    assert (launcher / name / "memory.max").read_text() == str(1 << 30)
    assert (launcher / name / "pids.max").read_text() == "80"
    ring.enter(name)
    assert (launcher / name / "cgroup.procs").read_text() == "0"
    assert not ring.overran(name)
    (launcher / name / "memory.events").write_text("oom 1\noom_kill 1\n")
    assert ring.overran(name)


def test_a_group_that_is_not_empty_yet_is_swept_later(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "/")
    ring = opened(tree)
    name = ring.make(Bounds(1 << 30, 80))
    (launcher,) = tree.own.glob("codeact-*")
    (launcher / name / "cgroup.procs").write_text("77\n")
    ring.remove(name)
    assert ring.left and (launcher / name).exists()
    (launcher / name / "cgroup.procs").write_text("")
    ring.sweep()
    assert not ring.left and not (launcher / name).exists()
    ring.close()
    assert not launcher.exists()


def test_what_a_killed_launcher_left_is_cleared_by_the_next_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "/")
    living = opened(tree)
    kept = living.make(Bounds(1 << 30, 80))
    (mine,) = tree.own.glob("codeact-*")
    Kernel().mkdir(str(tree.own / "codeact-left"))
    Kernel().mkdir(str(tree.own / "codeact-left" / "3"))
    Kernel().mkdir(str(tree.own / "codeact-dying"))
    Kernel().mkdir(str(tree.own / "codeact-dying" / "1"))
    (tree.own / "codeact-dying" / "1" / "cgroup.procs").write_text("77\n")
    opened(tree).close()
    assert {path.name for path in tree.own.glob("codeact-*")} == {mine.name, "codeact-dying"}
    assert (mine / kept).exists()
    living.remove(kept)
    living.close()


def test_the_bounds_lie_above_all_that_a_session_is_told_it_may_have() -> None:
    given = dict(memory=1 << 30, threads=64, scratch=256 * MIB, inodes=10_000, shared=100 * MIB)
    ring = bounds(**given)
    assert ring.memory > given["memory"] + given["scratch"] + given["shared"]
    assert ring.threads > given["threads"]


# -- on this machine ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=("full", "plain"))
def wall(request: pytest.FixtureRequest) -> LinuxSandbox:
    _needs_a_ring()
    return at(str(request.param))


def _needs_a_ring() -> None:
    ring = open_ring(cgroups.places())
    holds = ring is not None and ring.holds()
    if ring is not None:
        ring.close()
    if not holds:
        pytest.skip("no control group can be made on this machine, or not by this user")


def groups() -> set[Path]:
    """The groups of sessions that launchers of this process have."""
    found = set()
    for pid in descendants():
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                path = Path(os.readlink(link))
                found |= {each for each in path.glob("[0-9]*") if path.name.startswith("codeact-") and each.is_dir()}
            except OSError:
                continue
    return found


def members(group: Path) -> str:
    return (group / "cgroup.procs").read_text()


async def test_a_session_is_in_a_group_of_its_own_which_goes_with_it(wall: LinuxSandbox) -> None:
    POOL.empty()  # what other tests have left on its shelves is in groups too
    others = groups()  # and so are the sessions of theirs that are kept for whoever goes on
    async with session(wall):
        before = groups()
    assert until(lambda: not [group for group in groups() - others if members(group)])
    async with session(wall) as ask:
        made = groups() - before
        assert made and all(len(members(group).split()) == 1 for group in made)
        assert len({members(group) for group in made}) == 1, "one process, in each hierarchy"
        await ask("result = 1")
    assert until(lambda: not made & groups())


async def test_what_overruns_everything_else_is_ended_by_the_ring_and_told_as_memory() -> None:
    _needs_a_ring()
    async with session(sandbox("limits_left_out"), memory=64 * MIB, scratch=MIB, inodes=100) as ask:
        await ask.tell("held = []\nwhile True: held.append(bytearray(1 << 20))")
        assert (await ask.pipe.ended()).kind == "memory"
    async with session(sandbox("limits_left_out")) as ask:
        assert await ask("result = 6 * 7") == 42


async def test_threads_are_bounded_by_the_ring_where_nothing_else_counts_them() -> None:
    _needs_a_ring()
    async with session(sandbox("limits_left_out"), threads=16) as ask:
        made = await ask("""
import threading
stop = threading.Event()
result = 0
try:
    while result < 500:
        threading.Thread(target=stop.wait).start()
        result += 1
except RuntimeError:
    pass
stop.set()
""")
    assert 16 <= made <= 32


async def test_the_groups_of_a_launcher_that_was_killed_are_cleared_by_the_next(wall: LinuxSandbox) -> None:
    async with session(wall) as other, session(sandbox("limits_left_out")):
        kept = groups()
        left = {Path(place.path) for place in cgroups.places()}
        ours = {pid for pid in descendants() if "limits_left_out" in _command(pid)}
        for pid in ours:
            with contextlib.suppress(ProcessLookupError):  # it went with the one before
                os.kill(pid, signal.SIGKILL)
        assert until(lambda: not ours & descendants() or all(_is_dead(pid) for pid in ours))
        async with session(sandbox("limits_left_out")):
            now = {group for place in left for group in place.glob("codeact-*/[0-9]*")}
        assert kept - now, "those of the killed one are gone"
        assert await other("result = 'alive'") == "alive"
        assert [group for group in kept & now if members(group)]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_the_doctor_says_whether_there_is_a_ring_and_it_is_no_part_of_the_level() -> None:
    found = inspect()
    ring = next(layer for layer in found.layers if layer.name == "cgroup")
    assert ring.ok or "not needed" in ring.reason or found.level is None
    assert not ring.tried
