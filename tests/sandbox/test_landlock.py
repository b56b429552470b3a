"""The second wall round the file system: what it grants, what it refuses, and what an older kernel would leave open."""

from __future__ import annotations

from pathlib import Path

import pytest
from locked import locked

from codeact.sandboxes.linux import landlock

ABI = landlock.abi()
pytestmark = pytest.mark.skipif(ABI < 1, reason="this kernel has no landlock; the doctor says so")

_TRY = """
import os
def attempt(action, *arguments):
    try: action(*arguments); return "open"
    except OSError as error: return type(error).__name__
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name in ("read", "write", "files", "hidden"):
        (tmp_path / name).mkdir()
        for file in ("file", "other"):
            (tmp_path / name / file).write_text("a secret of the host")
    return tmp_path


def confined(house: Path, code: str, *, abi: int = ABI, program: str = "None") -> str:
    """What the code printed, confined to three of the four rooms."""
    walls = f"""
    landlock.restrict(
        read=["/usr", "/lib", "/lib64", sys.prefix, sys.base_prefix, "{house}/read", "/not/there"],
        read_files=["{house}/files", "/dev/null"], write=["{house}/write"], abi={abi},
    )
    """
    return locked(f"{_TRY}\nhouse = {str(house)!r}\n{code}", before=f"program = {program}", walls=walls)


# what is tried in the room, and what comes of it: read, write, files, hidden
ATTEMPTS = {
    "os.open(room + '/file', os.O_RDONLY)": ("open", "open", "open", "PermissionError"),
    "os.open(room + '/file', os.O_RDWR)": ("PermissionError", "open", "PermissionError", "PermissionError"),
    "os.listdir(room)": ("open", "open", "PermissionError", "PermissionError"),
    "os.open(room + '/new', os.O_WRONLY | os.O_CREAT)": ("PermissionError", "open", *["PermissionError"] * 2),
    "os.mkdir(room + '/folder')": ("PermissionError", "open", "PermissionError", "PermissionError"),
    "os.symlink('x', room + '/link')": ("PermissionError", "open", "PermissionError", "PermissionError"),
    "os.mkfifo(room + '/fifo')": ("PermissionError", "open", "PermissionError", "PermissionError"),
    "os.rename(room + '/file', room + '/moved')": ("PermissionError", "open", *["PermissionError"] * 2),
    "os.unlink(room + '/other')": ("PermissionError", "open", "PermissionError", "PermissionError"),
}


def test_each_room_gives_what_its_rule_says_and_nothing_else(house: Path) -> None:
    for attempt, expected in ATTEMPTS.items():
        code = f"""
print(*(attempt(lambda room=house + '/' + name: {attempt}) for name in ("read", "write", "files", "hidden")))
"""
        assert confined(house, code).split() == list(expected), attempt
    assert (house / "hidden/file").read_text() == (house / "read/file").read_text() == "a secret of the host"


def test_neither_links_nor_dots_nor_another_name_lead_out(house: Path) -> None:
    code = """
os.chdir(house + "/write")
os.symlink(house + "/hidden/file", "link")
print(attempt(open, "link"), attempt(open, "../hidden/file"), attempt(os.link, house + "/hidden/file", "hard"),
      attempt(os.rename, house + "/hidden/file", "stolen"), attempt(open, "/proc/self/root" + house + "/hidden/file"))
"""
    said = confined(house, code).split()
    assert "open" not in said and len(said) == 5


def test_the_root_cannot_be_listed_nor_anything_on_the_way_to_a_visible_path(house: Path) -> None:
    code = """
path, said = house + "/read", []
while path != "/":
    path = os.path.dirname(path)
    said.append(attempt(os.listdir, path))
print(*said)
"""
    assert set(confined(house, code).split()) == {"PermissionError"}


def test_a_device_that_is_named_may_be_written_and_no_other(house: Path) -> None:
    code = "print(attempt(open, '/dev/null', 'r+b', 0), attempt(open, '/dev/zero', 'rb'))"
    assert confined(house, code) == "open PermissionError"


def test_moving_between_folders_of_the_scratch_works_where_the_kernel_can_tell(house: Path) -> None:
    code = """
os.mkdir(house + "/write/a")
print(attempt(os.rename, house + "/write/file", house + "/write/a/file"))
"""
    assert confined(house, code) == ("open" if ABI >= 2 else "OSError")


@pytest.mark.skipif(ABI < 4, reason="landlock before ABI 4 does not know TCP: seccomp alone stands there")
def test_tcp_is_refused(house: Path) -> None:
    code = """
import socket
s = socket.socket()
print(attempt(s.bind, ("127.0.0.1", 0)), attempt(s.connect, ("127.0.0.1", 1)))
"""
    assert confined(house, code) == "PermissionError PermissionError"


@pytest.mark.skipif(ABI < 6, reason="landlock before ABI 6 does not know signals and abstract sockets")
def test_signals_and_abstract_sockets_stay_inside(house: Path) -> None:
    code = """
import signal, socket, threading
server, inner = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
print(attempt(os.kill, os.getppid(), 0), attempt(os.kill, os.getpid(), 0), attempt(inner.connect, abstract))
"""
    abstract = "\\0codeact-landlock-test"
    before = f"""
    program = None
    import os, socket
    abstract = "{abstract}"
    outside = socket.socket(socket.AF_UNIX); outside.bind(abstract); outside.listen()
    """
    walls = f"landlock.restrict(read=['/usr', '/lib', sys.prefix, sys.base_prefix], abi={ABI})"
    assert locked(_TRY + code, before=before, walls=walls) == "PermissionError open PermissionError"


@pytest.mark.parametrize("abi", range(1, ABI + 1))
def test_an_older_kernel_is_spoken_to_in_its_own_words(house: Path, abi: int) -> None:
    code = "print(attempt(open, house + '/hidden/file'), attempt(open, house + '/read/file'))"
    assert confined(house, code, abi=abi) == "PermissionError open"


# What landlock leaves open at every ABI or before some ABI, and seccomp closes at the level plain.
@pytest.mark.parametrize("abi", [2, ABI])
def test_what_landlock_leaves_open_the_filter_of_plain_closes(house: Path, abi: int) -> None:
    code = """
secret = house + "/hidden/file"
try: os.chmod(secret, 0o777); os.utime(secret, (1, 1))
except OSError: pass
print(attempt(os.chown, secret, 1, 1), attempt(os.setxattr, secret, "user.a", b"b"), attempt(os.truncate, secret, 0),
      attempt(os.open, house + "/read/file", os.O_RDONLY | os.O_TRUNC) if abi < 3 else "PermissionError",
      attempt(os.open, house + "/read/file", 3 | os.O_TRUNC))
"""
    before = f"seccomp.program(level='plain', landlock_abi={abi}, pid=__import__('os').getpid())"
    (house / "hidden/file").chmod(0o640)
    then = (house / "hidden/file").stat()
    assert set(confined(house, f"abi = {abi}\n{code}", abi=abi, program=before).split()) <= {
        "PermissionError",
        "OSError",
    }
    now = (house / "hidden/file").stat()
    assert (now.st_mode, now.st_mtime_ns, now.st_uid, now.st_size) == (
        then.st_mode,
        then.st_mtime_ns,
        then.st_uid,
        then.st_size,
    )
    assert (house / "read/file").read_text() == "a secret of the host"


def test_without_the_filter_an_old_landlock_would_let_a_readable_file_be_emptied(house: Path) -> None:
    """The control of the test above: the hole is real, so that the filter is what closes it."""
    code = "print(attempt(os.open, house + '/read/file', os.O_RDONLY | os.O_TRUNC))"
    assert confined(house, code, abi=2) == "open"
    assert (house / "read/file").read_text() == ""


def test_without_landlock_nothing_pretends_to_restrict() -> None:
    with pytest.raises(ValueError, match="not there"):
        landlock.restrict(read=["/usr"], abi=0)
