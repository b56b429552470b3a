"""What a guest finds when it wakes behind the wall, at both levels, on the real kernel."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from talk import GUEST, at, sandbox, session

from codeact.core.errors import UsageError
from codeact.core.execution import Policy
from codeact.sandboxes.linux import LinuxSandbox

LEVELS = ("full", "plain")


@pytest.fixture(params=LEVELS)
def wall(request: pytest.FixtureRequest) -> LinuxSandbox:
    return at(str(request.param))


@pytest.fixture
def full() -> LinuxSandbox:
    return at("full")


@pytest.fixture
def plain() -> LinuxSandbox:
    return at("plain")


async def test_a_session_says_how_strongly_it_is_confined(full: LinuxSandbox, plain: LinuxSandbox) -> None:
    async with session(full) as strong, session(plain) as weak:
        assert (strong.pipe.level, weak.pipe.level) == ("full", "plain")
        assert (full.name, plain.name) == ("linux-full", "linux")


async def test_home_and_temporary_folder_and_working_directory_are_the_empty_scratch(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        places = await ask("import os, tempfile; result = [os.getcwd(), os.environ['HOME'], tempfile.gettempdir()]")
        assert len(set(places)) == 1
        assert await ask("result = [entry for entry in os.listdir('.') if not os.path.isdir(entry)]") == []
        assert await ask("open('note', 'w').write('kept'); result = open('note').read()") == "kept"


async def test_the_environment_holds_nothing_of_the_hosts(wall: LinuxSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    async with session(wall) as ask:
        names = set(await ask("import os; result = list(os.environ)"))
    assert names <= {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PYTHONHASHSEED"}


async def test_nothing_of_codeact_is_loaded_and_no_argument_tells_a_path(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        assert await ask("import sys; result = [name for name in sys.modules if name.split('.')[0] == 'codeact']") == []
        assert await ask("result = sys.argv + sys.orig_argv") == ["", ""]


async def test_only_the_channel_is_open_beside_the_three_standard_descriptors(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        assert await ask("""
import os
result = []
for number in range(1024):
    try:
        os.fstat(number)
    except OSError:
        continue
    result.append(number)
""") == [0, 1, 2, 3]
        assert await ask("result = len(os.read(0, 10))") == 0


async def test_a_session_is_nobody_in_a_world_of_its_own(full: LinuxSandbox) -> None:
    async with session(full) as ask:
        assert await ask("import os, socket; result = [os.getpid(), os.getppid(), os.getuid(), os.getgid()]") == [
            2,
            0,
            1000,
            1000,
        ]
        assert await ask("result = socket.gethostname()") != socket.gethostname()
        assert await ask("result = [path for path in ('/proc', '/sys/fs') if os.path.exists(path + '/self')]") == []


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/home", "/root", "/usr", "/dev", "/proc", str(Path(__file__).parents[1] / "guest")]
)
async def test_folders_of_the_host_cannot_be_listed(wall: LinuxSandbox, path: str) -> None:
    async with session(wall) as ask:
        answer = await ask(f"import os; result = os.listdir({path!r})")
    assert answer["raised"] in ("PermissionError", "FileNotFoundError")


async def test_files_of_the_host_cannot_be_read_or_written(wall: LinuxSandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the canary")
    async with session(wall) as ask:
        for path in (secret, "/etc/passwd", "/proc/self/environ", "/proc/1/cmdline"):
            assert (await ask(f"result = open({str(path)!r}).read()"))["raised"] in (
                "PermissionError",
                "FileNotFoundError",
            )
        assert "raised" in await ask(f"open({str(tmp_path / 'new')!r}, 'w')")
        assert "raised" in await ask(f"open({str(GUEST / '__main__.py')!r}, 'a')")
        assert "raised" in await ask("import os; open(os.path.dirname(os.__file__) + '/evil.pth', 'w')")
    assert secret.read_text() == "the canary"
    assert not (tmp_path / "new").exists()


async def test_installed_packages_and_time_zones_are_there(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        assert await ask("import anyio, typing_extensions; result = anyio.__file__ is not None") is True
        assert await ask("import zoneinfo, datetime; result = str(zoneinfo.ZoneInfo('Europe/Oslo'))") == "Europe/Oslo"
        assert await ask("import sys; result = sys.prefix") == sys.prefix


async def test_two_sessions_draw_different_random_numbers(wall: LinuxSandbox) -> None:
    draw = "import random, ssl, uuid, os; result = [random.random(), ssl.RAND_bytes(8).hex(), uuid.uuid4().hex]"
    async with session(wall) as one, session(wall) as other:
        assert not set(await one(draw)) & set(await other(draw))


async def test_what_a_session_writes_is_seen_by_no_other(wall: LinuxSandbox) -> None:
    async with session(wall) as one:
        await one("import os, tempfile; open('a', 'w').close(); tempfile.mkdtemp(); os.environ['X'] = '1'")
        async with session(wall) as other:
            assert await other("import os; result = ['a' in os.listdir('.'), 'X' in os.environ]") == [False, False]
    async with session(wall) as later:
        assert await later("import os; result = 'a' in os.listdir('.')") is False


async def test_an_environment_below_the_scratch_is_still_visible(wall: LinuxSandbox, tmp_path: Path) -> None:
    place = tmp_path / "linked"
    venv.create(tmp_path / "venv", symlinks=True)
    place.symlink_to(tmp_path / "venv")
    library = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (library / "mine.py").write_text("answer = 42")
    (tmp_path / "beside").write_text("not of the environment")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "edited.py").write_text("answer = 43")
    (library / "project.pth").write_text(f"import nothing_that_is_there\n# a comment\n{tmp_path / 'project'}\n")
    async with session(wall, python=str(place)) as ask:
        assert await ask("import mine; result = [mine.answer, mine.__file__]") == [
            42,
            str(place / library.relative_to(tmp_path / "venv") / "mine.py"),
        ]
        assert await ask(f"import sys; sys.path.append({str(tmp_path / 'project')!r})") is None
        assert await ask("import edited; result = edited.answer") == 43
        assert "raised" in await ask(f"result = open({str(library / 'new.py')!r}, 'w')")
        assert "raised" in await ask(f"result = open({str(tmp_path / 'beside')!r}).read()")


async def test_a_project_in_whose_folder_the_environment_was_made_is_not_shown(
    wall: LinuxSandbox, tmp_path: Path
) -> None:
    venv.create(tmp_path, symlinks=True)
    (tmp_path / ".env").write_text("KEY=secret")
    async with session(wall, python=str(tmp_path)) as ask:
        assert await ask("import sys; result = sys.prefix") == str(tmp_path)
        assert "raised" in await ask(f"result = open({str(tmp_path / '.env')!r}).read()")


async def test_an_environment_that_is_closed_to_others_works(full: LinuxSandbox, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    library = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (library / "mine.py").write_text("answer = 42")
    (library / "mine.py").chmod(0o600)
    (tmp_path / "venv" / "lib").chmod(0o700)
    async with session(full, python=str(tmp_path / "venv")) as ask:
        assert await ask("import mine, os; result = [mine.answer, os.getuid()]") == [42, 1000]


async def test_an_environment_made_anew_at_the_same_path_is_seen_as_it_is_now(
    wall: LinuxSandbox, tmp_path: Path
) -> None:
    for answer in (1, 2):
        venv.create(tmp_path / "venv", clear=True, symlinks=True)
        library = next((tmp_path / "venv").glob("lib/python*/site-packages"))
        (library / "mine.py").write_text(f"answer = {answer}")
        async with session(wall, python=str(tmp_path / "venv")) as ask:
            assert await ask("import mine; result = mine.answer") == answer


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("nowhere", "there is no interpreter"),
        ("empty/", "no bin/python"),
        ("text", "does not answer as CPython"),
        ("liar", "does not answer as CPython"),
        ("silent", "does not answer as CPython.*: it said nothing"),
        ("broken", "does not answer as CPython.*: it left with status 3: no module named encodings"),
    ],
)
async def test_what_is_no_python_is_refused_with_what_was_looked_for(tmp_path: Path, made: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("not a program")
    (tmp_path / "liar").write_text("#!/bin/sh\necho '[1, 2]'\n")
    (tmp_path / "broken").write_text("#!/bin/sh\necho no module named encodings >&2; exit 3\n")
    (tmp_path / "silent").write_text("#!/bin/sh\n")
    for name in ("liar", "silent", "broken"):
        (tmp_path / name).chmod(0o755)
    with pytest.raises(UsageError, match=said):
        async with sandbox().launch(Policy(python=str(tmp_path / made)), lambda *_: None):
            pass


def test_the_launcher_runs_without_the_users_site_and_without_the_hosts_paths(tmp_path: Path) -> None:
    """A hostile folder that is the working directory, or on PYTHONPATH, gives the launcher no code."""
    (tmp_path / "json.py").write_text("raise SystemExit('taken over')")
    program = (
        "import asyncio, sys; sys.path[:0] = sys.argv[1:]\n"
        "from talk import sandbox, session\n"
        "async def main():\n"
        "    async with session(sandbox()) as ask: print(await ask('import json; result = json.__file__'))\n"
        "asyncio.run(main())\n"
    )
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "src")]
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *paths],
        cwd=tmp_path,
        env={**os.environ, "PYTHONSTARTUP": "json.py"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stdout
