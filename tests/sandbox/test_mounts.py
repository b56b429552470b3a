"""Folders of the host's that code sees: to read, or to change as well, and what stays closed all the same."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from canaries import belongings
from sessions import LEVELS

from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable, UsageError
from codeact.core.execution import ALL, Limits, Mount, Policy
from codeact.sandboxes.command import Command
from codeact.sandboxes.container import Container
from codeact.sandboxes.linux import folders, launchers, mounts
from codeact.sandboxes.linux.environment import find
from codeact.sandboxes.linux.layers import Refused
from codeact.sandboxes.unconfined import Unconfined

ROOT = os.getuid() == 0


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that all users of the machine may read, on a way that is open to them."""
    folder = Path(tempfile.mkdtemp(prefix="mount-"))
    folder.chmod(0o755)
    (folder / "a.txt").write_text("A")
    yield folder
    shutil.rmtree(folder)


def policy(*given: Mount) -> Policy:
    return Policy(Limits(seconds=20), imports=ALL, mounts=given)


async def value(cells: Cells, code: str) -> Any:
    outcome = await cells.run(code)
    assert outcome.ok, outcome.error and outcome.error.traceback
    return outcome.value


async def failure(cells: Cells, code: str) -> str:
    outcome = await cells.run(code)
    assert outcome.error is not None, f"{code} gave {outcome.value}"
    return outcome.error.type


def skip_without(level: str) -> None:
    if level == "full":
        try:
            launchers.launcher(find(None), launchers.SHIPPED)._stand("full")
        except SandboxUnavailable as unavailable:
            pytest.skip(f"this machine has no level full: {unavailable}")


CHANGES = """
import os, mmap
place = {place!r}
def tried(act):
    try: act()
    except OSError as error: return False
    return True
[tried(act) for act in (
    lambda: open(place + "/new", "w"), lambda: open(place + "/a.txt", "a"), lambda: os.truncate(place + "/a.txt", 0),
    lambda: os.unlink(place + "/a.txt"), lambda: os.rename(place + "/a.txt", place + "/b"),
    lambda: os.mkdir(place + "/d"),
    lambda: os.symlink("x", place + "/l"), lambda: os.link(place + "/a.txt", place + "/h"),
    lambda: os.mkfifo(place + "/f"), lambda: os.rename(place, place + "x"),
)]
"""


async def test_a_folder_is_read_at_its_own_path_and_nothing_of_it_can_be_changed(level: str, place: Path) -> None:
    skip_without(level)
    before = (place / "a.txt").stat()
    async with Cells(LEVELS[level], policy(Mount(str(place)))) as cells:
        assert cells.level == level
        assert (
            await value(cells, f"import os; os.listdir({str(place)!r}), open('{place}/a.txt').read()")
            == "(['a.txt'], 'A')"
        )
        assert "True" not in await value(cells, CHANGES.format(place=str(place)))
        await cells.run(f"os.chmod('{place}/a.txt', 0o777); os.utime('{place}/a.txt', (0, 0))")
        beside = f"{place.parent}/mount-beside"
        assert await failure(cells, f"open('{beside}')") in ("FileNotFoundError", "PermissionError")
        if level == "plain":
            assert await failure(cells, f"os.listdir('{place.parent}')") == "PermissionError"
    after = (place / "a.txt").stat()
    assert (after.st_mtime_ns, after.st_mode, after.st_size) == (before.st_mtime_ns, before.st_mode, before.st_size)
    assert os.listdir(place) == ["a.txt"]


async def test_a_writable_folder_is_changed_for_good_and_the_level_says_so(level: str, place: Path) -> None:
    skip_without(level)
    async with Cells(LEVELS[level], policy(Mount(str(place), writable=True))) as cells:
        assert cells.level == f"{level}+writable"
        await value(cells, f"import os, shutil; os.chdir({str(place)!r}); os.mkdir('sub')")
        await value(
            cells, "open('sub/b.txt', 'w').write('B'); os.rename('a.txt', 'sub/a.txt'); os.truncate('sub/a.txt', 0)"
        )
        await value(cells, "shutil.copy('sub/b.txt', 'c.txt'); os.chmod('c.txt', 0o644); os.utime('c.txt')")
        exists = await value(cells, f"os.path.exists('{place.parent}/beside'), os.listdir()")
        assert exists.startswith("(False, ") and "'sub'" in exists
        if level == "full":
            run = (
                "import mmap; f = open('c.txt', 'r+b'); mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_EXEC)"
            )
            assert await failure(cells, run) == "PermissionError"
    assert sorted(os.listdir(place)) == ["c.txt", "sub"]
    assert (place / "sub" / "b.txt").read_text() == "B" and (place / "sub" / "a.txt").stat().st_size == 0


@pytest.mark.parametrize("name", sorted(folders.OBEYED))
async def test_fw_16_what_programs_obey_is_not_changed_and_what_appears_is_told(name: str, place: Path) -> None:
    skip_without("full")
    inner = place / "project"
    inner.mkdir()
    (inner / name).mkdir()
    (inner / name / "config").write_text("mine")
    given = policy(Mount(str(place), writable=True))
    with pytest.raises(SandboxUnavailable, match=f"{inner / name} in a writable folder cannot be kept as it is"):
        async with Cells(LEVELS["plain"], given):
            pass
    before = belongings()["mounts"]
    with pytest.warns(mounts.MountWarning, match="has appeared") as told:
        async with Cells(LEVELS["full"], given) as cells:
            for there in (f"{inner}/{name}", f"{inner}/{name}/config"):
                for act in ("open({!r}, 'w')", "os.unlink({!r})", "os.rename({!r}, {!r} + 'x')", "os.rmdir({!r})"):
                    await failure(cells, f"import os; {act.format(there, there)}")
            await failure(cells, f"os.mkdir('{inner}/{name}/hooks')")
            await value(cells, f"open('{place}/{name}', 'w').write('theirs')")
            await cells.run(f"os.rename('{inner}', '{place}/moved'); os.makedirs('{inner}/{name}')")
    appeared = {str(one.message).split("'")[1] for one in told}
    assert appeared in ({f"{place}/{name}"}, {f"{place}/{name}", f"{inner}/{name}"})
    kept = next(path for path in (inner / name / "config", place / "moved" / name / "config") if path.exists())
    assert kept.read_text() == "mine"
    assert belongings()["mounts"] == before


async def test_fw_17_a_link_on_the_way_is_refused_and_the_place_that_is_meant_is_named(
    tmp_path: Path, level: str
) -> None:
    (tmp_path / "real" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "end").symlink_to("/")
    for path, real in ((tmp_path / "link" / "in", tmp_path / "real" / "in"), (tmp_path / "real" / "end", "/")):
        with pytest.raises(UsageError, match=f"there is a link on the way of {path}: write {real}$"):
            async with Cells(LEVELS[level], policy(Mount(str(path)))):
                pass


def test_fw_17_a_folder_that_is_exchanged_before_it_is_opened_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (folder,) = mounts.settled([Mount(str(tmp_path / "a"))], find(None))
    (tmp_path / "a").rename(tmp_path / "was a")
    (tmp_path / "b").rename(tmp_path / "a")
    with pytest.raises(Refused, match="is another folder by now"), folders.held(folder):
        pass
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").symlink_to(tmp_path / "was a")
    with pytest.raises(Refused, match="ELOOP"), folders.held(folder):
        pass


async def test_a_folder_that_was_made_anew_is_the_one_that_the_next_session_sees(level: str, place: Path) -> None:
    skip_without(level)
    given, inner = policy(Mount(str(place / "in"))), place / "in"
    for number in range(2):
        inner.mkdir()
        (inner / "n").write_text(f"{number}")
        async with Cells(LEVELS[level], given) as cells:
            assert await value(cells, f"open('{inner}/n').read()") == f"'{number}'"
        inner.rename(place / f"was-{number}")


async def test_few_launchers_are_kept_of_folders_that_nobody_uses(level: str, place: Path) -> None:
    skip_without(level)
    for number in range(launchers._KEPT + 3):
        (place / f"{number}").mkdir()
        async with Cells(LEVELS[level], policy(Mount(str(place / f"{number}")))) as cells:
            assert await value(cells, f"__import__('os').listdir('{place}/{number}')") == "[]"
    idle = [each for each in launchers._launchers.values() if each.folders]
    assert len(idle) <= launchers._KEPT


async def test_a_socket_in_a_folder_is_out_of_reach(level: str, place: Path) -> None:
    skip_without(level)
    with socket.socket(socket.AF_UNIX) as ear, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mailbox:
        ear.bind(f"{place}/ear")
        ear.listen()
        mailbox.bind(f"{place}/mailbox")
        for one in (ear, mailbox):
            one.setblocking(False)
        for name in ("ear", "mailbox"):
            (place / name).chmod(0o777)
        async with Cells(LEVELS[level], policy(Mount(str(place), writable=True))) as cells:
            assert (
                await value(cells, f"import os, socket; sorted(os.listdir({str(place)!r}))")
                == "['a.txt', 'ear', 'mailbox']"
            )
            assert await failure(cells, f"socket.socket(socket.AF_UNIX).connect('{place}/ear')") == "PermissionError"
            assert await failure(cells, f"socket.socketpair()[0].sendto(b'x', '{place}/mailbox')") in (
                "PermissionError",
                "OSError",
            )
            assert await failure(cells, f"open('{place}/ear')") == "OSError"
        with pytest.raises(BlockingIOError):
            ear.accept()
        with pytest.raises(BlockingIOError):
            mailbox.recv(1)


REFUSED = {
    "/": "is everything",
    "/proc/self": "lies in /proc",
    "/sys": "lies in /sys",
    "/dev/shm": "lies in /dev",
    "/run/user": "lies in /run",
    "/home": "holds the home folder",
    "~": "holds the home folder",
    "/tmp": "where the scratch is",
    "/tmp/outputs/x": "where files cross",
    "~/.config/codeact": "codeact's own",
    "~/.local/share": "codeact's own",
    "~/.cache/codeact/environments": "codeact's own",
    "relative": "not a whole path: write '/",
    "/usr/../tmp/x": "not a whole path: write '/tmp/x'",
    "//tmp/x": "not a whole path",
    "/nowhere/at/all": "No such file",
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_is_no_folder_to_be_given_is_refused_with_the_reason(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in mounts._XDG:
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=REFUSED[path]):
        mounts.settled([Mount(os.path.expanduser(path))], find(None))


def test_what_runs_code_is_not_to_be_written_and_folders_do_not_lie_in_each_other(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / ".git").symlink_to(tmp_path)
    package = Path(mounts.__file__).parents[2]
    for given, why in {
        (Mount(str(tmp_path / "file")),): "is not a folder: give a file",
        (Mount(str(tmp_path / "a")), Mount(str(tmp_path / "a" / "b"))): "lie in each other: name one",
        (Mount(str(tmp_path / "a")), Mount(str(tmp_path / "a"), writable=True)): "lie in each other: name one",
        (Mount(str(package), writable=True),): "the Python environment at .* not writable",
        (Mount(str(package.parent), writable=True),): "the Python environment at .* not writable",
        (Mount(find(None).site[0], writable=True),): "not writable",
        (Mount("/usr/share", writable=True),): "is the system's",
        (Mount("/etc", writable=True),): "is the system's",
        (Mount(str(tmp_path / "link"), writable=True),): "is a link, and cannot be closed",
    }.items():
        with pytest.raises(UsageError, match=why):
            mounts.settled(given, find(None))
    assert mounts.settled([Mount(str(package))], find(None))[0].path == str(package)


@pytest.mark.skipif(not ROOT, reason="only root has folders of other users")
async def test_code_of_root_is_nobody_where_a_folder_is_open_and_else_its_owner_without_his_powers(
    level: str, place: Path
) -> None:
    skip_without(level)
    who = "import os; os.stat({!r}).st_uid == os.getuid()"
    os.chmod(place, 0o777)
    async with Cells(LEVELS[level], policy(Mount(str(place), writable=True))) as cells:
        await value(cells, f"open('{place}/new', 'w').close()")
    assert (place / "new").stat().st_uid in (0, 65534)  # another one where the Python itself is closed to others
    os.chmod(place, 0o700)
    async with Cells(LEVELS[level], policy(Mount(str(place), writable=True))) as cells:
        assert await value(cells, who.format(str(place))) == "True"
        await value(cells, f"open('{place}/owned', 'w').close()")
    assert (place / "owned").stat().st_uid == 0
    os.chown(place, 12_345, 12_345)
    with pytest.raises(SandboxUnavailable, match=r"to whom .* is not open.*run codeact as its owner"):
        async with Cells(LEVELS[level], policy(Mount(str(place)))):
            pass


@pytest.mark.parametrize("wall", [Unconfined(), Container("image"), Command(["python3"])], ids=lambda wall: wall.name)
async def test_a_wall_that_shows_no_folders_says_so(wall: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shows no folders"):
        async with Cells(wall, policy(Mount(str(tmp_path)))):
            pass


async def test_a_folder_that_stays_as_it_is_is_no_warning(level: str, place: Path) -> None:
    skip_without(level)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with Cells(LEVELS[level], policy(Mount(str(place), writable=True))) as cells:
            await value(cells, f"open('{place}/plain.txt', 'w').write('x')")
